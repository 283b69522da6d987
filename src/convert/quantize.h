/* One source into GGUF files of several mixes, in one pass: each tensor is read and decoded once. */
#ifndef FAL_CONVERT_QUANTIZE_H
#define FAL_CONVERT_QUANTIZE_H

#include "convert/source.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct fal_quantize_output {
    const char *
        path; /* "name.gguf"; of a split set "name-00001-of-00003.gguf" and so on are made from it */
    fal_type_plan_options plan; /* architecture and n_layers are filled in from the source */
    uint64_t split_bytes;       /* most bytes of data in one file; 0: one file */
} fal_quantize_output;

/* Between pieces: how many of how many weights (all outputs together) are written. Returning false cancels. */
typedef bool fal_on_quantize(void *user, const char *tensor, int64_t n_done, int64_t n_total);

/* The importance of the columns of a tensor, [n_cols] f32, borrowed; NULL: not known. */
typedef const float *fal_find_importance(void *user, const char *tensor, int64_t n_cols);

/* Zero means default. */
typedef struct fal_quantize_options {
    int n_threads;         /* 0: the usable cores */
    fal_model_words words; /* of each file about itself */
    bool allow_requantize; /* the source may hold quantized matrices */
    bool no_fallback;      /* refuse widths that the wanted type's blocks don't divide */
    fal_find_importance
        *find_importance; /* NULL: none; plan.has_importance says the same to the rules */
    void *importance;
    const char *importance_digest; /* tells importance matrices apart; goes into the files */
    fal_on_quantize *on_progress;
    void *user;
} fal_quantize_options;

/* What an output will be, known before anything is written. */
typedef struct fal_quantize_report {
    fal_plan_summary summary;
    uint64_t file_bytes; /* of all parts, exact */
    int n_parts;
    fal_plan_entry *entries; /* [source->n_tensors], owned */
} fal_quantize_report;

/* Fills out, which the caller releases. Fails: ARGUMENT (a quantized source without leave, a fallback where none is
 * allowed, naming the tensor), LIMIT, MEMORY. */
fal_status fal_quantize_plan(fal_quantize_report *out, fal_source *source,
                             fal_quantize_output *output, const fal_quantize_options *options,
                             fal_error *err);
void fal_quantize_report_release(fal_quantize_report *report);

/* Writes all outputs atomically: a path holds the whole file, or what it held before. An output is complete when its last
 * part has its name.
 *
 *   options  NULL: all defaults
 *   Fails: as fal_quantize_plan, before anything is written; FORMAT (a weight that is not finite and would be
 *   quantized, or that f16 has no room for, by name and position),
 *   IO, CANCELLED. The bits written do not depend on n_threads. */
fal_status fal_quantize_write(fal_source *source, fal_quantize_output *outputs, size_t n_outputs,
                              const fal_quantize_options *options, fal_error *err);

/* True if output's file is there already, whole, with the very header that it would get, made from this very source. */
bool fal_quantize_is_finished(fal_source *source, fal_quantize_output *output,
                              const fal_quantize_options *options);

/* The path of part `part` (0-based) of n_parts; the path itself for one part. Owned by the caller (fal_free); NULL when
 * memory is short. */
char *fal_quantize_part_path(const char *path, int part, int n_parts);

#endif
