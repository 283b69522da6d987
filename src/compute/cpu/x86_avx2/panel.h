/* Eight rows of weights side by side: what the products of this set are made of.
 *
 * A panel holds decoded codes so that lane r of a vector belongs to row r and one vector covers four columns. A product
 * of a panel with a token then needs no sum across lanes, and the same vectors serve every token. Everything here is
 * meant to be inlined with constant arguments. */
#ifndef FAL_COMPUTE_CPU_X86_AVX2_PANEL_H
#define FAL_COMPUTE_CPU_X86_AVX2_PANEL_H

#include "compute/cpu/kernels.h"

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FAL_PANEL_INLINE static inline __attribute__((always_inline))

enum {
    FAL_PANEL_ROWS = 8,
    FAL_QUADS_ROWS = 8,   /* at once with few tokens (x86_frames/quads.h) */
    FAL_PANEL_BYTES = 32, /* of one vector */
    FAL_PANEL_TOKENS = 4, /* multiplied at a time */
    FAL_PANEL_AHEAD = 512 /* bytes of a row, between asking for weights and using them */
};

/* Where the eight rows begin. */
typedef struct fal_panel_rows {
    const uint8_t *at[FAL_PANEL_ROWS];
} fal_panel_rows;

FAL_PANEL_INLINE __m128i panel_load16(const uint8_t *bytes) {
    return _mm_loadu_si128((const __m128i *)(const void *)bytes);
}

FAL_PANEL_INLINE __m256i panel_load(const void *bytes) {
    return _mm256_loadu_si256((const __m256i *)bytes);
}

FAL_PANEL_INLINE void panel_store(void *bytes, __m256i v) {
    _mm256_storeu_si256((__m256i *)bytes, v);
}

/* Four bytes to all lanes. */
FAL_PANEL_INLINE __m256i panel_broadcast(const void *bytes) {
    int32_t value;
    memcpy(&value, bytes, sizeof value);
    return _mm256_set1_epi32(value);
}

/* Bytes [offset, offset + 16) of each row: out[j] lane r = bytes 4 j .. 4 j + 3 of row r. */
FAL_PANEL_INLINE void panel_gather16(const fal_panel_rows *rows, size_t offset, __m256i out[4]) {
    __m256i pair[4]; /* rows i and i + 4 */
    for (int i = 0; i < 4; i++) {
        pair[i] =
            _mm256_inserti128_si256(_mm256_castsi128_si256(panel_load16(rows->at[i] + offset)),
                                    panel_load16(rows->at[i + 4] + offset), 1);
    }
    __m256i a = _mm256_unpacklo_epi32(pair[0], pair[1]);
    __m256i b = _mm256_unpackhi_epi32(pair[0], pair[1]);
    __m256i c = _mm256_unpacklo_epi32(pair[2], pair[3]);
    __m256i d = _mm256_unpackhi_epi32(pair[2], pair[3]);
    out[0] = _mm256_unpacklo_epi64(a, c);
    out[1] = _mm256_unpackhi_epi64(a, c);
    out[2] = _mm256_unpacklo_epi64(b, d);
    out[3] = _mm256_unpackhi_epi64(b, d);
}

/* Bytes [offset, offset + 8) of each row, as panel_gather16. */
FAL_PANEL_INLINE void panel_gather8(const fal_panel_rows *rows, size_t offset, __m256i out[2]) {
    __m128i pair[4];
    for (int i = 0; i < 4; i++) {
        __m128i even = _mm_loadl_epi64((const __m128i *)(const void *)(rows->at[2 * i] + offset));
        __m128i odd =
            _mm_loadl_epi64((const __m128i *)(const void *)(rows->at[2 * i + 1] + offset));
        pair[i] = _mm_unpacklo_epi32(even, odd);
    }
    out[0] = _mm256_set_m128i(_mm_unpacklo_epi64(pair[2], pair[3]),
                              _mm_unpacklo_epi64(pair[0], pair[1]));
    out[1] = _mm256_set_m128i(_mm_unpackhi_epi64(pair[2], pair[3]),
                              _mm_unpackhi_epi64(pair[0], pair[1]));
}

/* Bytes [offset, offset + 4) of each row. */
FAL_PANEL_INLINE __m256i panel_gather4(const fal_panel_rows *rows, size_t offset) {
    int32_t value[FAL_PANEL_ROWS];
    for (int i = 0; i < FAL_PANEL_ROWS; i++) {
        memcpy(&value[i], rows->at[i] + offset, sizeof value[i]);
    }
    return _mm256_setr_epi32(value[0], value[1], value[2], value[3], value[4], value[5], value[6],
                             value[7]);
}

/* Bytes [offset, offset + 2) of each row, in the low half of its lane. */
FAL_PANEL_INLINE __m256i panel_gather2(const fal_panel_rows *rows, size_t offset) {
    uint16_t value[FAL_PANEL_ROWS];
    for (int i = 0; i < FAL_PANEL_ROWS; i++) {
        memcpy(&value[i], rows->at[i] + offset, sizeof value[i]);
    }
    return _mm256_setr_epi32(value[0], value[1], value[2], value[3], value[4], value[5], value[6],
                             value[7]);
}

/* The f16 in the low halves of the lanes. */
FAL_PANEL_INLINE __m256 panel_low_f16(__m256i v) {
    v = _mm256_and_si256(v, _mm256_set1_epi32(0xffff));
    return _mm256_cvtph_ps(
        _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1)));
}

FAL_PANEL_INLINE __m256 panel_high_f16(__m256i v) {
    return panel_low_f16(_mm256_srli_epi32(v, 16));
}

