/* One step of AdamW: rows among threads. */
#include "compute/checks.h"
#include "compute/cpu/cpu.h"

#include <math.h>

enum {
    CHUNK = 16384 /* weights that a thread takes at once, at least */
};

typedef struct adamw_work {
    fal_tensor w, m, v, dw;
    fal_adamw_step step;
    fal_adamw_kernel *kernel;
} adamw_work;

static void step_rows(void *argument, int64_t begin, int64_t end) {
    const adamw_work *work = argument;
    for (int64_t row = begin; row < end; row++)
        work->kernel(fal_tensor_f32_row(work->w, row), fal_tensor_f32_row(work->m, row),
                     fal_tensor_f32_row(work->v, row), fal_tensor_f32_row(work->dw, row),
                     &work->step, work->w.n_cols);
}

/* The corrections of the moments' bias are put into the rate and the root. */
static fal_adamw_step step_of(const fal_adamw *how) {
    double bias1 = 1.0 - pow(how->beta1, (double)how->step),
           bias2 = 1.0 - pow(how->beta2, (double)how->step);
    return (fal_adamw_step){.gradient_scale = (float)how->gradient_scale,
                            .beta1 = (float)how->beta1,
                            .rest1 = (float)(1.0 - how->beta1),
                            .beta2 = (float)how->beta2,
                            .rest2 = (float)(1.0 - how->beta2),
                            .rate = (float)(how->learning_rate / bias1),
                            .root = (float)(1.0 / sqrt(bias2)),
                            .epsilon = (float)how->epsilon,
                            .decay = (float)(1.0 - how->learning_rate * how->weight_decay)};
}

void fal_cpu_adamw(fal_queue *q, fal_tensor w, fal_tensor m, fal_tensor v, fal_tensor dw,
                   const fal_adamw *how) {
    if (!fal_check_adamw(q, w, m, v, dw, how)) return;
    adamw_work work = {w, m, v, dw, step_of(how), fal_cpu_kernels(q)->adamw_row};
    fal_pool_for(fal_cpu_pool(q), w.n_rows, 1 + CHUNK / w.n_cols, step_rows, &work);
}
