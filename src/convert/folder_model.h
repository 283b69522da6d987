/* What a Hugging Face folder says of its model, without reading weights: enough to plan with. */
#ifndef FAL_CONVERT_FOLDER_MODEL_H
#define FAL_CONVERT_FOLDER_MODEL_H

#include <falconer/tokenizer.h>

#include "model/arch.h"

typedef struct fal_folder_model {
    const fal_arch *arch; /* static */
    fal_params params;    /* has_tied_head tells of the weights that are there */
    fal_tokenizer *tokenizer;
} fal_folder_model;

/* Reads directory. m is released by the caller in any case. Fails: NOT_FOUND, FORMAT, UNSUPPORTED, IO, MEMORY. */
fal_status fal_folder_model_open(fal_folder_model *m, const char *directory, fal_error *err);
void fal_folder_model_release(fal_folder_model *m);

#endif
