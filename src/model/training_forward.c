/* The forward half of a training pass: every layer, keeping what the backward half reads. The mathematics is that of the
 * architectures' own forward passes; packed sequences take the place of cells. */
#include "model/training_private.h"

/* low = x A^T alpha / rank of the layer's adapter, if it has one. */
static void lower(fal_training_pass *pass, fal_training_linear l, fal_tensor low, fal_tensor x) {
    const fal_trainable *t = pass->trainable;
    const fal_ops *op = pass->queue->ops;
    if (!fal_tensor_is_given(low)) return;
    const fal_trainable_weight *a =
        fal_trainable_weight_of(t, l.weight, l.layer, FAL_TRAINABLE_LORA_A);
    op->product(pass->queue, low, x, false, a->value, true, false);
    op->scale(pass->queue, low, fal_lora_scale(t));
}

/* y = x W^T + bias + low B^T, or y += */
static void linear(fal_training_pass *pass, fal_training_linear l, fal_tensor y, fal_tensor x,
                   fal_tensor low, bool is_added) {
    const fal_trainable *t = pass->trainable;
    const fal_ops *op = pass->queue->ops;
    op->product(pass->queue, y, x, false, fal_trainable_value(t, l.weight, l.layer), true,
                is_added);
    fal_tensor bias = fal_trainable_value(t, l.bias, l.layer);
    if (fal_tensor_is_given(bias)) op->add_bias(pass->queue, y, bias);
    if (!fal_tensor_is_given(low)) return;
    lower(pass, l, low, x);
    const fal_trainable_weight *b =
        fal_trainable_weight_of(t, l.weight, l.layer, FAL_TRAINABLE_LORA_B);
    op->product(pass->queue, y, low, false, b->value, true, true);
}

static void norm(fal_training_pass *pass, fal_weight_id weight, fal_weight_id bias, int layer,
                 fal_tensor y, fal_tensor x) {
    const fal_trainable *t = pass->trainable;
    pass->queue->ops->layer_norm(pass->queue, y, x, fal_trainable_value(t, weight, layer),
                                 fal_trainable_value(t, bias, layer), t->params.norm_epsilon);
}

static void attend(fal_training_pass *pass, const fal_training_kept *k, int layer) {
    const fal_params *p = &pass->trainable->params;
    const fal_ops *op = pass->queue->ops;
    int64_t q_cols = (int64_t)p->n_heads * p->head_dim,
            kv_cols = (int64_t)p->n_kv_heads * p->head_dim;
    linear(pass, (fal_training_linear){FAL_WEIGHT_ATTN_QKV, FAL_WEIGHT_ATTN_QKV_BIAS, layer},
           k->qkv, k->attn_normed, k->low_qkv, false);
    fal_tensor query = fal_tensor_columns(k->qkv, 0, q_cols);
    fal_tensor key = fal_tensor_columns(k->qkv, q_cols, kv_cols);
    fal_tensor value = fal_tensor_columns(k->qkv, q_cols + kv_cols, kv_cols);
    if (fal_tensor_is_given(pass->rope)) {
        op->rope(pass->queue, query, pass->rope, p->n_heads);
        op->rope(pass->queue, key, pass->rope, p->n_kv_heads);
    }
    op->packed_attention(pass->queue, k->heads, k->log_sums, query, key, value, &pass->packing);
}

void fal_training_norm(fal_training_pass *pass, int layer, bool is_second) {
    const fal_params *p = &pass->trainable->params;
    const fal_training_kept *k = &pass->kept[layer];
    bool has_two = fal_params_has(p, FAL_FEATURE_TWO_NORMS);
    if (!is_second && has_two) {
        norm(pass, FAL_WEIGHT_ATTN_NORM_2, FAL_WEIGHT_ATTN_NORM_2_BIAS, layer, k->attn_normed,
             k->x);
    } else if (!is_second) {
        norm(pass, FAL_WEIGHT_ATTN_NORM, FAL_WEIGHT_ATTN_NORM_BIAS, layer, k->attn_normed, k->x);
    } else if (!fal_params_has(p, FAL_FEATURE_PARALLEL)) {
        norm(pass, FAL_WEIGHT_FFN_NORM, FAL_WEIGHT_FFN_NORM_BIAS, layer, k->ffn_normed, k->middle);
    } else if (has_two) {
        norm(pass, FAL_WEIGHT_ATTN_NORM, FAL_WEIGHT_ATTN_NORM_BIAS, layer, k->ffn_normed, k->x);
    }
}

