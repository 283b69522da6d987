/* The folder's face: numbers about a model and a text. All sums are in double precision and in the order of the text, so
 * that results depend on the model, the tokens and the windows alone. */
#ifndef FAL_EVAL_EVAL_H
#define FAL_EVAL_EVAL_H

#include <falconer/session.h>

#include "formats/importance.h"

enum {
    FAL_EVAL_WINDOW = 512 /* tokens of a window, where nobody says */
};

/* How the text is cut into windows, each a timeline of its own. Zero means default.
 *
 * stride 0: windows end to end. Scored are the tokens behind the first half and one more, [n_context / 2 + 1,
 * n_context), each given all before it in its window; a rest of the text that fills no window is left out. Where the
 * vocabulary asks for a bos token, it stands in place of each window's first token. This is what llama.cpp does.
 *
 * stride > 0: a window begins every `stride` tokens and ends with the text. Scored are the tokens that no window before
 * has scored, so each token of the text but the first counts once, given at least n_context - stride tokens before it
 * (fewer at the beginning; with stride = n_context the first one of each window is left out). This is what transformers
 * describes. */
typedef struct fal_eval_options {
    int n_context; /* tokens of a window; 0: 512, or the model's context where that is less */
    int stride;    /* at most n_context */
    int n_windows; /* most windows; 0: all */
    int n_batch;   /* as in fal_session_options; the results do not depend on it */
    const char *kv_type;
    bool with_head;               /* importance only: also of the head's matrix */
    fal_on_progress *on_progress; /* in tokens computed; false cancels */
    void *user;
} fal_eval_options;

/* Means over the scored tokens with their standard errors, the tokens taken as independent; an error is NaN below two
 * tokens. */
typedef struct fal_eval_perplexity_result {
    size_t n_windows, n_scored;
    int n_context, stride;               /* in force */
    double nll, nll_error;               /* negative log-likelihood, nats per token */
    double perplexity, perplexity_error; /* exp(nll); perplexity * nll_error */
} fal_eval_perplexity_result;

/* Perplexity of tokens under model.
 *
 *   options  NULL: all defaults
 *   Fails: ARGUMENT (an option, a token), LIMIT (too short a text, with the numbers; the model has no such context),
 *   FORMAT (logits that are not finite, by position), CANCELLED, MEMORY. */
fal_status fal_eval_perplexity(fal_model *model, const int32_t *tokens, size_t n_tokens,
                               const fal_eval_options *options, fal_eval_perplexity_result *out,
                               fal_error *err);

/* How far the second model lies from the first. */
typedef struct fal_eval_comparison {
    fal_eval_perplexity_result reference, other;
    double ratio,
        ratio_error; /* of perplexities, other to reference; the error is of paired differences */
    double divergence, divergence_error; /* mean of KL(reference, other), nats */
    double divergence_median, divergence_99,
        divergence_max; /* percentiles, between neighbours by proportion */
    double agreement,
        agreement_error; /* share of tokens whose most probable successor is the same */
} fal_eval_comparison;

/* Runs both models side by side over the same windows; memory does not grow with the text but for four bytes a token.
 * n_context 0: as for the reference.
 *
 *   Fails: as fal_eval_perplexity; ARGUMENT (vocabularies of different sizes). */
fal_status fal_eval_compare(fal_model *reference, fal_model *other, const int32_t *tokens,
                            size_t n_tokens, const fal_eval_options *options,
                            fal_eval_comparison *out, fal_error *err);

/* For each matrix of the layers (with_head: also the head's) the mean square of each column of what it is multiplied
 * with, over all tokens of all windows. Windows lie end to end as above; stride must be 0.
 *
 *   out    zero-initialised; released by the caller after success
 *   Fails: as fal_eval_perplexity; FORMAT (a column that is not finite, by name and number). */
fal_status fal_eval_importance(fal_model *model, const int32_t *tokens, size_t n_tokens,
                               const fal_eval_options *options, fal_importance *out,
                               fal_error *err);

#endif
