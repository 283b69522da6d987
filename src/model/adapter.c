/* Reading an adapter's folder (adapter.h): what its config must say, and which weight each of its tensors belongs to.
 *
 * Source: huggingface/peft, src/peft/utils/save_and_load.py and src/peft/tuners/lora/{config,layer}.py. */
#include "model/adapter.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/string_map.h"
#include "formats/checkpoint_list.h"
#include "formats/json_file.h"
#include "formats/safetensors.h"
#include "formats/torch_file.h"
#include "model/adapter_names.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    MAX_TEXT_BYTES = 1 << 24
};

/* One weight that the model may have, and what is done to it. */
typedef struct entry {
    fal_adapter_change change;
    const fal_weight_spec *spec;
    char gguf[FAL_WEIGHT_NAME_SIZE], hf[FAL_WEIGHT_NAME_SIZE];
} entry;

struct fal_adapter {
    const fal_arch *arch;
    const fal_params *params; /* while it is opened */
    json_t *config;
    fal_mapping mapping;
    fal_checkpoint_list list;
    entry *entries;
    int n_entries, n_changed;
    fal_string_map *by_gguf, *by_hf;
    bool has_rope;
    fal_rope_settings rope;
    int n_context;
};

/* ---- the config ---- */

/* Settings that, if on, make an adapter more than B A beside a weight. */
static const char *const unknown_settings[] = {
    "use_dora",    "lora_bias",         "fan_in_fan_out",          "layer_replication",
    "use_qalora",  "target_parameters", "trainable_token_indices", "alora_invocation_tokens",
    "arrow_config"};

static bool is_off(const json_t *value) {
    return !value || json_is_null(value) || json_is_false(value)
           || (json_is_array(value) && json_array_size(value) == 0)
           || (json_is_object(value) && json_object_size(value) == 0);
}

static const char *text_of(const json_t *config, const char *key, const char *absent) {
    const json_t *value = json_object_get(config, key);
    if (!value || json_is_null(value)) return absent;
    return json_is_string(value) ? json_string_value(value) : "(no text)";
}

/* Ways to begin after which the base is still the base; others put a part of it into A and B. */
static bool is_known_start(const json_t *value) {
    static const char *const starts[] = {"gaussian", "eva", "orthogonal"};
    if (!json_is_string(value)) return true;
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        if (strcmp(json_string_value(value), starts[i]) == 0) return true;
    }
    return false;
}

static fal_status check_config(const json_t *config, fal_error *err) {
    if (!json_is_object(config)) return fal_fail(err, FAL_E_FORMAT, "the top level is no object");
    const char *type = text_of(config, "peft_type", "LORA");
    if (strcmp(type, "LORA") != 0)
        return fal_fail(err, FAL_E_UNSUPPORTED, "peft_type '%.60s', only LORA is known", type);
    for (size_t i = 0; i < sizeof unknown_settings / sizeof *unknown_settings; i++) {
        if (!is_off(json_object_get(config, unknown_settings[i])))
            return fal_fail(err, FAL_E_UNSUPPORTED, "'%s' is set, which cannot be merged",
                            unknown_settings[i]);
    }
    const char *bias = text_of(config, "bias", "none");
    if (strcmp(bias, "none") != 0)
        return fal_fail(err, FAL_E_UNSUPPORTED, "bias '%.60s', only none is known", bias);
    const json_t *start = json_object_get(config, "init_lora_weights");
    if (!is_known_start(start))
        return fal_fail(err, FAL_E_UNSUPPORTED,
                        "init_lora_weights '%.60s' changes the base model, too",
                        json_string_value(start));
    const json_t *alpha = json_object_get(config, "lora_alpha");
    if (!json_is_number(alpha)) return fal_fail(err, FAL_E_FORMAT, "'lora_alpha' is no number");
    return FAL_OK;
}

