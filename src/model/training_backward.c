/* The backward half of a training pass, by hand: the chain rule through each layer, last to first. pass->dx holds the
 * gradient of a layer's output and becomes that of its input: the residual sum hands it through, the halves add theirs. */
#include "model/training_private.h"

/* dx = dy W, or dx += dy W; the gradients of the layer's own weights are added to theirs. */
static void linear_gradient(fal_training_pass *pass, fal_training_linear l, fal_tensor dx,
                            bool is_added, fal_tensor dy, fal_tensor x, fal_tensor low) {
    const fal_trainable *t = pass->trainable;
    const fal_ops *op = pass->queue->ops;
    fal_queue *q = pass->queue;
    fal_tensor dw = fal_trainable_gradient(t, l.weight, l.layer),
               dbias = fal_trainable_gradient(t, l.bias, l.layer);
    if (fal_tensor_is_given(dw)) op->product(q, dw, dy, true, x, false, true);
    if (fal_tensor_is_given(dbias)) op->bias_gradient(q, dbias, dy);
    op->product(q, dx, dy, false, fal_trainable_value(t, l.weight, l.layer), false, is_added);
    if (!fal_tensor_is_given(low)) return;
    const fal_trainable_weight *a =
        fal_trainable_weight_of(t, l.weight, l.layer, FAL_TRAINABLE_LORA_A);
    const fal_trainable_weight *b =
        fal_trainable_weight_of(t, l.weight, l.layer, FAL_TRAINABLE_LORA_B);
    op->product(q, b->gradient, dy, true, low, false, true);
    op->product(q, pass->dlow, dy, false, b->value, false, false);
    op->scale(q, pass->dlow, fal_lora_scale(t));
    op->product(q, a->gradient, pass->dlow, true, x, false, true);
    op->product(q, dx, pass->dlow, false, a->value, false, true);
}

/* pass->dx += what pass->dnormed, the gradient of norm(x), makes of it. */
static void norm_gradient(fal_training_pass *pass, fal_weight_id weight, fal_weight_id bias,
                          int layer, fal_tensor x) {
    const fal_trainable *t = pass->trainable;
    pass->queue->ops->layer_norm_gradient(
        pass->queue, pass->dx, fal_trainable_gradient(t, weight, layer),
        fal_trainable_gradient(t, bias, layer), pass->dnormed, x,
        fal_trainable_value(t, weight, layer), t->params.norm_epsilon);
}

/* From the gradient of the feed-forward's output to that of its normed input, in pass->dnormed. */
static void ffn_gradient(fal_training_pass *pass, const fal_training_kept *k, int layer) {
    const fal_ops *op = pass->queue->ops;
    linear_gradient(pass,
                    (fal_training_linear){FAL_WEIGHT_FFN_DOWN, FAL_WEIGHT_FFN_DOWN_BIAS, layer},
                    pass->dwide, false, pass->dx, k->wide, k->low_down);
    if (fal_params_has(&pass->trainable->params, FAL_FEATURE_GELU_TANH)) {
        op->gelu_tanh_gradient(pass->queue, pass->dwide, pass->dwide, k->up);
    } else {
        op->gelu_erf_gradient(pass->queue, pass->dwide, pass->dwide, k->up);
    }
    linear_gradient(pass, (fal_training_linear){FAL_WEIGHT_FFN_UP, FAL_WEIGHT_FFN_UP_BIAS, layer},
                    pass->dnormed, false, pass->dwide, k->ffn_normed, k->low_up);
}

/* From pass->dheads to the gradient of the attention's normed input, which pass->dnormed becomes or gains. */
static void attention_gradient(fal_training_pass *pass, const fal_training_kept *k, int layer,
                               bool is_added) {
    const fal_params *p = &pass->trainable->params;
    const fal_ops *op = pass->queue->ops;
    int64_t q_cols = (int64_t)p->n_heads * p->head_dim,
            kv_cols = (int64_t)p->n_kv_heads * p->head_dim;
    fal_tensor dquery = fal_tensor_columns(pass->dqkv, 0, q_cols),
               dkey = fal_tensor_columns(pass->dqkv, q_cols, kv_cols),
               dvalue = fal_tensor_columns(pass->dqkv, q_cols + kv_cols, kv_cols);
    op->packed_attention_gradient(
        pass->queue, dquery, dkey, dvalue, pass->dheads, k->heads, k->log_sums,
        fal_tensor_columns(k->qkv, 0, q_cols), fal_tensor_columns(k->qkv, q_cols, kv_cols),
        fal_tensor_columns(k->qkv, q_cols + kv_cols, kv_cols), &pass->packing);
    if (fal_tensor_is_given(pass->rope)) {
        op->rope_gradient(pass->queue, dquery, pass->rope, p->n_heads);
        op->rope_gradient(pass->queue, dkey, pass->rope, p->n_kv_heads);
    }
    linear_gradient(pass,
                    (fal_training_linear){FAL_WEIGHT_ATTN_QKV, FAL_WEIGHT_ATTN_QKV_BIAS, layer},
                    pass->dnormed, is_added, pass->dqkv, k->attn_normed, k->low_qkv);
}

