/* Body of trainable.h: the list of weights, their memory, and where their first values come from. Adapters are lora.c's,
 * writing is trainable_write.c's. */
#include "base/alloc.h"
#include "base/random.h"
#include "formats/gguf_memory.h"
#include "model/restore.h"
#include "model/trainable_private.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    LINE_FLOATS = 16,
    MAX_RANK = 65536,
    NEEDED_ALIGNMENT = 4
};

static const uint64_t MAX_FLOATS = UINT64_MAX / 64;
static const double DEVIATION = 0.02;

/* ---- the list ---- */

/* Whether a weight of the model itself changes. */
static bool is_trained(const fal_trainable_options *o, fal_weight_id id) {
    bool is_embedding =
        id == FAL_WEIGHT_TOKEN_EMBD || id == FAL_WEIGHT_POSITION_EMBD || id == FAL_WEIGHT_OUTPUT;
    bool is_norm = id == FAL_WEIGHT_ATTN_NORM || id == FAL_WEIGHT_ATTN_NORM_BIAS
                   || id == FAL_WEIGHT_ATTN_NORM_2 || id == FAL_WEIGHT_ATTN_NORM_2_BIAS
                   || id == FAL_WEIGHT_FFN_NORM || id == FAL_WEIGHT_FFN_NORM_BIAS
                   || id == FAL_WEIGHT_OUTPUT_NORM || id == FAL_WEIGHT_OUTPUT_NORM_BIAS;
    if (o->lora.rank == 0) return true;
    return (is_embedding && o->lora.with_embeddings) || (is_norm && o->lora.with_norms);
}

static uint64_t padded(int64_t n_rows, int64_t n_cols) {
    return ((uint64_t)n_rows * (uint64_t)n_cols + LINE_FLOATS - 1) / LINE_FLOATS * LINE_FLOATS;
}

static uint64_t add_bounded(uint64_t a, uint64_t b) {
    return a + b > MAX_FLOATS ? MAX_FLOATS : a + b;
}

/* Appends one weight to the list, or counts it while there is none. */
static void append(fal_trainable *t, fal_trainable_weight w, const char *suffix) {
    uint64_t n_floats = padded(w.n_rows, w.n_cols);
    t->n_values = add_bounded(t->n_values, n_floats);
    if (!w.is_frozen) t->n_gradients = add_bounded(t->n_gradients, n_floats);
    if (t->weights) {
        char name[FAL_WEIGHT_NAME_SIZE];
        fal_weight_gguf_name(w.id, w.layer, name);
        snprintf(w.name, sizeof w.name, "%.*s%s", FAL_WEIGHT_NAME_SIZE - 8, name, suffix);
        fal_tensor shape = {.type = fal_type_by_id(FAL_TYPE_F32),
                            .n_rows = w.n_rows,
                            .n_cols = w.n_cols,
                            .row_bytes = (size_t)w.n_cols * sizeof(float)};
        w.value = shape;
        w.gradient = w.is_frozen ? FAL_NONE : shape;
        t->weights[t->n_weights] = w;
    }
    t->n_weights++;
}

static void list_one(fal_trainable *t, const fal_trainable_options *o, fal_weight_id id,
                     int layer) {
    int64_t n_rows, n_cols;
    fal_weight_shape(id, &t->params, &n_rows, &n_cols);
    int row = fal_weight_is_per_layer(id) ? layer : t->params.n_layers;
    if (t->first) t->first[row * FAL_WEIGHT_COUNT + (int)id] = t->n_weights;
    append(t,
           (fal_trainable_weight){.id = id,
                                  .layer = layer,
                                  .n_rows = n_rows,
                                  .n_cols = n_cols,
                                  .is_matrix = !fal_weight_is_vector(id),
                                  .is_frozen = o->without_gradients || !is_trained(o, id)},
           "");
    if (o->lora.rank == 0 || !fal_lora_adapts(id)) return;
    fal_trainable_weight adapter = {
        .id = id, .layer = layer, .is_matrix = true, .is_frozen = o->without_gradients};
    adapter.part = FAL_TRAINABLE_LORA_A;
    adapter.n_rows = o->lora.rank;
    adapter.n_cols = n_cols;
    append(t, adapter, ".lora_a");
    adapter.part = FAL_TRAINABLE_LORA_B;
    adapter.n_rows = n_rows;
    adapter.n_cols = o->lora.rank;
    append(t, adapter, ".lora_b");
}

