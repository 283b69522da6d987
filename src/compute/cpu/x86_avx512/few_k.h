/* Products of few tokens with types of 256 weights: nothing is stored between decoding and products (quads.h). */
#ifndef FAL_COMPUTE_CPU_X86_AVX512_FEW_K_H
#define FAL_COMPUTE_CPU_X86_AVX512_FEW_K_H

#include "compute/cpu/x86_avx512/few_sums.h"
#include "quant/iq4_xs.h"
#include "quant/q2_k.h"
#include "quant/q3_k.h"
#include "quant/q4_k.h"
#include "quant/q5_k.h"
#include "quant/q6_k.h"

/* Adds a block of vector e's rows; *head: what the scales of the block are taken from, if it is. */
typedef void few_add_block(const fal_panel_rows *rows, int e, struct few_sums *sums, __m512i *head);

/* The scales of a block; dmin where it has minima. */
typedef void few_block_scales(const fal_panel_rows *rows, const __m512i head[4], __m512 *d,
                              __m512 *dmin);

FAL_PANEL_INLINE void few_add_q2_k(const fal_panel_rows *rows, int e, struct few_sums *sums,
                                   __m512i *head) {
    (void)head;
    __m512i bytes = panel_four_rows(rows, e, offsetof(struct fal_q2_k, scales));
    __m512i scales = panel_low_nibbles(bytes), mins = panel_high_nibbles(bytes);
    few_add_lows(sums, 0, few_widen(mins, 0, false));
    few_add_lows(sums, 1, few_widen(mins, 1, false));
#pragma GCC unroll 4
    for (int part = 0; part < 4; part++) {
        const int first = 8 * (part / 2) + part % 2; /* sub-block */
        __m512i v = panel_four_rows(rows, e, offsetof(struct fal_q2_k, qs) + 16 * (size_t)part);
        for (int k = 0; k < 4; k++)
            few_add_sixteen(sums, 16 * (first + 2 * k),
                            panel_masked(_mm512_srli_epi32(v, 2 * (unsigned)k), 3),
                            few_byte_scale(scales, first + 2 * k));
    }
}

FAL_PANEL_INLINE void few_scales_q2_k(const fal_panel_rows *rows, const __m512i head[4], __m512 *d,
                                      __m512 *dmin) {
    (void)head;
    __m512i pair = panel_gather4(rows, offsetof(struct fal_q2_k, d));
    *d = panel_low_f16(pair);
    *dmin = panel_high_f16(pair);
}

/* The sixteen scales of each row, from the 16 bytes that end with d. */
FAL_PANEL_INLINE __m512i few_q3_k_scales(__m512i tail) {
    __m512i low =
        _mm512_shuffle_epi8(tail, few_four(0x05040302, 0x09080706, 0x05040302, 0x09080706));
    const __m512i by = _mm512_broadcast_i32x4(_mm_set_epi64x(4, 0));
    low = panel_masked(_mm512_srlv_epi64(low, by), 15);
    __m512i high = _mm512_shuffle_epi8(tail, _mm512_set1_epi32(0x0d0c0b0a));
    high = panel_masked(_mm512_srlv_epi32(high, few_four(0, 2, 4, 6)), 3);
    return _mm512_sub_epi8(_mm512_or_si512(low, _mm512_slli_epi32(high, 4)), _mm512_set1_epi8(32));
}

FAL_PANEL_INLINE void few_add_q3_k(const fal_panel_rows *rows, int e, struct few_sums *sums,
                                   __m512i *head) {
    __m512i scales[2], mask[2];
    *head = panel_four_rows(rows, e, sizeof(struct fal_q3_k) - 16);
    for (int i = 0; i < 2; i++) {
        scales[i] = few_widen(few_q3_k_scales(*head), i, true);
        few_add_lows(sums, i, scales[i]);
        mask[i] = panel_four_rows(rows, e, offsetof(struct fal_q3_k, hmask) + 16 * (size_t)i);
    }
#pragma GCC unroll 4
    for (int part = 0; part < 4; part++) {
        const int half = part / 2, side = part % 2;
        __m512i v = panel_four_rows(rows, e, offsetof(struct fal_q3_k, qs) + 16 * (size_t)part);
        for (int k = 0; k < 4; k++) {
            const int bit = 4 * half + k;
            __m512i third = bit < 2 ? _mm512_slli_epi32(mask[side], (unsigned)(2 - bit))
                                    : _mm512_srli_epi32(mask[side], (unsigned)(bit - 2));
            __m512i codes = _mm512_or_si512(panel_masked(_mm512_srli_epi32(v, 2 * (unsigned)k), 3),
                                            panel_masked(third, 4));
            few_add_sixteen(sums, 128 * half + 32 * k + 16 * side, codes,
                            few_scale(scales[half], 2 * k + side));
        }
    }
}

