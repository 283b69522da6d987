/* Operations that are one kernel over the elements. */
#include "compute/checks.h"
#include "compute/cuda/cuda.h"

void fal_cuda_add(fal_queue *q, fal_tensor y, fal_tensor a, fal_tensor b) {
    if (!fal_check_add(q, y, a, b)) return;
    (void)fal_cuda_succeeded(
        q, "add",
        fal_launch_add(fal_cuda_stream(q), fal_cuda_view(y), fal_cuda_view(a), fal_cuda_view(b)));
}

void fal_cuda_add_bias(fal_queue *q, fal_tensor y, fal_tensor bias) {
    if (!fal_check_add_bias(q, y, bias)) return;
    (void)fal_cuda_succeeded(
        q, "add_bias",
        fal_launch_add_bias(fal_cuda_stream(q), fal_cuda_view(y), fal_cuda_view(bias)));
}

void fal_cuda_scale(fal_queue *q, fal_tensor x, float factor) {
    if (!fal_check_scale(q, x, factor)) return;
    (void)fal_cuda_succeeded(q, "scale",
                             fal_launch_scale(fal_cuda_stream(q), fal_cuda_view(x), factor));
}

void fal_cuda_gelu_erf(fal_queue *q, fal_tensor y, fal_tensor x) {
    if (!fal_check_gelu_erf(q, y, x)) return;
    (void)fal_cuda_succeeded(
        q, "gelu_erf", fal_launch_gelu_erf(fal_cuda_stream(q), fal_cuda_view(y), fal_cuda_view(x)));
}

void fal_cuda_gelu_tanh(fal_queue *q, fal_tensor y, fal_tensor x) {
    if (!fal_check_gelu_tanh(q, y, x)) return;
    (void)fal_cuda_succeeded(
        q, "gelu_tanh",
        fal_launch_gelu_tanh(fal_cuda_stream(q), fal_cuda_view(y), fal_cuda_view(x)));
}

void fal_cuda_gelu_erf_gradient(fal_queue *q, fal_tensor dx, fal_tensor dy, fal_tensor x) {
    if (!fal_check_gelu_erf_gradient(q, dx, dy, x)) return;
    (void)fal_cuda_succeeded(q, "gelu_erf_gradient",
                             fal_launch_gelu_erf_gradient(fal_cuda_stream(q), fal_cuda_view(dx),
                                                          fal_cuda_view(dy), fal_cuda_view(x)));
}

void fal_cuda_gelu_tanh_gradient(fal_queue *q, fal_tensor dx, fal_tensor dy, fal_tensor x) {
    if (!fal_check_gelu_tanh_gradient(q, dx, dy, x)) return;
    (void)fal_cuda_succeeded(q, "gelu_tanh_gradient",
                             fal_launch_gelu_tanh_gradient(fal_cuda_stream(q), fal_cuda_view(dx),
                                                           fal_cuda_view(dy), fal_cuda_view(x)));
}
