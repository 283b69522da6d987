/* A model with an adapter folded in, as a source over another source: rows are changed while they are read, so merging
 * is whatever else is done with a source, in the same memory. */
#include "base/alloc.h"
#include "convert/source.h"
#include "model/adapter.h"

#include <string.h>

typedef struct merged {
    fal_source *base;
    fal_adapter *adapter;
    const fal_adapter_change **changes; /* [n_tensors]; NULL: the base's own rows */
    fal_plan_tensor *tensors; /* [n_tensors]: the base's, and a head where it becomes one */
    int embedding;            /* where the rows of that head come from */
    int n_changed;
    fal_source_model model;
} merged;

static void close_merged(void *state) {
    merged *m = state;
    fal_free(m->tensors);
    fal_free(m->changes);
    fal_adapter_close(m->adapter);
    fal_source_close(m->base);
    fal_free(m);
}

/* ---- rows ---- */

static bool is_added_head(const merged *m, int index) {
    return index == m->base->n_tensors;
}

/* Rows [first, first + n) of a tensor of the adapter, of `width` numbers each, as f32. */
static void decode_rows(const fal_checkpoint_tensor *t, int64_t first, int64_t n, int64_t width,
                        float *out) {
    const char *data = t->data;
    t->type->decode(data + (size_t)(first * width) * (size_t)t->type->bytes_per_block, out,
                    n * width);
}

static int64_t row_in_adapter(const merged *m, const fal_adapter_change *change, int64_t row) {
    return change->is_regrouped ? fal_qkv_row_in_hf(m->model.params, row) : row;
}

/* A regrouped vector moves element by element: rows of one column. */
static void read_whole(const merged *m, const fal_adapter_change *change, int64_t first, int64_t n,
                       float *out) {
    bool by_element = change->is_regrouped && change->whole->n_dims == 1;
    int64_t width = by_element ? 1 : change->n_cols, n_moved = by_element ? change->n_cols : n;
    for (int64_t row = 0; row < n_moved; row++)
        decode_rows(change->whole, row_in_adapter(m, change, (by_element ? 0 : first) + row), 1,
                    width, out + row * width);
}

/* Scratch of one call, which threads make at the same time. */
typedef struct scratch {
    float *a, *b; /* [rank, n_cols], [rank] */
    double *sums; /* [n_cols] */
} scratch;

static fal_status open_scratch(scratch *s, int64_t rank, int64_t n_cols, fal_error *err) {
    size_t n_floats;
    if (!fal_multiply_size((size_t)rank, (size_t)n_cols, &n_floats)) n_floats = SIZE_MAX;
    s->a = fal_alloc_aligned(n_floats, sizeof *s->a);
    s->b = fal_alloc_aligned((size_t)rank, sizeof *s->b);
    s->sums = fal_alloc_aligned((size_t)n_cols, sizeof *s->sums);
    return s->a && s->b && s->sums ? FAL_OK : fal_fail_memory(err, n_floats);
}

static void release_scratch(scratch *s) {
    fal_free(s->sums);
    fal_free(s->b);
    fal_free(s->a);
}

static fal_status add_rows(const merged *m, const fal_adapter_change *change, int64_t first,
                           int64_t n, float *out, fal_error *err) {
    int64_t n_cols = change->n_cols, rank = change->a->shape[0];
    scratch s = {0};
    fal_status status = open_scratch(&s, rank, n_cols, err);
    if (status == FAL_OK) decode_rows(change->a, 0, rank, n_cols, s.a);
    for (int64_t row = 0; status == FAL_OK && row < n; row++) {
        float *values = out + row * n_cols;
        decode_rows(change->b, row_in_adapter(m, change, first + row), 1, rank, s.b);
        for (int64_t i = 0; i < n_cols; i++)
            s.sums[i] = (double)values[i];
        fal_lora_add_row(s.sums, n_cols, s.a, s.b, rank, change->scale);
        for (int64_t i = 0; i < n_cols; i++)
            values[i] = (float)s.sums[i];
    }
    release_scratch(&s);
    return status;
}

static fal_status read_rows(void *state, int index, int64_t first, int64_t n, float *out,
                            fal_error *err) {
    const merged *m = state;
    const fal_adapter_change *change = m->changes[index];
    if (change && change->whole) {
        read_whole(m, change, first, n, out);
    } else {
        int from = is_added_head(m, index) ? m->embedding : index;
        FAL_TRY(m->base->kind->read_rows(m->base->state, from, first, n, out, err));
    }
    return change && change->a ? add_rows(m, change, first, n, out, err) : FAL_OK;
}

static void forget_rows(void *state, int index, int64_t first, int64_t n) {
    const merged *m = state;
    if (!is_added_head(m, index)) m->base->kind->forget_rows(m->base->state, index, first, n);
}

/* ---- the rest is the base's ---- */

static fal_status write_metadata(void *state, fal_gguf_writer *w, const fal_model_words *words,
                                 fal_error *err) {
    const merged *m = state;
    return m->base->kind->write_metadata(m->base->state, w, words, err);
}

static fal_status read_model(void *state, fal_source_model *out, fal_error *err) {
    const merged *m = state;
    return m->base->kind->read_model(m->base->state, out, err);
}

