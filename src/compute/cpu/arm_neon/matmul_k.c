/* Products with types of 256 weights, with NEON: panels of eight rows (panel.h).
 *
 * Order of additions and bits are those of portable/matmul_k.c: all sums within a block are exact integers. */
#include "compute/cpu/arm_neon/panel.h"
#include "compute/cpu/kernels.h"
#include "quant/iq4_xs.h"
#include "quant/q2_k.h"
#include "quant/q3_k.h"
#include "quant/q4_k.h"
#include "quant/q5_k.h"
#include "quant/q6_k.h"
#include "quant/q8_k.h"

#include <stdbool.h>

enum {
    MANY_PANELS = 4 /* panels that share a reading of the activations */
};

/* One block of four rows. Vector g of codes holds columns 4 g .. 4 g + 3, signed. */
struct quad {
    int8_t codes[64][FAL_QUAD_BYTES];
    int32_t scale[16][FAL_QUAD_ROWS]; /* of sub-blocks of 16 or 32 columns */
    int16_t min[16][FAL_QUAD_ROWS];
    float d[FAL_QUAD_ROWS], dmin[FAL_QUAD_ROWS];
};

struct panel {
    struct quad quads[FAL_PANEL_QUADS];
};

/* Decodes the block at offset of each row. */
typedef void decode_block(const fal_quad_rows *rows, size_t offset, struct quad *quad);

FAL_PANEL_INLINE uint8x16_t masked(uint8x16_t v, int mask) {
    return vandq_u8(v, vdupq_n_u8((uint8_t)mask));
}

/* To the right, or to the left by a negative count. */
FAL_PANEL_INLINE uint8x16_t shifted(uint8x16_t v, int count) {
    return vshlq_u8(v, vdupq_n_s8((int8_t)-count));
}

/* The four unsigned bytes of each lane as scales of sub-blocks first .. first + 3. */
FAL_PANEL_INLINE void store_scales(struct quad *quad, int first, uint8x16_t bytes) {
    uint32x4_t lanes = vreinterpretq_u32_u8(bytes);
    for (int j = 0; j < 4; j++) {
        uint32x4_t byte = vandq_u32(vshlq_u32(lanes, vdupq_n_s32(-8 * j)), vdupq_n_u32(255));
        vst1q_s32(quad->scale[first + j], vreinterpretq_s32_u32(byte));
    }
}

/* The same for signed bytes. */
FAL_PANEL_INLINE void store_signed_scales(struct quad *quad, int first, uint8x16_t bytes) {
    int32x4_t lanes = vreinterpretq_s32_u8(bytes);
    for (int j = 0; j < 4; j++) {
        int32x4_t top = vshlq_s32(lanes, vdupq_n_s32(24 - 8 * j));
        vst1q_s32(quad->scale[first + j], vshrq_n_s32(top, 24));
    }
}

FAL_PANEL_INLINE void store_minima(struct quad *quad, int first, uint8x16_t bytes) {
    uint32x4_t lanes = vreinterpretq_u32_u8(bytes);
    for (int j = 0; j < 4; j++) {
        uint32x4_t byte = vandq_u32(vshlq_u32(lanes, vdupq_n_s32(-8 * j)), vdupq_n_u32(255));
        vst1_s16(quad->min[first + j], vreinterpret_s16_u16(vmovn_u32(byte)));
    }
}

/* Codes less what the type subtracts from them. */
FAL_PANEL_INLINE void store_less(int8_t *codes, uint8x16_t v, int offset) {
    vst1q_s8(codes, vsubq_s8(vreinterpretq_s8_u8(v), vdupq_n_s8((int8_t)offset)));
}

FAL_PANEL_INLINE uint8x16_t load_codes(const int8_t *codes) {
    return vreinterpretq_u8_s8(vld1q_s8(codes));
}

