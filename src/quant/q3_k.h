/* q3_k: weight = d * (scale - 32) * (code - 4), 256 weights in 110 bytes; a scale for 16 weights. */
#ifndef FAL_QUANT_Q3_K_H
#define FAL_QUANT_Q3_K_H

#include "quant/host_device.h"

struct fal_q3_k {
    uint8_t hmask[32]; /* byte k, bit n: third bit of weight 32 n + k */
    uint8_t qs
        [64]; /* low two bits: per half of 128 weights 32 bytes; byte l: weights l + 32 k at bits 2 k */
    uint8_t scales[12]; /* 16 numbers of 6 bits, see fal_q3_k_scale */
    uint16_t d;         /* f16 */
};

FAL_BLOCK_SIZE(struct fal_q3_k, 110);

/* The scale of weights 16 j .. 16 j + 15, -32 .. 31: low four bits in the nibbles of bytes 0 .. 7 (first the low ones),
 * high two bits in bytes 8 .. 11. */
static inline FAL_HOST_DEVICE int fal_q3_k_scale(const uint8_t *scales, int j) {
    int low = scales[j & 7] >> (j >> 3) * 4 & 15;
    int high = scales[8 + (j & 3)] >> (j >> 2) * 2 & 3;
    return (low | high << 4) - 32;
}

static inline FAL_HOST_DEVICE float fal_q3_k_weight(const struct fal_q3_k *block, int index) {
    int low = block->qs[(index >> 7) * 32 + (index & 31)] >> (index >> 5 & 3) * 2 & 3;
    int high = block->hmask[index & 31] >> (index >> 5) & 1;
    int scale = fal_q3_k_scale(block->scales, index >> 4);
    return fal_block_f16(block->d) * (float)scale * (float)((low | high << 2) - 4);
}

void fal_q3_k_decode(const void *blocks, float *weights, int64_t n_blocks);
void fal_q3_k_encode(const float *weights, const float *importance, void *blocks, int64_t n_blocks);

#endif
