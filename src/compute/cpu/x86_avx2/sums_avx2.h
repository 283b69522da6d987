/* Sums of rows in double with AVX2: their numbers, their squared distances from a mean. */
#ifndef FAL_COMPUTE_CPU_X86_AVX2_SUMS_AVX2_H
#define FAL_COMPUTE_CPU_X86_AVX2_SUMS_AVX2_H

#include <immintrin.h>
#include <stdint.h>

static inline __m256d low_as_double(__m256 v) {
    return _mm256_cvtps_pd(_mm256_castps256_ps128(v));
}

static inline __m256d high_as_double(__m256 v) {
    return _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
}

static inline double sum_doubles(__m256d v) {
    __m128d two = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

static inline double sum_row(const float *x, int64_t n) {
    __m256d low = _mm256_setzero_pd(), high = _mm256_setzero_pd();
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 v = _mm256_loadu_ps(x + i);
        low = _mm256_add_pd(low, low_as_double(v));
        high = _mm256_add_pd(high, high_as_double(v));
    }
    double sum = sum_doubles(_mm256_add_pd(low, high));
    for (; i < n; i++)
        sum += (double)x[i];
    return sum;
}

static inline double sum_squares(const float *x, double mean, int64_t n) {
    __m256d low = _mm256_setzero_pd(), high = _mm256_setzero_pd(), middle = _mm256_set1_pd(mean);
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 v = _mm256_loadu_ps(x + i);
        __m256d a = _mm256_sub_pd(low_as_double(v), middle);
        __m256d b = _mm256_sub_pd(high_as_double(v), middle);
        low = _mm256_fmadd_pd(a, a, low);
        high = _mm256_fmadd_pd(b, b, high);
    }
    double sum = sum_doubles(_mm256_add_pd(low, high));
    for (; i < n; i++)
        sum += ((double)x[i] - mean) * ((double)x[i] - mean);
    return sum;
}

#endif