static void set_rope(void *state, const fal_rope_settings *rope, int n_context) {
    const merged *m = state;
    m->base->kind->set_rope(m->base->state, rope, n_context);
}

static const fal_source_kind merged_kind = {close_merged,   read_rows,  forget_rows,
                                            write_metadata, read_model, set_rope};

/* ---- opening ---- */

/* An adapter that brings the same numbers for both leaves embedding and head one weight. */
static bool is_same_for_both(const fal_adapter_change *a, const fal_adapter_change *b) {
    return a && b && a->whole && b->whole && !a->a && !b->a && a->whole->type == b->whole->type
           && a->whole->bytes == b->whole->bytes
           && memcmp(a->whole->data, b->whole->data, (size_t)a->whole->bytes) == 0;
}

/* Where one matrix is embedding and head, a change of one of them must not become a change of the other. */
static bool needs_head(const merged *m) {
    const fal_adapter_change *embedding = fal_adapter_find(m->adapter, "token_embd.weight"),
                             *head = fal_adapter_find(m->adapter, "output.weight");
    return (embedding || head) && !is_same_for_both(embedding, head);
}

/* Shapes of the adapter follow from the parameters: so must those of the tensors. */
static fal_status find_changes(merged *m, const fal_source *s, fal_error *err) {
    for (int i = 0; i < s->n_tensors; i++) {
        const fal_plan_tensor *t = &m->tensors[i];
        const fal_adapter_change *change = fal_adapter_find(m->adapter, t->name);
        if (!change) continue;
        int64_t n_rows = fal_plan_tensor_rows(t), n_cols = fal_plan_tensor_columns(t);
        if (n_rows != change->n_rows || n_cols != change->n_cols)
            return fal_fail(err, FAL_E_FORMAT,
                            "tensor '%s': %lld rows of %lld, %lld of %lld are needed", t->name,
                            (long long)n_rows, (long long)n_cols, (long long)change->n_rows,
                            (long long)change->n_cols);
        m->changes[i] = change;
        m->tensors[i].source = fal_type_by_id(FAL_TYPE_F32); /* what sums are */
        m->n_changed++;
    }
    return FAL_OK;
}

static fal_status list_tensors(merged *m, fal_source *s, fal_error *err) {
    const fal_source *base = m->base;
    size_t capacity = (size_t)base->n_tensors + 1;
    m->tensors = fal_alloc(capacity, sizeof *m->tensors);
    m->changes = fal_alloc(capacity, sizeof *m->changes);
    if (!m->tensors || !m->changes) return fal_fail_memory(err, capacity * sizeof *m->tensors);
    memcpy(m->tensors, base->tensors, (size_t)base->n_tensors * sizeof *m->tensors);
    s->tensors = m->tensors;
    s->n_tensors = base->n_tensors;
    m->embedding = fal_source_find(base, "token_embd.weight");
    bool is_tied = m->embedding >= 0 && fal_source_find(base, "output.weight") < 0;
    if (is_tied && needs_head(m)) {
        m->tensors[s->n_tensors] = m->tensors[m->embedding];
        m->tensors[s->n_tensors++].name = "output.weight";
        is_tied = false;
    }
    FAL_TRY(find_changes(m, s, err));
    int n_left_out = is_tied && fal_adapter_find(m->adapter, "output.weight");
    if (m->n_changed + n_left_out == fal_adapter_count(m->adapter)) return FAL_OK;
    return fal_fail(err, FAL_E_FORMAT, "the adapter changes %d weights, of which the model has %d",
                    fal_adapter_count(m->adapter), m->n_changed);
}

static fal_status open_merged(fal_source *s, merged *m, const char *adapter, fal_error *err) {
    FAL_TRY(read_model(m, &m->model, err));
    FAL_TRY(fal_adapter_open(&m->adapter, adapter, m->model.arch, m->model.params, err));
    FAL_TRY(list_tensors(m, s, err));
    int n_context;
    const fal_rope_settings *rope = fal_adapter_rope(m->adapter, &n_context);
    if (!rope) return FAL_OK;
    if (!fal_params_has(m->model.params, FAL_FEATURE_ROPE))
        return fal_fail(err, FAL_E_FORMAT,
                        "%s: it has a context method, but the model has no rotary positions",
                        adapter);
    set_rope(m, rope, n_context);
    s->n_context = n_context;
    return FAL_OK;
}

fal_status fal_source_open_merged(fal_source **out, fal_source *take_base, const char *adapter,
                                  fal_error *err) {
    *out = NULL;
    fal_source *s = fal_alloc(1, sizeof *s);
    merged *m = fal_alloc(1, sizeof *m);
    if (!s || !m) {
        fal_free(m);
        fal_free(s);
        fal_source_close(take_base);
        return fal_fail_memory(err, sizeof *s + sizeof *m);
    }
    *s = (fal_source){.kind = &merged_kind,
                      .state = m,
                      .architecture = take_base->architecture,
                      .n_layers = take_base->n_layers,
                      .name = take_base->name,
                      .n_context = take_base->n_context,
                      .tokenizer = take_base->tokenizer};
    m->base = take_base;
    fal_status status = open_merged(s, m, adapter, err);
    if (status != FAL_OK) {
        fal_source_close(s);
        return status;
    }
    *out = s;
    return FAL_OK;
}
