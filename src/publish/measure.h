/* The numbers of one file: how far it is from the reference, and how quick. */
#ifndef FAL_PUBLISH_MEASURE_H
#define FAL_PUBLISH_MEASURE_H

#include "eval/eval.h"
#include "publish/set.h"

/* Measures the model in the file at path against reference.
 *
 *   out       filled
 *   how       n_window, n_windows, n_threads, n_prompt and n_answer say what to do; what was found out about the reference is filled in
 *   tokens    [n_tokens] of the text
 *   progress  NULL: none
 *   Fails: as fal_model_open and fal_eval_compare. */
fal_status fal_measure_file(fal_measured *out, fal_measuring *how, fal_model *reference,
                            const char *path, const fal_tokens *tokens, fal_on_progress *progress,
                            void *user, fal_error *err);

#endif