void fal_training_gelu(fal_training_pass *pass, int layer) {
    const fal_training_kept *k = &pass->kept[layer];
    const fal_ops *op = pass->queue->ops;
    if (fal_params_has(&pass->trainable->params, FAL_FEATURE_GELU_TANH)) {
        op->gelu_tanh(pass->queue, k->wide, k->up);
    } else {
        op->gelu_erf(pass->queue, k->wide, k->up);
    }
}

/* The layer into y; with y FAL_NONE only up to what the backward pass reads. */
static void forward_layer(fal_training_pass *pass, int layer, fal_tensor y) {
    const fal_ops *op = pass->queue->ops;
    const fal_training_kept *k = &pass->kept[layer];
    bool is_parallel = fal_params_has(&pass->trainable->params, FAL_FEATURE_PARALLEL);
    fal_training_linear output = {FAL_WEIGHT_ATTN_OUTPUT, FAL_WEIGHT_ATTN_OUTPUT_BIAS, layer};
    fal_training_linear up = {FAL_WEIGHT_FFN_UP, FAL_WEIGHT_FFN_UP_BIAS, layer};
    fal_training_linear down = {FAL_WEIGHT_FFN_DOWN, FAL_WEIGHT_FFN_DOWN_BIAS, layer};
    bool is_again = !fal_tensor_is_given(y);
    pass->queue->layer = layer;
    fal_training_norm(pass, layer, false);
    attend(pass, k, layer);
    if (!is_parallel) {
        linear(pass, output, k->middle, k->heads, k->low_output, false);
        op->add(pass->queue, k->middle, k->middle, k->x);
    }
    fal_training_norm(pass, layer, true);
    linear(pass, up, k->up, k->ffn_normed, k->low_up, false);
    fal_training_gelu(pass, layer);
    if (is_again) {
        if (is_parallel) lower(pass, output, k->low_output, k->heads);
        lower(pass, down, k->low_down, k->wide);
        return;
    }
    if (is_parallel) linear(pass, output, y, k->heads, k->low_output, false);
    linear(pass, down, y, k->wide, k->low_down, is_parallel);
    op->add(pass->queue, y, y, is_parallel ? k->x : k->middle);
}

void fal_training_forward_again(fal_training_pass *pass, int layer) {
    forward_layer(pass, layer, FAL_NONE);
}

/* A dynamic method's frequencies depend on the length: each sequence is rotated as if it had been fed at once. */
static void fill_rope_table(fal_training_pass *pass) {
    const fal_trainable *t = pass->trainable;
    const fal_batch *b = &pass->batch;
    if (!fal_tensor_is_given(pass->rope)) return;
    if (!fal_rope_method_is_dynamic(t->params.rope.method)) {
        pass->queue->ops->rope_table(pass->queue, pass->rope, b->positions, t->frequency,
                                     t->rope_gain);
        return;
    }
    for (int64_t i = 0; i < b->n_sequences; i++) {
        int64_t first = b->starts[i], n = b->starts[i + 1] - first;
        double gain;
        fal_error error;
        if (n == 0) continue;
        if (fal_rope_settings_compute(&t->params.rope, t->params.head_dim, (int)n, pass->frequency,
                                      NULL, &gain, &error)
            != FAL_OK) {
            fal_queue_fail(pass->queue, error.status, "rope_table", "%.200s", error.message);
            return;
        }
        pass->queue->ops->rope_table(pass->queue, fal_tensor_rows(pass->rope, first, n),
                                     b->positions + first, pass->frequency, gain);
    }
}

static void embed(fal_training_pass *pass) {
    const fal_trainable *t = pass->trainable;
    const fal_ops *op = pass->queue->ops;
    fal_tensor x = pass->kept[0].x;
    op->embed(pass->queue, x, fal_trainable_value(t, FAL_WEIGHT_TOKEN_EMBD, 0), pass->batch.tokens);
    if (!fal_params_has(&t->params, FAL_FEATURE_LEARNED_POSITIONS)) return;
    fal_tensor positions = pass->kept[0].attn_normed; /* free until the first norm */
    op->embed(pass->queue, positions, fal_trainable_value(t, FAL_WEIGHT_POSITION_EMBD, 0),
              pass->batch.positions);
    op->add(pass->queue, x, x, positions);
}

void fal_training_forward(fal_training_pass *pass) {
    int n_layers = pass->trainable->params.n_layers;
    pass->queue->layer = -1;
    embed(pass);
    fill_rope_table(pass);
    for (int layer = 0; layer < n_layers; layer++)
        forward_layer(pass, layer, layer + 1 < n_layers ? pass->kept[layer + 1].x : pass->output);
    pass->queue->layer = -1;
}
