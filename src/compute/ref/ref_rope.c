/* Rotary positions: pair (i, i + head_dim / 2) of a head is a point of the plane, turned by position * frequency[i]. */
#include "compute/checks.h"
#include "compute/ref/ref.h"

#include <math.h>

void fal_ref_rope_table(fal_queue *q, fal_tensor table, const int32_t *positions,
                        const double *frequency, double gain) {
    if (!fal_check_rope_table(q, table, positions, frequency, gain)) return;
    int64_t half = table.n_cols / 2;
    for (int64_t token = 0; token < table.n_rows; token++) {
        float *row = fal_tensor_f32_row(table, token);
        for (int64_t i = 0; i < half; i++) {
            double angle = (double)positions[token] * frequency[i];
            row[i] = (float)(cos(angle) * gain);
            row[half + i] = (float)(sin(angle) * gain);
        }
    }
}

void fal_ref_rope(fal_queue *q, fal_tensor x, fal_tensor table, int n_heads) {
    if (!fal_check_rope(q, x, table, n_heads)) return;
    int64_t head_dim = table.n_cols, half = head_dim / 2;
    for (int64_t token = 0; token < x.n_rows; token++) {
        const float *turn = fal_tensor_f32_row(table, token);
        for (int head = 0; head < n_heads; head++) {
            float *row = fal_tensor_f32_row(x, token) + head * head_dim;
            for (int64_t i = 0; i < half; i++) {
                double a = (double)row[i], b = (double)row[half + i];
                double cosine = (double)turn[i], sine = (double)turn[half + i];
                row[i] = (float)(a * cosine - b * sine);
                row[half + i] = (float)(b * cosine + a * sine);
            }
        }
    }
}

void fal_ref_rope_gradient(fal_queue *q, fal_tensor dx, fal_tensor table, int n_heads) {
    if (!fal_check_rope_gradient(q, dx, table, n_heads)) return;
    int64_t head_dim = table.n_cols, half = head_dim / 2;
    for (int64_t token = 0; token < dx.n_rows; token++) {
        const float *turn = fal_tensor_f32_row(table, token);
        for (int head = 0; head < n_heads; head++) {
            float *row = fal_tensor_f32_row(dx, token) + head * head_dim;
            for (int64_t i = 0; i < half; i++) {
                double a = (double)row[i], b = (double)row[half + i];
                double cosine = (double)turn[i], sine = (double)turn[half + i];
                row[i] = (float)(a * cosine + b * sine);
                row[half + i] = (float)(b * cosine - a * sine);
            }
        }
    }
}