/* Two bits of each weight: vector 32 h + 8 k + j from bits 2 k of vector j of a half's 32 bytes. */
FAL_PANEL_INLINE void decode_two_bits(const fal_quad_rows *rows, size_t offset, struct quad *quad) {
    uint8x16_t bytes[4];
    for (int part = 0; part < 4; part++) { /* sixteen bytes, two parts for each half */
        quad_gather16(rows, offset + 16 * (size_t)part, bytes);
        for (int j = 0; j < 4; j++) {
            int8_t(*codes)[FAL_QUAD_BYTES] = quad->codes + 32 * (part / 2) + 4 * (part & 1) + j;
            quad_store(codes[0], masked(bytes[j], 3));
            quad_store(codes[8], masked(vshrq_n_u8(bytes[j], 2), 3));
            quad_store(codes[16], masked(vshrq_n_u8(bytes[j], 4), 3));
            quad_store(codes[24], vshrq_n_u8(bytes[j], 6));
        }
    }
}

FAL_PANEL_INLINE void decode_nibbles(const fal_quad_rows *rows, size_t offset, struct quad *quad) {
    uint8x16_t bytes[4];
    for (int part = 0; part < 8; part++) { /* two parts for each 64 weights */
        quad_gather16(rows, offset + 16 * (size_t)part, bytes);
        for (int j = 0; j < 4; j++) {
            int8_t(*codes)[FAL_QUAD_BYTES] = quad->codes + 16 * (part / 2) + 4 * (part & 1) + j;
            quad_store(codes[0], quad_low_nibbles(bytes[j]));
            quad_store(codes[8], quad_high_nibbles(bytes[j]));
        }
    }
}

/* Adds 1 << place to the codes of columns 32 n + k for every bit n of byte k, then subtracts the type's offset. */
FAL_PANEL_INLINE void add_high_bits(const fal_quad_rows *rows, size_t offset, int place, int less,
                                    struct quad *quad) {
    uint8x16_t bytes[4];
    for (int part = 0; part < 2; part++) {
        quad_gather16(rows, offset + 16 * (size_t)part, bytes);
        for (int j = 0; j < 4; j++) {
            for (int n = 0; n < 8; n++) {
                int8_t *codes = quad->codes[8 * n + 4 * part + j];
                uint8x16_t bit = masked(shifted(bytes[j], n - place), 1 << place);
                store_less(codes, vorrq_u8(load_codes(codes), bit), less);
            }
        }
    }
}

FAL_PANEL_INLINE void decode_q2_k(const fal_quad_rows *rows, size_t offset, struct quad *quad) {
    uint8x16_t scales[4];
    vst1q_f32(quad->d, quad_gather_f16(rows, offset + offsetof(struct fal_q2_k, d)));
    vst1q_f32(quad->dmin, quad_gather_f16(rows, offset + offsetof(struct fal_q2_k, dmin)));
    quad_gather16(rows, offset + offsetof(struct fal_q2_k, scales), scales);
    for (int j = 0; j < 4; j++) {
        store_scales(quad, 4 * j, quad_low_nibbles(scales[j]));
        store_minima(quad, 4 * j, quad_high_nibbles(scales[j]));
    }
    decode_two_bits(rows, offset + offsetof(struct fal_q2_k, qs), quad);
}

FAL_PANEL_INLINE void decode_q3_k(const fal_quad_rows *rows, size_t offset, struct quad *quad) {
    size_t at = offset + offsetof(struct fal_q3_k, scales);
    uint8x16_t low[2] = {vreinterpretq_u8_u32(quad_gather4(rows, at)),
                         vreinterpretq_u8_u32(quad_gather4(rows, at + 4))};
    uint8x16_t high = vreinterpretq_u8_u32(quad_gather4(rows, at + 8));
    for (int j = 0; j < 4; j++) {
        uint8x16_t nibbles = j < 2 ? quad_low_nibbles(low[j]) : quad_high_nibbles(low[j - 2]);
        uint8x16_t top = vshlq_n_u8(masked(shifted(high, 2 * j), 3), 4);
        store_signed_scales(quad, 4 * j, vsubq_u8(vorrq_u8(nibbles, top), vdupq_n_u8(32)));
    }
    vst1q_f32(quad->d, quad_gather_f16(rows, offset + offsetof(struct fal_q3_k, d)));
    decode_two_bits(rows, offset + offsetof(struct fal_q3_k, qs), quad);
    add_high_bits(rows, offset + offsetof(struct fal_q3_k, hmask), 2, 4, quad);
}

