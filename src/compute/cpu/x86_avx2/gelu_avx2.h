/* What GELU and its derivative are made of in the AVX2 set. */
#ifndef FAL_COMPUTE_CPU_X86_AVX2_GELU_AVX2_H
#define FAL_COMPUTE_CPU_X86_AVX2_GELU_AVX2_H

#include "compute/cpu/x86_avx2/exp_avx2.h"

/* As in the portable set: P(x), and x times the density in *slope; exp(-a^2 / 2) comes from the exact square. */
static inline __m256 normal_share(__m256 x, __m256 *slope) {
    const __m256 sign = _mm256_set1_ps(-0.0f), one = _mm256_set1_ps(1.0f);
    __m256 a = _mm256_min_ps(_mm256_set1_ps(FAL_TAIL_LARGEST), _mm256_andnot_ps(sign, x));
    __m256 t = _mm256_div_ps(one, _mm256_fmadd_ps(a, _mm256_set1_ps(FAL_TAIL_STEP), one));
    __m256 quotient = _mm256_set1_ps(FAL_TAIL_T9);
    quotient = _mm256_fmadd_ps(quotient, t, _mm256_set1_ps(FAL_TAIL_T8));
    quotient = _mm256_fmadd_ps(quotient, t, _mm256_set1_ps(FAL_TAIL_T7));
    quotient = _mm256_fmadd_ps(quotient, t, _mm256_set1_ps(FAL_TAIL_T6));
    quotient = _mm256_fmadd_ps(quotient, t, _mm256_set1_ps(FAL_TAIL_T5));
    quotient = _mm256_fmadd_ps(quotient, t, _mm256_set1_ps(FAL_TAIL_T4));
    quotient = _mm256_fmadd_ps(quotient, t, _mm256_set1_ps(FAL_TAIL_T3));
    quotient = _mm256_fmadd_ps(quotient, t, _mm256_set1_ps(FAL_TAIL_T2));
    quotient = _mm256_fmadd_ps(quotient, t, _mm256_set1_ps(FAL_TAIL_T1));
    quotient = _mm256_fmadd_ps(quotient, t, _mm256_set1_ps(FAL_TAIL_T0));
    __m256 square = _mm256_mul_ps(a, a);
    __m256 lost = _mm256_fmsub_ps(a, a, square);
    __m256 e = exp_nonpositive(_mm256_mul_ps(_mm256_set1_ps(-0.5f), square));
    e = _mm256_fnmadd_ps(e, _mm256_mul_ps(_mm256_set1_ps(0.5f), lost), e);
    __m256 tail = _mm256_mul_ps(e, _mm256_mul_ps(quotient, t));
    *slope = _mm256_mul_ps(_mm256_or_ps(a, _mm256_and_ps(sign, x)),
                           _mm256_mul_ps(e, _mm256_set1_ps(FAL_NORMAL_DENSITY)));
    __m256 middle = _mm256_set1_ps(FAL_MIDDLE_M5);
    middle = _mm256_fmadd_ps(middle, square, _mm256_set1_ps(FAL_MIDDLE_M4));
    middle = _mm256_fmadd_ps(middle, square, _mm256_set1_ps(FAL_MIDDLE_M3));
    middle = _mm256_fmadd_ps(middle, square, _mm256_set1_ps(FAL_MIDDLE_M2));
    middle = _mm256_fmadd_ps(middle, square, _mm256_set1_ps(FAL_MIDDLE_M1));
    middle = _mm256_fmadd_ps(middle, square, _mm256_set1_ps(FAL_MIDDLE_M0));
    middle = _mm256_fmadd_ps(x, middle, _mm256_set1_ps(0.5f));
    __m256 side = _mm256_blendv_ps(_mm256_sub_ps(one, tail), tail, x);
    __m256 is_middle = _mm256_cmp_ps(a, _mm256_set1_ps(FAL_MIDDLE_LARGEST), _CMP_LT_OQ);
    return _mm256_blendv_ps(side, middle, is_middle);
}

static inline __m256 gelu_tanh(__m256 x) {
    const __m256 sign = _mm256_set1_ps(-0.0f), one = _mm256_set1_ps(1.0f);
    __m256 factor = _mm256_fmadd_ps(_mm256_mul_ps(x, x), _mm256_set1_ps(FAL_GELU_B),
                                    _mm256_set1_ps(FAL_GELU_A));
    __m256 e = exp_nonpositive(_mm256_or_ps(_mm256_mul_ps(x, factor), sign));
    __m256 top = _mm256_blendv_ps(one, e, x);
    return _mm256_mul_ps(x, _mm256_div_ps(top, _mm256_add_ps(one, e)));
}

/* As in the portable set. */
static inline __m256 gelu_tanh_slope(__m256 x) {
    const __m256 sign = _mm256_set1_ps(-0.0f), one = _mm256_set1_ps(1.0f),
                 far = _mm256_set1_ps(FAL_GELU_FAR);
    __m256 near = _mm256_max_ps(_mm256_xor_ps(far, sign), _mm256_min_ps(far, x));
    __m256 square = _mm256_mul_ps(near, near);
    __m256 factor = _mm256_fmadd_ps(square, _mm256_set1_ps(FAL_GELU_B), _mm256_set1_ps(FAL_GELU_A));
    __m256 e = exp_nonpositive(_mm256_or_ps(_mm256_mul_ps(near, factor), sign));
    __m256 rest = _mm256_div_ps(one, _mm256_add_ps(one, e));
    __m256 share = _mm256_mul_ps(_mm256_blendv_ps(one, e, x), rest);
    __m256 bend = _mm256_mul_ps(near, _mm256_mul_ps(e, _mm256_mul_ps(rest, rest)));
    factor = _mm256_fmadd_ps(square, _mm256_set1_ps(3.0f * FAL_GELU_B), _mm256_set1_ps(FAL_GELU_A));
    return _mm256_fmadd_ps(bend, factor, share);
}

#endif
