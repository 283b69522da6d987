/* Products of few tokens with types of 256 weights: nothing is turned or stored between decoding and products.
 *
 * A frame: a set includes it behind its few_vectors.h, which has the vectors that this is written in, and calls few_multiply.
 * Everything here is meant to be inlined with constant arguments. */
#ifndef FAL_COMPUTE_CPU_X86_FRAMES_FEW_K_H
#define FAL_COMPUTE_CPU_X86_FRAMES_FEW_K_H

#include "compute/cpu/x86_frames/few_sums.h"
#include "quant/q2_k.h"
#include "quant/q3_k.h"
#include "quant/q4_k.h"
#include "quant/q5_k.h"
#include "quant/q6_k.h"

/* Adds a block of vector e's rows; *head: what the scales of the block are taken from, if it is. */
typedef void few_add_type(const fal_quads *quads, int e, struct few_sums *sums, few_vector *head);

/* The scales of a block; dmin where it has minima. */
typedef void few_block_scales(const fal_panel_rows *rows, const few_vector head[4], few_floats *d,
                              few_floats *dmin);

FAL_PANEL_INLINE void few_add_q2_k(const fal_quads *quads, int e, struct few_sums *sums,
                                   few_vector *head) {
    (void)head;
    few_vector bytes = few_load(quads, e, offsetof(struct fal_q2_k, scales));
    few_vector scales = panel_low_nibbles(bytes), mins = panel_high_nibbles(bytes);
    few_add_lows(sums, 0, few_widen(mins, 0, false));
    few_add_lows(sums, 1, few_widen(mins, 1, false));
#pragma GCC unroll 4
    for (int part = 0; part < 4; part++) {
        const int first = 8 * (part / 2) + part % 2; /* sub-block */
        few_vector v = few_load(quads, e, offsetof(struct fal_q2_k, qs) + 16 * (size_t)part);
        for (int k = 0; k < 4; k++) {
            few_vector codes = panel_masked(few_right(v, 2 * k), 3);
            few_add_codes(sums, 16 * (first + 2 * k), &codes, 1,
                          few_byte_scale(scales, first + 2 * k));
        }
    }
}

FAL_PANEL_INLINE void few_scales_q2_k(const fal_panel_rows *rows, const few_vector head[4],
                                      few_floats *d, few_floats *dmin) {
    (void)head;
    few_vector pair = panel_gather4(rows, offsetof(struct fal_q2_k, d));
    *d = panel_low_f16(pair);
    *dmin = panel_high_f16(pair);
}

/* The sixteen scales of each row, from the 16 bytes that end with d. */
FAL_PANEL_INLINE few_vector few_q3_k_scales(few_vector tail) {
    few_vector low = few_shuffle(tail, few_four(0x05040302, 0x09080706, 0x05040302, 0x09080706));
    low = panel_masked(few_right_each(low, few_four(0, 0, 4, 4)), 15);
    const int all = 0x0d0c0b0a;
    few_vector high = few_shuffle(tail, few_four(all, all, all, all));
    high = panel_masked(few_right_each(high, few_four(0, 2, 4, 6)), 3);
    return few_subtract_bytes(few_or(low, few_right(high, -4)), 32);
}

FAL_PANEL_INLINE void few_add_q3_k(const fal_quads *quads, int e, struct few_sums *sums,
                                   few_vector *head) {
    few_vector scales[2], mask[2];
    *head = few_load(quads, e, sizeof(struct fal_q3_k) - 16);
    for (int i = 0; i < 2; i++) {
        scales[i] = few_widen(few_q3_k_scales(*head), i, true);
        few_add_lows(sums, i, scales[i]);
        mask[i] = few_load(quads, e, offsetof(struct fal_q3_k, hmask) + 16 * (size_t)i);
    }
#pragma GCC unroll 4
    for (int part = 0; part < 4; part++) {
        const int half = part / 2, side = part % 2;
        few_vector v = few_load(quads, e, offsetof(struct fal_q3_k, qs) + 16 * (size_t)part);
        for (int k = 0; k < 4; k++) {
            const int bit = 4 * half + k;
            few_vector third = panel_masked(few_right(mask[side], bit - 2), 4);
            few_vector codes = few_or(panel_masked(few_right(v, 2 * k), 3), third);
            few_add_codes(sums, 128 * half + 32 * k + 16 * side, &codes, 1,
                          few_scale(scales[half], 2 * k + side));
        }
    }
}