static void output_gradient(fal_training_pass *pass, const fal_training_kept *k, int layer) {
    linear_gradient(
        pass, (fal_training_linear){FAL_WEIGHT_ATTN_OUTPUT, FAL_WEIGHT_ATTN_OUTPUT_BIAS, layer},
        pass->dheads, false, pass->dx, k->heads, k->low_output);
}

/* Both halves read pass->dx before either adds to it. */
static void parallel_gradient(fal_training_pass *pass, const fal_training_kept *k, int layer) {
    output_gradient(pass, k, layer);
    ffn_gradient(pass, k, layer);
    bool has_two = fal_params_has(&pass->trainable->params, FAL_FEATURE_TWO_NORMS);
    if (has_two) norm_gradient(pass, FAL_WEIGHT_ATTN_NORM, FAL_WEIGHT_ATTN_NORM_BIAS, layer, k->x);
    attention_gradient(pass, k, layer, !has_two);
    if (has_two) {
        norm_gradient(pass, FAL_WEIGHT_ATTN_NORM_2, FAL_WEIGHT_ATTN_NORM_2_BIAS, layer, k->x);
    } else {
        norm_gradient(pass, FAL_WEIGHT_ATTN_NORM, FAL_WEIGHT_ATTN_NORM_BIAS, layer, k->x);
    }
}

static void sequential_gradient(fal_training_pass *pass, const fal_training_kept *k, int layer) {
    ffn_gradient(pass, k, layer);
    norm_gradient(pass, FAL_WEIGHT_FFN_NORM, FAL_WEIGHT_FFN_NORM_BIAS, layer, k->middle);
    output_gradient(pass, k, layer);
    attention_gradient(pass, k, layer, false);
    norm_gradient(pass, FAL_WEIGHT_ATTN_NORM, FAL_WEIGHT_ATTN_NORM_BIAS, layer, k->x);
}

/* What was not kept of a layer. The last one's is still there. */
static void recompute(fal_training_pass *pass, int layer) {
    if (layer == pass->trainable->params.n_layers - 1) return;
    if (pass->options.recompute == FAL_RECOMPUTE_LAYER) fal_training_forward_again(pass, layer);
    if (pass->options.recompute != FAL_RECOMPUTE_CHEAP) return;
    fal_training_norm(pass, layer, false);
    fal_training_norm(pass, layer, true);
    fal_training_gelu(pass, layer);
}

static void embed_gradient(fal_training_pass *pass) {
    const fal_trainable *t = pass->trainable;
    fal_tensor dtokens = fal_trainable_gradient(t, FAL_WEIGHT_TOKEN_EMBD, 0),
               dpositions = fal_trainable_gradient(t, FAL_WEIGHT_POSITION_EMBD, 0);
    if (fal_tensor_is_given(dtokens))
        pass->queue->ops->embed_gradient(pass->queue, dtokens, pass->dx, pass->batch.tokens);
    if (fal_tensor_is_given(dpositions))
        pass->queue->ops->embed_gradient(pass->queue, dpositions, pass->dx, pass->batch.positions);
}

void fal_training_backward(fal_training_pass *pass) {
    bool is_parallel = fal_params_has(&pass->trainable->params, FAL_FEATURE_PARALLEL);
    for (int layer = pass->trainable->params.n_layers - 1; layer >= 0; layer--) {
        pass->queue->layer = layer;
        recompute(pass, layer);
        if (is_parallel) {
            parallel_gradient(pass, &pass->kept[layer], layer);
        } else {
            sequential_gradient(pass, &pass->kept[layer], layer);
        }
    }
    pass->queue->layer = -1;
    embed_gradient(pass);
}
