/* q6_k: rows of six-bit codes with a scale for sixteen. */
#include "quant/q6_k.h"

#include "quant/scale_search.h"

#include <math.h>
#include <string.h>

void fal_q6_k_decode(const void *blocks, float *weights, int64_t n_blocks) {
    const struct fal_q6_k *block = blocks;
    for (int64_t b = 0; b < n_blocks; b++) {
        float d = fal_block_f16(block[b].d);
        for (int j = 0; j < 16; j++) {
            float scale = d * (float)block[b].scales[j];
            const uint8_t *ql = block[b].ql + (j >> 3) * 64 + (j & 3) * 16;
            const uint8_t *qh = block[b].qh + (j >> 3) * 32 + (j & 1) * 16;
            float *y = weights + 256 * b + 16 * j;
            for (int l = 0; l < 16; l++) {
                int code = (ql[l] >> (j >> 2 & 1) * 4 & 15) | (qh[l] >> (j >> 1 & 3) * 2 & 3) << 4;
                y[l] = scale * (float)(code - 32);
            }
        }
    }
}

static void encode_block(const float *x, struct fal_q6_k *block) {
    int codes[256];
    float scales[16];
    for (int j = 0; j < 16; j++) {
        scales[j] = fal_search_symmetric(x + 16 * j, 16, 32, codes + 16 * j);
    }
    float largest = fal_largest_scale(scales, 16);
    if (fabsf(largest) < FAL_SCALE_EPSILON) return;
    float inverse = -128.0f / largest;
    block->d = fal_f16_scale(1.0f / inverse);
    for (int j = 0; j < 16; j++) {
        block->scales[j] = (int8_t)fal_code_nearest(inverse * scales[j], -128, 127);
        float d = fal_block_f16(block->d) * (float)block->scales[j];
        if (d == 0.0f) continue;
        for (int l = 16 * j; l < 16 * j + 16; l++) {
            codes[l] = fal_code_nearest(x[l] / d, -32, 31);
        }
    }
    for (int i = 0; i < 256; i++) {
        int code = codes[i] + 32;
        block->ql[(i >> 7) * 64 + (i & 63)] |= (uint8_t)((code & 15) << (i >> 6 & 1) * 4);
        block->qh[(i >> 7) * 32 + (i & 31)] |= (uint8_t)((code >> 4) << (i >> 5 & 3) * 2);
    }
}

void fal_q6_k_encode(const float *weights, const float *importance, void *blocks,
                     int64_t n_blocks) {
    (void)importance; /* not used by the reference encoders */
    struct fal_q6_k *block = blocks;
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