/* d, dmin and the twelve bytes of k_scales.h, which q4_k and q5_k begin with. */
FAL_PANEL_INLINE void decode_k_scales(const fal_quad_rows *rows, size_t offset, struct quad *quad) {
    uint8x16_t head[4];
    quad_gather16(rows, offset, head);
    vst1q_f32(quad->d, quad_gather_f16(rows, offset));
    vst1q_f32(quad->dmin, quad_gather_f16(rows, offset + 2));
    uint8x16_t top_scales = masked(vshrq_n_u8(head[1], 2), 48);
    uint8x16_t top_minima = masked(vshrq_n_u8(head[2], 2), 48);
    store_scales(quad, 0, masked(head[1], 63));
    store_scales(quad, 4, vorrq_u8(quad_low_nibbles(head[3]), top_scales));
    store_minima(quad, 0, masked(head[2], 63));
    store_minima(quad, 4, vorrq_u8(quad_high_nibbles(head[3]), top_minima));
}

FAL_PANEL_INLINE void decode_q4_k(const fal_quad_rows *rows, size_t offset, struct quad *quad) {
    decode_k_scales(rows, offset, quad);
    decode_nibbles(rows, offset + offsetof(struct fal_q4_k, qs), quad);
}

FAL_PANEL_INLINE void decode_q5_k(const fal_quad_rows *rows, size_t offset, struct quad *quad) {
    decode_k_scales(rows, offset, quad);
    decode_nibbles(rows, offset + offsetof(struct fal_q5_k, qs), quad);
    add_high_bits(rows, offset + offsetof(struct fal_q5_k, qh), 4, 0, quad);
}

FAL_PANEL_INLINE void decode_q6_k(const fal_quad_rows *rows, size_t offset, struct quad *quad) {
    uint8x16_t scales[4], first[4], second[4], high[4];
    quad_gather16(rows, offset + offsetof(struct fal_q6_k, scales), scales);
    for (int j = 0; j < 4; j++)
        store_signed_scales(quad, 4 * j, scales[j]);
    vst1q_f32(quad->d, quad_gather_f16(rows, offset + offsetof(struct fal_q6_k, d)));
    for (int part = 0; part < 4; part++) { /* sixteen columns of each quarter of a half */
        size_t half = (size_t)part / 2, sixteen = 16 * ((size_t)part & 1);
        size_t low = offset + offsetof(struct fal_q6_k, ql) + 64 * half + sixteen;
        quad_gather16(rows, low, first);
        quad_gather16(rows, low + 32, second);
        quad_gather16(rows, offset + offsetof(struct fal_q6_k, qh) + 32 * half + sixteen, high);
        for (int j = 0; j < 4; j++) {
            int8_t(*codes)[FAL_QUAD_BYTES] = quad->codes + 32 * half + sixteen / 4 + j;
            uint8x16_t top = masked(vshlq_n_u8(high[j], 4), 48);
            store_less(codes[0], vorrq_u8(quad_low_nibbles(first[j]), top), 32);
            top = masked(vshlq_n_u8(high[j], 2), 48);
            store_less(codes[8], vorrq_u8(quad_low_nibbles(second[j]), top), 32);
            top = masked(high[j], 48);
            store_less(codes[16], vorrq_u8(quad_high_nibbles(first[j]), top), 32);
            top = masked(vshrq_n_u8(high[j], 2), 48);
            store_less(codes[24], vorrq_u8(quad_high_nibbles(second[j]), top), 32);
        }
    }
}

FAL_PANEL_INLINE void decode_iq4_xs(const fal_quad_rows *rows, size_t offset, struct quad *quad) {
    static const int8_t values[16] = FAL_IQ4_VALUES;
    const int8x16_t table = vld1q_s8(values);
    uint8x16_t bytes[4];
    vst1q_f32(quad->d, quad_gather_f16(rows, offset + offsetof(struct fal_iq4_xs, d)));
    uint32x4_t low = quad_gather4(rows, offset + offsetof(struct fal_iq4_xs, scales_l));
    uint32x4_t high = vshrq_n_u32(quad_gather4(rows, offset), 16); /* d, scales_h */
    for (int j = 0; j < 8; j++) {
        uint32x4_t scale = vandq_u32(vshlq_u32(low, vdupq_n_s32(-4 * j)), vdupq_n_u32(15));
        uint32x4_t top = vandq_u32(vshlq_u32(high, vdupq_n_s32(-2 * j)), vdupq_n_u32(3));
        scale = vorrq_u32(scale, vshlq_n_u32(top, 4));
        vst1q_s32(quad->scale[j], vsubq_s32(vreinterpretq_s32_u32(scale), vdupq_n_s32(32)));
    }
    for (int j = 0; j < 8; j++) {
        quad_gather16(rows, offset + offsetof(struct fal_iq4_xs, qs) + 16 * (size_t)j, bytes);
        for (int i = 0; i < 4; i++) {
            int8_t(*codes)[FAL_QUAD_BYTES] = quad->codes + 8 * j + i;
            vst1q_s8(codes[0], vqtbl1q_s8(table, quad_low_nibbles(bytes[i])));
            vst1q_s8(codes[4], vqtbl1q_s8(table, quad_high_nibbles(bytes[i])));
        }
    }
}