/* Patterns are regular expressions that match the end of a module's path; plain names are what they are in practice. */
static fal_status check_pattern(const char *pattern, fal_error *err) {
    size_t plain = strspn(pattern, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "0123456789_.");
    if (pattern[plain] == '\0') return FAL_OK;
    return fal_fail(err, FAL_E_UNSUPPORTED,
                    "alpha_pattern '%.60s', only plain names of modules are known", pattern);
}

static bool ends_with_module(const char *path, const char *module) {
    size_t length = strlen(path), tail = strlen(module);
    return length >= tail && strcmp(path + length - tail, module) == 0
           && (length == tail || path[length - tail - 1] == '.');
}

/* lora_alpha, or what the first pattern says that fits the module. */
static fal_status alpha_of(json_t *config, const char *module, double *out, fal_error *err) {
    const char *pattern;
    json_t *value, *patterns = json_object_get(config, "alpha_pattern");
    *out = json_number_value(json_object_get(config, "lora_alpha"));
    json_object_foreach(patterns, pattern, value) {
        FAL_TRY(check_pattern(pattern, err));
        if (!ends_with_module(module, pattern)) continue;
        if (!json_is_number(value))
            return fal_fail(err, FAL_E_FORMAT, "alpha_pattern '%.60s' is no number", pattern);
        *out = json_number_value(value);
        return FAL_OK;
    }
    return FAL_OK;
}

/* ---- the weights ---- */

static fal_status add_entry(fal_adapter *a, const fal_weight_spec *spec, int layer,
                            fal_error *err) {
    entry *e = &a->entries[a->n_entries];
    bool is_new;
    e->spec = spec;
    e->change.is_regrouped = (spec->flags & FAL_WEIGHT_QKV) != 0;
    fal_weight_shape(spec->id, a->params, &e->change.n_rows, &e->change.n_cols);
    fal_weight_gguf_name(spec->id, layer, e->gguf);
    fal_weight_hf_name(spec, layer, e->hf);
    FAL_TRY(fal_string_map_add(a->by_gguf, fal_slice_of(e->gguf), a->n_entries, &is_new, err));
    FAL_TRY(fal_string_map_add(a->by_hf, fal_slice_of(e->hf), a->n_entries, &is_new, err));
    a->n_entries++;
    return FAL_OK;
}

static fal_status list_weights(fal_adapter *a, fal_error *err) {
    size_t capacity = (size_t)a->arch->n_weights * (size_t)a->params->n_layers;
    a->entries = fal_alloc(capacity, sizeof *a->entries);
    a->by_gguf = fal_string_map_open(capacity);
    a->by_hf = fal_string_map_open(capacity);
    if (!a->entries || !a->by_gguf || !a->by_hf)
        return fal_fail_memory(err, capacity * sizeof *a->entries);
    fal_weight_walk walk = {a->arch->weights, a->arch->n_weights, a->params, 0, 0};
    const fal_weight_spec *spec;
    int layer;
    while ((spec = fal_weight_next(&walk, &layer)))
        FAL_TRY(add_entry(a, spec, layer, err));
    return FAL_OK;
}

/* Adapters of the bare transformer lack the prefix of its names. */
static entry *find_by_hf(const fal_adapter *a, const char *name) {
    char longer[FAL_ADAPTER_NAME_SIZE + 16];
    int32_t index = fal_string_map_find(a->by_hf, fal_slice_of(name));
    snprintf(longer, sizeof longer, "transformer.%s", name);
    if (index < 0) index = fal_string_map_find(a->by_hf, fal_slice_of(longer));
    return index < 0 ? NULL : &a->entries[index];
}

/* ---- the tensors ---- */

