/* What products of few tokens with types of 256 weights are made of (few_k.h): sums of four rows, and their scales.
 *
 * A sum of products over four or eight columns fits 16 bits, so that one VPDPWSSD multiplies it by its scale and adds; only
 * the values of iq4_xs are too large. */
#ifndef FAL_COMPUTE_CPU_X86_AVX512_FEW_SUMS_H
#define FAL_COMPUTE_CPU_X86_AVX512_FEW_SUMS_H

#include "compute/cpu/x86_avx512/quads.h"
#include "quant/q8_k.h"

enum {
    FEW_CHAINS = 2
};

/* Four rows and a block, per token: sums of scale * code * x and of min * x, still four of each per row. The former wait for
 * each other less in two chains; where there are more than two tokens, these suffice. */
struct few_sums {
    const struct fal_q8_k *const *x;
    int n_tokens;
    __m512i codes[FAL_QUADS_TOKENS][FEW_CHAINS], lows[FAL_QUADS_TOKENS];
};

FAL_PANEL_INLINE struct few_sums few_sums_of(const struct fal_q8_k *const *x, int n_tokens) {
    struct few_sums sums = {.x = x, .n_tokens = n_tokens};
    for (int t = 0; t < n_tokens; t++)
        sums.codes[t][0] = sums.codes[t][1] = sums.lows[t] = _mm512_setzero_si512();
    return sums;
}

/* The chain of token t's sums that the sub-block at `column` belongs to. */
FAL_PANEL_INLINE __m512i *few_chain(struct few_sums *sums, int t, int column) {
    return &sums->codes[t][sums->n_tokens > 2 ? 0 : column / 32 % FEW_CHAINS];
}

FAL_PANEL_INLINE __m512i few_codes(const struct few_sums *sums, int t) {
    if (sums->n_tokens > 2) return sums->codes[t][0];
    return _mm512_add_epi32(sums->codes[t][0], sums->codes[t][1]);
}

/* 16-bit number `index` of eight in each quarter, to the low halves of its four lanes; zeros above. */
FAL_PANEL_INLINE __m512i few_scale(__m512i words, int index) {
    const int lane = 2 * index | (2 * index + 1) << 8 | (int)0x80800000u;
    return _mm512_shuffle_epi8(words, _mm512_set1_epi32(lane));
}

/* The same of unsigned bytes. */
FAL_PANEL_INLINE __m512i few_byte_scale(__m512i bytes, int index) {
    return _mm512_shuffle_epi8(bytes, _mm512_set1_epi32(index | (int)0x80808000u));
}

/* Adds scale * code * x of 16 columns from `column` on. */
FAL_PANEL_INLINE void few_add_sixteen(struct few_sums *sums, int column, __m512i codes,
                                      __m512i scale) {
    for (int t = 0; t < sums->n_tokens; t++) {
        __m512i partial = _mm512_dpbusd_epi32(_mm512_setzero_si512(), codes,
                                              quads_repeat(sums->x[t]->q + column));
        __m512i *chain = few_chain(sums, t, column);
        *chain = _mm512_dpwssd_epi32(*chain, partial, scale);
    }
}

/* Of 32 columns. */
FAL_PANEL_INLINE void few_add_thirty_two(struct few_sums *sums, int column, __m512i first,
                                         __m512i second, __m512i scale) {
    for (int t = 0; t < sums->n_tokens; t++) {
        const int8_t *x = sums->x[t]->q + column;
        __m512i partial = _mm512_dpbusd_epi32(_mm512_setzero_si512(), first, quads_repeat(x));
        partial = _mm512_dpbusd_epi32(partial, second, quads_repeat(x + 16));
        __m512i *chain = few_chain(sums, t, column);
        *chain = _mm512_dpwssd_epi32(*chain, partial, scale);
    }
}

/* Adds min * x of 128 columns, the first or second half of them; mins: one of 16 bits for each 16 columns. */
FAL_PANEL_INLINE void few_add_lows(struct few_sums *sums, int half, __m512i mins) {
    for (int t = 0; t < sums->n_tokens; t++)
        sums->lows[t] =
            _mm512_dpwssd_epi32(sums->lows[t], mins, quads_repeat(sums->x[t]->sums + 8 * half));
}

/* Bytes 0 .. 7 or 8 .. 15 of each quarter to 16 bits. */
FAL_PANEL_INLINE __m512i few_widen(__m512i bytes, int half, bool is_signed) {
    __m512i zero = _mm512_setzero_si512();
    if (!is_signed)
        return half == 0 ? _mm512_unpacklo_epi8(bytes, zero) : _mm512_unpackhi_epi8(bytes, zero);
    __m512i high =
        half == 0 ? _mm512_unpacklo_epi8(zero, bytes) : _mm512_unpackhi_epi8(zero, bytes);
    return _mm512_srai_epi16(high, 8);
}

/* Four 32-bit numbers to each quarter. */
FAL_PANEL_INLINE __m512i few_four(int a, int b, int c, int d) {
    return _mm512_broadcast_i32x4(_mm_setr_epi32(a, b, c, d));
}

/* From d, dmin and the twelve bytes of k_scales.h: eight scales and eight minima, a byte each. */
FAL_PANEL_INLINE __m512i few_k_scales(__m512i head) {
    __m512i low =
        _mm512_shuffle_epi8(head, few_four(0x07060504, 0x0f0e0d0c, 0x0b0a0908, 0x0f0e0d0c));
    low = _mm512_and_si512(_mm512_srlv_epi32(low, few_four(0, 0, 0, 4)),
                           few_four(0x3f3f3f3f, 0x0f0f0f0f, 0x3f3f3f3f, 0x0f0f0f0f));
    const int none = (int)0x80808080u;
    __m512i high = _mm512_shuffle_epi8(head, few_four(none, 0x07060504, none, 0x0b0a0908));
    return _mm512_or_si512(low, panel_masked(_mm512_srli_epi32(high, 2), 48));
}

/* Adds what the minima of q4_k and q5_k make, each of 32 columns; returns the scales. */
FAL_PANEL_INLINE __m512i few_add_k_minima(struct few_sums *sums, __m512i head) {
    __m512i scales = few_k_scales(head);
    for (int i = 0; i < 2; i++) {
        const int four = 0x00040004 * i;
        __m512i mins =
            _mm512_shuffle_epi8(scales, few_four((int)0x80088008u + four, (int)0x80098009u + four,
                                                 (int)0x800a800au + four, (int)0x800b800bu + four));
        few_add_lows(sums, i, mins);
    }
    return scales;
}

#endif
