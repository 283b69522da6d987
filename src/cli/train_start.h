/* Where training starts: a GGUF file, a checkpoint folder, a run of before, or fresh weights with a given vocabulary. First
 * what is needed for planning, then the model. */
#ifndef FAL_CLI_TRAIN_START_H
#define FAL_CLI_TRAIN_START_H

#include "cli/train_options.h"

/* A file in the run's folder while the model is opened. */
#define FAL_TRAIN_START_FILE "start.partial"

typedef struct fal_train_start {
    const fal_train_choice *choice;
    char *path;     /* of the GGUF file or checkpoint folder; NULL: fresh weights */
    bool is_folder; /* a checkpoint folder, which becomes a GGUF file first */
    fal_gguf *
        file; /* what the written model is like; NULL until the model is opened, but for a GGUF file */
    fal_tokenizer *tokenizer;
    const fal_arch *arch;
    fal_params params; /* with the context method that training has */
} fal_train_start;

/* Reads metadata and vocabulary. Zero-initialise s; it is released in any case.
 * Fails: ARGUMENT (options that do not go together), NOT_FOUND, FORMAT, UNSUPPORTED, IO, MEMORY. */
fal_status fal_train_start_open(fal_train_start *s, const fal_train_choice *choice, fal_error *err);
void fal_train_start_release(fal_train_start *s);

/* Opens the model with its weights, in memory of device, which must outlive it; files made on the way go to the run's folder and are gone afterwards.
 * Fails: as fal_trainable_open_gguf and fal_convert_folder. */
fal_status fal_train_start_model(fal_train_start *s, fal_device *device, fal_trainable **out,
                                 fal_error *err);

#endif