/* How names of tensors end, and what the tensor then is. "default" is what PEFT calls an adapter that has no name. */
static const struct {
    const char *end;
    fal_trainable_part part;
} tensor_ends[] = {
    {".lora_A.weight",                  FAL_TRAINABLE_LORA_A},
    {".lora_B.weight",                  FAL_TRAINABLE_LORA_B},
    {".lora_A.default.weight",          FAL_TRAINABLE_LORA_A},
    {".lora_B.default.weight",          FAL_TRAINABLE_LORA_B},
    {".modules_to_save.weight",         FAL_TRAINABLE_WHOLE },
    {".modules_to_save.default.weight", FAL_TRAINABLE_WHOLE },
};

/* The weight that a tensor belongs to; NULL: none. */
static entry *find_weight(const fal_adapter *a, const char *name, fal_trainable_part *part) {
    size_t prefix = strlen(FAL_ADAPTER_PREFIX), length = strlen(name);
    char weight[FAL_ADAPTER_NAME_SIZE];
    *part = FAL_TRAINABLE_WHOLE;
    if (strncmp(name, FAL_ADAPTER_PREFIX, prefix) != 0 || length >= sizeof weight) return NULL;
    snprintf(weight, sizeof weight, "%s", name + prefix);
    for (size_t i = 0; i < sizeof tensor_ends / sizeof *tensor_ends; i++) {
        size_t tail = strlen(tensor_ends[i].end);
        if (length < prefix + tail || strcmp(name + length - tail, tensor_ends[i].end) != 0)
            continue;
        snprintf(weight, sizeof weight, "%.*s.weight", (int)(length - prefix - tail),
                 name + prefix);
        *part = tensor_ends[i].part;
    }
    return find_by_hf(a, weight);
}

static fal_status take_tensor(fal_adapter *a, const fal_checkpoint_row *row, fal_error *err) {
    fal_trainable_part part;
    const fal_checkpoint_tensor *t = &row->face;
    entry *e = find_weight(a, row->name, &part);
    if (!e)
        return fal_fail(err, FAL_E_UNSUPPORTED, "tensor '%.200s' belongs to no weight of the model",
                        row->name);
    if (row->is_skipped)
        return fal_fail(err, FAL_E_UNSUPPORTED,
                        "tensor '%.200s' is of another type than f32, f16 and bf16", row->name);
    const fal_checkpoint_tensor **place = &e->change.whole;
    if (part == FAL_TRAINABLE_LORA_A) place = &e->change.a;
    if (part == FAL_TRAINABLE_LORA_B) place = &e->change.b;
    if (*place)
        return fal_fail(err, FAL_E_FORMAT, "tensors '%.200s' and '%.200s' are for the same weight",
                        (*place)->name, t->name);
    if (part == FAL_TRAINABLE_WHOLE)
        FAL_TRY(fal_weight_check_shape(e->spec->id, a->params, t->name, t->n_dims, t->shape, err));
    *place = t;
    return FAL_OK;
}

/* Shape [first, second]; 0 stands for any extent. */
static fal_status check_matrix(const fal_checkpoint_tensor *t, int64_t first, int64_t second,
                               fal_error *err) {
    bool fits = t->n_dims == 2 && t->shape[0] > 0 && t->shape[1] > 0
                && (first == 0 || t->shape[0] == first) && (second == 0 || t->shape[1] == second);
    if (fits) return FAL_OK;
    char wanted[2][24] = {"rank", "rank"};
    if (first) snprintf(wanted[0], sizeof wanted[0], "%lld", (long long)first);
    if (second) snprintf(wanted[1], sizeof wanted[1], "%lld", (long long)second);
    return fal_fail(
        err, FAL_E_FORMAT, "tensor '%.200s': %d dimensions [%lld, %lld], [%s, %s] is needed",
        t->name, t->n_dims, (long long)t->shape[0], (long long)t->shape[1], wanted[0], wanted[1]);
}

