/* Body of repair.h: what each repairable finding puts into the metadata, and the rounds of it. The checks decide what is
 * wrong, gguf_edit.c how it gets into the file. */
#include "publish/repair.h"

#include "base/alloc.h"
#include "convert/metadata.h"
#include "publish/examination.h"

#include <stdio.h>
#include <string.h>

enum {
    MAX_ROUNDS = 3, /* what an id beyond the vocabulary hides shows only when it is gone */
    MAX_REMOVED = 16
};

/* What one edit changes. */
typedef struct changes {
    fal_gguf_writer *values;
    const char *removed[MAX_REMOVED + 1];
    int n_removed;
} changes;

static void set_id(changes *c, const char *key, int32_t id) {
    fal_gguf_set_u32(c->values, key, (uint32_t)id);
}

/* eos and bos are what every Falcon has; whatever else is beyond the vocabulary says nothing and goes. */
static fal_status repair_token_ids(const fal_examination *x, changes *c, fal_error *err) {
    const fal_gguf_value *tokens = fal_gguf_find(x->file, "tokenizer.ggml.tokens");
    int32_t end_of_text = -1;
    for (uint64_t i = 0; i < tokens->count && i < INT32_MAX && end_of_text < 0; i++) {
        fal_gguf_string text;
        if (fal_gguf_value_string(x->file, tokens, i, &text)
            && fal_slice_equals((fal_slice){text.data, text.length}, "<|endoftext|>"))
            end_of_text = (int32_t)i;
    }
    const char *key;
    int64_t id;
    uint64_t n_tokens;
    for (int i = 0; (key = fal_token_id_key(i)); i++) {
        if (!fal_examination_is_bad_id(x, key, &id, &n_tokens)) continue;
        bool is_usual = strstr(key, ".bos_token_id") || strstr(key, ".eos_token_id");
        if (is_usual && end_of_text >= 0)
            set_id(c, key, end_of_text);
        else if (c->n_removed < MAX_REMOVED)
            c->removed[c->n_removed++] = key;
    }
    (void)err;
    return FAL_OK;
}

static void set_context(const fal_examination *x, changes *c, int n_context) {
    char key[96];
    snprintf(key, sizeof key, "%s.context_length", x->arch->name);
    fal_gguf_set_u32(c->values, key, (uint32_t)n_context);
}

static fal_status repair_context(const fal_examination *x, changes *c, fal_error *err) {
    set_context(x, c, x->meant.n_context);
    return fal_metadata_write_rope(c->values, x->arch, &x->meant, err);
}

static fal_status repair_context_length(const fal_examination *x, changes *c, fal_error *err) {
    (void)err;
    set_context(x, c, fal_examination_good_context(x));
    return FAL_OK;
}

static fal_status repair_control_types(const fal_examination *x, changes *c, fal_error *err) {
    const fal_vocabulary *v = fal_tokenizer_vocabulary(x->tokenizer);
    const fal_gguf_value *stored = fal_gguf_find(x->file, "tokenizer.ggml.token_type");
    int32_t *types = fal_alloc(v->n_tokens, sizeof *types);
    if (!types) return fal_fail_memory(err, v->n_tokens * sizeof *types);
    for (size_t i = 0; i < v->n_tokens; i++) {
        int64_t type = FAL_TOKEN_NORMAL;
        if (stored) fal_gguf_value_i64(x->file, stored, i, &type);
        types[i] =
            fal_examination_is_hidden_control(x, (int32_t)i) ? FAL_TOKEN_CONTROL : (int32_t)type;
    }
    fal_gguf_set_i32s(c->values, "tokenizer.ggml.token_type", types, v->n_tokens);
    fal_free(types);
    return FAL_OK;
}

static fal_status repair_end_of_text(const fal_examination *x, changes *c, fal_error *err) {
    (void)err;
    set_id(c, "tokenizer.ggml.eos_token_id",
           fal_tokenizer_control_id(x->tokenizer, "<|endoftext|>"));
    return FAL_OK;
}

static fal_status repair_end_of_turn(const fal_examination *x, changes *c, fal_error *err) {
    (void)err;
    set_id(c, "tokenizer.ggml.eot_token_id", fal_examination_end_of_turn(x));
    return FAL_OK;
}

