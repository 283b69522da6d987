/* Hyper-parameters under one set of names, whatever file they come from. */
#ifndef FAL_MODEL_PARAMS_H
#define FAL_MODEL_PARAMS_H

#include "model/rope_settings.h"

/* What a variant has; weights and forward passes depend on these, never on a variant's name. */
typedef enum fal_feature {
    FAL_FEATURE_ROPE = 1,              /* rotary positions */
    FAL_FEATURE_ALIBI = 2,             /* attention biased by distance */
    FAL_FEATURE_LEARNED_POSITIONS = 4, /* a table of position embeddings */
    FAL_FEATURE_PARALLEL = 8,          /* attention and ffn both read the block's input */
    FAL_FEATURE_TWO_NORMS = 16,        /* each of them through a norm of its own */
    FAL_FEATURE_BIAS = 32,             /* the linear layers have biases */
    FAL_FEATURE_GELU_TANH = 64         /* gelu by tanh, not by erf */
} fal_feature;

typedef struct fal_params {
    int n_layers, n_heads, n_kv_heads, head_dim, d_model, d_ff, n_vocab;
    int n_context; /* tokens that the settings in the file are good for */
    float norm_epsilon;
    unsigned features;      /* fal_feature bits */
    fal_rope_settings rope; /* of FAL_FEATURE_ROPE */
    /* Only from Hugging Face configs. */
    bool has_tied_head;
    int32_t bos, eos; /* -1: not given */
} fal_params;

static inline int fal_params_qkv_rows(const fal_params *p) {
    return (p->n_heads + 2 * p->n_kv_heads) * p->head_dim;
}

static inline bool fal_params_has(const fal_params *p, fal_feature feature) {
    return (p->features & (unsigned)feature) != 0;
}

/* Of FAL_FEATURE_ALIBI: slopes [n_heads] out, what a head adds per position, divided by sqrt(head_dim). */
void fal_params_alibi_slopes(const fal_params *p, float *slopes);

/* Bounds and divisibility of everything above. Fails: FORMAT, naming the number and the bound. */
fal_status fal_params_check(const fal_params *p, fal_error *err);

#endif
