/* Rows of weights, two to a vector: what products with few tokens are made of, the vocabulary of x86_frames/few_k.h.
 *
 * Half of a vector, 128 bits, holds 16 columns of one row, as they lie in memory once unpacked. What is left of a block are
 * four sums per row, which are joined at its end: unlike a panel (panel.h) nothing has to be turned beforehand and nothing
 * is stored, which pays where a block is used by few tokens. Vector e of four holds rows e and e + 4. Everything here is
 * meant to be inlined with constant arguments. */
#ifndef FAL_COMPUTE_CPU_X86_AVX2_FEW_VECTORS_H
#define FAL_COMPUTE_CPU_X86_AVX2_FEW_VECTORS_H

#include "compute/cpu/x86_avx2/panel.h"

typedef __m256i few_vector;
typedef __m256 few_floats;

enum {
    FEW_TOKENS = 2 /* at most */
};

/* Sixteen bytes to each half. */
FAL_PANEL_INLINE __m256i quads_repeat(const void *bytes) {
    return _mm256_broadcastsi128_si256(panel_load16((const uint8_t *)bytes));
}

/* Number `index` of four in each row, in the order of rows. */
FAL_PANEL_INLINE __m256i quads_pick(const __m256i v[4], int index) {
    __m256i a, b;
    if (index < 2) {
        a = _mm256_unpacklo_epi32(v[0], v[1]);
        b = _mm256_unpacklo_epi32(v[2], v[3]);
    } else {
        a = _mm256_unpackhi_epi32(v[0], v[1]);
        b = _mm256_unpackhi_epi32(v[2], v[3]);
    }
    return index % 2 == 0 ? _mm256_unpacklo_epi64(a, b) : _mm256_unpackhi_epi64(a, b);
}

/* The sum of the four numbers of each row, in the order of rows. */
FAL_PANEL_INLINE __m256i quads_join(const __m256i v[4]) {
    __m256i a =
        _mm256_add_epi32(_mm256_unpacklo_epi32(v[0], v[1]), _mm256_unpackhi_epi32(v[0], v[1]));
    __m256i b =
        _mm256_add_epi32(_mm256_unpacklo_epi32(v[2], v[3]), _mm256_unpackhi_epi32(v[2], v[3]));
    return _mm256_add_epi32(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
}

FAL_PANEL_INLINE __m256i few_zero(void) {
    return _mm256_setzero_si256();
}

/* Sixteen bytes of each of two rows. */
FAL_PANEL_INLINE __m256i few_gather(const uint8_t *const at[2]) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(panel_load16(at[0])), panel_load16(at[1]),
                                   1);
}

/* Four 32-bit numbers to each half. */
FAL_PANEL_INLINE __m256i few_four(int a, int b, int c, int d) {
    return _mm256_broadcastsi128_si256(_mm_setr_epi32(a, b, c, d));
}

FAL_PANEL_INLINE __m256i few_or(__m256i a, __m256i b) {
    return _mm256_or_si256(a, b);
}

FAL_PANEL_INLINE __m256i few_and(__m256i a, __m256i b) {
    return _mm256_and_si256(a, b);
}

FAL_PANEL_INLINE __m256i few_add(__m256i a, __m256i b) {
    return _mm256_add_epi32(a, b);
}

FAL_PANEL_INLINE __m256i few_subtract(__m256i a, __m256i b) {
    return _mm256_sub_epi32(a, b);
}

FAL_PANEL_INLINE __m256i few_subtract_bytes(__m256i a, int byte) {
    return _mm256_sub_epi8(a, _mm256_set1_epi8((char)byte));
}

/* Bits of 32-bit numbers to the right; to the left if n is negative. */
FAL_PANEL_INLINE __m256i few_right(__m256i v, int n) {
    return n < 0 ? _mm256_slli_epi32(v, -n) : _mm256_srli_epi32(v, n);
}

FAL_PANEL_INLINE __m256i few_right_each(__m256i v, __m256i n) {
    return _mm256_srlv_epi32(v, n);
}

FAL_PANEL_INLINE __m256i few_shuffle(__m256i v, __m256i order) {
    return _mm256_shuffle_epi8(v, order);
}

/* Bytes 0 .. 7 or 8 .. 15 of each half to 16 bits. */
FAL_PANEL_INLINE __m256i few_widen(__m256i bytes, int half, bool is_signed) {
    __m256i zero = _mm256_setzero_si256();
    if (!is_signed)
        return half == 0 ? _mm256_unpacklo_epi8(bytes, zero) : _mm256_unpackhi_epi8(bytes, zero);
    __m256i high =
        half == 0 ? _mm256_unpacklo_epi8(zero, bytes) : _mm256_unpackhi_epi8(zero, bytes);
    return _mm256_srai_epi16(high, 8);
}

/* 16-bit number `index` of eight in each half, eight times. */
FAL_PANEL_INLINE __m256i few_scale(__m256i words, int index) {
    return _mm256_shuffle_epi8(words, _mm256_set1_epi16((short)(2 * index | (2 * index + 1) << 8)));
}

/* The same of unsigned bytes. */
FAL_PANEL_INLINE __m256i few_byte_scale(__m256i bytes, int index) {
    return _mm256_shuffle_epi8(bytes, _mm256_set1_epi16((short)(index | 0x8000)));
}

/* sum + scale * codes * x over n vectors of 16 columns, one or two: sums of two or four products of codes below 64 fit 16
 * bits. */
FAL_PANEL_INLINE __m256i few_add_scaled(__m256i sum, const __m256i *codes, int n, const int8_t *x,
                                        __m256i scale) {
    __m256i partial = _mm256_maddubs_epi16(codes[0], quads_repeat(x));
    if (n == 2)
        partial = _mm256_add_epi16(partial, _mm256_maddubs_epi16(codes[1], quads_repeat(x + 16)));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(partial, scale));
}

/* sum + words * x, eight numbers of 16 bits. */
FAL_PANEL_INLINE __m256i few_add_words(__m256i sum, __m256i words, const int16_t *x) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(words, quads_repeat(x)));
}

FAL_PANEL_INLINE __m256 few_floats_zero(void) {
    return _mm256_setzero_ps();
}

/* acc + d * x * sums, rounded after each; minus with is_subtracted. */
FAL_PANEL_INLINE __m256 few_add_block(__m256 acc, __m256 d, float x, __m256i sums,
                                      bool is_subtracted) {
    __m256 scale = _mm256_mul_ps(d, _mm256_set1_ps(x));
    __m256 product = _mm256_mul_ps(scale, _mm256_cvtepi32_ps(sums));
    return is_subtracted ? _mm256_sub_ps(acc, product) : _mm256_add_ps(acc, product);
}

FAL_PANEL_INLINE void few_store(float *y, __m256 acc) {
    _mm256_storeu_ps(y, acc);
}

#endif
