/* Thirty-two rows of weights side by side: what the quantized products of this set are made of.
 *
 * A panel has two halves of 16 rows. A half holds decoded codes so that lane r of a vector belongs to row r and one vector
 * covers four columns: VPDPBUSD multiplies them with four activations and adds them up in 32 bits, exactly. Both halves
 * share every reading of an activation. Everything here is meant to be inlined with constant arguments. */
#ifndef FAL_COMPUTE_CPU_X86_AVX512_PANEL_H
#define FAL_COMPUTE_CPU_X86_AVX512_PANEL_H

#include "compute/cpu/kernels.h"

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FAL_PANEL_INLINE static inline __attribute__((always_inline))

enum {
    FAL_PANEL_HALF = 16, /* rows of a half */
    FAL_PANEL_ROWS = 32,
    FAL_QUADS_ROWS = 16,  /* at once with few tokens (x86_frames/quads.h) */
    FAL_PANEL_BYTES = 64, /* of one vector */
    FAL_PANEL_TOKENS = 4, /* multiplied at a time */
    FAL_PANEL_AHEAD = 512 /* bytes of a row, between asking for weights and using them */
};

/* Where the rows of a half begin. */
typedef struct fal_panel_rows {
    const uint8_t *at[FAL_PANEL_HALF];
} fal_panel_rows;

FAL_PANEL_INLINE __m128i panel_load16(const void *bytes) {
    return _mm_loadu_si128((const __m128i *)bytes);
}

FAL_PANEL_INLINE __m512i panel_load(const void *bytes) {
    return _mm512_loadu_si512(bytes);
}

FAL_PANEL_INLINE void panel_store(void *bytes, __m512i v) {
    _mm512_storeu_si512(bytes, v);
}

/* Four bytes to all lanes. */
FAL_PANEL_INLINE __m512i panel_broadcast(const void *bytes) {
    int32_t value;
    memcpy(&value, bytes, sizeof value);
    return _mm512_set1_epi32(value);
}

/* Sixteen bytes of rows row, row + 4, row + 8 and row + 12. */
FAL_PANEL_INLINE __m512i panel_four_rows(const fal_panel_rows *rows, int row, size_t offset) {
    __m512i v = _mm512_castsi128_si512(panel_load16(rows->at[row] + offset));
    v = _mm512_inserti32x4(v, panel_load16(rows->at[row + 4] + offset), 1);
    v = _mm512_inserti32x4(v, panel_load16(rows->at[row + 8] + offset), 2);
    return _mm512_inserti32x4(v, panel_load16(rows->at[row + 12] + offset), 3);
}

/* Bytes [offset, offset + 16) of each row: out[j] lane r = bytes 4 j .. 4 j + 3 of row r. */
FAL_PANEL_INLINE void panel_gather16(const fal_panel_rows *rows, size_t offset, __m512i out[4]) {
    __m512i first = panel_four_rows(rows, 0, offset), second = panel_four_rows(rows, 1, offset);
    __m512i third = panel_four_rows(rows, 2, offset), fourth = panel_four_rows(rows, 3, offset);
    __m512i a = _mm512_unpacklo_epi32(first, second), b = _mm512_unpackhi_epi32(first, second);
    __m512i c = _mm512_unpacklo_epi32(third, fourth), d = _mm512_unpackhi_epi32(third, fourth);
    out[0] = _mm512_unpacklo_epi64(a, c);
    out[1] = _mm512_unpackhi_epi64(a, c);
    out[2] = _mm512_unpacklo_epi64(b, d);
    out[3] = _mm512_unpackhi_epi64(b, d);
}

/* Bytes [offset, offset + 4) of each row. */
FAL_PANEL_INLINE __m512i panel_gather4(const fal_panel_rows *rows, size_t offset) {
    __m128i v[4];
    for (int i = 0; i < 4; i++) {
        int32_t bits[4];
        for (int j = 0; j < 4; j++)
            memcpy(&bits[j], rows->at[4 * i + j] + offset, sizeof bits[j]);
        v[i] = _mm_cvtsi32_si128(bits[0]);
        v[i] = _mm_insert_epi32(v[i], bits[1], 1);
        v[i] = _mm_insert_epi32(v[i], bits[2], 2);
        v[i] = _mm_insert_epi32(v[i], bits[3], 3);
    }
    __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(v[0]), v[1], 1);
    __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(v[2]), v[3], 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/* The f16 at `offset` of each row. */
