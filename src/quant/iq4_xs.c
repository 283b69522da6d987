/* iq4_xs: rows of four-bit codes into the uneven table with a six-bit scale for thirty-two. */
#include "quant/iq4_xs.h"

#include "quant/encode_k.h"

#include <string.h>

void fal_iq4_xs_decode(const void *blocks, float *weights, int64_t n_blocks) {
    const struct fal_iq4_xs *block = blocks;
    for (int64_t b = 0; b < n_blocks; b++) {
        float d = fal_block_f16(block[b].d);
        for (int j = 0; j < 8; j++) {
            float scale = d * (float)fal_iq4_xs_scale(&block[b], j);
            float *y = weights + 256 * b + 32 * j;
            for (int l = 0; l < 16; l++) {
                y[l] = scale * (float)fal_iq4_value(block[b].qs[16 * j + l] & 15);
                y[l + 16] = scale * (float)fal_iq4_value(block[b].qs[16 * j + l] >> 4);
            }
        }
    }
}

void fal_iq4_xs_pack(const fal_k_fit *fit, struct fal_iq4_xs *block) {
    memset(block, 0, sizeof *block);
    block->d = fit->d;
    for (int j = 0; j < 8; j++) {
        int scale = fit->scales[j] + 32;
        block->scales_l[j >> 1] |= (uint8_t)((scale & 15) << (j & 1) * 4);
        block->scales_h = (uint16_t)(block->scales_h | scale >> 4 << 2 * j);
        for (int l = 0; l < 16; l++) {
            const int8_t *codes = fit->codes + 32 * j + l;
            block->qs[16 * j + l] = (uint8_t)(codes[0] | codes[16] << 4);
        }
    }
}

void fal_iq4_xs_encode(const float *weights, const float *importance, void *blocks,
                       int64_t n_blocks) {
    encode_rows_iq4_xs(weights, importance, blocks, n_blocks);
}
