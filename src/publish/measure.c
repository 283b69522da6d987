/* Body of measure.h. */
#include "publish/measure.h"

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/file.h"
#include "runtime/session_watch.h"

enum {
    TEXT_BYTES = 1 << 16, /* of the text that speed is measured on */
    PAGE_BYTES = 4096
};

/* ---- quality ---- */

static void take(fal_measured *out, fal_measuring *how, const fal_eval_comparison *c) {
    *out = (fal_measured){.is_there = true,
                          .perplexity = c->other.perplexity,
                          .perplexity_error = c->other.perplexity_error,
                          .divergence = c->divergence,
                          .divergence_error = c->divergence_error,
                          .divergence_99 = c->divergence_99,
                          .divergence_max = c->divergence_max,
                          .agreement = c->agreement,
                          .agreement_error = c->agreement_error};
    how->reference_perplexity = c->reference.perplexity;
    how->reference_perplexity_error = c->reference.perplexity_error;
    how->n_scored = (int64_t)c->reference.n_scored;
}

fal_status fal_measure_quality(fal_measured *out, fal_measuring *how, fal_model *reference,
                               const char *path, const fal_tokens *tokens,
                               fal_on_progress *progress, void *user, fal_error *err) {
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
    fal_model_close(model);
    if (status != FAL_OK) return fal_add_context(err, status, "%s", path);
    take(out, how, &comparison);
    return FAL_OK;
}

/* ---- cost ---- */

/* The tokens of the text's beginning. */
static fal_status read_tokens(fal_tokens *out, const fal_model *model, const char *path,
                              fal_error *err) {
    fal_mapping text;
    FAL_TRY(fal_mapping_open(&text, path, err));
    size_t length = text.length < TEXT_BYTES ? text.length : TEXT_BYTES;
    fal_status status = fal_tokenizer_encode(fal_model_tokenizer(model), text.data, length,
                                             FAL_SPECIALS_AS_TEXT, out, NULL, err);
    fal_mapping_release(&text);
    if (status == FAL_OK && out->count == 0)
        return fal_fail(err, FAL_E_ARGUMENT, "'%s' gives no tokens", path);
    return status;
}

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

static double per_second(int n, double from, double to) {
    return n / (to > from ? to - from : 1e-9);
}

/* What an answer says does not change how long it takes: the text stands for it. */
static fal_status measure_speed(fal_cost *out, const fal_cost_question *q, fal_session *session,
                                const fal_tokens *tokens, fal_error *err) {
    double started = fal_seconds();
    FAL_TRY(feed(session, tokens, 0, q->n_prompt, false, err));
    double between = fal_seconds();
    FAL_TRY(feed(session, tokens, (size_t)q->n_prompt, q->n_answer, true, err));
    double ended = fal_seconds();
    out->prompt_speed = per_second(q->n_prompt, started, between);
    out->answer_speed = per_second(q->n_answer, between, ended);
    return FAL_OK;
}

/* A long conversation comes by every weight, rare rows of the embedding too. */
static void touch_weights(const fal_model *model) {
    const fal_gguf *file = fal_model_gguf(model);
    for (int i = 0; i < fal_gguf_tensor_count(file); i++) {
        const fal_gguf_tensor *t = fal_gguf_tensor_at(file, i);
        const volatile unsigned char *data = t->data;
        for (uint64_t at = 0; data && at < t->bytes; at += PAGE_BYTES)
            (void)data[at];
    }
}

static fal_status measure_model(fal_cost *out, const fal_cost_question *q, fal_model *model,
                                const fal_tokens *tokens, fal_error *err) {
    fal_session *session = NULL;
    fal_session_options options = {.n_context = q->n_context};
    bool is_whole = q->run_apart != NULL;
    fal_status status = is_whole ? fal_session_open(&session, model, &options, err) : FAL_E_MEMORY;
    if (status == FAL_E_MEMORY) {
        is_whole = false;
        options.n_context = q->n_prompt + q->n_answer;
        status = fal_session_open(&session, model, &options, err);
    }
    FAL_TRY(status);
    status = measure_speed(out, q, session, tokens, err);
    if (status == FAL_OK && is_whole) {
        touch_weights(model);
        fal_session_occupy(session);
        out->peak_bytes = fal_peak_memory();
    }
    fal_session_close(session);
    return status;
}

static fal_status measure_here(void *argument, void *result, fal_error *err) {
    const fal_cost_question *q = argument;
    fal_cost *out = result;
    fal_model *model = NULL;
    fal_tokens tokens = {0};
    fal_model_options options = {.n_threads = q->n_threads};
    FAL_TRY(fal_model_open(&model, q->path, &options, err));
    fal_status status = read_tokens(&tokens, model, q->text, err);
    if (status == FAL_OK) status = measure_model(out, q, model, &tokens, err);
    out->is_there = status == FAL_OK;
    fal_tokens_release(&tokens);
    fal_model_close(model);
    return status;
}

fal_status fal_measure_cost(fal_cost *out, const fal_cost_question *q, fal_error *err) {
    fal_cost_question question = *q;
    fal_cost cost = {0};
    fal_status status = q->run_apart ? q->run_apart(&cost, sizeof cost, measure_here, &question,
                                                    q->on_wait, q->user, err)
                                     : measure_here(&question, &cost, err);
    if (status != FAL_OK) return fal_add_context(err, status, "%s", q->path);
    *out = cost;
    return FAL_OK;
}
