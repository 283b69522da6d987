/* q5_0: rows of five-bit codes with one scale. */
#include "quant/q5_0.h"

#include "quant/scale_search.h"

#include <string.h>

void fal_q5_0_decode(const void *blocks, float *weights, int64_t n_blocks) {
    const struct fal_q5_0 *block = blocks;
    for (int64_t b = 0; b < n_blocks; b++) {
        float d = fal_block_f16(block[b].d);
        for (int j = 0; j < 16; j++) {
            int low = block[b].qs[j] & 15, high = block[b].qs[j] >> 4;
            low |= (block[b].qh[j >> 3] >> (j & 7) & 1) << 4;
            high |= (block[b].qh[2 + (j >> 3)] >> (j & 7) & 1) << 4;
            weights[32 * b + j] = d * (float)(low - 16);
            weights[32 * b + j + 16] = d * (float)(high - 16);
        }
    }
}

static void encode_block(const float *x, struct fal_q5_0 *block) {
    float d = fal_signed_extreme(x, 32) / -16.0f, inverse = fal_inverse(d);
    block->d = fal_f16_scale(d);
    for (int j = 0; j < 16; j++) {
        int first = fal_code_cut(x[j] * inverse + 16.5f, 0, 31);
        int second = fal_code_cut(x[j + 16] * inverse + 16.5f, 0, 31);
        block->qs[j] = (uint8_t)((first & 15) | (second & 15) << 4);
        block->qh[j >> 3] |= (uint8_t)((first >> 4) << (j & 7));
        block->qh[2 + (j >> 3)] |= (uint8_t)((second >> 4) << (j & 7));
    }
}

void fal_q5_0_encode(const float *weights, const float *importance, void *blocks,
                     int64_t n_blocks) {
    (void)importance; /* not used by the reference encoders */
    struct fal_q5_0 *block = blocks;
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
