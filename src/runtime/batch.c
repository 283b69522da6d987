/* Body of batch.h: lays the parts of a step out one behind the other, hands them to the model's forward pass, and gives
 * each session what it asked for. A session's own feed is a step of one part.
 *
 * All threads share each operation of a step, or, where the weights fit into a core's cache, each thread takes some of the
 * parts through all layers alone, and from token to token: a small model has less work in an operation than threads cost
 * who wait for each other after it. Results do not depend on neighbours, so neither on the way. */
#include "runtime/batch.h"

#include "base/alloc.h"
#include "base/thread.h"
#include "runtime/session_private.h"

#include <stdatomic.h>
#include <string.h>

enum {
    MAX_TOKENS = 65536,
    MOST_LANES = 64,
    SMALL_WEIGHTS = 16 << 20, /* bytes: what stays in the cache of each core */
    FEW_TOKENS = 8            /* of a single part, so few that one thread is as fast as all */
};

/* Where some parts are computed. */
typedef struct lane {
    fal_device *device; /* of one thread; NULL: the model's */
    fal_queue *queue;
    char *scratch;
    /* Of the step at hand, [max_tokens]. */
    int32_t *tokens, *positions, *wanted;
    int32_t *lasts; /* rows of the final norm's output whose logits go to a session */
    /* [parts], made when first needed. */
    fal_step_part *parts;
    fal_segment *segments;
    float *last_hidden; /* [lasts, d_model] */
    float *last_logits; /* [lasts, n_vocab] */
    size_t parts_capacity, segments_capacity, hidden_capacity, logits_capacity;
    /* What it computes: n_given of the step's parts. */
    const fal_batch_part *given;
    size_t first_given, n_given;
    fal_step step;
    fal_status status;
    fal_error error;
} lane;

struct fal_batch {
    fal_model *model;
    int max_tokens;
    size_t scratch_bytes;
    lane whole; /* all threads at each operation */
    /* A thread each, made when first needed; none where the way is not taken. */
    lane *lanes;
    int most_lanes, n_lanes;
    fal_pool *pool; /* made when first needed */
    /* Of the step at hand. */
    const fal_batch_follower *follower; /* NULL: nothing follows */
    atomic_bool is_ending;              /* no lane goes on */
};

static void close_lane(lane *l) {
    fal_queue_close(l->queue);
    fal_device_close(l->device);
    fal_free(l->last_logits);
    fal_free(l->last_hidden);
    fal_free(l->segments);
    fal_free(l->parts);
    fal_free(l->lasts);
    fal_free(l->wanted);
    fal_free(l->positions);
    fal_free(l->tokens);
    fal_free(l->scratch);
    *l = (lane){0};
}

/* On a device that is open. */
static fal_status open_lane(lane *l, const fal_batch *b, fal_device *device, fal_error *err) {
    size_t n = (size_t)b->max_tokens;
    l->scratch = fal_alloc_aligned(b->scratch_bytes, 1);
    l->tokens = fal_alloc(n, sizeof *l->tokens);
    l->positions = fal_alloc(n, sizeof *l->positions);
    l->wanted = fal_alloc(n, sizeof *l->wanted);
    l->lasts = fal_alloc(n, sizeof *l->lasts);
    if (!l->scratch || !l->tokens || !l->positions || !l->wanted || !l->lasts)
        return fal_fail_memory(err, b->scratch_bytes);
    return fal_queue_open(&l->queue, device, err);
}

static int most_lanes_of(const fal_model *model) {
    const fal_device *device = fal_model_device(model);
    if (fal_device_has_memory(device) || device->n_threads < 2
        || fal_model_info_get(model)->weight_bytes > SMALL_WEIGHTS)
        return 0;
    return device->n_threads < MOST_LANES ? device->n_threads : MOST_LANES;
}

fal_status fal_batch_open(fal_batch **out, fal_model *model, int max_tokens, fal_error *err) {
    *out = NULL;
    if (max_tokens < 1 || max_tokens > MAX_TOKENS)
        return fal_fail(err, FAL_E_ARGUMENT, "batch of %d tokens, between 1 and %d is possible",
                        max_tokens, MAX_TOKENS);
    fal_batch *b = fal_alloc(1, sizeof *b);
    if (!b) return fal_fail_memory(err, sizeof *b);
    b->model = model;
    b->max_tokens = max_tokens;
    b->most_lanes = most_lanes_of(model);
    fal_status status;
    FAL_TRY_OUT(fal_model_plan(model, max_tokens, max_tokens, fal_model_default_kv_type(model),
                               &b->scratch_bytes, err));
    FAL_TRY_OUT(open_lane(&b->whole, b, fal_model_device(model), err));
    *out = b;
    return FAL_OK;
out:
    fal_batch_close(b);
    return status;
}

