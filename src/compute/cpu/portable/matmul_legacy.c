/* Products with types of 32 weights and one or two scales, in plain C.
 *
 * Per block: acc += (d * x.d) * (sum of code * x.q), then acc += m * x.s where the type has a minimum or an offset.
 * Every set follows this order, one accumulator per row and token, so all sets give the same bits. */
#include "compute/cpu/portable/units.h"
#include "quant/iq4_nl.h"
#include "quant/q4_0.h"
#include "quant/q4_1.h"
#include "quant/q5_0.h"
#include "quant/q5_1.h"
#include "quant/q8_0.h"
#include "quant/q8_1.h"

#include <stdbool.h>

enum {
    UNITS = 64 /* decoded at a time */
};

/* weight = d * q + m */
struct unit {
    float d, m;
    int8_t q[32];
};

static void decode_nibbles(const uint8_t *qs, int8_t *q) {
    for (int j = 0; j < 16; j++) {
        q[j] = (int8_t)(qs[j] & 15);
        q[j + 16] = (int8_t)(qs[j] >> 4);
    }
}

static void add_fifth_bits(const uint8_t *qh, int8_t *q) {
    for (int j = 0; j < 32; j++) {
        q[j] = (int8_t)(q[j] | (qh[j >> 3] >> (j & 7) & 1) << 4);
    }
}

static void decode_q4_0(const uint8_t *bytes, void *decoded) {
    struct unit *unit = decoded;
    struct fal_q4_0 block;
    memcpy(&block, bytes, sizeof block);
    unit->d = fal_block_f16(block.d);
    unit->m = -8.0f * unit->d;
    decode_nibbles(block.qs, unit->q);
}

static void decode_q4_1(const uint8_t *bytes, void *decoded) {
    struct unit *unit = decoded;
    struct fal_q4_1 block;
    memcpy(&block, bytes, sizeof block);
    unit->d = fal_block_f16(block.d);
    unit->m = fal_block_f16(block.m);
    decode_nibbles(block.qs, unit->q);
}

static void decode_q5_0(const uint8_t *bytes, void *decoded) {
    struct unit *unit = decoded;
    struct fal_q5_0 block;
    memcpy(&block, bytes, sizeof block);
    unit->d = fal_block_f16(block.d);
    unit->m = -16.0f * unit->d;
    decode_nibbles(block.qs, unit->q);
    add_fifth_bits(block.qh, unit->q);
}

static void decode_q5_1(const uint8_t *bytes, void *decoded) {
    struct unit *unit = decoded;
    struct fal_q5_1 block;
    memcpy(&block, bytes, sizeof block);
    unit->d = fal_block_f16(block.d);
    unit->m = fal_block_f16(block.m);
    decode_nibbles(block.qs, unit->q);
    add_fifth_bits(block.qh, unit->q);
}

static void decode_q8_0(const uint8_t *bytes, void *decoded) {
    struct unit *unit = decoded;
    struct fal_q8_0 block;
    memcpy(&block, bytes, sizeof block);
    unit->d = fal_block_f16(block.d);
    memcpy(unit->q, block.q, sizeof block.q);
}

static void decode_iq4_nl(const uint8_t *bytes, void *decoded) {
    struct unit *unit = decoded;
    static const int8_t values[16] = FAL_IQ4_VALUES;
    struct fal_iq4_nl block;
    memcpy(&block, bytes, sizeof block);
    unit->d = fal_block_f16(block.d);
    for (int j = 0; j < 16; j++) {
        unit->q[j] = values[block.qs[j] & 15];
        unit->q[j + 16] = values[block.qs[j] >> 4];
    }
}

static int dot_codes(const int8_t *a, const int8_t *b) {
    int sum = 0;
    for (int i = 0; i < 32; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

static float add_units(float acc, const void *decoded, const void *activations, int64_t n,
                       bool has_minimum) {
    const struct unit *units = decoded;
    const struct fal_q8_1 *x = activations;
    for (int64_t i = 0; i < n; i++) {
        acc += units[i].d * x[i].d * (float)dot_codes(units[i].q, x[i].q);
        if (has_minimum) acc += units[i].m * x[i].s;
    }
    return acc;
}

static void multiply(const fal_product *p, size_t block_bytes, fal_decode_unit *decode,
                     bool has_minimum) {
    struct unit units[UNITS];
    const fal_units kind = {
        32,     UNITS,     block_bytes, sizeof units[0], sizeof(struct fal_q8_1),
        decode, add_units, has_minimum};
    fal_multiply_units(p, &kind, units);
}

void fal_matmul_q4_0_portable(const fal_product *p) {
    multiply(p, sizeof(struct fal_q4_0), decode_q4_0, true);
}

void fal_matmul_q4_1_portable(const fal_product *p) {
    multiply(p, sizeof(struct fal_q4_1), decode_q4_1, true);
}

void fal_matmul_q5_0_portable(const fal_product *p) {
    multiply(p, sizeof(struct fal_q5_0), decode_q5_0, true);
}

void fal_matmul_q5_1_portable(const fal_product *p) {
    multiply(p, sizeof(struct fal_q5_1), decode_q5_1, true);
}

void fal_matmul_q8_0_portable(const fal_product *p) {
    multiply(p, sizeof(struct fal_q8_0), decode_q8_0, false);
}

void fal_matmul_iq4_nl_portable(const fal_product *p) {
    multiply(p, sizeof(struct fal_iq4_nl), decode_iq4_nl, false);
}
