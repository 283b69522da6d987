/* q4_0: weight = d * (code - 8), 32 weights in 18 bytes. */
#ifndef FAL_QUANT_Q4_0_H
#define FAL_QUANT_Q4_0_H

#include "quant/host_device.h"

struct fal_q4_0 {
    uint16_t d;     /* f16 */
    uint8_t qs[16]; /* byte j: low nibble weight j, high nibble weight j + 16 */
};

FAL_BLOCK_SIZE(struct fal_q4_0, 18);

static inline FAL_HOST_DEVICE float fal_q4_0_weight(const struct fal_q4_0 *block, int index) {
    int code = block->qs[index & 15] >> (index >> 4) * 4 & 15;
    return fal_block_f16(block->d) * (float)(code - 8);
}

void fal_q4_0_decode(const void *blocks, float *weights, int64_t n_blocks);
void fal_q4_0_encode(const float *weights, const float *importance, void *blocks, int64_t n_blocks);

#endif
