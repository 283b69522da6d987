/* iq4_nl: weight = d * table[code], 32 weights in 18 bytes; the table is uneven. */
#ifndef FAL_QUANT_IQ4_NL_H
#define FAL_QUANT_IQ4_NL_H

#include "quant/host_device.h"

struct fal_iq4_nl {
    uint16_t d;     /* f16 */
    uint8_t qs[16]; /* byte j: low nibble weight j, high nibble weight j + 16 */
};

FAL_BLOCK_SIZE(struct fal_iq4_nl, 18);

/* The sixteen values of iq4_nl and iq4_xs, rising: `static const int8_t values[16] = FAL_IQ4_VALUES;` */
#define FAL_IQ4_VALUES \
    { -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113 }

static inline FAL_HOST_DEVICE int fal_iq4_value(int code) {
    static const int8_t values[16] = FAL_IQ4_VALUES;
    return values[code];
}

static inline FAL_HOST_DEVICE float fal_iq4_nl_weight(const struct fal_iq4_nl *block, int index) {
    int code = block->qs[index & 15] >> (index >> 4) * 4 & 15;
    return fal_block_f16(block->d) * (float)fal_iq4_value(code);
}

/* The code whose table value is nearest to x; the higher one on ties. */
int fal_iq4_code(float x);

void fal_iq4_nl_decode(const void *blocks, float *weights, int64_t n_blocks);
void fal_iq4_nl_encode(const float *weights, const float *importance, void *blocks,
                       int64_t n_blocks);

#endif
