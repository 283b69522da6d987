/* q3_k: rows of three-bit codes with a scale for sixteen. */
#include "quant/q3_k.h"

#include "quant/scale_search.h"

#include <string.h>

void fal_q3_k_decode(const void *blocks, float *weights, int64_t n_blocks) {
    const struct fal_q3_k *block = blocks;
    for (int64_t b = 0; b < n_blocks; b++) {
        float d = fal_block_f16(block[b].d);
        for (int j = 0; j < 16; j++) {
            float scale = d * (float)fal_q3_k_scale(block[b].scales, j);
            const uint8_t *qs = block[b].qs + (j >> 3) * 32 + (j & 1) * 16;
            const uint8_t *hmask = block[b].hmask + (j & 1) * 16;
            float *y = weights + 256 * b + 16 * j;
            for (int l = 0; l < 16; l++) {
                int code = (qs[l] >> (j >> 1 & 3) * 2 & 3) | (hmask[l] >> (j >> 1) & 1) << 2;
                y[l] = scale * (float)(code - 4);
            }
        }
    }
}

static void store_scales(const float *scales, struct fal_q3_k *block) {
    float largest = fal_largest_scale(scales, 16);
    if (largest == 0.0f) return;
    float inverse = -32.0f / largest;
    for (int j = 0; j < 16; j++) {
        int code = fal_code_nearest(inverse * scales[j], -32, 31) + 32;
        block->scales[j & 7] |= (uint8_t)((code & 15) << (j >> 3) * 4);
        block->scales[8 + (j & 3)] |= (uint8_t)((code >> 4) << (j >> 2) * 2);
    }
    block->d = fal_f16_scale(1.0f / inverse);
}

static void encode_block(const float *x, struct fal_q3_k *block) {
    int codes[256];
    float scales[16];
    for (int j = 0; j < 16; j++) {
        scales[j] = fal_search_symmetric_passes(x + 16 * j, 16, 4, codes + 16 * j);
    }
    store_scales(scales, block);
    for (int j = 0; j < 16; j++) {
        float d = fal_block_f16(block->d) * (float)fal_q3_k_scale(block->scales, j);
        if (d == 0.0f) continue;
        for (int l = 16 * j; l < 16 * j + 16; l++) {
            codes[l] = fal_code_nearest(x[l] / d, -4, 3);
        }
    }
    for (int i = 0; i < 256; i++) {
        int code = codes[i] + 4;
        block->qs[(i >> 7) * 32 + (i & 31)] |= (uint8_t)((code & 3) << (i >> 5 & 3) * 2);
        block->hmask[i & 31] |= (uint8_t)((code >> 2) << (i >> 5));
    }
}

void fal_q3_k_encode(const float *weights, const float *importance, void *blocks,
                     int64_t n_blocks) {
    (void)importance; /* not used by the reference encoders */
    struct fal_q3_k *block = blocks;
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
