/* Activations into 8-bit blocks in plain C; the bits are fixed by quant/q8_1.h and quant/q8_k.h. */
#include "compute/cpu/kernels.h"
#include "quant/q8_1.h"
#include "quant/q8_k.h"

#include <float.h>
#include <math.h>

/* The bits of the largest magnitude. Magnitudes order as integers, and not-a-number lies above infinity. */
static uint32_t largest_bits(const float *x, size_t n) {
    uint32_t largest = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = fal_bits_from_f32(x[i]) & 0x7fffffffu;
        if (bits > largest) largest = bits;
    }
    return largest;
}

/* Fills q [n] and returns the block's scale. */
static float encode_codes(const float *x, int8_t *q, size_t n) {
    uint32_t largest = largest_bits(x, n);
    float d = fal_f32_from_bits(largest) / 127.0f;
    if (largest >= 0x7f800000u || d < FLT_MIN) {
        memset(q, 0, n);
        return largest >= 0x7f800000u ? fal_f32_from_bits(0x7fc00000u) : 0.0f;
    }
    float reciprocal = 1.0f / d;
    for (size_t i = 0; i < n; i++) {
        q[i] = (int8_t)lrintf(x[i] * reciprocal);
    }
    return d;
}

static int sum_codes(const int8_t *q, size_t n) {
    int sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += q[i];
    }
    return sum;
}

void fal_encode_q8_1_portable(const float *x, void *blocks, int64_t n) {
    struct fal_q8_1 *block = blocks;
    for (int64_t i = 0; i < n; i += 32, block++) {
        block->d = encode_codes(x + i, block->q, 32);
        block->s = block->d * (float)sum_codes(block->q, 32);
    }
}

void fal_encode_q8_k_portable(const float *x, void *blocks, int64_t n) {
    struct fal_q8_k *block = blocks;
    for (int64_t i = 0; i < n; i += 256, block++) {
        block->d = encode_codes(x + i, block->q, 256);
        for (int j = 0; j < 16; j++) {
            block->sums[j] = (int16_t)sum_codes(block->q + 16 * j, 16);
        }
    }
}
