/* Products with weights, and rows taken from a table. Activations are used as given, never rounded. */
#include "base/alloc.h"
#include "compute/checks.h"
#include "compute/ref/ref.h"

static void decode_row(fal_tensor w, int64_t row, float *out) {
    const char *blocks = (const char *)w.data + (size_t)row * w.row_bytes;
    w.type->decode(blocks, out, w.n_cols / w.type->weights_per_block);
}

void fal_ref_embed(fal_queue *q, fal_tensor y, fal_tensor table, const int32_t *rows) {
    if (!fal_check_embed(q, y, table, rows)) return;
    for (int64_t token = 0; token < y.n_rows; token++)
        decode_row(table, rows[token], fal_tensor_f32_row(y, token));
}

void fal_ref_linear(fal_queue *q, fal_tensor y, fal_tensor x, fal_tensor w, fal_tensor bias) {
    if (!fal_check_linear(q, y, x, w, bias)) return;
    if (q->on_linear) q->on_linear(q->on_linear_user, w, x);
    float *weights = fal_alloc((size_t)w.n_cols, sizeof *weights);
    if (!weights) {
        fal_queue_fail(q, FAL_E_MEMORY, "linear", "out of memory");
        return;
    }
    for (int64_t row = 0; row < w.n_rows; row++) {
        decode_row(w, row, weights);
        for (int64_t token = 0; token < x.n_rows; token++) {
            const float *input = fal_tensor_f32_row(x, token);
            double sum = 0.0;
            for (int64_t k = 0; k < w.n_cols; k++)
                sum += (double)input[k] * (double)weights[k];
            if (fal_tensor_is_given(bias)) sum += (double)fal_tensor_f32_row(bias, 0)[row];
            fal_tensor_f32_row(y, token)[row] = (float)sum;
        }
    }
    fal_free(weights);
}
