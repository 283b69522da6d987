/* The exponential of the NEON set, four at once, and parts of vectors in memory. */
#ifndef FAL_COMPUTE_CPU_ARM_NEON_EXP_NEON_H
#define FAL_COMPUTE_CPU_ARM_NEON_EXP_NEON_H

#include "compute/cpu/exp_constants.h"

#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

enum {
    LANES = 4
};

/* factors[0] x^(n - 1) + ... + factors[n - 1] */
static inline float32x4_t polynomial(const float *factors, int n, float32x4_t x) {
    float32x4_t y = vdupq_n_f32(factors[0]);
    for (int i = 1; i < n; i++)
        y = vfmaq_f32(vdupq_n_f32(factors[i]), y, x);
    return y;
}

/* x where the mask holds, else 0. */
static inline float32x4_t kept(float32x4_t x, uint32x4_t mask) {
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(x), mask));
}

/* exp(x) for x <= 0 within 2 units in the last place; 0 below FAL_EXP_SMALLEST; NaN stays NaN. */
static inline float32x4_t exp_nonpositive(float32x4_t x) {
    static const float factors[] = {FAL_EXP_C6, FAL_EXP_C5, FAL_EXP_C4, FAL_EXP_C3, FAL_EXP_C2};
    const float32x4_t smallest = vdupq_n_f32(FAL_EXP_SMALLEST);
    float32x4_t clamped = vmaxq_f32(smallest, x);
    float32x4_t n = vrndnq_f32(vmulq_n_f32(clamped, FAL_EXP_LOG2_E));
    float32x4_t r = vfmsq_f32(clamped, n, vdupq_n_f32(FAL_EXP_LN2_HIGH));
    r = vfmsq_f32(r, n, vdupq_n_f32(FAL_EXP_LN2_LOW));
    float32x4_t e = vfmaq_f32(r, polynomial(factors, 5, r), vmulq_f32(r, r));
    e = vaddq_f32(e, vdupq_n_f32(1.0f));
    int32x4_t exponent = vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127));
    float32x4_t result = vmulq_f32(e, vreinterpretq_f32_s32(vshlq_n_s32(exponent, 23)));
    return kept(result, vmvnq_u32(vcltq_f32(x, smallest)));
}

/* The first n (1 to 3) of a row's numbers, the rest 0. */
static inline float32x4_t load_some(const float *x, int64_t n) {
    float rest[LANES] = {0.0f};
    memcpy(rest, x, (size_t)n * sizeof *x);
    return vld1q_f32(rest);
}

static inline void store_some(float *y, float32x4_t v, int64_t n) {
    float rest[LANES];
    vst1q_f32(rest, v);
    memcpy(y, rest, (size_t)n * sizeof *y);
}

#endif
