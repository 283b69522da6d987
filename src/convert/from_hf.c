/* Body of convert.h: walks the architecture's weight table; no architecture is named here. The file is written in one pass
 * over the tensors, a few rows at a time, so memory stays small whatever the model's size. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/half.h"
#include "convert/convert.h"
#include "convert/metadata.h"
#include "formats/checkpoint.h"
#include "formats/json_file.h"
#include "formats/tokenizer_json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    ROWS_BYTES = 1 << 22
};

typedef struct conversion {
    const fal_convert_options *options;
    const fal_type *type;
    const fal_arch *arch;
    fal_params params;
    json_t *config;
    fal_checkpoint *checkpoint;
    fal_vocabulary vocabulary;
    fal_gguf_writer *writer;
    uint64_t bytes_done, bytes_total;
    int n_used; /* tensors of the checkpoint that went into the file */
} conversion;

__attribute__((format(printf, 2, 3))) static void notice(const conversion *c, const char *format,
                                                         ...) {
    if (!c->options->log.function) return;
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    c->options->log.function(c->options->log.user, FAL_LOG_WARNING, "convert", text);
}

/* The tensor under its name, or without the prefix that checkpoints of the bare transformer lack. */
static const fal_checkpoint_tensor *find_source(const conversion *c, const char *name) {
    static const char prefix[] = "transformer.";
    const fal_checkpoint_tensor *t = fal_checkpoint_find(c->checkpoint, name);
    if (!t && strncmp(name, prefix, sizeof prefix - 1) == 0)
        t = fal_checkpoint_find(c->checkpoint, name + sizeof prefix - 1);
    return t;
}

static fal_status check_shape(const fal_checkpoint_tensor *t, const fal_weight_spec *spec,
                              const fal_params *p, fal_error *err) {
    int64_t n_rows, n_cols;
    fal_weight_shape(spec->id, p, &n_rows, &n_cols);
    bool is_vector = fal_weight_is_vector(spec->id);
    bool fits = is_vector ? t->n_dims == 1 && t->shape[0] == n_cols
                          : t->n_dims == 2 && t->shape[0] == n_rows && t->shape[1] == n_cols;
    if (fits) return FAL_OK;
    char found[96] = "";
    size_t used = 0;
    for (int i = 0; i < t->n_dims && used < sizeof found; i++) {
        int n = snprintf(found + used, sizeof found - used, "%s%lld", i ? ", " : "",
                         (long long)t->shape[i]);
        used += n > 0 ? (size_t)n : 0;
    }
    if (is_vector)
        return fal_fail(err, FAL_E_FORMAT, "%s: tensor '%s' has shape [%s], [%lld] is needed",
                        t->file, t->name, found, (long long)n_cols);
    return fal_fail(err, FAL_E_FORMAT, "%s: tensor '%s' has shape [%s], [%lld, %lld] is needed",
                    t->file, t->name, found, (long long)n_rows, (long long)n_cols);
}

static const fal_type *target_type(const conversion *c, const fal_weight_spec *spec) {
    bool stays_f32 = fal_weight_is_vector(spec->id) || (spec->flags & FAL_WEIGHT_KEEP_F32) != 0;
    return stays_f32 ? fal_type_by_id(FAL_TYPE_F32) : c->type;
}

/* What is done with each weight of the table; layer is 0 outside the layers. */
typedef fal_status visit_function(conversion *c, const fal_weight_spec *spec, int layer,
                                  const fal_checkpoint_tensor *source, fal_error *err);

static fal_status visit_one(conversion *c, const fal_weight_spec *spec, int layer,
                            visit_function *visit, fal_error *err) {
    char name[FAL_WEIGHT_NAME_SIZE];
    fal_weight_hf_name(spec, layer, name);
    const fal_checkpoint_tensor *source = find_source(c, name);
    if (source) return visit(c, spec, layer, source, err);
    if ((spec->flags & FAL_WEIGHT_OPTIONAL)
        && (spec->id != FAL_WEIGHT_OUTPUT || c->params.has_tied_head))
        return FAL_OK;
    return fal_fail(err, FAL_E_FORMAT, "tensor '%s' is missing", name);
}

