/* Products with types of 32 weights and one or two scales, with NEON: panels of eight rows (panel.h).
 *
 * Order of additions and bits are those of portable/matmul_legacy.c. */
#include "compute/cpu/arm_neon/panel.h"
#include "compute/cpu/kernels.h"
#include "quant/iq4_nl.h"
#include "quant/q4_0.h"
#include "quant/q4_1.h"
#include "quant/q5_0.h"
#include "quant/q5_1.h"
#include "quant/q8_0.h"
#include "quant/q8_1.h"

#include <stdbool.h>

enum {
    CHUNK = 8,      /* blocks decoded at a time */
    MANY_PANELS = 4 /* panels that share a reading of the activations */
};

/* One block of four rows: weight = d * code + m. Vector g of codes holds columns 4 g .. 4 g + 3. */
struct quad {
    int8_t codes[8][FAL_QUAD_BYTES];
    float d[FAL_QUAD_ROWS], m[FAL_QUAD_ROWS];
};

struct panel {
    struct quad quads[CHUNK][FAL_PANEL_QUADS];
};

/* Decodes the block at offset of each row. */
typedef void decode_block(const fal_quad_rows *rows, size_t offset, struct quad *quad);

FAL_PANEL_INLINE void decode_nibbles(const fal_quad_rows *rows, size_t offset, struct quad *quad) {
    uint8x16_t bytes[4];
    quad_gather16(rows, offset, bytes);
    for (int j = 0; j < 4; j++) {
        quad_store(quad->codes[j], quad_low_nibbles(bytes[j]));
        quad_store(quad->codes[j + 4], quad_high_nibbles(bytes[j]));
    }
}

/* Adds 16 to the codes whose bit is set in the four bytes at offset of their row. */
FAL_PANEL_INLINE void add_fifth_bits(const fal_quad_rows *rows, size_t offset, struct quad *quad) {
    static const uint8_t bits[2][FAL_QUAD_BYTES] = {
        {1,  2,  4,  8,   1,  2,  4,  8,   1,  2,  4,  8,   1,  2,  4,  8  },
        {16, 32, 64, 128, 16, 32, 64, 128, 16, 32, 64, 128, 16, 32, 64, 128}
    };
    static const uint8_t first_byte[FAL_QUAD_BYTES] = {0, 0, 0, 0, 4,  4,  4,  4,
                                                       8, 8, 8, 8, 12, 12, 12, 12};
    uint8x16_t high = vreinterpretq_u8_u32(quad_gather4(rows, offset));
    for (int j = 0; j < 8; j++) {
        uint8x16_t order = vaddq_u8(vld1q_u8(first_byte), vdupq_n_u8((uint8_t)(j / 2)));
        uint8x16_t is_set = vtstq_u8(vqtbl1q_u8(high, order), vld1q_u8(bits[j & 1]));
        uint8x16_t low = vreinterpretq_u8_s8(vld1q_s8(quad->codes[j]));
        quad_store(quad->codes[j], vorrq_u8(low, vandq_u8(is_set, vdupq_n_u8(16))));
    }
}

FAL_PANEL_INLINE void decode_q4_0(const fal_quad_rows *rows, size_t offset, struct quad *quad) {
    float32x4_t d = quad_gather_f16(rows, offset + offsetof(struct fal_q4_0, d));
    vst1q_f32(quad->d, d);
    vst1q_f32(quad->m, vmulq_n_f32(d, -8.0f));
    decode_nibbles(rows, offset + offsetof(struct fal_q4_0, qs), quad);
}

FAL_PANEL_INLINE void decode_q4_1(const fal_quad_rows *rows, size_t offset, struct quad *quad) {
    vst1q_f32(quad->d, quad_gather_f16(rows, offset + offsetof(struct fal_q4_1, d)));
    vst1q_f32(quad->m, quad_gather_f16(rows, offset + offsetof(struct fal_q4_1, m)));
    decode_nibbles(rows, offset + offsetof(struct fal_q4_1, qs), quad);
}

FAL_PANEL_INLINE void decode_q5_0(const fal_quad_rows *rows, size_t offset, struct quad *quad) {
    float32x4_t d = quad_gather_f16(rows, offset + offsetof(struct fal_q5_0, d));
    vst1q_f32(quad->d, d);
    vst1q_f32(quad->m, vmulq_n_f32(d, -16.0f));
    decode_nibbles(rows, offset + offsetof(struct fal_q5_0, qs), quad);
    add_fifth_bits(rows, offset + offsetof(struct fal_q5_0, qh), quad);
}

FAL_PANEL_INLINE void decode_q5_1(const fal_quad_rows *rows, size_t offset, struct quad *quad) {
    vst1q_f32(quad->d, quad_gather_f16(rows, offset + offsetof(struct fal_q5_1, d)));
    vst1q_f32(quad->m, quad_gather_f16(rows, offset + offsetof(struct fal_q5_1, m)));
    decode_nibbles(rows, offset + offsetof(struct fal_q5_1, qs), quad);
    add_fifth_bits(rows, offset + offsetof(struct fal_q5_1, qh), quad);
}

