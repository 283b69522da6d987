/* The training loop: a model, a plan, an optimizer; a log, curves and checkpoints in a folder. */
#ifndef FAL_TRAIN_TRAIN_H
#define FAL_TRAIN_TRAIN_H

#include "compute/device.h"
#include "train/plan.h"
#include "train/schedule.h"

/* What is trained, on what. All of it is borrowed. */
typedef struct fal_train_subject {
    fal_trainable *model;
    fal_device *device; /* that computes; results do not depend on its threads */
    const fal_plan *plan;
    int batch_sequences;            /* the plan's n_sequences */
    int sequence_length;            /* the plan's */
    const fal_documents *documents; /* the plan's */
    const fal_plan *validation; /* its loss is measured now and then; n_sequences 1; NULL: none */
    const fal_documents *validation_documents; /* that plan's */
    const char *const *sources; /* names of all documents' sources by number, for messages */
} fal_train_subject;

/* One step, as the log has it. Losses are in nats per weighted token; NaN where there was none. */
typedef struct fal_train_step {
    int64_t step, n_steps;          /* from 1 */
    int64_t n_tokens, total_tokens; /* trained on after this step; of the whole training */
    double loss, part_losses[FAL_LOSS_PART_COUNT];
    double gradient_norm; /* before clipping */
    double clip;          /* what gradients were multiplied by */
    double learning_rate;
    double validation_loss;                 /* of the model after this step; NaN: not measured */
    double seconds;                         /* that this step took, its validation included */
    double tokens_per_second, seconds_left; /* of the steps since the run was started or resumed */
    uint64_t memory;                        /* the most bytes that the process held so far */
    bool is_saved;                          /* a checkpoint was made after this step */
} fal_train_step;

/* After each step. Returning false ends the training after a checkpoint. */
typedef bool fal_on_train_step(void *user, const fal_train_step *step);

/* Zero means default. */
typedef struct fal_train_options {
    const char *directory; /* of log, curves and checkpoints; NULL: nothing is written */
    bool resumes;          /* from the newest checkpoint in directory, if there is one */
    bool forces_settings;  /* resumes also with data or settings other than the checkpoint's; the
                              model must be the same */
    int micro_batch;       /* packed sequences computed at once; 0: 1 */
    fal_recompute recompute;
    double learning_rate; /* the peak; 0: 1e-5 */
    fal_schedule_kind schedule;
    double warm_up;       /* share of all tokens; negative: none; 0: 0.02 */
    double floor;         /* share of the peak; negative: none; 0: 0.1 */
    double weight_decay;  /* 0: none */
    double beta1, beta2;  /* 0: 0.9 and 0.95; negative: 0 */
    double epsilon;       /* 0: 1e-8 */
    double clip;          /* bound of the gradients' norm; 0: 1; negative: none */
    double z_loss;        /* coefficient; 0: none */
    int checkpoint_every; /* steps; 0: only at the end */
    int keep;             /* newest checkpoints that stay; 0: 2 */
    int validate_every;   /* steps; 0: with each checkpoint and at the end */
    fal_on_train_step *on_step;
    void *user; /* of on_step */
} fal_train_options;

typedef struct fal_train_result {
    int64_t first_step;           /* those before were done by the run that was resumed */
    int64_t n_steps, n_tokens;    /* done, over all runs */
    double loss, validation_loss; /* the last ones; NaN: none */
    bool has_curves;              /* false: there is no gnuplot */
} fal_train_result;

/* What training takes, in bytes. */
typedef struct fal_train_memory {
    uint64_t model;       /* weights and gradients */
    uint64_t moments;     /* of the optimizer */
    uint64_t activations; /* of one micro-batch, forward and backward */
    uint64_t batches;     /* a micro-batch's tokens */
} fal_train_memory;

/* Plans without opening anything. Fails: FORMAT (params), ARGUMENT (options), UNSUPPORTED, MEMORY. */
fal_status fal_train_plan_memory(const fal_arch *arch, const fal_params *params,
                                 const fal_trainable_options *trainable_options,
                                 const fal_train_options *options, int sequence_length,
                                 fal_train_memory *out, fal_error *err);

/* Whether fal_train would begin in options' directory: what is seen without opening anything.
 * Fails: ARGUMENT (checkpoints of a run that is not to be resumed), IO, MEMORY. */
fal_status fal_train_check_directory(const fal_train_options *options, fal_error *err);

/* Trains. On success, and when on_step ended it (CANCELLED), the newest checkpoint is the model as it is in memory.
 * The same subject and options give the same bits for every number of threads and however often training is resumed.
 * In directory: log.jsonl (a line per step), curves.tsv, curves.svg, and the checkpoints step-N.
 *
 *   result  may be NULL
 *   Fails: ARGUMENT (an option; a checkpoint of other data or settings, naming what differs; checkpoints in the directory
 *   of a run that does not resume), FORMAT (a damaged checkpoint, naming the tensor), LIMIT (a loss or gradient that is
 *   not finite, naming step and record; the weights are those before the step), CANCELLED, IO, MEMORY. */
fal_status fal_train(const fal_train_subject *subject, const fal_train_options *options,
                     fal_train_result *result, fal_error *err);

#endif
