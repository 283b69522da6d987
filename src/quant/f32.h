/* f32: a weight is a block of its own. */
#ifndef FAL_QUANT_F32_H
#define FAL_QUANT_F32_H

#include "quant/host_device.h"

struct fal_f32 {
    float value;
};

FAL_BLOCK_SIZE(struct fal_f32, 4);

/* index is 0. */
static inline FAL_HOST_DEVICE float fal_f32_weight(const struct fal_f32 *block, int index) {
    return block[index].value;
}

void fal_f32_decode(const void *blocks, float *weights, int64_t n_blocks);
void fal_f32_encode(const float *weights, const float *importance, void *blocks, int64_t n_blocks);

#endif