FAL_PANEL_INLINE void decode_q8_0(const fal_quad_rows *rows, size_t offset, struct quad *quad) {
    uint8x16_t bytes[4];
    vst1q_f32(quad->d, quad_gather_f16(rows, offset + offsetof(struct fal_q8_0, d)));
    for (size_t half = 0; half < 2; half++) {
        quad_gather16(rows, offset + offsetof(struct fal_q8_0, q) + 16 * half, bytes);
        for (size_t j = 0; j < 4; j++)
            quad_store(quad->codes[4 * half + j], bytes[j]);
    }
}

FAL_PANEL_INLINE void decode_iq4_nl(const fal_quad_rows *rows, size_t offset, struct quad *quad) {
    static const int8_t values[16] = FAL_IQ4_VALUES;
    const int8x16_t table = vld1q_s8(values);
    uint8x16_t bytes[4];
    vst1q_f32(quad->d, quad_gather_f16(rows, offset + offsetof(struct fal_iq4_nl, d)));
    quad_gather16(rows, offset + offsetof(struct fal_iq4_nl, qs), bytes);
    for (int j = 0; j < 4; j++) {
        vst1q_s8(quad->codes[j], vqtbl1q_s8(table, quad_low_nibbles(bytes[j])));
        vst1q_s8(quad->codes[j + 4], vqtbl1q_s8(table, quad_high_nibbles(bytes[j])));
    }
}

/* What sets a type apart; a constant where it is used. */
struct kind {
    size_t block_bytes;
    decode_block *decode;
    bool has_minimum;
};

/* acc[t][q] += block of a panel times blocks of n_tokens tokens. */
FAL_PANEL_INLINE void multiply_block(const struct kind kind, const struct quad *quads,
                                     const struct fal_q8_1 *const *x, int n_tokens,
                                     float32x4_t acc[][FAL_PANEL_QUADS]) {
    int32x4_t sums[FAL_PANEL_TOKENS][FAL_PANEL_QUADS];
    for (int t = 0; t < n_tokens; t++) {
        int8x16_t low = vld1q_s8(x[t]->q), high = vld1q_s8(x[t]->q + 16);
        for (int q = 0; q < FAL_PANEL_QUADS; q++) {
            sums[t][q] = quad_dot16(vdupq_n_s32(0), quads[q].codes[0], low);
            sums[t][q] = quad_dot16(sums[t][q], quads[q].codes[4], high);
        }
    }
    for (int t = 0; t < n_tokens; t++) {
        for (int q = 0; q < FAL_PANEL_QUADS; q++) {
            float32x4_t scale = vmulq_n_f32(vld1q_f32(quads[q].d), x[t]->d);
            acc[t][q] = vaddq_f32(acc[t][q], vmulq_f32(scale, vcvtq_f32_s32(sums[t][q])));
            if (!kind.has_minimum) continue;
            acc[t][q] = vaddq_f32(acc[t][q], vmulq_n_f32(vld1q_f32(quads[q].m), x[t]->s));
        }
    }
}

/* y += panel . tokens for n_blocks blocks; x and y of token t at t * stride. */
FAL_PANEL_INLINE void multiply_panel(const struct kind kind, const struct panel *panel,
                                     int n_blocks, const char *x, size_t x_row_bytes, int n_tokens,
                                     float *y, int64_t y_stride, int64_t n_rows) {
    float32x4_t acc[FAL_PANEL_TOKENS][FAL_PANEL_QUADS];
    for (int t = 0; t < n_tokens; t++) {
        for (int q = 0; q < FAL_PANEL_QUADS; q++) {
            int64_t first = q * FAL_QUAD_ROWS;
            acc[t][q] = quad_read_y(y + t * y_stride + first, n_rows - first);
        }
    }
    for (int i = 0; i < n_blocks; i++) {
        const struct fal_q8_1 *block[FAL_PANEL_TOKENS];
        for (int t = 0; t < n_tokens; t++)
            block[t] = (const struct fal_q8_1 *)(const void *)(x + (size_t)t * x_row_bytes) + i;
        multiply_block(kind, panel->quads[i], block, n_tokens, acc);
    }
    for (int t = 0; t < n_tokens; t++) {
        for (int q = 0; q < FAL_PANEL_QUADS; q++) {
            int64_t first = q * FAL_QUAD_ROWS;
            quad_write_y(y + t * y_stride + first, n_rows - first, acc[t][q]);
        }
    }
}

FAL_PANEL_INLINE void decode_chunk(const struct kind kind, const fal_product *p, int64_t row,
                                   int64_t first, int n, struct panel *panel) {
    size_t offset = (size_t)first * kind.block_bytes;
    for (int q = 0; q < FAL_PANEL_QUADS; q++) {
        fal_quad_rows rows = quad_rows_from(p, row + q * FAL_QUAD_ROWS);
        for (int i = 0; i < n; i++)
            kind.decode(&rows, offset + (size_t)i * kind.block_bytes, &panel->quads[i][q]);
    }
}