/* In the order of other writers: embeddings, the layers one after the other, the head. */
static fal_status visit_weights(conversion *c, visit_function *visit, fal_error *err) {
    const fal_arch *arch = c->arch;
    bool is_behind = false;
    for (int i = 0; i < arch->n_weights; i++) {
        const fal_weight_spec *spec = &arch->weights[i];
        if (!fal_weight_spec_applies(spec, &c->params)) continue;
        if (!fal_weight_is_per_layer(spec->id)) {
            FAL_TRY(visit_one(c, spec, 0, visit, err));
            continue;
        }
        if (is_behind) continue;
        is_behind = true;
        for (int layer = 0; layer < c->params.n_layers; layer++) {
            for (int k = i; k < arch->n_weights; k++) {
                const fal_weight_spec *inner = &arch->weights[k];
                if (fal_weight_is_per_layer(inner->id)
                    && fal_weight_spec_applies(inner, &c->params))
                    FAL_TRY(visit_one(c, inner, layer, visit, err));
            }
        }
    }
    return FAL_OK;
}

static fal_status announce(conversion *c, const fal_weight_spec *spec, int layer,
                           const fal_checkpoint_tensor *source, fal_error *err) {
    char name[FAL_WEIGHT_NAME_SIZE];
    fal_weight_gguf_name(spec->id, layer, name);
    FAL_TRY(check_shape(source, spec, &c->params, err));
    const fal_type *type = target_type(c, spec);
    size_t row_bytes;
    FAL_TRY(fal_type_row_bytes(type, source->shape[source->n_dims - 1], &row_bytes, err));
    c->bytes_total += row_bytes * (uint64_t)(source->n_dims == 1 ? 1 : source->shape[0]);
    c->n_used++;
    return fal_gguf_add_tensor(c->writer, name, type, source->n_dims, source->shape, err);
}

/* Row `row` of the file's fused matrix is which row of the checkpoint's: there each kv head has its Q heads, K and V
 * together; in the file come all Q heads, then all K, then all V. */
static int64_t qkv_source_row(const fal_params *p, int64_t row) {
    int64_t head = row / p->head_dim, within = row % p->head_dim;
    int64_t per_group = p->n_heads / p->n_kv_heads, group, place;
    if (head < p->n_heads) {
        group = head / per_group;
        place = head % per_group;
    } else if (head < p->n_heads + p->n_kv_heads) {
        group = head - p->n_heads;
        place = per_group;
    } else {
        group = head - p->n_heads - p->n_kv_heads;
        place = per_group + 1;
    }
    return (group * (per_group + 2) + place) * p->head_dim + within;
}

static fal_status write_values(conversion *c, const fal_type *from, const char *source,
                               const fal_type *to, float *values, char *encoded, int64_t n,
                               fal_error *err) {
    size_t from_bytes = (size_t)n * (size_t)from->bytes_per_block,
           to_bytes = (size_t)n * (size_t)to->bytes_per_block;
    if (from == to) return fal_gguf_write_data(c->writer, source, from_bytes, err);
    from->decode(source, values, n);
    to->encode(values, NULL, encoded, n);
    return fal_gguf_write_data(c->writer, encoded, to_bytes, err);
}

