/* The model inside the program, which commands use when none is named. */
#ifndef FAL_CLI_BUILT_IN_H
#define FAL_CLI_BUILT_IN_H

#include <falconer/model.h>

#include "base/bytes.h"

/* What it is called where a file's name would stand. */
extern const char fal_built_in_name[];

/* A GGUF file, aligned to 64 bytes; data is NULL in a program that was built without one. */
fal_slice fal_built_in_model(void);

/* As fal_gguf_open; path NULL: the model inside. Fails also: ARGUMENT (there is none; hint is the message). */
fal_status fal_named_gguf_open(fal_gguf **out, const char *path, const char *hint, fal_error *err);

/* As fal_model_open; path and hint as in fal_named_gguf_open. */
fal_status fal_named_model_open(fal_model **out, const char *path, const fal_model_options *options,
                                const char *hint, fal_error *err);

#endif
