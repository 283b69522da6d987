/* Numbers that every set's exponential and GELU share: polynomials fitted at Chebyshev nodes in 40 digits and rounded to
 * f32. Errors named here are those of the rounded polynomial evaluated exactly. */
#ifndef FAL_COMPUTE_CPU_EXP_CONSTANTS_H
#define FAL_COMPUTE_CPU_EXP_CONSTANTS_H

/* exp(x) = 2^n exp(r), r = x - n ln 2; the high part of ln 2 has 15 bits, so that its product with n is exact. */
#define FAL_EXP_LOG2_E   0x1.715476p+0f
#define FAL_EXP_LN2_HIGH 0x1.62e4p-1f
#define FAL_EXP_LN2_LOW  0x1.7f7d1cp-20f
#define FAL_EXP_SMALLEST (-87.33f) /* below it the result is 0: at most 1.2e-38 is lost */
/* exp(r) = 1 + r + r^2 (C2 + C3 r + ...) within 1.1e-8 for |r| <= ln(2) / 2. */
#define FAL_EXP_C2 0.5f
#define FAL_EXP_C3 0.1666657627f
#define FAL_EXP_C4 0.04166655615f
#define FAL_EXP_C5 0.008363178931f
#define FAL_EXP_C6 0.001392618404f

/* The normal distribution's tail: P(-a) = exp(-a^2 / 2) t (T0 + T1 t + ... + T9 t^9), t = 1 / (1 + 0.3 a), within 1.4e-8
 * of the quotient for 0 <= a <= 14.5. GELU is x P(x). */
#define FAL_TAIL_STEP    0.3f
#define FAL_TAIL_LARGEST 14.5f
#define FAL_TAIL_T0      0x1.ea3db4p-4f
#define FAL_TAIL_T1      0x1.e9adb8p-4f
#define FAL_TAIL_T2      0x1.c44618p-4f
#define FAL_TAIL_T3      0x1.3d836cp-4f
#define FAL_TAIL_T4      0x1.945258p-4f
#define FAL_TAIL_T5      (-0x1.58f028p-4f)
#define FAL_TAIL_T6      0x1.949558p-3f
#define FAL_TAIL_T7      (-0x1.dc35b8p-3f)
#define FAL_TAIL_T8      0x1.d3ff9cp-4f
#define FAL_TAIL_T9      (-0x1.5757f0p-6f)

/* Near zero the tail is half and its rounding would show: P(x) = 1/2 + x (M0 + M1 x^2 + ... + M5 x^10), within 4.8e-8 of
 * the second term for |x| <= 1.25. */
#define FAL_MIDDLE_LARGEST 1.25f
#define FAL_MIDDLE_M0      0x1.988454p-2f
#define FAL_MIDDLE_M1      (-0x1.10580cp-4f)
#define FAL_MIDDLE_M2      0x1.46c5e8p-7f
#define FAL_MIDDLE_M3      (-0x1.365ab2p-10f)
#define FAL_MIDDLE_M4      0x1.d1f428p-14f
#define FAL_MIDDLE_M5      (-0x1.c9d7e2p-18f)

/* GELU by tanh is x / (1 + exp(-(GELU_A x + GELU_B x^3))): 2 sqrt(2 / pi), and that times 0.044715. */
#define FAL_GELU_A 1.5957691216f
#define FAL_GELU_B 0.0713548163f
/* Beyond it exp(-(GELU_A x + GELU_B x^3)) is 0 in f32. */
#define FAL_GELU_FAR 10.0f
/* 1 / sqrt(2 pi), the normal distribution's density at 0. */
#define FAL_NORMAL_DENSITY 0.3989422804f

#endif