/* Rows [row, row + n_panels * 8) with blocks [first, first + n). */
FAL_PANEL_INLINE void multiply_chunk(const struct kind kind, const fal_product *p, int64_t row,
                                     int n_panels, const struct panel *panels, int64_t first,
                                     int n) {
    const char *x = (const char *)p->x + (size_t)first * sizeof(struct fal_q8_1);
    int64_t token = 0;
    for (; token + FAL_PANEL_TOKENS <= p->n_tokens; token += FAL_PANEL_TOKENS) {
        for (int i = 0; i < n_panels; i++) {
            int64_t at = row + i * FAL_PANEL_ROWS;
            multiply_panel(kind, &panels[i], n, x + (size_t)token * p->x_row_bytes, p->x_row_bytes,
                           FAL_PANEL_TOKENS, p->y + token * p->y_stride + at, p->y_stride,
                           p->n_rows - at);
        }
    }
    for (; token < p->n_tokens; token++) {
        for (int i = 0; i < n_panels; i++) {
            int64_t at = row + i * FAL_PANEL_ROWS;
            multiply_panel(kind, &panels[i], n, x + (size_t)token * p->x_row_bytes, p->x_row_bytes,
                           1, p->y + token * p->y_stride + at, p->y_stride, p->n_rows - at);
        }
    }
}

/* One token: a block is multiplied as it is decoded, in registers. */
FAL_PANEL_INLINE void multiply_one(const struct kind kind, const fal_product *p) {
    int64_t n_blocks = p->n_cols / 32;
    for (int64_t row = 0; row < p->n_rows; row += FAL_PANEL_ROWS) {
        const fal_quad_rows rows[FAL_PANEL_QUADS] = {quad_rows_from(p, row),
                                                     quad_rows_from(p, row + FAL_QUAD_ROWS)};
        float32x4_t acc[1][FAL_PANEL_QUADS] = {
            {vdupq_n_f32(0.0f), vdupq_n_f32(0.0f)}
        };
        for (int64_t i = 0; i < n_blocks; i++) {
            const struct fal_q8_1 *x = (const struct fal_q8_1 *)p->x + i;
            size_t offset = (size_t)i * kind.block_bytes;
            struct quad quads[FAL_PANEL_QUADS];
            panel_prefetch_next(p, row, offset, kind.block_bytes);
            for (int q = 0; q < FAL_PANEL_QUADS; q++)
                kind.decode(&rows[q], offset, &quads[q]);
            multiply_block(kind, quads, &x, 1, acc);
        }
        for (int q = 0; q < FAL_PANEL_QUADS; q++)
            quad_write_y(p->y + row + q * FAL_QUAD_ROWS, p->n_rows - row - q * FAL_QUAD_ROWS,
                         acc[0][q]);
    }
}

FAL_PANEL_INLINE void multiply_many(const struct kind kind, const fal_product *p) {
    struct panel panels[MANY_PANELS];
    int64_t n_blocks = p->n_cols / 32;
    int64_t step = (p->n_tokens < FAL_PANEL_MANY ? 1 : MANY_PANELS) * FAL_PANEL_ROWS;
    panel_clear_y(p);
    for (int64_t row = 0; row < p->n_rows; row += step) {
        int64_t n_rows = p->n_rows - row < step ? p->n_rows - row : step;
        int n_panels = (int)((n_rows + FAL_PANEL_ROWS - 1) / FAL_PANEL_ROWS);
        for (int64_t first = 0; first < n_blocks; first += CHUNK) {
            int n = n_blocks - first < CHUNK ? (int)(n_blocks - first) : CHUNK;
            for (int i = 0; i < n_panels; i++)
                decode_chunk(kind, p, row + i * FAL_PANEL_ROWS, first, n, &panels[i]);
            multiply_chunk(kind, p, row, n_panels, panels, first, n);
        }
    }
}

FAL_PANEL_INLINE void multiply(const struct kind kind, const fal_product *p) {
    if (p->n_tokens == 1)
        multiply_one(kind, p);
    else
        multiply_many(kind, p);
}

void fal_matmul_q4_0_neon(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_q4_0), decode_q4_0, true}, p);
}

void fal_matmul_q4_1_neon(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_q4_1), decode_q4_1, true}, p);
}

void fal_matmul_q5_0_neon(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_q5_0), decode_q5_0, true}, p);
}

void fal_matmul_q5_1_neon(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_q5_1), decode_q5_1, true}, p);
}

void fal_matmul_q8_0_neon(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_q8_0), decode_q8_0, false}, p);
}

void fal_matmul_iq4_nl_neon(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_iq4_nl), decode_iq4_nl, false}, p);
}
