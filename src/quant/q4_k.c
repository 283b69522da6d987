/* q4_k: rows of four-bit codes with a scale and a minimum for thirty-two. */
#include "quant/q4_k.h"

#include "quant/encode_k.h"

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

void fal_q4_k_pack(const fal_k_fit *fit, struct fal_q4_k *block) {
    memset(block, 0, sizeof *block);
    block->d = fit->d;
    block->dmin = fit->dmin;
    fal_k_scales_pack(fit->scales, fit->minima, block->scales);
    for (int i = 0; i < 256; i++)
        block->qs[(i >> 6) * 32 + (i & 31)] |= (uint8_t)(fit->codes[i] << (i >> 5 & 1) * 4);
}

void fal_q4_k_encode(const float *weights, const float *importance, void *blocks,
                     int64_t n_blocks) {
    encode_rows_q4_k(weights, importance, blocks, n_blocks);
}