FAL_PANEL_INLINE void few_scales_q3_k(const fal_panel_rows *rows, const few_vector head[4],
                                      few_floats *d, few_floats *dmin) {
    (void)rows;
    *d = panel_high_f16(quads_pick(head, 3));
    *dmin = few_floats_zero();
}

FAL_PANEL_INLINE void few_add_q4_k(const fal_quads *quads, int e, struct few_sums *sums,
                                   few_vector *head) {
    *head = few_load(quads, e, 0);
    few_vector scales = few_add_k_minima(sums, *head);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        size_t at = offsetof(struct fal_q4_k, qs) + 32 * (size_t)j;
        few_vector a = few_load(quads, e, at), b = few_load(quads, e, at + 16);
        few_vector low[2] = {panel_low_nibbles(a), panel_low_nibbles(b)};
        few_vector high[2] = {panel_high_nibbles(a), panel_high_nibbles(b)};
        few_add_codes(sums, 64 * j, low, 2, few_byte_scale(scales, 2 * j));
        few_add_codes(sums, 64 * j + 32, high, 2, few_byte_scale(scales, 2 * j + 1));
    }
}

FAL_PANEL_INLINE void few_scales_pair(const fal_panel_rows *rows, const few_vector head[4],
                                      few_floats *d, few_floats *dmin) {
    (void)rows;
    few_vector pair = quads_pick(head, 0);
    *d = panel_low_f16(pair);
    *dmin = panel_high_f16(pair);
}

/* Bit `bit` of each byte of high, as the fifth of codes. */
FAL_PANEL_INLINE few_vector few_with_fifth(few_vector codes, few_vector high, int bit) {
    return few_or(codes, panel_masked(few_right(high, bit - 4), 16));
}

FAL_PANEL_INLINE void few_add_q5_k(const fal_quads *quads, int e, struct few_sums *sums,
                                   few_vector *head) {
    *head = few_load(quads, e, 0);
    few_vector scales = few_add_k_minima(sums, *head), top[2];
    for (int i = 0; i < 2; i++)
        top[i] = few_load(quads, e, offsetof(struct fal_q5_k, qh) + 16 * (size_t)i);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        few_vector low[2], high[2];
        for (int i = 0; i < 2; i++) {
            few_vector v =
                few_load(quads, e, offsetof(struct fal_q5_k, qs) + 32 * (size_t)j + 16 * (size_t)i);
            low[i] = few_with_fifth(panel_low_nibbles(v), top[i], 2 * j);
            high[i] = few_with_fifth(panel_high_nibbles(v), top[i], 2 * j + 1);
        }
        few_add_codes(sums, 64 * j, low, 2, few_byte_scale(scales, 2 * j));
        few_add_codes(sums, 64 * j + 32, high, 2, few_byte_scale(scales, 2 * j + 1));
    }
}

FAL_PANEL_INLINE void few_add_q6_k(const fal_quads *quads, int e, struct few_sums *sums,
                                   few_vector *head) {
    (void)head;
    few_vector bytes = few_load(quads, e, offsetof(struct fal_q6_k, scales)), scales[2];
    for (int i = 0; i < 2; i++) {
        scales[i] = few_widen(bytes, i, true);
        few_add_lows(sums, i, scales[i]);
    }
#pragma GCC unroll 4
    for (int part = 0; part < 4; part++) {
        const int half = part / 2, side = part % 2;
        size_t low = offsetof(struct fal_q6_k, ql) + 64 * (size_t)half + 16 * (size_t)side;
        few_vector a = few_load(quads, e, low), b = few_load(quads, e, low + 32);
        few_vector h = few_load(quads, e, offsetof(struct fal_q6_k, qh) + 16 * (size_t)part);
        few_vector codes[4] = {few_or(panel_low_nibbles(a), panel_masked(few_right(h, -4), 48)),
                               few_or(panel_low_nibbles(b), panel_masked(few_right(h, -2), 48)),
                               few_or(panel_high_nibbles(a), panel_masked(h, 48)),
                               few_or(panel_high_nibbles(b), panel_masked(few_right(h, 2), 48))};
        for (int k = 0; k < 4; k++)
            few_add_codes(sums, 128 * half + 32 * k + 16 * side, &codes[k], 1,
                          few_scale(scales[half], 2 * k + side));
    }
}

