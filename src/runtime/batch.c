/* Body of batch.h: lays the parts of a step out one behind the other, hands them to the model's forward pass, and gives
 * each session what it asked for. A session's own feed is a step of one part. */
#include "runtime/batch.h"

#include "base/alloc.h"
#include "runtime/session_private.h"

#include <string.h>

enum {
    MAX_TOKENS = 65536
};

struct fal_batch {
    fal_model *model;
    fal_queue *queue;
    int max_tokens;
    char *scratch;
    size_t scratch_bytes;
    /* Of the step at hand, [max_tokens]. */
    int32_t *tokens, *positions, *wanted;
    int32_t *lasts; /* rows of the final norm's output whose logits go to a session */
    /* [parts], made when first needed. */
    fal_step_part *parts;
    fal_segment *segments;
    float *last_hidden; /* [lasts, d_model] */
    float *last_logits; /* [lasts, n_vocab] */
    size_t parts_capacity, segments_capacity, hidden_capacity, logits_capacity;
};

fal_status fal_batch_open(fal_batch **out, fal_model *model, int max_tokens, fal_error *err) {
    *out = NULL;
    if (max_tokens < 1 || max_tokens > MAX_TOKENS)
        return fal_fail(err, FAL_E_ARGUMENT, "batch of %d tokens, between 1 and %d is possible",
                        max_tokens, MAX_TOKENS);
    fal_batch *b = fal_alloc(1, sizeof *b);
    if (!b) return fal_fail_memory(err, sizeof *b);
    b->model = model;
    b->max_tokens = max_tokens;
    size_t n = (size_t)max_tokens;
    fal_status status;
    FAL_TRY_OUT(fal_model_plan(model, max_tokens, max_tokens, fal_model_default_kv_type(model),
                               &b->scratch_bytes, err));
    b->scratch = fal_alloc_aligned(b->scratch_bytes, 1);
    b->tokens = fal_alloc(n, sizeof *b->tokens);
    b->positions = fal_alloc(n, sizeof *b->positions);
    b->wanted = fal_alloc(n, sizeof *b->wanted);
    b->lasts = fal_alloc(n, sizeof *b->lasts);
    if (!b->scratch || !b->tokens || !b->positions || !b->wanted || !b->lasts)
        FAL_TRY_OUT(fal_fail_memory(err, b->scratch_bytes));
    FAL_TRY_OUT(fal_queue_open(&b->queue, fal_model_device(model), err));
    *out = b;
    return FAL_OK;
out:
    fal_batch_close(b);
    return status;
}

void fal_batch_close(fal_batch *b) {
    if (!b) return;
    fal_queue_close(b->queue);
    fal_free(b->last_logits);
    fal_free(b->last_hidden);
    fal_free(b->segments);
    fal_free(b->parts);
    fal_free(b->lasts);
    fal_free(b->wanted);
    fal_free(b->positions);
    fal_free(b->tokens);
    fal_free(b->scratch);
    fal_free(b);
}

int fal_batch_max_tokens(const fal_batch *b) {
    return b->max_tokens;
}

fal_model *fal_batch_model(const fal_batch *b) {
    return b->model;
}

fal_queue *fal_batch_queue(fal_batch *b) {
    return b->queue;
}

static fal_status check_part(const fal_batch *b, const fal_batch_part *parts, size_t i,
                             fal_error *err) {
    const fal_session *s = parts[i].session;
    if (s->model != b->model)
        return fal_fail(err, FAL_E_ARGUMENT, "its session belongs to another model");
    for (size_t k = 0; k < i; k++) {
        if (parts[k].session == s)
            return fal_fail(err, FAL_E_ARGUMENT, "its session is that of part %zu already", k);
    }
    if (parts[i].count == 0)
        return fal_fail(err, FAL_E_ARGUMENT, "no tokens, at least 1 is needed");
    return fal_session_check_tokens(s, parts[i].tokens, parts[i].count, err);
}

static fal_status check_parts(const fal_batch *b, const fal_batch_part *parts, size_t n_parts,
                              fal_error *err) {
    size_t total = 0;
    for (size_t i = 0; i < n_parts; i++) {
        fal_status status = check_part(b, parts, i, err);
        if (status != FAL_OK)
            return n_parts == 1 ? status : fal_add_context(err, status, "part %zu of the step", i);
        if (parts[i].count > (size_t)b->max_tokens - total)
            return fal_fail(err, FAL_E_LIMIT,
                            "%zu parts of a step have more than the %d tokens that the batch holds",
                            n_parts, b->max_tokens);
        total += parts[i].count;
    }
    return FAL_OK;
}

/* How many of the part's last tokens go through the last layer. */
static size_t wanted_of(const fal_batch_part *part) {
    return part->all_logits || part->hidden ? part->count : part->wants_logits;
}

/* Whether the head's result for the last token goes to the session from the rows that all such parts share. */
static bool has_last(const fal_batch_part *part) {
    return part->wants_logits && !part->all_logits;
}

