/* The exponential of the AVX-512 set, sixteen at once. */
#ifndef FAL_COMPUTE_CPU_X86_AVX512_EXP_AVX512_H
#define FAL_COMPUTE_CPU_X86_AVX512_EXP_AVX512_H

#include "compute/cpu/exp_constants.h"

#include <immintrin.h>

/* exp(x) for x <= 0 within 2 units in the last place; 0 below FAL_EXP_SMALLEST; NaN stays NaN. */
static inline __m512 exp_nonpositive(__m512 x) {
    __m512 smallest = _mm512_set1_ps(FAL_EXP_SMALLEST);
    __m512 clamped = _mm512_max_ps(smallest, x); /* the second of two when one is NaN */
    __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(clamped, _mm512_set1_ps(FAL_EXP_LOG2_E)),
                                    _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(FAL_EXP_LN2_HIGH), clamped);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(FAL_EXP_LN2_LOW), r);
    __m512 tail = _mm512_set1_ps(FAL_EXP_C6);
    tail = _mm512_fmadd_ps(tail, r, _mm512_set1_ps(FAL_EXP_C5));
    tail = _mm512_fmadd_ps(tail, r, _mm512_set1_ps(FAL_EXP_C4));
    tail = _mm512_fmadd_ps(tail, r, _mm512_set1_ps(FAL_EXP_C3));
    tail = _mm512_fmadd_ps(tail, r, _mm512_set1_ps(FAL_EXP_C2));
    __m512 e = _mm512_fmadd_ps(tail, _mm512_mul_ps(r, r), r);
    e = _mm512_add_ps(e, _mm512_set1_ps(1.0f));
    __m512i exponent = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
    __m512 power = _mm512_castsi512_ps(_mm512_slli_epi32(exponent, 23));
    return _mm512_maskz_mul_ps(_mm512_cmp_ps_mask(x, smallest, _CMP_NLT_UQ), e, power);
}

#endif
