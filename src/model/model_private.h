/* What a model is inside, for this folder's own files. */
#ifndef FAL_MODEL_MODEL_PRIVATE_H
#define FAL_MODEL_MODEL_PRIVATE_H

#include "model/arch.h"

struct fal_model {
    fal_gguf *file;
    fal_tokenizer *tokenizer;
    const fal_chat_format *chat_format;
    fal_device *device;
    const fal_arch *arch;
    fal_params params;
    fal_tensor *
        weights; /* [n_layers + 1][FAL_WEIGHT_COUNT]; the last row is for weights outside the layers */
    char *vectors;       /* norms and biases as f32, aligned */
    float *alibi_slopes; /* [n_heads], divided by sqrt(head_dim); NULL without ALiBi */
    double *frequency;   /* [head_dim / 2]; NULL without rope */
    double rope_gain;
    fal_model_info info;
    char restored[256], name[256];
};

/* FAL_NONE if the model has no such weight. layer is ignored for weights outside the layers. */
static inline fal_tensor fal_weight(const fal_model *m, fal_weight_id id, int layer) {
    int row = fal_weight_is_per_layer(id) ? layer : m->params.n_layers;
    return m->weights[row * FAL_WEIGHT_COUNT + (int)id];
}

/* Sets m->weights from the file. Fails: FORMAT (missing, wrong shape), UNSUPPORTED (type), MEMORY. */
fal_status fal_model_bind_weights(fal_model *m, fal_error *err);

/* Pieces that architectures share. */
fal_tensor fal_block_norm(const fal_model *m, fal_step *s, fal_weight_id weight, fal_weight_id bias,
                          int layer, fal_tensor y, fal_tensor x);
void fal_block_linear(const fal_model *m, fal_step *s, fal_weight_id weight, fal_weight_id bias,
                      int layer, fal_tensor y, fal_tensor x);
/* up, gelu, down */
void fal_block_ffn(const fal_model *m, fal_step *s, int layer, fal_tensor y, fal_tensor x,
                   fal_tensor wide);
/* The final norm, s->hidden in `normed`; x holds the wanted rows. */
void fal_block_final_norm(const fal_model *m, fal_step *s, fal_tensor x, fal_tensor normed);

#endif
