/* q8_1: activations in blocks of 32, with the scaled sum of the codes. */
#include "quant/q8_1.h"

#include "quant/rounding.h"

#include <float.h>
#include <string.h>

void fal_q8_1_decode(const void *blocks, float *weights, int64_t n_blocks) {
    const struct fal_q8_1 *block = blocks;
    for (int64_t b = 0; b < n_blocks; b++) {
        for (int j = 0; j < 32; j++) {
            weights[32 * b + j] = block[b].d * (float)block[b].q[j];
        }
    }
}

static void encode_block(const float *x, struct fal_q8_1 *block) {
    float d = fal_activation_scale(x, 32);
    memset(block, 0, sizeof *block);
    if (!(d >= FLT_MIN)) {
        block->d = block->s = d != d ? d : 0.0f;
        return;
    }
    float inverse = 1.0f / d;
    int sum = 0;
    for (int j = 0; j < 32; j++) {
        int code = fal_code_nearest(x[j] * inverse, -127, 127);
        block->q[j] = (int8_t)code;
        sum += code;
    }
    block->d = d;
    block->s = d * (float)sum;
}

void fal_q8_1_encode(const float *weights, const float *importance, void *blocks,
                     int64_t n_blocks) {
    (void)importance; /* activations have none */
    struct fal_q8_1 *block = blocks;
    for (int64_t b = 0; b < n_blocks; b++) {
        encode_block(weights + 32 * b, &block[b]);
    }
}
