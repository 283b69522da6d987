/* Rows of activations with AVX2: normalisation, sums, GELU, rotation, rounding to f16.
 *
 * What is left over behind the last whole vector passes through the same instructions, so that a number's result does
 * not depend on where in the row it stands. */
#include "base/half.h"
#include "compute/cpu/kernels.h"
#include "compute/cpu/x86_avx2/gelu_avx2.h"
#include "compute/cpu/x86_avx2/sums_avx2.h"

#include <math.h>
#include <string.h>

/* Two passes in double: the variance is right however far the mean is from zero. */
void fal_layer_norm_row_avx2(float *y, const float *x, const float *weight, const float *bias,
                             int64_t n, float epsilon) {
    double mean = sum_row(x, n) / (double)n;
    double factor = 1.0 / sqrt(sum_squares(x, mean, n) / (double)n + (double)epsilon);
    __m256d middle = _mm256_set1_pd(mean), scale = _mm256_set1_pd(factor);
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 v = _mm256_loadu_ps(x + i);
        __m256d a = _mm256_mul_pd(_mm256_sub_pd(low_as_double(v), middle), scale);
        __m256d b = _mm256_mul_pd(_mm256_sub_pd(high_as_double(v), middle), scale);
        __m256 normal = _mm256_set_m128(_mm256_cvtpd_ps(b), _mm256_cvtpd_ps(a));
        __m256 shift = bias ? _mm256_loadu_ps(bias + i) : _mm256_setzero_ps();
        _mm256_storeu_ps(y + i, _mm256_fmadd_ps(normal, _mm256_loadu_ps(weight + i), shift));
    }
    for (; i < n; i++) {
        float normal = (float)(((double)x[i] - mean) * factor);
        y[i] = fmaf(normal, weight[i], bias ? bias[i] : 0.0f);
    }
}

void fal_add_row_avx2(float *y, const float *a, const float *b, int64_t n) {
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, _mm256_add_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i)));
    for (; i < n; i++)
        y[i] = a[i] + b[i];
}

static inline __m256 gelu_erf(__m256 x) {
    __m256 slope;
    return _mm256_mul_ps(x, normal_share(x, &slope));
}

void fal_gelu_erf_row_avx2(float *y, const float *x, int64_t n) {
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, gelu_erf(_mm256_loadu_ps(x + i)));
    if (i == n) return;
    float rest[8] = {0.0f};
    memcpy(rest, x + i, (size_t)(n - i) * sizeof *x);
    _mm256_storeu_ps(rest, gelu_erf(_mm256_loadu_ps(rest)));
    memcpy(y + i, rest, (size_t)(n - i) * sizeof *y);
}

void fal_gelu_tanh_row_avx2(float *y, const float *x, int64_t n) {
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, gelu_tanh(_mm256_loadu_ps(x + i)));
    if (i == n) return;
    float rest[8] = {0.0f};
    memcpy(rest, x + i, (size_t)(n - i) * sizeof *x);
    _mm256_storeu_ps(rest, gelu_tanh(_mm256_loadu_ps(rest)));
    memcpy(y + i, rest, (size_t)(n - i) * sizeof *y);
}

void fal_rope_row_avx2(float *x, const float *table, int n_heads, int head_dim) {
    int half = head_dim / 2;
    for (int head = 0; head < n_heads; head++) {
        float *first = x + (int64_t)head * head_dim, *second = first + half;
        int i = 0;
        for (; i + 8 <= half; i += 8) {
            __m256 a = _mm256_loadu_ps(first + i), b = _mm256_loadu_ps(second + i);
            __m256 cosine = _mm256_loadu_ps(table + i), sine = _mm256_loadu_ps(table + half + i);
            _mm256_storeu_ps(first + i, _mm256_fmsub_ps(a, cosine, _mm256_mul_ps(b, sine)));
            _mm256_storeu_ps(second + i, _mm256_fmadd_ps(b, cosine, _mm256_mul_ps(a, sine)));
        }
        for (; i < half; i++) {
            float a = first[i], b = second[i], cosine = table[i], sine = table[half + i];
            first[i] = fmaf(a, cosine, -(b * sine));
            second[i] = fmaf(b, cosine, a * sine);
        }
    }
}

void fal_f16_from_f32_avx2(const float *x, uint16_t *y, int64_t n) {
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m128i half = _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT);
        _mm_storeu_si128((__m128i *)(void *)(y + i), half);
    }
    for (; i < n; i++)
        y[i] = fal_f16_from_f32(x[i]);
}
