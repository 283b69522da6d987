/* The options that every command with a running model has, and the opening of what they name. */
#ifndef FAL_CLI_MODEL_OPTIONS_H
#define FAL_CLI_MODEL_OPTIONS_H

#include <falconer/session.h>

#include "cli/options.h"

typedef struct fal_model_choice {
    const char *file, *device, *context_method, *kv_type;
    int n_threads, n_context, n_batch, context_original;
    double context_scale;
    bool as_stored, verbose;
} fal_model_choice;

enum {
    FAL_MODEL_OTHER_ROWS = 2, /* the rows from here on: all but --model and --context */
    FAL_MODEL_BATCH = 64 /* tokens, where --batch does not say: Ctrl-C is heard between steps */
};

/* Rows that store into a fal_model_choice. */
extern const fal_option fal_model_option_rows[];

/* fal_choice_functions. */
const char *fal_method_choice(int index);
const char *fal_device_choice(int index);
const char *fal_kv_type_choice(int index);
const char *fal_chat_format_choice(int index);

/* Opens the named model and, unless session is NULL, a session on it; says on stderr what a person must know. hint: the
 * message when no file is named and no model is built in. Both are owned by the caller, also on failure (NULL where nothing was opened). */
fal_status fal_model_choice_open(const fal_model_choice *choice, const char *hint,
                                 fal_model **model, fal_session **session, fal_error *err);

/* Opens the metadata and the vocabulary only; file NULL: of the built-in model. hint as above. Both are owned by the caller, also on failure. */
fal_status fal_vocabulary_open(const char *file, const char *hint, fal_gguf **gguf,
                               fal_tokenizer **tokenizer, fal_error *err);

#endif
