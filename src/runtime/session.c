/* Body of <falconer/session.h>: one timeline of tokens and its caches. Computing is batch.c's: a session owns a batch, or
 * shares one. A long feed is cut into steps of what the batch holds; the results do not depend on the cut. */
#include <falconer/session.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "compute/cells.h"
#include "runtime/session_private.h"
#include "runtime/session_watch.h"

#include <string.h>

enum {
    DEFAULT_BATCH = 512,
    STEP_WITH_LOGITS = 32 /* most tokens of a step that hands out all logits */
};

static fal_status choose_kv_type(const fal_model *model, const char *name, const fal_type **out,
                                 fal_error *err) {
    if (name) return fal_cell_type_find(out, name, fal_model_params(model)->head_dim, err);
    *out = fal_model_default_kv_type(model);
    return FAL_OK;
}

static fal_status check_options(const fal_model *model, const fal_session_options *o,
                                fal_error *err) {
    const fal_params *p = fal_model_params(model);
    if (o->n_context < 0)
        return fal_fail(err, FAL_E_ARGUMENT, "context of %d tokens, at least 1 is needed",
                        o->n_context);
    if (fal_params_has(p, FAL_FEATURE_LEARNED_POSITIONS) && o->n_context > p->n_context)
        return fal_fail(err, FAL_E_LIMIT,
                        "context of %d tokens, but the model has only %d positions", o->n_context,
                        p->n_context);
    return FAL_OK;
}

static fal_status alloc_cache(fal_session *s, fal_error *err) {
    const fal_params *p = fal_model_params(s->model);
    size_t row, bytes;
    FAL_TRY(fal_type_row_bytes(s->cache.type, (int64_t)p->n_kv_heads * p->head_dim, &row, err));
    if (!fal_multiply_size(row, (size_t)s->cache.n_context, &bytes)
        || !fal_multiply_size(bytes, (size_t)p->n_layers, &bytes))
        return fal_fail_memory(err, 0);
    s->cache_bytes = bytes;
    /* The system hands out more than it has and then kills the process: so ask first. */
    uint64_t available = fal_available_memory();
    if (bytes > available / 2)
        return fal_fail(err, FAL_E_MEMORY,
                        "a context of %lld tokens needs %.1f GiB of cache, but %.1f GiB are free",
                        (long long)s->cache.n_context, 2 * (double)bytes / 0x1p30,
                        (double)available / 0x1p30);
    s->cache.keys = fal_alloc_aligned(bytes, 1);
    s->cache.values = fal_alloc_aligned(bytes, 1);
    return s->cache.keys && s->cache.values ? FAL_OK : fal_fail_memory(err, 2 * bytes);
}

static fal_status open_session(fal_session *s, const fal_session_options *o, fal_error *err) {
    const fal_params *p = fal_model_params(s->model);
    FAL_TRY(check_options(s->model, o, err));
    s->cache.n_context = o->n_context ? o->n_context : p->n_context;
    FAL_TRY(choose_kv_type(s->model, o->kv_type, &s->cache.type, err));
    FAL_TRY(alloc_cache(s, err));
    s->tokens = fal_alloc((size_t)s->cache.n_context, sizeof *s->tokens);
    s->frequency = fal_alloc((size_t)p->head_dim / 2, sizeof *s->frequency);
    s->logits = fal_alloc((size_t)p->n_vocab, sizeof *s->logits);
    if (!s->tokens || !s->frequency || !s->logits)
        return fal_fail_memory(err, (size_t)p->n_vocab * sizeof *s->logits);
    if (s->batch) return FAL_OK;
    s->owns_batch = true;
    int n_batch = o->n_batch ? o->n_batch : DEFAULT_BATCH;
    if (!o->n_batch && n_batch > s->cache.n_context) n_batch = (int)s->cache.n_context;
    return fal_batch_open(&s->batch, s->model, n_batch, err);
}

