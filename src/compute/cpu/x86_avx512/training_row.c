/* Rows of training with AVX-512: sums, gradients, steps of the optimizer. The last part of a row passes through the same
 * instructions, masked, so that a number's result does not depend on its place. */
#include "compute/cpu/kernels.h"
#include "compute/cpu/x86_avx512/gelu_avx512.h"
#include "compute/cpu/x86_avx512/lanes.h"

#include <math.h>

float fal_dot_row_avx512(const float *a, const float *b, int64_t n) {
    __m512 sums = _mm512_setzero_ps();
    for (int64_t i = 0; i < n; i += LANES) {
        __mmask16 left = lanes_left(n - i);
        sums = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(left, a + i),
                               _mm512_maskz_loadu_ps(left, b + i), sums);
    }
    return sum_lanes(sums);
}

double fal_square_sum_row_avx512(const float *x, int64_t n) {
    return sum_squares(x, 0.0, n);
}

void fal_gelu_erf_gradient_row_avx512(float *dx, const float *dy, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i += LANES) {
        __mmask16 left = lanes_left(n - i);
        __m512 slope = gelu_erf_slope(_mm512_maskz_loadu_ps(left, x + i));
        _mm512_mask_storeu_ps(dx + i, left,
                              _mm512_mul_ps(_mm512_maskz_loadu_ps(left, dy + i), slope));
    }
}

void fal_gelu_tanh_gradient_row_avx512(float *dx, const float *dy, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i += LANES) {
        __mmask16 left = lanes_left(n - i);
        __m512 slope = gelu_tanh_slope(_mm512_maskz_loadu_ps(left, x + i));
        _mm512_mask_storeu_ps(dx + i, left,
                              _mm512_mul_ps(_mm512_maskz_loadu_ps(left, dy + i), slope));
    }
}

/* (x - mean) * factor, from double. */
static inline __m512 unit_of(__m512 x, __m512d mean, __m512d factor) {
    return from_doubles(_mm512_mul_pd(_mm512_sub_pd(low_as_double(x), mean), factor),
                        _mm512_mul_pd(_mm512_sub_pd(high_as_double(x), mean), factor));
}

/* As in the portable set: two passes for mean and deviation, one for the sums, one for dx. Where a mask leaves out, the
 * gradient is 0 and adds nothing. */
void fal_layer_norm_gradient_row_avx512(float *dx, float *dweight, float *dbias, const float *dy,
                                        const float *x, const float *weight, int64_t n,
                                        float epsilon) {
    double mean = sum_row(x, n) / (double)n;
    double factor = 1.0 / sqrt(sum_squares(x, mean, n) / (double)n + (double)epsilon);
    const __m512d middle = _mm512_set1_pd(mean), factors = _mm512_set1_pd(factor);
    __m512d sums_g = _mm512_setzero_pd(), sums_gu = _mm512_setzero_pd();
    for (int64_t i = 0; i < n; i += LANES) {
        __mmask16 left = lanes_left(n - i);
        __m512 u = unit_of(_mm512_maskz_loadu_ps(left, x + i), middle, factors);
        __m512 d = _mm512_maskz_loadu_ps(left, dy + i);
        __m512 g = _mm512_mul_ps(d, _mm512_maskz_loadu_ps(left, weight + i));
        sums_g = add_as_double(sums_g, g);
        sums_gu = add_as_double(sums_gu, _mm512_maskz_mul_ps(left, g, u));
        __m512 before = _mm512_maskz_loadu_ps(left, dweight + i);
        _mm512_mask_storeu_ps(dweight + i, left, _mm512_fmadd_ps(d, u, before));
        before = _mm512_maskz_loadu_ps(left, dbias + i);
        _mm512_mask_storeu_ps(dbias + i, left, _mm512_add_ps(d, before));
    }
    const __m512 means_g = _mm512_set1_ps((float)(sum_doubles(sums_g) / (double)n)),
                 means_gu = _mm512_set1_ps((float)(sum_doubles(sums_gu) / (double)n)),
                 scale = _mm512_set1_ps((float)factor);
    for (int64_t i = 0; i < n; i += LANES) {
        __mmask16 left = lanes_left(n - i);
        __m512 u = unit_of(_mm512_maskz_loadu_ps(left, x + i), middle, factors);
        __m512 g = _mm512_mul_ps(_mm512_maskz_loadu_ps(left, dy + i),
                                 _mm512_maskz_loadu_ps(left, weight + i));
        __m512 rest = _mm512_fnmadd_ps(u, means_gu, _mm512_sub_ps(g, means_g));
        __m512 before = _mm512_maskz_loadu_ps(left, dx + i);
        _mm512_mask_storeu_ps(dx + i, left, _mm512_fmadd_ps(scale, rest, before));
    }
}

void fal_exp_row_avx512(float *y, const float *x, int64_t n, float *largest, double *total) {
    __m512 most = _mm512_set1_ps(-INFINITY);
    for (int64_t i = 0; i < n; i += LANES) /* max: the second of two when one is NaN */
        most = _mm512_mask_max_ps(most, lanes_left(n - i),
                                  _mm512_maskz_loadu_ps(lanes_left(n - i), x + i), most);
    *largest = largest_lane(most);
    const __m512 all = _mm512_set1_ps(*largest);
    __m512d sums = _mm512_setzero_pd();
    for (int64_t i = 0; i < n; i += LANES) {
        __mmask16 left = lanes_left(n - i);
        __m512 e = exp_nonpositive(_mm512_sub_ps(_mm512_maskz_loadu_ps(left, x + i), all));
        sums = add_as_double(sums, _mm512_maskz_mov_ps(left, e));
        _mm512_mask_storeu_ps(y + i, left, e);
    }
    *total = sum_doubles(sums);
}

/* Sixteen weights and their moments, set in registers. */
static inline __m512 step_lanes(__m512 w, __m512 *m, __m512 *v, __m512 dw,
                                const fal_adamw_step *s) {
    __m512 g = _mm512_mul_ps(dw, _mm512_set1_ps(s->gradient_scale));
    *m = _mm512_fmadd_ps(_mm512_set1_ps(s->beta1), *m, _mm512_mul_ps(_mm512_set1_ps(s->rest1), g));
    *v = _mm512_fmadd_ps(_mm512_set1_ps(s->beta2), *v,
                         _mm512_mul_ps(_mm512_set1_ps(s->rest2), _mm512_mul_ps(g, g)));
    __m512 size =
        _mm512_fmadd_ps(_mm512_sqrt_ps(*v), _mm512_set1_ps(s->root), _mm512_set1_ps(s->epsilon));
    __m512 change = _mm512_div_ps(_mm512_mul_ps(_mm512_set1_ps(s->rate), *m), size);
    return _mm512_fmsub_ps(w, _mm512_set1_ps(s->decay), change);
}

void fal_adamw_row_avx512(float *w, float *m, float *v, const float *dw, const fal_adamw_step *step,
                          int64_t n) {
    for (int64_t i = 0; i < n; i += LANES) {
        __mmask16 left = lanes_left(n - i);
        __m512 first = _mm512_maskz_loadu_ps(left, m + i);
        __m512 second = _mm512_maskz_loadu_ps(left, v + i);
        __m512 changed = step_lanes(_mm512_maskz_loadu_ps(left, w + i), &first, &second,
                                    _mm512_maskz_loadu_ps(left, dw + i), step);
        _mm512_mask_storeu_ps(w + i, left, changed);
        _mm512_mask_storeu_ps(m + i, left, first);
        _mm512_mask_storeu_ps(v + i, left, second);
    }
}
