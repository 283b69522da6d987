/* The list of what this build computes on; the first is the default. */
#include "compute/cpu/cpu.h"
#include "compute/ref/ref.h"

static const fal_backend *const backends[] = {&fal_backend_cpu, &fal_backend_ref};

int fal_backend_count(void) {
    return (int)(sizeof backends / sizeof backends[0]);
}

const fal_backend *fal_backend_at(int index) {
    return backends[index];
}