FAL_PANEL_INLINE void few_scales_q3_k(const fal_panel_rows *rows, const __m512i head[4], __m512 *d,
                                      __m512 *dmin) {
    (void)rows;
    *d = panel_high_f16(quads_pick(head, 3));
    *dmin = _mm512_setzero_ps();
}

FAL_PANEL_INLINE void few_add_q4_k(const fal_panel_rows *rows, int e, struct few_sums *sums,
                                   __m512i *head) {
    *head = panel_four_rows(rows, e, 0);
    __m512i scales = few_add_k_minima(sums, *head);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        size_t at = offsetof(struct fal_q4_k, qs) + 32 * (size_t)j;
        __m512i a = panel_four_rows(rows, e, at), b = panel_four_rows(rows, e, at + 16);
        few_add_thirty_two(sums, 64 * j, panel_low_nibbles(a), panel_low_nibbles(b),
                           few_byte_scale(scales, 2 * j));
        few_add_thirty_two(sums, 64 * j + 32, panel_high_nibbles(a), panel_high_nibbles(b),
                           few_byte_scale(scales, 2 * j + 1));
    }
}

FAL_PANEL_INLINE void few_scales_pair(const fal_panel_rows *rows, const __m512i head[4], __m512 *d,
                                      __m512 *dmin) {
    (void)rows;
    __m512i pair = quads_pick(head, 0);
    *d = panel_low_f16(pair);
    *dmin = panel_high_f16(pair);
}

/* Bit `bit` of each byte of high, as the fifth of codes. */
FAL_PANEL_INLINE __m512i few_with_fifth(__m512i codes, __m512i high, int bit) {
    __m512i fifth = bit < 4 ? _mm512_slli_epi32(high, (unsigned)(4 - bit))
                            : _mm512_srli_epi32(high, (unsigned)(bit - 4));
    return _mm512_or_si512(codes, panel_masked(fifth, 16));
}

FAL_PANEL_INLINE void few_add_q5_k(const fal_panel_rows *rows, int e, struct few_sums *sums,
                                   __m512i *head) {
    *head = panel_four_rows(rows, e, 0);
    __m512i scales = few_add_k_minima(sums, *head), high[2];
    for (int i = 0; i < 2; i++)
        high[i] = panel_four_rows(rows, e, offsetof(struct fal_q5_k, qh) + 16 * (size_t)i);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        size_t at = offsetof(struct fal_q5_k, qs) + 32 * (size_t)j;
        __m512i a = panel_four_rows(rows, e, at), b = panel_four_rows(rows, e, at + 16);
        few_add_thirty_two(sums, 64 * j, few_with_fifth(panel_low_nibbles(a), high[0], 2 * j),
                           few_with_fifth(panel_low_nibbles(b), high[1], 2 * j),
                           few_byte_scale(scales, 2 * j));
        few_add_thirty_two(sums, 64 * j + 32,
                           few_with_fifth(panel_high_nibbles(a), high[0], 2 * j + 1),
                           few_with_fifth(panel_high_nibbles(b), high[1], 2 * j + 1),
                           few_byte_scale(scales, 2 * j + 1));
    }
}

