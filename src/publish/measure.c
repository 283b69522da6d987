/* Body of measure.h. */
#include "publish/measure.h"

#include "base/alloc.h"
#include "base/cpu.h"

/* Feeds n tokens of the text from `first` on, from its beginning again when it ends. */
static fal_status feed(fal_session *session, const fal_tokens *text, size_t first, int n,
                       bool one_by_one, fal_error *err) {
    int32_t *ids = fal_alloc((size_t)n + 1, sizeof *ids);
    if (!ids) return fal_fail_memory(err, 0);
    for (size_t i = 0; i < (size_t)n; i++)
        ids[i] = text->ids[(first + i) % text->count];
    fal_status status = FAL_OK;
    size_t at_once = one_by_one ? 1 : (size_t)n;
    for (size_t i = 0; i < (size_t)n && status == FAL_OK; i += at_once)
        status = fal_session_feed(session, ids + i, at_once, NULL, err);
    fal_free(ids);
    return status;
}

/* What an answer says does not change how long it takes: the text stands for it. */
static fal_status measure_speed(fal_measured *out, const fal_measuring *how, fal_model *model,
                                const fal_tokens *tokens, fal_error *err) {
    fal_session *session = NULL;
    fal_session_options options = {.n_context = how->n_prompt + how->n_answer};
    FAL_TRY(fal_session_open(&session, model, &options, err));
    double started = fal_seconds();
    fal_status status = feed(session, tokens, 0, how->n_prompt, false, err);
    double between = fal_seconds();
    if (status == FAL_OK)
        status = feed(session, tokens, (size_t)how->n_prompt, how->n_answer, true, err);
    double ended = fal_seconds();
    fal_session_close(session);
    out->prompt_speed = how->n_prompt / (between > started ? between - started : 1e-9);
    out->answer_speed = how->n_answer / (ended > between ? ended - between : 1e-9);
    return status;
}

static void take(fal_measured *out, fal_measuring *how, const fal_eval_comparison *c) {
    out->perplexity = c->other.perplexity;
    out->perplexity_error = c->other.perplexity_error;
    out->divergence = c->divergence;
    out->divergence_error = c->divergence_error;
    out->divergence_99 = c->divergence_99;
    out->divergence_max = c->divergence_max;
    out->agreement = c->agreement;
    out->agreement_error = c->agreement_error;
    how->reference_perplexity = c->reference.perplexity;
    how->reference_perplexity_error = c->reference.perplexity_error;
    how->n_scored = (int64_t)c->reference.n_scored;
}

fal_status fal_measure_file(fal_measured *out, fal_measuring *how, fal_model *reference,
                            const char *path, const fal_tokens *tokens, fal_on_progress *progress,
                            void *user, fal_error *err) {
    fal_model *model = NULL;
    fal_eval_options options = {.n_context = how->n_window,
                                .n_windows = how->n_windows,
                                .on_progress = progress,
                                .user = user};
    fal_eval_comparison comparison = {0};
    fal_model_options model_options = {.n_threads = how->n_threads};
    FAL_TRY(fal_model_open(&model, path, &model_options, err));
    fal_status status =
        fal_eval_compare(reference, model, tokens->ids, tokens->count, &options, &comparison, err);
    if (status == FAL_OK) status = measure_speed(out, how, model, tokens, err);
    fal_model_close(model);
    if (status != FAL_OK) return fal_add_context(err, status, "%s", path);
    take(out, how, &comparison);
    out->is_there = true;
    return FAL_OK;
}
