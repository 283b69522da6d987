/* q5_1: weight = d * code + m, 32 weights in 24 bytes. */
#ifndef FAL_QUANT_Q5_1_H
#define FAL_QUANT_Q5_1_H

#include "quant/host_device.h"

struct fal_q5_1 {
    uint16_t d, m;  /* f16 */
    uint8_t qh[4];  /* bit j of the 32 (low byte first): fifth bit of weight j */
    uint8_t qs[16]; /* byte j: low nibble weight j, high nibble weight j + 16 */
};

FAL_BLOCK_SIZE(struct fal_q5_1, 24);

static inline FAL_HOST_DEVICE float fal_q5_1_weight(const struct fal_q5_1 *block, int index) {
    int low = block->qs[index & 15] >> (index >> 4) * 4 & 15;
    int high = block->qh[index >> 3] >> (index & 7) & 1;
    return fal_block_f16(block->d) * (float)(low | high << 4) + fal_block_f16(block->m);
}

void fal_q5_1_decode(const void *blocks, float *weights, int64_t n_blocks);
void fal_q5_1_encode(const float *weights, const float *importance, void *blocks, int64_t n_blocks);

#endif
