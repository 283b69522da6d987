/* Body of <falconer/session.h>: one timeline of tokens, its caches, and steps over one or several timelines. A long feed is
 * cut into steps of n_batch tokens; the results do not depend on the cut. */
#include <falconer/session.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "compute/cells.h"
#include "model/forward.h"
#include "runtime/session_watch.h"

#include <string.h>

enum {
    DEFAULT_BATCH = 512,
    MAX_BATCH = 65536,
    STEP_WITH_LOGITS = 32 /* most tokens of a step that hands out all logits */
};

struct fal_session {
    fal_model *model;
    fal_queue *queue;
    fal_cache cache;
    size_t cache_bytes; /* of the keys, and of the values */
    int n_batch;
    int32_t *tokens; /* [n_context] */
    size_t count;
    size_t n_expected;           /* dynamic methods count on at least so many tokens */
    int32_t *positions, *wanted; /* [n_batch] of the step at hand */
    double *frequency;           /* [head_dim / 2] */
    double gain;
    char *scratch;
    size_t scratch_bytes;
    float *logits; /* [n_vocab] */
    bool has_logits;
    float *step_logits; /* [STEP_WITH_LOGITS, n_vocab], made when first needed */
    /* Of steps over several sessions; they live in the first one. */
    fal_step_part *parts;
    fal_segment *segments;
    float *shared_logits;
    size_t parts_capacity, segments_capacity, logits_capacity;
    fal_on_progress *on_progress;
    void *progress_user;
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
    if (o->n_batch < 0 || o->n_batch > MAX_BATCH)
        return fal_fail(err, FAL_E_ARGUMENT, "batch of %d tokens, between 1 and %d is possible",
                        o->n_batch, MAX_BATCH);
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
    s->n_batch = o->n_batch ? o->n_batch : DEFAULT_BATCH;
    if (!o->n_batch && s->n_batch > s->cache.n_context) s->n_batch = (int)s->cache.n_context;
    FAL_TRY(choose_kv_type(s->model, o->kv_type, &s->cache.type, err));
    FAL_TRY(alloc_cache(s, err));
    FAL_TRY(
        fal_model_plan(s->model, s->n_batch, s->n_batch, s->cache.type, &s->scratch_bytes, err));
    s->scratch = fal_alloc_aligned(s->scratch_bytes, 1);
    s->tokens = fal_alloc((size_t)s->cache.n_context, sizeof *s->tokens);
    s->positions = fal_alloc((size_t)s->n_batch, sizeof *s->positions);
    s->wanted = fal_alloc((size_t)s->n_batch, sizeof *s->wanted);
    s->frequency = fal_alloc((size_t)p->head_dim / 2, sizeof *s->frequency);
    s->logits = fal_alloc((size_t)p->n_vocab, sizeof *s->logits);
    if (!s->scratch || !s->tokens || !s->positions || !s->wanted || !s->frequency || !s->logits)
        return fal_fail_memory(err, s->scratch_bytes);
    return fal_queue_open(&s->queue, fal_model_device(s->model), err);
}

fal_status fal_session_open(fal_session **out, fal_model *model, const fal_session_options *options,
                            fal_error *err) {
    static const fal_session_options defaults;
    *out = NULL;
    fal_session *s = fal_alloc(1, sizeof *s);
    if (!s) return fal_fail_memory(err, sizeof *s);
    s->model = model;
    fal_status status = open_session(s, options ? options : &defaults, err);
    if (status != FAL_OK) {
        fal_session_close(s);
        return status;
    }
    *out = s;
    return FAL_OK;
}

void fal_session_close(fal_session *s) {
    if (!s) return;
    fal_queue_close(s->queue);
    fal_free(s->shared_logits);
    fal_free(s->step_logits);
    fal_free(s->segments);
    fal_free(s->parts);
    fal_free(s->logits);
    fal_free(s->frequency);
    fal_free(s->wanted);
    fal_free(s->positions);
    fal_free(s->tokens);
    fal_free(s->scratch);
    fal_free(s->cache.values);
    fal_free(s->cache.keys);
    fal_free(s);
}

