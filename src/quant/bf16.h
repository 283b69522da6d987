/* bf16: a weight is a block of its own, the upper half of an f32. */
#ifndef FAL_QUANT_BF16_H
#define FAL_QUANT_BF16_H

#include "quant/host_device.h"

struct fal_bf16 {
    uint16_t bits;
};

FAL_BLOCK_SIZE(struct fal_bf16, 2);

/* index is 0. */
static inline FAL_HOST_DEVICE float fal_bf16_weight(const struct fal_bf16 *block, int index) {
    union {
        uint32_t bits;
        float value;
    } both;

    both.bits = (uint32_t)block[index].bits << 16;
    return both.value;
}

void fal_bf16_decode(const void *blocks, float *weights, int64_t n_blocks);
/* Rounds to nearest even. */
void fal_bf16_encode(const float *weights, const float *importance, void *blocks, int64_t n_blocks);

#endif
