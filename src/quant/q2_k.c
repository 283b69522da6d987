/* q2_k: rows of two-bit codes with a scale and a minimum for sixteen. */
#include "quant/q2_k.h"

#include "quant/encode_k.h"

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

void fal_q2_k_pack(const fal_k_fit *fit, struct fal_q2_k *block) {
    memset(block, 0, sizeof *block);
    block->d = fit->d;
    block->dmin = fit->dmin;
    for (int j = 0; j < 16; j++)
        block->scales[j] = (uint8_t)(fit->scales[j] | fit->minima[j] << 4);
    for (int i = 0; i < 256; i++)
        block->qs[(i >> 7) * 32 + (i & 31)] |= (uint8_t)(fit->codes[i] << (i >> 5 & 3) * 2);
}

void fal_q2_k_encode(const float *weights, const float *importance, void *blocks,
                     int64_t n_blocks) {
    encode_rows_q2_k(weights, importance, blocks, n_blocks);
}
