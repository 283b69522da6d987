/* Rows of activations in plain C: normalisation, sums, GELU, rotation, rounding to f16. */
#include "base/half.h"
#include "compute/cpu/kernels.h"
#include "compute/cpu/portable/gelu.h"

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

void fal_gelu_erf_row_portable(float *y, const float *x, int64_t n) {
    float slope;
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] * normal_share(x[i], &slope);
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