static void list_all(fal_trainable *t, const fal_trainable_options *o) {
    fal_weight_walk walk = {t->arch->weights, t->arch->n_weights, &t->params, 0, 0};
    const fal_weight_spec *spec;
    int layer;
    t->n_weights = 0;
    t->n_values = t->n_gradients = 0;
    while ((spec = fal_weight_next(&walk, &layer))) {
        if (spec->id != FAL_WEIGHT_OUTPUT || !t->params.has_tied_head)
            list_one(t, o, spec->id, layer);
    }
}

static fal_status check_options(const fal_trainable_options *o, fal_error *err) {
    if (o->lora.rank < 0 || o->lora.rank > MAX_RANK)
        return fal_fail(err, FAL_E_ARGUMENT, "rank %d of adapters, between 0 and %d is possible",
                        o->lora.rank, MAX_RANK);
    if (!(fabs(o->lora.alpha) <= 1e6))
        return fal_fail(err, FAL_E_ARGUMENT,
                        "alpha %g of adapters, between -1e6 and 1e6 is possible", o->lora.alpha);
    return FAL_OK;
}

static size_t index_count(const fal_params *p) {
    return (size_t)(p->n_layers + 1) * FAL_WEIGHT_COUNT;
}

static fal_status prepare_positions(fal_trainable *t, fal_error *err) {
    const fal_params *p = &t->params;
    if (fal_params_has(p, FAL_FEATURE_ALIBI)) {
        t->alibi_slopes = fal_alloc((size_t)p->n_heads, sizeof *t->alibi_slopes);
        if (!t->alibi_slopes) return fal_fail_memory(err, 0);
        fal_params_alibi_slopes(p, t->alibi_slopes);
    }
    if (!fal_params_has(p, FAL_FEATURE_ROPE)) return FAL_OK;
    t->frequency = fal_alloc((size_t)p->head_dim / 2, sizeof *t->frequency);
    if (!t->frequency) return fal_fail_memory(err, 0);
    return fal_rope_settings_compute(&p->rope, p->head_dim, 0, t->frequency, NULL, &t->rope_gain,
                                     err);
}

static fal_status fill_shell(fal_trainable *t, const fal_trainable_options *o, fal_error *err) {
    FAL_TRY(check_options(o, err));
    FAL_TRY(fal_params_check(&t->params, err));
    if (!t->arch->is_trainable)
        return fal_fail(err, FAL_E_UNSUPPORTED, "architecture '%s' cannot be trained",
                        t->arch->name);
    list_all(t, o);
    size_t n_index = index_count(&t->params);
    t->weights = fal_alloc((size_t)t->n_weights, sizeof *t->weights);
    t->first = fal_alloc(n_index, sizeof *t->first);
    if (!t->weights || !t->first) return fal_fail_memory(err, 0);
    for (size_t i = 0; i < n_index; i++)
        t->first[i] = -1;
    list_all(t, o);
    return prepare_positions(t, err);
}

fal_status fal_trainable_open_shell(fal_trainable **out, const fal_arch *arch,
                                    const fal_params *params, const fal_trainable_options *options,
                                    fal_error *err) {
    static const fal_trainable_options defaults;
    const fal_trainable_options *o = options ? options : &defaults;
    *out = NULL;
    fal_trainable *t = fal_alloc(1, sizeof *t);
    if (!t) return fal_fail_memory(err, sizeof *t);
    t->arch = arch;
    t->params = *params;
    t->lora = o->lora;
    if (t->lora.alpha == 0) t->lora.alpha = t->lora.rank;
    t->has_gradients = !o->without_gradients;
    t->device = o->device;
    fal_status status = fill_shell(t, o, err);
    if (status != FAL_OK) {
        fal_trainable_close(t);
        return status;
    }
    *out = t;
    return FAL_OK;
}

