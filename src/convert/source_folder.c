/* A Hugging Face folder as a source: walks the architecture's weight table; no architecture is named here. Fused QKV rows
 * are handed out in the order of GGUF files. */
#include "base/alloc.h"
#include "base/file.h"
#include "convert/metadata.h"
#include "convert/source.h"
#include "formats/checkpoint.h"
#include "formats/json_file.h"
#include "formats/tokenizer_json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* One tensor of the model: where it lies in the checkpoint. */
typedef struct folder_tensor {
    const fal_checkpoint_tensor *source;
    bool is_regrouped;
    char name[FAL_WEIGHT_NAME_SIZE];
} folder_tensor;

typedef struct folder {
    const fal_log *log;
    const fal_arch *arch;
    fal_params params;
    json_t *config;
    fal_checkpoint *checkpoint;
    fal_tokenizer *tokenizer; /* NULL: the folder has none and needs none */
    folder_tensor *sources;   /* [n_tensors] */
    fal_plan_tensor *tensors; /* [n_tensors] */
    int n_tensors;
    char directory_name[256], name[256];
    bool has_weights;
} folder;

__attribute__((format(printf, 2, 3))) static void notice(const folder *c, const char *format, ...) {
    if (!c->log->function) return;
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    c->log->function(c->log->user, FAL_LOG_WARNING, "convert", text);
}

/* The tensor under its name, or without the prefix that checkpoints of the bare transformer lack. */
static const fal_checkpoint_tensor *find_source(const folder *c, const char *name) {
    static const char prefix[] = "transformer.";
    const fal_checkpoint_tensor *t = fal_checkpoint_find(c->checkpoint, name);
    if (!t && strncmp(name, prefix, sizeof prefix - 1) == 0)
        t = fal_checkpoint_find(c->checkpoint, name + sizeof prefix - 1);
    return t;
}

/* What is done with each weight of the table; layer is 0 outside the layers, source NULL where only shapes are known. */
typedef fal_status visit_function(folder *c, const fal_weight_spec *spec, int layer,
                                  const fal_checkpoint_tensor *source, fal_error *err);

static fal_status visit_one(folder *c, const fal_weight_spec *spec, int layer,
                            visit_function *visit, fal_error *err) {
    char name[FAL_WEIGHT_NAME_SIZE];
    fal_weight_hf_name(spec, layer, name);
    bool is_expected = !(spec->flags & FAL_WEIGHT_OPTIONAL)
                       || (spec->flags & FAL_WEIGHT_USUALLY_STORED) || !c->params.has_tied_head;
    if (!c->has_weights) return is_expected ? visit(c, spec, layer, NULL, err) : FAL_OK;
    const fal_checkpoint_tensor *source = find_source(c, name);
    if (source) return visit(c, spec, layer, source, err);
    if ((spec->flags & FAL_WEIGHT_OPTIONAL)
        && (spec->id != FAL_WEIGHT_OUTPUT || c->params.has_tied_head))
        return FAL_OK;
    return fal_fail(err, FAL_E_FORMAT,
                    "%s: tensor '%s' is missing, or of another type than f32, f16 and bf16",
                    c->directory_name, name);
}

static fal_status visit_weights(folder *c, visit_function *visit, fal_error *err) {
    fal_weight_walk walk = {c->arch->weights, c->arch->n_weights, &c->params, 0, 0};
    const fal_weight_spec *spec;
    int layer;
    while ((spec = fal_weight_next(&walk, &layer)))
        FAL_TRY(visit_one(c, spec, layer, visit, err));
    return FAL_OK;
}

static fal_status count_tensor(folder *c, const fal_weight_spec *spec, int layer,
                               const fal_checkpoint_tensor *source, fal_error *err) {
    (void)layer;
    c->n_tensors++;
    if (!source) return FAL_OK;
    fal_status status = fal_weight_check_shape(spec->id, &c->params, source->name, source->n_dims,
                                               source->shape, err);
    return fal_add_context(err, status, "%s", source->file);
}

/* Vectors and the weights that stay f32 count as f32, whatever the checkpoint stores them as. */
static fal_status list_tensor(folder *c, const fal_weight_spec *spec, int layer,
                              const fal_checkpoint_tensor *source, fal_error *err) {
    (void)err;
    bool stays_f32 = fal_weight_is_vector(spec->id) || (spec->flags & FAL_WEIGHT_KEEP_F32) != 0;
    folder_tensor *t = &c->sources[c->n_tensors];
    fal_plan_tensor *plan = &c->tensors[c->n_tensors++];
    *t = (folder_tensor){.source = source, .is_regrouped = (spec->flags & FAL_WEIGHT_QKV) != 0};
    fal_weight_gguf_name(spec->id, layer, t->name);
    int64_t n_rows, n_cols;
    fal_weight_shape(spec->id, &c->params, &n_rows, &n_cols);
    bool is_vector = fal_weight_is_vector(spec->id);
    *plan = (fal_plan_tensor){
        .name = t->name,
        .source = stays_f32 || !source ? fal_type_by_id(FAL_TYPE_F32) : source->type,
        .n_dims = is_vector ? 1 : 2,
        .shape = {is_vector ? n_cols : n_rows, is_vector ? 1 : n_cols, 1, 1}
    };
    return FAL_OK;
}

