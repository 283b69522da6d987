/* Products of small matrices and transposition in plain C: what products of training and attention over packed sequences
 * are made of. */
#include "compute/cpu/kernels.h"

/* Eight columns at once, so that a loop over them can be vectorised; each sum still adds up in ascending k. */
enum {
    LANES = 8
};

static void multiply_lanes(const fal_tile *t, int row, int first, int n) {
    const float *a = t->a + row * t->a_row, *b = t->b + first;
    float *y = t->y + row * t->y_stride + first;
    float sums[LANES] = {0.0f};
    if (n == LANES) {
        for (int k = 0; k < t->n_terms; k++) {
            for (int i = 0; i < LANES; i++)
                sums[i] += a[k * t->a_column] * b[k * t->b_stride + i];
        }
    } else {
        for (int k = 0; k < t->n_terms; k++) {
            for (int i = 0; i < n; i++)
                sums[i] += a[k * t->a_column] * b[k * t->b_stride + i];
        }
    }
    for (int i = 0; i < n; i++)
        y[i] = t->is_added ? y[i] + sums[i] : sums[i];
}

void fal_multiply_tile_portable(const fal_tile *t) {
    for (int first = 0; first < t->n_cols; first += LANES) {
        int n = t->n_cols - first < LANES ? t->n_cols - first : LANES;
        for (int row = 0; row < t->n_rows; row++)
            multiply_lanes(t, row, first, n);
    }
}

void fal_transpose_portable(float *y, int64_t y_stride, const float *x, int64_t x_stride,
                            int64_t n_rows, int64_t n_cols) {
    for (int64_t column = 0; column < n_cols; column++) {
        for (int64_t row = 0; row < n_rows; row++)
            y[column * y_stride + row] = x[row * x_stride + column];
    }
}