FAL_PANEL_INLINE void few_add_q6_k(const fal_panel_rows *rows, int e, struct few_sums *sums,
                                   __m512i *head) {
    (void)head;
    __m512i bytes = panel_four_rows(rows, e, offsetof(struct fal_q6_k, scales)), scales[2];
    for (int i = 0; i < 2; i++) {
        scales[i] = few_widen(bytes, i, true);
        few_add_lows(sums, i, scales[i]);
    }
#pragma GCC unroll 4
    for (int part = 0; part < 4; part++) {
        const int half = part / 2, side = part % 2;
        size_t low = offsetof(struct fal_q6_k, ql) + 64 * (size_t)half + 16 * (size_t)side;
        __m512i a = panel_four_rows(rows, e, low), b = panel_four_rows(rows, e, low + 32);
        __m512i h = panel_four_rows(rows, e, offsetof(struct fal_q6_k, qh) + 16 * (size_t)part);
        __m512i codes[4] = {
            _mm512_or_si512(panel_low_nibbles(a), panel_masked(_mm512_slli_epi32(h, 4), 48)),
            _mm512_or_si512(panel_low_nibbles(b), panel_masked(_mm512_slli_epi32(h, 2), 48)),
            _mm512_or_si512(panel_high_nibbles(a), panel_masked(h, 48)),
            _mm512_or_si512(panel_high_nibbles(b), panel_masked(_mm512_srli_epi32(h, 2), 48))};
        for (int k = 0; k < 4; k++)
            few_add_sixteen(sums, 128 * half + 32 * k + 16 * side, codes[k],
                            few_scale(scales[half], 2 * k + side));
    }
}

FAL_PANEL_INLINE void few_scales_q6_k(const fal_panel_rows *rows, const __m512i head[4], __m512 *d,
                                      __m512 *dmin) {
    (void)head;
    *d = panel_gather_f16(rows, offsetof(struct fal_q6_k, d));
    *dmin = _mm512_setzero_ps();
}

/* The eight scales of each row as numbers of 16 bits, from the block's first eight bytes. */
FAL_PANEL_INLINE __m512i few_iq4_xs_scales(__m512i head) {
    __m512i low = _mm512_shuffle_epi8(
        head, few_four((int)0x80048004u, (int)0x80058005u, (int)0x80068006u, (int)0x80078007u));
    low = _mm512_and_si512(_mm512_srlv_epi16(low, _mm512_set1_epi32(0x00040000)),
                           _mm512_set1_epi16(15));
    __m512i high = _mm512_shuffle_epi8(head, _mm512_set1_epi32(0x03020302));
    high = _mm512_srlv_epi16(high, few_four(0x00020000, 0x00060004, 0x000a0008, 0x000e000c));
    high = _mm512_slli_epi16(_mm512_and_si512(high, _mm512_set1_epi16(3)), 4);
    return _mm512_sub_epi16(_mm512_or_si512(low, high), _mm512_set1_epi16(32));
}

/* Codes stand 128 higher than they are. */
FAL_PANEL_INLINE void few_add_iq4_xs(const fal_panel_rows *rows, int e, struct few_sums *sums,
                                     __m512i *head) {
    static const int8_t values[16] = FAL_IQ4_VALUES;
    const __m512i table =
        _mm512_xor_si512(panel_table(values), _mm512_set1_epi32((int)0x80808080u));
    *head = panel_four_rows(rows, e, 0);
    __m512i scales = few_iq4_xs_scales(*head);
    few_add_lows(sums, 0, _mm512_unpacklo_epi16(scales, scales));
    few_add_lows(sums, 1, _mm512_unpackhi_epi16(scales, scales));
    __m512i wide[2] = {_mm512_srai_epi32(_mm512_unpacklo_epi16(scales, scales), 16),
                       _mm512_srai_epi32(_mm512_unpackhi_epi16(scales, scales), 16)};
#pragma GCC unroll 8
    for (int j = 0; j < 8; j++) {
        __m512i v = panel_four_rows(rows, e, offsetof(struct fal_iq4_xs, qs) + 16 * (size_t)j);
        __m512i first = _mm512_shuffle_epi8(table, panel_low_nibbles(v));
        __m512i second = _mm512_shuffle_epi8(table, panel_high_nibbles(v));
        const int lane = 0x03020100 + 0x04040404 * (j % 4);
        __m512i scale = _mm512_shuffle_epi8(wide[j / 4], _mm512_set1_epi32(lane));
        for (int t = 0; t < sums->n_tokens; t++) {
            const int8_t *x = sums->x[t]->q + 32 * j;
            __m512i partial = _mm512_dpbusd_epi32(_mm512_setzero_si512(), first, quads_repeat(x));
            partial = _mm512_dpbusd_epi32(partial, second, quads_repeat(x + 16));
            __m512i *chain = few_chain(sums, t, 32 * j);
            *chain = _mm512_add_epi32(*chain, _mm512_mullo_epi32(partial, scale));
        }
    }
}

#endif
