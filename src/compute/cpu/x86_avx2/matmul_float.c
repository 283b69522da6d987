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
    ROWS = 4,     /* multiplied at a time */
    TOKENS = 3,   /* multiplied at a time */
    MANY_ROWS = 16 /* that share a reading of the activations */
};

/* Rows of weights as f32: w + r * stride floats' worth of bytes; of any alignment. */
struct rows {
    const char *at;
    size_t stride;
};

INLINE __m256i tail_mask(int n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

INLINE __m256 load(const char *bytes, bool is_tail, __m256i mask) {
    const float *floats = (const float *)(const void *)bytes;
    return is_tail ? _mm256_maskload_ps(floats, mask) : _mm256_loadu_ps(floats);
}

INLINE float sum_lanes(__m256 v) {
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

INLINE void add_columns(const struct rows w, int n_rows, const struct rows x, int n_tokens, size_t offset, bool is_tail,
                        __m256i mask, __m256 sums[ROWS][TOKENS]) {
    __m256 v[TOKENS];
    for (int t = 0; t < n_tokens; t++) {
        v[t] = load(x.at + (size_t)t * x.stride + offset, is_tail, mask);
    }
    for (int r = 0; r < n_rows; r++) {
        __m256 weights = load(w.at + (size_t)r * w.stride + offset, is_tail, mask);
        for (int t = 0; t < n_tokens; t++) {
            sums[r][t] = _mm256_fmadd_ps(weights, v[t], sums[r][t]);
        }
    }
}

/* y[t, r] += w[r] . x[t] over n columns. */
INLINE void multiply_tile(const struct rows w, int n_rows, const struct rows x, int n_tokens, int n, float *y,
                          int64_t y_stride) {
    const __m256i mask = tail_mask(n & 7);
    __m256 sums[ROWS][TOKENS];
    for (int r = 0; r < n_rows; r++) {
        for (int t = 0; t < n_tokens; t++) {
            sums[r][t] = _mm256_setzero_ps();
        }
    }
    int i = 0;
    for (; i + 8 <= n; i += 8) {
        add_columns(w, n_rows, x, n_tokens, (size_t)i * sizeof(float), false, mask, sums);
    }
    if (i < n) add_columns(w, n_rows, x, n_tokens, (size_t)i * sizeof(float), true, mask, sums);
    for (int t = 0; t < n_tokens; t++) {
        for (int r = 0; r < n_rows; r++) {
            y[t * y_stride + r] += sum_lanes(sums[r][t]);
        }
    }
}

/* The same for any number of rows and tokens. */
static void multiply_chunk(const struct rows w, int n_rows, const char *x, size_t x_row_bytes, int64_t n_tokens, int n,
                           float *y, int64_t y_stride) {
    int64_t token = 0;
    for (; token < n_tokens; token += token + TOKENS <= n_tokens ? TOKENS : 1) {
        struct rows tokens = {x + (size_t)token * x_row_bytes, x_row_bytes};
        bool is_full = token + TOKENS <= n_tokens;
        float *at = y + token * y_stride;
        int r = 0;
        for (; r + ROWS <= n_rows; r += ROWS) {
            struct rows four = {w.at + (size_t)r * w.stride, w.stride};
            if (is_full) multiply_tile(four, ROWS, tokens, TOKENS, n, at + r, y_stride);
            if (!is_full) multiply_tile(four, ROWS, tokens, 1, n, at + r, y_stride);
        }
        for (; r < n_rows; r++) {
            struct rows one = {w.at + (size_t)r * w.stride, w.stride};
            if (is_full) multiply_tile(one, 1, tokens, TOKENS, n, at + r, y_stride);
            if (!is_full) multiply_tile(one, 1, tokens, 1, n, at + r, y_stride);
        }
    }
}

INLINE __m256 widen_f16(__m128i half) {
    return _mm256_cvtph_ps(half);
}

INLINE __m256 widen_bf16(__m128i half) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}

typedef __m256 widen_halves(__m128i half);

/* n weights of 16 bits to f32; fills the last eight with zeros. */
INLINE void decode(widen_halves *widen, const char *bytes, int n, float *weights) {
    int i = 0;
    for (; i + 8 <= n; i += 8) {
        __m128i halves = _mm_loadu_si128((const __m128i *)(const void *)(bytes + 2 * i));
        _mm256_storeu_ps(weights + i, widen(halves));
    }
    if (i == n) return;
    uint16_t tail[8] = {0};
    memcpy(tail, bytes + 2 * i, 2 * (size_t)(n - i));
    _mm256_storeu_ps(weights + i, widen(_mm_loadu_si128((const __m128i *)(const void *)tail)));
}

/* widen NULL: the weights are f32 and are read in place. */
INLINE void multiply(const fal_product *p, size_t weight_bytes, widen_halves *widen) {
    float weights[MANY_ROWS][CHUNK];
    int64_t step = p->n_tokens < 8 ? ROWS : MANY_ROWS;
    for (int64_t token = 0; token < p->n_tokens; token++) {
        memset(p->y + token * p->y_stride, 0, (size_t)p->n_rows * sizeof *p->y);
    }
    for (int64_t row = 0; row < p->n_rows; row += step) {
        int n_rows = (int)(p->n_rows - row < step ? p->n_rows - row : step);
        for (int64_t first = 0; first < p->n_cols; first += CHUNK) {
            int n = p->n_cols - first < CHUNK ? (int)(p->n_cols - first) : CHUNK;
            const char *w = (const char *)p->w + (size_t)row * p->w_row_bytes + (size_t)first * weight_bytes;
            struct rows rows = {w, p->w_row_bytes};
            if (widen) {
                for (int r = 0; r < n_rows; r++) {
                    decode(widen, w + (size_t)r * p->w_row_bytes, n, weights[r]);
                }
                rows = (struct rows){(const char *)weights, sizeof weights[0]};
            }
            const char *x = (const char *)p->x + (size_t)first * sizeof(float);
            multiply_chunk(rows, n_rows, x, p->x_row_bytes, p->n_tokens, n, p->y + row, p->y_stride);
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
