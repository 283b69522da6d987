/* iq4_nl: rows of four-bit codes into the uneven table; the search that iq4_xs shares. */
#include "quant/iq4_nl.h"

#include "quant/scale_search.h"

#include <math.h>
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

/* The sums of least squares x ~ scale * value with weights x^2, for the codes of x * inverse. */
static void table_sums(const float *x, float inverse, float *sum_xv, float *sum_v2) {
    *sum_xv = 0.0f;
    *sum_v2 = 0.0f;
    for (int j = 0; j < 32; j++) {
        float v = (float)fal_iq4_value(fal_iq4_code(inverse * x[j])), w = x[j] * x[j];
        *sum_xv += w * v * x[j];
        *sum_v2 += w * v * v;
    }
}

float fal_iq4_search(const float *x) {
    float sum_xv, sum_v2, lowest = (float)fal_iq4_value(0), extreme = fal_signed_extreme(x, 32);
    if (fabsf(extreme) < FAL_SCALE_EPSILON) return 0.0f;
    table_sums(x, 1.0f / (-extreme / lowest), &sum_xv, &sum_v2);
    /* Squares of weights near the epsilon vanish in f32. */
    if (!(sum_v2 > 0.0f)) return 0.0f;
    float scale = sum_xv / sum_v2, best = scale * sum_xv;
    for (int k = -7; k <= 7; k++) {
        table_sums(x, ((float)k + lowest) / extreme, &sum_xv, &sum_v2);
        if (sum_v2 > 0.0f && sum_xv * sum_xv > best * sum_v2) {
            scale = sum_xv / sum_v2;
            best = scale * sum_xv;
        }
    }
    return scale;
}

static void encode_block(const float *x, struct fal_iq4_nl *block) {
    float d = fal_iq4_search(x), inverse = fal_inverse(d);
    block->d = fal_f16_scale(d);
    for (int j = 0; j < 16; j++) {
        int first = fal_iq4_code(x[j] * inverse), second = fal_iq4_code(x[j + 16] * inverse);
        block->qs[j] = (uint8_t)(first | second << 4);
    }
}

void fal_iq4_nl_encode(const float *weights, const float *importance, void *blocks,
                       int64_t n_blocks) {
    (void)importance; /* not used by the reference encoders */
    struct fal_iq4_nl *block = blocks;
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
