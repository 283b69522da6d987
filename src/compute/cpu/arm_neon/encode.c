/* Activations into 8-bit blocks with NEON; the bits are fixed by quant/q8_1.h and quant/q8_k.h. */
#include "compute/cpu/kernels.h"
#include "quant/q8_1.h"
#include "quant/q8_k.h"

#include <arm_neon.h>
#include <float.h>

/* Scale, and its reciprocal: 0 for a block of zeros or with a number that is not finite. */
struct scale {
    float d, reciprocal;
};

/* From the bits of the largest magnitude: magnitudes order as integers, and not-a-number lies above infinity. */
static inline struct scale find_scale(const float *x, int n) {
    uint32x4_t largest = vdupq_n_u32(0);
    for (int i = 0; i < n; i += 4) {
        uint32x4_t bits = vreinterpretq_u32_f32(vld1q_f32(x + i));
        largest = vmaxq_u32(largest, vandq_u32(bits, vdupq_n_u32(0x7fffffff)));
    }
    uint32_t bits = vmaxvq_u32(largest);
    if (bits >= 0x7f800000u) return (struct scale){fal_f32_from_bits(0x7fc00000u), 0.0f};
    float d = fal_f32_from_bits(bits) / 127.0f;
    if (d < FLT_MIN) return (struct scale){0.0f, 0.0f};
    return (struct scale){d, 1.0f / d};
}

static inline int16x4_t round_four(const float *x, float reciprocal) {
    return vqmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x), reciprocal)));
}

/* Sixteen codes. A block without a reciprocal may hold not-a-number, so zero is not left to the product. */
static inline int8x16_t encode_16(const float *x, float reciprocal) {
    if (reciprocal == 0.0f) return vdupq_n_s8(0);
    int16x8_t low = vcombine_s16(round_four(x, reciprocal), round_four(x + 4, reciprocal));
    int16x8_t high = vcombine_s16(round_four(x + 8, reciprocal), round_four(x + 12, reciprocal));
    return vcombine_s8(vqmovn_s16(low), vqmovn_s16(high));
}

void fal_encode_q8_1_neon(const float *x, void *blocks, int64_t n) {
    struct fal_q8_1 *block = blocks;
    for (int64_t i = 0; i < n; i += 32, block++) {
        struct scale scale = find_scale(x + i, 32);
        int8x16_t low = encode_16(x + i, scale.reciprocal);
        int8x16_t high = encode_16(x + i + 16, scale.reciprocal);
        block->d = scale.d;
        block->s = scale.d * (float)(vaddlvq_s8(low) + vaddlvq_s8(high));
        vst1q_s8(block->q, low);
        vst1q_s8(block->q + 16, high);
    }
}

void fal_encode_q8_k_neon(const float *x, void *blocks, int64_t n) {
    struct fal_q8_k *block = blocks;
    for (int64_t i = 0; i < n; i += 256, block++) {
        struct scale scale = find_scale(x + i, 256);
        block->d = scale.d;
        for (int j = 0; j < 16; j++) {
            int8x16_t codes = encode_16(x + i + 16 * j, scale.reciprocal);
            vst1q_s8(block->q + 16 * j, codes);
            block->sums[j] = vaddlvq_s8(codes);
        }
    }
}
