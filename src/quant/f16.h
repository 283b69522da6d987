/* f16: a weight is a block of its own, IEEE binary16. */
#ifndef FAL_QUANT_F16_H
#define FAL_QUANT_F16_H

#include "quant/host_device.h"

struct fal_f16 {
    uint16_t bits;
};

FAL_BLOCK_SIZE(struct fal_f16, 2);

/* index is 0. */
static inline FAL_HOST_DEVICE float fal_f16_weight(const struct fal_f16 *block, int index) {
    return fal_block_f16(block[index].bits);
}

void fal_f16_decode(const void *blocks, float *weights, int64_t n_blocks);
/* Rounds to nearest even; 65520 and more become infinity. */
void fal_f16_encode(const float *weights, const float *importance, void *blocks, int64_t n_blocks);

#endif
