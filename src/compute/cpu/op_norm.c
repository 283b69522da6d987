/* Normalisation of rows: tokens among threads. */
#include "compute/checks.h"
#include "compute/cpu/cpu.h"

typedef struct norm_work {
    fal_tensor y, x;
    const float *weight, *bias;
    float epsilon;
    fal_layer_norm_kernel *kernel;
} norm_work;

static void norm_tokens(void *argument, int64_t begin, int64_t end) {
    const norm_work *work = argument;
    for (int64_t token = begin; token < end; token++)
        work->kernel(fal_tensor_f32_row(work->y, token), fal_tensor_f32_row(work->x, token),
                     work->weight, work->bias, work->x.n_cols, work->epsilon);
}

void fal_cpu_layer_norm(fal_queue *q, fal_tensor y, fal_tensor x, fal_tensor weight,
                        fal_tensor bias, float epsilon) {
    if (!fal_check_layer_norm(q, y, x, weight, bias, epsilon)) return;
    norm_work work = {.y = y,
                      .x = x,
                      .weight = fal_tensor_f32_row(weight, 0),
                      .bias = fal_tensor_is_given(bias) ? fal_tensor_f32_row(bias, 0) : NULL,
                      .epsilon = epsilon,
                      .kernel = fal_cpu_kernels(q)->layer_norm_row};
    fal_pool_for(fal_cpu_pool(q), x.n_rows, 4, norm_tokens, &work);
}
