/* f32: decoding and encoding copy. */
#include "quant/f32.h"

#include <string.h>

void fal_f32_decode(const void *blocks, float *weights, int64_t n_blocks) {
    if (n_blocks > 0) memcpy(weights, blocks, (size_t)n_blocks * sizeof(float));
}

void fal_f32_encode(const float *weights, const float *importance, void *blocks, int64_t n_blocks) {
    (void)importance;
    if (n_blocks > 0) memcpy(blocks, weights, (size_t)n_blocks * sizeof(float));
}
