/* One source into GGUF files of several mixes, in one pass: each tensor is read and decoded once. */
#ifndef FAL_CONVERT_QUANTIZE_H
#define FAL_CONVERT_QUANTIZE_H

#include "convert/source.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct fal_quantize_output {
    const char *path;
    fal_plan_options plan; /* architecture and n_layers are filled in from the source */
} fal_quantize_output;

/* Between pieces: how many of how many weights (all outputs together) are written. Returning false cancels. */
typedef bool fal_on_quantize(void *user, const char *tensor, int64_t n_done, int64_t n_total);

/* Zero means default. */
typedef struct fal_quantize_options {
    int n_threads;         /* 0: the usable cores */
    const char *name;      /* general.name; NULL: the source's */
    bool allow_requantize; /* the source may hold quantized matrices */
    fal_on_quantize *on_progress;
    void *user;
} fal_quantize_options;

/* Writes all outputs atomically: a path holds the whole file, or what it held before.
 *
 *   options  NULL: all defaults
 *   Fails: ARGUMENT (a quantized source without leave), FORMAT (a weight that is not finite, by name and position), IO,
 *   LIMIT, MEMORY, CANCELLED. The bits written do not depend on n_threads. */
fal_status fal_quantize_write(fal_source *source, fal_quantize_output *outputs, size_t n_outputs,
                              const fal_quantize_options *options, fal_error *err);

#endif
