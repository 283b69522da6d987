/* Rows of training in plain C: scaling, sums, gradients, steps of the optimizer. */
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

void fal_scale_row_portable(float *y, const float *x, float factor, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        y[i] = factor * x[i];
}

float fal_dot_row_portable(const float *a, const float *b, int64_t n) {
    float lanes[LANES] = {0.0f}, sum = 0.0f;
    for (int64_t i = 0; i < n; i++)
        lanes[i % LANES] += a[i] * b[i];
    for (int lane = 0; lane < LANES; lane++)
        sum += lanes[lane];
    return sum;
}

double fal_square_sum_row_portable(const float *x, int64_t n) {
    double lanes[LANES] = {0.0};
    for (int64_t i = 0; i < n; i++)
        lanes[i % LANES] += (double)x[i] * (double)x[i];
    return join_lanes(lanes);
}

void fal_gelu_erf_gradient_row_portable(float *dx, const float *dy, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        float slope, share = normal_share(x[i], &slope);
        dx[i] = dy[i] * (share + slope);
    }
}

void fal_gelu_tanh_gradient_row_portable(float *dx, const float *dy, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        dx[i] = dy[i] * gelu_tanh_slope(x[i]);
}

/* With unit u = (x - mean) / deviation and g = dy * weight: dx += (g - mean(g) - u * mean(g * u)) / deviation. */
void fal_layer_norm_gradient_row_portable(float *dx, float *dweight, float *dbias, const float *dy,
                                          const float *x, const float *weight, int64_t n,
                                          float epsilon) {
    double sums[LANES] = {0.0}, squares[LANES] = {0.0}, sums_g[LANES] = {0.0},
           sums_gu[LANES] = {0.0};
    for (int64_t i = 0; i < n; i++)
        sums[i % LANES] += (double)x[i];
    double mean = join_lanes(sums) / (double)n;
    for (int64_t i = 0; i < n; i++)
        squares[i % LANES] += ((double)x[i] - mean) * ((double)x[i] - mean);
    double factor = 1.0 / sqrt(join_lanes(squares) / (double)n + (double)epsilon);
    for (int64_t i = 0; i < n; i++) {
        float unit = (float)(((double)x[i] - mean) * factor), g = dy[i] * weight[i];
        sums_g[i % LANES] += (double)g;
        sums_gu[i % LANES] += (double)g * (double)unit;
        dweight[i] += dy[i] * unit;
        dbias[i] += dy[i];
    }
    float mean_g = (float)(join_lanes(sums_g) / (double)n),
          mean_gu = (float)(join_lanes(sums_gu) / (double)n);
    for (int64_t i = 0; i < n; i++) {
        float unit = (float)(((double)x[i] - mean) * factor), g = dy[i] * weight[i];
        dx[i] += (float)factor * (g - mean_g - unit * mean_gu);
    }
}

void fal_rope_gradient_row_portable(float *x, const float *table, int n_heads, int head_dim) {
    int half = head_dim / 2;
    for (int head = 0; head < n_heads; head++) {
        float *first = x + (int64_t)head * head_dim, *second = first + half;
        for (int i = 0; i < half; i++) {
            float a = first[i], b = second[i];
            first[i] = a * table[i] + b * table[half + i];
            second[i] = b * table[i] - a * table[half + i];
        }
    }
}

void fal_exp_row_portable(float *y, const float *x, int64_t n, float *largest, double *total) {
    float most = -INFINITY;
    double lanes[LANES] = {0.0};
    for (int64_t i = 0; i < n; i++)
        most = x[i] > most ? x[i] : most;
    for (int64_t i = 0; i < n; i++) {
        y[i] = exp_nonpositive(x[i] - most);
        lanes[i % LANES] += (double)y[i];
    }
    *largest = most;
    *total = join_lanes(lanes);
}

void fal_adamw_row_portable(float *w, float *m, float *v, const float *dw,
                            const fal_adamw_step *step, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        float g = dw[i] * step->gradient_scale;
        m[i] = step->beta1 * m[i] + step->rest1 * g;
        v[i] = step->beta2 * v[i] + step->rest2 * (g * g);
        w[i] = w[i] * step->decay - step->rate * m[i] / (sqrtf(v[i]) * step->root + step->epsilon);
    }
}
