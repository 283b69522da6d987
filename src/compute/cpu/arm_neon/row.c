/* Rows of activations with NEON: normalisation, sums, GELU, rotation, rounding to f16.
 *
 * What is left over behind the last whole vector passes through the same operations, so that a number's result does not
 * depend on where in the row it stands. */
#include "base/half.h"
#include "compute/cpu/arm_neon/gelu_neon.h"
#include "compute/cpu/arm_neon/sums_neon.h"
#include "compute/cpu/kernels.h"

#include <math.h>

/* Two passes in double: the variance is right however far the mean is from zero. */
void fal_layer_norm_row_neon(float *y, const float *x, const float *weight, const float *bias,
                             int64_t n, float epsilon) {
    double mean = sum_row(x, n) / (double)n;
    double factor = 1.0 / sqrt(sum_squares(x, mean, n) / (double)n + (double)epsilon);
    const float64x2_t means = vdupq_n_f64(mean), factors = vdupq_n_f64(factor);
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        float32x4_t unit = unit_of(vld1q_f32(x + i), means, factors);
        float32x4_t shift = bias ? vld1q_f32(bias + i) : vdupq_n_f32(0.0f);
        vst1q_f32(y + i, vfmaq_f32(shift, unit, vld1q_f32(weight + i)));
    }
    for (; i < n; i++) {
        float unit = (float)(((double)x[i] - mean) * factor);
        y[i] = fmaf(unit, weight[i], bias ? bias[i] : 0.0f);
    }
}

void fal_add_row_neon(float *y, const float *a, const float *b, int64_t n) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vst1q_f32(y + i, vaddq_f32(vld1q_f32(a + i), vld1q_f32(b + i)));
    for (; i < n; i++)
        y[i] = a[i] + b[i];
}

static inline float32x4_t gelu_erf(float32x4_t x) {
    float32x4_t slope;
    return vmulq_f32(x, normal_share(x, &slope));
}

void fal_gelu_erf_row_neon(float *y, const float *x, int64_t n) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vst1q_f32(y + i, gelu_erf(vld1q_f32(x + i)));
    if (i < n) store_some(y + i, gelu_erf(load_some(x + i, n - i)), n - i);
}

void fal_gelu_tanh_row_neon(float *y, const float *x, int64_t n) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vst1q_f32(y + i, gelu_tanh(vld1q_f32(x + i)));
    if (i < n) store_some(y + i, gelu_tanh(load_some(x + i, n - i)), n - i);
}

void fal_rope_row_neon(float *x, const float *table, int n_heads, int head_dim) {
    int half = head_dim / 2;
    for (int head = 0; head < n_heads; head++) {
        float *first = x + (int64_t)head * head_dim, *second = first + half;
        int i = 0;
        for (; i + LANES <= half; i += LANES) {
            float32x4_t a = vld1q_f32(first + i), b = vld1q_f32(second + i);
            float32x4_t cosine = vld1q_f32(table + i), sine = vld1q_f32(table + half + i);
            vst1q_f32(first + i, vfmaq_f32(vnegq_f32(vmulq_f32(b, sine)), a, cosine));
            vst1q_f32(second + i, vfmaq_f32(vmulq_f32(a, sine), b, cosine));
        }
        for (; i < half; i++) {
            float a = first[i], b = second[i], cosine = table[i], sine = table[half + i];
            first[i] = fmaf(a, cosine, -(b * sine));
            second[i] = fmaf(b, cosine, a * sine);
        }
    }
}

void fal_f16_from_f32_neon(const float *x, uint16_t *y, int64_t n) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vst1_u16(y + i, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(x + i))));
    for (; i < n; i++)
        y[i] = fal_f16_from_f32(x[i]);
}
