/* Normalisation of rows and its gradient: tokens among threads. The gradients of weight and bias are summed over blocks of
 * tokens of a fixed size, then block by block. */
#include "compute/checks.h"
#include "compute/cpu/cpu.h"

#include <string.h>

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

enum {
    BLOCK =
        32 /* tokens whose gradients of weight and bias are summed before the others' are added */
};

typedef struct norm_gradient_work {
    fal_tensor dx, dy, x;
    const float *weight;
    float epsilon;
    float *sums; /* [n_blocks, 2, n_cols]: of the weight, of the bias */
    fal_layer_norm_gradient_kernel *kernel;
} norm_gradient_work;

static void differentiate_blocks(void *argument, int64_t begin, int64_t end) {
    const norm_gradient_work *work = argument;
    int64_t n = work->x.n_cols;
    for (int64_t block = begin; block < end; block++) {
        int64_t first = block * BLOCK,
                last = first + BLOCK < work->x.n_rows ? first + BLOCK : work->x.n_rows;
        float *sums = work->sums + block * 2 * n;
        memset(sums, 0, (size_t)(2 * n) * sizeof *sums);
        for (int64_t token = first; token < last; token++)
            work->kernel(fal_tensor_f32_row(work->dx, token), sums, sums + n,
                         fal_tensor_f32_row(work->dy, token), fal_tensor_f32_row(work->x, token),
                         work->weight, n, work->epsilon);
    }
}

void fal_cpu_layer_norm_gradient(fal_queue *q, fal_tensor dx, fal_tensor dweight, fal_tensor dbias,
                                 fal_tensor dy, fal_tensor x, fal_tensor weight, float epsilon) {
    if (!fal_check_layer_norm_gradient(q, dx, dweight, dbias, dy, x, weight, epsilon)) return;
    norm_gradient_work work = {.dx = dx,
                               .dy = dy,
                               .x = x,
                               .weight = fal_tensor_f32_row(weight, 0),
                               .epsilon = epsilon,
                               .kernel = fal_cpu_kernels(q)->layer_norm_gradient_row};
    int64_t n = x.n_cols, n_blocks = (x.n_rows + BLOCK - 1) / BLOCK;
    work.sums = fal_cpu_scratch(q, FAL_CPU_SCRATCH_PARTS,
                                (size_t)(n_blocks * 2 * n + 1) * sizeof *work.sums);
    if (!work.sums) return;
    fal_pool_for(fal_cpu_pool(q), n_blocks, 1, differentiate_blocks, &work);
    fal_add_kernel *add = fal_cpu_kernels(q)->add_row;
    for (int64_t block = 0; block < n_blocks; block++) {
        const float *sums = work.sums + block * 2 * n;
        if (fal_tensor_is_given(dweight)) add(dweight.data, dweight.data, sums, n);
        if (fal_tensor_is_given(dbias)) add(dbias.data, dbias.data, sums + n, n);
    }
}
