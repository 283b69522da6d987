/* q8_0: rows of eight-bit codes with one scale. */
#include "quant/q8_0.h"

#include "quant/rounding.h"

#include <math.h>
#include <string.h>

void fal_q8_0_decode(const void *blocks, float *weights, int64_t n_blocks) {
    const struct fal_q8_0 *block = blocks;
    for (int64_t b = 0; b < n_blocks; b++) {
        float d = fal_block_f16(block[b].d);
        for (int j = 0; j < 32; j++) {
            weights[32 * b + j] = d * (float)block[b].q[j];
        }
    }
}

static void encode_block(const float *x, struct fal_q8_0 *block) {
    block->d = fal_f16_scale(fabsf(fal_signed_extreme(x, 32)) / 127.0f);
    float inverse = fal_inverse(fal_block_f16(block->d));
    for (int j = 0; j < 32; j++)
        block->q[j] = (int8_t)fal_code_nearest(x[j] * inverse, -127, 127);
}

void fal_q8_0_encode(const float *weights, const float *importance, void *blocks,
                     int64_t n_blocks) {
    (void)importance; /* eight bits leave nothing to weigh */
    struct fal_q8_0 *block = blocks;
    for (int64_t b = 0; b < n_blocks; b++) {
        float x[32];
        memset(&block[b], 0, sizeof block[b]);
        if (fal_weights_bound(weights + 32 * b, 32, x)) {
            encode_block(x, &block[b]);
        } else {
            block[b].d = FAL_F16_NAN;
        }
    }
}
