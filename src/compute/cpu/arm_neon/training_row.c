/* Rows of training with NEON: scaling, sums, gradients, steps of the optimizer. What is left over behind the last whole
 * vector passes through the same operations where a number's result must not depend on its place. */
#include "compute/cpu/arm_neon/gelu_neon.h"
#include "compute/cpu/arm_neon/sums_neon.h"
#include "compute/cpu/kernels.h"

#include <math.h>

void fal_scale_row_neon(float *y, const float *x, float factor, int64_t n) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vst1q_f32(y + i, vmulq_n_f32(vld1q_f32(x + i), factor));
    for (; i < n; i++)
        y[i] = factor * x[i];
}

float fal_dot_row_neon(const float *a, const float *b, int64_t n) {
    float32x4_t low = vdupq_n_f32(0.0f), high = low;
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        low = vfmaq_f32(low, vld1q_f32(a + i), vld1q_f32(b + i));
        high = vfmaq_f32(high, vld1q_f32(a + i + LANES), vld1q_f32(b + i + LANES));
    }
    float sum = vaddvq_f32(vaddq_f32(low, high));
    for (; i < n; i++)
        sum = fmaf(a[i], b[i], sum);
    return sum;
}

double fal_square_sum_row_neon(const float *x, int64_t n) {
    return sum_squares(x, 0.0, n);
}

static inline float32x4_t gelu_erf_slope(float32x4_t x) {
    float32x4_t slope, share = normal_share(x, &slope);
    return vaddq_f32(share, slope);
}

void fal_gelu_erf_gradient_row_neon(float *dx, const float *dy, const float *x, int64_t n) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vst1q_f32(dx + i, vmulq_f32(vld1q_f32(dy + i), gelu_erf_slope(vld1q_f32(x + i))));
    if (i == n) return;
    float32x4_t slope = gelu_erf_slope(load_some(x + i, n - i));
    store_some(dx + i, vmulq_f32(load_some(dy + i, n - i), slope), n - i);
}

void fal_gelu_tanh_gradient_row_neon(float *dx, const float *dy, const float *x, int64_t n) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vst1q_f32(dx + i, vmulq_f32(vld1q_f32(dy + i), gelu_tanh_slope(vld1q_f32(x + i))));
    if (i == n) return;
    float32x4_t slope = gelu_tanh_slope(load_some(x + i, n - i));
    store_some(dx + i, vmulq_f32(load_some(dy + i, n - i), slope), n - i);
}

static inline float64x2_t add_as_double(float64x2_t sums, float32x4_t v) {
    return vaddq_f64(sums, vaddq_f64(low_as_double(v), high_as_double(v)));
}

/* As in the portable set: two passes for mean and deviation, one for the sums, one for dx. */
void fal_layer_norm_gradient_row_neon(float *dx, float *dweight, float *dbias, const float *dy,
                                      const float *x, const float *weight, int64_t n,
                                      float epsilon) {
    double mean = sum_row(x, n) / (double)n;
    double factor = 1.0 / sqrt(sum_squares(x, mean, n) / (double)n + (double)epsilon);
    const float64x2_t means = vdupq_n_f64(mean), factors = vdupq_n_f64(factor);
    float64x2_t sums_g = vdupq_n_f64(0.0), sums_gu = sums_g;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        float32x4_t u = unit_of(vld1q_f32(x + i), means, factors), d = vld1q_f32(dy + i);
        float32x4_t g = vmulq_f32(d, vld1q_f32(weight + i));
        sums_g = add_as_double(sums_g, g);
        sums_gu = add_as_double(sums_gu, vmulq_f32(g, u));
        vst1q_f32(dweight + i, vfmaq_f32(vld1q_f32(dweight + i), d, u));
        vst1q_f32(dbias + i, vaddq_f32(d, vld1q_f32(dbias + i)));
    }
    double sum_g = vaddvq_f64(sums_g), sum_gu = vaddvq_f64(sums_gu);
    for (int64_t k = i; k < n; k++) {
        float u = (float)(((double)x[k] - mean) * factor), g = dy[k] * weight[k];
        sum_g += (double)g;
        sum_gu += (double)(g * u);
        dweight[k] = fmaf(dy[k], u, dweight[k]);
        dbias[k] += dy[k];
    }
    float mean_g = (float)(sum_g / (double)n), mean_gu = (float)(sum_gu / (double)n);
    for (i = 0; i + LANES <= n; i += LANES) {
        float32x4_t u = unit_of(vld1q_f32(x + i), means, factors);
        float32x4_t g = vmulq_f32(vld1q_f32(dy + i), vld1q_f32(weight + i));
        float32x4_t rest = vfmsq_f32(vsubq_f32(g, vdupq_n_f32(mean_g)), u, vdupq_n_f32(mean_gu));
        vst1q_f32(dx + i, vfmaq_n_f32(vld1q_f32(dx + i), rest, (float)factor));
    }
    for (; i < n; i++) {
        float u = (float)(((double)x[i] - mean) * factor), g = dy[i] * weight[i];
        dx[i] = fmaf((float)factor, fmaf(-u, mean_gu, g - mean_g), dx[i]);
    }
}

