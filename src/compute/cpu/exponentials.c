/* Body of exponentials.h. */
#include "compute/cpu/exponentials.h"

#include "compute/cpu/kernels.h"

void fal_cpu_exponentials(float *y, const float *x, int64_t n, float *largest, double *total) {
    fal_kernel_set_for(fal_cpu_level_get())->exp_row(y, x, n, largest, total);
}
