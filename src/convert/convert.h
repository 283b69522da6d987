/* A Hugging Face folder into a GGUF file. */
#ifndef FAL_CONVERT_CONVERT_H
#define FAL_CONVERT_CONVERT_H

#include <falconer/log.h>

#include "base/fail.h"

#include <stdbool.h>
#include <stdint.h>

/* Between tensors: how many of how many bytes are written. Returning false cancels. */
typedef bool fal_on_convert(void *user, const char *tensor, uint64_t bytes_done,
                            uint64_t bytes_total);

typedef struct fal_convert_options {
    const char *type; /* "f32", "f16", "bf16"; NULL: the checkpoint's own precision */
    const char *name; /* general.name; NULL: the folder's */
    fal_on_convert *on_progress;
    void *user;
    fal_log log; /* what was noticed, such as tensors that have no place in the model */
} fal_convert_options;

/* Reads directory (config.json, tokenizer.json, weights) and writes path atomically.
 * Fails: NOT_FOUND, FORMAT, UNSUPPORTED, IO, MEMORY, CANCELLED. */
fal_status fal_convert_folder(const char *directory, const char *path,
                              const fal_convert_options *options, fal_error *err);

#endif
