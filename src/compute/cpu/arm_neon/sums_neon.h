/* Sums of rows in double with NEON: their numbers, their squared distances from a mean. */
#ifndef FAL_COMPUTE_CPU_ARM_NEON_SUMS_NEON_H
#define FAL_COMPUTE_CPU_ARM_NEON_SUMS_NEON_H

#include <arm_neon.h>
#include <stdint.h>

static inline float64x2_t low_as_double(float32x4_t v) {
    return vcvt_f64_f32(vget_low_f32(v));
}

static inline float64x2_t high_as_double(float32x4_t v) {
    return vcvt_high_f64_f32(v);
}

static inline double sum_row(const float *x, int64_t n) {
    float64x2_t low = vdupq_n_f64(0.0), high = low;
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        float32x4_t v = vld1q_f32(x + i);
        low = vaddq_f64(low, low_as_double(v));
        high = vaddq_f64(high, high_as_double(v));
    }
    double sum = vaddvq_f64(vaddq_f64(low, high));
    for (; i < n; i++)
        sum += (double)x[i];
    return sum;
}

static inline double sum_squares(const float *x, double mean, int64_t n) {
    float64x2_t low = vdupq_n_f64(0.0), high = low, middle = vdupq_n_f64(mean);
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        float32x4_t v = vld1q_f32(x + i);
        float64x2_t a = vsubq_f64(low_as_double(v), middle);
        float64x2_t b = vsubq_f64(high_as_double(v), middle);
        low = vfmaq_f64(low, a, a);
        high = vfmaq_f64(high, b, b);
    }
    double sum = vaddvq_f64(vaddq_f64(low, high));
    for (; i < n; i++)
        sum += ((double)x[i] - mean) * ((double)x[i] - mean);
    return sum;
}

/* (x - mean) * factor, from double. */
static inline float32x4_t unit_of(float32x4_t x, float64x2_t mean, float64x2_t factor) {
    float64x2_t low = vmulq_f64(vsubq_f64(low_as_double(x), mean), factor);
    float64x2_t high = vmulq_f64(vsubq_f64(high_as_double(x), mean), factor);
    return vcvt_high_f32_f64(vcvt_f32_f64(low), high);
}

#endif
