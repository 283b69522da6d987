/* Rotary positions: tokens among threads. */
#include "compute/checks.h"
#include "compute/cpu/cpu.h"

#include <math.h>

typedef struct table_work {
    fal_tensor table;
    const int32_t *positions;
    const double *frequency;
    double gain;
} table_work;

/* Angles of a million turns keep ten digits in double; in f32 they would keep one. */
static void make_table(void *argument, int64_t begin, int64_t end) {
    const table_work *work = argument;
    int64_t half = work->table.n_cols / 2;
    for (int64_t token = begin; token < end; token++) {
        float *row = fal_tensor_f32_row(work->table, token);
        for (int64_t i = 0; i < half; i++) {
            double angle = (double)work->positions[token] * work->frequency[i];
            row[i] = (float)(cos(angle) * work->gain);
            row[half + i] = (float)(sin(angle) * work->gain);
        }
    }
}

void fal_cpu_rope_table(fal_queue *q, fal_tensor table, const int32_t *positions,
                        const double *frequency, double gain) {
    if (!fal_check_rope_table(q, table, positions, frequency, gain)) return;
    table_work work = {table, positions, frequency, gain};
    fal_pool_for(fal_cpu_pool(q), table.n_rows, 8, make_table, &work);
}

typedef struct rope_work {
    fal_tensor x, table;
    int n_heads;
    fal_rope_kernel *kernel;
} rope_work;

static void rotate_tokens(void *argument, int64_t begin, int64_t end) {
    const rope_work *work = argument;
    for (int64_t token = begin; token < end; token++)
        work->kernel(fal_tensor_f32_row(work->x, token), fal_tensor_f32_row(work->table, token),
                     work->n_heads, (int)work->table.n_cols);
}

void fal_cpu_rope(fal_queue *q, fal_tensor x, fal_tensor table, int n_heads) {
    if (!fal_check_rope(q, x, table, n_heads)) return;
    rope_work work = {x, table, n_heads, fal_cpu_kernels(q)->rope_row};
    fal_pool_for(fal_cpu_pool(q), x.n_rows, 8, rotate_tokens, &work);
}

void fal_cpu_rope_gradient(fal_queue *q, fal_tensor dx, fal_tensor table, int n_heads) {
    if (!fal_check_rope_gradient(q, dx, table, n_heads)) return;
    rope_work work = {dx, table, n_heads, fal_cpu_kernels(q)->rope_gradient_row};
    fal_pool_for(fal_cpu_pool(q), dx.n_rows, 8, rotate_tokens, &work);
}
