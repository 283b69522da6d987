/* The cuda device: the first one that the driver shows, one stream for all queues, memory that migrates. */
#include "compute/cuda/cuda.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

enum {
    WORKSPACE_BYTES = 32 << 20,
    SPARE_BYTES = 256 << 20 /* of the device's memory, for scratch and the driver */
};

static fal_status fail_device(fal_error *err, const char *what, cudaError_t error) {
    return fal_fail(err, FAL_E_DEVICE, "cuda: %s: %s", what, cudaGetErrorString(error));
}

/* ---- the device ---- */

static void close_device(fal_device *device) {
    fal_cuda_state *state = device->state;
    if (state && state->stream) (void)cudaStreamDestroy(state->stream);
    fal_free(state);
    device->state = NULL;
}

/* Finds out at once whether this build has kernels for the device. */
static cudaError_t try_kernel(const fal_cuda_state *state) {
    fal_view number = {.n_rows = 1, .n_cols = 1, .stride = 1};
    cudaError_t error = cudaMalloc((void **)&number.data, sizeof(float));
    if (error != cudaSuccess) return error;
    error = fal_launch_scale(state->stream, number, 0);
    if (error == cudaSuccess) error = cudaStreamSynchronize(state->stream);
    (void)cudaFree(number.data);
    return error;
}

static fal_status open_state(fal_cuda_state *state, fal_error *err) {
    struct cudaDeviceProp properties;
    int n_devices = 0, is_free = 0;
    cudaError_t error = cudaGetDeviceCount(&n_devices);
    if (error != cudaSuccess) return fail_device(err, "no device", error);
    if (n_devices == 0) return fal_fail(err, FAL_E_DEVICE, "cuda: no device");
    error = cudaGetDeviceProperties(&properties, state->ordinal);
    if (error != cudaSuccess) return fail_device(err, "the first device", error);
    snprintf(state->name, sizeof state->name, "%.60s", properties.name);
    error = cudaSetDevice(state->ordinal);
    if (error == cudaSuccess)
        error =
            cudaDeviceGetAttribute(&is_free, cudaDevAttrConcurrentManagedAccess, state->ordinal);
    state->migrates_freely = is_free != 0;
    if (error == cudaSuccess) error = cudaStreamCreate(&state->stream);
    if (error == cudaSuccess) error = try_kernel(state);
    return error == cudaSuccess ? FAL_OK : fail_device(err, state->name, error);
}

static fal_status open_device(fal_device *device, int n_threads, fal_error *err) {
    (void)n_threads;
    device->n_threads = 1;
    device->state = fal_alloc(1, sizeof(fal_cuda_state));
    if (!device->state) return fal_fail_memory(err, sizeof(fal_cuda_state));
    fal_status status = open_state(device->state, err);
    if (status != FAL_OK) close_device(device);
    return status;
}

static const char *name_kernels(const fal_device *device) {
    return ((const fal_cuda_state *)device->state)->name;
}

/* Linear layers of models that are not trained: none. */
static bool can_multiply(const fal_device *device, const fal_type *type) {
    (void)device, (void)type;
    return false;
}

/* ---- memory ---- */

/* The driver keeps pages where they were touched last; to begin with, and after the host looked, that is the device. */
static cudaError_t settle(const fal_cuda_state *state, void *memory, size_t bytes) {
    struct cudaMemLocation here = {.type = cudaMemLocationTypeDevice, .id = state->ordinal};
    if (!state->migrates_freely) return cudaSuccess;
    cudaError_t error = cudaMemAdvise(memory, bytes, cudaMemAdviseSetPreferredLocation, here);
    if (error == cudaSuccess) error = cudaMemPrefetchAsync(memory, bytes, here, 0, state->stream);
    return error == cudaSuccess ? cudaStreamSynchronize(state->stream) : error;
}

/* More than the device has would be paged in and out for ever: refused. */
static fal_status take_memory(void **out, fal_device *device, size_t bytes, fal_error *err) {
    const fal_cuda_state *state = device->state;
    size_t n_free = 0, n_total = 0;
    *out = NULL;
    cudaError_t error = cudaMemGetInfo(&n_free, &n_total);
    if (error != cudaSuccess) return fail_device(err, "memory", error);
    if (bytes > n_free || n_free - bytes < SPARE_BYTES)
        return fal_fail(err, FAL_E_MEMORY,
                        "cuda: %zu MiB of the device's memory wanted, %zu of %zu MiB are free",
                        bytes >> 20, n_free >> 20, n_total >> 20);
    error = cudaMallocManaged(out, bytes ? bytes : 1, cudaMemAttachGlobal);
    if (error == cudaSuccess) error = settle(state, *out, bytes);
    if (error == cudaSuccess) return FAL_OK;
    (void)cudaFree(*out);
    *out = NULL;
    return fail_device(err, "memory", error);
}

static void give_memory(void *memory, fal_device *device) {
    if (!memory) return;
    (void)cudaStreamSynchronize(((const fal_cuda_state *)device->state)->stream);
    (void)cudaFree(memory);
}

/* ---- queues ---- */

static void close_blas(fal_cuda_queue *own) {
    if (own->blas) (void)cublasDestroy(own->blas);
    (void)cudaFree(own->workspace);
    own->blas = NULL;
    own->workspace = NULL;
}