void fal_trainable_close(fal_trainable *t) {
    if (!t) return;
    fal_free(t->frequency);
    fal_free(t->alibi_slopes);
    fal_memory_give(t->gradients, t->device);
    fal_memory_give(t->values, t->device);
    fal_free(t->first);
    fal_free(t->weights);
    fal_free(t);
}

uint64_t fal_trainable_bytes(const fal_arch *arch, const fal_params *params,
                             const fal_trainable_options *options) {
    static const fal_trainable_options defaults;
    const fal_trainable_options *o = options ? options : &defaults;
    fal_trainable t = {.arch = arch, .params = *params};
    if (check_options(o, NULL) != FAL_OK || fal_params_check(params, NULL) != FAL_OK) return 0;
    list_all(&t, o);
    uint64_t positions = fal_params_has(params, FAL_FEATURE_ROPE)
                             ? (uint64_t)params->head_dim / 2 * sizeof *t.frequency
                             : 0;
    if (fal_params_has(params, FAL_FEATURE_ALIBI))
        positions += (uint64_t)params->n_heads * sizeof *t.alibi_slopes;
    return (t.n_values + t.n_gradients) * sizeof(float) + (uint64_t)t.n_weights * sizeof *t.weights
           + index_count(params) * sizeof *t.first + positions + sizeof t;
}

/* ---- memory and first values ---- */

static fal_status take_floats(float **out, fal_device *device, uint64_t n_floats, fal_error *err) {
    void *memory;
    if (n_floats >= MAX_FLOATS || n_floats > SIZE_MAX / sizeof(float))
        return fal_fail(err, FAL_E_MEMORY, "a model of %llu numbers and more",
                        (unsigned long long)n_floats);
    FAL_TRY(fal_memory_take(&memory, device, (size_t)n_floats * sizeof **out, err));
    memset(memory, 0, (size_t)n_floats * sizeof **out);
    *out = memory;
    return FAL_OK;
}

static fal_status take_memory(fal_trainable *t, fal_error *err) {
    FAL_TRY(take_floats(&t->values, t->device, t->n_values, err));
    if (t->n_gradients > 0) FAL_TRY(take_floats(&t->gradients, t->device, t->n_gradients, err));
    float *value = t->values, *gradient = t->gradients;
    for (int i = 0; i < t->n_weights; i++) {
        fal_trainable_weight *w = &t->weights[i];
        w->value.data = value;
        value += padded(w->n_rows, w->n_cols);
        if (w->is_frozen) continue;
        w->gradient.data = gradient;
        gradient += padded(w->n_rows, w->n_cols);
    }
    return FAL_OK;
}

/* Source: Fowler, Noll and Vo, FNV-1a. */
static uint64_t stream_of(const char *name) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    return hash;
}

static void draw_normal(fal_trainable_weight *w, uint64_t seed, double deviation) {
    fal_random random = fal_random_seeded(seed, stream_of(w->name));
    float *value = w->value.data;
    for (int64_t i = 0; i < w->n_rows * w->n_cols; i++)
        value[i] = (float)(deviation * fal_random_normal(&random));
}

static void draw_whole(const fal_trainable *t, fal_trainable_weight *w, uint64_t seed) {
    bool is_residual = w->id == FAL_WEIGHT_ATTN_OUTPUT || w->id == FAL_WEIGHT_FFN_DOWN;
    if (w->is_matrix) {
        draw_normal(w, seed, is_residual ? DEVIATION / sqrt(2.0 * t->params.n_layers) : DEVIATION);
    } else if (!strstr(w->name, ".bias")) {
        for (int64_t i = 0; i < w->n_cols; i++)
            fal_tensor_f32_row(w->value, 0)[i] = 1;
    }
}