/* A and B against the weight and each other; then what B A is multiplied by. */
static fal_status finish_entry(fal_adapter *a, entry *e, fal_error *err) {
    const fal_checkpoint_tensor *down = e->change.a, *up = e->change.b;
    if (!down && !up) return FAL_OK;
    if (!down || !up)
        return fal_fail(err, FAL_E_FORMAT, "tensor '%.200s' has no counterpart lora_%c",
                        down ? down->name : up->name, down ? 'B' : 'A');
    if (fal_weight_is_vector(e->spec->id))
        return fal_fail(err, FAL_E_UNSUPPORTED, "tensor '%.200s' adapts a vector", down->name);
    FAL_TRY(check_matrix(down, 0, e->change.n_cols, err));
    FAL_TRY(check_matrix(up, e->change.n_rows, down->shape[0], err));
    char module[FAL_WEIGHT_NAME_SIZE];
    snprintf(module, sizeof module, "%.*s", (int)(strlen(e->hf) - strlen(".weight")), e->hf);
    double alpha, rank = (double)down->shape[0];
    FAL_TRY(alpha_of(a->config, module, &alpha, err));
    bool by_root = json_is_true(json_object_get(a->config, "use_rslora"));
    e->change.scale = (float)(alpha / (by_root ? sqrt(rank) : rank));
    if (!isfinite(e->change.scale))
        return fal_fail(err, FAL_E_FORMAT, "alpha %g of '%.100s' is out of range", alpha, module);
    return FAL_OK;
}

static fal_status take_tensors(fal_adapter *a, fal_error *err) {
    for (size_t i = 0; i < a->list.count; i++)
        FAL_TRY(take_tensor(a, &a->list.rows[i], err));
    for (int i = 0; i < a->n_entries; i++) {
        entry *e = &a->entries[i];
        FAL_TRY(finish_entry(a, e, err));
        a->n_changed += e->change.a || e->change.whole;
    }
    if (a->n_changed == 0) return fal_fail(err, FAL_E_FORMAT, "there are no tensors");
    return FAL_OK;
}

/* ---- the files ---- */

static fal_status take_config(fal_adapter *a, fal_slice text, const char *name, fal_error *err) {
    FAL_TRY(fal_json_parse(&a->config, text, name, err));
    fal_status status = check_config(a->config, err);
    return fal_add_context(err, status, "%s", name);
}

static fal_status take_context(fal_adapter *a, fal_slice text, const char *name, fal_error *err) {
    json_t *context = NULL;
    FAL_TRY(fal_json_parse(&context, text, name, err));
    fal_status status = fal_rope_settings_from_hf(&a->rope, context, &a->n_context, err);
    a->has_rope = status == FAL_OK;
    json_decref(context);
    return fal_add_context(err, status, "%s", name);
}

typedef fal_status list_function(fal_checkpoint_list *list, const void *data, size_t length,
                                 const char *file, fal_error *err);

static fal_status take_file(fal_adapter *a, fal_slice bytes, list_function *list, const char *name,
                            fal_error *err) {
    fal_status status = list(&a->list, bytes.data, bytes.length, "tensors", err);
    if (status == FAL_OK) status = take_tensors(a, err);
    return fal_add_context(err, status, "%s", name);
}

static fal_adapter *open_empty(const fal_arch *arch, const fal_params *params) {
    fal_adapter *a = fal_alloc(1, sizeof *a);
    if (!a) return NULL;
    a->arch = arch;
    a->params = params;
    return a;
}

/* Hands the adapter out, or closes it. */
static fal_status finish(fal_adapter **out, fal_adapter *a, fal_status status) {
    a->params = NULL;
    *out = status == FAL_OK ? a : NULL;
    if (status != FAL_OK) fal_adapter_close(a);
    return status;
}

fal_status fal_adapter_parse(fal_adapter **out, const fal_adapter_texts *texts,
                             const fal_arch *arch, const fal_params *params, fal_error *err) {
    *out = NULL;
    fal_adapter *a = open_empty(arch, params);
    if (!a) return fal_fail_memory(err, sizeof *a);
    fal_status status = take_config(a, texts->config, FAL_ADAPTER_CONFIG, err);
    if (status == FAL_OK && texts->context.data)
        status = take_context(a, texts->context, FAL_ADAPTER_CONTEXT, err);
    if (status == FAL_OK) status = list_weights(a, err);
    if (status == FAL_OK)
        status = take_file(a, texts->tensors, fal_safetensors_read, FAL_ADAPTER_TENSORS, err);
    return finish(out, a, status);
}