/* What sets a type apart; a constant where it is used. */
struct kind {
    size_t block_bytes;
    decode_block *decode;
    int columns_per_scale; /* 16 or 32 */
    bool has_minima;
};

/* Minima times sums of x, over sub-blocks of the type's columns. */
FAL_PANEL_INLINE int32x4_t dot_minima(const struct kind kind, const struct quad *quad,
                                      const struct fal_q8_k *x) {
    int16x8_t sums[2] = {vld1q_s16(x->sums), vld1q_s16(x->sums + 8)};
    int n_sub_blocks = 256 / kind.columns_per_scale;
    if (kind.columns_per_scale == 32) sums[0] = vpaddq_s16(sums[0], sums[1]); /* 4064 at most */
    int32x4_t low = vdupq_n_s32(0);
    for (int first = 0; first < n_sub_blocks; first += 8) {
        const int16_t(*min)[FAL_QUAD_ROWS] = quad->min + first;
        int16x8_t v = sums[first / 8];
        low = vmlal_laneq_s16(low, vld1_s16(min[0]), v, 0);
        low = vmlal_laneq_s16(low, vld1_s16(min[1]), v, 1);
        low = vmlal_laneq_s16(low, vld1_s16(min[2]), v, 2);
        low = vmlal_laneq_s16(low, vld1_s16(min[3]), v, 3);
        low = vmlal_laneq_s16(low, vld1_s16(min[4]), v, 4);
        low = vmlal_laneq_s16(low, vld1_s16(min[5]), v, 5);
        low = vmlal_laneq_s16(low, vld1_s16(min[6]), v, 6);
        low = vmlal_laneq_s16(low, vld1_s16(min[7]), v, 7);
    }
    return low;
}

/* y + panel's block times those of one token. */
FAL_PANEL_INLINE float32x4_t add_block(const struct kind kind, const struct quad *quad,
                                       const struct fal_q8_k *x, int32x4_t dot, float32x4_t y) {
    float32x4_t scale = vmulq_n_f32(vld1q_f32(quad->d), x->d);
    y = vaddq_f32(y, vmulq_f32(scale, vcvtq_f32_s32(dot)));
    if (!kind.has_minima) return y;
    scale = vmulq_n_f32(vld1q_f32(quad->dmin), x->d);
    return vsubq_f32(y, vmulq_f32(scale, vcvtq_f32_s32(dot_minima(kind, quad, x))));
}

