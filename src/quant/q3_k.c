/* q3_k: rows of three-bit codes with a scale for sixteen. */
#include "quant/q3_k.h"

#include "quant/encode_k.h"

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

void fal_q3_k_pack(const fal_k_fit *fit, struct fal_q3_k *block) {
    memset(block, 0, sizeof *block);
    block->d = fit->d;
    for (int j = 0; j < 16; j++) {
        int code = fit->scales[j] + 32;
        block->scales[j & 7] |= (uint8_t)((code & 15) << (j >> 3) * 4);
        block->scales[8 + (j & 3)] |= (uint8_t)((code >> 4) << (j >> 2) * 2);
    }
    for (int i = 0; i < 256; i++) {
        int code = fit->codes[i] + 4;
        block->qs[(i >> 7) * 32 + (i & 31)] |= (uint8_t)((code & 3) << (i >> 5 & 3) * 2);
        block->hmask[i & 31] |= (uint8_t)((code >> 2) << (i >> 5));
    }
}

void fal_q3_k_encode(const float *weights, const float *importance, void *blocks,
                     int64_t n_blocks) {
    encode_rows_q3_k(weights, importance, blocks, n_blocks);
}
