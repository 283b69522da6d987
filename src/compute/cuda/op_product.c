/* Products of matrices, by cuBLAS in f32. */
#include "compute/checks.h"
#include "compute/cuda/cuda.h"

/* cuBLAS counts columns first: to it each matrix here is its transpose, and y' = B' A'. */
static cublasStatus_t multiply(cublasHandle_t blas, fal_view y, fal_view a, bool a_is_transposed,
                               fal_view b, bool b_is_transposed, bool is_added) {
    const float one = 1, beta = is_added ? 1 : 0;
    int64_t k = a_is_transposed ? a.n_rows : a.n_cols;
    return cublasSgemm(blas, b_is_transposed ? CUBLAS_OP_T : CUBLAS_OP_N,
                       a_is_transposed ? CUBLAS_OP_T : CUBLAS_OP_N, (int)y.n_cols, (int)y.n_rows,
                       (int)k, &one, b.data, (int)b.stride, a.data, (int)a.stride, &beta, y.data,
                       (int)y.stride);
}

static bool fits(fal_queue *q, fal_view v) {
    if (v.n_rows <= INT32_MAX && v.stride <= INT32_MAX) return true;
    fal_queue_fail(q, FAL_E_LIMIT, "product", "%lld rows of %lld numbers, at most %d are possible",
                   (long long)v.n_rows, (long long)v.stride, INT32_MAX);
    return false;
}

void fal_cuda_product(fal_queue *q, fal_tensor y, fal_tensor a, bool a_is_transposed, fal_tensor b,
                      bool b_is_transposed, bool is_added) {
    if (!fal_check_product(q, y, a, a_is_transposed, b, b_is_transposed, is_added)) return;
    fal_view to = fal_cuda_view(y), left = fal_cuda_view(a), right = fal_cuda_view(b);
    if (!fits(q, to) || !fits(q, left) || !fits(q, right) || y.n_rows == 0) return;
    if ((a_is_transposed ? a.n_rows : a.n_cols) == 0) {
        if (!is_added)
            (void)fal_cuda_succeeded(q, "product", fal_launch_scale(fal_cuda_stream(q), to, 0));
        return;
    }
    cublasHandle_t blas = fal_cuda_blas(q, "product");
    if (!blas) return;
    cublasStatus_t status =
        multiply(blas, to, left, a_is_transposed, right, b_is_transposed, is_added);
    if (status != CUBLAS_STATUS_SUCCESS)
        fal_queue_fail(q, FAL_E_DEVICE, "product", "cuBLAS: %s", cublasGetStatusString(status));
}
