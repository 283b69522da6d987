/* How many blocks a kernel is launched with, and which elements a thread takes. */
#ifndef FAL_COMPUTE_CUDA_GRID_CUH
#define FAL_COMPUTE_CUDA_GRID_CUH

#include <stdint.h>

/* For n pieces of work, per_block to a block; kernels go on in steps of the grid, so that `most` do for any n. */
static inline unsigned blocks_for(int64_t n, int64_t per_block, int64_t most) {
    int64_t blocks = (n + per_block - 1) / per_block;
    return (unsigned)(blocks < most ? blocks : most);
}

static __device__ inline int64_t first_index() {
    return (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
}

static __device__ inline int64_t index_step() {
    return (int64_t)gridDim.x * blockDim.x;
}

#endif
