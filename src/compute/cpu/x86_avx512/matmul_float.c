/* Products with f32, f16 and bf16 weights, with AVX-512.
 *
 * The order of additions: chunks of 1024 columns, column k to lane k mod 16 in ascending order, the lanes joined as
 * sum_lanes does, chunks added in order. Products and additions are fused. */
#include "compute/cpu/kernels.h"
#include "compute/cpu/x86_avx512/lanes.h"

#include <stdbool.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum {
    CHUNK = 1024,
    ROWS = 4,      /* multiplied at a time */
    TOKENS = 6,    /* multiplied at a time: 24 sums, 6 vectors of x, one of w */
    MANY_ROWS = 16 /* that share a reading of the activations */
};

/* Rows of numbers, row r at `at + r * stride`; of any alignment. */
struct rows {
    const char *at;
    size_t stride;
};

INLINE __m512 widen_f16(__m256i half) {
    return _mm512_cvtph_ps(half);
}

INLINE __m512 widen_bf16(__m256i half) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

typedef __m512 widen_halves(__m256i half);

/* The numbers that `left` names, zeros elsewhere. widen NULL: they are f32. */
INLINE __m512 load(const char *bytes, widen_halves *widen, __mmask16 left) {
    if (!widen) return _mm512_maskz_loadu_ps(left, bytes);
    return widen(_mm256_maskz_loadu_epi16(left, bytes));
}

/* Columns from `column` on of all rows and tokens. */
INLINE void add_columns(const struct rows w, widen_halves *widen, int n_rows, const struct rows x,
                        int n_tokens, int column, __mmask16 left, __m512 sums[ROWS][TOKENS]) {
    size_t w_offset = (size_t)column * (widen ? sizeof(uint16_t) : sizeof(float));
    size_t x_offset = (size_t)column * sizeof(float);
    __m512 v[TOKENS];
    for (int t = 0; t < n_tokens; t++) {
        v[t] = load(x.at + (size_t)t * x.stride + x_offset, NULL, left);
    }
    for (int r = 0; r < n_rows; r++) {
        __m512 weights = load(w.at + (size_t)r * w.stride + w_offset, widen, left);
        for (int t = 0; t < n_tokens; t++) {
            sums[r][t] = _mm512_fmadd_ps(weights, v[t], sums[r][t]);
        }
    }
}

/* y[t, r] += w[r] . x[t] over n columns. */
INLINE void multiply_tile(const struct rows w, widen_halves *widen, int n_rows, const struct rows x,
                          int n_tokens, int n, float *y, int64_t y_stride) {
    __m512 sums[ROWS][TOKENS];
    for (int r = 0; r < n_rows; r++) {
        for (int t = 0; t < n_tokens; t++) {
            sums[r][t] = _mm512_setzero_ps();
        }
    }
    int i = 0;
    for (; i + LANES <= n; i += LANES) {
        add_columns(w, widen, n_rows, x, n_tokens, i, 0xffff, sums);
    }
    if (i < n) add_columns(w, widen, n_rows, x, n_tokens, i, lanes_left(n - i), sums);
    for (int t = 0; t < n_tokens; t++) {
        for (int r = 0; r < n_rows; r++) {
            y[t * y_stride + r] += sum_lanes(sums[r][t]);
        }
    }
}

/* The same for any number of rows and tokens. */
INLINE void multiply_chunk(const struct rows w, widen_halves *widen, int n_rows,
                           const struct rows x, int64_t n_tokens, int n, float *y,
                           int64_t y_stride) {
    for (int64_t token = 0; token < n_tokens; token += token + TOKENS <= n_tokens ? TOKENS : 1) {
        struct rows tokens = {x.at + (size_t)token * x.stride, x.stride};
        bool is_full = token + TOKENS <= n_tokens;
        float *at = y + token * y_stride;
        int r = 0;
        for (; r + ROWS <= n_rows; r += ROWS) {
            struct rows four = {w.at + (size_t)r * w.stride, w.stride};
            if (is_full) multiply_tile(four, widen, ROWS, tokens, TOKENS, n, at + r, y_stride);
            if (!is_full) multiply_tile(four, widen, ROWS, tokens, 1, n, at + r, y_stride);
        }
        for (; r < n_rows; r++) {
            struct rows one = {w.at + (size_t)r * w.stride, w.stride};
            if (is_full) multiply_tile(one, widen, 1, tokens, TOKENS, n, at + r, y_stride);
            if (!is_full) multiply_tile(one, widen, 1, tokens, 1, n, at + r, y_stride);
        }
    }
}

/* n weights of 16 bits to f32. */
INLINE void decode(widen_halves *widen, const char *bytes, int n, float *weights) {
    for (int i = 0; i < n; i += LANES) {
        _mm512_storeu_ps(weights + i, load(bytes + 2 * i, widen, lanes_left(n - i)));
    }
}

/* For many tokens, weights of 16 bits are widened once; for few, where they are used. */
INLINE void multiply(const fal_product *p, size_t weight_bytes, widen_halves *widen) {
    float weights[MANY_ROWS][CHUNK];
    bool is_many = p->n_tokens >= 8;
    int64_t step = is_many ? MANY_ROWS : ROWS;
    for (int64_t token = 0; token < p->n_tokens; token++) {
        memset(p->y + token * p->y_stride, 0, (size_t)p->n_rows * sizeof *p->y);
    }
    for (int64_t row = 0; row < p->n_rows; row += step) {
        int n_rows = (int)(p->n_rows - row < step ? p->n_rows - row : step);
        float *y = p->y + row;
        for (int64_t first = 0; first < p->n_cols; first += CHUNK) {
            int n = p->n_cols - first < CHUNK ? (int)(p->n_cols - first) : CHUNK;
            const char *at =
                (const char *)p->w + (size_t)row * p->w_row_bytes + (size_t)first * weight_bytes;
            struct rows w = {at, p->w_row_bytes};
            struct rows x = {(const char *)p->x + (size_t)first * sizeof(float), p->x_row_bytes};
            if (!widen || !is_many) {
                multiply_chunk(w, widen, n_rows, x, p->n_tokens, n, y, p->y_stride);
                continue;
            }
            for (int r = 0; r < n_rows; r++) {
                decode(widen, at + (size_t)r * p->w_row_bytes, n, weights[r]);
            }
            w = (struct rows){(const char *)weights, sizeof weights[0]};
            multiply_chunk(w, NULL, n_rows, x, p->n_tokens, n, y, p->y_stride);
        }
    }
}

void fal_matmul_f32_avx512(const fal_product *p) {
    multiply(p, sizeof(float), NULL);
}

void fal_matmul_f16_avx512(const fal_product *p) {
    multiply(p, sizeof(uint16_t), widen_f16);
}

void fal_matmul_bf16_avx512(const fal_product *p) {
    multiply(p, sizeof(uint16_t), widen_bf16);
}