static fal_status list_tensors(folder *c, fal_error *err) {
    FAL_TRY(visit_weights(c, count_tensor, err));
    c->sources = fal_alloc((size_t)c->n_tensors, sizeof *c->sources);
    c->tensors = fal_alloc((size_t)c->n_tensors, sizeof *c->tensors);
    if (!c->sources || !c->tensors) return fal_fail_memory(err, 0);
    c->n_tensors = 0;
    return visit_weights(c, list_tensor, err);
}

static fal_status read_rows(void *state, int index, int64_t first, int64_t n, float *out,
                            fal_error *err) {
    const folder *c = state;
    if (!c->has_weights)
        return fal_fail(err, FAL_E_NOT_FOUND, "%s: there are no weights to read",
                        c->directory_name);
    const folder_tensor *t = &c->sources[index];
    const fal_type *type = t->source->type;
    const char *data = t->source->data;
    int64_t n_cols = fal_plan_tensor_columns(&c->tensors[index]);
    if (!t->is_regrouped) {
        type->decode(data + (size_t)(first * n_cols) * (size_t)type->bytes_per_block, out,
                     n * n_cols);
        return FAL_OK;
    }
    /* A regrouped vector moves element by element: rows of one column. */
    bool is_vector = t->source->n_dims == 1;
    int64_t width = is_vector ? 1 : n_cols, n_moved = is_vector ? n_cols : n;
    for (int64_t row = 0; row < n_moved; row++) {
        int64_t from = fal_qkv_row_in_hf(&c->params, (is_vector ? 0 : first) + row);
        type->decode(data + (size_t)(from * width) * (size_t)type->bytes_per_block,
                     out + row * width, width);
    }
    return FAL_OK;
}

/* Regrouped rows are read in another order than they lie: those go together, at the end. */
static void forget_rows(void *state, int index, int64_t first, int64_t n) {
    const folder *c = state;
    const folder_tensor *t = &c->sources[index];
    int64_t n_rows = fal_plan_tensor_rows(&c->tensors[index]);
    size_t row_bytes = (size_t)t->source->bytes / (size_t)n_rows;
    if (!t->source->is_mapped || (t->is_regrouped && first + n < n_rows)) return;
    if (t->is_regrouped) {
        fal_mapped_range_forget(t->source->data, (size_t)t->source->bytes);
    } else {
        fal_mapped_range_forget((const char *)t->source->data + (size_t)first * row_bytes,
                                (size_t)n * row_bytes);
    }
}

static fal_status write_metadata(void *state, fal_gguf_writer *w, const fal_model_words *words,
                                 fal_error *err) {
    const folder *c = state;
    fal_model_words others = *words;
    others.name = NULL;
    fal_metadata_write(w, c->arch, &c->params, words->name ? words->name : c->name);
    fal_metadata_write_words(w, &others);
    FAL_TRY(fal_metadata_write_rope(w, c->arch, &c->params, err));
    if (c->tokenizer)
        fal_metadata_write_vocabulary(w, fal_tokenizer_vocabulary(c->tokenizer), &c->params);
    return FAL_OK;
}

static fal_status read_model(void *state, fal_source_model *out, fal_error *err) {
    (void)err;
    const folder *c = state;
    *out = (fal_source_model){c->arch, &c->params,
                              c->tokenizer ? fal_tokenizer_vocabulary(c->tokenizer) : NULL};
    return FAL_OK;
}

static void set_rope(void *state, const fal_rope_settings *rope, int n_context) {
    folder *c = state;
    c->params.rope = *rope;
    c->params.n_context = n_context;
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), k = strlen(end);
    return n >= k && strcmp(text + n - k, end) == 0;
}

/* Buffers that old checkpoints store beside the weights and that say nothing. */
static bool is_known_buffer(const char *name) {
    static const char *const ends[] = {"rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias",
                                       "inv_freq"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        if (ends_with(name, ends[i])) return true;
    }
    return false;
}

static bool is_in_table(const folder *c, const char *name) {
    char known[FAL_WEIGHT_NAME_SIZE];
    fal_weight_walk walk = {c->arch->weights, c->arch->n_weights, &c->params, 0, 0};
    const fal_weight_spec *spec;
    int layer;
    while ((spec = fal_weight_next(&walk, &layer))) {
        fal_weight_hf_name(spec, layer, known);
        if (ends_with(known, name)) return true;
    }
    return false;
}

