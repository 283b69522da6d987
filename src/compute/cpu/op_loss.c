/* The loss of rows of logits and its gradient: rows among threads. */
#include "compute/checks.h"
#include "compute/cpu/cpu.h"

#include <math.h>

typedef struct loss_work {
    fal_tensor dlogits, logits;
    float *nll;
    const int32_t *targets;
    const float *weights;
    double scale, z_loss;
} loss_work;

static void differentiate_rows(void *argument, int64_t begin, int64_t end) {
    const loss_work *work = argument;
    for (int64_t row = begin; row < end; row++) {
        const float *in = fal_tensor_f32_row(work->logits, row);
        float *out = fal_tensor_f32_row(work->dlogits, row);
        int64_t n = work->logits.n_cols;
        float largest = -INFINITY, aim = in[work->targets[row]];
        double total = 0.0;
        for (int64_t i = 0; i < n; i++)
            largest = fmaxf(largest, in[i]);
        for (int64_t i = 0; i < n; i++) {
            out[i] = expf(in[i] - largest);
            total += (double)out[i];
        }
        double log_sum = (double)largest + log(total);
        double factor = work->scale * (double)work->weights[row];
        work->nll[row] = (float)(log_sum - (double)aim);
        float share = (float)(factor * (1.0 + 2.0 * work->z_loss * log_sum) / total);
        for (int64_t i = 0; i < n; i++)
            out[i] *= share;
        out[work->targets[row]] -= (float)factor;
    }
}

void fal_cpu_cross_entropy(fal_queue *q, fal_tensor dlogits, float *nll, fal_tensor logits,
                           const int32_t *targets, const float *weights, double scale,
                           double z_loss) {
    if (!fal_check_cross_entropy(q, dlogits, nll, logits, targets, weights, scale, z_loss)) return;
    loss_work work = {dlogits, logits, nll, targets, weights, scale, z_loss};
    fal_pool_for(fal_cpu_pool(q), logits.n_rows, 4, differentiate_rows, &work);
}
