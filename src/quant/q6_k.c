/* q6_k: rows of six-bit codes with a scale for sixteen. */
#include "quant/q6_k.h"

#include "quant/encode_k.h"

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

void fal_q6_k_pack(const fal_k_fit *fit, struct fal_q6_k *block) {
    memset(block, 0, sizeof *block);
    block->d = fit->d;
    memcpy(block->scales, fit->scales, sizeof block->scales);
    for (int i = 0; i < 256; i++) {
        int code = fit->codes[i] + 32;
        block->ql[(i >> 7) * 64 + (i & 63)] |= (uint8_t)((code & 15) << (i >> 6 & 1) * 4);
        block->qh[(i >> 7) * 32 + (i & 31)] |= (uint8_t)((code >> 4) << (i >> 5 & 3) * 2);
    }
}

void fal_q6_k_encode(const float *weights, const float *importance, void *blocks,
                     int64_t n_blocks) {
    encode_rows_q6_k(weights, importance, blocks, n_blocks);
}
