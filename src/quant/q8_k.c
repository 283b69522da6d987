/* q8_k: activations in blocks of 256, with the sums of sixteen codes each. */
#include "quant/q8_k.h"

#include "quant/rounding.h"

#include <float.h>
#include <string.h>

void fal_q8_k_decode(const void *blocks, float *weights, int64_t n_blocks) {
    const struct fal_q8_k *block = blocks;
    for (int64_t b = 0; b < n_blocks; b++) {
        for (int j = 0; j < 256; j++) {
            weights[256 * b + j] = block[b].d * (float)block[b].q[j];
        }
    }
}

static void encode_block(const float *x, struct fal_q8_k *block) {
    float d = fal_activation_scale(x, 256);
    memset(block, 0, sizeof *block);
    if (!(d >= FLT_MIN)) {
        block->d = d != d ? d : 0.0f;
        return;
    }
    float inverse = 1.0f / d;
    for (int j = 0; j < 16; j++) {
        int sum = 0;
        for (int l = 16 * j; l < 16 * j + 16; l++) {
            int code = fal_code_nearest(x[l] * inverse, -127, 127);
            block->q[l] = (int8_t)code;
            sum += code;
        }
        block->sums[j] = (int16_t)sum;
    }
    block->d = d;
}

void fal_q8_k_encode(const float *weights, const float *importance, void *blocks,
                     int64_t n_blocks) {
    (void)importance; /* activations have none */
    struct fal_q8_k *block = blocks;
    for (int64_t b = 0; b < n_blocks; b++) {
        encode_block(weights + 256 * b, &block[b]);
    }
}
