/* q8_0: weight = d * q, 32 weights in 34 bytes. */
#ifndef FAL_QUANT_Q8_0_H
#define FAL_QUANT_Q8_0_H

#include "quant/host_device.h"

struct fal_q8_0 {
    uint16_t d; /* f16 */
    int8_t q[32];
};

FAL_BLOCK_SIZE(struct fal_q8_0, 34);

static inline FAL_HOST_DEVICE float fal_q8_0_weight(const struct fal_q8_0 *block, int index) {
    return fal_block_f16(block->d) * (float)block->q[index];
}

void fal_q8_0_decode(const void *blocks, float *weights, int64_t n_blocks);
void fal_q8_0_encode(const float *weights, const float *importance, void *blocks, int64_t n_blocks);

#endif
