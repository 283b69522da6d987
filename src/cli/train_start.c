/* Body of train_start.h. */
#include "cli/train_start.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/folder.h"
#include "cli/making.h"
#include "convert/convert.h"
#include "convert/metadata.h"
#include "convert/source.h"
#include "formats/tokenizer_json.h"
#include "model/layout.h"

#include <stdio.h>
#include <string.h>

/* ---- what a path is ---- */

static fal_status has_file(const char *folder, const char *name, bool *out, fal_error *err) {
    char *path = fal_path_join(folder, name);
    if (!path) return fal_fail_memory(err, 0);
    *out = fal_file_exists(path);
    fal_free(path);
    return FAL_OK;
}

/* A checkpoint folder stays what it is; of a run's folder it is the model that the run wrote. */
static fal_status find_model(fal_train_start *s, fal_error *err) {
    const char *model = s->choice->model;
    bool has_config = false, has_model = false;
    if (fal_file_is_directory(model)) {
        FAL_TRY(has_file(model, "config.json", &has_config, err));
        FAL_TRY(has_file(model, "model.gguf", &has_model, err));
        if (!has_config && !has_model)
            return fal_fail(err, FAL_E_NOT_FOUND,
                            "train: --model '%s': a folder without config.json and model.gguf",
                            model);
    }
    s->is_folder = has_config;
    s->path = has_model && !has_config ? fal_path_join(model, "model.gguf")
                                       : fal_copy_string(model, strlen(model));
    return s->path ? FAL_OK : fal_fail_memory(err, strlen(model));
}

/* ---- metadata ---- */

static fal_status open_file(fal_train_start *s, fal_error *err) {
    FAL_TRY(fal_gguf_open(&s->file, s->path, err));
    fal_status status = fal_trainable_read_params(&s->arch, &s->params, s->file, err);
    if (status == FAL_OK) status = fal_tokenizer_open(&s->tokenizer, s->file, err);
    return fal_add_context(err, status, "%s", s->path);
}

static fal_status read_tokenizer(fal_train_start *s, const char *folder, int n_vocab,
                                 fal_error *err) {
    fal_vocabulary vocabulary = {0};
    fal_status status = fal_tokenizer_json_read(&vocabulary, folder, n_vocab, err);
    if (status == FAL_OK) status = fal_tokenizer_from_vocabulary(&s->tokenizer, &vocabulary, err);
    fal_vocabulary_release(&vocabulary);
    return status;
}

/* The checkpoint is closed again: it is read as a whole when the model is opened, which may be much later. */
static fal_status open_folder(fal_train_start *s, fal_error *err) {
    static const fal_log silent;
    fal_source *source;
    fal_source_model model;
    FAL_TRY(fal_source_open(&source, s->path, false, &silent, err));
    fal_status status = source->kind->read_model(source->state, &model, err);
    if (status == FAL_OK) {
        s->arch = model.arch;
        s->params = *model.params;
        /* A head that is stored is a weight of its own, whatever the config says. */
        s->params.has_tied_head = fal_source_find(source, "output.weight") < 0;
    }
    fal_source_close(source);
    return status == FAL_OK ? read_tokenizer(s, s->path, s->params.n_vocab, err) : status;
}

/* ---- fresh ---- */

static fal_status open_tokenizer_json(fal_train_start *s, fal_error *err) {
    const char *path = s->choice->tokenizer, *base = fal_path_base(path);
    char *folder;
    if (fal_file_is_directory(path)) {
        folder = fal_copy_string(path, strlen(path));
    } else {
        folder =
            base == path ? fal_copy_string(".", 1) : fal_copy_string(path, (size_t)(base - path));
    }
    if (!folder) return fal_fail_memory(err, 0);
    fal_status status = read_tokenizer(s, folder, 0, err);
    fal_free(folder);
    return status;
}

static fal_status open_tokenizer(fal_train_start *s, fal_error *err) {
    const char *path = s->choice->tokenizer;
    if (fal_file_is_directory(path) || strcmp(fal_path_base(path), "tokenizer.json") == 0)
        return open_tokenizer_json(s, err);
    fal_gguf *file;
    FAL_TRY(fal_gguf_open(&file, path, err));
    fal_status status = fal_tokenizer_open(&s->tokenizer, file, err);
    fal_gguf_close(file);
    return fal_add_context(err, status, "%s", path);
}

static fal_status check_sizes(const fal_train_choice *c, fal_error *err) {
    const struct {
        const char *name;
        bool is_given;
    } needed[] = {
        {"tokenizer",                    c->tokenizer != NULL                      },
        {"layout",                       c->layout != NULL                         },
        {"n-layers",                     c->n_layers > 0                           },
        {"d-model",                      c->d_model > 0                            },
        {"n-heads",                      c->n_heads > 0                            },
        {"context or --sequence-length", c->n_context > 0 || c->sequence_length > 0},
    };

    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        if (!needed[i].is_given)
            return fal_fail(err, FAL_E_ARGUMENT,
                            "train: --%s is missing: without --model a fresh model is made",
                            needed[i].name);
    }
    return FAL_OK;
}

static fal_status open_fresh(fal_train_start *s, fal_error *err) {
    const fal_train_choice *c = s->choice;
    FAL_TRY(check_sizes(c, err));
    FAL_TRY(open_tokenizer(s, err));
    const fal_layout *layout = fal_layout_by_name(c->layout);
    const fal_layout_sizes sizes = {.n_layers = c->n_layers,
                                    .d_model = c->d_model,
                                    .n_heads = c->n_heads,
                                    .n_kv_heads = c->n_kv_heads,
                                    .d_ff = c->d_ff,
                                    .n_vocab = fal_tokenizer_n_vocab(s->tokenizer),
                                    .n_context = c->n_context ? c->n_context : c->sequence_length,
                                    .rope_base = c->rope_base,
                                    .has_untied_head = c->untied_head};
    s->arch = fal_layout_arch(layout);
    return fal_add_context(err, fal_layout_params(layout, &sizes, &s->params, err), "train");
}

