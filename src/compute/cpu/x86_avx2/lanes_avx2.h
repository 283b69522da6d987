/* The lanes of quant/lanes.h as AVX2 vectors, bit for bit the same. It stands in that header's place and therefore has
 * its include guard; meanings are explained there. */
#ifndef FAL_QUANT_LANES_H
#define FAL_QUANT_LANES_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LANES_INLINE static inline __attribute__((always_inline))

enum {
    LANES = 8
};

typedef __m256 lanes;
typedef __m256 lane_mask;

LANES_INLINE lanes lanes_set(float value) {
    return _mm256_set1_ps(value);
}

LANES_INLINE lanes lanes_load(const float *x) {
    return _mm256_loadu_ps(x);
}

LANES_INLINE void lanes_store(float *x, lanes a) {
    _mm256_storeu_ps(x, a);
}

LANES_INLINE lanes lanes_add(lanes a, lanes b) {
    return _mm256_add_ps(a, b);
}

LANES_INLINE lanes lanes_sub(lanes a, lanes b) {
    return _mm256_sub_ps(a, b);
}

LANES_INLINE lanes lanes_mul(lanes a, lanes b) {
    return _mm256_mul_ps(a, b);
}

LANES_INLINE lanes lanes_div(lanes a, lanes b) {
    return _mm256_div_ps(a, b);
}

LANES_INLINE lanes lanes_sqrt(lanes a) {
    return _mm256_sqrt_ps(a);
}

LANES_INLINE lanes lanes_abs(lanes a) {
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}

LANES_INLINE lanes lanes_min(lanes a, lanes b) {
    return _mm256_min_ps(a, b);
}

LANES_INLINE lanes lanes_max(lanes a, lanes b) {
    return _mm256_max_ps(a, b);
}

LANES_INLINE lanes lanes_round(lanes a) {
    const __m256 shift = _mm256_set1_ps(12582912.0f);
    return _mm256_sub_ps(_mm256_add_ps(a, shift), shift);
}

LANES_INLINE lane_mask lanes_less(lanes a, lanes b) {
    return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}

LANES_INLINE lane_mask lanes_both(lane_mask a, lane_mask b) {
    return _mm256_and_ps(a, b);
}

LANES_INLINE lanes lanes_select(lane_mask mask, lanes a, lanes b) {
    return _mm256_blendv_ps(b, a, mask);
}

LANES_INLINE void lanes_transpose(const float *rows, ptrdiff_t stride, lanes *out) {
    __m256 pair[8], four[8];
    for (int j = 0; j < 4; j++) {
        __m256 a = _mm256_loadu_ps(rows + 2 * j * stride);
        __m256 b = _mm256_loadu_ps(rows + (2 * j + 1) * stride);
        pair[2 * j] = _mm256_unpacklo_ps(a, b);
        pair[2 * j + 1] = _mm256_unpackhi_ps(a, b);
    }
    for (int half = 0; half < 2; half++) {
        const __m256 *p = pair + 4 * half;
        __m256 *f = four + 4 * half;
        f[0] = _mm256_shuffle_ps(p[0], p[2], 0x44);
        f[1] = _mm256_shuffle_ps(p[0], p[2], 0xee);
        f[2] = _mm256_shuffle_ps(p[1], p[3], 0x44);
        f[3] = _mm256_shuffle_ps(p[1], p[3], 0xee);
    }
    for (int i = 0; i < 4; i++) {
        out[i] = _mm256_permute2f128_ps(four[i], four[i + 4], 0x20);
        out[i + 4] = _mm256_permute2f128_ps(four[i], four[i + 4], 0x31);
    }
}

LANES_INLINE void lanes_store_bytes(const lanes *a, ptrdiff_t stride, int8_t *bytes) {
    /* Eight numbers of a lane become eight bytes: 32 bits to 16 to 8 within halves, then an 8x8 transposition. */
    __m256i v[4];
    for (int i = 0; i < 4; i++) {
        v[i] = _mm256_packs_epi32(_mm256_cvtps_epi32(a[2 * i]), _mm256_cvtps_epi32(a[2 * i + 1]));
    }
    __m256i low = _mm256_packs_epi16(v[0], v[1]), high = _mm256_packs_epi16(v[2], v[3]);
    /* Halves hold lanes 0 .. 3 and 4 .. 7; byte 4 i + j of low is number i of lane j. */
    const __m256i order = _mm256_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15, 0,
                                           4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    low = _mm256_shuffle_epi8(low, order);
    high = _mm256_shuffle_epi8(high, order);
    __m256i first = _mm256_unpacklo_epi32(low, high), second = _mm256_unpackhi_epi32(low, high);
    int8_t all[64];
    _mm256_storeu_si256((__m256i *)(void *)all, _mm256_permute2x128_si256(first, second, 0x20));
    _mm256_storeu_si256((__m256i *)(void *)(all + 32),
                        _mm256_permute2x128_si256(first, second, 0x31));
    for (int j = 0; j < LANES; j++) {
        for (int i = 0; i < 8; i++)
            bytes[j * stride + i] = all[8 * j + i];
    }
}

#endif
