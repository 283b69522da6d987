/* The data of a training run: sources named by options, read into documents, mixed and packed by a plan. */
#ifndef FAL_CLI_TRAIN_DATA_H
#define FAL_CLI_TRAIN_DATA_H

#include "cli/train_options.h"
#include "train/sources.h"

/* One source; those of validation come behind those that are trained on. */
typedef struct fal_train_source {
    char *text; /* what the options point into */
    fal_source_options options;
    fal_source_report report;
    const char *group;
} fal_train_source;

typedef struct fal_train_data {
    fal_train_source *sources; /* [n_sources] */
    const char **names;        /* [n_sources], paths */
    int n_sources, n_training;
    fal_documents documents, validation_documents;
    fal_plan *plan, *validation; /* validation NULL: there is none */
    int sequence_length, n_sequences;
    int64_t total_tokens; /* asked for; 0: one epoch */
} fal_train_data;

/* Reads all sources and plans the run. Zero-initialise d; it is released in any case.
 * Fails: ARGUMENT (a source or group that is not well said, a group without a weight), and as fal_source_read and
 * fal_plan_open. */
fal_status fal_train_data_open(fal_train_data *d, const fal_train_choice *choice,
                               const fal_tokenizer *tokenizer, const fal_chat_format *chat_format,
                               int n_context, fal_error *err);
void fal_train_data_release(fal_train_data *d);

/* Bytes of all documents. */
uint64_t fal_train_data_bytes(const fal_train_data *d);

#endif
