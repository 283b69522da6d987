/* Body of to_hf.h: the folder and its JSON files. The tensors are hf_tensors.c's. */
#include "convert/to_hf.h"

#include "base/folder_output.h"
#include "convert/hf_tensors.h"
#include "formats/tokenizer_json_write.h"

#include <stdio.h>
#include <string.h>

static const uint64_t DEFAULT_SHARD_BYTES = 5000000000;

/* ---- config.json ---- */

/* How torch calls the type. */
static const char *torch_name(const fal_type *type) {
    if (type->gguf_id == FAL_TYPE_F32) return "float32";
    return type->gguf_id == FAL_TYPE_F16 ? "float16" : "bfloat16";
}

/* Readers that are told of a tied head ignore a head of its own: it must be the embedding, number by number. */
static fal_status find_tie(const fal_source *s, bool *is_tied, fal_error *err) {
    int embedding = fal_source_find(s, "token_embd.weight"),
        head = fal_source_find(s, "output.weight");
    *is_tied = head < 0;
    if (embedding < 0 || head < 0) return FAL_OK;
    return fal_source_is_equal(s, embedding, head, is_tied, err);
}

/* The vocabulary's id, else what the model's config said. */
static void set_token_id(fal_config_writer *w, const char *key, int32_t id, int32_t by_config) {
    if (id < 0) id = by_config;
    if (id >= 0) fal_config_set_integer(w, key, id);
}

static fal_status fill_config(const fal_hf_tensors *tensors, fal_rope_form form,
                              fal_config_writer *w, fal_error *err) {
    const fal_source_model *m = &tensors->model;
    const fal_vocabulary *v = m->vocabulary;
    bool is_tied;
    FAL_TRY(fal_config_writer_status(w, err));
    FAL_TRY(find_tie(tensors->source, &is_tied, err));
    if (tensors->source->name) fal_config_set_text(w, "_name_or_path", tensors->source->name);
    fal_config_set_value(w, "architectures", json_pack("[s]", m->arch->hf_names[0]));
    FAL_TRY(m->arch->params_to_hf(m->params, w, err));
    if (fal_params_has(m->params, FAL_FEATURE_ROPE))
        FAL_TRY(fal_rope_settings_to_hf(&m->params->rope, m->params->head_dim, m->params->n_context,
                                        form, w, err));
    fal_config_set_flag(w, "tie_word_embeddings", is_tied);
    set_token_id(w, "bos_token_id", v ? v->bos : -1, m->params->bos);
    set_token_id(w, "eos_token_id", v ? v->eos : -1, m->params->eos);
    fal_config_set_text(w, "torch_dtype", torch_name(tensors->type));
    fal_config_set_flag(w, "use_cache", true);
    return FAL_OK;
}

static fal_status write_config(const fal_hf_tensors *tensors, fal_rope_form form,
                               const char *directory, fal_error *err) {
    fal_config_writer w = {.object = json_object()};
    fal_status status = fill_config(tensors, form, &w, err);
    if (status == FAL_OK) status = fal_config_writer_write(&w, directory, "config.json", err);
    json_decref(w.object);
    return status;
}

/* ---- generation_config.json ---- */

/* An answer ends at the end of a text and at the end of a message. */
static json_t *end_tokens(const fal_vocabulary *v, int32_t eos) {
    if (v && v->eot >= 0 && v->eot != eos) return json_pack("[i,i]", (int)eos, (int)v->eot);
    return json_integer(eos);
}

static fal_status write_generation_config(const fal_source_model *m, const char *directory,
                                          fal_error *err) {
    const fal_vocabulary *v = m->vocabulary;
    fal_config_writer w = {.object = json_object()};
    int32_t eos = v && v->eos >= 0 ? v->eos : m->params->eos;
    set_token_id(&w, "bos_token_id", v ? v->bos : -1, m->params->bos);
    if (eos >= 0) fal_config_set_value(&w, "eos_token_id", end_tokens(v, eos));
    if (v) set_token_id(&w, "pad_token_id", v->padding, -1);
    fal_status status = fal_config_writer_write(&w, directory, "generation_config.json", err);
    json_decref(w.object);
    return status;
}

/* ---- the folder ---- */

static bool ends_with(const char *name, const char *end) {
    size_t n = strlen(name), k = strlen(end);
    return n >= k && strcmp(name + n - k, end) == 0;
}

/* What a checkpoint's folder holds, as written here or published. */
static bool may_replace(const char *name) {
    static const char *const names[] = {
        "config.json",           "generation_config.json",       "tokenizer.json",
        "tokenizer_config.json", "special_tokens_map.json",      "chat_template.jinja",
        "model.safetensors",     "model.safetensors.index.json",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0) return true;
    }
    return strncmp(name, "model-", 6) == 0 && ends_with(name, ".safetensors");
}

static void notice(const fal_to_hf_options *o, const char *text) {
    if (o->log.function) o->log.function(o->log.user, FAL_LOG_WARNING, "convert", text);
}

static void report_left_out(const fal_hf_tensors *tensors, const fal_to_hf_options *o) {
    char text[128];
    int n_left_out = tensors->source->n_tensors - tensors->count;
    snprintf(text, sizeof text, "%d tensors have no place in the folder and are left out",
             n_left_out);
    if (n_left_out > 0) notice(o, text);
    if (!tensors->model.vocabulary)
        notice(o, "the model has no vocabulary: tokenizer.json is left out");
}

static fal_status write_files(const fal_hf_tensors *tensors, const fal_to_hf_options *o,
                              const char *directory, fal_error *err) {
    const fal_source_model *m = &tensors->model;
    FAL_TRY(write_config(tensors, o->rope_form, directory, err));
    FAL_TRY(write_generation_config(m, directory, err));
    if (m->vocabulary)
        FAL_TRY(fal_tokenizer_json_write(m->vocabulary, directory, m->params->n_context, err));
    report_left_out(tensors, o);
    return fal_hf_tensors_write(tensors, directory, o, err);
}

static fal_status find_type(const fal_source *s, const char *name, const fal_type **out,
                            fal_error *err) {
    *out = name ? fal_type_by_name(name) : fal_source_float_type(s);
    if (!name && !*out)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "the model is quantized: f32, f16 or bf16 must be chosen for the folder");
    if (!*out || (*out)->is_quantized || !(*out)->in_files)
        return fal_fail(err, FAL_E_ARGUMENT, "type '%.40s': f32, f16 and bf16 are possible", name);
    return FAL_OK;
}

fal_status fal_write_hf_folder(fal_source *source, const char *directory,
                               const fal_to_hf_options *options, fal_error *err) {
    static const fal_to_hf_options defaults;
    const fal_to_hf_options *o = options ? options : &defaults;
    const fal_type *type;
    fal_source_model model;
    FAL_TRY(find_type(source, o->type, &type, err));
    FAL_TRY(source->kind->read_model(source->state, &model, err));
    fal_hf_tensors tensors = {0};
    fal_folder_output *output = NULL;
    fal_status status = fal_hf_tensors_list(
        &tensors, source, &model, type, o->shard_bytes ? o->shard_bytes : DEFAULT_SHARD_BYTES, err);
    if (status == FAL_OK)
        status = fal_folder_output_open(&output, directory, o->replaces ? may_replace : NULL, err);
    if (status == FAL_OK) {
        status = write_files(&tensors, o, fal_folder_output_path(output), err);
        if (status == FAL_OK) {
            status = fal_folder_output_commit(output, err);
        } else {
            fal_folder_output_discard(output);
        }
    }
    fal_hf_tensors_release(&tensors);
    return status;
}
