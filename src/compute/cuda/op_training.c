/* The loss, and the step of the weights. */
#include "compute/checks.h"
#include "compute/cuda/cuda.h"

#include <math.h>

void fal_cuda_cross_entropy(fal_queue *q, fal_tensor dlogits, float *nll, fal_tensor logits,
                            const int32_t *targets, const float *weights, double scale,
                            double z_loss) {
    static const char operation[] = "cross_entropy";
    if (!fal_check_cross_entropy(q, dlogits, nll, logits, targets, weights, scale, z_loss)) return;
    size_t n = (size_t)logits.n_rows;
    const int32_t *aims = fal_cuda_send(q, operation, targets, n * sizeof *targets);
    const float *shares = fal_cuda_send(q, operation, weights, n * sizeof *weights);
    float *losses = fal_cuda_receive(q, operation, nll, n * sizeof *nll);
    if (!aims || !shares || !losses) return;
    (void)fal_cuda_succeeded(q, operation,
                             fal_launch_cross_entropy(fal_cuda_stream(q), fal_cuda_view(dlogits),
                                                      losses, fal_cuda_view(logits), aims, shares,
                                                      scale, z_loss));
}

void fal_cuda_square_sum(fal_queue *q, double *sum, fal_tensor x) {
    if (!fal_check_square_sum(q, sum, x)) return;
    double *to = fal_cuda_receive(q, "square_sum", sum, sizeof *sum);
    double *partial = fal_cuda_scratch(q, "square_sum", FAL_SQUARE_SUM_BLOCKS * sizeof *partial);
    if (!to || !partial) return;
    (void)fal_cuda_succeeded(
        q, "square_sum", fal_launch_square_sum(fal_cuda_stream(q), to, fal_cuda_view(x), partial));
}

void fal_cuda_adamw(fal_queue *q, fal_tensor w, fal_tensor m, fal_tensor v, fal_tensor dw,
                    const fal_adamw *how) {
    if (!fal_check_adamw(q, w, m, v, dw, how)) return;
    fal_adamw_factors factors = {.beta1 = how->beta1,
                                 .beta2 = how->beta2,
                                 .epsilon = how->epsilon,
                                 .gradient_scale = how->gradient_scale,
                                 .correction1 = 1.0 - pow(how->beta1, (double)how->step),
                                 .correction2 = 1.0 - pow(how->beta2, (double)how->step),
                                 .learning_rate = how->learning_rate,
                                 .weight_decay = how->weight_decay};
    (void)fal_cuda_succeeded(q, "adamw",
                             fal_launch_adamw(fal_cuda_stream(q), fal_cuda_view(w),
                                              fal_cuda_view(m), fal_cuda_view(v), fal_cuda_view(dw),
                                              factors));
}