/* ---- both ---- */

static fal_status check_model_options(const fal_train_choice *c, fal_error *err) {
    const struct {
        const char *name;
        bool is_given;
    } fresh[] = {
        {"tokenizer",   c->tokenizer != NULL},
        {"layout",      c->layout != NULL   },
        {"n-layers",    c->n_layers > 0     },
        {"d-model",     c->d_model > 0      },
        {"n-heads",     c->n_heads > 0      },
        {"n-kv-heads",  c->n_kv_heads > 0   },
        {"d-ff",        c->d_ff > 0         },
        {"context",     c->n_context > 0    },
        {"rope-base",   c->rope_base > 0    },
        {"untied-head", c->untied_head      },
        {"name",        c->name != NULL     },
    };

    for (size_t i = 0; i < sizeof fresh / sizeof fresh[0]; i++) {
        if (fresh[i].is_given)
            return fal_fail(err, FAL_E_ARGUMENT,
                            "train: --%s is of fresh models; --model has its own", fresh[i].name);
    }
    return FAL_OK;
}

/* Puts the context method asked for into the params: its factor counts from the trained context, whatever the model had. */
static fal_status extend_context(fal_train_start *s, fal_error *err) {
    const fal_train_choice *c = s->choice;
    fal_params *p = &s->params;
    if (!c->context_method && c->context_scale == 0) return FAL_OK;
    if (!c->context_method || c->context_scale == 0)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "train: --context-method and --context-scale go together");
    if (!fal_params_has(p, FAL_FEATURE_ROPE))
        return fal_fail(err, FAL_E_ARGUMENT,
                        "train: --context-method: the model has no rotary positions to extend");
    double extended = p->rope.trained_context * c->context_scale;
    if (!(extended >= 1 && extended <= INT32_MAX))
        return fal_fail(err, FAL_E_ARGUMENT,
                        "train: --context-scale %g: %g tokens of context, at most %d are possible",
                        c->context_scale, extended, INT32_MAX);
    fal_rope_settings_set_method(&p->rope, fal_rope_method_by_name(c->context_method));
    p->rope.factor = c->context_scale;
    p->n_context = (int)extended;
    return FAL_OK;
}

fal_status fal_train_start_open(fal_train_start *s, const fal_train_choice *choice,
                                fal_error *err) {
    *s = (fal_train_start){.choice = choice};
    if (choice->model) {
        FAL_TRY(check_model_options(choice, err));
        FAL_TRY(find_model(s, err));
        FAL_TRY(s->is_folder ? open_folder(s, err) : open_file(s, err));
    } else {
        FAL_TRY(open_fresh(s, err));
    }
    return extend_context(s, err);
}

void fal_train_start_release(fal_train_start *s) {
    fal_tokenizer_close(s->tokenizer);
    fal_gguf_close(s->file);
    fal_free(s->path);
    *s = (fal_train_start){0};
}

/* ---- the model ---- */

typedef fal_status file_maker(fal_train_start *s, const char *path, fal_error *err);

static fal_status convert(fal_train_start *s, const char *path, fal_error *err) {
    fal_making making = {fal_progress_open("reading the model", NULL), s->choice->quiet};
    const fal_convert_options how = {.on_progress = fal_making_on_bytes, .user = &making};
    fal_status status = fal_convert_folder(s->path, path, &how, err);
    fal_progress_clear(&making.progress);
    return status;
}

/* A file that holds the vocabulary and the name, and no tensor. */
static fal_status write_vocabulary(fal_train_start *s, const char *path, fal_error *err) {
    char folder[256];
    fal_gguf_writer *w;
    fal_folder_name(s->choice->out, folder, sizeof folder);
    const char *name = s->choice->name ? s->choice->name : folder;
    FAL_TRY(fal_gguf_writer_open(&w, err));
    fal_gguf_set_string(w, "general.architecture", s->arch->name, strlen(s->arch->name));
    fal_gguf_set_string(w, "general.name", name, strlen(name));
    fal_metadata_write_vocabulary(w, fal_tokenizer_vocabulary(s->tokenizer), &s->params);
    fal_status status = fal_gguf_writer_begin(w, path, err);
    if (status == FAL_OK) status = fal_gguf_writer_commit(w, err);
    fal_gguf_writer_close(w);
    return status;
}

/* Opens a file that is gone when this returns: the mapping keeps what it holds. */
static fal_status open_made(fal_train_start *s, file_maker *make, fal_error *err) {
    FAL_TRY(fal_folder_make(s->choice->out, err));
    char *path = fal_path_join(s->choice->out, FAL_TRAIN_START_FILE);
    if (!path) return fal_fail_memory(err, 0);
    fal_status status = make(s, path, err);
    if (status == FAL_OK) status = fal_gguf_open(&s->file, path, err);
    fal_file_remove(path);
    fal_free(path);
    return status;
}

fal_status fal_train_start_model(fal_train_start *s, fal_device *device, fal_trainable **out,
                                 fal_error *err) {
    fal_trainable_options how = fal_train_choice_trainable(s->choice);
    how.device = device;
    *out = NULL;
    if (!s->file) FAL_TRY(open_made(s, s->path ? convert : write_vocabulary, err));
    if (!s->path) return fal_trainable_open_fresh(out, s->arch, &s->params, &how, err);
    FAL_TRY(fal_trainable_open_gguf(out, s->file, &how, err));
    if (!s->choice->context_method) return FAL_OK;
    return fal_trainable_set_rope(*out, &s->params.rope, err);
}