static fal_status make_pool(fal_batch *b, fal_error *err) {
    int n = fal_model_device(b->model)->n_threads;
    if (b->pool) return FAL_OK;
    return fal_pool_open(&b->pool, n < MOST_LANES ? n : MOST_LANES, err);
}

/* Makes sure of n lanes, and of threads for them. */
static fal_status make_lanes(fal_batch *b, int n, fal_error *err) {
    const fal_device *device = fal_model_device(b->model);
    if (!b->lanes) b->lanes = fal_alloc((size_t)b->most_lanes, sizeof *b->lanes);
    if (!b->lanes) return fal_fail_memory(err, (size_t)b->most_lanes * sizeof *b->lanes);
    for (; b->n_lanes < n; b->n_lanes++) {
        lane *l = &b->lanes[b->n_lanes];
        fal_status status = fal_device_open(&l->device, device->backend->name, 1, err);
        if (status == FAL_OK) status = open_lane(l, b, l->device, err);
        if (status != FAL_OK) {
            close_lane(l);
            return status;
        }
    }
    return n < 2 ? FAL_OK : make_pool(b, err);
}

void fal_batch_close(fal_batch *b) {
    if (!b) return;
    fal_pool_close(b->pool);
    for (int i = 0; i < b->n_lanes; i++)
        close_lane(&b->lanes[i]);
    fal_free(b->lanes);
    close_lane(&b->whole);
    fal_free(b);
}

int fal_batch_max_tokens(const fal_batch *b) {
    return b->max_tokens;
}

fal_model *fal_batch_model(const fal_batch *b) {
    return b->model;
}

