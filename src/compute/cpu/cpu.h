/* The cpu column: what its device and its queues hold, and its operations.
 *
 * Operations cut their work among the pool's threads and call the inner kernels of the device's set; the kernels
 * themselves live in portable/, x86_avx2/ and x86_avx512/. */
#ifndef FAL_COMPUTE_CPU_CPU_H
#define FAL_COMPUTE_CPU_CPU_H

#include "base/thread.h"
#include "compute/cpu/kernels.h"
#include "compute/device.h"

/* device->state */
typedef struct fal_cpu_state {
    fal_pool *pool;
    const fal_kernel_set *kernels;
} fal_cpu_state;

/* What an operation uses its scratch for; one buffer each. */
enum {
    FAL_CPU_SCRATCH_ACTIVATIONS, /* activations in the partner type of the weights */
    FAL_CPU_SCRATCH_THREADS,     /* what each thread works in */
    FAL_CPU_SCRATCH_PARTS,       /* partial results before they are joined */
    FAL_CPU_SCRATCH_SEGMENTS,    /* attention: how the work of each segment is cut */
    FAL_CPU_SCRATCH_COUNT
};

/* queue->state */
typedef struct fal_cpu_queue {
    void *scratch[FAL_CPU_SCRATCH_COUNT];
    size_t scratch_bytes[FAL_CPU_SCRATCH_COUNT];
} fal_cpu_queue;

extern const fal_backend fal_backend_cpu;

/* At least `bytes` of memory, aligned to 64 and not initialised, valid until the next call for the same slot. It grows
 * and never shrinks. NULL: memory is short; MEMORY is kept in the queue. */
void *fal_cpu_scratch(fal_queue *q, int slot, size_t bytes);

static inline const fal_kernel_set *fal_cpu_kernels(const fal_queue *q) {
    return ((const fal_cpu_state *)q->device->state)->kernels;
}

static inline fal_pool *fal_cpu_pool(const fal_queue *q) {
    return ((const fal_cpu_state *)q->device->state)->pool;
}

/* The operations, as their rows in ops.def say. */
#define FAL_OP(name, parameters, meaning) void fal_cpu_##name parameters;
#include "compute/ops.def"
#undef FAL_OP

#endif
