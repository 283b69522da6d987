/* product on the cpu: rows of the result among threads. Each number of the result adds up in ascending order of k, whatever
 * the other rows and columns are. */
#include "compute/checks.h"
#include "compute/cpu/cpu.h"

#include <string.h>

typedef struct product_work {
    fal_tensor y, a, b;
    bool a_is_transposed, b_is_transposed, is_added;
    int64_t n_terms;
} product_work;

static float term_of(const product_work *work, int64_t row, int64_t k) {
    return work->a_is_transposed ? fal_tensor_f32_row(work->a, k)[row]
                                 : fal_tensor_f32_row(work->a, row)[k];
}

static void multiply_rows(void *argument, int64_t begin, int64_t end) {
    const product_work *work = argument;
    for (int64_t row = begin; row < end; row++) {
        float *y = fal_tensor_f32_row(work->y, row);
        if (!work->is_added) memset(y, 0, (size_t)work->y.n_cols * sizeof *y);
        for (int64_t k = 0; !work->b_is_transposed && k < work->n_terms; k++) {
            const float *b = fal_tensor_f32_row(work->b, k);
            float factor = term_of(work, row, k);
            for (int64_t column = 0; column < work->y.n_cols; column++)
                y[column] += factor * b[column];
        }
        for (int64_t column = 0; work->b_is_transposed && column < work->y.n_cols; column++) {
            const float *b = fal_tensor_f32_row(work->b, column);
            float sum = y[column];
            for (int64_t k = 0; k < work->n_terms; k++)
                sum += term_of(work, row, k) * b[k];
            y[column] = sum;
        }
    }
}

void fal_cpu_product(fal_queue *q, fal_tensor y, fal_tensor a, bool a_is_transposed, fal_tensor b,
                     bool b_is_transposed, bool is_added) {
    if (!fal_check_product(q, y, a, a_is_transposed, b, b_is_transposed, is_added)) return;
    product_work work = {.y = y,
                         .a = a,
                         .b = b,
                         .a_is_transposed = a_is_transposed,
                         .b_is_transposed = b_is_transposed,
                         .is_added = is_added,
                         .n_terms = a_is_transposed ? a.n_rows : a.n_cols};
    fal_pool_for(fal_cpu_pool(q), y.n_rows, 8, multiply_rows, &work);
}
