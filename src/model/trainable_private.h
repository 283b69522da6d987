/* What a trainable model is inside, for this folder's own files. */
#ifndef FAL_MODEL_TRAINABLE_PRIVATE_H
#define FAL_MODEL_TRAINABLE_PRIVATE_H

#include "model/trainable.h"

struct fal_trainable {
    const fal_arch *arch;
    fal_params params;
    fal_lora_options lora; /* alpha is never 0 with adapters */
    bool has_gradients;
    fal_trainable_weight *weights; /* A and B of an adapter stand behind their weight */
    int n_weights;
    int *
        first; /* [n_layers + 1][FAL_WEIGHT_COUNT]: index in weights, -1: none; the last row is outside the layers */
    uint64_t n_values, n_gradients; /* floats, each weight padded to whole lines of memory */
    fal_device *device;             /* of which the next two are memory */
    float *values, *gradients;      /* what the weights' tensors point into; NULL in a shell */
    float *alibi_slopes;            /* [n_heads], divided by sqrt(head_dim); NULL without ALiBi */
    double *frequency;              /* [head_dim / 2]; NULL without rope */
    double rope_gain;
};

/* Everything but the memory of values and gradients: for planning. Fails: as fal_trainable_open_fresh. */
fal_status fal_trainable_open_shell(fal_trainable **out, const fal_arch *arch,
                                    const fal_params *params, const fal_trainable_options *options,
                                    fal_error *err);

/* NULL: the model has no such weight, or no adapter on it. layer is ignored for weights outside the layers. */
static inline fal_trainable_weight *fal_trainable_weight_of(const fal_trainable *t,
                                                            fal_weight_id id, int layer,
                                                            fal_trainable_part part) {
    int row = fal_weight_is_per_layer(id) ? layer : t->params.n_layers;
    int index = t->first[row * FAL_WEIGHT_COUNT + (int)id];
    if (index < 0) return NULL;
    fal_trainable_weight *w = &t->weights[index];
    if (part == FAL_TRAINABLE_WHOLE) return w;
    bool is_there = index + (int)part < t->n_weights && w[part].part == part;
    return is_there ? &w[part] : NULL;
}

/* FAL_NONE if there is none. */
static inline fal_tensor fal_trainable_value(const fal_trainable *t, fal_weight_id id, int layer) {
    const fal_trainable_weight *w = fal_trainable_weight_of(t, id, layer, FAL_TRAINABLE_WHOLE);
    return w ? w->value : FAL_NONE;
}

/* FAL_NONE if there is none, or none is wanted. */
static inline fal_tensor fal_trainable_gradient(const fal_trainable *t, fal_weight_id id,
                                                int layer) {
    const fal_trainable_weight *w = fal_trainable_weight_of(t, id, layer, FAL_TRAINABLE_WHOLE);
    return w ? w->gradient : FAL_NONE;
}

/* The weight that the head multiplies by. */
static inline fal_weight_id fal_trainable_head(const fal_trainable *t) {
    return t->params.has_tied_head ? FAL_WEIGHT_TOKEN_EMBD : FAL_WEIGHT_OUTPUT;
}

/* lora.c */

/* Whether linear layers with this weight get adapters. */
bool fal_lora_adapts(fal_weight_id id);
/* What stands in front of (x A^T) B^T. */
float fal_lora_scale(const fal_trainable *t);
/* Row `row` of w as it is with its adapter folded in; out [n_cols], sums [n_cols] is scratch. */
void fal_lora_fold_row(const fal_trainable *t, const fal_trainable_weight *w, int64_t row,
                       float *out, double *sums);

#endif
