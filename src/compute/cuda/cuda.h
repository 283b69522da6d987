/* The cuda column: what its device and its queues hold, and its operations.
 *
 * Operations prepare on the host what a kernel needs and put it on the device's one stream; kernels live in the .cu files
 * behind launch.h, products of matrices are cuBLAS's. */
#ifndef FAL_COMPUTE_CUDA_CUDA_H
#define FAL_COMPUTE_CUDA_CUDA_H

#include "compute/cuda/arrays.h"
#include "compute/cuda/launch.h"
#include "compute/device.h"

#include <cublas_v2.h>

/* device->state */
typedef struct fal_cuda_state {
    int ordinal;
    char name[64];        /* "NVIDIA H100 80GB HBM3" */
    bool migrates_freely; /* host and device may touch one block at the same time */
    cudaStream_t stream;  /* of all queues */
} fal_cuda_state;

/* queue->state */
typedef struct fal_cuda_queue {
    fal_cuda_arrays arrays;
    cublasHandle_t blas; /* NULL before the first product */
    void *workspace;     /* of cuBLAS */
    void *scratch, *host_scratch;
    size_t scratch_bytes, host_scratch_bytes;
} fal_cuda_queue;

extern const fal_backend fal_backend_cuda;

static inline cudaStream_t fal_cuda_stream(const fal_queue *q) {
    return ((const fal_cuda_state *)q->device->state)->stream;
}

/* False, and a failure kept in the queue, if there is an error. */
bool fal_cuda_succeeded(fal_queue *q, const char *operation, cudaError_t error);

/* Memory of the device for one operation, not initialised, until the queue's next operation. NULL: the failure is kept in
 * the queue. */
void *fal_cuda_scratch(fal_queue *q, const char *operation, size_t bytes);
/* The same of the host's memory, zeroed. */
void *fal_cuda_host_scratch(fal_queue *q, const char *operation, size_t bytes);

/* What products are called on, opened by the first of them: it takes long, and most queues have none. NULL: the failure is
 * kept in the queue. */
cublasHandle_t fal_cuda_blas(fal_queue *q, const char *operation);

/* An array of the host on the device, as it is now; NULL: the failure is kept in the queue. */
const void *fal_cuda_send(fal_queue *q, const char *operation, const void *array, size_t bytes);
/* Memory of the device that is copied to the host's array by fal_queue_wait; NULL as above. */
void *fal_cuda_receive(fal_queue *q, const char *operation, void *array, size_t bytes);

/* A tensor as kernels see it. */
static inline fal_view fal_cuda_view(fal_tensor t) {
    int64_t stride = t.n_rows > 1 ? (int64_t)(t.row_bytes / sizeof(float)) : t.n_cols;
    return (fal_view){(float *)t.data, t.n_rows, t.n_cols, stride};
}

/* The operations, as their rows in ops.def say. */
#define FAL_OP(name, parameters, meaning) void fal_cuda_##name parameters;
#include "compute/ops.def"
#undef FAL_OP

#endif
