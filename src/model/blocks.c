/* Pieces of forward passes that architectures share. The order of calls is the order of the original. */
#include "model/model_private.h"

fal_tensor fal_block_norm(const fal_model *m, fal_step *s, fal_weight_id weight, fal_weight_id bias,
                          int layer, fal_tensor y, fal_tensor x) {
    y = fal_tensor_rows(y, 0, x.n_rows);
    s->queue->ops->layer_norm(s->queue, y, x, fal_weight(m, weight, layer),
                              fal_weight(m, bias, layer), m->params.norm_epsilon);
    return y;
}

void fal_block_linear(const fal_model *m, fal_step *s, fal_weight_id weight, fal_weight_id bias,
                      int layer, fal_tensor y, fal_tensor x) {
    s->queue->ops->linear(s->queue, y, x, fal_weight(m, weight, layer), fal_weight(m, bias, layer));
}

void fal_block_ffn(const fal_model *m, fal_step *s, int layer, fal_tensor y, fal_tensor x,
                   fal_tensor wide) {
    wide = fal_tensor_rows(wide, 0, x.n_rows);
    fal_block_linear(m, s, FAL_WEIGHT_FFN_UP, FAL_WEIGHT_FFN_UP_BIAS, layer, wide, x);
    if (fal_params_has(&m->params, FAL_FEATURE_GELU_TANH)) {
        s->queue->ops->gelu_tanh(s->queue, wide, wide);
    } else {
        s->queue->ops->gelu_erf(s->queue, wide, wide);
    }
    fal_block_linear(m, s, FAL_WEIGHT_FFN_DOWN, FAL_WEIGHT_FFN_DOWN_BIAS, layer, y, wide);
}

void fal_block_final_norm(const fal_model *m, fal_step *s, fal_tensor x, fal_tensor normed) {
    s->hidden = fal_tensor_rows(normed, 0, 0);
    if (s->n_wanted == 0) return;
    s->hidden =
        fal_block_norm(m, s, FAL_WEIGHT_OUTPUT_NORM, FAL_WEIGHT_OUTPUT_NORM_BIAS, 0, normed, x);
}