/* The deviation is that of the published adapters' uniform numbers, whose bound is 1 / sqrt(columns). B stays 0. */
static void draw_adapters(fal_trainable *t, uint64_t seed) {
    for (int i = 0; i < t->n_weights; i++) {
        fal_trainable_weight *w = &t->weights[i];
        if (w->part == FAL_TRAINABLE_LORA_A)
            draw_normal(w, seed, 1 / sqrt(3.0 * (double)w->n_cols));
    }
}

static uint64_t seed_of(const fal_trainable_options *options) {
    return options ? options->seed : 0;
}

fal_status fal_trainable_open_fresh(fal_trainable **out, const fal_arch *arch,
                                    const fal_params *params, const fal_trainable_options *options,
                                    fal_error *err) {
    fal_trainable *t;
    FAL_TRY(fal_trainable_open_shell(out, arch, params, options, err));
    t = *out;
    fal_status status = take_memory(t, err);
    if (status != FAL_OK) {
        fal_trainable_close(t);
        *out = NULL;
        return status;
    }
    for (int i = 0; i < t->n_weights; i++) {
        if (t->weights[i].part == FAL_TRAINABLE_WHOLE)
            draw_whole(t, &t->weights[i], seed_of(options));
    }
    draw_adapters(t, seed_of(options));
    return FAL_OK;
}

/* ---- from a file ---- */

fal_status fal_trainable_read_params(const fal_arch **arch, fal_params *p, const fal_gguf *file,
                                     fal_error *err) {
    fal_gguf_string text;
    char name[64], note[256];
    FAL_TRY(fal_gguf_get_string(file, "general.architecture", &text, err));
    snprintf(name, sizeof name, "%.*s", (int)(text.length < 63 ? text.length : 63), text.data);
    *arch = fal_arch_by_name(name);
    if (!*arch) return fal_fail(err, FAL_E_UNSUPPORTED, "architecture '%s' is not known", name);
    FAL_TRY(fal_metadata_check_kinds(file, err));
    FAL_TRY((*arch)->params_from_gguf(p, file, err));
    FAL_TRY(fal_params_check(p, err));
    fal_tokenizer *tokenizer = NULL;
    if (fal_gguf_find(file, "tokenizer.ggml.tokens"))
        FAL_TRY(fal_tokenizer_open(&tokenizer, file, err));
    int32_t n_tokens = tokenizer ? fal_tokenizer_n_vocab(tokenizer) : 0;
    fal_restore_settings(p, file, tokenizer, fal_gguf_path(file), note, sizeof note);
    fal_tokenizer_close(tokenizer);
    if (n_tokens > p->n_vocab)
        return fal_fail(err, FAL_E_FORMAT,
                        "vocabulary of %d tokens, but the embedding has only %d rows", n_tokens,
                        p->n_vocab);
    p->has_tied_head = fal_gguf_tensor_find(file, "output.weight") == NULL;
    return FAL_OK;
}

static fal_status check_tensor(const fal_trainable *t, const fal_trainable_weight *w,
                               const fal_gguf *file, fal_error *err) {
    const fal_gguf_tensor *found = fal_gguf_tensor_find(file, w->name);
    if (!found) return fal_fail(err, FAL_E_FORMAT, "tensor '%s' is missing", w->name);
    FAL_TRY(fal_weight_check_shape(w->id, &t->params, w->name, found->n_dims, found->shape, err));
    const fal_type *type = fal_type_by_id(found->type_id);
    if (!type || !type->in_files || !type->decode)
        return fal_fail(err, FAL_E_UNSUPPORTED, "tensor '%s' has type %s, which cannot be decoded",
                        w->name, found->type_name);
    if (!found->data) return fal_fail(err, FAL_E_FORMAT, "tensor '%s' has no data", w->name);
    if ((uintptr_t)found->data % NEEDED_ALIGNMENT != 0)
        return fal_fail(err, FAL_E_UNSUPPORTED,
                        "tensor '%s' lies at offset %llu, a multiple of %d is needed", w->name,
                        (unsigned long long)found->offset, NEEDED_ALIGNMENT);
    size_t row_bytes;
    return fal_type_row_bytes(type, w->n_cols, &row_bytes, err);
}

