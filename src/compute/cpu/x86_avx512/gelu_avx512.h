/* What GELU and its derivative are made of in the AVX-512 set. */
#ifndef FAL_COMPUTE_CPU_X86_AVX512_GELU_AVX512_H
#define FAL_COMPUTE_CPU_X86_AVX512_GELU_AVX512_H

#include "compute/cpu/x86_avx512/exp_avx512.h"

/* Lanes of `negative` where x has its sign bit, of `other` elsewhere. */
static inline __m512 by_sign(__m512 x, __m512 negative, __m512 other) {
    return _mm512_mask_mov_ps(other, _mm512_movepi32_mask(_mm512_castps_si512(x)), negative);
}

/* As in the portable set: P(x), and x times the density in *slope; exp(-a^2 / 2) comes from the exact square. */
static inline __m512 normal_share(__m512 x, __m512 *slope) {
    const __m512 sign = _mm512_set1_ps(-0.0f), one = _mm512_set1_ps(1.0f);
    __m512 a = _mm512_min_ps(_mm512_set1_ps(FAL_TAIL_LARGEST), _mm512_andnot_ps(sign, x));
    __m512 t = _mm512_div_ps(one, _mm512_fmadd_ps(a, _mm512_set1_ps(FAL_TAIL_STEP), one));
    __m512 quotient = _mm512_set1_ps(FAL_TAIL_T9);
    quotient = _mm512_fmadd_ps(quotient, t, _mm512_set1_ps(FAL_TAIL_T8));
    quotient = _mm512_fmadd_ps(quotient, t, _mm512_set1_ps(FAL_TAIL_T7));
    quotient = _mm512_fmadd_ps(quotient, t, _mm512_set1_ps(FAL_TAIL_T6));
    quotient = _mm512_fmadd_ps(quotient, t, _mm512_set1_ps(FAL_TAIL_T5));
    quotient = _mm512_fmadd_ps(quotient, t, _mm512_set1_ps(FAL_TAIL_T4));
    quotient = _mm512_fmadd_ps(quotient, t, _mm512_set1_ps(FAL_TAIL_T3));
    quotient = _mm512_fmadd_ps(quotient, t, _mm512_set1_ps(FAL_TAIL_T2));
    quotient = _mm512_fmadd_ps(quotient, t, _mm512_set1_ps(FAL_TAIL_T1));
    quotient = _mm512_fmadd_ps(quotient, t, _mm512_set1_ps(FAL_TAIL_T0));
    __m512 square = _mm512_mul_ps(a, a);
    __m512 lost = _mm512_fmsub_ps(a, a, square);
    __m512 e = exp_nonpositive(_mm512_mul_ps(_mm512_set1_ps(-0.5f), square));
    e = _mm512_fnmadd_ps(e, _mm512_mul_ps(_mm512_set1_ps(0.5f), lost), e);
    __m512 tail = _mm512_mul_ps(e, _mm512_mul_ps(quotient, t));
    *slope = _mm512_mul_ps(_mm512_or_ps(a, _mm512_and_ps(sign, x)),
                           _mm512_mul_ps(e, _mm512_set1_ps(FAL_NORMAL_DENSITY)));
    __m512 middle = _mm512_set1_ps(FAL_MIDDLE_M5);
    middle = _mm512_fmadd_ps(middle, square, _mm512_set1_ps(FAL_MIDDLE_M4));
    middle = _mm512_fmadd_ps(middle, square, _mm512_set1_ps(FAL_MIDDLE_M3));
    middle = _mm512_fmadd_ps(middle, square, _mm512_set1_ps(FAL_MIDDLE_M2));
    middle = _mm512_fmadd_ps(middle, square, _mm512_set1_ps(FAL_MIDDLE_M1));
    middle = _mm512_fmadd_ps(middle, square, _mm512_set1_ps(FAL_MIDDLE_M0));
    middle = _mm512_fmadd_ps(x, middle, _mm512_set1_ps(0.5f));
    __m512 side = by_sign(x, tail, _mm512_sub_ps(one, tail));
    __mmask16 is_middle = _mm512_cmp_ps_mask(a, _mm512_set1_ps(FAL_MIDDLE_LARGEST), _CMP_LT_OQ);
    return _mm512_mask_mov_ps(side, is_middle, middle);
}

static inline __m512 gelu_erf(__m512 x) {
    __m512 slope;
    return _mm512_mul_ps(x, normal_share(x, &slope));
}

static inline __m512 gelu_erf_slope(__m512 x) {
    __m512 slope, share = normal_share(x, &slope);
    return _mm512_add_ps(share, slope);
}

static inline __m512 gelu_tanh(__m512 x) {
    const __m512 sign = _mm512_set1_ps(-0.0f), one = _mm512_set1_ps(1.0f);
    __m512 factor = _mm512_fmadd_ps(_mm512_mul_ps(x, x), _mm512_set1_ps(FAL_GELU_B),
                                    _mm512_set1_ps(FAL_GELU_A));
    __m512 e = exp_nonpositive(_mm512_or_ps(_mm512_mul_ps(x, factor), sign));
    return _mm512_mul_ps(x, _mm512_div_ps(by_sign(x, e, one), _mm512_add_ps(one, e)));
}

/* As in the portable set. */
static inline __m512 gelu_tanh_slope(__m512 x) {
    const __m512 sign = _mm512_set1_ps(-0.0f), one = _mm512_set1_ps(1.0f),
                 far = _mm512_set1_ps(FAL_GELU_FAR);
    __m512 near = _mm512_max_ps(_mm512_xor_ps(far, sign), _mm512_min_ps(far, x));
    __m512 square = _mm512_mul_ps(near, near);
    __m512 factor = _mm512_fmadd_ps(square, _mm512_set1_ps(FAL_GELU_B), _mm512_set1_ps(FAL_GELU_A));
    __m512 e = exp_nonpositive(_mm512_or_ps(_mm512_mul_ps(near, factor), sign));
    __m512 rest = _mm512_div_ps(one, _mm512_add_ps(one, e));
    __m512 share = _mm512_mul_ps(by_sign(x, e, one), rest);
    __m512 bend = _mm512_mul_ps(near, _mm512_mul_ps(e, _mm512_mul_ps(rest, rest)));
    factor = _mm512_fmadd_ps(square, _mm512_set1_ps(3.0f * FAL_GELU_B), _mm512_set1_ps(FAL_GELU_A));
    return _mm512_fmadd_ps(bend, factor, share);
}

#endif