fal_queue *fal_batch_queue(fal_batch *b) {
    return b->whole.queue;
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

static fal_status make_room(lane *l, const fal_params *p, fal_error *err) {
    size_t n_lasts = 0, n_hidden, n_logits, n_parts = l->n_given;
    for (size_t i = 0; i < n_parts; i++)
        n_lasts += has_last(&l->given[i]);
    if (!fal_multiply_size(n_lasts, (size_t)p->n_vocab, &n_logits)
        || !fal_multiply_size(n_lasts, (size_t)p->d_model, &n_hidden)
        || !fal_grow((void **)&l->parts, &l->parts_capacity, n_parts, sizeof *l->parts)
        || !fal_grow((void **)&l->segments, &l->segments_capacity, n_parts, sizeof *l->segments)
        || !fal_grow((void **)&l->last_hidden, &l->hidden_capacity, n_hidden,
                     sizeof *l->last_hidden)
        || !fal_grow((void **)&l->last_logits, &l->logits_capacity, n_logits,
                     sizeof *l->last_logits))
        return fal_fail_memory(err, 0);
    return FAL_OK;
}

/* One part into the step: its tokens and positions, the rows that are wanted, its frequencies. */
static fal_status lay_out_part(lane *l, const fal_batch_part *part, fal_error *err) {
    fal_session *s = part->session;
    fal_step *step = &l->step;
    size_t length = s->count + part->count + part->n_following;
    if (length < s->n_expected) length = s->n_expected;
    FAL_TRY(fal_model_frequencies(s->model, (int)length, s->frequency, &s->gain, err));
    size_t n_wanted = wanted_of(part);
    l->parts[step->n_parts++] = (fal_step_part){.cache = &s->cache,
                                                .first_token = step->n_tokens,
                                                .n_tokens = (int64_t)part->count,
                                                .n_wanted = (int64_t)n_wanted,
                                                .position = (int64_t)s->count,
                                                .frequency = s->frequency,
                                                .gain = s->gain};
    for (size_t i = 0; i < part->count; i++) {
        int64_t row = step->n_tokens++;
        l->tokens[row] = part->tokens[i];
        l->positions[row] = (int32_t)(s->count + i);
        if (i + n_wanted >= part->count) l->wanted[step->n_wanted++] = (int32_t)row;
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
static void call_head(lane *l, const fal_model *model) {
    const fal_params *p = fal_model_params(model);
    const fal_step *step = &l->step;
    int64_t n_lasts = 0;
    for (int64_t i = 0, first = 0; i < step->n_parts; i++) {
        int64_t n = step->parts[i].n_wanted;
        if (l->given[i].all_logits)
            fal_model_head(model, l->queue, f32_rows(l->given[i].all_logits, n, p->n_vocab),
                           fal_tensor_rows(step->hidden, first, n));
        first += n;
        if (has_last(&l->given[i])) l->lasts[n_lasts++] = (int32_t)(first - 1);
    }
    if (n_lasts == 0) return;
    fal_tensor hidden = step->hidden;
    if (n_lasts < step->n_wanted) {
        hidden = f32_rows(l->last_hidden, n_lasts, p->d_model);
        l->queue->ops->embed(l->queue, hidden, step->hidden, l->lasts);
    }
    fal_model_head(model, l->queue, f32_rows(l->last_logits, n_lasts, p->n_vocab), hidden);
}

static fal_status compute(const fal_batch *b, lane *l, fal_error *err) {
    FAL_TRY(make_room(l, fal_model_params(b->model), err));
    l->step = (fal_step){.queue = l->queue,
                         .tokens = l->tokens,
                         .positions = l->positions,
                         .wanted = l->wanted,
                         .parts = l->parts,
                         .segments = l->segments,
                         .scratch = l->scratch,
                         .scratch_bytes = b->scratch_bytes};
    for (size_t i = 0; i < l->n_given; i++)
        FAL_TRY(lay_out_part(l, &l->given[i], err));
    fal_model_forward(b->model, &l->step);
    call_head(l, b->model);
    return fal_queue_wait(l->queue, err);
}

/* What a lane computed: timelines grow, logits and hidden states go where they belong. */
static void hand_out(const lane *l, const fal_params *p) {
    const fal_step *step = &l->step;
    size_t n_vocab = (size_t)p->n_vocab, d_model = (size_t)p->d_model;
    const float *last = l->last_logits;
    for (int64_t i = 0, first = 0; i < step->n_parts; i++) {
        const fal_batch_part *part = &l->given[i];
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

/* Cuts the parts into at most n runs of about as many tokens: run i begins with part starts[i], starts[result] = n_parts.
 * *most is the number of tokens of the longest run. */
static int cut_into_runs(const fal_batch_part *parts, size_t n_parts, int n, size_t *starts,
                         size_t *most) {
    size_t total = 0, before = 0, length = 0;
    int n_runs = 0;
    for (size_t i = 0; i < n_parts; i++)
        total += parts[i].count;
    *most = 0;
    starts[0] = 0;
    for (size_t i = 0; i < n_parts; i++) {
        length += parts[i].count;
        before += parts[i].count;
        if (length > *most) *most = length;
        bool is_full = before * (size_t)n >= total * (size_t)(n_runs + 1);
        if (!is_full && i + 1 < n_parts) continue;
        starts[++n_runs] = i + 1;
        length = 0;
    }
    return n_runs;
}

/* Gives the parts to lanes, and returns to how many; 0: the step is for all threads together. */
static int choose_lanes(const fal_batch *b, const fal_batch_part *parts, size_t n_parts,
                        size_t *starts) {
    if (b->most_lanes == 0 || b->whole.queue->on_linear) return 0;
    if (n_parts == 1) {
        starts[0] = 0;
        starts[1] = 1;
        return parts[0].count <= FEW_TOKENS;
    }
    size_t most, total = 0;
    int n = n_parts < (size_t)b->most_lanes ? (int)n_parts : b->most_lanes;
    for (size_t i = 0; i < n_parts; i++)
        total += parts[i].count;
    int n_runs = cut_into_runs(parts, n_parts, n, starts, &most);
    /* A long prompt among them would keep one thread busy and the others waiting. */
    return 2 * (size_t)n * most <= 3 * total || total <= FEW_TOKENS ? n_runs : 0;
}

/* Parts go on with a token each. */
static fal_status check_next(const lane *l, fal_error *err) {
    for (size_t i = 0; i < l->n_given; i++) {
        const fal_batch_part *part = &l->given[i];
        FAL_TRY(fal_session_check_tokens(part->session, part->tokens, part->count, err));
    }
    return FAL_OK;
}

/* Whether the lane's parts go on. */
static bool follow(const fal_batch *b, const lane *l) {
    const fal_batch_follower *f = b->follower;
    for (size_t i = 0; i < l->n_given; i++)
        f->each(f->user, l->first_given + i);
    return f->all(f->user, l->first_given, l->first_given + l->n_given);
}

/* From step to step, without waiting for other lanes. */
static fal_status walk(fal_batch *b, lane *l) {
    bool goes_on;
    do {
        FAL_TRY(compute(b, l, &l->error));
        if (!b->follower) return FAL_OK;
        hand_out(l, fal_model_params(b->model));
        goes_on = follow(b, l);
        if (goes_on) FAL_TRY(check_next(l, &l->error));
    } while (goes_on && !atomic_load_explicit(&b->is_ending, memory_order_relaxed));
    return FAL_OK;
}

static void walk_lane(void *argument, int thread, int n_threads) {
    (void)n_threads;
    fal_batch *b = argument;
    lane *l = thread < b->n_lanes ? &b->lanes[thread] : NULL;
    if (!l || l->n_given == 0) return;
    l->status = walk(b, l);
    atomic_store_explicit(&b->is_ending, true, memory_order_relaxed);
}

static void give_lanes(fal_batch *b, const fal_batch_part *parts, const size_t *starts,
                       int n_lanes) {
    for (int i = 0; i < b->n_lanes; i++) {
        lane *l = &b->lanes[i];
        l->status = FAL_OK;
        l->first_given = i < n_lanes ? starts[i] : 0;
        l->n_given = i < n_lanes ? starts[i + 1] - starts[i] : 0;
        l->given = parts + l->first_given;
    }
}

static fal_status step_in_lanes(fal_batch *b, const fal_batch_part *parts, const size_t *starts,
                                int n_lanes, fal_error *err) {
    FAL_TRY(make_lanes(b, n_lanes, err));
    give_lanes(b, parts, starts, n_lanes);
    atomic_store_explicit(&b->is_ending, false, memory_order_relaxed);
    if (n_lanes == 1)
        walk_lane(b, 0, 1);
    else
        fal_pool_run(b->pool, walk_lane, b);
    for (int i = 0; i < n_lanes; i++) {
        if (b->lanes[i].status == FAL_OK) continue;
        if (err) *err = b->lanes[i].error;
        return b->lanes[i].status;
    }
    for (int i = 0; i < n_lanes && !b->follower; i++)
        hand_out(&b->lanes[i], fal_model_params(b->model));
    return FAL_OK;
}

static void follow_each(void *argument, int64_t begin, int64_t end) {
    const fal_batch *b = argument;
    for (int64_t i = begin; i < end; i++)
        b->follower->each(b->follower->user, (size_t)i);
}

/* The next step is for another call to make: all threads wait for each other anyway. */
static fal_status step_together(fal_batch *b, const fal_batch_part *parts, size_t n_parts,
                                fal_error *err) {
    b->whole.given = parts;
    b->whole.n_given = n_parts;
    FAL_TRY(compute(b, &b->whole, err));
    hand_out(&b->whole, fal_model_params(b->model));
    if (!b->follower) return FAL_OK;
    bool has_pool =
        n_parts > 1 && fal_model_device(b->model)->n_threads > 1 && make_pool(b, NULL) == FAL_OK;
    if (has_pool)
        fal_pool_for(b->pool, (int64_t)n_parts, 1, follow_each, b);
    else
        follow_each(b, 0, (int64_t)n_parts);
    b->follower->all(b->follower->user, 0, n_parts);
    return FAL_OK;
}

fal_status fal_batch_step(fal_batch *b, const fal_batch_part *parts, size_t n_parts,
                          const fal_batch_follower *follower, fal_error *err) {
    size_t starts[MOST_LANES + 1];
    if (n_parts == 0) return FAL_OK;
    FAL_TRY(check_parts(b, parts, n_parts, err));
    b->follower = follower;
    int n_lanes = choose_lanes(b, parts, n_parts, starts);
    return n_lanes > 0 ? step_in_lanes(b, parts, starts, n_lanes, err)
                       : step_together(b, parts, n_parts, err);
}