static fal_status repair_chat_template(const fal_examination *x, changes *c, fal_error *err) {
    const char *text = fal_metadata_chat_template(fal_tokenizer_vocabulary(x->tokenizer));
    if (!text) return fal_fail(err, FAL_E_BUG, "a repairable chat template is not known");
    fal_gguf_set_string(c->values, "tokenizer.chat_template", text, strlen(text));
    return FAL_OK;
}

static fal_status repair_pretokenizer(const fal_examination *x, changes *c, fal_error *err) {
    const char *name = fal_tokenizer_pretokenizer(x->tokenizer);
    (void)err;
    fal_gguf_set_string(c->values, "tokenizer.ggml.pre", name, strlen(name));
    return FAL_OK;
}

typedef fal_status repair_function(const fal_examination *x, changes *c, fal_error *err);

static repair_function *const repairs[] = {
#define FAL_CHECK(function, name, severity, repair, meaning) repair,
#include "publish/checks.def"
#undef FAL_CHECK
};

/* Collects the changes for what was found; a check may have several findings and has one repair. *n: how many. */
static fal_status collect(const fal_examination *x, changes *c, int *n, fal_error *err) {
    *n = 0;
    for (int i = 0; i < fal_check_count(); i++) {
        bool is_wanted = false;
        for (size_t k = 0; k < x->out->count; k++)
            is_wanted |=
                x->out->findings[k].is_repairable && x->out->findings[k].check == fal_check_at(i);
        if (!is_wanted || !repairs[i]) continue;
        FAL_TRY(repairs[i](x, c, err));
        ++*n;
    }
    return FAL_OK;
}

/* One examination and one edit. *next is where the repaired file is; *is_done: nothing was left to do. */
static fal_status repair_once(const char *path, const char *out_path,
                              const fal_copy_progress *progress, fal_repaired *out, bool *is_done,
                              fal_error *err) {
    const fal_doctor_options quick = {.quick = true};
    fal_diagnosis found = {0};
    fal_examination x;
    changes c = {0};
    int n = 0, n_parts = 1;
    fal_status status = fal_examination_open(&x, path, &quick, &found, err);
    if (status == FAL_OK) status = fal_examination_run(&x, err);
    if (status == FAL_OK) status = fal_gguf_writer_open(&c.values, err);
    if (status == FAL_OK) status = collect(&x, &c, &n, err);
    const char *target = x.file ? fal_gguf_first_part(x.file, &n_parts) : path;
    *is_done = n == 0;
    if (status == FAL_OK && n > 0 && n_parts > 1 && out_path)
        status = fal_fail(err, FAL_E_ARGUMENT,
                          "%s: one of %d parts, which can only be repaired where they are", path,
                          n_parts);
    if (status == FAL_OK && n > 0) {
        const fal_gguf_edit_options options = {.out_path = out_path, .progress = *progress};
        fal_gguf_edited edited;
        status = fal_gguf_edit(target, c.values, c.removed, &options, &edited, err);
        out->n_edits += status == FAL_OK;
        if (status == FAL_OK && !edited.was_in_place) {
            out->is_beside = true;
            out->way = edited.way;
        }
    }
    fal_gguf_writer_close(c.values);
    fal_examination_release(&x);
    fal_diagnosis_release(&found);
    return status;
}

fal_status fal_doctor_repair(const char *path, const char *out_path,
                             const fal_copy_progress *progress, fal_repaired *out, fal_error *err) {
    static const fal_copy_progress silent;
    *out = (fal_repaired){0};
    FAL_TRY(fal_gguf_edit_recover(path, &out->was_undone, err));
    bool is_done = false;
    for (int round = 0; round < MAX_ROUNDS && !is_done; round++) {
        bool goes_elsewhere = out_path && round == 0;
        FAL_TRY(repair_once(out_path && !goes_elsewhere ? out_path : path,
                            goes_elsewhere ? out_path : NULL, progress ? progress : &silent, out,
                            &is_done, err));
    }
    return FAL_OK;
}