/* batch: to share; NULL: the session gets its own. */
static fal_status open_on(fal_session **out, fal_model *model, fal_batch *batch,
                          const fal_session_options *options, fal_error *err) {
    static const fal_session_options defaults;
    *out = NULL;
    fal_session *s = fal_alloc(1, sizeof *s);
    if (!s) return fal_fail_memory(err, sizeof *s);
    s->model = model;
    s->batch = batch;
    fal_status status = open_session(s, options ? options : &defaults, err);
    if (status != FAL_OK) {
        fal_session_close(s);
        return status;
    }
    *out = s;
    return FAL_OK;
}

fal_status fal_session_open(fal_session **out, fal_model *model, const fal_session_options *options,
                            fal_error *err) {
    return open_on(out, model, NULL, options, err);
}

fal_status fal_batch_session_open(fal_session **out, fal_batch *b,
                                  const fal_session_options *options, fal_error *err) {
    return open_on(out, fal_batch_model(b), b, options, err);
}

void fal_session_close(fal_session *s) {
    if (!s) return;
    if (s->owns_batch) fal_batch_close(s->batch);
    fal_free(s->step_logits);
    fal_free(s->logits);
    fal_free(s->frequency);
    fal_free(s->tokens);
    fal_free(s->cache.values);
    fal_free(s->cache.keys);
    fal_free(s);
}

fal_status fal_session_check_tokens(const fal_session *s, const int32_t *tokens, size_t count,
                                    fal_error *err) {
    int n_vocab = fal_model_params(s->model)->n_vocab;
    for (size_t i = 0; i < count; i++) {
        if (tokens[i] < 0 || tokens[i] >= n_vocab)
            return fal_fail(err, FAL_E_ARGUMENT, "token %zu is %d, between 0 and %d is possible", i,
                            tokens[i], n_vocab - 1);
    }
    size_t room = (size_t)s->cache.n_context - s->count;
    if (count > room)
        return fal_fail(err, FAL_E_LIMIT,
                        "context is full: %zu tokens more, but only %zu of %zu are free", count,
                        room, (size_t)s->cache.n_context);
    return FAL_OK;
}

/* Where the logits of a feed go besides s->logits: to memory for all of them, to a function, or nowhere. */
typedef struct logits_sink {
    float *all; /* [count, n_vocab] */
    fal_on_logits *on_logits;
    void *user;
} logits_sink;

static fal_status hand_out(const fal_session *s, const logits_sink *sink, size_t first, size_t n,
                           fal_error *err) {
    size_t n_vocab = (size_t)fal_model_params(s->model)->n_vocab;
    for (size_t i = 0; i < n; i++) {
        if (!sink->on_logits(sink->user, first + i, s->step_logits + i * n_vocab))
            return fal_fail(err, FAL_E_CANCELLED, "cancelled after %zu tokens", first + i + 1);
    }
    return FAL_OK;
}

static fal_status feed_steps(fal_session *s, const int32_t *tokens, size_t count,
                             const logits_sink *sink, fal_error *err) {
    size_t n_vocab = (size_t)fal_model_params(s->model)->n_vocab;
    size_t n_most = (size_t)fal_batch_max_tokens(s->batch);
    if (sink->on_logits && n_most > STEP_WITH_LOGITS) n_most = STEP_WITH_LOGITS;
    for (size_t done = 0; done < count;) {
        size_t n = count - done < n_most ? count - done : n_most;
        bool is_last = done + n == count;
        fal_batch_part part = {.session = s,
                               .tokens = tokens + done,
                               .count = n,
                               .n_following = count - done - n,
                               .wants_logits = is_last,
                               .all_logits = sink->all ? sink->all + done * n_vocab : NULL};
        if (sink->on_logits) part.all_logits = s->step_logits;
        FAL_TRY(fal_batch_step(s->batch, &part, 1, NULL, err));
        if (sink->on_logits) FAL_TRY(hand_out(s, sink, done, n, err));
        done += n;
        if (!is_last && s->on_progress && !s->on_progress(s->progress_user, done, count))
            return fal_fail(err, FAL_E_CANCELLED, "cancelled after %zu of %zu tokens", done, count);
    }
    return FAL_OK;
}

