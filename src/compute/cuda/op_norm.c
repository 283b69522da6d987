/* Layer norm, its gradient, and sums over tokens. */
#include "compute/checks.h"
#include "compute/cuda/cuda.h"

void fal_cuda_layer_norm(fal_queue *q, fal_tensor y, fal_tensor x, fal_tensor weight,
                         fal_tensor bias, float epsilon) {
    if (!fal_check_layer_norm(q, y, x, weight, bias, epsilon)) return;
    (void)fal_cuda_succeeded(q, "layer_norm",
                             fal_launch_layer_norm(fal_cuda_stream(q), fal_cuda_view(y),
                                                   fal_cuda_view(x), weight.data, bias.data,
                                                   epsilon));
}

void fal_cuda_layer_norm_gradient(fal_queue *q, fal_tensor dx, fal_tensor dweight, fal_tensor dbias,
                                  fal_tensor dy, fal_tensor x, fal_tensor weight, float epsilon) {
    static const char operation[] = "layer_norm_gradient";
    if (!fal_check_layer_norm_gradient(q, dx, dweight, dbias, dy, x, weight, epsilon)) return;
    size_t n_moments = 2 * (size_t)x.n_rows;
    float *moments = fal_cuda_scratch(
        q, operation, (n_moments + fal_column_sums_floats(x.n_rows, x.n_cols)) * sizeof *moments);
    if (!moments) return;
    cudaError_t error =
        fal_launch_layer_norm_gradient(fal_cuda_stream(q), fal_cuda_view(dx), fal_cuda_view(dy),
                                       fal_cuda_view(x), weight.data, epsilon, moments);
    if (error == cudaSuccess)
        error =
            fal_launch_column_sums(fal_cuda_stream(q), dbias.data, dweight.data, fal_cuda_view(dy),
                                   fal_cuda_view(x), moments, moments + n_moments);
    (void)fal_cuda_succeeded(q, operation, error);
}

void fal_cuda_bias_gradient(fal_queue *q, fal_tensor dbias, fal_tensor dy) {
    if (!fal_check_bias_gradient(q, dbias, dy)) return;
    float *partial = fal_cuda_scratch(
        q, "bias_gradient", fal_column_sums_floats(dy.n_rows, dy.n_cols) * sizeof *partial);
    if (!partial) return;
    (void)fal_cuda_succeeded(q, "bias_gradient",
                             fal_launch_column_sums(fal_cuda_stream(q), dbias.data, NULL,
                                                    fal_cuda_view(dy), fal_cuda_view(dy), NULL,
                                                    partial));
}
