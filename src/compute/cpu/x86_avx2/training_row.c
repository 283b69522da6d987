/* Rows of training with AVX2: scaling, sums, gradients, steps of the optimizer. What is left over behind the last whole
 * vector passes through the same instructions where a number's result must not depend on its place. */
#include "compute/cpu/kernels.h"
#include "compute/cpu/x86_avx2/gelu_avx2.h"
#include "compute/cpu/x86_avx2/sums_avx2.h"

#include <math.h>
#include <string.h>

enum {
    LANES = 8
};

/* The first n of a row's numbers, the rest 0. */
static inline __m256 load_some(const float *x, int64_t n) {
    float rest[LANES] = {0.0f};
    memcpy(rest, x, (size_t)n * sizeof *x);
    return _mm256_loadu_ps(rest);
}

static inline void store_some(float *y, __m256 v, int64_t n) {
    float rest[LANES];
    _mm256_storeu_ps(rest, v);
    memcpy(y, rest, (size_t)n * sizeof *y);
}

void fal_scale_row_avx2(float *y, const float *x, float factor, int64_t n) {
    const __m256 times = _mm256_set1_ps(factor);
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        _mm256_storeu_ps(y + i, _mm256_mul_ps(times, _mm256_loadu_ps(x + i)));
    for (; i < n; i++)
        y[i] = factor * x[i];
}

float fal_dot_row_avx2(const float *a, const float *b, int64_t n) {
    __m256 sums = _mm256_setzero_ps();
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        sums = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), sums);
    float sum = sum_lanes(sums);
    for (; i < n; i++)
        sum = fmaf(a[i], b[i], sum);
    return sum;
}

double fal_square_sum_row_avx2(const float *x, int64_t n) {
    return sum_squares(x, 0.0, n);
}

static inline __m256 gelu_erf_slope(__m256 x) {
    __m256 slope, share = normal_share(x, &slope);
    return _mm256_add_ps(share, slope);
}

void fal_gelu_erf_gradient_row_avx2(float *dx, const float *dy, const float *x, int64_t n) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        _mm256_storeu_ps(
            dx + i, _mm256_mul_ps(_mm256_loadu_ps(dy + i), gelu_erf_slope(_mm256_loadu_ps(x + i))));
    if (i == n) return;
    __m256 slope = gelu_erf_slope(load_some(x + i, n - i));
    store_some(dx + i, _mm256_mul_ps(load_some(dy + i, n - i), slope), n - i);
}

void fal_gelu_tanh_gradient_row_avx2(float *dx, const float *dy, const float *x, int64_t n) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        _mm256_storeu_ps(dx + i, _mm256_mul_ps(_mm256_loadu_ps(dy + i),
                                               gelu_tanh_slope(_mm256_loadu_ps(x + i))));
    if (i == n) return;
    __m256 slope = gelu_tanh_slope(load_some(x + i, n - i));
    store_some(dx + i, _mm256_mul_ps(load_some(dy + i, n - i), slope), n - i);
}

/* (x - mean) * factor, from double. */
static inline __m256 unit_of(__m256 x, __m256d mean, __m256d factor) {
    __m256d low = _mm256_mul_pd(_mm256_sub_pd(low_as_double(x), mean), factor);
    __m256d high = _mm256_mul_pd(_mm256_sub_pd(high_as_double(x), mean), factor);
    return _mm256_set_m128(_mm256_cvtpd_ps(high), _mm256_cvtpd_ps(low));
}

static inline __m256d add_as_double(__m256d sums, __m256 v) {
    return _mm256_add_pd(sums, _mm256_add_pd(low_as_double(v), high_as_double(v)));
}

/* As in the portable set: two passes for mean and deviation, one for the sums, one for dx. */
void fal_layer_norm_gradient_row_avx2(float *dx, float *dweight, float *dbias, const float *dy,
                                      const float *x, const float *weight, int64_t n,
                                      float epsilon) {
    double mean = sum_row(x, n) / (double)n;
    double factor = 1.0 / sqrt(sum_squares(x, mean, n) / (double)n + (double)epsilon);
    const __m256d middle = _mm256_set1_pd(mean), factors = _mm256_set1_pd(factor);
    __m256d sums_g = _mm256_setzero_pd(), sums_gu = _mm256_setzero_pd();
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        __m256 u = unit_of(_mm256_loadu_ps(x + i), middle, factors), d = _mm256_loadu_ps(dy + i);
        __m256 g = _mm256_mul_ps(d, _mm256_loadu_ps(weight + i));
        sums_g = add_as_double(sums_g, g);
        sums_gu = add_as_double(sums_gu, _mm256_mul_ps(g, u));
        _mm256_storeu_ps(dweight + i, _mm256_fmadd_ps(d, u, _mm256_loadu_ps(dweight + i)));
        _mm256_storeu_ps(dbias + i, _mm256_add_ps(d, _mm256_loadu_ps(dbias + i)));
    }
    double sum_g = sum_doubles(sums_g), sum_gu = sum_doubles(sums_gu);
    for (int64_t k = i; k < n; k++) {
        float u = (float)(((double)x[k] - mean) * factor), g = dy[k] * weight[k];
        sum_g += (double)g;
        sum_gu += (double)(g * u);
        dweight[k] = fmaf(dy[k], u, dweight[k]);
        dbias[k] += dy[k];
    }
    float mean_g = (float)(sum_g / (double)n), mean_gu = (float)(sum_gu / (double)n);
    const __m256 means_g = _mm256_set1_ps(mean_g), means_gu = _mm256_set1_ps(mean_gu),
                 scale = _mm256_set1_ps((float)factor);
    for (i = 0; i + LANES <= n; i += LANES) {
        __m256 u = unit_of(_mm256_loadu_ps(x + i), middle, factors);
        __m256 g = _mm256_mul_ps(_mm256_loadu_ps(dy + i), _mm256_loadu_ps(weight + i));
        __m256 rest = _mm256_fnmadd_ps(u, means_gu, _mm256_sub_ps(g, means_g));
        _mm256_storeu_ps(dx + i, _mm256_fmadd_ps(scale, rest, _mm256_loadu_ps(dx + i)));
    }
    for (; i < n; i++) {
        float u = (float)(((double)x[i] - mean) * factor), g = dy[i] * weight[i];
        dx[i] = fmaf((float)factor, fmaf(-u, mean_gu, g - mean_g), dx[i]);
    }
}

