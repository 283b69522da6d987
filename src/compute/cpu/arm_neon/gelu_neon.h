/* What GELU and its derivative are made of in the NEON set. */
#ifndef FAL_COMPUTE_CPU_ARM_NEON_GELU_NEON_H
#define FAL_COMPUTE_CPU_ARM_NEON_GELU_NEON_H

#include "compute/cpu/arm_neon/exp_neon.h"

/* As in the portable set: P(x), and x times the density in *slope; exp(-a^2 / 2) comes from the exact square. */
static inline float32x4_t normal_share(float32x4_t x, float32x4_t *slope) {
    static const float tails[] = {FAL_TAIL_T9, FAL_TAIL_T8, FAL_TAIL_T7, FAL_TAIL_T6, FAL_TAIL_T5,
                                  FAL_TAIL_T4, FAL_TAIL_T3, FAL_TAIL_T2, FAL_TAIL_T1, FAL_TAIL_T0};
    static const float middles[] = {FAL_MIDDLE_M5, FAL_MIDDLE_M4, FAL_MIDDLE_M3,
                                    FAL_MIDDLE_M2, FAL_MIDDLE_M1, FAL_MIDDLE_M0};
    const float32x4_t one = vdupq_n_f32(1.0f);
    float32x4_t a = vminq_f32(vdupq_n_f32(FAL_TAIL_LARGEST), vabsq_f32(x));
    float32x4_t t = vdivq_f32(one, vfmaq_f32(one, a, vdupq_n_f32(FAL_TAIL_STEP)));
    float32x4_t square = vmulq_f32(a, a);
    float32x4_t lost = vfmaq_f32(vnegq_f32(square), a, a);
    float32x4_t e = exp_nonpositive(vmulq_n_f32(square, -0.5f));
    e = vfmsq_f32(e, vmulq_n_f32(lost, 0.5f), e);
    float32x4_t tail = vmulq_f32(e, vmulq_f32(polynomial(tails, 10, t), t));
    float32x4_t signed_a = vbslq_f32(vdupq_n_u32(0x80000000u), x, a);
    *slope = vmulq_f32(signed_a, vmulq_n_f32(e, FAL_NORMAL_DENSITY));
    float32x4_t middle = vfmaq_f32(vdupq_n_f32(0.5f), x, polynomial(middles, 6, square));
    float32x4_t side = vbslq_f32(vcltzq_f32(x), tail, vsubq_f32(one, tail));
    return vbslq_f32(vcltq_f32(a, vdupq_n_f32(FAL_MIDDLE_LARGEST)), middle, side);
}

static inline float32x4_t gelu_tanh(float32x4_t x) {
    const float32x4_t one = vdupq_n_f32(1.0f);
    float32x4_t factor =
        vfmaq_f32(vdupq_n_f32(FAL_GELU_A), vmulq_f32(x, x), vdupq_n_f32(FAL_GELU_B));
    float32x4_t e = exp_nonpositive(vnegq_f32(vabsq_f32(vmulq_f32(x, factor))));
    float32x4_t top = vbslq_f32(vcltzq_f32(x), e, one);
    return vmulq_f32(x, vdivq_f32(top, vaddq_f32(one, e)));
}

/* As in the portable set. */
static inline float32x4_t gelu_tanh_slope(float32x4_t x) {
    const float32x4_t one = vdupq_n_f32(1.0f), far = vdupq_n_f32(FAL_GELU_FAR);
    float32x4_t near = vmaxq_f32(vnegq_f32(far), vminq_f32(far, x));
    float32x4_t square = vmulq_f32(near, near);
    float32x4_t factor = vfmaq_f32(vdupq_n_f32(FAL_GELU_A), square, vdupq_n_f32(FAL_GELU_B));
    float32x4_t e = exp_nonpositive(vnegq_f32(vabsq_f32(vmulq_f32(near, factor))));
    float32x4_t rest = vdivq_f32(one, vaddq_f32(one, e));
    float32x4_t share = vmulq_f32(vbslq_f32(vcltzq_f32(x), e, one), rest);
    float32x4_t bend = vmulq_f32(near, vmulq_f32(e, vmulq_f32(rest, rest)));
    factor = vfmaq_f32(vdupq_n_f32(FAL_GELU_A), square, vdupq_n_f32(3.0f * FAL_GELU_B));
    return vfmaq_f32(share, bend, factor);
}

#endif
