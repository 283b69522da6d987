/* A GGUF file as a source: tensors as they stand, metadata copied key by key. */
#include "base/alloc.h"
#include "base/file.h"
#include "convert/source.h"
#include "model/trainable.h"

#include <stdio.h>
#include <string.h>

enum {
    NAME_SIZE = 64
};

typedef struct gguf_source {
    fal_gguf *file;
    fal_tokenizer *tokenizer; /* NULL: none that can be read */
    fal_plan_tensor *tensors;
    char architecture[NAME_SIZE], name[256];
    /* Of read_model, which other uses of a file do without. */
    const fal_arch *arch;
    fal_params params;
    bool has_other_rope; /* params have settings that the file has not */
} gguf_source;

static void close_gguf(void *state) {
    gguf_source *g = state;
    fal_tokenizer_close(g->tokenizer);
    fal_gguf_close(g->file);
    fal_free(g->tensors);
    fal_free(g);
}

static fal_status read_rows(void *state, int index, int64_t first, int64_t n, float *out,
                            fal_error *err) {
    const gguf_source *g = state;
    const fal_gguf_tensor *t = fal_gguf_tensor_at(g->file, index);
    const fal_type *type = fal_type_by_id(t->type_id);
    int64_t n_cols = fal_plan_tensor_columns(&g->tensors[index]);
    size_t row_bytes;
    FAL_TRY(fal_type_row_bytes(type, n_cols, &row_bytes, err));
    type->decode((const char *)t->data + (size_t)first * row_bytes, out,
                 n * n_cols / type->weights_per_block);
    return FAL_OK;
}

static void forget_rows(void *state, int index, int64_t first, int64_t n) {
    const gguf_source *g = state;
    const fal_gguf_tensor *t = fal_gguf_tensor_at(g->file, index);
    size_t row_bytes = (size_t)t->bytes / (size_t)fal_plan_tensor_rows(&g->tensors[index]);
    fal_mapped_range_forget((const char *)t->data + (size_t)first * row_bytes,
                            (size_t)n * row_bytes);
}

static bool is_replaced(const char *key) {
    return strcmp(key, "general.file_type") == 0 || strcmp(key, "general.alignment") == 0
           || strcmp(key, "general.quantization_version") == 0 || strncmp(key, "split.", 6) == 0
           || strncmp(key, "falconer.quantize.", 18) == 0;
}

/* Whether a key tells the context or how it is stretched. */
static bool is_of_context(const gguf_source *g, const char *key) {
    size_t length = strlen(g->architecture);
    if (strncmp(key, "falconer.rope.", 14) == 0) return true;
    return strncmp(key, g->architecture, length) == 0
           && (strncmp(key + length, ".rope.", 6) == 0
               || strcmp(key + length, ".context_length") == 0);
}

static fal_status write_context(const gguf_source *g, fal_gguf_writer *w, fal_error *err) {
    char key[NAME_SIZE + 16];
    snprintf(key, sizeof key, "%s.context_length", g->architecture);
    fal_gguf_set_u32(w, key, (uint32_t)g->params.n_context);
    return fal_metadata_write_rope(w, g->arch, &g->params, err);
}

static fal_status write_metadata(void *state, fal_gguf_writer *w, const fal_model_words *words,
                                 fal_error *err) {
    const gguf_source *g = state;
    if (g->has_other_rope) FAL_TRY(write_context(g, w, err));
    for (int i = 0; i < fal_gguf_value_count(g->file); i++) {
        const fal_gguf_value *v = fal_gguf_value_at(g->file, i);
        if (is_replaced(v->key) || fal_metadata_find_word(words, v->key)
            || (g->has_other_rope && is_of_context(g, v->key)))
            continue;
        fal_gguf_set_value(w, g->file, v);
        if (strcmp(v->key, "general.architecture") == 0) fal_metadata_write_words(w, words);
    }
    return FAL_OK;
}

