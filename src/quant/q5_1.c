/* q5_1: rows of five-bit codes with scale and minimum. */
#include "quant/q5_1.h"

#include "quant/scale_search.h"

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

static void encode_block(const float *x, struct fal_q5_1 *block) {
    float low = x[0], high = x[0];
    for (int j = 1; j < 32; j++) {
        if (x[j] < low) low = x[j];
        if (x[j] > high) high = x[j];
    }
    float d = (high - low) / 31.0f, inverse = fal_inverse(d);
    block->d = fal_f16_scale(d);
    block->m = fal_f16_scale(low);
    for (int j = 0; j < 16; j++) {
        int first = fal_code_cut((x[j] - low) * inverse + 0.5f, 0, 31);
        int second = fal_code_cut((x[j + 16] - low) * inverse + 0.5f, 0, 31);
        block->qs[j] = (uint8_t)((first & 15) | (second & 15) << 4);
        block->qh[j >> 3] |= (uint8_t)((first >> 4) << (j & 7));
        block->qh[2 + (j >> 3)] |= (uint8_t)((second >> 4) << (j & 7));
    }
}

void fal_q5_1_encode(const float *weights, const float *importance, void *blocks,
                     int64_t n_blocks) {
    (void)importance; /* not used by the reference encoders */
    struct fal_q5_1 *block = blocks;
    for (int64_t b = 0; b < n_blocks; b++) {
        float x[32];
        memset(&block[b], 0, sizeof block[b]);
        if (fal_weights_bound(weights + 32 * b, 32, x)) {
            encode_block(x, &block[b]);
        } else {
            block[b].d = FAL_F16_NAN;
        }
    }
}
