/* Forward and backward through a trainable model: the loss of packed sequences and its gradients.
 *
 * One implementation for all variants of all architectures, by their features. Results do not depend on threads. */
#ifndef FAL_MODEL_TRAINING_PASS_H
#define FAL_MODEL_TRAINING_PASS_H

#include "model/trainable.h"

/* Packed sequences. All arrays are borrowed. */
typedef struct fal_batch {
    int64_t n_tokens;
    const int32_t *tokens;    /* [n_tokens] */
    const int32_t *positions; /* [n_tokens]; restart at 0 with each sequence */
    const int32_t *targets;   /* [n_tokens]; what is to be foretold */
    const float *weights;  /* [n_tokens] of the loss, 0 or more; 0: the target is not looked at */
    const int64_t *starts; /* [n_sequences + 1], ascending from 0 to n_tokens */
    int64_t n_sequences;
} fal_batch;

/* What is kept from the forward pass for the backward one. */
typedef enum fal_recompute {
    FAL_RECOMPUTE_NONE,  /* everything */
    FAL_RECOMPUTE_CHEAP, /* norms and gelu are computed again */
    FAL_RECOMPUTE_LAYER  /* only each layer's input: the layer is computed again */
} fal_recompute;

typedef struct fal_training_pass_options {
    int64_t max_tokens; /* of a batch */
    fal_recompute recompute;
    double z_loss; /* coefficient; 0: none */
} fal_training_pass_options;

typedef struct fal_training_pass fal_training_pass;

/* All memory is taken here, but for what the device works in, which it takes with the first batch. trainable and device
 * must outlive it; a device with memory of its own must be that of the trainable. A context method set later is followed.
 * Fails: ARGUMENT (options), MEMORY. */
fal_status fal_training_pass_open(fal_training_pass **out, fal_trainable *trainable,
                                  fal_device *device, const fal_training_pass_options *options,
                                  fal_error *err);
void fal_training_pass_close(fal_training_pass *pass);

/* Bytes that open takes, from the plan column; the trainable's own are fal_trainable_bytes. */
fal_status fal_training_pass_bytes(const fal_arch *arch, const fal_params *params,
                                   const fal_trainable_options *trainable_options,
                                   const fal_training_pass_options *options, uint64_t *out,
                                   fal_error *err);

/* Adds to the gradients those of scale * sum of weights * (nll + z_loss * log_sum^2). nll [n_tokens] out, unweighted; 0
 * where the weight is 0. Recompute changes no bit.
 * Fails: LIMIT (more tokens than max_tokens), ARGUMENT (an id outside the vocabulary; a trainable without gradients). */
fal_status fal_training_pass_run(fal_training_pass *pass, const fal_batch *batch, double scale,
                                 float *nll, fal_error *err);

/* Forward only; nll as in fal_training_pass_run, the same bits. */
fal_status fal_training_pass_loss(fal_training_pass *pass, const fal_batch *batch, float *nll,
                                  fal_error *err);

/* Forward only: the most probable token behind each, the lowest id of equals; guesses [n_tokens] out, -1 where the weight
 * is 0. Targets are not looked at. */
fal_status fal_training_pass_guess(fal_training_pass *pass, const fal_batch *batch,
                                   int32_t *guesses, fal_error *err);

/* Forward only: logits [n_tokens, n_vocab] of all tokens, targets and weights unused. For comparing with inference. */
fal_status fal_training_pass_logits(fal_training_pass *pass, const fal_batch *batch, float *logits,
                                    fal_error *err);

#endif
