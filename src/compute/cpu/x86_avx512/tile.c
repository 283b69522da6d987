/* Products of small matrices with AVX-512: what products of training and attention over packed sequences are made of.
 *
 * Sums of up to 12 rows by 16 columns stay in registers. Every number of the result is one chain of fused additions over
 * k, whatever rows and columns lie beside it. */
#include "compute/cpu/kernels.h"
#include "compute/cpu/x86_avx512/lanes.h"

#define TILE_INLINE static inline __attribute__((always_inline))

enum {
    ROWS = 2 * FAL_TILE_ROWS,
    COLUMNS = FAL_TILE_COLUMNS
};

_Static_assert((int)COLUMNS == (int)LANES, "a panel of columns is one vector");

/* n_rows rows by the columns of the mask. Only constants for n_rows make good code. */
TILE_INLINE void multiply(const fal_tile *t, int n_rows, int row, int column, __mmask16 columns) {
    const float *a = t->a + row * t->a_row, *b = t->b + column;
    float *y = t->y + row * t->y_stride + column;
    int64_t a_row = t->a_row, a_column = t->a_column, b_stride = t->b_stride;
    __m512 sums[ROWS];
    for (int i = 0; i < n_rows; i++)
        sums[i] = _mm512_setzero_ps();
    for (int k = t->n_terms; k > 0; k--) {
        __m512 numbers = _mm512_maskz_loadu_ps(columns, b);
        for (int i = 0; i < n_rows; i++)
            sums[i] = _mm512_fmadd_ps(_mm512_set1_ps(a[i * a_row]), numbers, sums[i]);
        a += a_column;
        b += b_stride;
    }
    for (int i = 0; i < n_rows; i++) {
        float *to = y + i * t->y_stride;
        if (t->is_added) sums[i] = _mm512_add_ps(_mm512_maskz_loadu_ps(columns, to), sums[i]);
        _mm512_mask_storeu_ps(to, columns, sums[i]);
    }
}

void fal_multiply_tile_avx512(const fal_tile *t) {
    for (int column = 0; column < t->n_cols; column += COLUMNS) {
        __mmask16 columns = lanes_left(t->n_cols - column);
        int row = 0;
        for (; row + ROWS <= t->n_rows; row += ROWS)
            multiply(t, ROWS, row, column, columns);
        if (row + FAL_TILE_ROWS <= t->n_rows) {
            multiply(t, FAL_TILE_ROWS, row, column, columns);
            row += FAL_TILE_ROWS;
        }
        if (row + 4 <= t->n_rows) {
            multiply(t, 4, row, column, columns);
            row += 4;
        }
        if (row + 2 <= t->n_rows) {
            multiply(t, 2, row, column, columns);
            row += 2;
        }
        if (row < t->n_rows) multiply(t, 1, row, column, columns);
    }
}
