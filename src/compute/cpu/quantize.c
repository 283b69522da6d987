/* Finds the kernel that encodes weights to a type; types without one use their own encoder. */
#include "compute/cpu/quantize.h"

#include "compute/cpu/kernels.h"

void fal_cpu_encode(const fal_type *type, const float *weights, const float *importance,
                    void *blocks, int64_t n_blocks) {
    const fal_kernel_set *set = fal_kernel_set_for(fal_cpu_level_get());
    fal_quantize_kernel *kernel = fal_kernel_set_quantizer(set, type->name);
    if (!kernel) kernel = type->encode;
    kernel(weights, importance, blocks, n_blocks);
}