/* All tensors are checked before the first byte of memory is taken for them. */
static fal_status read_weights(fal_trainable *t, const fal_gguf *file, fal_error *err) {
    for (int i = 0; i < t->n_weights; i++) {
        if (t->weights[i].part == FAL_TRAINABLE_WHOLE)
            FAL_TRY(check_tensor(t, &t->weights[i], file, err));
    }
    FAL_TRY(take_memory(t, err));
    for (int i = 0; i < t->n_weights; i++) {
        fal_trainable_weight *w = &t->weights[i];
        if (w->part != FAL_TRAINABLE_WHOLE) continue;
        const fal_gguf_tensor *found = fal_gguf_tensor_find(file, w->name);
        const fal_type *type = fal_type_by_id(found->type_id);
        type->decode(found->data, w->value.data, w->n_rows * w->n_cols / type->weights_per_block);
        fal_gguf_forget(file, found);
    }
    return FAL_OK;
}

fal_status fal_trainable_open_gguf(fal_trainable **out, const fal_gguf *file,
                                   const fal_trainable_options *options, fal_error *err) {
    const fal_arch *arch;
    fal_params params;
    *out = NULL;
    FAL_TRY(fal_trainable_read_params(&arch, &params, file, err));
    /* A file that claims more layers than it has tensors is refused before anything is sized by that claim. */
    if (params.n_layers > fal_gguf_tensor_count(file))
        return fal_fail(err, FAL_E_FORMAT, "%d layers are announced, but there are only %d tensors",
                        params.n_layers, fal_gguf_tensor_count(file));
    fal_trainable *t;
    FAL_TRY(fal_trainable_open_shell(&t, arch, &params, options, err));
    fal_status status = read_weights(t, file, err);
    if (status != FAL_OK) {
        fal_trainable_close(t);
        return status;
    }
    draw_adapters(t, seed_of(options));
    *out = t;
    return FAL_OK;
}

/* ---- looking at it ---- */

const fal_arch *fal_trainable_arch(const fal_trainable *t) {
    return t->arch;
}

const fal_params *fal_trainable_params(const fal_trainable *t) {
    return &t->params;
}

fal_lora_options fal_trainable_lora(const fal_trainable *t) {
    return t->lora;
}

fal_status fal_trainable_set_rope(fal_trainable *t, const fal_rope_settings *rope, fal_error *err) {
    if (!fal_params_has(&t->params, FAL_FEATURE_ROPE))
        return fal_fail(err, FAL_E_ARGUMENT,
                        "context method: the model has no rotary positions to extend");
    double extended = rope->trained_context * rope->factor;
    if (!(extended >= 1 && extended <= INT32_MAX))
        return fal_fail(err, FAL_E_ARGUMENT, "context of %g tokens, between 1 and %d is possible",
                        extended, INT32_MAX);
    FAL_TRY(fal_rope_settings_compute(rope, t->params.head_dim, 0, t->frequency, NULL,
                                      &t->rope_gain, err));
    t->params.rope = *rope;
    t->params.n_context = (int)extended;
    return FAL_OK;
}

int fal_trainable_count(const fal_trainable *t) {
    return t->n_weights;
}

fal_trainable_weight *fal_trainable_at(fal_trainable *t, int index) {
    return &t->weights[index];
}

fal_trainable_weight *fal_trainable_find(fal_trainable *t, const char *name) {
    for (int i = 0; i < t->n_weights; i++) {
        if (strcmp(t->weights[i].name, name) == 0) return &t->weights[i];
    }
    return NULL;
}

fal_tensor fal_trainable_gradients(const fal_trainable *t) {
    if (!t->gradients) return FAL_NONE;
    return (fal_tensor){.data = t->gradients,
                        .type = fal_type_by_id(FAL_TYPE_F32),
                        .n_rows = 1,
                        .n_cols = (int64_t)t->n_gradients,
                        .row_bytes = t->n_gradients * sizeof *t->gradients};
}
