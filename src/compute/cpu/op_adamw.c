/* One step of AdamW: rows among threads. */
#include "compute/checks.h"
#include "compute/cpu/cpu.h"

#include <math.h>

typedef struct adamw_work {
    fal_tensor w, m, v, dw;
    float gradient_scale, beta1, rest1, beta2, rest2;
    float rate; /* learning rate over the bias of the first moment */
    float root; /* 1 / root of the bias of the second */
    float epsilon;
    float decay; /* what is left of a weight */
} adamw_work;

static void step_rows(void *argument, int64_t begin, int64_t end) {
    const adamw_work *work = argument;
    for (int64_t row = begin; row < end; row++) {
        float *w = fal_tensor_f32_row(work->w, row), *m = fal_tensor_f32_row(work->m, row),
              *v = fal_tensor_f32_row(work->v, row);
        const float *dw = fal_tensor_f32_row(work->dw, row);
        for (int64_t i = 0; i < work->w.n_cols; i++) {
            float g = dw[i] * work->gradient_scale;
            m[i] = work->beta1 * m[i] + work->rest1 * g;
            v[i] = work->beta2 * v[i] + work->rest2 * g * g;
            w[i] =
                w[i] * work->decay - work->rate * m[i] / (sqrtf(v[i]) * work->root + work->epsilon);
        }
    }
}

void fal_cpu_adamw(fal_queue *q, fal_tensor w, fal_tensor m, fal_tensor v, fal_tensor dw,
                   const fal_adamw *how) {
    if (!fal_check_adamw(q, w, m, v, dw, how)) return;
    double bias1 = 1.0 - pow(how->beta1, (double)how->step),
           bias2 = 1.0 - pow(how->beta2, (double)how->step);
    adamw_work work = {.w = w,
                       .m = m,
                       .v = v,
                       .dw = dw,
                       .gradient_scale = (float)how->gradient_scale,
                       .beta1 = (float)how->beta1,
                       .rest1 = (float)(1.0 - how->beta1),
                       .beta2 = (float)how->beta2,
                       .rest2 = (float)(1.0 - how->beta2),
                       .rate = (float)(how->learning_rate / bias1),
                       .root = (float)(1.0 / sqrt(bias2)),
                       .epsilon = (float)how->epsilon,
                       .decay = (float)(1.0 - how->learning_rate * how->weight_decay)};
    fal_pool_for(fal_cpu_pool(q), w.n_rows, 8, step_rows, &work);
}
