/* Rows of weights, four to a vector: what products with few tokens are made of, the vocabulary of x86_frames/few_k.h.
 *
 * A quarter of a vector, 128 bits, holds 16 columns of one row, as they lie in memory once unpacked. VPDPBUSD leaves four
 * sums per row, which are joined at the end of a block: unlike a panel (panel.h) nothing has to be turned beforehand and
 * nothing is stored, which pays where a block is used by few tokens. Vector e of four holds rows e, e + 4, e + 8, e + 12.
 * Everything here is meant to be inlined with constant arguments. */
#ifndef FAL_COMPUTE_CPU_X86_AVX512_FEW_VECTORS_H
#define FAL_COMPUTE_CPU_X86_AVX512_FEW_VECTORS_H

#include "compute/cpu/x86_avx512/panel.h"

typedef __m512i few_vector;
typedef __m512 few_floats;

enum {
    FEW_TOKENS = 4 /* at most */
};

/* Sixteen bytes to each quarter. */
FAL_PANEL_INLINE __m512i quads_repeat(const void *bytes) {
    return _mm512_broadcast_i32x4(panel_load16(bytes));
}

/* Number `index` of four in each row, in the order of rows. */
FAL_PANEL_INLINE __m512i quads_pick(const __m512i v[4], int index) {
    __m512i a, b;
    if (index < 2) {
        a = _mm512_unpacklo_epi32(v[0], v[1]);
        b = _mm512_unpacklo_epi32(v[2], v[3]);
    } else {
        a = _mm512_unpackhi_epi32(v[0], v[1]);
        b = _mm512_unpackhi_epi32(v[2], v[3]);
    }
    return index % 2 == 0 ? _mm512_unpacklo_epi64(a, b) : _mm512_unpackhi_epi64(a, b);
}

/* The sum of the four numbers of each row, in the order of rows. */
FAL_PANEL_INLINE __m512i quads_join(const __m512i v[4]) {
    __m512i a =
        _mm512_add_epi32(_mm512_unpacklo_epi32(v[0], v[1]), _mm512_unpackhi_epi32(v[0], v[1]));
    __m512i b =
        _mm512_add_epi32(_mm512_unpacklo_epi32(v[2], v[3]), _mm512_unpackhi_epi32(v[2], v[3]));
    return _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
}

FAL_PANEL_INLINE __m512i few_zero(void) {
    return _mm512_setzero_si512();
}

/* Sixteen bytes of each of four rows. */
FAL_PANEL_INLINE __m512i few_gather(const uint8_t *const at[4]) {
    __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(panel_load16(at[0])),
                                          panel_load16(at[1]), 1);
    __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(panel_load16(at[2])),
                                           panel_load16(at[3]), 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/* Four 32-bit numbers to each quarter. */
FAL_PANEL_INLINE __m512i few_four(int a, int b, int c, int d) {
    return _mm512_broadcast_i32x4(_mm_setr_epi32(a, b, c, d));
}

FAL_PANEL_INLINE __m512i few_or(__m512i a, __m512i b) {
    return _mm512_or_si512(a, b);
}

FAL_PANEL_INLINE __m512i few_and(__m512i a, __m512i b) {
    return _mm512_and_si512(a, b);
}

FAL_PANEL_INLINE __m512i few_add(__m512i a, __m512i b) {
    return _mm512_add_epi32(a, b);
}

FAL_PANEL_INLINE __m512i few_subtract(__m512i a, __m512i b) {
    return _mm512_sub_epi32(a, b);
}

FAL_PANEL_INLINE __m512i few_subtract_bytes(__m512i a, int byte) {
    return _mm512_sub_epi8(a, _mm512_set1_epi8((char)byte));
}

/* Bits of 32-bit numbers to the right; to the left if n is negative. */
FAL_PANEL_INLINE __m512i few_right(__m512i v, int n) {
    return n < 0 ? _mm512_slli_epi32(v, (unsigned)-n) : _mm512_srli_epi32(v, (unsigned)n);
}

FAL_PANEL_INLINE __m512i few_right_each(__m512i v, __m512i n) {
    return _mm512_srlv_epi32(v, n);
}

FAL_PANEL_INLINE __m512i few_shuffle(__m512i v, __m512i order) {
    return _mm512_shuffle_epi8(v, order);
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

/* 16-bit number `index` of eight in each quarter, for few_add_scaled: to the low halves of its four lanes; zeros above. */
FAL_PANEL_INLINE __m512i few_scale(__m512i words, int index) {
    const int lane = 2 * index | (2 * index + 1) << 8 | (int)0x80800000u;
    return _mm512_shuffle_epi8(words, _mm512_set1_epi32(lane));
}

/* The same of unsigned bytes. */
FAL_PANEL_INLINE __m512i few_byte_scale(__m512i bytes, int index) {
    return _mm512_shuffle_epi8(bytes, _mm512_set1_epi32(index | (int)0x80808000u));
}

/* sum + scale * codes * x over n vectors of 16 columns, one or two. A sum of products over four or eight columns fits 16 bits,
 * so that one VPDPWSSD multiplies it by its scale and adds; its high half, the sign, meets zero. */
FAL_PANEL_INLINE __m512i few_add_scaled(__m512i sum, const __m512i *codes, int n, const int8_t *x,
                                        __m512i scale) {
    __m512i partial = _mm512_setzero_si512();
    for (int i = 0; i < n; i++)
        partial = _mm512_dpbusd_epi32(partial, codes[i], quads_repeat(x + 16 * i));
    return _mm512_dpwssd_epi32(sum, partial, scale);
}

/* sum + words * x, eight numbers of 16 bits. */
FAL_PANEL_INLINE __m512i few_add_words(__m512i sum, __m512i words, const int16_t *x) {
    return _mm512_dpwssd_epi32(sum, words, quads_repeat(x));
}

FAL_PANEL_INLINE __m512 few_floats_zero(void) {
    return _mm512_setzero_ps();
}

/* acc + d * x * sums, rounded after each; minus with is_subtracted. */
FAL_PANEL_INLINE __m512 few_add_block(__m512 acc, __m512 d, float x, __m512i sums,
                                      bool is_subtracted) {
    __m512 scale = _mm512_mul_ps(d, _mm512_set1_ps(x));
    __m512 product = _mm512_mul_ps(scale, _mm512_cvtepi32_ps(sums));
    return is_subtracted ? _mm512_sub_ps(acc, product) : _mm512_add_ps(acc, product);
}

FAL_PANEL_INLINE void few_store(float *y, __m512 acc) {
    _mm512_storeu_ps(y, acc);
}

#endif
