/* What adds up to a perplexity, for one model. Bodies in perplexity.c. */
#ifndef FAL_EVAL_SCORES_H
#define FAL_EVAL_SCORES_H

#include "eval/distribution.h"
#include "eval/moments.h"
#include "eval/walk.h"

/* Adds the negative log-likelihood of the token at place `at` of the text. Fails: FORMAT (logits that are not finite). */
fal_status fal_nll_add(fal_moments *nll, const fal_distribution *d, size_t at, int32_t token,
                       fal_error *err);

/* What nll, the sum over walk, amounts to. */
fal_eval_perplexity_result fal_nll_result(const fal_moments *nll, const fal_walk *walk);

#endif