void fal_rope_gradient_row_avx2(float *x, const float *table, int n_heads, int head_dim) {
    int half = head_dim / 2;
    for (int head = 0; head < n_heads; head++) {
        float *first = x + (int64_t)head * head_dim, *second = first + half;
        int i = 0;
        for (; i + LANES <= half; i += LANES) {
            __m256 a = _mm256_loadu_ps(first + i), b = _mm256_loadu_ps(second + i);
            __m256 cosine = _mm256_loadu_ps(table + i), sine = _mm256_loadu_ps(table + half + i);
            _mm256_storeu_ps(first + i, _mm256_fmadd_ps(a, cosine, _mm256_mul_ps(b, sine)));
            _mm256_storeu_ps(second + i, _mm256_fmsub_ps(b, cosine, _mm256_mul_ps(a, sine)));
        }
        for (; i < half; i++) {
            float a = first[i], b = second[i], cosine = table[i], sine = table[half + i];
            first[i] = fmaf(a, cosine, b * sine);
            second[i] = fmaf(b, cosine, -(a * sine));
        }
    }
}

void fal_exp_row_avx2(float *y, const float *x, int64_t n, float *largest, double *total) {
    __m256 most = _mm256_set1_ps(-INFINITY);
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        most = _mm256_max_ps(_mm256_loadu_ps(x + i), most); /* the second of two when one is NaN */
    *largest = largest_lane(most);
    for (; i < n; i++)
        *largest = x[i] > *largest ? x[i] : *largest;
    const __m256 all = _mm256_set1_ps(*largest);
    __m256d sums = _mm256_setzero_pd();
    for (i = 0; i + LANES <= n; i += LANES) {
        __m256 e = exp_nonpositive(_mm256_sub_ps(_mm256_loadu_ps(x + i), all));
        sums = add_as_double(sums, e);
        _mm256_storeu_ps(y + i, e);
    }
    *total = sum_doubles(sums);
    if (i == n) return;
    float rest[LANES];
    _mm256_storeu_ps(rest, exp_nonpositive(_mm256_sub_ps(load_some(x + i, n - i), all)));
    for (int k = 0; i < n; i++, k++) {
        y[i] = rest[k];
        *total += (double)rest[k];
    }
}

/* Eight weights and their moments, set in registers. */
static inline __m256 step_eight(__m256 w, __m256 *m, __m256 *v, __m256 dw,
                                const fal_adamw_step *s) {
    __m256 g = _mm256_mul_ps(dw, _mm256_set1_ps(s->gradient_scale));
    *m = _mm256_fmadd_ps(_mm256_set1_ps(s->beta1), *m, _mm256_mul_ps(_mm256_set1_ps(s->rest1), g));
    *v = _mm256_fmadd_ps(_mm256_set1_ps(s->beta2), *v,
                         _mm256_mul_ps(_mm256_set1_ps(s->rest2), _mm256_mul_ps(g, g)));
    __m256 size =
        _mm256_fmadd_ps(_mm256_sqrt_ps(*v), _mm256_set1_ps(s->root), _mm256_set1_ps(s->epsilon));
    __m256 change = _mm256_div_ps(_mm256_mul_ps(_mm256_set1_ps(s->rate), *m), size);
    return _mm256_fmsub_ps(w, _mm256_set1_ps(s->decay), change);
}

void fal_adamw_row_avx2(float *w, float *m, float *v, const float *dw, const fal_adamw_step *step,
                        int64_t n) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        __m256 first = _mm256_loadu_ps(m + i), second = _mm256_loadu_ps(v + i);
        _mm256_storeu_ps(w + i, step_eight(_mm256_loadu_ps(w + i), &first, &second,
                                           _mm256_loadu_ps(dw + i), step));
        _mm256_storeu_ps(m + i, first);
        _mm256_storeu_ps(v + i, second);
    }
    if (i == n) return;
    __m256 first = load_some(m + i, n - i), second = load_some(v + i, n - i);
    __m256 changed =
        step_eight(load_some(w + i, n - i), &first, &second, load_some(dw + i, n - i), step);
    store_some(w + i, changed, n - i);
    store_some(m + i, first, n - i);
    store_some(v + i, second, n - i);
}