static fal_status feed(fal_session *s, const int32_t *tokens, size_t count, const logits_sink *sink,
                       fal_error *err) {
    FAL_TRY(fal_session_check_tokens(s, tokens, count, err));
    if (count == 0) return FAL_OK;
    size_t first = s->count;
    fal_status status = feed_steps(s, tokens, count, sink, err);
    /* What a cancelled prompt has computed stays and can be gone on from. */
    if (status != FAL_OK && status != FAL_E_CANCELLED) s->count = first;
    s->has_logits = status == FAL_OK;
    return status;
}

fal_status fal_session_feed(fal_session *s, const int32_t *tokens, size_t count, float *all_logits,
                            fal_error *err) {
    return feed(s, tokens, count, &(logits_sink){.all = all_logits}, err);
}

fal_status fal_session_feed_each(fal_session *s, const int32_t *tokens, size_t count,
                                 fal_on_logits *on_logits, void *user, fal_error *err) {
    size_t n_vocab = (size_t)fal_model_params(s->model)->n_vocab;
    if (!s->step_logits)
        s->step_logits = fal_alloc_aligned(STEP_WITH_LOGITS * n_vocab, sizeof(float));
    if (!s->step_logits) return fal_fail_memory(err, STEP_WITH_LOGITS * n_vocab * sizeof(float));
    return feed(s, tokens, count, &(logits_sink){.on_logits = on_logits, .user = user}, err);
}

fal_status fal_session_sync(fal_session *s, const int32_t *tokens, size_t count, fal_error *err) {
    size_t same = 0;
    while (same < count && same < s->count && s->tokens[same] == tokens[same])
        same++;
    if (same == count && same == s->count && s->has_logits) return FAL_OK;
    /* The last token's logits are needed, so it is computed again. Keys of a dynamic method depend on how they were fed:
     * there only a timeline that goes on is reused. */
    if (same == count && count > 0) same--;
    if (fal_model_has_dynamic_rope(s->model) && same < s->count) same = 0;
    if (count > (size_t)s->cache.n_context)
        return fal_fail(err, FAL_E_LIMIT, "context is full: %zu tokens, but only %zu fit", count,
                        (size_t)s->cache.n_context);
    fal_session_rewind(s, same);
    return fal_session_feed(s, tokens + same, count - same, NULL, err);
}

fal_status fal_sessions_step(fal_session **sessions, const int32_t *tokens, size_t count,
                             fal_error *err) {
    if (count == 0) return FAL_OK;
    fal_batch_part *parts = fal_alloc(count, sizeof *parts);
    if (!parts) return fal_fail_memory(err, count * sizeof *parts);
    for (size_t i = 0; i < count; i++)
        parts[i] = (fal_batch_part){
            .session = sessions[i], .tokens = &tokens[i], .count = 1, .wants_logits = true};
    fal_status status = fal_batch_step(sessions[0]->batch, parts, count, NULL, err);
    fal_free(parts);
    return status;
}

void fal_session_rewind(fal_session *s, size_t n) {
    if (n >= s->count) return;
    s->count = n;
    s->has_logits = false;
}

void fal_session_on_progress(fal_session *s, fal_on_progress *function, void *user) {
    s->on_progress = function;
    s->progress_user = user;
}

void fal_session_on_linear(fal_session *s, fal_on_linear *function, void *user) {
    fal_queue *queue = fal_batch_queue(s->batch);
    queue->on_linear = function;
    queue->on_linear_user = user;
}

void fal_session_expect(fal_session *s, size_t n_tokens) {
    s->n_expected = n_tokens;
}

const float *fal_session_logits(const fal_session *s) {
    return s->has_logits ? s->logits : NULL;
}

size_t fal_session_count(const fal_session *s) {
    return s->count;
}

const int32_t *fal_session_tokens(const fal_session *s) {
    return s->tokens;
}

size_t fal_session_n_context(const fal_session *s) {
    return (size_t)s->cache.n_context;
}

fal_model *fal_session_model(const fal_session *s) {
    return s->model;
}

void fal_session_occupy(fal_session *s) {
    fal_session_rewind(s, 0);
    memset(s->cache.keys, 0, s->cache_bytes);
    memset(s->cache.values, 0, s->cache_bytes);
    memset(s->tokens, 0, (size_t)s->cache.n_context * sizeof *s->tokens);
}
