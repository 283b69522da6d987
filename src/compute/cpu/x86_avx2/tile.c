/* Products of small matrices and transposition with AVX2: what products of training and attention over packed sequences
 * are made of.
 *
 * Sums of 6 rows by 16 columns stay in registers: twelve of them, two of b, one of a. Every number of the result is one
 * chain of fused additions over k, whatever rows and columns lie beside it. */
#include "compute/cpu/kernels.h"

#include <immintrin.h>

#define TILE_INLINE static inline __attribute__((always_inline))

enum {
    ROWS = FAL_TILE_ROWS,
    COLUMNS = FAL_TILE_COLUMNS
};

/* The first n of eight lanes. */
static __m256i lanes_below(int n) {
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lanes);
}

TILE_INLINE void put(float *y, __m256 sums, bool is_added) {
    _mm256_storeu_ps(y, is_added ? _mm256_add_ps(_mm256_loadu_ps(y), sums) : sums);
}

TILE_INLINE void put_some(float *y, __m256 sums, bool is_added, __m256i mask) {
    _mm256_maskstore_ps(y, mask,
                        is_added ? _mm256_add_ps(_mm256_maskload_ps(y, mask), sums) : sums);
}

/* n_rows rows by 16 columns; masks NULL, or which lanes of both halves there are. Only constants for n_rows and is_whole
 * make good code. */
TILE_INLINE void multiply(const fal_tile *t, int n_rows, int row, int column, bool is_whole,
                          const __m256i *masks) {
    const float *a = t->a + row * t->a_row, *b = t->b + column;
    float *y = t->y + row * t->y_stride + column;
    int64_t a_row = t->a_row, a_column = t->a_column, b_stride = t->b_stride;
    __m256 sums[ROWS][2];
    for (int i = 0; i < n_rows; i++)
        sums[i][0] = sums[i][1] = _mm256_setzero_ps();
    for (int k = t->n_terms; k > 0; k--) {
        __m256 low = is_whole ? _mm256_loadu_ps(b) : _mm256_maskload_ps(b, masks[0]);
        __m256 high = is_whole ? _mm256_loadu_ps(b + 8) : _mm256_maskload_ps(b + 8, masks[1]);
        for (int i = 0; i < n_rows; i++) {
            __m256 factor = _mm256_broadcast_ss(a + i * a_row);
            sums[i][0] = _mm256_fmadd_ps(factor, low, sums[i][0]);
            sums[i][1] = _mm256_fmadd_ps(factor, high, sums[i][1]);
        }
        a += a_column;
        b += b_stride;
    }
    for (int i = 0; i < n_rows; i++) {
        float *to = y + i * t->y_stride;
        if (is_whole) {
            put(to, sums[i][0], t->is_added);
            put(to + 8, sums[i][1], t->is_added);
        } else {
            put_some(to, sums[i][0], t->is_added, masks[0]);
            put_some(to + 8, sums[i][1], t->is_added, masks[1]);
        }
    }
}

TILE_INLINE void multiply_columns(const fal_tile *t, int column, bool is_whole,
                                  const __m256i *masks) {
    int row = 0;
    for (; row + ROWS <= t->n_rows; row += ROWS)
        multiply(t, ROWS, row, column, is_whole, masks);
    if (row + 4 <= t->n_rows) {
        multiply(t, 4, row, column, is_whole, masks);
        row += 4;
    }
    if (row + 2 <= t->n_rows) {
        multiply(t, 2, row, column, is_whole, masks);
        row += 2;
    }
    if (row < t->n_rows) multiply(t, 1, row, column, is_whole, masks);
}

void fal_multiply_tile_avx2(const fal_tile *t) {
    int column = 0;
    for (; column + COLUMNS <= t->n_cols; column += COLUMNS)
        multiply_columns(t, column, true, NULL);
    if (column == t->n_cols) return;
    const __m256i masks[2] = {lanes_below(t->n_cols - column), lanes_below(t->n_cols - column - 8)};
    multiply_columns(t, column, false, masks);
}

/* Eight rows by eight columns. */
TILE_INLINE void transpose_block(float *y, int64_t y_stride, const float *x, int64_t x_stride) {
    __m256 pair[8], four[8];
    for (int i = 0; i < 4; i++) {
        __m256 a = _mm256_loadu_ps(x + 2 * i * x_stride);
        __m256 b = _mm256_loadu_ps(x + (2 * i + 1) * x_stride);
        pair[2 * i] = _mm256_unpacklo_ps(a, b);
        pair[2 * i + 1] = _mm256_unpackhi_ps(a, b);
    }
    for (int i = 0; i < 8; i += 4) {
        four[i] = _mm256_shuffle_ps(pair[i], pair[i + 2], 0x44);
        four[i + 1] = _mm256_shuffle_ps(pair[i], pair[i + 2], 0xee);
        four[i + 2] = _mm256_shuffle_ps(pair[i + 1], pair[i + 3], 0x44);
        four[i + 3] = _mm256_shuffle_ps(pair[i + 1], pair[i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) {
        _mm256_storeu_ps(y + i * y_stride, _mm256_permute2f128_ps(four[i], four[i + 4], 0x20));
        _mm256_storeu_ps(y + (i + 4) * y_stride,
                         _mm256_permute2f128_ps(four[i], four[i + 4], 0x31));
    }
}

void fal_transpose_avx2(float *y, int64_t y_stride, const float *x, int64_t x_stride,
                        int64_t n_rows, int64_t n_cols) {
    int64_t row = 0;
    for (; row + 8 <= n_rows; row += 8) {
        int64_t column = 0;
        for (; column + 8 <= n_cols; column += 8)
            transpose_block(y + column * y_stride + row, y_stride, x + row * x_stride + column,
                            x_stride);
        for (; column < n_cols; column++) {
            for (int64_t i = row; i < row + 8; i++)
                y[column * y_stride + i] = x[i * x_stride + column];
        }
    }
    for (; row < n_rows; row++) {
        for (int64_t column = 0; column < n_cols; column++)
            y[column * y_stride + row] = x[row * x_stride + column];
    }
}
