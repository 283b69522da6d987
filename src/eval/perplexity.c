/* How well a model foresees a text. */
#include "eval/distribution.h"
#include "eval/scores.h"
#include "eval/walk.h"

fal_status fal_nll_add(fal_moments *nll, const fal_distribution *d, size_t at, int32_t token,
                       fal_error *err) {
    double value = -fal_distribution_log(d, token);
    if (!isfinite(value) || !isfinite(d->log_sum))
        return fal_fail(err, FAL_E_FORMAT, "the logits before token %zu of the text are not finite",
                        at);
    fal_moments_add(nll, value);
    return FAL_OK;
}

fal_eval_perplexity_result fal_nll_result(const fal_moments *nll, const fal_walk *walk) {
    fal_eval_perplexity_result r = {.n_windows = walk->windows.count,
                                    .n_scored = nll->count,
                                    .n_context = walk->options.n_context,
                                    .stride = walk->options.stride,
                                    .nll = nll->mean,
                                    .nll_error = fal_moments_error(nll)};
    r.perplexity = exp(r.nll);
    r.perplexity_error = r.perplexity * r.nll_error;
    return r;
}

typedef struct measurement {
    fal_moments nll;
    size_t n_vocab;
} measurement;

static fal_status on_scored(void *user, size_t at, int32_t token, const float *const *logits,
                            fal_error *err) {
    measurement *m = user;
    fal_distribution d = fal_distribution_of(logits[0], m->n_vocab);
    return fal_nll_add(&m->nll, &d, at, token, err);
}

fal_status fal_eval_perplexity(fal_model *model, const int32_t *tokens, size_t n_tokens,
                               const fal_eval_options *options, fal_eval_perplexity_result *out,
                               fal_error *err) {
    fal_walk walk;
    measurement m = {0};
    fal_status status = fal_walk_open(&walk, &model, 1, tokens, n_tokens, options, err);
    m.n_vocab = walk.n_vocab;
    if (status == FAL_OK) status = fal_walk_score(&walk, on_scored, &m, err);
    if (status == FAL_OK) *out = fal_nll_result(&m.nll, &walk);
    fal_walk_release(&walk);
    return status;
}