FAL_PANEL_INLINE __m512 panel_gather_f16(const fal_panel_rows *rows, size_t offset) {
    __m128i v[4];
    for (int i = 0; i < 4; i++) {
        uint16_t bits[4];
        for (int j = 0; j < 4; j++)
            memcpy(&bits[j], rows->at[4 * i + j] + offset, sizeof bits[j]);
        v[i] = _mm_insert_epi16(_mm_setzero_si128(), bits[0], 0);
        v[i] = _mm_insert_epi16(v[i], bits[1], 1);
        v[i] = _mm_insert_epi16(v[i], bits[2], 2);
        v[i] = _mm_insert_epi16(v[i], bits[3], 3);
    }
    __m128i low = _mm_unpacklo_epi64(v[0], v[1]), high = _mm_unpacklo_epi64(v[2], v[3]);
    return _mm512_cvtph_ps(_mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1));
}

/* The f16 in the low halves of the lanes. */
FAL_PANEL_INLINE __m512 panel_low_f16(__m512i v) {
    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(v));
}

FAL_PANEL_INLINE __m512 panel_high_f16(__m512i v) {
    return panel_low_f16(_mm512_srli_epi32(v, 16));
}

FAL_PANEL_INLINE __m512i panel_masked(__m512i v, int mask) {
    return _mm512_and_si512(v, _mm512_set1_epi32(mask * 0x01010101));
}

FAL_PANEL_INLINE __m512i panel_low_nibbles(__m512i v) {
    return panel_masked(v, 15);
}

FAL_PANEL_INLINE __m512i panel_high_nibbles(__m512i v) {
    return panel_masked(_mm512_srli_epi32(v, 4), 15);
}

/* Sixteen bytes as a table for each quarter of a vector. */
FAL_PANEL_INLINE __m512i panel_table(const int8_t bytes[16]) {
    return _mm512_broadcast_i32x4(panel_load16(bytes));
}

/* sums[h][t] += codes . x for n_vectors of both halves' codes and n_tokens of x, in 32-bit integers. Codes are unsigned and
 * x signed; with is_signed codes are signed and x stands 128 higher, unsigned. */
FAL_PANEL_INLINE void panel_dot(const uint8_t *low, const uint8_t *high, int n_vectors,
                                bool is_signed, const uint8_t *const *x, int n_tokens,
                                __m512i sums[2][FAL_PANEL_TOKENS]) {
    for (int i = 0; i < n_vectors; i++) {
        __m512i w[2] = {panel_load(low + i * FAL_PANEL_BYTES),
                        panel_load(high + i * FAL_PANEL_BYTES)};
        for (int t = 0; t < n_tokens; t++) {
            __m512i v = panel_broadcast(x[t] + 4 * i);
            for (int h = 0; h < 2; h++) {
                sums[h][t] = is_signed ? _mm512_dpbusd_epi32(sums[h][t], v, w[h])
                                       : _mm512_dpbusd_epi32(sums[h][t], w[h], v);
            }
        }
    }
}

/* 128 times the sums of eight vectors of codes, taken away: what is missing from sums of signed codes. */
FAL_PANEL_INLINE __m512i panel_signed_base(const __m512i codes[8]) {
    const __m512i top = _mm512_set1_epi32((int)0x80808080u);
    __m512i sums[4];
    for (int i = 0; i < 4; i++) {
        sums[i] = _mm512_dpbusd_epi32(_mm512_setzero_si512(), top, codes[i]);
        sums[i] = _mm512_dpbusd_epi32(sums[i], top, codes[i + 4]);
    }
    __m512i sum =
        _mm512_add_epi32(_mm512_add_epi32(sums[0], sums[1]), _mm512_add_epi32(sums[2], sums[3]));
    return _mm512_sub_epi32(_mm512_setzero_si512(), sum);
}

/* 32 activations, each 128 higher. */
FAL_PANEL_INLINE void panel_raise(uint8_t *raised, const int8_t *x) {
    __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)x);
    v = _mm256_xor_si256(v, _mm256_set1_epi8((char)0x80));
    _mm256_storeu_si256((__m256i *)(void *)raised, v);
}

/* Rows [first, first + 16) of p's weights; beyond the last row stands the last one again. */
FAL_PANEL_INLINE fal_panel_rows panel_rows_from(const fal_product *p, int64_t first) {
    fal_panel_rows rows;
    for (int i = 0; i < FAL_PANEL_HALF; i++) {
        int64_t row = first + i < p->n_rows ? first + i : p->n_rows - 1;
        rows.at[i] = (const uint8_t *)p->w + (size_t)row * p->w_row_bytes;
    }
    return rows;
}

/* Which lanes of both halves belong to rows that there are. */
typedef struct fal_panel_masks {
    __mmask16 half[2];
} fal_panel_masks;

FAL_PANEL_INLINE fal_panel_masks panel_masks(const fal_product *p, int64_t first) {
    int64_t n = p->n_rows - first;
    uint32_t bits = n < FAL_PANEL_ROWS ? (1u << n) - 1 : 0xffffffffu;
    return (fal_panel_masks){
        {(__mmask16)bits, (__mmask16)(bits >> 16)}
    };
}

#endif
