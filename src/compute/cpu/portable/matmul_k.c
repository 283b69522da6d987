/* Products with types of 256 weights, in plain C.
 *
 * Per block, in integers: dot = sum over sub-blocks of scale * (sum of code * x.q), low = sum of min * x.sums. Then
 * acc += (d * x.d) * dot, and acc -= (dmin * x.d) * low where the type has minima. Every set follows this order, one
 * accumulator per row and token, so all sets give the same bits. */
#include "compute/cpu/portable/units.h"
#include "quant/iq4_xs.h"
#include "quant/q2_k.h"
#include "quant/q3_k.h"
#include "quant/q4_k.h"
#include "quant/q5_k.h"
#include "quant/q6_k.h"
#include "quant/q8_k.h"

#include <stdbool.h>

enum {
    UNITS = 8 /* decoded at a time */
};

/* weight i = d * scale[i / 16] * q[i] - dmin * min[i / 16] */
struct unit {
    float d, dmin;
    int8_t q[256];
    int16_t scale[16], min[16];
};

/* Two bits per weight: per half of 128 weights 32 bytes, weights l + 32 k at bits 2 k of byte l. */
static int two_bits(const uint8_t *bytes, int index) {
    return bytes[(index >> 7) * 32 + (index & 31)] >> (index >> 5 & 3) * 2 & 3;
}

/* One bit per weight: weight 32 n + k at bit n of byte k. */
static int one_bit(const uint8_t *bytes, int index) {
    return bytes[index & 31] >> (index >> 5) & 1;
}

/* Four bits per weight: per 64 weights 32 bytes, first the low nibbles. */
static int nibble(const uint8_t *bytes, int index) {
    return bytes[(index >> 6) * 32 + (index & 31)] >> (index >> 5 & 1) * 4 & 15;
}

static void decode_q2_k(const uint8_t *bytes, void *decoded) {
    struct unit *unit = decoded;
    struct fal_q2_k block;
    memcpy(&block, bytes, sizeof block);
    unit->d = fal_block_f16(block.d);
    unit->dmin = fal_block_f16(block.dmin);
    for (int i = 0; i < 256; i++) {
        unit->q[i] = (int8_t)two_bits(block.qs, i);
    }
    for (int j = 0; j < 16; j++) {
        unit->scale[j] = block.scales[j] & 15;
        unit->min[j] = block.scales[j] >> 4;
    }
}

static void decode_q3_k(const uint8_t *bytes, void *decoded) {
    struct unit *unit = decoded;
    struct fal_q3_k block;
    memcpy(&block, bytes, sizeof block);
    unit->d = fal_block_f16(block.d);
    for (int i = 0; i < 256; i++) {
        unit->q[i] = (int8_t)((two_bits(block.qs, i) | one_bit(block.hmask, i) << 2) - 4);
    }
    for (int j = 0; j < 16; j++) {
        unit->scale[j] = (int16_t)fal_q3_k_scale(block.scales, j);
    }
}

static void decode_k_scales(const uint8_t *scales, struct unit *unit) {
    for (int j = 0; j < 16; j++) {
        unit->scale[j] = (int16_t)fal_k_scale(scales, j >> 1);
        unit->min[j] = (int16_t)fal_k_min(scales, j >> 1);
    }
}

static void decode_q4_k(const uint8_t *bytes, void *decoded) {
    struct unit *unit = decoded;
    struct fal_q4_k block;
    memcpy(&block, bytes, sizeof block);
    unit->d = fal_block_f16(block.d);
    unit->dmin = fal_block_f16(block.dmin);
    for (int i = 0; i < 256; i++) {
        unit->q[i] = (int8_t)nibble(block.qs, i);
    }
    decode_k_scales(block.scales, unit);
}

static void decode_q5_k(const uint8_t *bytes, void *decoded) {
    struct unit *unit = decoded;
    struct fal_q5_k block;
    memcpy(&block, bytes, sizeof block);
    unit->d = fal_block_f16(block.d);
    unit->dmin = fal_block_f16(block.dmin);
    for (int i = 0; i < 256; i++) {
        unit->q[i] = (int8_t)(nibble(block.qs, i) | one_bit(block.qh, i) << 4);
    }
    decode_k_scales(block.scales, unit);
}

static void decode_q6_k(const uint8_t *bytes, void *decoded) {
    struct unit *unit = decoded;
    struct fal_q6_k block;
    memcpy(&block, bytes, sizeof block);
    unit->d = fal_block_f16(block.d);
    for (int i = 0; i < 256; i++) {
        int low = block.ql[(i >> 7) * 64 + (i & 63)] >> (i >> 6 & 1) * 4 & 15;
        unit->q[i] = (int8_t)((low | two_bits(block.qh, i) << 4) - 32);
    }
    for (int j = 0; j < 16; j++) {
        unit->scale[j] = block.scales[j];
    }
}

static void decode_iq4_xs(const uint8_t *bytes, void *decoded) {
    struct unit *unit = decoded;
    static const int8_t values[16] = FAL_IQ4_VALUES;
    struct fal_iq4_xs block;
    memcpy(&block, bytes, sizeof block);
    unit->d = fal_block_f16(block.d);
    for (int i = 0; i < 256; i++) {
        unit->q[i] = values[block.qs[(i >> 5) * 16 + (i & 15)] >> (i >> 4 & 1) * 4 & 15];
    }
    for (int j = 0; j < 16; j++) {
        unit->scale[j] = (int16_t)fal_iq4_xs_scale(&block, j >> 1);
    }
}

static int dot_codes(const int8_t *a, const int8_t *b) {
    int sum = 0;
    for (int i = 0; i < 16; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

static float add_units(float acc, const void *decoded, const void *activations, int64_t n,
                       bool has_minimum) {
    const struct unit *units = decoded;
    const struct fal_q8_k *x = activations;
    for (int64_t i = 0; i < n; i++) {
        int32_t dot = 0, low = 0;
        for (int j = 0; j < 16; j++) {
            dot += units[i].scale[j] * dot_codes(units[i].q + 16 * j, x[i].q + 16 * j);
        }
        acc += units[i].d * x[i].d * (float)dot;
        if (!has_minimum) continue;
        for (int j = 0; j < 16; j++) {
            low += units[i].min[j] * x[i].sums[j];
        }
        acc -= units[i].dmin * x[i].d * (float)low;
    }
    return acc;
}

static void multiply(const fal_product *p, size_t block_bytes, fal_decode_unit *decode,
                     bool has_minimum) {
    struct unit units[UNITS];
    const fal_units kind = {
        256,    UNITS,     block_bytes, sizeof units[0], sizeof(struct fal_q8_k),
        decode, add_units, has_minimum};
    fal_multiply_units(p, &kind, units);
}

void fal_matmul_q2_k_portable(const fal_product *p) {
    multiply(p, sizeof(struct fal_q2_k), decode_q2_k, true);
}

void fal_matmul_q3_k_portable(const fal_product *p) {
    multiply(p, sizeof(struct fal_q3_k), decode_q3_k, false);
}

void fal_matmul_q4_k_portable(const fal_product *p) {
    multiply(p, sizeof(struct fal_q4_k), decode_q4_k, true);
}

void fal_matmul_q5_k_portable(const fal_product *p) {
    multiply(p, sizeof(struct fal_q5_k), decode_q5_k, true);
}

void fal_matmul_q6_k_portable(const fal_product *p) {
    multiply(p, sizeof(struct fal_q6_k), decode_q6_k, false);
}

void fal_matmul_iq4_xs_portable(const fal_product *p) {
    multiply(p, sizeof(struct fal_iq4_xs), decode_iq4_xs, false);
}
