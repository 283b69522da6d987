/* What a training pass is inside, for this folder's own files. */
#ifndef FAL_MODEL_TRAINING_PRIVATE_H
#define FAL_MODEL_TRAINING_PRIVATE_H

#include "compute/device.h"
#include "model/trainable_private.h"
#include "model/training_pass.h"

/* What a layer's backward pass reads. Rows are tokens. Depending on what is recomputed, several layers share memory. */
typedef struct fal_training_kept {
    fal_tensor x;           /* [d_model] the layer's input; always its own */
    fal_tensor attn_normed; /* [d_model] */
    fal_tensor qkv;         /* [qkv_rows] rotated */
    fal_tensor heads;       /* [n_heads * head_dim] attention's output */
    fal_tensor log_sums;    /* [n_heads] */
    fal_tensor middle; /* [d_model] input of the second half of a sequential layer; else FAL_NONE */
    fal_tensor ffn_normed; /* [d_model]; with one norm in a parallel layer it is attn_normed */
    fal_tensor up, wide;   /* [d_ff] in front of and behind gelu */
    /* [rank] of the layers with adapters: x A^T alpha / rank; FAL_NONE without. */
    fal_tensor low_qkv, low_output, low_up, low_down;
} fal_training_kept;

struct fal_training_pass {
    fal_trainable *trainable;
    fal_queue *queue;
    fal_training_pass_options options;
    bool has_backward;

    fal_device *device;
    char *memory; /* of the device; NULL while planning */
    size_t memory_bytes, used;
    int64_t
        head_rows; /* that the head takes at once: logits of all tokens are never in memory together */
    fal_training_kept *kept; /* [n_layers] */
    double *frequency; /* [head_dim / 2] of one sequence, for dynamic methods; NULL without rope */

    /* Of the scored tokens, those whose weight is above 0. The host's, [max_tokens]; NULL while planning. */
    int32_t *rows; /* where they lie in the batch */
    int32_t *targets;
    float *weights;
    float *nll;

    /* Of the batch at hand; laid out in memory anew for each. */
    fal_batch batch;
    fal_packing packing;
    int64_t n_scored;
    fal_tensor rope;   /* table; FAL_NONE without rope */
    fal_tensor output; /* [n_tokens, d_model] of the last layer */

    /* Some rows of the head. */
    fal_tensor head_x, head_normed, head_logits, head_dnormed, head_dx;
    /* Gradients on their way down. */
    fal_tensor dx, dnormed, dheads, dqkv, dwide, dlow;
};

/* A linear layer of the model: its weight, its bias (FAL_WEIGHT_COUNT: none) and where. */
typedef struct fal_training_linear {
    fal_weight_id weight, bias;
    int layer;
} fal_training_linear;

/* training_forward.c */

/* Embeddings and the rope table, then all layers into pass->output. */
void fal_training_forward(fal_training_pass *pass);
/* Layer `layer` once more, up to what its backward pass reads. */
void fal_training_forward_again(fal_training_pass *pass, int layer);
/* The norm in front of a layer's attention, or of its feed-forward if that has one of its own. */
void fal_training_norm(fal_training_pass *pass, int layer, bool is_second);
/* kept.wide from kept.up. */
void fal_training_gelu(fal_training_pass *pass, int layer);

/* training_backward.c */

/* From pass->dx, the gradient of pass->output, down to the embeddings. */
void fal_training_backward(fal_training_pass *pass);

/* training_head.c */

/* Loss of the scored rows into pass->nll; with gradients also pass->dx and those of head and final norm. */
void fal_training_head(fal_training_pass *pass, double scale, bool with_gradients);
/* The index of the largest logit of each scored row, at the row's place in guesses [n_tokens]. Fails: as the queue does. */
fal_status fal_training_guess(fal_training_pass *pass, int32_t *guesses, fal_error *err);
/* Logits of all rows, in the host's memory. Fails: as the queue does. */
fal_status fal_training_logits(fal_training_pass *pass, float *logits, fal_error *err);
#endif