static fal_status make_room(fal_batch *b, const fal_batch_part *parts, size_t n_parts,
                            fal_error *err) {
    const fal_params *p = fal_model_params(b->model);
    size_t n_lasts = 0, n_hidden, n_logits;
    for (size_t i = 0; i < n_parts; i++)
        n_lasts += has_last(&parts[i]);
    if (!fal_multiply_size(n_lasts, (size_t)p->n_vocab, &n_logits)
        || !fal_multiply_size(n_lasts, (size_t)p->d_model, &n_hidden)
        || !fal_grow((void **)&b->parts, &b->parts_capacity, n_parts, sizeof *b->parts)
        || !fal_grow((void **)&b->segments, &b->segments_capacity, n_parts, sizeof *b->segments)
        || !fal_grow((void **)&b->last_hidden, &b->hidden_capacity, n_hidden,
                     sizeof *b->last_hidden)
        || !fal_grow((void **)&b->last_logits, &b->logits_capacity, n_logits,
                     sizeof *b->last_logits))
        return fal_fail_memory(err, 0);
    return FAL_OK;
}

/* One part into the step: its tokens and positions, the rows that are wanted, its frequencies. */
static fal_status lay_out_part(fal_batch *b, fal_step *step, const fal_batch_part *part,
                               fal_error *err) {
    fal_session *s = part->session;
    size_t length = s->count + part->count + part->n_following;
    if (length < s->n_expected) length = s->n_expected;
    FAL_TRY(fal_model_frequencies(b->model, (int)length, s->frequency, &s->gain, err));
    size_t n_wanted = wanted_of(part);
    b->parts[step->n_parts++] = (fal_step_part){.cache = &s->cache,
                                                .first_token = step->n_tokens,
                                                .n_tokens = (int64_t)part->count,
                                                .n_wanted = (int64_t)n_wanted,
                                                .position = (int64_t)s->count,
                                                .frequency = s->frequency,
                                                .gain = s->gain};
    for (size_t i = 0; i < part->count; i++) {
        int64_t row = step->n_tokens++;
        b->tokens[row] = part->tokens[i];
        b->positions[row] = (int32_t)(s->count + i);
        if (i + n_wanted >= part->count) b->wanted[step->n_wanted++] = (int32_t)row;
    }
    return FAL_OK;
}

static fal_tensor f32_rows(float *data, int64_t n_rows, int64_t n_cols) {
    return (fal_tensor){.data = data,
                        .type = fal_type_by_id(FAL_TYPE_F32),
                        .n_rows = n_rows,
                        .n_cols = n_cols,
                        .row_bytes = (size_t)n_cols * sizeof(float)};
}

/* The head: all logits of a part go straight to their memory, the last tokens' of the other parts are computed together. */
static void call_head(fal_batch *b, const fal_step *step, const fal_batch_part *parts) {
    const fal_params *p = fal_model_params(b->model);
    int64_t n_lasts = 0;
    for (int64_t i = 0, first = 0; i < step->n_parts; i++) {
        int64_t n = step->parts[i].n_wanted;
        if (parts[i].all_logits)
            fal_model_head(b->model, b->queue, f32_rows(parts[i].all_logits, n, p->n_vocab),
                           fal_tensor_rows(step->hidden, first, n));
        first += n;
        if (has_last(&parts[i])) b->lasts[n_lasts++] = (int32_t)(first - 1);
    }
    if (n_lasts == 0) return;
    fal_tensor hidden = step->hidden;
    if (n_lasts < step->n_wanted) {
        hidden = f32_rows(b->last_hidden, n_lasts, p->d_model);
        b->queue->ops->embed(b->queue, hidden, step->hidden, b->lasts);
    }
    fal_model_head(b->model, b->queue, f32_rows(b->last_logits, n_lasts, p->n_vocab), hidden);
}

/* The step is computed: timelines grow, logits and hidden states go where they belong. */
static void hand_out(fal_batch *b, const fal_step *step, const fal_batch_part *parts) {
    const fal_params *p = fal_model_params(b->model);
    size_t n_vocab = (size_t)p->n_vocab, d_model = (size_t)p->d_model;
    const float *last = b->last_logits;
    for (int64_t i = 0, first = 0; i < step->n_parts; i++) {
        const fal_batch_part *part = &parts[i];
        fal_session *s = part->session;
        memcpy(s->tokens + s->count, part->tokens, part->count * sizeof *s->tokens);
        s->count += part->count;
        s->has_logits = part->wants_logits;
        if (has_last(part)) {
            memcpy(s->logits, last, n_vocab * sizeof *last);
            last += n_vocab;
        } else if (part->wants_logits) {
            memcpy(s->logits, part->all_logits + (part->count - 1) * n_vocab,
                   n_vocab * sizeof *last);
        }
        for (size_t k = 0; part->hidden && k < part->count; k++)
            memcpy(part->hidden + k * d_model, fal_tensor_f32_row(step->hidden, first + (int64_t)k),
                   d_model * sizeof(float));
        first += step->parts[i].n_wanted;
    }
}

fal_status fal_batch_step(fal_batch *b, const fal_batch_part *parts, size_t n_parts,
                          fal_error *err) {
    if (n_parts == 0) return FAL_OK;
    FAL_TRY(check_parts(b, parts, n_parts, err));
    FAL_TRY(make_room(b, parts, n_parts, err));
    fal_step step = {.queue = b->queue,
                     .tokens = b->tokens,
                     .positions = b->positions,
                     .wanted = b->wanted,
                     .parts = b->parts,
                     .segments = b->segments,
                     .scratch = b->scratch,
                     .scratch_bytes = b->scratch_bytes};
    for (size_t i = 0; i < n_parts; i++)
        FAL_TRY(lay_out_part(b, &step, &parts[i], err));
    fal_model_forward(b->model, &step);
    call_head(b, &step, parts);
    FAL_TRY(fal_queue_wait(b->queue, err));
    hand_out(b, &step, parts);
    return FAL_OK;
}
