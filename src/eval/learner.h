/* A small model that learns from batches made in memory: what experiments train with. One per arm. */
#ifndef FAL_EVAL_LEARNER_H
#define FAL_EVAL_LEARNER_H

#include "model/training_pass.h"

/* Sequences laid one behind the other. */
typedef struct fal_learner_batch {
    int32_t *tokens, *positions, *targets;
    float *weights;
    uint8_t *parts; /* free for whoever fills the batch */
    int64_t *starts;
    int64_t n_tokens, n_sequences, max_tokens;
} fal_learner_batch;

/* Room of one sequence in a batch, [n_tokens] each; tokens and weights are for the caller to fill. The weight at i is that
 * of foretelling token i + 1; the last one's stays 0. */
typedef struct fal_learner_sequence {
    int32_t *tokens;
    float *weights;
    uint8_t *parts;
} fal_learner_sequence;

void fal_learner_batch_clear(fal_learner_batch *b);
/* The batch must have room for n_tokens more. Weights begin as 0. */
fal_learner_sequence fal_learner_batch_add(fal_learner_batch *b, int n_tokens);

typedef struct fal_learner fal_learner;

/* A fresh Falcon of these parameters; batches hold up to max_tokens. Fails: FORMAT (params), MEMORY. */
fal_status fal_learner_open(fal_learner **out, const fal_params *params, uint64_t seed,
                            fal_device *device, int64_t max_tokens, fal_error *err);
void fal_learner_close(fal_learner *l);

/* Takes over the weights of a learner of the same shapes, with another context method. Moments begin at 0. */
fal_status fal_learner_take(fal_learner *l, const fal_learner *from, const fal_rope_settings *rope,
                            fal_error *err);

/* The learner's own batch; emptied and filled by the caller. */
fal_learner_batch *fal_learner_scratch(fal_learner *l);

/* One step of AdamW (0.9, 0.95; no decay), clipped at norm 1; *loss: the weighted mean of nll. */
fal_status fal_learner_step(fal_learner *l, fal_learner_batch *b, double learning_rate,
                            double *loss, fal_error *err);
/* The norm of the gradient; changes nothing. */
fal_status fal_learner_norm(fal_learner *l, fal_learner_batch *b, double *norm, fal_error *err);
/* *nll [b->n_tokens], borrowed until the next call; 0 where the weight is 0. */
fal_status fal_learner_loss(fal_learner *l, fal_learner_batch *b, const float **nll,
                            fal_error *err);
/* Whether tokens [first, first + n) of the batch's only sequence are each the most probable one after those before it. */
fal_status fal_learner_foretells(fal_learner *l, fal_learner_batch *b, int first, int n,
                                 bool *is_right, fal_error *err);

#endif