/* The f16 at `offset` of each row. */
FAL_PANEL_INLINE __m256 panel_gather_f16(const fal_panel_rows *rows, size_t offset) {
    uint16_t bits[FAL_PANEL_ROWS];
    for (int i = 0; i < FAL_PANEL_ROWS; i++)
        memcpy(&bits[i], rows->at[i] + offset, sizeof bits[i]);
    __m128i first = _mm_cvtsi32_si128(bits[0]), second = _mm_cvtsi32_si128(bits[4]);
    first = _mm_insert_epi16(first, bits[1], 1);
    second = _mm_insert_epi16(second, bits[5], 1);
    first = _mm_insert_epi16(first, bits[2], 2);
    second = _mm_insert_epi16(second, bits[6], 2);
    first = _mm_insert_epi16(first, bits[3], 3);
    second = _mm_insert_epi16(second, bits[7], 3);
    return _mm256_cvtph_ps(_mm_unpacklo_epi64(first, second));
}

/* Byte `a` of each lane to its low 16 bits and byte `b` to its high ones, with zeros above. */
FAL_PANEL_INLINE __m256i panel_pair(__m256i v, int a, int b) {
    const int lane = a | 0x80 << 8 | b << 16 | (int)(0x80u << 24);
    const __m256i order =
        _mm256_setr_epi32(lane, lane + 0x00040004, lane + 0x00080008, lane + 0x000c000c, lane,
                          lane + 0x00040004, lane + 0x00080008, lane + 0x000c000c);
    return _mm256_shuffle_epi8(v, order);
}

/* The same for signed bytes. */
FAL_PANEL_INLINE __m256i panel_signed_pair(__m256i v, int a, int b) {
    return _mm256_srai_epi16(_mm256_slli_epi16(panel_pair(v, a, b), 8), 8);
}

FAL_PANEL_INLINE __m256i panel_masked(__m256i v, int mask) {
    return _mm256_and_si256(v, _mm256_set1_epi8((char)mask));
}

FAL_PANEL_INLINE __m256i panel_low_nibbles(__m256i v) {
    return panel_masked(v, 15);
}

FAL_PANEL_INLINE __m256i panel_high_nibbles(__m256i v) {
    return panel_masked(_mm256_srli_epi16(v, 4), 15);
}

/* sums[t] += multiplier * (codes . x) for n_vectors of codes and n_tokens of x, in 32-bit integers.
 *
 * Codes are unsigned unless is_signed. `run` products of unsigned codes below 64 / run * 2 are added in 16 bits before
 * they meet the multiplier (pairs of 16 bits per row): 15 * 127 * 2 * 8, 31 * 127 * 2 * 4 and 63 * 127 * 2 * 2 fit.
 * Signed codes take run = 1: 128 * 127 * 2 just fits. */
FAL_PANEL_INLINE void panel_dot(const uint8_t *codes, int n_vectors, int run, bool is_signed,
                                __m256i multiplier, const int8_t *const *x, int n_tokens,
                                __m256i *sums) {
    for (int first = 0; first < n_vectors; first += run) {
        __m256i partial[FAL_PANEL_TOKENS];
        for (int i = 0; i < run; i++) {
            __m256i w = panel_load(codes + (first + i) * FAL_PANEL_BYTES);
            __m256i magnitude = is_signed ? _mm256_abs_epi8(w) : w;
            for (int t = 0; t < n_tokens; t++) {
                __m256i v = panel_broadcast(x[t] + 4 * (first + i));
                if (is_signed) v = _mm256_sign_epi8(v, w);
                __m256i product = _mm256_maddubs_epi16(magnitude, v);
                partial[t] = i == 0 ? product : _mm256_add_epi16(partial[t], product);
            }
        }
        for (int t = 0; t < n_tokens; t++) {
            sums[t] = _mm256_add_epi32(sums[t], _mm256_madd_epi16(partial[t], multiplier));
        }
    }
}

/* Rows [first, first + 8) of p's weights; beyond the last row stands the last one again. */
FAL_PANEL_INLINE fal_panel_rows panel_rows_from(const fal_product *p, int64_t first) {
    fal_panel_rows rows;
    for (int i = 0; i < FAL_PANEL_ROWS; i++) {
        int64_t row = first + i < p->n_rows ? first + i : p->n_rows - 1;
        rows.at[i] = (const uint8_t *)p->w + (size_t)row * p->w_row_bytes;
    }
    return rows;
}

/* How many of the eight rows from `first` on there are. */
FAL_PANEL_INLINE int panel_n_rows(const fal_product *p, int64_t first) {
    return p->n_rows - first < FAL_PANEL_ROWS ? (int)(p->n_rows - first) : FAL_PANEL_ROWS;
}

/* The accumulators of a panel and one token in y; lanes beyond n_rows stay out of memory. */
FAL_PANEL_INLINE __m256 panel_read_y(const float *y, int n_rows) {
    if (n_rows == FAL_PANEL_ROWS) return _mm256_loadu_ps(y);
    float lanes[FAL_PANEL_ROWS] = {0};
    memcpy(lanes, y, (size_t)n_rows * sizeof *y);
    return _mm256_loadu_ps(lanes);
}

FAL_PANEL_INLINE void panel_write_y(float *y, int n_rows, __m256 v) {
    if (n_rows == FAL_PANEL_ROWS) {
        _mm256_storeu_ps(y, v);
        return;
    }
    float lanes[FAL_PANEL_ROWS];
    _mm256_storeu_ps(lanes, v);
    memcpy(y, lanes, (size_t)n_rows * sizeof *y);
}

#endif
