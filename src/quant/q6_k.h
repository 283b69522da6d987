/* q6_k: weight = d * scale * (code - 32), 256 weights in 210 bytes; a scale for 16 weights. */
#ifndef FAL_QUANT_Q6_K_H
#define FAL_QUANT_Q6_K_H

#include "quant/host_device.h"

struct fal_q6_k {
    uint8_t ql[128];   /* low four bits; per half of 128 weights 64 bytes, see fal_q6_k_weight */
    uint8_t qh[64];    /* high two bits; per half 32 bytes; byte l: weights l + 32 k at bits 2 k */
    int8_t scales[16]; /* of weights 16 j .. 16 j + 15 */
    uint16_t d;        /* f16 */
};

FAL_BLOCK_SIZE(struct fal_q6_k, 210);

static inline FAL_HOST_DEVICE float fal_q6_k_weight(const struct fal_q6_k *block, int index) {
    /* Within a half: byte l of 64 holds weight l in the low nibble and weight l + 64 in the high one. */
    int low = block->ql[(index >> 7) * 64 + (index & 63)] >> (index >> 6 & 1) * 4 & 15;
    int high = block->qh[(index >> 7) * 32 + (index & 31)] >> (index >> 5 & 3) * 2 & 3;
    return fal_block_f16(block->d) * (float)block->scales[index >> 4]
           * (float)((low | high << 4) - 32);
}

void fal_q6_k_decode(const void *blocks, float *weights, int64_t n_blocks);
void fal_q6_k_encode(const float *weights, const float *importance, void *blocks, int64_t n_blocks);

#endif
