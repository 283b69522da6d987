/* q4_0: rows of four-bit codes with one scale. */
#include "quant/q4_0.h"

#include "quant/scale_search.h"

#include <string.h>

void fal_q4_0_decode(const void *blocks, float *weights, int64_t n_blocks) {
    const struct fal_q4_0 *block = blocks;
    for (int64_t b = 0; b < n_blocks; b++) {
        float d = fal_block_f16(block[b].d);
        for (int j = 0; j < 16; j++) {
            int low = block[b].qs[j] & 15, high = block[b].qs[j] >> 4;
            weights[32 * b + j] = d * (float)(low - 8);
            weights[32 * b + j + 16] = d * (float)(high - 8);
        }
    }
}

static void encode_block(const float *x, struct fal_q4_0 *block) {
    float d = fal_signed_extreme(x, 32) / -8.0f, inverse = fal_inverse(d);
    block->d = fal_f16_scale(d);
    for (int j = 0; j < 16; j++) {
        int first = fal_code_cut(x[j] * inverse + 8.5f, 0, 15);
        int second = fal_code_cut(x[j + 16] * inverse + 8.5f, 0, 15);
        block->qs[j] = (uint8_t)(first | second << 4);
    }
}

void fal_q4_0_encode(const float *weights, const float *importance, void *blocks,
                     int64_t n_blocks) {
    (void)importance; /* not used by the reference encoders */
    struct fal_q4_0 *block = blocks;
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
