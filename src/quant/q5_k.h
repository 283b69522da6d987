/* q5_k: weight = d * scale * code - dmin * min, 256 weights in 176 bytes; scale and min for 32 weights each. */
#ifndef FAL_QUANT_Q5_K_H
#define FAL_QUANT_Q5_K_H

#include "quant/k_scales.h"

struct fal_q5_k {
    uint16_t d, dmin;   /* f16 */
    uint8_t scales[12]; /* see k_scales.h */
    uint8_t qh[32];     /* byte k, bit n: fifth bit of weight 32 n + k */
    uint8_t qs
        [128]; /* per 64 weights 32 bytes: low nibble weights 0 .. 31, high nibble weights 32 .. 63 */
};

FAL_BLOCK_SIZE(struct fal_q5_k, 176);

static inline FAL_HOST_DEVICE float fal_q5_k_weight(const struct fal_q5_k *block, int index) {
    int low = block->qs[(index >> 6) * 32 + (index & 31)] >> (index >> 5 & 1) * 4 & 15;
    int j = index >> 5;
    int high = block->qh[index & 31] >> j & 1;
    /* The products are exact in f32 (11 + 6 + 5 bits), so only the subtraction rounds. */
    return fal_block_f16(block->d) * (float)(fal_k_scale(block->scales, j) * (low | high << 4))
           - fal_block_f16(block->dmin) * (float)fal_k_min(block->scales, j);
}

void fal_q5_k_decode(const void *blocks, float *weights, int64_t n_blocks);
void fal_q5_k_encode(const float *weights, const float *importance, void *blocks, int64_t n_blocks);

#endif
