/* Products of small matrices and transposition with NEON: what products of training and attention over packed sequences are
 * made of.
 *
 * Sums of 6 rows by 16 columns stay in registers: 24 of them, four of b, one of a. Every number of the result is one chain
 * of fused additions over k, whatever rows and columns lie beside it. Only arrays whose loops are unrolled live in registers. */
#include "compute/cpu/kernels.h"

#include <arm_neon.h>
#include <math.h>

#define TILE_INLINE static inline __attribute__((always_inline))

enum {
    ROWS = FAL_TILE_ROWS,
    LANES = 4,
    VECTORS = FAL_TILE_COLUMNS / LANES
};

/* n_rows rows by 4 * n_vectors columns. Only constants for both make good code. */
TILE_INLINE void multiply(const fal_tile *t, int n_rows, int n_vectors, int row, int column) {
    const float *a = t->a + row * t->a_row, *b = t->b + column;
    float *y = t->y + row * t->y_stride + column;
    int64_t a_row = t->a_row, a_column = t->a_column, b_stride = t->b_stride;
    float32x4_t sums[ROWS][VECTORS];
#pragma GCC unroll 24
    for (int i = 0; i < n_rows; i++) {
#pragma GCC unroll 24
        for (int v = 0; v < n_vectors; v++)
            sums[i][v] = vdupq_n_f32(0.0f);
    }
    for (int k = t->n_terms; k > 0; k--) {
#pragma GCC unroll 24
        for (int i = 0; i < n_rows; i++) {
            float factor = a[i * a_row];
#pragma GCC unroll 24
            for (int v = 0; v < n_vectors; v++)
                sums[i][v] = vfmaq_n_f32(sums[i][v], vld1q_f32(b + v * LANES), factor);
        }
        a += a_column;
        b += b_stride;
    }
#pragma GCC unroll 24
    for (int i = 0; i < n_rows; i++) {
#pragma GCC unroll 24
        for (int v = 0; v < n_vectors; v++) {
            float *to = y + i * t->y_stride + v * LANES;
            vst1q_f32(to, t->is_added ? vaddq_f32(vld1q_f32(to), sums[i][v]) : sums[i][v]);
        }
    }
}

TILE_INLINE void multiply_columns(const fal_tile *t, int n_vectors, int column) {
    int row = 0;
    for (; row + ROWS <= t->n_rows; row += ROWS)
        multiply(t, ROWS, n_vectors, row, column);
    if (row + 4 <= t->n_rows) {
        multiply(t, 4, n_vectors, row, column);
        row += 4;
    }
    if (row + 2 <= t->n_rows) {
        multiply(t, 2, n_vectors, row, column);
        row += 2;
    }
    if (row < t->n_rows) multiply(t, 1, n_vectors, row, column);
}

/* The same chain for one number. */
static void multiply_one(const fal_tile *t, int row, int column) {
    const float *a = t->a + row * t->a_row, *b = t->b + column;
    float *y = t->y + row * t->y_stride + column, sum = 0.0f;
    for (int k = 0; k < t->n_terms; k++)
        sum = fmaf(a[k * t->a_column], b[k * t->b_stride], sum);
    *y = t->is_added ? *y + sum : sum;
}

void fal_multiply_tile_neon(const fal_tile *t) {
    int column = 0;
    for (; column + FAL_TILE_COLUMNS <= t->n_cols; column += FAL_TILE_COLUMNS)
        multiply_columns(t, VECTORS, column);
    for (; column + LANES <= t->n_cols; column += LANES)
        multiply_columns(t, 1, column);
    for (; column < t->n_cols; column++) {
        for (int row = 0; row < t->n_rows; row++)
            multiply_one(t, row, column);
    }
}

/* Four rows by four columns. */
TILE_INLINE void transpose_block(float *y, int64_t y_stride, const float *x, int64_t x_stride) {
    float64x2_t even[2], odd[2]; /* columns 0 and 2, 1 and 3, of two rows */
    for (int i = 0; i < 2; i++) {
        float32x4_t a = vld1q_f32(x + 2 * i * x_stride), b = vld1q_f32(x + (2 * i + 1) * x_stride);
        even[i] = vreinterpretq_f64_f32(vtrn1q_f32(a, b));
        odd[i] = vreinterpretq_f64_f32(vtrn2q_f32(a, b));
    }
    vst1q_f32(y, vreinterpretq_f32_f64(vtrn1q_f64(even[0], even[1])));
    vst1q_f32(y + y_stride, vreinterpretq_f32_f64(vtrn1q_f64(odd[0], odd[1])));
    vst1q_f32(y + 2 * y_stride, vreinterpretq_f32_f64(vtrn2q_f64(even[0], even[1])));
    vst1q_f32(y + 3 * y_stride, vreinterpretq_f32_f64(vtrn2q_f64(odd[0], odd[1])));
}

void fal_transpose_neon(float *y, int64_t y_stride, const float *x, int64_t x_stride,
                        int64_t n_rows, int64_t n_cols) {
    int64_t row = 0;
    for (; row + LANES <= n_rows; row += LANES) {
        int64_t column = 0;
        for (; column + LANES <= n_cols; column += LANES)
            transpose_block(y + column * y_stride + row, y_stride, x + row * x_stride + column,
                            x_stride);
        for (; column < n_cols; column++) {
            for (int64_t i = row; i < row + LANES; i++)
                y[column * y_stride + i] = x[i * x_stride + column];
        }
    }
    for (; row < n_rows; row++) {
        for (int64_t column = 0; column < n_cols; column++)
            y[column * y_stride + row] = x[row * x_stride + column];
    }
}
