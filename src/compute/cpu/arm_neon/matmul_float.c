/* Products with f32, f16 and bf16 weights, with NEON.
 *
 * The order of additions is that of portable/matmul_float.c: chunks of 512 columns, column k to lane k mod 8, the lanes
 * joined as ((0+4)+(2+6)) + ((1+5)+(3+7)), chunks added in order. Products and additions are fused here.
 * Only arrays whose loops are unrolled live in registers. */
#include "compute/cpu/kernels.h"

#include <arm_neon.h>
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

INLINE float32x4_t widen_f16(uint16x4_t half) {
    return vcvt_f32_f16(vreinterpret_f16_u16(half));
}

INLINE float32x4_t widen_bf16(uint16x4_t half) {
    return vreinterpretq_f32_u32(vshlq_n_u32(vmovl_u16(half), 16));
}

typedef float32x4_t widen_halves(uint16x4_t half);

/* Four numbers, or the n_tail that are left of a row (0 to 3) with zeros behind them. widen NULL: they are f32. */
INLINE float32x4_t load(const char *bytes, widen_halves *widen, bool is_tail, int n_tail) {
    if (!widen) {
        float floats[4] = {0};
        memcpy(floats, bytes, is_tail ? sizeof(float) * (size_t)n_tail : sizeof floats);
        return vld1q_f32(floats);
    }
    uint16_t halves[4] = {0};
    memcpy(halves, bytes, is_tail ? sizeof(uint16_t) * (size_t)n_tail : sizeof halves);
    return widen(vld1_u16(halves));
}

INLINE float sum_lanes(float32x4_t low, float32x4_t high) {
    float32x4_t four = vaddq_f32(low, high);
    float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

/* Columns column .. column + 3 of all rows and tokens, to one half of the lanes. */
INLINE void add_columns(const struct rows w, widen_halves *widen, int n_rows, const struct rows x,
                        int n_tokens, int column, bool is_tail, int n_tail, int half,
                        float32x4_t sums[ROWS][TOKENS][2]) {
    size_t w_offset = (size_t)column * (widen ? sizeof(uint16_t) : sizeof(float));
    size_t x_offset = (size_t)column * sizeof(float);
    float32x4_t v[TOKENS];
#pragma GCC unroll 24
    for (int t = 0; t < n_tokens; t++)
        v[t] = load(x.at + (size_t)t * x.stride + x_offset, NULL, is_tail, n_tail);
#pragma GCC unroll 24
    for (int r = 0; r < n_rows; r++) {
        float32x4_t weights = load(w.at + (size_t)r * w.stride + w_offset, widen, is_tail, n_tail);
#pragma GCC unroll 24
        for (int t = 0; t < n_tokens; t++)
            sums[r][t][half] = vfmaq_f32(sums[r][t][half], weights, v[t]);
    }
}

/* y[t, r] += w[r] . x[t] over n columns. */
INLINE void multiply_tile(const struct rows w, widen_halves *widen, int n_rows, const struct rows x,
                          int n_tokens, int n, float *y, int64_t y_stride) {
    float32x4_t sums[ROWS][TOKENS][2];
#pragma GCC unroll 24
    for (int r = 0; r < n_rows; r++) {
#pragma GCC unroll 24
        for (int t = 0; t < n_tokens; t++)
            sums[r][t][0] = sums[r][t][1] = vdupq_n_f32(0.0f);
    }
    int i = 0;
    for (; i + 8 <= n; i += 8) {
        add_columns(w, widen, n_rows, x, n_tokens, i, false, 0, 0, sums);
        add_columns(w, widen, n_rows, x, n_tokens, i + 4, false, 0, 1, sums);
    }
    int n_left = n - i;
    if (n_left > 0)
        add_columns(w, widen, n_rows, x, n_tokens, i, true, n_left < 4 ? n_left : 4, 0, sums);
    if (n_left > 4) add_columns(w, widen, n_rows, x, n_tokens, i + 4, true, n_left - 4, 1, sums);
#pragma GCC unroll 24
    for (int t = 0; t < n_tokens; t++) {
#pragma GCC unroll 24
        for (int r = 0; r < n_rows; r++)
            y[t * y_stride + r] += sum_lanes(sums[r][t][0], sums[r][t][1]);
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

/* n weights of 16 bits to f32, and zeros up to a whole vector. */
INLINE void decode(widen_halves *widen, const char *bytes, int n, float *weights) {
    int i = 0;
    for (; i + 4 <= n; i += 4)
        vst1q_f32(weights + i, load(bytes + 2 * i, widen, false, 0));
    if (i < n) vst1q_f32(weights + i, load(bytes + 2 * i, widen, true, n - i));
}

/* For many tokens, weights of 16 bits are widened once; for few, where they are used. */
INLINE void multiply(const fal_product *p, size_t weight_bytes, widen_halves *widen) {
    float weights[MANY_ROWS][CHUNK];
    bool is_many = p->n_tokens >= 8;
    int64_t step = is_many ? MANY_ROWS : ROWS;
    for (int64_t token = 0; token < p->n_tokens; token++)
        memset(p->y + token * p->y_stride, 0, (size_t)p->n_rows * sizeof *p->y);
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
            for (int r = 0; r < n_rows; r++)
                decode(widen, at + (size_t)r * p->w_row_bytes, n, weights[r]);
            w = (struct rows){(const char *)weights, sizeof weights[0]};
            multiply_chunk(w, NULL, n_rows, x, p->n_tokens, n, y, p->y_stride);
        }
    }
}

void fal_matmul_f32_neon(const fal_product *p) {
    multiply(p, sizeof(float), NULL);
}

void fal_matmul_f16_neon(const fal_product *p) {
    multiply(p, sizeof(uint16_t), widen_f16);
}

void fal_matmul_bf16_neon(const fal_product *p) {
    multiply(p, sizeof(uint16_t), widen_bf16);
}
