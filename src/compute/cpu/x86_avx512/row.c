/* Rows of activations with AVX-512: normalisation and GELU. The last part of a row passes through the same instructions,
 * masked, so that a number's result does not depend on where in the row it stands. */
#include "compute/cpu/kernels.h"
#include "compute/cpu/x86_avx512/gelu_avx512.h"
#include "compute/cpu/x86_avx512/lanes.h"

#include <math.h>

/* Two passes in double: the variance is right however far the mean is from zero. */
void fal_layer_norm_row_avx512(float *y, const float *x, const float *weight, const float *bias,
                               int64_t n, float epsilon) {
    double mean = sum_row(x, n) / (double)n;
    double factor = 1.0 / sqrt(sum_squares(x, mean, n) / (double)n + (double)epsilon);
    const __m512d middle = _mm512_set1_pd(mean), scale = _mm512_set1_pd(factor);
    for (int64_t i = 0; i < n; i += LANES) {
        __mmask16 left = lanes_left(n - i);
        __m512 v = _mm512_maskz_loadu_ps(left, x + i);
        __m512d low = _mm512_mul_pd(_mm512_sub_pd(low_as_double(v), middle), scale);
        __m512d high = _mm512_mul_pd(_mm512_sub_pd(high_as_double(v), middle), scale);
        __m512 shift = bias ? _mm512_maskz_loadu_ps(left, bias + i) : _mm512_setzero_ps();
        v = _mm512_fmadd_ps(from_doubles(low, high), _mm512_maskz_loadu_ps(left, weight + i),
                            shift);
        _mm512_mask_storeu_ps(y + i, left, v);
    }
}

void fal_gelu_erf_row_avx512(float *y, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i += LANES) {
        __mmask16 left = lanes_left(n - i);
        _mm512_mask_storeu_ps(y + i, left, gelu_erf(_mm512_maskz_loadu_ps(left, x + i)));
    }
}

void fal_gelu_tanh_row_avx512(float *y, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i += LANES) {
        __mmask16 left = lanes_left(n - i);
        _mm512_mask_storeu_ps(y + i, left, gelu_tanh(_mm512_maskz_loadu_ps(left, x + i)));
    }
}
