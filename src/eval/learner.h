/* A small Falcon that learns from batches made in memory: what experiments train with. It can go back to the weights that
 * it had before, with another context method. */
#ifndef FAL_EVAL_LEARNER_H
#define FAL_EVAL_LEARNER_H

#include "compute/device.h"
#include "model/params.h"

typedef struct fal_learner fal_learner;

/* Fresh weights; batches hold up to max_tokens. device must outlive it. Fails: FORMAT (params), MEMORY. */
fal_status fal_learner_open(fal_learner **out, const fal_params *params, uint64_t seed,
                            fal_device *device, int64_t max_tokens, fal_error *err);
void fal_learner_close(fal_learner *l);

/* Remembers the weights as they are. */
fal_status fal_learner_keep(fal_learner *l, fal_error *err);
/* Goes back to them with this context method; training begins anew. Fails: ARGUMENT (the method), MEMORY. */
fal_status fal_learner_restore(fal_learner *l, const fal_rope_settings *rope, fal_error *err);

/* One sequence of the batch; [n_tokens] each. What stands at i is about foretelling token i + 1. */
typedef struct fal_learner_sequence {
    int32_t *tokens;        /* for the caller to fill */
    float *weights;         /* of the loss; 0 at first, and the last one stays so */
    uint8_t *parts;         /* the caller's own */
    const float *losses;    /* -log of the token's probability; 0 where the weight is 0 */
    const int32_t *guesses; /* the most probable token; -1 where the weight is 0 */
    int n_tokens;
} fal_learner_sequence;

/* Empties the batch. */
void fal_learner_clear(fal_learner *l);
/* Whether a sequence of n_tokens fits. */
bool fal_learner_has_room(const fal_learner *l, int n_tokens);
/* Adds one, for which there must be room; valid until the batch is emptied. */
fal_learner_sequence fal_learner_add(fal_learner *l, int n_tokens);
int fal_learner_sequence_count(const fal_learner *l);
fal_learner_sequence fal_learner_sequence_at(const fal_learner *l, int index);

/* One step of AdamW (0.9, 0.95; no decay) on the batch, clipped at norm 1; *loss: the weighted mean before it. */
fal_status fal_learner_step(fal_learner *l, double learning_rate, double *loss, fal_error *err);
/* The norm of the batch's gradient, not clipped; changes no weight. */
fal_status fal_learner_norm(fal_learner *l, double *norm, fal_error *err);
/* Fills the losses of the batch's sequences; changes no weight. */
fal_status fal_learner_foretell(fal_learner *l, fal_error *err);
/* Fills their guesses. */
fal_status fal_learner_guess(fal_learner *l, fal_error *err);

#endif
