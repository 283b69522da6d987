/* q8_k: what activations become before a dot product with a type of 256 weights. In memory only. */
#ifndef FAL_QUANT_Q8_K_H
#define FAL_QUANT_Q8_K_H

#include "quant/host_device.h"

struct fal_q8_k {
    float d;
    int8_t q[256];
    int16_t sums[16]; /* sums[j] = sum of q[16 j .. 16 j + 15] */
};

FAL_BLOCK_SIZE(struct fal_q8_k, 292);

static inline FAL_HOST_DEVICE float fal_q8_k_weight(const struct fal_q8_k *block, int index) {
    return block->d * (float)block->q[index];
}

void fal_q8_k_decode(const void *blocks, float *weights, int64_t n_blocks);

/* Every implementation gives these bits: amax = largest |x|; d = amax / 127; r = 1 / d; q = x * r rounded to nearest
 * even, all in f32. If d is below FLT_MIN, then d, q and sums are zero. If some x is not finite, then d is NaN
 * (0x7fc00000) and q and sums are zero, so that the fault stays visible in every product. */
void fal_q8_k_encode(const float *weights, const float *importance, void *blocks, int64_t n_blocks);

#endif
