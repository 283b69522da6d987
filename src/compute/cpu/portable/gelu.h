/* What GELU and its derivative are made of in the portable set. */
#ifndef FAL_COMPUTE_CPU_PORTABLE_GELU_H
#define FAL_COMPUTE_CPU_PORTABLE_GELU_H

#include "compute/cpu/portable/exp.h"

#include <math.h>

/* P(x), the normal distribution's share below x, and x times its density in *slope: GELU is x P(x), its derivative the sum of
 * both. exp(-a^2 / 2) comes from the exact square, whose rounding would show. */
static inline float normal_share(float x, float *slope) {
    float a = fabsf(x);
    a = a > FAL_TAIL_LARGEST ? FAL_TAIL_LARGEST : a;
    float t = 1.0f / (1.0f + FAL_TAIL_STEP * a);
    float quotient = FAL_TAIL_T9 * t + FAL_TAIL_T8;
    quotient = quotient * t + FAL_TAIL_T7;
    quotient = quotient * t + FAL_TAIL_T6;
    quotient = quotient * t + FAL_TAIL_T5;
    quotient = quotient * t + FAL_TAIL_T4;
    quotient = quotient * t + FAL_TAIL_T3;
    quotient = quotient * t + FAL_TAIL_T2;
    quotient = quotient * t + FAL_TAIL_T1;
    quotient = quotient * t + FAL_TAIL_T0;
    float square = a * a;
    float lost = (float)((double)a * (double)a - (double)square);
    float e = exp_nonpositive(-0.5f * square);
    e -= e * (0.5f * lost);
    *slope = copysignf(a, x) * (e * FAL_NORMAL_DENSITY);
    float tail = e * (quotient * t);
    float middle = FAL_MIDDLE_M5 * square + FAL_MIDDLE_M4;
    middle = middle * square + FAL_MIDDLE_M3;
    middle = middle * square + FAL_MIDDLE_M2;
    middle = middle * square + FAL_MIDDLE_M1;
    middle = middle * square + FAL_MIDDLE_M0;
    float side = x < 0.0f ? tail : 1.0f - tail;
    return a < FAL_MIDDLE_LARGEST ? 0.5f + x * middle : side;
}

static inline float gelu_tanh(float x) {
    float z = x * (FAL_GELU_A + FAL_GELU_B * (x * x));
    float e = exp_nonpositive(-fabsf(z));
    return x * ((x < 0.0f ? e : 1.0f) / (1.0f + e));
}

/* With s the logistic function of g = A x + B x^3: s + x s (1 - s) (A + 3 B x^2). Far from zero the second term is 0. */
static inline float gelu_tanh_slope(float x) {
    float near = x > FAL_GELU_FAR ? FAL_GELU_FAR : x < -FAL_GELU_FAR ? -FAL_GELU_FAR : x;
    float square = near * near;
    float e = exp_nonpositive(-fabsf(near * (FAL_GELU_A + FAL_GELU_B * square)));
    float rest = 1.0f / (1.0f + e);
    float share = (x < 0.0f ? e : 1.0f) * rest;
    return share + near * (e * rest * rest) * (FAL_GELU_A + 3.0f * FAL_GELU_B * square);
}

#endif
