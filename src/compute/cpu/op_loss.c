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
    const fal_kernel_set *kernels;
} loss_work;

/* The target's logit is read before its place is written: dlogits may be logits. */
static void differentiate_rows(void *argument, int64_t begin, int64_t end) {
    const loss_work *work = argument;
    for (int64_t row = begin; row < end; row++) {
        const float *logits = fal_tensor_f32_row(work->logits, row);
        float *gradient = fal_tensor_f32_row(work->dlogits, row), largest;
        double aim = (double)logits[work->targets[row]], total;
        work->kernels->exp_row(gradient, logits, work->logits.n_cols, &largest, &total);
        double log_sum = (double)largest + log(total);
        double factor = work->scale * (double)work->weights[row];
        work->nll[row] = (float)(log_sum - aim);
        float share = (float)(factor * (1.0 + 2.0 * work->z_loss * log_sum) / total);
        work->kernels->scale_row(gradient, gradient, share, work->logits.n_cols);
        gradient[work->targets[row]] -= (float)factor;
    }
}

void fal_cpu_cross_entropy(fal_queue *q, fal_tensor dlogits, float *nll, fal_tensor logits,
                           const int32_t *targets, const float *weights, double scale,
                           double z_loss) {
    if (!fal_check_cross_entropy(q, dlogits, nll, logits, targets, weights, scale, z_loss)) return;
    loss_work work = {dlogits, logits, nll, targets, weights, scale, z_loss, fal_cpu_kernels(q)};
    fal_pool_for(fal_cpu_pool(q), logits.n_rows, 4, differentiate_rows, &work);
}
