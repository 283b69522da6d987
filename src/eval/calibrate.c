/* Which columns of a model's matrices matter: watches the products while a text is computed and adds up squares. */
#include "base/alloc.h"
#include "eval/walk.h"
#include "model/forward.h"
#include "runtime/session_watch.h"

#include <math.h>
#include <string.h>

/* What has been seen of one matrix. */
typedef struct column_sums {
    const void *weights; /* the matrix is known by where its data lie */
    char name[FAL_WEIGHT_NAME_SIZE];
    double *sums; /* [n_columns]; NULL: not wanted */
    int64_t n_columns, n_tokens;
} column_sums;

typedef struct calibration {
    const fal_model *model;
    bool with_head;
    column_sums *matrices;
    size_t count, capacity;
    bool is_short; /* of memory */
} calibration;

static column_sums *find_matrix(calibration *c, fal_tensor w) {
    for (size_t i = 0; i < c->count; i++) {
        if (c->matrices[i].weights == w.data) return &c->matrices[i];
    }
    column_sums made = {.weights = w.data, .n_columns = w.n_cols};
    bool is_known = fal_model_weight_name(c->model, w.data, made.name);
    bool is_wanted = is_known && (c->with_head || strncmp(made.name, "blk.", 4) == 0);
    if (is_wanted) made.sums = fal_alloc((size_t)w.n_cols, sizeof *made.sums);
    if ((is_wanted && !made.sums)
        || !fal_grow((void **)&c->matrices, &c->capacity, c->count + 1, sizeof *c->matrices)) {
        fal_free(made.sums);
        c->is_short = true;
        return NULL;
    }
    c->matrices[c->count] = made;
    return &c->matrices[c->count++];
}

/* Token by token, so that the sums are the same however the text is cut into steps. */
static void on_linear(void *user, fal_tensor w, fal_tensor x) {
    column_sums *m = find_matrix(user, w);
    if (!m || !m->sums) return;
    for (int64_t token = 0; token < x.n_rows; token++) {
        const float *row = fal_tensor_f32_row(x, token);
        for (int64_t i = 0; i < m->n_columns; i++)
            m->sums[i] += (double)row[i] * (double)row[i];
    }
    m->n_tokens += x.n_rows;
}

static fal_status check(const calibration *c, fal_error *err) {
    if (c->is_short) return fal_fail_memory(err, 0);
    for (size_t k = 0; k < c->count; k++) {
        const column_sums *m = &c->matrices[k];
        for (int64_t i = 0; m->sums && i < m->n_columns; i++) {
            if (!isfinite((float)(m->sums[i] / (double)m->n_tokens)))
                return fal_fail(err, FAL_E_FORMAT, "%s: column %lld of its input is not finite",
                                m->name, (long long)i);
        }
    }
    return FAL_OK;
}

static bool on_logits(void *user, size_t index, const float *logits) {
    fal_walk *walk = user;
    (void)index, (void)logits;
    return fal_walk_advance(walk, 1, NULL) == FAL_OK;
}

/* The last layer computes only what leads to logits, so they are asked for after every token. */
static fal_status gather(fal_walk *walk, const calibration *c, fal_error *err) {
    fal_session_on_progress(walk->sessions[0], NULL, NULL); /* each token tells by itself */
    for (size_t i = 0; i < walk->windows.count; i++) {
        fal_window window = fal_windows_at(&walk->windows, i);
        fal_walk_enter(walk, &window);
        FAL_TRY(fal_session_feed_each(walk->sessions[0], walk->window_tokens,
                                      window.end - window.begin, on_logits, walk, err));
        FAL_TRY(check(c, err));
    }
    return FAL_OK;
}

static fal_status add_entry(fal_importance *out, const column_sums *m, size_t n_chunks,
                            fal_error *err) {
    float *means = fal_alloc((size_t)m->n_columns, sizeof *means);
    if (!means) return fal_fail_memory(err, (size_t)m->n_columns * sizeof *means);
    for (int64_t i = 0; i < m->n_columns; i++)
        means[i] = (float)(m->sums[i] / (double)m->n_tokens);
    char name[FAL_WEIGHT_NAME_SIZE];
    memcpy(name, m->name, sizeof name);
    const fal_importance_entry e = {.name = name,
                                    .mean_squares = means,
                                    .n_values = m->n_columns,
                                    .n_chunks = (int64_t)n_chunks,
                                    .n_tokens = m->n_tokens};
    fal_status status = fal_importance_add(out, &e, err);
    fal_free(means);
    return status;
}

static fal_status collect(const calibration *c, const fal_walk *walk, fal_importance *out,
                          fal_error *err) {
    for (size_t i = 0; i < c->count; i++) {
        if (c->matrices[i].sums) FAL_TRY(add_entry(out, &c->matrices[i], walk->windows.count, err));
    }
    out->n_chunks = (int64_t)walk->windows.count;
    out->chunk_size = walk->options.n_context;
    return FAL_OK;
}

fal_status fal_eval_importance(fal_model *model, const int32_t *tokens, size_t n_tokens,
                               const fal_eval_options *options, fal_importance *out,
                               fal_error *err) {
    fal_walk walk;
    if (options && options->stride)
        return fal_fail(err, FAL_E_ARGUMENT, "importance: stride %d, windows do not overlap here",
                        options->stride);
    calibration c = {.model = model, .with_head = options && options->with_head};
    fal_status status = fal_walk_open(&walk, &model, 1, tokens, n_tokens, options, err);
    if (status == FAL_OK) {
        fal_session_on_linear(walk.sessions[0], on_linear, &c);
        status = gather(&walk, &c, err);
    }
    if (status == FAL_OK) status = collect(&c, &walk, out, err);
    if (status != FAL_OK) fal_importance_release(out);
    for (size_t i = 0; i < c.count; i++)
        fal_free(c.matrices[i].sums);
    fal_free(c.matrices);
    fal_walk_release(&walk);
    return status;
}