static fal_status write_weight(conversion *c, const fal_weight_spec *spec, int layer,
                               const fal_checkpoint_tensor *source, fal_error *err) {
    bool is_regrouped = (spec->flags & FAL_WEIGHT_QKV) != 0, is_vector = source->n_dims == 1;
    /* A regrouped vector moves element by element: rows of one column. */
    int64_t n_cols = is_vector && is_regrouped ? 1 : source->shape[source->n_dims - 1];
    int64_t n_rows = is_vector ? source->shape[0] / n_cols : source->shape[0];
    const fal_type *to = target_type(c, spec);
    size_t source_row = (size_t)n_cols * (size_t)source->type->bytes_per_block;
    int64_t at_once = is_regrouped ? 1 : ROWS_BYTES / (int64_t)source_row;
    if (at_once < 1) at_once = 1;
    float *values = fal_alloc_aligned((size_t)(at_once * n_cols), sizeof *values);
    char *encoded = fal_alloc_aligned((size_t)(at_once * n_cols), sizeof *values);
    fal_status status =
        values && encoded ? FAL_OK : fal_fail_memory(err, source_row * (size_t)at_once);
    for (int64_t row = 0; row < n_rows && status == FAL_OK; row += at_once) {
        int64_t n = n_rows - row < at_once ? n_rows - row : at_once;
        int64_t from_row = is_regrouped ? qkv_source_row(&c->params, row) : row;
        status = write_values(c, source->type,
                              (const char *)source->data + (size_t)from_row * source_row, to,
                              values, encoded, n * n_cols, err);
    }
    fal_free(encoded);
    fal_free(values);
    c->bytes_done += (uint64_t)n_rows * (uint64_t)n_cols * (uint64_t)to->bytes_per_block;
    char name[FAL_WEIGHT_NAME_SIZE];
    fal_weight_gguf_name(spec->id, layer, name);
    if (status == FAL_OK && c->options->on_progress
        && !c->options->on_progress(c->options->user, name, c->bytes_done, c->bytes_total))
        status = fal_fail(err, FAL_E_CANCELLED, "cancelled after tensor '%s'", name);
    return status;
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

static bool is_in_table(const conversion *c, const char *name) {
    char known[FAL_WEIGHT_NAME_SIZE];
    for (int i = 0; i < c->arch->n_weights; i++) {
        const fal_weight_spec *spec = &c->arch->weights[i];
        int n_layers = fal_weight_is_per_layer(spec->id) ? c->params.n_layers : 1;
        if (!fal_weight_spec_applies(spec, &c->params)) continue;
        for (int layer = 0; layer < n_layers; layer++) {
            fal_weight_hf_name(spec, layer, known);
            if (ends_with(known, name)) return true;
        }
    }
    return false;
}

static void report_unused(const conversion *c) {
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

static fal_status read_config(conversion *c, const char *directory, fal_error *err) {
    char *path = fal_path_join(directory, "config.json");
    if (!path) return fal_fail_memory(err, 0);
    fal_status status = fal_json_read_file(&c->config, path, err);
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

static fal_status convert(conversion *c, const char *directory, const char *path, fal_error *err) {
    const char *type_name = c->options->type ? c->options->type : "bf16";
    c->type = fal_type_by_name(type_name);
    if (!c->type || c->type->is_quantized)
        return fal_fail(err, FAL_E_ARGUMENT, "type '%.40s': f32, f16 and bf16 are possible",
                        type_name);
    if (!fal_file_is_directory(directory))
        return fal_fail(err, FAL_E_NOT_FOUND, "'%s' is not a folder with a checkpoint", directory);
    FAL_TRY(read_config(c, directory, err));
    FAL_TRY(fal_tokenizer_json_read(&c->vocabulary, directory, c->params.n_vocab, err));
    FAL_TRY(fal_checkpoint_open(&c->checkpoint, directory, err));
    FAL_TRY(fal_gguf_writer_open(&c->writer, err));
    const char *name = c->options->name;
    char folder[256];
    fal_folder_name(directory, folder, sizeof folder);
    fal_metadata_write(c->writer, c->arch, &c->params, name ? name : folder, c->type);
    FAL_TRY(fal_metadata_write_rope(c->writer, c->arch, &c->params, err));
    fal_metadata_write_vocabulary(c->writer, &c->vocabulary, &c->params);
    FAL_TRY(visit_weights(c, announce, err));
    report_unused(c);
    FAL_TRY(fal_gguf_writer_begin(c->writer, path, err));
    FAL_TRY(visit_weights(c, write_weight, err));
    return fal_gguf_writer_commit(c->writer, err);
}

fal_status fal_convert_folder(const char *directory, const char *path,
                              const fal_convert_options *options, fal_error *err) {
    static const fal_convert_options defaults;
    conversion c = {.options = options ? options : &defaults};
    fal_status status = convert(&c, directory, path, err);
    fal_gguf_writer_close(c.writer);
    fal_checkpoint_close(c.checkpoint);
    fal_vocabulary_release(&c.vocabulary);
    json_decref(c.config);
    return status;
}
