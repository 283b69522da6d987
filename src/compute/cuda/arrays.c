/* Body of arrays.h. */
#include "compute/cuda/arrays.h"

#include "base/alloc.h"

#include <string.h>

enum {
    FIRST_BYTES = 1 << 20,
    ALIGNMENT = 64
};

static cudaError_t append_block(fal_cuda_blocks *b, size_t bytes) {
    size_t wanted = b->n_blocks > 0 ? 2 * b->blocks[b->n_blocks - 1].bytes : FIRST_BYTES;
    fal_cuda_block block = {.bytes = bytes > wanted ? bytes : wanted};
    if (b->n_blocks == FAL_CUDA_MAX_BLOCKS) return cudaErrorMemoryAllocation;
    cudaError_t error = cudaMallocHost((void **)&block.host, block.bytes);
    if (error != cudaSuccess) return error;
    error = cudaMalloc((void **)&block.device, block.bytes);
    if (error != cudaSuccess) {
        (void)cudaFreeHost(block.host);
        return error;
    }
    b->blocks[b->n_blocks++] = block;
    return cudaSuccess;
}

/* Some bytes of the last block. */
static cudaError_t take(fal_cuda_blocks *b, size_t bytes, fal_cuda_block *piece) {
    size_t padded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    fal_cuda_block *last = b->n_blocks > 0 ? &b->blocks[b->n_blocks - 1] : NULL;
    if (!last || last->bytes - last->used < padded) {
        cudaError_t error = append_block(b, padded);
        if (error != cudaSuccess) return error;
        last = &b->blocks[b->n_blocks - 1];
    }
    piece->host = last->host + last->used;
    piece->device = last->device + last->used;
    last->used += padded;
    return cudaSuccess;
}

static void release_blocks(fal_cuda_blocks *b, int first) {
    for (int i = first; i < b->n_blocks; i++) {
        (void)cudaFree(b->blocks[i].device);
        (void)cudaFreeHost(b->blocks[i].host);
    }
    if (b->n_blocks > first) b->n_blocks = first;
}

/* Keeps the last block, the largest. */
static void empty(fal_cuda_blocks *b) {
    if (b->n_blocks == 0) return;
    fal_cuda_block last = b->blocks[b->n_blocks - 1];
    last.used = 0;
    b->n_blocks--;
    release_blocks(b, 0);
    b->blocks[b->n_blocks++] = last;
}

cudaError_t fal_cuda_arrays_send(fal_cuda_arrays *a, cudaStream_t s, const void *array,
                                 size_t bytes, void **device) {
    fal_cuda_block piece;
    cudaError_t error = take(&a->sent, bytes, &piece);
    if (error != cudaSuccess) return error;
    memcpy(piece.host, array, bytes);
    *device = piece.device;
    return cudaMemcpyAsync(piece.device, piece.host, bytes, cudaMemcpyHostToDevice, s);
}

cudaError_t fal_cuda_arrays_receive(fal_cuda_arrays *a, void *array, size_t bytes, void **device) {
    fal_cuda_block piece;
    if (!fal_grow((void **)&a->arrivals, &a->arrivals_capacity, a->n_arrivals + 1,
                  sizeof *a->arrivals))
        return cudaErrorMemoryAllocation;
    cudaError_t error = take(&a->received, bytes, &piece);
    if (error != cudaSuccess) return error;
    a->arrivals[a->n_arrivals++] =
        (fal_cuda_arrival){.array = array, .host = piece.host, .bytes = bytes};
    *device = piece.device;
    return cudaSuccess;
}

cudaError_t fal_cuda_arrays_deliver(fal_cuda_arrays *a, cudaStream_t s) {
    cudaError_t error = cudaSuccess;
    for (int i = 0; i < a->received.n_blocks && error == cudaSuccess; i++) {
        const fal_cuda_block *b = &a->received.blocks[i];
        if (b->used > 0)
            error = cudaMemcpyAsync(b->host, b->device, b->used, cudaMemcpyDeviceToHost, s);
    }
    cudaError_t at_end = cudaStreamSynchronize(s);
    if (error == cudaSuccess) error = at_end;
    for (size_t i = 0; i < a->n_arrivals && error == cudaSuccess; i++)
        memcpy(a->arrivals[i].array, a->arrivals[i].host, a->arrivals[i].bytes);
    a->n_arrivals = 0;
    empty(&a->sent);
    empty(&a->received);
    return error;
}

void fal_cuda_arrays_release(fal_cuda_arrays *a) {
    release_blocks(&a->sent, 0);
    release_blocks(&a->received, 0);
    fal_free(a->arrivals);
    a->arrivals = NULL;
    a->arrivals_capacity = 0;
}
