/* Windows one after the other: what precedes the scored tokens is fed in one go, these in pieces whose logits fit into
 * memory, model by model. */
#include "eval/walk.h"

#include "base/alloc.h"
#include "runtime/session_watch.h"

#include <string.h>

enum {
    PIECE = 32 /* tokens whose logits are held at once */
};

static bool on_steps(void *user, size_t n_done, size_t n_total) {
    const fal_walk *walk = user;
    (void)n_total;
    const fal_eval_options *o = &walk->options;
    return !o->on_progress || o->on_progress(o->user, walk->n_done + n_done, walk->n_total);
}

static fal_status open_sessions(fal_walk *walk, fal_model *const *models, fal_error *err) {
    const fal_session_options how = {.n_context = walk->options.n_context,
                                     .n_batch = walk->options.n_batch,
                                     .kv_type = walk->options.kv_type};
    for (int i = 0; i < walk->n_models; i++) {
        FAL_TRY(fal_session_open(&walk->sessions[i], models[i], &how, err));
        fal_session_on_progress(walk->sessions[i], on_steps, walk);
        walk->logits[i] = fal_alloc_aligned(PIECE * walk->n_vocab, sizeof(float));
        if (!walk->logits[i]) return fal_fail_memory(err, PIECE * walk->n_vocab * sizeof(float));
    }
    return FAL_OK;
}

/* The last token of a window is scored but never fed, so all are looked at first. */
static fal_status check_tokens(const fal_walk *walk, size_t n_tokens, fal_error *err) {
    for (size_t i = 0; i < n_tokens; i++) {
        int32_t id = walk->tokens[i];
        if (id < 0 || (size_t)id >= walk->n_vocab)
            return fal_fail(err, FAL_E_ARGUMENT,
                            "token %zu of the text is %d, the vocabulary has %zu", i, (int)id,
                            walk->n_vocab);
    }
    return FAL_OK;
}

static size_t count_tokens(const fal_walk *walk) {
    size_t n = 0;
    for (size_t i = 0; i < walk->windows.count; i++) {
        fal_window w = fal_windows_at(&walk->windows, i);
        n += w.end - w.begin;
    }
    return n;
}

fal_status fal_walk_open(fal_walk *walk, fal_model *const *models, int n_models,
                         const int32_t *tokens, size_t n_tokens, const fal_eval_options *options,
                         fal_error *err) {
    *walk = (fal_walk){.n_models = n_models, .tokens = tokens, .bos = -1};
    if (options) walk->options = *options;
    fal_eval_options *o = &walk->options;
    const fal_model_info *info = fal_model_info_get(models[0]);
    for (int i = 1; i < n_models; i++) {
        int other = fal_model_info_get(models[i])->n_vocab;
        if (other != info->n_vocab)
            return fal_fail(err, FAL_E_ARGUMENT,
                            "the models' vocabularies differ: %d tokens in one, %d in the other",
                            info->n_vocab, other);
    }
    walk->n_vocab = (size_t)info->n_vocab;
    FAL_TRY(check_tokens(walk, n_tokens, err));
    if (o->n_context == 0)
        o->n_context = info->n_context < FAL_EVAL_WINDOW ? info->n_context : FAL_EVAL_WINDOW;
    FAL_TRY(fal_windows_plan(&walk->windows, n_tokens, o->n_context, o->stride, o->n_windows, err));
    const fal_tokenizer *t = fal_model_tokenizer(models[0]);
    if (!o->stride && fal_tokenizer_adds_bos(t)) walk->bos = fal_tokenizer_bos(t);
    walk->n_total = count_tokens(walk) * (size_t)n_models;
    walk->window_tokens = fal_alloc((size_t)o->n_context, sizeof *walk->window_tokens);
    if (!walk->window_tokens) return fal_fail_memory(err, 0);
    return open_sessions(walk, models, err);
}

void fal_walk_release(fal_walk *walk) {
    for (int i = 0; i < walk->n_models; i++) {
        fal_session_close(walk->sessions[i]);
        fal_free(walk->logits[i]);
    }
    fal_free(walk->window_tokens);
    *walk = (fal_walk){0};
}

fal_status fal_walk_advance(fal_walk *walk, size_t n, fal_error *err) {
    walk->n_done += n;
    if (on_steps(walk, 0, 0)) return FAL_OK;
    return fal_fail(err, FAL_E_CANCELLED, "cancelled after %zu of %zu tokens", walk->n_done,
                    walk->n_total);
}

void fal_walk_enter(fal_walk *walk, const fal_window *window) {
    size_t n = window->end - window->begin;
    memcpy(walk->window_tokens, walk->tokens + window->begin, n * sizeof *walk->tokens);
    if (walk->bos >= 0) walk->window_tokens[0] = walk->bos;
    for (int i = 0; i < walk->n_models; i++) {
        fal_session_rewind(walk->sessions[i], 0);
        fal_session_expect(walk->sessions[i], n);
    }
}

/* Feeds tokens [begin, end) of the window to each model. */
static fal_status feed(fal_walk *walk, size_t begin, size_t end, bool with_logits, fal_error *err) {
    for (int i = 0; i < walk->n_models && begin < end; i++) {
        FAL_TRY(fal_session_feed(walk->sessions[i], walk->window_tokens + begin, end - begin,
                                 with_logits ? walk->logits[i] : NULL, err));
        FAL_TRY(fal_walk_advance(walk, end - begin, err));
    }
    return FAL_OK;
}

static fal_status score_window(fal_walk *walk, const fal_window *window, fal_on_scored *on_scored,
                               void *user, fal_error *err) {
    size_t first = window->first - window->begin, n = window->end - window->begin;
    fal_walk_enter(walk, window);
    /* The logits after token first - 1 are the first that count; those after the last token say nothing. */
    FAL_TRY(feed(walk, 0, first - 1, false, err));
    for (size_t next = first - 1; next + 1 < n; next += PIECE) {
        size_t end = next + PIECE < n - 1 ? next + PIECE : n - 1;
        FAL_TRY(feed(walk, next, end, true, err));
        for (size_t i = next; i < end; i++) {
            const float *logits[FAL_WALK_MODELS];
            for (int m = 0; m < walk->n_models; m++)
                logits[m] = walk->logits[m] + (i - next) * walk->n_vocab;
            FAL_TRY(
                on_scored(user, window->begin + i + 1, walk->window_tokens[i + 1], logits, err));
        }
    }
    return fal_walk_advance(walk, (size_t)walk->n_models, err);
}

fal_status fal_walk_score(fal_walk *walk, fal_on_scored *on_scored, void *user, fal_error *err) {
    for (size_t i = 0; i < walk->windows.count; i++) {
        fal_window window = fal_windows_at(&walk->windows, i);
        FAL_TRY(score_window(walk, &window, on_scored, user, err));
    }
    return FAL_OK;
}
