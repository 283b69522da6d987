/* q4_k: rows of four-bit codes with a scale and a minimum for thirty-two. */
#include "quant/q4_k.h"

#include "quant/scale_search.h"

#include <string.h>

void fal_q4_k_decode(const void *blocks, float *weights, int64_t n_blocks) {
    const struct fal_q4_k *block = blocks;
    for (int64_t b = 0; b < n_blocks; b++) {
        float d = fal_block_f16(block[b].d), dmin = fal_block_f16(block[b].dmin);
        for (int j = 0; j < 8; j++) {
            float scale = d * (float)fal_k_scale(block[b].scales, j);
            float minimum = dmin * (float)fal_k_min(block[b].scales, j);
            const uint8_t *qs = block[b].qs + (j >> 1) * 32;
            float *y = weights + 256 * b + 32 * j;
            for (int l = 0; l < 32; l++) {
                y[l] = scale * (float)(qs[l] >> (j & 1) * 4 & 15) - minimum;
            }
        }
    }
}

static void encode_block(const float *x, struct fal_q4_k *block) {
    static const fal_scale_min_search search = {32, 15, -1.0f, 0.1f, 20, false};
    int codes[256];
    fal_k_scales_encode(&search, x, codes, block->scales, &block->d, &block->dmin);
    for (int j = 0; j < 8; j++) {
        float d = fal_block_f16(block->d) * (float)fal_k_scale(block->scales, j);
        float minimum = fal_block_f16(block->dmin) * (float)fal_k_min(block->scales, j);
        if (d == 0.0f) continue;
        for (int l = 32 * j; l < 32 * j + 32; l++) {
            codes[l] = fal_code_nearest((x[l] + minimum) / d, 0, 15);
        }
    }
    for (int i = 0; i < 256; i++) {
        block->qs[(i >> 6) * 32 + (i & 31)] |= (uint8_t)(codes[i] << (i >> 5 & 1) * 4);
    }
}

void fal_q4_k_encode(const float *weights, const float *importance, void *blocks,
                     int64_t n_blocks) {
    (void)importance; /* not used by the reference encoders */
    struct fal_q4_k *block = blocks;
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
