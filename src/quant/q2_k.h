/* q2_k: weight = d * scale * code - dmin * min, 256 weights in 84 bytes; scale and min for 16 weights each. */
#ifndef FAL_QUANT_Q2_K_H
#define FAL_QUANT_Q2_K_H

#include "quant/host_device.h"

struct fal_q2_k {
    uint8_t scales[16]; /* of weights 16 j .. 16 j + 15: low nibble scale, high nibble min */
    uint8_t qs
        [64]; /* per half of 128 weights 32 bytes; byte l: weights l + 32 k at bits 2 k, k = 0 .. 3 */
    uint16_t d, dmin; /* f16 */
};

FAL_BLOCK_SIZE(struct fal_q2_k, 84);

static inline FAL_HOST_DEVICE float fal_q2_k_weight(const struct fal_q2_k *block, int index) {
    int code = block->qs[(index >> 7) * 32 + (index & 31)] >> (index >> 5 & 3) * 2 & 3;
    int scale = block->scales[index >> 4];
    /* The products are exact in f32 (11 + 4 + 2 bits), so only the subtraction rounds. */
    return fal_block_f16(block->d) * (float)((scale & 15) * code)
           - fal_block_f16(block->dmin) * (float)(scale >> 4);
}

void fal_q2_k_decode(const void *blocks, float *weights, int64_t n_blocks);
void fal_q2_k_encode(const float *weights, const float *importance, void *blocks, int64_t n_blocks);

#endif
