/* iq4_xs: rows of four-bit codes into the uneven table with a six-bit scale for thirty-two. */
#include "quant/iq4_xs.h"

#include "quant/scale_search.h"

#include <string.h>

void fal_iq4_xs_decode(const void *blocks, float *weights, int64_t n_blocks) {
    const struct fal_iq4_xs *block = blocks;
    for (int64_t b = 0; b < n_blocks; b++) {
        float d = fal_block_f16(block[b].d);
        for (int j = 0; j < 8; j++) {
            float scale = d * (float)fal_iq4_xs_scale(&block[b], j);
            float *y = weights + 256 * b + 32 * j;
            for (int l = 0; l < 16; l++) {
                y[l] = scale * (float)fal_iq4_value(block[b].qs[16 * j + l] & 15);
                y[l + 16] = scale * (float)fal_iq4_value(block[b].qs[16 * j + l] >> 4);
            }
        }
    }
}

static void encode_block(const float *x, struct fal_iq4_xs *block) {
    float scales[8];
    for (int j = 0; j < 8; j++) {
        scales[j] = fal_iq4_search(x + 32 * j);
    }
    float d = -fal_largest_scale(scales, 8) / 32.0f, inverse = fal_inverse(d);
    block->d = fal_f16_scale(d);
    for (int j = 0; j < 8; j++) {
        int code = fal_code_nearest(inverse * scales[j], -32, 31);
        float inverse_scale = fal_inverse(d * (float)code);
        block->scales_l[j >> 1] |= (uint8_t)(((code + 32) & 15) << (j & 1) * 4);
        block->scales_h = (uint16_t)(block->scales_h | (code + 32) >> 4 << 2 * j);
        for (int l = 0; l < 16; l++) {
            int first = fal_iq4_code(inverse_scale * x[32 * j + l]);
            int second = fal_iq4_code(inverse_scale * x[32 * j + l + 16]);
            block->qs[16 * j + l] = (uint8_t)(first | second << 4);
        }
    }
}

void fal_iq4_xs_encode(const float *weights, const float *importance, void *blocks,
                       int64_t n_blocks) {
    (void)importance; /* not used by the reference encoders */
    struct fal_iq4_xs *block = blocks;
    for (int64_t b = 0; b < n_blocks; b++) {
        float x[256];
        memset(&block[b], 0, sizeof block[b]);
        if (fal_weights_bound(weights + 256 * b, 256, x)) {
            encode_block(x, &block[b]);
        } else {
            block[b].d = FAL_F16_NAN;
        }
    }
}
