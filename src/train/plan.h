/* Which documents are trained on, in which order, packed how: a pure function of documents, weights and seed.
 *
 * Groups are mixed by tokens: what every prefix of training has seen is close to the weights. Each source repeats its
 * documents as often as its share needs, in another order each time. A document longer than a sequence is cut into
 * passages. */
#ifndef FAL_TRAIN_PLAN_H
#define FAL_TRAIN_PLAN_H

#include "model/training_pass.h"
#include "train/documents.h"

typedef struct fal_plan_source {
    int group;     /* 0 to n_groups - 1 */
    double weight; /* within its group, among the sources that have documents; 0: not trained on */
} fal_plan_source;

typedef struct fal_plan_options {
    uint64_t seed;
    int64_t n_tokens; /* of the whole training, at least; 0: as many as all weighted sources have */
    int sequence_length; /* T */
    int n_sequences;     /* packed sequences per step, over all micro-batches and processes */
    const double *group_weights; /* [n_groups], any positive scale; 0: not trained on */
    int n_groups;
    const fal_plan_source *sources; /* [n_sources] */
    int n_sources;
} fal_plan_options;

/* A part of a document: tokens [first, first + n_tokens). */
typedef struct fal_passage {
    int64_t document;
    int32_t first, n_tokens;
} fal_passage;

/* One packed sequence of at most sequence_length tokens. Borrowed from the plan. */
typedef struct fal_packed {
    const fal_passage *passages;
    int n_passages;
    int32_t n_tokens;
    int32_t n_loss_tokens; /* those of weight 1: sum over a step is what its loss is divided by */
} fal_packed;

typedef struct fal_plan fal_plan;

/* documents must outlive the plan; options are copied. The last step is filled with what would follow.
 * Fails: ARGUMENT (an option; a group with weight and without documents, named by number; no documents at all), LIMIT
 * (more than 10^12 tokens; a plan that free memory does not hold), MEMORY. */
fal_status fal_plan_open(fal_plan **out, const fal_documents *documents,
                         const fal_plan_options *options, fal_error *err);
void fal_plan_close(fal_plan *plan);

int64_t fal_plan_n_steps(const fal_plan *plan);
/* Of the whole training, without padding. */
int64_t fal_plan_n_tokens(const fal_plan *plan);
/* Sequence index of step: step * n_sequences + index. */
fal_packed fal_plan_sequence(const fal_plan *plan, int64_t index);
/* Of everything that decides what is trained on; goes into checkpoints. */
uint64_t fal_plan_hash(const fal_plan *plan);

/* What the plan makes of each source. */
typedef struct fal_plan_share {
    int64_t n_documents;             /* that there are */
    int64_t n_tokens, n_loss_tokens; /* trained on, as often as they are */
    double epochs, share;            /* of the tokens of the whole training */
} fal_plan_share;

fal_plan_share fal_plan_source_share(const fal_plan *plan, int source);
/* Padding is what sequences lack to their full length, as a share of all. */
double fal_plan_padding(const fal_plan *plan);

/* Room for batches of sequences. */
typedef struct fal_batch_buffer {
    int32_t *tokens, *positions, *targets;
    float *weights;
    uint8_t *parts; /* fal_loss_part of each target */
    int64_t *starts;
    int64_t token_capacity, sequence_capacity;
} fal_batch_buffer;

/* For batches of up to n_tokens tokens. Fails: MEMORY. */
fal_status fal_batch_buffer_open(fal_batch_buffer *out, int64_t n_tokens, fal_error *err);
void fal_batch_buffer_release(fal_batch_buffer *b);
/* Lays the passages of n sequences from first one on behind each other; positions restart with each passage. The last
 * token of a document foretells nothing: weight 0. The last one of a passage foretells the next of its document.
 * Borrowed from buffer, which has room for n * sequence_length tokens. */
fal_batch fal_plan_fill(const fal_plan *plan, int64_t first, int n, fal_batch_buffer *buffer);

#endif
