/* Normalisation of rows. */
#include "base/alloc.h"
#include "compute/checks.h"
#include "compute/ref/ref.h"

#include <math.h>

void fal_ref_layer_norm(fal_queue *q, fal_tensor y, fal_tensor x, fal_tensor weight,
                        fal_tensor bias, float epsilon) {
    if (!fal_check_layer_norm(q, y, x, weight, bias, epsilon)) return;
    const float *scale = fal_tensor_f32_row(weight, 0);
    const float *shift = fal_tensor_is_given(bias) ? fal_tensor_f32_row(bias, 0) : NULL;
    double n = (double)x.n_cols;
    for (int64_t token = 0; token < x.n_rows; token++) {
        const float *in = fal_tensor_f32_row(x, token);
        float *out = fal_tensor_f32_row(y, token);
        double sum = 0.0, squares = 0.0;
        for (int64_t i = 0; i < x.n_cols; i++)
            sum += (double)in[i];
        double mean = sum / n;
        for (int64_t i = 0; i < x.n_cols; i++)
            squares += ((double)in[i] - mean) * ((double)in[i] - mean);
        double deviation = sqrt(squares / n + (double)epsilon);
        for (int64_t i = 0; i < x.n_cols; i++) {
            double value = ((double)in[i] - mean) / deviation * (double)scale[i];
            out[i] = (float)(shift ? value + (double)shift[i] : value);
        }
    }
}

/* With unit u = (x - mean) / deviation and g = dy * weight: dx += (g - mean(g) - u * mean(g * u)) / deviation. Adds dy * u
 * to dweight and dy to dbias, both [n_cols]. */
static void add_norm_gradient(float *dx, double *dweight, double *dbias, const float *dy,
                              const float *x, const float *weight, int64_t n_cols, float epsilon) {
    double n = (double)n_cols, mean = 0.0, squares = 0.0, mean_g = 0.0, mean_gu = 0.0;
    for (int64_t i = 0; i < n_cols; i++)
        mean += (double)x[i] / n;
    for (int64_t i = 0; i < n_cols; i++)
        squares += ((double)x[i] - mean) * ((double)x[i] - mean);
    double deviation = sqrt(squares / n + (double)epsilon);
    for (int64_t i = 0; i < n_cols; i++) {
        double u = ((double)x[i] - mean) / deviation, g = (double)dy[i] * (double)weight[i];
        mean_g += g / n;
        mean_gu += g * u / n;
        dweight[i] += (double)dy[i] * u;
        dbias[i] += (double)dy[i];
    }
    for (int64_t i = 0; i < n_cols; i++) {
        double u = ((double)x[i] - mean) / deviation, g = (double)dy[i] * (double)weight[i];
        dx[i] = (float)((double)dx[i] + (g - mean_g - u * mean_gu) / deviation);
    }
}

static void add_to(fal_tensor y, const double *sums) {
    for (int64_t i = 0; fal_tensor_is_given(y) && i < y.n_cols; i++) {
        float *number = &fal_tensor_f32_row(y, 0)[i];
        *number = (float)((double)*number + sums[i]);
    }
}

void fal_ref_layer_norm_gradient(fal_queue *q, fal_tensor dx, fal_tensor dweight, fal_tensor dbias,
                                 fal_tensor dy, fal_tensor x, fal_tensor weight, float epsilon) {
    if (!fal_check_layer_norm_gradient(q, dx, dweight, dbias, dy, x, weight, epsilon)) return;
    double *sums = fal_alloc((size_t)x.n_cols, 2 * sizeof *sums);
    if (!sums) {
        fal_queue_fail(q, FAL_E_MEMORY, "layer_norm_gradient", "out of memory");
        return;
    }
    for (int64_t token = 0; token < x.n_rows; token++)
        add_norm_gradient(fal_tensor_f32_row(dx, token), sums, sums + x.n_cols,
                          fal_tensor_f32_row(dy, token), fal_tensor_f32_row(x, token), weight.data,
                          x.n_cols, epsilon);
    add_to(dweight, sums);
    add_to(dbias, sums + x.n_cols);
    fal_free(sums);
}
