/* iq4_xs: weight = d * (scale - 32) * table[code], 256 weights in 136 bytes; a scale for 32 weights. */
#ifndef FAL_QUANT_IQ4_XS_H
#define FAL_QUANT_IQ4_XS_H

#include "quant/iq4_nl.h"

struct fal_iq4_xs {
    uint16_t d;          /* f16 */
    uint16_t scales_h;   /* bits 2 j, 2 j + 1: high two bits of scale j */
    uint8_t scales_l[4]; /* nibble j (low one first): low four bits of scale j */
    uint8_t qs[128];     /* per 32 weights 16 bytes as in iq4_nl */
};

FAL_BLOCK_SIZE(struct fal_iq4_xs, 136);

/* The scale of weights 32 j .. 32 j + 31, -32 .. 31. */
static inline FAL_HOST_DEVICE int fal_iq4_xs_scale(const struct fal_iq4_xs *block, int j) {
    int low = block->scales_l[j >> 1] >> (j & 1) * 4 & 15;
    int high = block->scales_h >> 2 * j & 3;
    return (low | high << 4) - 32;
}

static inline FAL_HOST_DEVICE float fal_iq4_xs_weight(const struct fal_iq4_xs *block, int index) {
    int j = index >> 5;
    int code = block->qs[j * 16 + (index & 15)] >> (index >> 4 & 1) * 4 & 15;
    return fal_block_f16(block->d) * (float)fal_iq4_xs_scale(block, j) * (float)fal_iq4_value(code);
}

void fal_iq4_xs_decode(const void *blocks, float *weights, int64_t n_blocks);
void fal_iq4_xs_encode(const float *weights, const float *importance, void *blocks,
                       int64_t n_blocks);

#endif