void fal_rope_gradient_row_neon(float *x, const float *table, int n_heads, int head_dim) {
    int half = head_dim / 2;
    for (int head = 0; head < n_heads; head++) {
        float *first = x + (int64_t)head * head_dim, *second = first + half;
        int i = 0;
        for (; i + LANES <= half; i += LANES) {
            float32x4_t a = vld1q_f32(first + i), b = vld1q_f32(second + i);
            float32x4_t cosine = vld1q_f32(table + i), sine = vld1q_f32(table + half + i);
            vst1q_f32(first + i, vfmaq_f32(vmulq_f32(b, sine), a, cosine));
            vst1q_f32(second + i, vfmaq_f32(vnegq_f32(vmulq_f32(a, sine)), b, cosine));
        }
        for (; i < half; i++) {
            float a = first[i], b = second[i], cosine = table[i], sine = table[half + i];
            first[i] = fmaf(a, cosine, b * sine);
            second[i] = fmaf(b, cosine, -(a * sine));
        }
    }
}

void fal_exp_row_neon(float *y, const float *x, int64_t n, float *largest, double *total) {
    float32x4_t most = vdupq_n_f32(-INFINITY);
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        most = vmaxnmq_f32(most, vld1q_f32(x + i)); /* the number of two when one is none */
    *largest = vmaxnmvq_f32(most);
    for (; i < n; i++)
        *largest = x[i] > *largest ? x[i] : *largest;
    const float32x4_t all = vdupq_n_f32(*largest);
    float64x2_t sums = vdupq_n_f64(0.0);
    for (i = 0; i + LANES <= n; i += LANES) {
        float32x4_t e = exp_nonpositive(vsubq_f32(vld1q_f32(x + i), all));
        sums = add_as_double(sums, e);
        vst1q_f32(y + i, e);
    }
    *total = vaddvq_f64(sums);
    if (i == n) return;
    float rest[LANES];
    vst1q_f32(rest, exp_nonpositive(vsubq_f32(load_some(x + i, n - i), all)));
    for (int k = 0; i < n; i++, k++) {
        y[i] = rest[k];
        *total += (double)rest[k];
    }
}

/* Four weights and their moments, set in registers. */
static inline float32x4_t step_four(float32x4_t w, float32x4_t *m, float32x4_t *v, float32x4_t dw,
                                    const fal_adamw_step *s) {
    float32x4_t g = vmulq_n_f32(dw, s->gradient_scale);
    *m = vfmaq_n_f32(vmulq_n_f32(g, s->rest1), *m, s->beta1);
    *v = vfmaq_n_f32(vmulq_n_f32(vmulq_f32(g, g), s->rest2), *v, s->beta2);
    float32x4_t size = vfmaq_n_f32(vdupq_n_f32(s->epsilon), vsqrtq_f32(*v), s->root);
    float32x4_t change = vdivq_f32(vmulq_n_f32(*m, s->rate), size);
    return vfmaq_n_f32(vnegq_f32(change), w, s->decay);
}

void fal_adamw_row_neon(float *w, float *m, float *v, const float *dw, const fal_adamw_step *step,
                        int64_t n) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        float32x4_t first = vld1q_f32(m + i), second = vld1q_f32(v + i);
        vst1q_f32(w + i, step_four(vld1q_f32(w + i), &first, &second, vld1q_f32(dw + i), step));
        vst1q_f32(m + i, first);
        vst1q_f32(v + i, second);
    }
    if (i == n) return;
    float32x4_t first = load_some(m + i, n - i), second = load_some(v + i, n - i);
    float32x4_t changed =
        step_four(load_some(w + i, n - i), &first, &second, load_some(dw + i, n - i), step);
    store_some(w + i, changed, n - i);
    store_some(m + i, first, n - i);
    store_some(v + i, second, n - i);
}
