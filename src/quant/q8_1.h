/* q8_1: what activations become before a dot product with a type of 32 weights. In memory only; the q8_1 that files
 * could hold is another layout. */
#ifndef FAL_QUANT_Q8_1_H
#define FAL_QUANT_Q8_1_H

#include "quant/host_device.h"

struct fal_q8_1 {
    float d;
    float s; /* d * sum of q: what a minimum is multiplied with */
    int8_t q[32];
};

FAL_BLOCK_SIZE(struct fal_q8_1, 40);

static inline FAL_HOST_DEVICE float fal_q8_1_weight(const struct fal_q8_1 *block, int index) {
    return block->d * (float)block->q[index];
}

void fal_q8_1_decode(const void *blocks, float *weights, int64_t n_blocks);

/* Every implementation gives these bits: amax = largest |x|; d = amax / 127; r = 1 / d; q = x * r rounded to nearest
 * even; s = d * sum of q, all in f32. If d is below FLT_MIN, then d, s and q are zero. If some x is not finite, then
 * d and s are NaN (0x7fc00000) and q is zero, so that the fault stays visible in every product. */
void fal_q8_1_encode(const float *weights, const float *importance, void *blocks, int64_t n_blocks);

#endif
