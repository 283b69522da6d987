/* bf16: decoding is exact, encoding rounds to nearest even. */
#include "quant/bf16.h"

void fal_bf16_decode(const void *blocks, float *weights, int64_t n_blocks) {
    const struct fal_bf16 *block = blocks;
    for (int64_t b = 0; b < n_blocks; b++) {
        weights[b] = fal_f32_from_bf16(block[b].bits);
    }
}

void fal_bf16_encode(const float *weights, const float *importance, void *blocks,
                     int64_t n_blocks) {
    (void)importance; /* every weight stands alone */
    struct fal_bf16 *block = blocks;
    for (int64_t b = 0; b < n_blocks; b++) {
        block[b].bits = fal_bf16_from_f32(weights[b]);
    }
}
