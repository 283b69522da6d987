/* q5_0: weight = d * (code - 16), 32 weights in 22 bytes. */
#ifndef FAL_QUANT_Q5_0_H
#define FAL_QUANT_Q5_0_H

#include "quant/host_device.h"

struct fal_q5_0 {
    uint16_t d;     /* f16 */
    uint8_t qh[4];  /* bit j of the 32 (low byte first): fifth bit of weight j */
    uint8_t qs[16]; /* byte j: low nibble weight j, high nibble weight j + 16 */
};

FAL_BLOCK_SIZE(struct fal_q5_0, 22);

static inline FAL_HOST_DEVICE float fal_q5_0_weight(const struct fal_q5_0 *block, int index) {
    int low = block->qs[index & 15] >> (index >> 4) * 4 & 15;
    int high = block->qh[index >> 3] >> (index & 7) & 1;
    return fal_block_f16(block->d) * (float)((low | high << 4) - 16);
}

void fal_q5_0_decode(const void *blocks, float *weights, int64_t n_blocks);
void fal_q5_0_encode(const float *weights, const float *importance, void *blocks, int64_t n_blocks);

#endif
