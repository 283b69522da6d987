/* f16: decoding is exact, encoding rounds to nearest even. */
#include "quant/f16.h"

void fal_f16_decode(const void *blocks, float *weights, int64_t n_blocks) {
    const struct fal_f16 *block = blocks;
    for (int64_t b = 0; b < n_blocks; b++) {
        weights[b] = fal_block_f16(block[b].bits);
    }
}

void fal_f16_encode(const float *weights, const float *importance, void *blocks, int64_t n_blocks) {
    (void)importance; /* every weight stands alone */
    struct fal_f16 *block = blocks;
    for (int64_t b = 0; b < n_blocks; b++) {
        block[b].bits = fal_f16_from_f32(weights[b]);
    }
}