/* ---- the folder ---- */

typedef fal_status take_function(fal_adapter *a, fal_slice text, const char *name, fal_error *err);

static fal_status read_text(fal_adapter *a, const char *directory, const char *name,
                            bool is_optional, take_function *take, fal_error *err) {
    char *path = fal_path_join(directory, name), *text = NULL;
    size_t length;
    if (!path) return fal_fail_memory(err, strlen(directory));
    fal_status status = FAL_OK;
    if (!is_optional || fal_file_exists(path)) {
        status = fal_file_read(&text, &length, path, MAX_TEXT_BYTES, err);
        if (status == FAL_OK) status = take(a, (fal_slice){text, length}, path, err);
    }
    fal_free(text);
    fal_free(path);
    return status;
}

/* Of the files that hold tensors the first that is there. */
static const struct {
    const char *name;
    list_function *list;
} tensor_files[] = {
    {FAL_ADAPTER_TENSORS, fal_safetensors_read},
    {"adapter_model.bin", fal_torch_file_read },
};

static fal_status read_tensors(fal_adapter *a, const char *directory, fal_error *err) {
    for (size_t i = 0; i < sizeof tensor_files / sizeof *tensor_files; i++) {
        char *path = fal_path_join(directory, tensor_files[i].name);
        if (!path) return fal_fail_memory(err, strlen(directory));
        bool is_there = fal_file_exists(path);
        fal_status status = is_there ? fal_mapping_open(&a->mapping, path, err) : FAL_OK;
        const fal_slice bytes = {a->mapping.data, a->mapping.length};
        if (is_there && status == FAL_OK)
            status = take_file(a, bytes, tensor_files[i].list, path, err);
        fal_free(path);
        if (is_there) return status;
    }
    return fal_fail(err, FAL_E_NOT_FOUND, "'%s' holds neither %s nor %s", directory,
                    tensor_files[0].name, tensor_files[1].name);
}

fal_status fal_adapter_open(fal_adapter **out, const char *directory, const fal_arch *arch,
                            const fal_params *params, fal_error *err) {
    *out = NULL;
    fal_adapter *a = open_empty(arch, params);
    if (!a) return fal_fail_memory(err, sizeof *a);
    fal_status status = read_text(a, directory, FAL_ADAPTER_CONFIG, false, take_config, err);
    if (status == FAL_OK)
        status = read_text(a, directory, FAL_ADAPTER_CONTEXT, true, take_context, err);
    if (status == FAL_OK) status = list_weights(a, err);
    if (status == FAL_OK) status = read_tensors(a, directory, err);
    return finish(out, a, status);
}

void fal_adapter_close(fal_adapter *a) {
    if (!a) return;
    fal_string_map_close(a->by_hf);
    fal_string_map_close(a->by_gguf);
    fal_free(a->entries);
    fal_checkpoint_list_release(&a->list);
    fal_mapping_release(&a->mapping);
    json_decref(a->config);
    fal_free(a);
}

const fal_adapter_change *fal_adapter_find(const fal_adapter *a, const char *name) {
    int32_t index = fal_string_map_find(a->by_gguf, fal_slice_of(name));
    if (index < 0) return NULL;
    const fal_adapter_change *change = &a->entries[index].change;
    return change->a || change->whole ? change : NULL;
}

int fal_adapter_count(const fal_adapter *a) {
    return a->n_changed;
}

const fal_rope_settings *fal_adapter_rope(const fal_adapter *a, int *n_context) {
    if (!a->has_rope) return NULL;
    *n_context = a->n_context;
    return &a->rope;
}
