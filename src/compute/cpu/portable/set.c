/* The portable set as a table: every kernel of the list. */
#include "compute/cpu/kernels.h"

const fal_kernel_set fal_kernels_portable = {
    .name = "portable",
#define FAL_KERNEL(name, signature, meaning) .name = fal_##name##_portable,
#include "compute/cpu/kernels.def"
#undef FAL_KERNEL
};
