/* iq4_nl: rows of four-bit codes into the uneven table; the search that iq4_xs shares. */
#include "quant/iq4_nl.h"

#include "quant/encode_blocks.h"

#include <string.h>

void fal_iq4_nl_decode(const void *blocks, float *weights, int64_t n_blocks) {
    const struct fal_iq4_nl *block = blocks;
    for (int64_t b = 0; b < n_blocks; b++) {
        float d = fal_block_f16(block[b].d);
        for (int j = 0; j < 16; j++) {
            weights[32 * b + j] = d * (float)fal_iq4_value(block[b].qs[j] & 15);
            weights[32 * b + j + 16] = d * (float)fal_iq4_value(block[b].qs[j] >> 4);
        }
    }
}

int fal_iq4_code(float x) {
    /* The middles between neighbours in the table: each one that x reaches raises the code. */
    static const float middles[15] = {-115.5f, -93.5f, -74.0f, -57.0f, -42.0f,
                                      -28.5f,  -16.0f, -4.5f,  7.0f,   19.0f,
                                      31.5f,   45.5f,  61.0f,  79.0f,  101.0f};
    int code = 0;
    for (int k = 0; k < 15; k++) {
        code += x >= middles[k];
    }
    return code;
}

void fal_iq4_nl_pack(const fal_block_fit *fit, struct fal_iq4_nl *block) {
    memset(block, 0, sizeof *block);
    block->d = fit->d;
    for (int j = 0; j < 16; j++) {
        int first = fit->codes[j], second = fit->codes[j + 16];
        block->qs[j] = (uint8_t)(first | second << 4);
    }
}

void fal_iq4_nl_encode(const float *weights, const float *importance, void *blocks,
                       int64_t n_blocks) {
    search_rows_iq4_nl(weights, importance, blocks, n_blocks);
}
