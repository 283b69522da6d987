/* Products of few tokens with types of 32 weights: nothing is turned or stored between decoding and products (few_vectors.h). */
#ifndef FAL_COMPUTE_CPU_X86_AVX512_FEW_LEGACY_H
#define FAL_COMPUTE_CPU_X86_AVX512_FEW_LEGACY_H

#include "compute/cpu/x86_avx512/few_vectors.h"
#include "compute/cpu/x86_frames/quads.h"
#include "quant/iq4_nl.h"
#include "quant/q4_0.h"
#include "quant/q4_1.h"
#include "quant/q5_0.h"
#include "quant/q5_1.h"
#include "quant/q8_0.h"
#include "quant/q8_1.h"

/* Codes of columns 0 .. 15 and 16 .. 31 of vector e's rows, which begin at byte `at` of a block, unsigned; *head: whatever of
 * it the scales are taken from. */
typedef void few_codes(const fal_panel_rows *rows, int e, size_t at, __m512i codes[2],
                       __m512i *head);

/* weight = d * code + m */
typedef void few_scales(const fal_panel_rows *rows, const __m512i head[4], __m512 *d, __m512 *m);

FAL_PANEL_INLINE void few_codes_four(const fal_panel_rows *rows, int e, size_t at, __m512i codes[2],
                                     __m512i *head) {
    (void)head;
    __m512i v = panel_four_rows(rows, e, at);
    codes[0] = panel_low_nibbles(v);
    codes[1] = panel_high_nibbles(v);
}

/* Bits 16 first .. 16 first + 15 of the four bytes at byte `at` of each row's head, as the fifth bits of codes. */
FAL_PANEL_INLINE __m512i few_add_fifth(__m512i codes, __m512i head, int at) {
    const int64_t low = at * 0x0101010101010101;
    const __m512i order = _mm512_broadcast_i32x4(_mm_set_epi64x(low + 0x0101010101010101, low));
    const __m512i bits = _mm512_set1_epi64((int64_t)0x8040201008040201u);
    __mmask64 is_set = _mm512_test_epi8_mask(_mm512_shuffle_epi8(head, order), bits);
    return _mm512_mask_add_epi8(codes, is_set, codes, _mm512_set1_epi8(16));
}

/* The fifth bits lie in front of the others. */
FAL_PANEL_INLINE void few_codes_five(const fal_panel_rows *rows, int e, size_t at, __m512i codes[2],
                                     __m512i *head) {
    few_codes_four(rows, e, at, codes, head);
    *head = panel_four_rows(rows, e, 0);
    codes[0] = few_add_fifth(codes[0], *head, (int)at - 4);
    codes[1] = few_add_fifth(codes[1], *head, (int)at - 2);
}

FAL_PANEL_INLINE void few_scales_q4_0(const fal_panel_rows *rows, const __m512i head[4], __m512 *d,
                                      __m512 *m) {
    (void)head;
    *d = panel_gather_f16(rows, offsetof(struct fal_q4_0, d));
    *m = _mm512_mul_ps(*d, _mm512_set1_ps(-8.0f));
}

FAL_PANEL_INLINE void few_scales_q4_1(const fal_panel_rows *rows, const __m512i head[4], __m512 *d,
                                      __m512 *m) {
    (void)head;
    __m512i pair = panel_gather4(rows, offsetof(struct fal_q4_1, d));
    *d = panel_low_f16(pair);
    *m = panel_high_f16(pair);
}

FAL_PANEL_INLINE void few_scales_q5_0(const fal_panel_rows *rows, const __m512i head[4], __m512 *d,
                                      __m512 *m) {
    (void)rows;
    *d = panel_low_f16(quads_pick(head, 0));
    *m = _mm512_mul_ps(*d, _mm512_set1_ps(-16.0f));
}

FAL_PANEL_INLINE void few_scales_q5_1(const fal_panel_rows *rows, const __m512i head[4], __m512 *d,
                                      __m512 *m) {
    (void)rows;
    __m512i pair = quads_pick(head, 0);
    *d = panel_low_f16(pair);
    *m = panel_high_f16(pair);
}

/* 128 higher than they are, as those of iq4_nl. */
FAL_PANEL_INLINE void few_codes_eight(const fal_panel_rows *rows, int e, size_t at,
                                      __m512i codes[2], __m512i *head) {
    (void)head;
    const __m512i top = _mm512_set1_epi32((int)0x80808080u);
    for (int i = 0; i < 2; i++)
        codes[i] = _mm512_xor_si512(panel_four_rows(rows, e, at + 16 * (size_t)i), top);
}