static fal_status read_model(void *state, fal_source_model *out, fal_error *err) {
    gguf_source *g = state;
    fal_status status = FAL_OK;
    /* A vocabulary that cannot be read is refused here. */
    if (!g->arch) status = fal_trainable_read_params(&g->arch, &g->params, g->file, err);
    if (status != FAL_OK) {
        g->arch = NULL;
        return fal_add_context(err, status, "%s", fal_gguf_path(g->file));
    }
    *out = (fal_source_model){g->arch, &g->params,
                              g->tokenizer ? fal_tokenizer_vocabulary(g->tokenizer) : NULL};
    return FAL_OK;
}

static void set_rope(void *state, const fal_rope_settings *rope, int n_context) {
    gguf_source *g = state;
    g->params.rope = *rope;
    g->params.n_context = n_context;
    g->has_other_rope = true;
}

static const fal_source_kind gguf_kind = {close_gguf,     read_rows,  forget_rows,
                                          write_metadata, read_model, set_rope};

static fal_status list_tensors(fal_source *s, gguf_source *g, fal_error *err) {
    s->n_tensors = fal_gguf_tensor_count(g->file);
    g->tensors = fal_alloc((size_t)s->n_tensors, sizeof *g->tensors);
    if (!g->tensors) return fal_fail_memory(err, 0);
    for (int i = 0; i < s->n_tensors; i++) {
        const fal_gguf_tensor *t = fal_gguf_tensor_at(g->file, i);
        const fal_type *type = fal_type_by_id(t->type_id);
        if (!type || !type->in_files || !t->data)
            return fal_fail(err, FAL_E_UNSUPPORTED,
                            "tensor '%s' has type %s, which cannot be decoded", t->name,
                            t->type_name);
        g->tensors[i] = (fal_plan_tensor){.name = t->name, .source = type, .n_dims = t->n_dims};
        memcpy(g->tensors[i].shape, t->shape, sizeof t->shape);
    }
    s->tensors = g->tensors;
    return FAL_OK;
}

static fal_status read_facts(fal_source *s, gguf_source *g, fal_error *err) {
    fal_gguf_string name;
    FAL_TRY(fal_gguf_get_string(g->file, "general.architecture", &name, err));
    snprintf(g->architecture, NAME_SIZE, "%.*s",
             (int)(name.length < NAME_SIZE ? name.length : NAME_SIZE - 1), name.data);
    s->architecture = g->architecture;
    if (fal_gguf_find_string(g->file, "general.name", &name)) {
        snprintf(g->name, sizeof g->name, "%.*s", (int)(name.length < 255 ? name.length : 255),
                 name.data);
        s->name = g->name;
    }
    char key[NAME_SIZE + 16];
    uint32_t n_layers;
    snprintf(key, sizeof key, "%s.block_count", g->architecture);
    FAL_TRY(fal_gguf_get_u32(g->file, key, &n_layers, err));
    if (n_layers > INT32_MAX)
        return fal_fail(err, FAL_E_FORMAT, "key '%s': %u, at most %d is possible", key, n_layers,
                        INT32_MAX);
    s->n_layers = (int)n_layers;
    uint32_t n_context = 0;
    snprintf(key, sizeof key, "%s.context_length", g->architecture);
    if (fal_gguf_find_u32(g->file, key, &n_context) && n_context <= INT32_MAX)
        s->n_context = (int)n_context;
    fal_status status = fal_tokenizer_open(&g->tokenizer, g->file, err);
    s->tokenizer = g->tokenizer;
    /* Weights can be quantized without words. */
    return status == FAL_E_MEMORY ? status : FAL_OK;
}

fal_status fal_source_open_gguf(fal_source *s, const char *path, fal_error *err) {
    gguf_source *g = fal_alloc(1, sizeof *g);
    if (!g) return fal_fail_memory(err, sizeof *g);
    s->kind = &gguf_kind;
    s->state = g;
    FAL_TRY(fal_gguf_open(&g->file, path, err));
    fal_status status = read_facts(s, g, err);
    if (status == FAL_OK) status = list_tensors(s, g, err);
    return fal_add_context(err, status, "%s", path);
}
