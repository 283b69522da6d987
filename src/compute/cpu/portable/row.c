/* Rows of activations in plain C: normalisation, sums, GELU, rotation, rounding to f16. */
#include "base/half.h"
#include "compute/cpu/kernels.h"
#include "compute/cpu/portable/exp.h"

#include <math.h>

enum {
    LANES = 8
};

static double join_lanes(const double *lanes) {
    double sum = 0.0;
    for (int lane = 0; lane < LANES; lane++)
        sum += lanes[lane];
    return sum;
}

/* Two passes in double: the variance is right however far the mean is from zero. */
void fal_layer_norm_row_portable(float *y, const float *x, const float *weight, const float *bias,
                                 int64_t n, float epsilon) {
    double sums[LANES] = {0.0}, squares[LANES] = {0.0};
    for (int64_t i = 0; i < n; i++)
        sums[i % LANES] += (double)x[i];
    double mean = join_lanes(sums) / (double)n;
    for (int64_t i = 0; i < n; i++) {
        double distance = (double)x[i] - mean;
        squares[i % LANES] += distance * distance;
    }
    double factor = 1.0 / sqrt(join_lanes(squares) / (double)n + (double)epsilon);
    for (int64_t i = 0; i < n; i++) {
        float value = (float)(((double)x[i] - mean) * factor) * weight[i];
        y[i] = bias ? value + bias[i] : value;
    }
}

void fal_add_row_portable(float *y, const float *a, const float *b, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] + b[i];
}

/* x P(x), where P(x) is the normal distribution; exp(-a^2 / 2) from the exact square, whose rounding would show. */
static inline float gelu_erf(float x) {
    float a = fabsf(x);
    a = a > FAL_TAIL_LARGEST ? FAL_TAIL_LARGEST : a;
    float t = 1.0f / (1.0f + FAL_TAIL_STEP * a);
    float quotient = FAL_TAIL_T9 * t + FAL_TAIL_T8;
    quotient = quotient * t + FAL_TAIL_T7;
    quotient = quotient * t + FAL_TAIL_T6;
    quotient = quotient * t + FAL_TAIL_T5;
    quotient = quotient * t + FAL_TAIL_T4;
    quotient = quotient * t + FAL_TAIL_T3;
    quotient = quotient * t + FAL_TAIL_T2;
    quotient = quotient * t + FAL_TAIL_T1;
    quotient = quotient * t + FAL_TAIL_T0;
    float square = a * a;
    float lost = (float)((double)a * (double)a - (double)square);
    float e = exp_nonpositive(-0.5f * square);
    float tail = (e - e * (0.5f * lost)) * (quotient * t);
    float slope = FAL_MIDDLE_M5 * square + FAL_MIDDLE_M4;
    slope = slope * square + FAL_MIDDLE_M3;
    slope = slope * square + FAL_MIDDLE_M2;
    slope = slope * square + FAL_MIDDLE_M1;
    slope = slope * square + FAL_MIDDLE_M0;
    float side = x < 0.0f ? tail : 1.0f - tail;
    return x * (a < FAL_MIDDLE_LARGEST ? 0.5f + x * slope : side);
}

void fal_gelu_erf_row_portable(float *y, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        y[i] = gelu_erf(x[i]);
}

static inline float gelu_tanh(float x) {
    float z = x * (FAL_GELU_A + FAL_GELU_B * (x * x));
    float e = exp_nonpositive(-fabsf(z));
    return x * ((x < 0.0f ? e : 1.0f) / (1.0f + e));
}

void fal_gelu_tanh_row_portable(float *y, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        y[i] = gelu_tanh(x[i]);
}

void fal_rope_row_portable(float *x, const float *table, int n_heads, int head_dim) {
    int half = head_dim / 2;
    for (int head = 0; head < n_heads; head++) {
        float *first = x + (int64_t)head * head_dim, *second = first + half;
        for (int i = 0; i < half; i++) {
            float a = first[i], b = second[i];
            first[i] = a * table[i] - b * table[half + i];
            second[i] = b * table[i] + a * table[half + i];
        }
    }
}

void fal_f16_from_f32_portable(const float *x, uint16_t *y, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        y[i] = fal_f16_from_f32(x[i]);
}
