/* q5_0: rows of five-bit codes with one scale. */
#include "quant/q5_0.h"

#include "quant/encode_blocks.h"

#include <string.h>

void fal_q5_0_decode(const void *blocks, float *weights, int64_t n_blocks) {
    const struct fal_q5_0 *block = blocks;
    for (int64_t b = 0; b < n_blocks; b++) {
        float d = fal_block_f16(block[b].d);
        for (int j = 0; j < 16; j++) {
            int low = block[b].qs[j] & 15, high = block[b].qs[j] >> 4;
            low |= (block[b].qh[j >> 3] >> (j & 7) & 1) << 4;
            high |= (block[b].qh[2 + (j >> 3)] >> (j & 7) & 1) << 4;
            weights[32 * b + j] = d * (float)(low - 16);
            weights[32 * b + j + 16] = d * (float)(high - 16);
        }
    }
}

void fal_q5_0_pack(const fal_block_fit *fit, struct fal_q5_0 *block) {
    memset(block, 0, sizeof *block);
    block->d = fit->d;
    for (int j = 0; j < 16; j++) {
        int first = fit->codes[j] + 16, second = fit->codes[j + 16] + 16;
        block->qs[j] = (uint8_t)((first & 15) | (second & 15) << 4);
        block->qh[j >> 3] |= (uint8_t)((first >> 4) << (j & 7));
        block->qh[2 + (j >> 3)] |= (uint8_t)((second >> 4) << (j & 7));
    }
}

void fal_q5_0_encode(const float *weights, const float *importance, void *blocks,
                     int64_t n_blocks) {
    if (importance) {
        search_rows_q5_0(weights, importance, blocks, n_blocks);
        return;
    }
    struct fal_q5_0 *block = blocks;
    for (int64_t b = 0; b < n_blocks; b++) {
        fal_block_fit fit;
        fal_block_fit_scale(weights + 32 * b, 16, &fit);
        fal_q5_0_pack(&fit, &block[b]);
    }
}
