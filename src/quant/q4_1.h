/* q4_1: weight = d * code + m, 32 weights in 20 bytes. */
#ifndef FAL_QUANT_Q4_1_H
#define FAL_QUANT_Q4_1_H

#include "quant/host_device.h"

struct fal_q4_1 {
    uint16_t d, m;  /* f16 */
    uint8_t qs[16]; /* byte j: low nibble weight j, high nibble weight j + 16 */
};

FAL_BLOCK_SIZE(struct fal_q4_1, 20);

static inline FAL_HOST_DEVICE float fal_q4_1_weight(const struct fal_q4_1 *block, int index) {
    int code = block->qs[index & 15] >> (index >> 4) * 4 & 15;
    return fal_block_f16(block->d) * (float)code + fal_block_f16(block->m);
}

void fal_q4_1_decode(const void *blocks, float *weights, int64_t n_blocks);
void fal_q4_1_encode(const float *weights, const float *importance, void *blocks, int64_t n_blocks);

#endif
