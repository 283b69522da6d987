/* Rows of activations with AVX2: normalisation, sums, GELU, rotation, rounding to f16.
 *
 * What is left over behind the last whole vector passes through the same instructions, so that a number's result does
 * not depend on where in the row it stands. */
#include "base/half.h"
#include "compute/cpu/kernels.h"
#include "compute/cpu/x86_avx2/exp_avx2.h"

#include <math.h>
#include <string.h>

static inline __m256d low_as_double(__m256 v) {
    return _mm256_cvtps_pd(_mm256_castps256_ps128(v));
}

static inline __m256d high_as_double(__m256 v) {
    return _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
}

static inline double sum_doubles(__m256d v) {
    __m128d two = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

static double sum_row(const float *x, int64_t n) {
    __m256d low = _mm256_setzero_pd(), high = _mm256_setzero_pd();
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 v = _mm256_loadu_ps(x + i);
        low = _mm256_add_pd(low, low_as_double(v));
        high = _mm256_add_pd(high, high_as_double(v));
    }
    double sum = sum_doubles(_mm256_add_pd(low, high));
    for (; i < n; i++)
        sum += (double)x[i];
    return sum;
}

static double sum_squares(const float *x, double mean, int64_t n) {
    __m256d low = _mm256_setzero_pd(), high = _mm256_setzero_pd(), middle = _mm256_set1_pd(mean);
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 v = _mm256_loadu_ps(x + i);
        __m256d a = _mm256_sub_pd(low_as_double(v), middle);
        __m256d b = _mm256_sub_pd(high_as_double(v), middle);
        low = _mm256_fmadd_pd(a, a, low);
        high = _mm256_fmadd_pd(b, b, high);
    }
    double sum = sum_doubles(_mm256_add_pd(low, high));
    for (; i < n; i++)
        sum += ((double)x[i] - mean) * ((double)x[i] - mean);
    return sum;
}

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

/* As in the portable set: x P(x), with exp(-a^2 / 2) from the exact square. */
static inline __m256 gelu_erf(__m256 x) {
    const __m256 sign = _mm256_set1_ps(-0.0f), one = _mm256_set1_ps(1.0f);
    __m256 a = _mm256_min_ps(_mm256_set1_ps(FAL_TAIL_LARGEST), _mm256_andnot_ps(sign, x));
    __m256 t = _mm256_div_ps(one, _mm256_fmadd_ps(a, _mm256_set1_ps(FAL_TAIL_STEP), one));
    __m256 quotient = _mm256_set1_ps(FAL_TAIL_T9);
    quotient = _mm256_fmadd_ps(quotient, t, _mm256_set1_ps(FAL_TAIL_T8));
    quotient = _mm256_fmadd_ps(quotient, t, _mm256_set1_ps(FAL_TAIL_T7));
    quotient = _mm256_fmadd_ps(quotient, t, _mm256_set1_ps(FAL_TAIL_T6));
    quotient = _mm256_fmadd_ps(quotient, t, _mm256_set1_ps(FAL_TAIL_T5));
    quotient = _mm256_fmadd_ps(quotient, t, _mm256_set1_ps(FAL_TAIL_T4));
    quotient = _mm256_fmadd_ps(quotient, t, _mm256_set1_ps(FAL_TAIL_T3));
    quotient = _mm256_fmadd_ps(quotient, t, _mm256_set1_ps(FAL_TAIL_T2));
    quotient = _mm256_fmadd_ps(quotient, t, _mm256_set1_ps(FAL_TAIL_T1));
    quotient = _mm256_fmadd_ps(quotient, t, _mm256_set1_ps(FAL_TAIL_T0));
    __m256 square = _mm256_mul_ps(a, a);
    __m256 lost = _mm256_fmsub_ps(a, a, square);
    __m256 e = exp_nonpositive(_mm256_mul_ps(_mm256_set1_ps(-0.5f), square));
    e = _mm256_fnmadd_ps(e, _mm256_mul_ps(_mm256_set1_ps(0.5f), lost), e);
    __m256 tail = _mm256_mul_ps(e, _mm256_mul_ps(quotient, t));
    __m256 slope = _mm256_set1_ps(FAL_MIDDLE_M5);
    slope = _mm256_fmadd_ps(slope, square, _mm256_set1_ps(FAL_MIDDLE_M4));
    slope = _mm256_fmadd_ps(slope, square, _mm256_set1_ps(FAL_MIDDLE_M3));
    slope = _mm256_fmadd_ps(slope, square, _mm256_set1_ps(FAL_MIDDLE_M2));
    slope = _mm256_fmadd_ps(slope, square, _mm256_set1_ps(FAL_MIDDLE_M1));
    slope = _mm256_fmadd_ps(slope, square, _mm256_set1_ps(FAL_MIDDLE_M0));
    __m256 middle = _mm256_fmadd_ps(x, slope, _mm256_set1_ps(0.5f));
    __m256 side = _mm256_blendv_ps(_mm256_sub_ps(one, tail), tail, x);
    __m256 is_middle = _mm256_cmp_ps(a, _mm256_set1_ps(FAL_MIDDLE_LARGEST), _CMP_LT_OQ);
    return _mm256_mul_ps(x, _mm256_blendv_ps(side, middle, is_middle));
}

static inline __m256 gelu_tanh(__m256 x) {
    const __m256 sign = _mm256_set1_ps(-0.0f), one = _mm256_set1_ps(1.0f);
    __m256 factor = _mm256_fmadd_ps(_mm256_mul_ps(x, x), _mm256_set1_ps(FAL_GELU_B),
                                    _mm256_set1_ps(FAL_GELU_A));
    __m256 e = exp_nonpositive(_mm256_or_ps(_mm256_mul_ps(x, factor), sign));
    __m256 top = _mm256_blendv_ps(one, e, x);
    return _mm256_mul_ps(x, _mm256_div_ps(top, _mm256_add_ps(one, e)));
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
