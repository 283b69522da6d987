/* Products with f32, f16 and bf16 weights, in plain C.
 *
 * Columns are taken in chunks of 512; within a chunk, column k goes to partial sum k mod 8, and the eight are joined as
 * ((0+4)+(2+6)) + ((1+5)+(3+7)); chunks are added in order. */
#include "base/half.h"
#include "compute/cpu/kernels.h"

enum {
    CHUNK = 512,
    LANES = 8
};

typedef void decode_weights(const uint8_t *bytes, float *weights, int n);

static void decode_f32(const uint8_t *bytes, float *weights, int n) {
    memcpy(weights, bytes, (size_t)n * sizeof *weights);
}

static void decode_f16(const uint8_t *bytes, float *weights, int n) {
    for (int i = 0; i < n; i++) {
        uint16_t half;
        memcpy(&half, bytes + 2 * i, sizeof half);
        weights[i] = fal_f32_from_f16(half);
    }
}

static void decode_bf16(const uint8_t *bytes, float *weights, int n) {
    for (int i = 0; i < n; i++) {
        uint16_t half;
        memcpy(&half, bytes + 2 * i, sizeof half);
        weights[i] = fal_f32_from_bf16(half);
    }
}

static float dot(const float *a, const float *b, int n) {
    float sums[LANES] = {0};
    int i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (int lane = 0; lane < LANES; lane++) {
            sums[lane] += a[i + lane] * b[i + lane];
        }
    }
    for (int lane = 0; i + lane < n; lane++) {
        sums[lane] += a[i + lane] * b[i + lane];
    }
    return ((sums[0] + sums[4]) + (sums[2] + sums[6]))
           + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

static void multiply(const fal_product *p, size_t weight_bytes, decode_weights *decode) {
    float weights[CHUNK];
    for (int64_t row = 0; row < p->n_rows; row++) {
        const uint8_t *w = (const uint8_t *)p->w + (size_t)row * p->w_row_bytes;
        for (int64_t token = 0; token < p->n_tokens; token++) {
            p->y[token * p->y_stride + row] = 0.0f;
        }
        for (int64_t first = 0; first < p->n_cols; first += CHUNK) {
            int n = p->n_cols - first < CHUNK ? (int)(p->n_cols - first) : CHUNK;
            decode(w + (size_t)first * weight_bytes, weights, n);
            for (int64_t token = 0; token < p->n_tokens; token++) {
                const char *x = (const char *)p->x + (size_t)token * p->x_row_bytes;
                p->y[token * p->y_stride + row] +=
                    dot(weights, (const float *)(const void *)x + first, n);
            }
        }
    }
}

void fal_matmul_f32_portable(const fal_product *p) {
    multiply(p, 4, decode_f32);
}

void fal_matmul_f16_portable(const fal_product *p) {
    multiply(p, 2, decode_f16);
}

void fal_matmul_bf16_portable(const fal_product *p) {
    multiply(p, 2, decode_bf16);
}
