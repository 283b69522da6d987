/* How far a model lies from a reference: both say what they expect next, token by token, and nothing is kept but sums and
 * one divergence per token. */
#include "base/alloc.h"
#include "eval/scores.h"

#include <stdlib.h>

typedef struct comparison {
    fal_moments reference, other;                  /* nll */
    fal_moments difference, divergence, agreement; /* difference: of nll, other less reference */
    float *divergences;                            /* [divergence.count] */
    size_t capacity, n_vocab;
    double most;
} comparison;

static fal_status on_scored(void *user, size_t at, int32_t token, const float *const *logits,
                            fal_error *err) {
    comparison *c = user;
    fal_distribution p = fal_distribution_of(logits[0], c->n_vocab),
                     q = fal_distribution_of(logits[1], c->n_vocab);
    fal_status status = fal_nll_add(&c->reference, &p, at, token, err);
    if (status != FAL_OK) return fal_add_context(err, status, "reference");
    FAL_TRY(fal_nll_add(&c->other, &q, at, token, err));
    double divergence = fal_distribution_divergence(&p, &q);
    if (!isfinite(divergence))
        return fal_fail(err, FAL_E_FORMAT, "the logits before token %zu of the text are not finite",
                        at);
    if (!fal_grow((void **)&c->divergences, &c->capacity, c->divergence.count + 1,
                  sizeof *c->divergences))
        return fal_fail_memory(err, (c->divergence.count + 1) * sizeof *c->divergences);
    c->divergences[c->divergence.count] = (float)divergence;
    if (divergence > c->most) c->most = divergence;
    fal_moments_add(&c->divergence, divergence);
    fal_moments_add(&c->agreement, p.top == q.top);
    fal_moments_add(&c->difference,
                    fal_distribution_log(&p, token) - fal_distribution_log(&q, token));
    return FAL_OK;
}

static int compare_floats(const void *a, const void *b) {
    float left = *(const float *)a, right = *(const float *)b;
    return (left > right) - (left < right);
}

/* values [count] in rising order; share from 0 to 1. */
static double percentile(const float *values, size_t count, double share) {
    if (count == 0) return (double)NAN;
    double place = share * (double)(count - 1);
    size_t below = (size_t)place, above = below + 1 < count ? below + 1 : below;
    double part = place - (double)below;
    return (double)values[below] * (1 - part) + (double)values[above] * part;
}

static void finish(comparison *c, const fal_walk *walk, fal_eval_comparison *out) {
    size_t n = c->divergence.count;
    *out = (fal_eval_comparison){.reference = fal_nll_result(&c->reference, walk),
                                 .other = fal_nll_result(&c->other, walk),
                                 .ratio = exp(c->difference.mean),
                                 .divergence = c->divergence.mean,
                                 .divergence_error = fal_moments_error(&c->divergence),
                                 .divergence_max = c->most,
                                 .agreement = c->agreement.mean,
                                 .agreement_error = fal_moments_error(&c->agreement)};
    out->ratio_error = out->ratio * fal_moments_error(&c->difference);
    if (n) qsort(c->divergences, n, sizeof *c->divergences, compare_floats);
    out->divergence_median = percentile(c->divergences, n, 0.5);
    out->divergence_99 = percentile(c->divergences, n, 0.99);
}

fal_status fal_eval_compare(fal_model *reference, fal_model *other, const int32_t *tokens,
                            size_t n_tokens, const fal_eval_options *options,
                            fal_eval_comparison *out, fal_error *err) {
    fal_walk walk;
    comparison c = {0};
    fal_model *const models[] = {reference, other};
    fal_status status = fal_walk_open(&walk, models, 2, tokens, n_tokens, options, err);
    c.n_vocab = walk.n_vocab;
    if (status == FAL_OK) status = fal_walk_score(&walk, on_scored, &c, err);
    if (status == FAL_OK) finish(&c, &walk, out);
    fal_free(c.divergences);
    fal_walk_release(&walk);
    return status;
}
