/* How a text is cut into windows, and which tokens of each are scored. */
#ifndef FAL_EVAL_WINDOWS_H
#define FAL_EVAL_WINDOWS_H

#include "base/fail.h"

#include <stdbool.h>

/* Tokens [begin, end) of the text are one timeline; tokens [first, end) of them are scored, each given those before it
 * in the window. begin < first <= end. */
typedef struct fal_window {
    size_t begin, end, first;
} fal_window;

typedef struct fal_windows {
    size_t n_tokens, n_context, stride, count;
} fal_windows;

/* stride 0: windows end to end, of which the second half is scored; a rest that fills no window is left out. Else: a
 * window begins every `stride` tokens and scores what none before it has; the last one ends with the text.
 *
 *   n_most  most windows; 0: all
 *   Fails: ARGUMENT (a bound), LIMIT (a text that is too short, with both numbers). */
fal_status fal_windows_plan(fal_windows *out, size_t n_tokens, int n_context, int stride,
                            int n_most, fal_error *err);

fal_window fal_windows_at(const fal_windows *w, size_t index);

#endif
