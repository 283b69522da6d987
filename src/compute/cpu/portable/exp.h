/* The exponential of the portable set, without a call or a branch, so that loops over it can be vectorised. */
#ifndef FAL_COMPUTE_CPU_PORTABLE_EXP_H
#define FAL_COMPUTE_CPU_PORTABLE_EXP_H

#include "base/half.h"
#include "compute/cpu/exp_constants.h"

/* exp(x) for x <= 0 within 2 units in the last place; 0 below FAL_EXP_SMALLEST; NaN stays NaN. */
static inline float exp_nonpositive(float x) {
    const float shift =
        0x1.8p23f; /* adding it rounds to an integer, which then stands in the low bits */
    float clamped = x < FAL_EXP_SMALLEST ? FAL_EXP_SMALLEST : x;
    float shifted = clamped * FAL_EXP_LOG2_E + shift;
    float n = shifted - shift;
    float r = (clamped - n * FAL_EXP_LN2_HIGH) - n * FAL_EXP_LN2_LOW;
    float tail = FAL_EXP_C6 * r + FAL_EXP_C5;
    tail = tail * r + FAL_EXP_C4;
    tail = tail * r + FAL_EXP_C3;
    tail = tail * r + FAL_EXP_C2;
    float e = tail * (r * r) + r + 1.0f;
    float power = fal_f32_from_bits((fal_bits_from_f32(shifted) + 127u) << 23);
    float result = e * power;
    return x < FAL_EXP_SMALLEST ? 0.0f : result;
}

#endif
