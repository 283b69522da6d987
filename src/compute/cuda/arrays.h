/* Plain arrays between host and device: each way has blocks of pinned memory with a twin on the device, which an operation
 * takes pieces of and which are empty again when the queue has been waited for. */
#ifndef FAL_COMPUTE_CUDA_ARRAYS_H
#define FAL_COMPUTE_CUDA_ARRAYS_H

#include <cuda_runtime_api.h>
#include <stddef.h>

enum {
    FAL_CUDA_MAX_BLOCKS = 24 /* each is at least twice as large as the one before */
};

typedef struct fal_cuda_block {
    char *host, *device;
    size_t bytes, used;
} fal_cuda_block;

typedef struct fal_cuda_blocks {
    fal_cuda_block blocks[FAL_CUDA_MAX_BLOCKS];
    int n_blocks;
} fal_cuda_blocks;

/* What comes back, and where to. */
typedef struct fal_cuda_arrival {
    void *array;
    const char *host;
    size_t bytes;
} fal_cuda_arrival;

typedef struct fal_cuda_arrays {
    fal_cuda_blocks sent, received;
    fal_cuda_arrival *arrivals;
    size_t n_arrivals, arrivals_capacity;
} fal_cuda_arrays;

/* *device: a copy of the array, made in the order of the stream. */
cudaError_t fal_cuda_arrays_send(fal_cuda_arrays *a, cudaStream_t s, const void *array,
                                 size_t bytes, void **device);
/* *device: memory that fal_cuda_arrays_deliver copies to the array. */
cudaError_t fal_cuda_arrays_receive(fal_cuda_arrays *a, void *array, size_t bytes, void **device);

/* Waits for the stream, and fills the arrays that were to be received; none of them after an error. All pieces are given
 * back. */
cudaError_t fal_cuda_arrays_deliver(fal_cuda_arrays *a, cudaStream_t s);
void fal_cuda_arrays_release(fal_cuda_arrays *a);

#endif
