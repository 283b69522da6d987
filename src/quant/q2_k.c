/* q2_k: rows of two-bit codes with a scale and a minimum for sixteen. */
#include "quant/q2_k.h"

#include "quant/scale_search.h"

#include <math.h>
#include <string.h>

void fal_q2_k_decode(const void *blocks, float *weights, int64_t n_blocks) {
    const struct fal_q2_k *block = blocks;
    for (int64_t b = 0; b < n_blocks; b++) {
        float d = fal_block_f16(block[b].d), dmin = fal_block_f16(block[b].dmin);
        for (int j = 0; j < 16; j++) {
            float scale = d * (float)(block[b].scales[j] & 15);
            float minimum = dmin * (float)(block[b].scales[j] >> 4);
            const uint8_t *qs = block[b].qs + (j >> 3) * 32 + (j & 1) * 16;
            float *y = weights + 256 * b + 16 * j;
            for (int l = 0; l < 16; l++) {
                y[l] = scale * (float)(qs[l] >> (j >> 1 & 3) * 2 & 3) - minimum;
            }
        }
    }
}

/* Scales and minima of the sixteen sub-blocks to four bits each. */
static void store_scales(const float *scales, const float *minima, struct fal_q2_k *block) {
    float largest_scale = 0.0f, largest_minimum = 0.0f;
    for (int j = 0; j < 16; j++) {
        if (scales[j] > largest_scale) largest_scale = scales[j];
        if (minima[j] > largest_minimum) largest_minimum = minima[j];
    }
    float inverse_scale = largest_scale > 0.0f ? 15.0f / largest_scale : 0.0f;
    float inverse_minimum = largest_minimum > 0.0f ? 15.0f / largest_minimum : 0.0f;
    for (int j = 0; j < 16; j++) {
        int scale = fal_code_nearest(inverse_scale * scales[j], 0, 15);
        int minimum = fal_code_nearest(inverse_minimum * minima[j], 0, 15);
        block->scales[j] = (uint8_t)(scale | minimum << 4);
    }
    block->d = fal_f16_scale(largest_scale / 15.0f);
    block->dmin = fal_f16_scale(largest_minimum / 15.0f);
}

static void encode_block(const float *x, struct fal_q2_k *block) {
    static const fal_scale_min_search search = {16, 3, -0.5f, 0.1f, 15, true};
    int codes[256];
    float scales[16], minima[16];
    for (int j = 0; j < 16; j++) {
        float importance[16];
        for (int l = 0; l < 16; l++) {
            importance[l] = fabsf(x[16 * j + l]);
        }
        scales[j] =
            fal_search_scale_min(&search, x + 16 * j, importance, codes + 16 * j, &minima[j]);
    }
    store_scales(scales, minima, block);
    for (int j = 0; j < 16; j++) {
        float d = fal_block_f16(block->d) * (float)(block->scales[j] & 15);
        float minimum = fal_block_f16(block->dmin) * (float)(block->scales[j] >> 4);
        if (d == 0.0f) continue;
        for (int l = 16 * j; l < 16 * j + 16; l++) {
            codes[l] = fal_code_nearest((x[l] + minimum) / d, 0, 3);
        }
    }
    for (int i = 0; i < 256; i++) {
        block->qs[(i >> 7) * 32 + (i & 31)] |= (uint8_t)(codes[i] << (i >> 5 & 3) * 2);
    }
}

void fal_q2_k_encode(const float *weights, const float *importance, void *blocks,
                     int64_t n_blocks) {
    (void)importance; /* not used by the reference encoders */
    struct fal_q2_k *block = blocks;
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
