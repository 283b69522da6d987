/* The exponential of the AVX2 set, eight at once, and sums and maxima across a vector. */
#ifndef FAL_COMPUTE_CPU_X86_AVX2_EXP_AVX2_H
#define FAL_COMPUTE_CPU_X86_AVX2_EXP_AVX2_H

#include "compute/cpu/exp_constants.h"

#include <immintrin.h>

/* exp(x) for x <= 0 within 2 units in the last place; 0 below FAL_EXP_SMALLEST; NaN stays NaN. */
static inline __m256 exp_nonpositive(__m256 x) {
    __m256 smallest = _mm256_set1_ps(FAL_EXP_SMALLEST);
    __m256 clamped = _mm256_max_ps(smallest, x); /* the second of two when one is NaN */
    __m256 n = _mm256_round_ps(_mm256_mul_ps(clamped, _mm256_set1_ps(FAL_EXP_LOG2_E)),
                               _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(FAL_EXP_LN2_HIGH), clamped);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(FAL_EXP_LN2_LOW), r);
    __m256 tail = _mm256_set1_ps(FAL_EXP_C6);
    tail = _mm256_fmadd_ps(tail, r, _mm256_set1_ps(FAL_EXP_C5));
    tail = _mm256_fmadd_ps(tail, r, _mm256_set1_ps(FAL_EXP_C4));
    tail = _mm256_fmadd_ps(tail, r, _mm256_set1_ps(FAL_EXP_C3));
    tail = _mm256_fmadd_ps(tail, r, _mm256_set1_ps(FAL_EXP_C2));
    __m256 e = _mm256_fmadd_ps(tail, _mm256_mul_ps(r, r), r);
    e = _mm256_add_ps(e, _mm256_set1_ps(1.0f));
    __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    __m256 result = _mm256_mul_ps(e, _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23)));
    return _mm256_and_ps(result, _mm256_cmp_ps(x, smallest, _CMP_NLT_UQ));
}

/* The order of additions: lanes 4 apart, 2 apart, 1 apart. */
static inline float sum_lanes(__m256 v) {
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline float largest_lane(__m256 v) {
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

#endif
