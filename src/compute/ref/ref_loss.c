/* The loss of rows of logits and its gradient: log-sum-exp with the largest logit taken out. */
#include "compute/checks.h"
#include "compute/ref/ref.h"

#include <math.h>

static double log_sum_of(const float *logits, int64_t n) {
    double largest = -(double)INFINITY, sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, (double)logits[i]);
    for (int64_t i = 0; i < n; i++)
        sum += exp((double)logits[i] - largest);
    return largest + log(sum);
}

void fal_ref_cross_entropy(fal_queue *q, fal_tensor dlogits, float *nll, fal_tensor logits,
                           const int32_t *targets, const float *weights, double scale,
                           double z_loss) {
    if (!fal_check_cross_entropy(q, dlogits, nll, logits, targets, weights, scale, z_loss)) return;
    for (int64_t row = 0; row < logits.n_rows; row++) {
        const float *in = fal_tensor_f32_row(logits, row);
        float *out = fal_tensor_f32_row(dlogits, row);
        double log_sum = log_sum_of(in, logits.n_cols), factor = scale * (double)weights[row];
        nll[row] = (float)(log_sum - (double)in[targets[row]]);
        for (int64_t i = 0; i < logits.n_cols; i++) {
            double share = exp((double)in[i] - log_sum);
            double aim = i == targets[row] ? 1.0 : 0.0;
            out[i] = (float)(factor * (share * (1.0 + 2.0 * z_loss * log_sum) - aim));
        }
    }
}
