/* The lanes of quant/lanes.h as pairs of NEON vectors, bit for bit the same. It stands in that header's place and therefore
 * has its include guard; meanings are explained there. */
#ifndef FAL_QUANT_LANES_H
#define FAL_QUANT_LANES_H

#include <arm_neon.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LANES_INLINE static inline __attribute__((always_inline))

enum {
    LANES = 8
};

typedef struct lanes {
    float32x4_t low, high;
} lanes;

typedef struct lane_mask {
    uint32x4_t low, high;
} lane_mask;

LANES_INLINE lanes lanes_set(float value) {
    return (lanes){vdupq_n_f32(value), vdupq_n_f32(value)};
}

LANES_INLINE lanes lanes_load(const float *x) {
    return (lanes){vld1q_f32(x), vld1q_f32(x + 4)};
}

LANES_INLINE void lanes_store(float *x, lanes a) {
    vst1q_f32(x, a.low);
    vst1q_f32(x + 4, a.high);
}

LANES_INLINE lanes lanes_add(lanes a, lanes b) {
    return (lanes){vaddq_f32(a.low, b.low), vaddq_f32(a.high, b.high)};
}

LANES_INLINE lanes lanes_sub(lanes a, lanes b) {
    return (lanes){vsubq_f32(a.low, b.low), vsubq_f32(a.high, b.high)};
}

LANES_INLINE lanes lanes_mul(lanes a, lanes b) {
    return (lanes){vmulq_f32(a.low, b.low), vmulq_f32(a.high, b.high)};
}

LANES_INLINE lanes lanes_div(lanes a, lanes b) {
    return (lanes){vdivq_f32(a.low, b.low), vdivq_f32(a.high, b.high)};
}

LANES_INLINE lanes lanes_sqrt(lanes a) {
    return (lanes){vsqrtq_f32(a.low), vsqrtq_f32(a.high)};
}

LANES_INLINE lanes lanes_abs(lanes a) {
    return (lanes){vabsq_f32(a.low), vabsq_f32(a.high)};
}

LANES_INLINE lane_mask lanes_less(lanes a, lanes b) {
    return (lane_mask){vcltq_f32(a.low, b.low), vcltq_f32(a.high, b.high)};
}

LANES_INLINE lane_mask lanes_both(lane_mask a, lane_mask b) {
    return (lane_mask){vandq_u32(a.low, b.low), vandq_u32(a.high, b.high)};
}

LANES_INLINE lanes lanes_select(lane_mask mask, lanes a, lanes b) {
    return (lanes){vbslq_f32(mask.low, a.low, b.low), vbslq_f32(mask.high, a.high, b.high)};
}

LANES_INLINE lanes lanes_min(lanes a, lanes b) {
    return lanes_select(lanes_less(a, b), a, b);
}

LANES_INLINE lanes lanes_max(lanes a, lanes b) {
    return lanes_select(lanes_less(b, a), a, b);
}

LANES_INLINE lanes lanes_round(lanes a) {
    const lanes shift = lanes_set(12582912.0f);
    return lanes_sub(lanes_add(a, shift), shift);
}

/* Four rows of four into columns, of one half of the lanes. */
LANES_INLINE void lanes_transpose_four(const float *rows, ptrdiff_t stride, float32x4_t *out) {
    float64x2_t even[2], odd[2];
    for (int j = 0; j < 2; j++) {
        float32x4_t a = vld1q_f32(rows + 2 * j * stride),
                    b = vld1q_f32(rows + (2 * j + 1) * stride);
        even[j] = vreinterpretq_f64_f32(vtrn1q_f32(a, b));
        odd[j] = vreinterpretq_f64_f32(vtrn2q_f32(a, b));
    }
    out[0] = vreinterpretq_f32_f64(vtrn1q_f64(even[0], even[1]));
    out[1] = vreinterpretq_f32_f64(vtrn1q_f64(odd[0], odd[1]));
    out[2] = vreinterpretq_f32_f64(vtrn2q_f64(even[0], even[1]));
    out[3] = vreinterpretq_f32_f64(vtrn2q_f64(odd[0], odd[1]));
}

LANES_INLINE void lanes_transpose(const float *rows, ptrdiff_t stride, lanes *out) {
    for (int i = 0; i < LANES; i += 4) {
        float32x4_t low[4], high[4];
        lanes_transpose_four(rows + i, stride, low);
        lanes_transpose_four(rows + 4 * stride + i, stride, high);
        for (int k = 0; k < 4; k++)
            out[i + k] = (lanes){low[k], high[k]};
    }
}

LANES_INLINE void lanes_store_bytes(const lanes *a, ptrdiff_t stride, int8_t *bytes) {
    int8_t all[LANES][8]; /* number, lane */
    for (int i = 0; i < 8; i++) {
        int16x8_t wide =
            vcombine_s16(vmovn_s32(vcvtq_s32_f32(a[i].low)), vmovn_s32(vcvtq_s32_f32(a[i].high)));
        vst1_s8(all[i], vmovn_s16(wide));
    }
    for (int j = 0; j < LANES; j++) {
        for (int i = 0; i < 8; i++)
            bytes[j * stride + i] = all[i][j];
    }
}

#endif
