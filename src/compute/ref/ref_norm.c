/* Normalisation of rows. */
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