/* y += panel . tokens; x and y of token t at t * stride. */
FAL_PANEL_INLINE void multiply_panel(const struct kind kind, const struct panel *panel,
                                     const char *x, size_t x_row_bytes, int n_tokens, float *y,
                                     int64_t y_stride, int64_t n_rows) {
    const struct quad *quads = panel->quads;
    const struct fal_q8_k *block[FAL_PANEL_TOKENS];
    int32x4_t sums[FAL_PANEL_TOKENS][FAL_PANEL_QUADS];
    for (int t = 0; t < n_tokens; t++) {
        block[t] = (const struct fal_q8_k *)(const void *)(x + (size_t)t * x_row_bytes);
        for (int q = 0; q < FAL_PANEL_QUADS; q++)
            sums[t][q] = vdupq_n_s32(0);
    }
    for (int s = 0; s < 256 / kind.columns_per_scale; s++) {
        int column = s * kind.columns_per_scale;
        for (int t = 0; t < n_tokens; t++) {
            int8x16_t low = vld1q_s8(block[t]->q + column);
            int8x16_t high = low;
            if (kind.columns_per_scale == 32) high = vld1q_s8(block[t]->q + column + 16);
            for (int q = 0; q < FAL_PANEL_QUADS; q++) {
                int32x4_t dot = quad_dot16(vdupq_n_s32(0), quads[q].codes[column / 4], low);
                if (kind.columns_per_scale == 32)
                    dot = quad_dot16(dot, quads[q].codes[column / 4 + 4], high);
                sums[t][q] = vmlaq_s32(sums[t][q], dot, vld1q_s32(quads[q].scale[s]));
            }
        }
    }
    for (int t = 0; t < n_tokens; t++) {
        for (int q = 0; q < FAL_PANEL_QUADS; q++) {
            int64_t first = q * FAL_QUAD_ROWS;
            float *at = y + t * y_stride + first;
            float32x4_t before = quad_read_y(at, n_rows - first);
            quad_write_y(at, n_rows - first,
                         add_block(kind, &quads[q], block[t], sums[t][q], before));
        }
    }
}

/* Rows [row, row + n_panels * 8) with block `index`. */
FAL_PANEL_INLINE void multiply_chunk(const struct kind kind, const fal_product *p, int64_t row,
                                     int n_panels, const struct panel *panels, int64_t index) {
    const char *x = (const char *)p->x + (size_t)index * sizeof(struct fal_q8_k);
    int64_t token = 0;
    for (; token + FAL_PANEL_TOKENS <= p->n_tokens; token += FAL_PANEL_TOKENS) {
        for (int i = 0; i < n_panels; i++) {
            int64_t at = row + i * FAL_PANEL_ROWS;
            multiply_panel(kind, &panels[i], x + (size_t)token * p->x_row_bytes, p->x_row_bytes,
                           FAL_PANEL_TOKENS, p->y + token * p->y_stride + at, p->y_stride,
                           p->n_rows - at);
        }
    }
    for (; token < p->n_tokens; token++) {
        for (int i = 0; i < n_panels; i++) {
            int64_t at = row + i * FAL_PANEL_ROWS;
            multiply_panel(kind, &panels[i], x + (size_t)token * p->x_row_bytes, p->x_row_bytes, 1,
                           p->y + token * p->y_stride + at, p->y_stride, p->n_rows - at);
        }
    }
}

FAL_PANEL_INLINE void multiply(const struct kind kind, const fal_product *p) {
    struct panel panels[MANY_PANELS];
    bool is_many = p->n_tokens >= FAL_PANEL_MANY;
    int64_t step = (is_many ? MANY_PANELS : 1) * FAL_PANEL_ROWS;
    panel_clear_y(p);
    for (int64_t row = 0; row < p->n_rows; row += step) {
        int64_t n_rows = p->n_rows - row < step ? p->n_rows - row : step;
        int n_panels = (int)((n_rows + FAL_PANEL_ROWS - 1) / FAL_PANEL_ROWS);
        for (int64_t index = 0; index < p->n_cols / 256; index++) {
            size_t offset = (size_t)index * kind.block_bytes;
            if (!is_many) panel_prefetch_next(p, row, offset, kind.block_bytes);
            for (int i = 0; i < n_panels * FAL_PANEL_QUADS; i++) {
                fal_quad_rows rows = quad_rows_from(p, row + i * FAL_QUAD_ROWS);
                kind.decode(&rows, offset, &panels[i / FAL_PANEL_QUADS].quads[i % FAL_PANEL_QUADS]);
            }
            multiply_chunk(kind, p, row, n_panels, panels, index);
        }
    }
}

void fal_matmul_q2_k_neon(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_q2_k), decode_q2_k, 16, true}, p);
}

void fal_matmul_q3_k_neon(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_q3_k), decode_q3_k, 16, false}, p);
}

void fal_matmul_q4_k_neon(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_q4_k), decode_q4_k, 32, true}, p);
}

void fal_matmul_q5_k_neon(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_q5_k), decode_q5_k, 32, true}, p);
}

void fal_matmul_q6_k_neon(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_q6_k), decode_q6_k, 16, false}, p);
}

void fal_matmul_iq4_xs_neon(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_iq4_xs), decode_iq4_xs, 32, false}, p);
}
