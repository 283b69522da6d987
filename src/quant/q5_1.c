/* q5_1: rows of five-bit codes with scale and minimum. */
#include "quant/q5_1.h"

#include "quant/encode_blocks.h"

#include <string.h>

void fal_q5_1_decode(const void *blocks, float *weights, int64_t n_blocks) {
    const struct fal_q5_1 *block = blocks;
    for (int64_t b = 0; b < n_blocks; b++) {
        float d = fal_block_f16(block[b].d), m = fal_block_f16(block[b].m);
        for (int j = 0; j < 16; j++) {
            int low = block[b].qs[j] & 15, high = block[b].qs[j] >> 4;
            low |= (block[b].qh[j >> 3] >> (j & 7) & 1) << 4;
            high |= (block[b].qh[2 + (j >> 3)] >> (j & 7) & 1) << 4;
            weights[32 * b + j] = d * (float)low + m;
            weights[32 * b + j + 16] = d * (float)high + m;
        }
    }
}

void fal_q5_1_pack(const fal_block_fit *fit, struct fal_q5_1 *block) {
    memset(block, 0, sizeof *block);
    block->d = fit->d;
    block->m = fit->m;
    for (int j = 0; j < 16; j++) {
        int first = fit->codes[j], second = fit->codes[j + 16];
        block->qs[j] = (uint8_t)((first & 15) | (second & 15) << 4);
        block->qh[j >> 3] |= (uint8_t)((first >> 4) << (j & 7));
        block->qh[2 + (j >> 3)] |= (uint8_t)((second >> 4) << (j & 7));
    }
}

void fal_q5_1_encode(const float *weights, const float *importance, void *blocks,
                     int64_t n_blocks) {
    if (importance) {
        search_rows_q5_1(weights, importance, blocks, n_blocks);
        return;
    }
    struct fal_q5_1 *block = blocks;
    for (int64_t b = 0; b < n_blocks; b++) {
        fal_block_fit fit;
        fal_block_fit_range(weights + 32 * b, 31, &fit);
        fal_q5_1_pack(&fit, &block[b]);
    }
}
