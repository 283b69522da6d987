/* The head of a training pass: final norm, logits and loss of some rows at a time, and their gradients. Rows without weight
 * are left out. */
#include "model/training_private.h"

#include <string.h>

static fal_tensor head_weight(const fal_training_pass *pass) {
    return fal_trainable_value(pass->trainable, fal_trainable_head(pass->trainable), 0);
}

/* pass->head_normed and logits of rows x. */
static void multiply(fal_training_pass *pass, fal_tensor logits, fal_tensor x) {
    const fal_trainable *t = pass->trainable;
    const fal_ops *op = pass->queue->ops;
    fal_tensor normed = fal_tensor_rows(pass->head_normed, 0, x.n_rows);
    op->layer_norm(pass->queue, normed, x, fal_trainable_value(t, FAL_WEIGHT_OUTPUT_NORM, 0),
                   fal_trainable_value(t, FAL_WEIGHT_OUTPUT_NORM_BIAS, 0), t->params.norm_epsilon);
    op->product(pass->queue, logits, normed, false, head_weight(pass), true, false);
}

/* From dlogits down to pass->dx, whose rows outside `rows` stay. */
static void multiply_gradient(fal_training_pass *pass, fal_tensor dlogits, fal_tensor x,
                              const int32_t *rows) {
    const fal_trainable *t = pass->trainable;
    const fal_ops *op = pass->queue->ops;
    fal_queue *q = pass->queue;
    fal_tensor normed = fal_tensor_rows(pass->head_normed, 0, x.n_rows),
               dnormed = fal_tensor_rows(pass->head_dnormed, 0, x.n_rows),
               dx = fal_tensor_rows(pass->head_dx, 0, x.n_rows),
               dhead = fal_trainable_gradient(t, fal_trainable_head(t), 0);
    if (fal_tensor_is_given(dhead)) op->product(q, dhead, dlogits, true, normed, false, true);
    op->product(q, dnormed, dlogits, false, head_weight(pass), false, false);
    op->scale(q, dx, 0);
    op->layer_norm_gradient(q, dx, fal_trainable_gradient(t, FAL_WEIGHT_OUTPUT_NORM, 0),
                            fal_trainable_gradient(t, FAL_WEIGHT_OUTPUT_NORM_BIAS, 0), dnormed, x,
                            fal_trainable_value(t, FAL_WEIGHT_OUTPUT_NORM, 0),
                            t->params.norm_epsilon);
    op->embed_gradient(q, pass->dx, dx, rows);
}

static int64_t rows_from(const fal_training_pass *pass, int64_t first, int64_t n_rows) {
    return n_rows - first < pass->head_rows ? n_rows - first : pass->head_rows;
}

void fal_training_head(fal_training_pass *pass, double scale, bool with_gradients) {
    const fal_ops *op = pass->queue->ops;
    if (with_gradients) op->scale(pass->queue, pass->dx, 0);
    for (int64_t first = 0; first < pass->n_scored; first += pass->head_rows) {
        int64_t n = rows_from(pass, first, pass->n_scored);
        bool is_planned = !pass->memory;
        const int32_t *rows = is_planned ? NULL : pass->rows + first;
        fal_tensor x = fal_tensor_rows(pass->head_x, 0, n),
                   logits = fal_tensor_rows(pass->head_logits, 0, n);
        op->embed(pass->queue, x, pass->output, rows);
        multiply(pass, logits, x);
        op->cross_entropy(pass->queue, logits, is_planned ? NULL : pass->nll + first, logits,
                          is_planned ? NULL : pass->targets + first,
                          is_planned ? NULL : pass->weights + first, scale, pass->options.z_loss);
        if (with_gradients) multiply_gradient(pass, logits, x, rows);
    }
}

static int32_t largest(const float *numbers, int64_t n) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        best = numbers[i] > numbers[best] ? i : best;
    return (int32_t)best;
}

fal_status fal_training_guess(fal_training_pass *pass, int32_t *guesses, fal_error *err) {
    for (int64_t first = 0; first < pass->n_scored; first += pass->head_rows) {
        int64_t n = rows_from(pass, first, pass->n_scored);
        fal_tensor x = fal_tensor_rows(pass->head_x, 0, n),
                   logits = fal_tensor_rows(pass->head_logits, 0, n);
        pass->queue->ops->embed(pass->queue, x, pass->output, pass->rows + first);
        multiply(pass, logits, x);
        FAL_TRY(fal_queue_wait(pass->queue, err));
        for (int64_t row = 0; row < n; row++)
            guesses[pass->rows[first + row]] =
                largest(fal_tensor_f32_row(logits, row), logits.n_cols);
    }
    return FAL_OK;
}

fal_status fal_training_logits(fal_training_pass *pass, float *logits, fal_error *err) {
    int64_t n_rows = pass->batch.n_tokens;
    size_t n_vocab = (size_t)pass->trainable->params.n_vocab;
    for (int64_t first = 0; first < n_rows; first += pass->head_rows) {
        int64_t n = rows_from(pass, first, n_rows);
        multiply(pass, fal_tensor_rows(pass->head_logits, 0, n),
                 fal_tensor_rows(pass->output, first, n));
        FAL_TRY(fal_queue_wait(pass->queue, err));
        for (int64_t row = 0; row < n; row++)
            memcpy(logits + (size_t)(first + row) * n_vocab,
                   fal_tensor_f32_row(pass->head_logits, row), n_vocab * sizeof *logits);
    }
    return FAL_OK;
}
