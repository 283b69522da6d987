/* Four rows of weights side by side, and two such quads as a panel: what the products of this set are made of.
 *
 * A quad holds decoded codes so that lane r of a vector belongs to row r and one vector covers four columns. One
 * dot-product instruction multiplies it with four activations out of a register of sixteen, needs no sum across lanes,
 * and adds in 32 bits, where nothing overflows. Everything here is meant to be inlined with constant arguments. */
#ifndef FAL_COMPUTE_CPU_ARM_NEON_PANEL_H
#define FAL_COMPUTE_CPU_ARM_NEON_PANEL_H

#include "compute/cpu/kernels.h"

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FAL_PANEL_INLINE static inline __attribute__((always_inline))

enum {
    FAL_QUAD_ROWS = 4,
    FAL_QUAD_BYTES = 16, /* of one vector */
    FAL_PANEL_QUADS = 2,
    FAL_PANEL_ROWS = FAL_QUAD_ROWS * FAL_PANEL_QUADS,
    FAL_PANEL_TOKENS = 4, /* multiplied at a time */
    FAL_PANEL_MANY = 8 /* tokens from which on several panels share a reading of the activations */
};

/* Where the four rows begin. */
typedef struct fal_quad_rows {
    const uint8_t *at[FAL_QUAD_ROWS];
} fal_quad_rows;

/* Bytes [offset, offset + 16) of each row: out[j] lane r = bytes 4 j .. 4 j + 3 of row r. */
FAL_PANEL_INLINE void quad_gather16(const fal_quad_rows *rows, size_t offset, uint8x16_t out[4]) {
    uint32x4_t row[FAL_QUAD_ROWS];
    uint64x2_t even[2], odd[2]; /* words 0 and 2, 1 and 3, of two rows */
    for (int i = 0; i < FAL_QUAD_ROWS; i++)
        row[i] = vreinterpretq_u32_u8(vld1q_u8(rows->at[i] + offset));
    for (int i = 0; i < 2; i++) {
        even[i] = vreinterpretq_u64_u32(vtrn1q_u32(row[2 * i], row[2 * i + 1]));
        odd[i] = vreinterpretq_u64_u32(vtrn2q_u32(row[2 * i], row[2 * i + 1]));
    }
    out[0] = vreinterpretq_u8_u64(vtrn1q_u64(even[0], even[1]));
    out[1] = vreinterpretq_u8_u64(vtrn1q_u64(odd[0], odd[1]));
    out[2] = vreinterpretq_u8_u64(vtrn2q_u64(even[0], even[1]));
    out[3] = vreinterpretq_u8_u64(vtrn2q_u64(odd[0], odd[1]));
}

/* Bytes [offset, offset + 4) of each row. */
FAL_PANEL_INLINE uint32x4_t quad_gather4(const fal_quad_rows *rows, size_t offset) {
    uint32_t value[FAL_QUAD_ROWS];
    for (int i = 0; i < FAL_QUAD_ROWS; i++)
        memcpy(&value[i], rows->at[i] + offset, sizeof value[i]);
    return vld1q_u32(value);
}

/* The f16 at offset of each row. */
FAL_PANEL_INLINE float32x4_t quad_gather_f16(const fal_quad_rows *rows, size_t offset) {
    uint16_t value[FAL_QUAD_ROWS];
    for (int i = 0; i < FAL_QUAD_ROWS; i++)
        memcpy(&value[i], rows->at[i] + offset, sizeof value[i]);
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(value)));
}

FAL_PANEL_INLINE uint8x16_t quad_low_nibbles(uint8x16_t v) {
    return vandq_u8(v, vdupq_n_u8(15));
}

FAL_PANEL_INLINE uint8x16_t quad_high_nibbles(uint8x16_t v) {
    return vshrq_n_u8(v, 4);
}

FAL_PANEL_INLINE void quad_store(int8_t *codes, uint8x16_t v) {
    vst1q_s8(codes, vreinterpretq_s8_u8(v));
}

/* sum + codes . x over sixteen columns: four vectors of codes, one of activations. */
FAL_PANEL_INLINE int32x4_t quad_dot16(int32x4_t sum, const int8_t *codes, int8x16_t x) {
    sum = vdotq_laneq_s32(sum, vld1q_s8(codes), x, 0);
    sum = vdotq_laneq_s32(sum, vld1q_s8(codes + FAL_QUAD_BYTES), x, 1);
    sum = vdotq_laneq_s32(sum, vld1q_s8(codes + 2 * FAL_QUAD_BYTES), x, 2);
    return vdotq_laneq_s32(sum, vld1q_s8(codes + 3 * FAL_QUAD_BYTES), x, 3);
}

/* Rows [first, first + 4) of p's weights; beyond the last row stands the last one again. */
FAL_PANEL_INLINE fal_quad_rows quad_rows_from(const fal_product *p, int64_t first) {
    fal_quad_rows rows;
    for (int i = 0; i < FAL_QUAD_ROWS; i++) {
        int64_t row = first + i < p->n_rows ? first + i : p->n_rows - 1;
        rows.at[i] = (const uint8_t *)p->w + (size_t)row * p->w_row_bytes;
    }
    return rows;
}

/* How many of a quad's rows there are when n of its panel's are, from the quad's first one on. */
FAL_PANEL_INLINE size_t quad_n_rows(int64_t n) {
    return n < 0 ? 0 : n < FAL_QUAD_ROWS ? (size_t)n : (size_t)FAL_QUAD_ROWS;
}

/* The sums of a quad and one token in y; lanes beyond its rows stay out of memory. */
FAL_PANEL_INLINE float32x4_t quad_read_y(const float *y, int64_t n_rows) {
    if (n_rows >= FAL_QUAD_ROWS) return vld1q_f32(y);
    float lanes[FAL_QUAD_ROWS] = {0};
    memcpy(lanes, y, quad_n_rows(n_rows) * sizeof *y);
    return vld1q_f32(lanes);
}

FAL_PANEL_INLINE void quad_write_y(float *y, int64_t n_rows, float32x4_t v) {
    if (n_rows >= FAL_QUAD_ROWS) {
        vst1q_f32(y, v);
        return;
    }
    float lanes[FAL_QUAD_ROWS];
    vst1q_f32(lanes, v);
    memcpy(y, lanes, quad_n_rows(n_rows) * sizeof *y);
}

/* Asks for the bytes of the next panel, end to end, while bytes [offset, offset + bytes) of this one's rows are used. */
FAL_PANEL_INLINE void panel_prefetch_next(const fal_product *p, int64_t row, size_t offset,
                                          size_t bytes) {
    if (row + 2 * FAL_PANEL_ROWS > p->n_rows) return;
    const char *next = (const char *)p->w + (size_t)(row + FAL_PANEL_ROWS) * p->w_row_bytes
                       + offset * FAL_PANEL_ROWS;
    for (size_t i = 0; i < bytes * FAL_PANEL_ROWS; i += 64)
        __builtin_prefetch(next + i, 0, 2);
}

/* y of all rows and tokens becomes 0. */
FAL_PANEL_INLINE void panel_clear_y(const fal_product *p) {
    for (int64_t token = 0; token < p->n_tokens; token++)
        memset(p->y + token * p->y_stride, 0, (size_t)p->n_rows * sizeof *p->y);
}

#endif