static fal_status check_tokens(const fal_session *s, const int32_t *tokens, size_t count,
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

static fal_tensor logits_tensor(const fal_session *s, float *data, int64_t n_rows) {
    int64_t n_vocab = fal_model_params(s->model)->n_vocab;
    return (fal_tensor){.data = data,
                        .type = fal_type_by_id(FAL_TYPE_F32),
                        .n_rows = n_rows,
                        .n_cols = n_vocab,
                        .row_bytes = (size_t)n_vocab * sizeof(float)};
}

/* One step of n tokens of one timeline. Logits of the last n_wanted of them go to `logits`. */
static fal_status step(fal_session *s, const int32_t *tokens, size_t n, size_t n_wanted,
                       float *logits, fal_error *err) {
    for (size_t i = 0; i < n; i++)
        s->positions[i] = (int32_t)(s->count + i);
    for (size_t i = 0; i < n_wanted; i++)
        s->wanted[i] = (int32_t)(n - n_wanted + i);
    fal_step_part part = {.cache = &s->cache,
                          .n_tokens = (int64_t)n,
                          .n_wanted = (int64_t)n_wanted,
                          .position = (int64_t)s->count,
                          .frequency = s->frequency,
                          .gain = s->gain};
    fal_segment segment;
    fal_step whole = {.queue = s->queue,
                      .n_tokens = (int64_t)n,
                      .n_wanted = (int64_t)n_wanted,
                      .tokens = tokens,
                      .positions = s->positions,
                      .wanted = s->wanted,
                      .parts = &part,
                      .n_parts = 1,
                      .segments = &segment,
                      .logits = logits_tensor(s, logits, (int64_t)n_wanted),
                      .scratch = s->scratch,
                      .scratch_bytes = s->scratch_bytes};
    FAL_TRY(fal_model_forward(s->model, &whole, err));
    memcpy(s->tokens + s->count, tokens, n * sizeof *tokens);
    s->count += n;
    return FAL_OK;
}

/* Where the logits of a feed go besides s->logits: to memory for all of them, to a function, or nowhere. */
typedef struct logits_sink {
    float *all; /* [count, n_vocab] */
    fal_on_logits *on_logits;
    void *user;
} logits_sink;

static fal_status hand_out(fal_session *s, const logits_sink *sink, size_t first, size_t n,
                           fal_error *err) {
    size_t n_vocab = (size_t)fal_model_params(s->model)->n_vocab;
    for (size_t i = 0; i < n; i++) {
        if (!sink->on_logits(sink->user, first + i, s->step_logits + i * n_vocab))
            return fal_fail(err, FAL_E_CANCELLED, "cancelled after %zu tokens", first + i + 1);
    }
    memcpy(s->logits, s->step_logits + (n - 1) * n_vocab, n_vocab * sizeof *s->logits);
    return FAL_OK;
}

static fal_status feed_steps(fal_session *s, const int32_t *tokens, size_t count,
                             const logits_sink *sink, fal_error *err) {
    size_t n_vocab = (size_t)fal_model_params(s->model)->n_vocab;
    size_t n_most =
        sink->on_logits && s->n_batch > STEP_WITH_LOGITS ? STEP_WITH_LOGITS : (size_t)s->n_batch;
    for (size_t done = 0; done < count;) {
        size_t n = count - done < n_most ? count - done : n_most;
        bool is_last = done + n == count;
        if (sink->all) {
            FAL_TRY(step(s, tokens + done, n, n, sink->all + done * n_vocab, err));
        } else if (sink->on_logits) {
            FAL_TRY(step(s, tokens + done, n, n, s->step_logits, err));
            FAL_TRY(hand_out(s, sink, done, n, err));
        } else {
            FAL_TRY(step(s, tokens + done, n, is_last, s->logits, err));
        }
        done += n;
        if (!is_last && s->on_progress && !s->on_progress(s->progress_user, done, count))
            return fal_fail(err, FAL_E_CANCELLED, "cancelled after %zu of %zu tokens", done, count);
    }
    if (sink->all)
        memcpy(s->logits, sink->all + (count - 1) * n_vocab, n_vocab * sizeof *s->logits);
    return FAL_OK;
}

static fal_status feed(fal_session *s, const int32_t *tokens, size_t count, const logits_sink *sink,
                       fal_error *err) {
    FAL_TRY(check_tokens(s, tokens, count, err));
    if (count == 0) return FAL_OK;
    size_t first = s->count;
    /* Dynamic methods choose frequencies for the length after the whole feed, so that cutting it changes nothing. */
    size_t length = s->count + count > s->n_expected ? s->count + count : s->n_expected;
    FAL_TRY(fal_model_frequencies(s->model, (int)length, s->frequency, &s->gain, err));
    s->has_logits = false;
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

static fal_status prepare_shared_step(fal_session **sessions, size_t count, fal_error *err) {
    fal_session *first = sessions[0];
    size_t n_vocab = (size_t)fal_model_params(first->model)->n_vocab, n_logits;
    if (count > (size_t)first->n_batch)
        return fal_fail(err, FAL_E_LIMIT, "%zu sessions in one step, the batch holds %d", count,
                        first->n_batch);
    if (!fal_multiply_size(count, n_vocab, &n_logits)) return fal_fail_memory(err, 0);
    if (!fal_grow((void **)&first->parts, &first->parts_capacity, count, sizeof *first->parts)
        || !fal_grow((void **)&first->segments, &first->segments_capacity, count,
                     sizeof *first->segments)
        || !fal_grow((void **)&first->shared_logits, &first->logits_capacity, n_logits,
                     sizeof *first->shared_logits))
        return fal_fail_memory(err, n_logits * sizeof(float));
    return FAL_OK;
}

static fal_status check_shared_step(fal_session **sessions, const int32_t *tokens, size_t count,
                                    fal_error *err) {
    for (size_t i = 0; i < count; i++) {
        if (sessions[i]->model != sessions[0]->model)
            return fal_fail(err, FAL_E_ARGUMENT, "session %zu of the step belongs to another model",
                            i);
        for (size_t k = 0; k < i; k++) {
            if (sessions[k] == sessions[i])
                return fal_fail(err, FAL_E_ARGUMENT, "session %zu stands twice in one step", i);
        }
        FAL_TRY(check_tokens(sessions[i], &tokens[i], 1, err));
        FAL_TRY(fal_model_frequencies(sessions[i]->model, (int)sessions[i]->count + 1,
                                      sessions[i]->frequency, &sessions[i]->gain, err));
    }
    return FAL_OK;
}

fal_status fal_sessions_step(fal_session **sessions, const int32_t *tokens, size_t count,
                             fal_error *err) {
    if (count == 0) return FAL_OK;
    fal_session *first = sessions[0];
    FAL_TRY(check_shared_step(sessions, tokens, count, err));
    FAL_TRY(prepare_shared_step(sessions, count, err));
    for (size_t i = 0; i < count; i++) {
        first->positions[i] = (int32_t)sessions[i]->count;
        first->wanted[i] = (int32_t)i;
        first->parts[i] = (fal_step_part){.cache = &sessions[i]->cache,
                                          .first_token = (int64_t)i,
                                          .n_tokens = 1,
                                          .n_wanted = 1,
                                          .position = (int64_t)sessions[i]->count,
                                          .frequency = sessions[i]->frequency,
                                          .gain = sessions[i]->gain};
    }
    fal_step whole = {.queue = first->queue,
                      .n_tokens = (int64_t)count,
                      .n_wanted = (int64_t)count,
                      .tokens = tokens,
                      .positions = first->positions,
                      .wanted = first->wanted,
                      .parts = first->parts,
                      .n_parts = (int)count,
                      .segments = first->segments,
                      .logits = logits_tensor(first, first->shared_logits, (int64_t)count),
                      .scratch = first->scratch,
                      .scratch_bytes = first->scratch_bytes};
    FAL_TRY(fal_model_forward(first->model, &whole, err));
    size_t n_vocab = (size_t)fal_model_params(first->model)->n_vocab;
    for (size_t i = 0; i < count; i++) {
        fal_session *s = sessions[i];
        memcpy(s->logits, first->shared_logits + i * n_vocab, n_vocab * sizeof *s->logits);
        s->has_logits = true;
        s->tokens[s->count++] = tokens[i];
    }
    return FAL_OK;
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
    s->queue->on_linear = function;
    s->queue->on_linear_user = user;
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
