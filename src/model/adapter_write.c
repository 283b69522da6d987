/* A trained adapter as a folder (adapter.h). */
#include "base/alloc.h"
#include "base/file.h"
#include "base/folder_output.h"
#include "formats/safetensors_write.h"
#include "model/adapter.h"
#include "model/adapter_names.h"
#include "model/config_writer.h"
#include "model/trainable_private.h"

#include <stdio.h>
#include <string.h>

enum {
    MAX_MODULES = 64
};

/* Names of modules, each once, in the order of their bytes. */
typedef struct module_list {
    char names[MAX_MODULES][FAL_WEIGHT_NAME_SIZE];
    int count;
} module_list;

static void add_module(module_list *list, const char *name) {
    int at = 0;
    while (at < list->count && strcmp(list->names[at], name) < 0)
        at++;
    if (list->count == MAX_MODULES || (at < list->count && strcmp(list->names[at], name) == 0))
        return;
    memmove(list->names[at + 1], list->names[at],
            (size_t)(list->count - at) * sizeof list->names[0]);
    snprintf(list->names[at], sizeof list->names[at], "%s", name);
    list->count++;
}

static json_t *json_of_modules(const module_list *list) {
    json_t *names = json_array();
    for (int i = 0; i < list->count; i++)
        json_array_append_new(names, json_string(list->names[i]));
    return names;
}

static const fal_weight_spec *spec_of(const fal_trainable *t, fal_weight_id id) {
    for (int i = 0; i < t->arch->n_weights; i++) {
        const fal_weight_spec *spec = &t->arch->weights[i];
        if (spec->id == id && fal_weight_spec_applies(spec, &t->params)) return spec;
    }
    return NULL;
}

/* Whether the weight goes into the adapter's files. */
static bool is_written(const fal_trainable_weight *w) {
    return w->part != FAL_TRAINABLE_WHOLE || !w->is_frozen;
}

/* "query_key_value" of "transformer.h.{L}.self_attention.query_key_value.weight" */
static void module_of(const fal_weight_spec *spec, char out[FAL_WEIGHT_NAME_SIZE]) {
    const char *end = strrchr(spec->hf, '.'), *begin = end;
    while (begin > spec->hf && begin[-1] != '.')
        begin--;
    snprintf(out, FAL_WEIGHT_NAME_SIZE, "%.*s", (int)(end - begin), begin);
}

static void name_of(const fal_trainable *t, const fal_trainable_weight *w,
                    char out[FAL_ADAPTER_NAME_SIZE]) {
    char name[FAL_WEIGHT_NAME_SIZE];
    fal_weight_hf_name(spec_of(t, w->id), w->layer, name);
    size_t length = strlen(name) - strlen(".weight");
    if (w->part == FAL_TRAINABLE_WHOLE) {
        snprintf(out, FAL_ADAPTER_NAME_SIZE, FAL_ADAPTER_PREFIX "%s", name);
    } else {
        snprintf(out, FAL_ADAPTER_NAME_SIZE, FAL_ADAPTER_PREFIX "%.*s.lora_%c.weight", (int)length,
                 name, w->part == FAL_TRAINABLE_LORA_A ? 'A' : 'B');
    }
}

/* ---- adapter_model.safetensors ---- */

/* The trained embedding of a model that has one matrix for both is its head as well: other programs would keep the
 * untrained one. */
static const fal_trainable_weight *second_head(const fal_trainable *t) {
    if (!t->params.has_tied_head || !spec_of(t, FAL_WEIGHT_OUTPUT)) return NULL;
    const fal_trainable_weight *w =
        fal_trainable_weight_of(t, FAL_WEIGHT_TOKEN_EMBD, 0, FAL_TRAINABLE_WHOLE);
    return w->is_frozen ? NULL : w;
}

static void name_of_head(const fal_trainable *t, char out[FAL_ADAPTER_NAME_SIZE]) {
    snprintf(out, FAL_ADAPTER_NAME_SIZE, FAL_ADAPTER_PREFIX "%s",
             spec_of(t, FAL_WEIGHT_OUTPUT)->hf);
}

static fal_status announce(const fal_trainable *t, fal_safetensors_writer *file, fal_error *err) {
    char name[FAL_ADAPTER_NAME_SIZE];
    for (int i = 0; i < t->n_weights; i++) {
        const fal_trainable_weight *w = &t->weights[i];
        if (!is_written(w)) continue;
        const int64_t shape[2] = {w->n_rows, w->n_cols};
        bool is_vector = w->part == FAL_TRAINABLE_WHOLE && fal_weight_is_vector(w->id);
        name_of(t, w, name);
        FAL_TRY(fal_safetensors_add(file, name, w->value.type, is_vector ? 1 : 2,
                                    is_vector ? shape + 1 : shape, err));
    }
    const fal_trainable_weight *head = second_head(t);
    if (!head) return FAL_OK;
    const int64_t shape[2] = {head->n_rows, head->n_cols};
    name_of_head(t, name);
    return fal_safetensors_add(file, name, head->value.type, 2, shape, err);
}

/* Of QKV the rows of B are those of the weight, whose order is another one in Hugging Face's files. */
static fal_status write_values(const fal_trainable *t, const fal_trainable_weight *w,
                               fal_safetensors_writer *file, fal_error *err) {
    bool is_regrouped =
        w->part == FAL_TRAINABLE_LORA_B && (spec_of(t, w->id)->flags & FAL_WEIGHT_QKV);
    for (int64_t row = 0; row < w->n_rows; row++) {
        int64_t from = is_regrouped ? fal_qkv_row_in_gguf(&t->params, row) : row;
        FAL_TRY(fal_safetensors_write(file, fal_tensor_f32_row(w->value, from),
                                      (size_t)w->n_cols * sizeof(float), err));
    }
    return FAL_OK;
}

