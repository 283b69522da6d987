/* What the experiment on context extension is inside, for this folder's own files. */
#ifndef FAL_EVAL_EXTENSION_PRIVATE_H
#define FAL_EVAL_EXTENSION_PRIVATE_H

#include "eval/context_extension.h"
#include "eval/learner.h"

/* What documents are drawn for, so that none is met twice. */
typedef enum fal_extension_stream {
    FAL_STREAM_PRETRAIN,
    FAL_STREAM_EXTEND,
    FAL_STREAM_NORM,
    FAL_STREAM_LOSS,
    FAL_STREAM_SHORT,
    FAL_STREAM_EXAMPLES,
    FAL_STREAM_COUNT
} fal_extension_stream;

typedef struct fal_extension {
    const fal_extension_preset *preset;
    uint64_t seed;
    const fal_extension_options *options;
    fal_learner *learner;
    const char *stage;
    double loss;             /* the last one of training */
    int64_t n_done, n_total; /* tokens, those of training three times */
} fal_extension;

/* context_extension.c */

/* Counts what was done since, tells whoever listens. Fails: CANCELLED, FORMAT (the loss is not finite). */
fal_status fal_extension_advance(fal_extension *e, int64_t n_tokens, fal_error *err);

/* extension_data.c: each empties the learner's batch and fills it. */

/* Language modelling on documents of n_tokens: every token counts, answers more. */
void fal_extension_fill_documents(fal_extension *e, fal_extension_stream stream, int first,
                                  int n_sequences, int n_tokens);
/* The mix of fine-tuning, by sequences of the extended length. */
void fal_extension_fill_mix(fal_extension *e, fal_extension_stream stream, int first,
                            int n_sequences, bool has_long_data);

/* extension_measure.c */

/* Losses and scores; n_lengths 1: at the trained context only. out is owned by the caller in any case; NULL at first. */
fal_status fal_extension_measure(fal_extension *e, int n_lengths, json_t **out, fal_error *err);
/* The norms of the gradient before any step, on batches of their own. Likewise. */
fal_status fal_extension_measure_norms(fal_extension *e, bool has_long_data, json_t **out,
                                       fal_error *err);

#endif