static void report_unused(const folder *c) {
    int n_unused = 0;
    const char *example = NULL;
    for (int i = 0; i < fal_checkpoint_count(c->checkpoint); i++) {
        const char *name = fal_checkpoint_at(c->checkpoint, i)->name;
        if (is_known_buffer(name) || is_in_table(c, name)) continue;
        n_unused++;
        example = name;
    }
    if (n_unused > 0)
        notice(c, "%d tensors have no place in the model and are left out, such as '%s'", n_unused,
               example);
}

/* The folder of a training run is named instead of the checkpoint or the file in it: the way to them is told. */
static fal_status explain_missing_config(const char *directory, fal_status status, fal_error *err) {
    char *file = fal_path_join(directory, "model.gguf");
    if (!file) return fal_fail_memory(err, 0);
    if (fal_file_exists(file))
        status = fal_fail(err, status, "'%s' has no config.json; there is '%s'", directory, file);
    fal_free(file);
    return status;
}

static fal_status read_config(folder *c, const char *directory, fal_error *err) {
    char *path = fal_path_join(directory, "config.json");
    if (!path) return fal_fail_memory(err, 0);
    fal_status status = fal_json_read_file(&c->config, path, err);
    if (status == FAL_E_NOT_FOUND) status = explain_missing_config(directory, status, err);
    if (status == FAL_OK && !json_is_object(c->config))
        status = fal_fail(err, FAL_E_FORMAT, "%s: the top level is no object", path);
    if (status == FAL_OK) {
        c->arch = fal_arch_by_config(c->config);
        const char *named =
            json_string_value(json_array_get(json_object_get(c->config, "architectures"), 0));
        if (!c->arch)
            status = fal_fail(err, FAL_E_UNSUPPORTED, "%s: architecture '%.100s' is not known",
                              path, named ? named : "");
    }
    if (status == FAL_OK) {
        status = c->arch->params_from_hf(&c->params, c->config, err);
        fal_add_context(err, status, "%s", path);
    }
    fal_free(path);
    return status;
}

/* The folder's name, but for the one that every training run's has: there the config says what the model is called. */
static void find_name(folder *c) {
    const char *said = json_string_value(json_object_get(c->config, "_name_or_path"));
    bool is_of_run = strcmp(c->directory_name, "hf") == 0;
    if (is_of_run && said && *said)
        fal_folder_name(said, c->name, sizeof c->name);
    else
        memcpy(c->name, c->directory_name, sizeof c->name);
}

static void close_folder(void *state) {
    folder *c = state;
    fal_free(c->tensors);
    fal_free(c->sources);
    fal_checkpoint_close(c->checkpoint);
    fal_tokenizer_close(c->tokenizer);
    json_decref(c->config);
    fal_free(c);
}

static const fal_source_kind folder_kind = {close_folder,   read_rows,  forget_rows,
                                            write_metadata, read_model, set_rope};

/* The vocabulary, if there is one; without weights it may be missing. A tokenizer is made of it, so that what could not be
 * opened later is refused here. */
static fal_status read_vocabulary(folder *c, const char *directory, fal_error *err) {
    fal_vocabulary v = {0};
    fal_status status = fal_tokenizer_json_read(&v, directory, c->params.n_vocab, err);
    if (status == FAL_E_NOT_FOUND && !c->has_weights) {
        notice(c, "there is no tokenizer.json: real files are larger by their vocabulary");
        return FAL_OK;
    }
    if (status == FAL_OK) {
        status = fal_tokenizer_from_vocabulary(&c->tokenizer, &v, err);
        fal_add_context(err, status, "%s/tokenizer.json", c->directory_name);
    }
    fal_vocabulary_release(&v);
    return status;
}

fal_status fal_source_open_folder(fal_source *s, const char *directory, bool shapes_only,
                                  const fal_log *log, fal_error *err) {
    folder *c = fal_alloc(1, sizeof *c);
    if (!c) return fal_fail_memory(err, sizeof *c);
    s->kind = &folder_kind;
    s->state = c;
    c->log = log;
    fal_folder_name(directory, c->directory_name, sizeof c->directory_name);
    FAL_TRY(read_config(c, directory, err));
    fal_status status = fal_checkpoint_open(&c->checkpoint, directory, err);
    c->has_weights = status == FAL_OK;
    if (status != FAL_OK && !(shapes_only && status == FAL_E_NOT_FOUND)) return status;
    FAL_TRY(read_vocabulary(c, directory, err));
    FAL_TRY(list_tensors(c, err));
    if (c->has_weights) report_unused(c);
    find_name(c);
    s->architecture = c->arch->name;
    s->name = c->name;
    s->n_layers = c->params.n_layers;
    s->n_context = c->params.n_context;
    s->tokenizer = c->tokenizer;
    s->n_tensors = c->n_tensors;
    s->tensors = c->tensors;
    return FAL_OK;
}