static fal_status write_tensors(const fal_trainable *t, const char *directory, fal_error *err) {
    fal_safetensors_writer *file = NULL;
    char *path = fal_path_join(directory, FAL_ADAPTER_TENSORS);
    if (!path) return fal_fail_memory(err, strlen(directory));
    fal_status status;
    FAL_TRY_OUT(fal_safetensors_writer_open(&file, err));
    FAL_TRY_OUT(fal_safetensors_set_text(file, "format", "pt", err));
    FAL_TRY_OUT(announce(t, file, err));
    FAL_TRY_OUT(fal_safetensors_begin(file, path, err));
    for (int i = 0; i < t->n_weights; i++) {
        if (is_written(&t->weights[i])) FAL_TRY_OUT(write_values(t, &t->weights[i], file, err));
    }
    const fal_trainable_weight *head = second_head(t);
    if (head) FAL_TRY_OUT(write_values(t, head, file, err));
    FAL_TRY_OUT(fal_safetensors_commit(file, err));
out:
    fal_safetensors_writer_close(file);
    fal_free(path);
    return status;
}

/* ---- the configs ---- */

static void list_modules(const fal_trainable *t, module_list *adapted, module_list *whole) {
    char name[FAL_WEIGHT_NAME_SIZE];
    for (int i = 0; i < t->n_weights; i++) {
        const fal_trainable_weight *w = &t->weights[i];
        if (!is_written(w)) continue;
        module_of(spec_of(t, w->id), name);
        add_module(w->part == FAL_TRAINABLE_WHOLE ? whole : adapted, name);
    }
    if (!second_head(t)) return;
    module_of(spec_of(t, FAL_WEIGHT_OUTPUT), name);
    add_module(whole, name);
}

static fal_status write_config(const fal_trainable *t, const char *base_model,
                               const char *directory, fal_error *err) {
    module_list *lists = fal_alloc(2, sizeof *lists);
    if (!lists) return fal_fail_memory(err, 2 * sizeof *lists);
    list_modules(t, &lists[0], &lists[1]);
    fal_config_writer w = {.object = json_object()};
    fal_config_set_value(&w, "alpha_pattern", json_object());
    fal_config_set_text(&w, "base_model_name_or_path", base_model);
    fal_config_set_text(&w, "bias", "none");
    fal_config_set_flag(&w, "fan_in_fan_out", false);
    fal_config_set_flag(&w, "inference_mode", true);
    fal_config_set_flag(&w, "init_lora_weights", true);
    fal_config_set_shortest(&w, "lora_alpha", t->lora.alpha);
    fal_config_set_number(&w, "lora_dropout", 0);
    fal_config_set_null(&w, "modules_to_save");
    if (lists[1].count > 0) fal_config_set_value(&w, "modules_to_save", json_of_modules(&lists[1]));
    fal_config_set_text(&w, "peft_type", "LORA");
    fal_config_set_integer(&w, "r", t->lora.rank);
    fal_config_set_value(&w, "rank_pattern", json_object());
    fal_config_set_value(&w, "target_modules", json_of_modules(&lists[0]));
    fal_config_set_text(&w, "task_type", "CAUSAL_LM");
    fal_config_set_flag(&w, "use_dora", false);
    fal_config_set_flag(&w, "use_rslora", false);
    fal_status status = fal_config_writer_write(&w, directory, FAL_ADAPTER_CONFIG, err);
    json_decref(w.object);
    fal_free(lists);
    return status;
}

static bool is_extended(const fal_trainable *t) {
    return fal_params_has(&t->params, FAL_FEATURE_ROPE)
           && (strcmp(t->params.rope.method->name, "none") != 0
               || t->params.rope.attention_factor != 1);
}

static fal_status write_context(const fal_trainable *t, const char *directory, fal_error *err) {
    fal_config_writer w = {.object = json_object()};
    fal_status status = fal_config_writer_status(&w, err);
    if (status == FAL_OK)
        status = fal_rope_settings_to_hf(&t->params.rope, t->params.head_dim, t->params.n_context,
                                         FAL_ROPE_BY_NAME, &w, err);
    if (status == FAL_OK) status = fal_config_writer_write(&w, directory, FAL_ADAPTER_CONTEXT, err);
    json_decref(w.object);
    return status;
}

/* ---- the face ---- */

static bool may_replace(const char *name) {
    return strcmp(name, FAL_ADAPTER_TENSORS) == 0 || strcmp(name, FAL_ADAPTER_CONFIG) == 0
           || strcmp(name, FAL_ADAPTER_CONTEXT) == 0;
}

fal_status fal_trainable_write_adapter(const fal_trainable *t, const char *base_model,
                                       const char *directory, bool replaces, fal_error *err) {
    if (t->lora.rank == 0)
        return fal_fail(err, FAL_E_ARGUMENT, "the model has no adapters to write");
    fal_folder_output *output;
    FAL_TRY(fal_folder_output_open(&output, directory, replaces ? may_replace : NULL, err));
    const char *path = fal_folder_output_path(output);
    fal_status status = write_tensors(t, path, err);
    if (status == FAL_OK && is_extended(t)) status = write_context(t, path, err);
    if (status == FAL_OK) status = write_config(t, base_model, path, err);
    if (status == FAL_OK) return fal_folder_output_commit(output, err);
    fal_folder_output_discard(output);
    return status;
}