static void close_queue(fal_queue *q) {
    fal_cuda_queue *own = q->state;
    (void)cudaStreamSynchronize(fal_cuda_stream(q));
    close_blas(own);
    (void)cudaFree(own->scratch);
    fal_free(own->host_scratch);
    fal_cuda_arrays_release(&own->arrays);
    fal_free(own);
    q->state = NULL;
}

static fal_status open_queue(fal_queue *q, fal_error *err) {
    q->state = fal_alloc(1, sizeof(fal_cuda_queue));
    return q->state ? FAL_OK : fal_fail_memory(err, sizeof(fal_cuda_queue));
}

static void wait_for_queue(fal_queue *q) {
    fal_cuda_queue *own = q->state;
    (void)fal_cuda_succeeded(q, "device",
                             fal_cuda_arrays_deliver(&own->arrays, fal_cuda_stream(q)));
}

bool fal_cuda_succeeded(fal_queue *q, const char *operation, cudaError_t error) {
    if (error == cudaSuccess) return true;
    fal_queue_fail(q, error == cudaErrorMemoryAllocation ? FAL_E_MEMORY : FAL_E_DEVICE, operation,
                   "%s", cudaGetErrorString(error));
    return false;
}

/* With a workspace of its own, cuBLAS adds in the same order every time; its default mathematics is f32 throughout. */
static cublasStatus_t open_blas(fal_cuda_queue *own, cudaStream_t stream) {
    cublasStatus_t status = cublasCreate(&own->blas);
    if (status == CUBLAS_STATUS_SUCCESS) status = cublasSetStream(own->blas, stream);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = cublasSetWorkspace(own->blas, own->workspace, WORKSPACE_BYTES);
    if (status == CUBLAS_STATUS_SUCCESS) status = cublasSetMathMode(own->blas, CUBLAS_DEFAULT_MATH);
    return status;
}

cublasHandle_t fal_cuda_blas(fal_queue *q, const char *operation) {
    fal_cuda_queue *own = q->state;
    if (own->blas) return own->blas;
    if (!fal_cuda_succeeded(q, operation, cudaMalloc(&own->workspace, WORKSPACE_BYTES)))
        return NULL;
    cublasStatus_t status = open_blas(own, fal_cuda_stream(q));
    if (status == CUBLAS_STATUS_SUCCESS) return own->blas;
    fal_queue_fail(q, FAL_E_DEVICE, operation, "cuBLAS: %s", cublasGetStatusString(status));
    close_blas(own);
    return NULL;
}

void *fal_cuda_scratch(fal_queue *q, const char *operation, size_t bytes) {
    fal_cuda_queue *own = q->state;
    if (own->scratch && own->scratch_bytes >= bytes) return own->scratch;
    cudaError_t error = cudaStreamSynchronize(fal_cuda_stream(q));
    (void)cudaFree(own->scratch);
    own->scratch = NULL;
    own->scratch_bytes = 0;
    if (error == cudaSuccess) error = cudaMalloc(&own->scratch, bytes ? bytes : 1);
    if (!fal_cuda_succeeded(q, operation, error)) return NULL;
    own->scratch_bytes = bytes;
    return own->scratch;
}

void *fal_cuda_host_scratch(fal_queue *q, const char *operation, size_t bytes) {
    fal_cuda_queue *own = q->state;
    if (!own->host_scratch || own->host_scratch_bytes < bytes) {
        fal_free(own->host_scratch);
        own->host_scratch_bytes = 0;
        own->host_scratch = fal_alloc_aligned(bytes + 1, 1);
        if (!own->host_scratch) {
            fal_queue_fail(q, FAL_E_MEMORY, operation, "out of memory: %zu bytes wanted", bytes);
            return NULL;
        }
        own->host_scratch_bytes = bytes;
    }
    memset(own->host_scratch, 0, bytes);
    return own->host_scratch;
}

const void *fal_cuda_send(fal_queue *q, const char *operation, const void *array, size_t bytes) {
    fal_cuda_queue *own = q->state;
    void *device = NULL;
    cudaError_t error =
        fal_cuda_arrays_send(&own->arrays, fal_cuda_stream(q), array, bytes, &device);
    return fal_cuda_succeeded(q, operation, error) ? device : NULL;
}

void *fal_cuda_receive(fal_queue *q, const char *operation, void *array, size_t bytes) {
    fal_cuda_queue *own = q->state;
    void *device = NULL;
    cudaError_t error = fal_cuda_arrays_receive(&own->arrays, array, bytes, &device);
    return fal_cuda_succeeded(q, operation, error) ? device : NULL;
}

static const fal_ops cuda_ops = {
#define FAL_OP(name, parameters, meaning) .name = fal_cuda_##name,
#include "compute/ops.def"
#undef FAL_OP
};

const fal_backend fal_backend_cuda = {
    .name = "cuda",
    .meaning = "an NVIDIA GPU: trains models, does not run quantized ones",
    .open = open_device,
    .close = close_device,
    .kernel_set = name_kernels,
    .queue_open = open_queue,
    .queue_close = close_queue,
    .can_multiply = can_multiply,
    .memory_take = take_memory,
    .memory_give = give_memory,
    .queue_wait = wait_for_queue,
    .piece_rows = 4096,
    .ops = &cuda_ops,
};
