/* The gradient of one step: micro-batches of packed sequences, each computed at once, all added up. The loss is divided by
 * the weighted tokens of the whole step, so that it does not depend on how the step is cut into micro-batches. */
#ifndef FAL_TRAIN_GRADIENT_H
#define FAL_TRAIN_GRADIENT_H

#include "train/optimizer.h"
#include "train/train.h"

/* Sums over the tokens of a step that have a weight. */
typedef struct fal_loss_sum {
    double nll[FAL_LOSS_PART_COUNT];    /* weighted, in nats */
    double weight[FAL_LOSS_PART_COUNT]; /* what they are divided by */
    int64_t n_tokens;                   /* all of the step, weighted or not */
} fal_loss_sum;

/* Of one part. NaN where there was no weighted token. */
double fal_loss_sum_part(const fal_loss_sum *sum, fal_loss_part part);
/* Of all parts together. */
double fal_loss_sum_total(const fal_loss_sum *sum);

typedef struct fal_gradient fal_gradient;

/* subject and optimizer must outlive it. Fails: as fal_training_pass_open. */
fal_status fal_gradient_open(fal_gradient **out, const fal_train_subject *subject,
                             fal_optimizer *optimizer, const fal_train_options *options,
                             fal_error *err);
void fal_gradient_close(fal_gradient *g);

/* Bytes of the arrays of a micro-batch of this many tokens. */
uint64_t fal_gradient_batch_bytes(int64_t n_tokens);

/* Computes the gradients of step (from 1) of the plan anew, and *norm, that of all of them.
 * Fails: LIMIT (a loss or gradient that is not finite, naming source and record), ARGUMENT (a token outside the model's
 * vocabulary). */
fal_status fal_gradient_compute(fal_gradient *g, int64_t step, fal_loss_sum *sum, double *norm,
                                fal_error *err);

/* The loss of all sequences of the subject's validation plan; gradients stay. Fails: as fal_gradient_compute. */
fal_status fal_gradient_validate(fal_gradient *g, double *loss, fal_error *err);

#endif