FAL_PANEL_INLINE void few_scales_q6_k(const fal_panel_rows *rows, const few_vector head[4],
                                      few_floats *d, few_floats *dmin) {
    (void)head;
    *d = panel_gather_f16(rows, offsetof(struct fal_q6_k, d));
    *dmin = few_floats_zero();
}

/* What sets a type apart; a constant where it is used. */
struct few_kind {
    size_t block_bytes;
    few_add_type *add;
    few_block_scales *scales;
    bool has_minima; /* with a scale of their own, dmin */
    int offset_bits; /* codes stand 1 << offset_bits higher than they are, if it has no minima */
};

/* acc[t] += the block . x[t]; ahead: see quads_ahead. */
FAL_PANEL_INLINE void few_multiply_block(const struct few_kind kind, const fal_quads *quads,
                                         const char *ahead, const struct fal_q8_k *const *x,
                                         int n_tokens, few_floats *acc) {
    const fal_panel_rows rows = quads_rows(quads);
    few_vector codes[FEW_TOKENS][4], lows[FEW_TOKENS][4], head[4];
    for (int e = 0; e < 4; e++) {
        struct few_sums sums = few_sums_of(x, n_tokens);
        ahead = quads_prefetch(ahead, quads->row_bytes, FAL_QUADS, kind.block_bytes);
        kind.add(quads, e, &sums, &head[e]);
        for (int t = 0; t < n_tokens; t++) {
            codes[t][e] = few_codes(&sums, t);
            lows[t][e] = sums.lows[t];
            if (!kind.has_minima)
                codes[t][e] = few_subtract(codes[t][e], few_right(lows[t][e], -kind.offset_bits));
        }
    }
    few_floats d, dmin;
    kind.scales(&rows, head, &d, &dmin);
    for (int t = 0; t < n_tokens; t++) {
        acc[t] = few_add_block(acc[t], d, x[t]->d, quads_join(codes[t]), false);
        if (kind.has_minima)
            acc[t] = few_add_block(acc[t], dmin, x[t]->d, quads_join(lows[t]), true);
    }
}

/* For all tokens, n_tokens of them, and at least FAL_QUADS_ROWS rows. */
FAL_PANEL_INLINE void few_multiply(const struct few_kind kind, const fal_product *p, int n_tokens) {
    int64_t n_blocks = p->n_cols / 256;
    for (int64_t next = 0; next < p->n_rows; next += FAL_QUADS_ROWS) {
        int64_t row = quads_first_row(p, next);
        fal_quads quads = quads_from(p, row);
        few_floats acc[FEW_TOKENS];
        for (int t = 0; t < n_tokens; t++)
            acc[t] = few_floats_zero();
        for (int64_t i = 0; i < n_blocks; i++) {
            const struct fal_q8_k *x[FEW_TOKENS];
            for (int t = 0; t < n_tokens; t++)
                x[t] = (const struct fal_q8_k *)(const void *)((const char *)p->x
                                                               + (size_t)t * p->x_row_bytes)
                       + i;
            few_multiply_block(kind, &quads, quads_ahead(p, row, (size_t)i * kind.block_bytes), x,
                               n_tokens, acc);
            quads_step(&quads, kind.block_bytes);
        }
        for (int t = 0; t < n_tokens; t++)
            few_store(p->y + t * p->y_stride + row, acc[t]);
    }
}

#endif
