/* Products, sums and steps of training: the plain loops. Sums over tokens or columns are made in double and rounded once. */
#include "compute/checks.h"
#include "compute/ref/ref.h"

#include <math.h>

/* A factor as numbers apart by strides: [row, k] of the first, [k, column] of the second. */
typedef struct strided {
    const float *numbers;
    int64_t row_stride, column_stride;
} strided;

static strided strided_of(fal_tensor t, bool is_transposed) {
    int64_t stride = (int64_t)(t.row_bytes / sizeof(float));
    return is_transposed ? (strided){t.data, 1, stride} : (strided){t.data, stride, 1};
}

void fal_ref_product(fal_queue *q, fal_tensor y, fal_tensor a, bool a_is_transposed, fal_tensor b,
                     bool b_is_transposed, bool is_added) {
    if (!fal_check_product(q, y, a, a_is_transposed, b, b_is_transposed, is_added)) return;
    strided first = strided_of(a, a_is_transposed), second = strided_of(b, b_is_transposed);
    int64_t n = a_is_transposed ? a.n_rows : a.n_cols;
    for (int64_t row = 0; row < y.n_rows; row++) {
        for (int64_t column = 0; column < y.n_cols; column++) {
            const float *x = first.numbers + row * first.row_stride,
                        *w = second.numbers + column * second.column_stride;
            float *out = &fal_tensor_f32_row(y, row)[column];
            double sum = is_added ? (double)*out : 0.0;
            for (int64_t k = 0; k < n; k++)
                sum += (double)x[k * first.column_stride] * (double)w[k * second.row_stride];
            *out = (float)sum;
        }
    }
}

void fal_ref_add_bias(fal_queue *q, fal_tensor y, fal_tensor bias) {
    if (!fal_check_add_bias(q, y, bias)) return;
    for (int64_t token = 0; token < y.n_rows; token++) {
        for (int64_t i = 0; i < y.n_cols; i++)
            fal_tensor_f32_row(y, token)[i] += fal_tensor_f32_row(bias, 0)[i];
    }
}

void fal_ref_scale(fal_queue *q, fal_tensor x, float factor) {
    if (!fal_check_scale(q, x, factor)) return;
    for (int64_t token = 0; token < x.n_rows; token++) {
        for (int64_t i = 0; i < x.n_cols; i++) {
            float *number = &fal_tensor_f32_row(x, token)[i];
            *number = factor == 0.0f ? 0.0f : *number * factor;
        }
    }
}

void fal_ref_bias_gradient(fal_queue *q, fal_tensor dbias, fal_tensor dy) {
    if (!fal_check_bias_gradient(q, dbias, dy)) return;
    for (int64_t i = 0; i < dy.n_cols; i++) {
        double sum = (double)fal_tensor_f32_row(dbias, 0)[i];
        for (int64_t token = 0; token < dy.n_rows; token++)
            sum += (double)fal_tensor_f32_row(dy, token)[i];
        fal_tensor_f32_row(dbias, 0)[i] = (float)sum;
    }
}

void fal_ref_embed_gradient(fal_queue *q, fal_tensor dtable, fal_tensor dy, const int32_t *rows) {
    if (!fal_check_embed_gradient(q, dtable, dy, rows)) return;
    for (int64_t token = 0; token < dy.n_rows; token++) {
        for (int64_t i = 0; i < dy.n_cols; i++)
            fal_tensor_f32_row(dtable, rows[token])[i] += fal_tensor_f32_row(dy, token)[i];
    }
}

void fal_ref_square_sum(fal_queue *q, double *sum, fal_tensor x) {
    if (!fal_check_square_sum(q, sum, x)) return;
    *sum = 0.0;
    for (int64_t row = 0; row < x.n_rows; row++) {
        for (int64_t i = 0; i < x.n_cols; i++) {
            double number = (double)fal_tensor_f32_row(x, row)[i];
            *sum += number * number;
        }
    }
}

void fal_ref_adamw(fal_queue *q, fal_tensor w, fal_tensor m, fal_tensor v, fal_tensor dw,
                   const fal_adamw *how) {
    if (!fal_check_adamw(q, w, m, v, dw, how)) return;
    double bias1 = 1.0 - pow(how->beta1, (double)how->step),
           bias2 = 1.0 - pow(how->beta2, (double)how->step);
    for (int64_t row = 0; row < w.n_rows; row++) {
        float *weight = fal_tensor_f32_row(w, row), *first = fal_tensor_f32_row(m, row),
              *second = fal_tensor_f32_row(v, row);
        for (int64_t i = 0; i < w.n_cols; i++) {
            double g = (double)fal_tensor_f32_row(dw, row)[i] * how->gradient_scale;
            double mean = how->beta1 * (double)first[i] + (1.0 - how->beta1) * g;
            double square = how->beta2 * (double)second[i] + (1.0 - how->beta2) * g * g;
            double step = mean / bias1 / (sqrt(square / bias2) + how->epsilon);
            weight[i] =
                (float)((double)weight[i]
                        - how->learning_rate * (step + how->weight_decay * (double)weight[i]));
            first[i] = (float)mean;
            second[i] = (float)square;
        }
    }
}
