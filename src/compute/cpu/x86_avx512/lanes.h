/* Sixteen lanes: the last part of a row as a mask, sums and maxima across a vector. */
#ifndef FAL_COMPUTE_CPU_X86_AVX512_LANES_H
#define FAL_COMPUTE_CPU_X86_AVX512_LANES_H

#include <immintrin.h>
#include <stdint.h>

enum {
    LANES = 16
};

/* The lanes of a vector of which n numbers are left; what a mask leaves out is neither read nor written. */
static inline __mmask16 lanes_left(int64_t n) {
    unsigned lanes = n >= LANES ? 0xffffu : n > 0 ? (1u << n) - 1 : 0;
    return (__mmask16)lanes;
}

/* The order of additions: lanes 8 apart, 4 apart, 2 apart, 1 apart. */
static inline float sum_lanes(__m512 v) {
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline float largest_lane(__m512 v) {
    __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

static inline __m512d low_as_double(__m512 v) {
    return _mm512_cvtps_pd(_mm512_castps512_ps256(v));
}

static inline __m512d high_as_double(__m512 v) {
    return _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1));
}

static inline __m512 from_doubles(__m512d low, __m512d high) {
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(low)), _mm512_cvtpd_ps(high),
                              1);
}

static inline double sum_doubles(__m512d v) {
    __m256d four = _mm256_add_pd(_mm512_castpd512_pd256(v), _mm512_extractf64x4_pd(v, 1));
    __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

static inline __m512d add_as_double(__m512d sums, __m512 v) {
    return _mm512_add_pd(sums, _mm512_add_pd(low_as_double(v), high_as_double(v)));
}

static inline double sum_row(const float *x, int64_t n) {
    __m512d low = _mm512_setzero_pd(), high = _mm512_setzero_pd();
    for (int64_t i = 0; i < n; i += LANES) {
        __m512 v = _mm512_maskz_loadu_ps(lanes_left(n - i), x + i);
        low = _mm512_add_pd(low, low_as_double(v));
        high = _mm512_add_pd(high, high_as_double(v));
    }
    return sum_doubles(_mm512_add_pd(low, high));
}

/* Of the numbers' distances from mean. */
static inline double sum_squares(const float *x, double mean, int64_t n) {
    const __m512d middle = _mm512_set1_pd(mean);
    __m512d low = _mm512_setzero_pd(), high = _mm512_setzero_pd();
    for (int64_t i = 0; i < n; i += LANES) {
        __mmask16 left = lanes_left(n - i);
        __m512 v = _mm512_maskz_loadu_ps(left, x + i);
        __m512d a = _mm512_maskz_sub_pd((__mmask8)left, low_as_double(v), middle);
        __m512d b = _mm512_maskz_sub_pd((__mmask8)(left >> 8), high_as_double(v), middle);
        low = _mm512_fmadd_pd(a, a, low);
        high = _mm512_fmadd_pd(b, b, high);
    }
    return sum_doubles(_mm512_add_pd(low, high));
}

#endif
