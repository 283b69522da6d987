/* Products with f32, f16 and bf16 weights, with AVX2 and FMA.
 *
 * The order of additions is that of portable/matmul_float.c: chunks of 512 columns, column k to lane k mod 8, the lanes
 * joined as ((0+4)+(2+6)) + ((1+5)+(3+7)), chunks added in order. Products and additions are fused here. */
#include "compute/cpu/kernels.h"

#include <immintrin.h>
#include <stdbool.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum {
    CHUNK = 512,
    ROWS = 4,      /* multiplied at a time */
    TOKENS = 3,    /* multiplied at a time */
    MANY_ROWS = 16 /* that share a reading of the activations */
};

/* Rows of numbers, row r at `at + r * stride`; of any alignment. */
struct rows {
    const char *at;
    size_t stride;
};

INLINE __m256 widen_f16(__m128i half) {
    return _mm256_cvtph_ps(half);
}

INLINE __m256 widen_bf16(__m128i half) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}

typedef __m256 widen_halves(__m128i half);

INLINE __m256i tail_mask(int n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* Eight numbers, or the n_tail that are left of a row (1 to 7) with zeros behind them. widen NULL: they are f32. */
INLINE __m256 load(const char *bytes, widen_halves *widen, int n_tail) {
    if (!widen) {
        const float *floats = (const float *)(const void *)bytes;
        return n_tail ? _mm256_maskload_ps(floats, tail_mask(n_tail)) : _mm256_loadu_ps(floats);
    }
    uint16_t tail[8] = {0};
    memcpy(tail, bytes, n_tail ? 2 * (size_t)n_tail : sizeof tail);
    return widen(_mm_loadu_si128((const __m128i *)(const void *)tail));
}

INLINE float sum_lanes(__m256 v) {
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

/* Columns column .. column + 7 of all rows and tokens. */
INLINE void add_columns(const struct rows w, widen_halves *widen, int n_rows, const struct rows x,
                        int n_tokens, int column, int n_tail, __m256 sums[ROWS][TOKENS]) {
    size_t w_offset = (size_t)column * (widen ? sizeof(uint16_t) : sizeof(float));
    size_t x_offset = (size_t)column * sizeof(float);
    __m256 v[TOKENS];
    for (int t = 0; t < n_tokens; t++) {
        v[t] = load(x.at + (size_t)t * x.stride + x_offset, NULL, n_tail);
    }
    for (int r = 0; r < n_rows; r++) {
        __m256 weights = load(w.at + (size_t)r * w.stride + w_offset, widen, n_tail);
        for (int t = 0; t < n_tokens; t++) {
            sums[r][t] = _mm256_fmadd_ps(weights, v[t], sums[r][t]);
        }
    }
}

/* y[t, r] += w[r] . x[t] over n columns. */
INLINE void multiply_tile(const struct rows w, widen_halves *widen, int n_rows, const struct rows x,
                          int n_tokens, int n, float *y, int64_t y_stride) {
    __m256 sums[ROWS][TOKENS];
    for (int r = 0; r < n_rows; r++) {
        for (int t = 0; t < n_tokens; t++) {
            sums[r][t] = _mm256_setzero_ps();
        }
    }
    int i = 0;
    for (; i + 8 <= n; i += 8) {
        add_columns(w, widen, n_rows, x, n_tokens, i, 0, sums);
    }
    if (i < n) add_columns(w, widen, n_rows, x, n_tokens, i, n - i, sums);
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
    int i = 0;
    for (; i + 8 <= n; i += 8) {
        _mm256_storeu_ps(weights + i, load(bytes + 2 * i, widen, 0));
    }
    if (i < n) _mm256_storeu_ps(weights + i, load(bytes + 2 * i, widen, n - i));
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

void fal_matmul_f32_avx2(const fal_product *p) {
    multiply(p, sizeof(float), NULL);
}

void fal_matmul_f16_avx2(const fal_product *p) {
    multiply(p, sizeof(uint16_t), widen_f16);
}

void fal_matmul_bf16_avx2(const fal_product *p) {
    multiply(p, sizeof(uint16_t), widen_bf16);
}