FAL_PANEL_INLINE void few_codes_iq4(const fal_panel_rows *rows, int e, size_t at, __m512i codes[2],
                                    __m512i *head) {
    (void)head;
    static const int8_t values[16] = FAL_IQ4_VALUES;
    const __m512i table =
        _mm512_xor_si512(panel_table(values), _mm512_set1_epi32((int)0x80808080u));
    few_codes_four(rows, e, at, codes, head);
    for (int i = 0; i < 2; i++)
        codes[i] = _mm512_shuffle_epi8(table, codes[i]);
}

/* Of a block that begins with an f16. */
FAL_PANEL_INLINE void few_scales_alone(const fal_panel_rows *rows, const __m512i head[4], __m512 *d,
                                       __m512 *m) {
    (void)head;
    *d = panel_gather_f16(rows, 0);
    *m = _mm512_setzero_ps();
}

/* What sets a type apart; a constant where it is used. */
struct few_kind {
    size_t block_bytes, codes_at;
    few_codes *codes;
    few_scales *scales;
    bool is_raised, has_minimum; /* codes stand 128 higher than they are */
};

/* acc[t] += the block of 16 rows . x[t] */
FAL_PANEL_INLINE void few_add_legacy_block(const struct few_kind kind, const fal_panel_rows *rows,
                                           const struct fal_q8_1 *const *x, int n_tokens,
                                           __m512 *acc) {
    __m512i sums[FEW_TOKENS][4], q[FEW_TOKENS][2], head[4];
    __m512 d, m;
    for (int t = 0; t < n_tokens; t++) {
        __m512i begin = _mm512_setzero_si512();
        for (int i = 0; i < 2; i++)
            q[t][i] = quads_repeat(x[t]->q + 16 * i);
        if (kind.is_raised) {
            const __m512i top = _mm512_set1_epi32((int)0x80808080u);
            begin = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(begin, top, q[t][0]), top, q[t][1]);
            begin = _mm512_sub_epi32(_mm512_setzero_si512(), begin);
        }
        for (int e = 0; e < 4; e++)
            sums[t][e] = begin;
    }
    for (int e = 0; e < 4; e++) {
        __m512i codes[2];
        kind.codes(rows, e, kind.codes_at, codes, &head[e]);
        for (int t = 0; t < n_tokens; t++) {
            for (int i = 0; i < 2; i++)
                sums[t][e] = _mm512_dpbusd_epi32(sums[t][e], codes[i], q[t][i]);
        }
    }
    kind.scales(rows, head, &d, &m);
    for (int t = 0; t < n_tokens; t++) {
        __m512 scale = _mm512_mul_ps(d, _mm512_set1_ps(x[t]->d));
        acc[t] =
            _mm512_add_ps(acc[t], _mm512_mul_ps(scale, _mm512_cvtepi32_ps(quads_join(sums[t]))));
        if (kind.has_minimum)
            acc[t] = _mm512_add_ps(acc[t], _mm512_mul_ps(m, _mm512_set1_ps(x[t]->s)));
    }
}

/* Sixteen rows from `row` on by the first n_tokens tokens. */
FAL_PANEL_INLINE void few_multiply(const struct few_kind kind, const fal_product *p, int64_t row,
                                   int n_tokens) {
    int64_t n_blocks = p->n_cols / 32;
    const char *ahead = NULL;
    fal_quads quads = quads_from(p, row);
    __m512 acc[FEW_TOKENS];
    for (int t = 0; t < n_tokens; t++)
        acc[t] = _mm512_setzero_ps();
    for (int64_t i = 0; i < n_blocks; i++) {
        const struct fal_q8_1 *x[FEW_TOKENS];
        for (int t = 0; t < n_tokens; t++)
            x[t] = (const struct fal_q8_1 *)(const void *)((const char *)p->x
                                                           + (size_t)t * p->x_row_bytes)
                   + i;
        ahead = quads_prefetch_cycle(ahead, p, row, i, kind.block_bytes);
        const fal_panel_rows rows = quads_rows(&quads);
        few_add_legacy_block(kind, &rows, x, n_tokens, acc);
        quads_step(&quads, kind.block_bytes);
    }
    for (int t = 0; t < n_tokens; t++)
        _mm512_storeu_ps(p->y + t * p->y_stride + row, acc[t]);
}

#endif
