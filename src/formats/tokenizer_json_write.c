/* Body of tokenizer_json_write.h: makes the files as jansson's values. A value that could not be made is NULL, which
 * json_pack passes on, so that memory is asked for once, when the whole is written. */
#include "formats/tokenizer_json_write.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/string_builder.h"
#include "base/string_map.h"
#include "base/utf8.h"
#include "formats/json_file.h"
#include "text/quote.h"

#include <string.h>

typedef struct writing {
    const fal_vocabulary *vocabulary;
    fal_string_map *ids; /* texts of all tokens that are written */
} writing;

static json_t *text_of(fal_slice text) {
    return json_stringn(text.data, text.length);
}

/* ---- what is written ---- */

static fal_status check_token(fal_slice text, size_t id, fal_error *err) {
    if (text.length == 0) return fal_fail(err, FAL_E_FORMAT, "token %zu is empty", id);
    if (memchr(text.data, '\0', text.length) || !fal_utf8_is_valid(text.data, text.length))
        return fal_fail(err, FAL_E_FORMAT, "token %zu '%s' cannot be written as JSON", id,
                        fal_quote(text).text);
    return FAL_OK;
}

static fal_status index_tokens(writing *w, fal_error *err) {
    const fal_vocabulary *v = w->vocabulary;
    w->ids = fal_string_map_open(v->n_tokens);
    if (!w->ids) return fal_fail_memory(err, 0);
    for (size_t i = 0; i < v->n_tokens; i++) {
        if (v->types[i] == FAL_TOKEN_UNUSED) continue;
        FAL_TRY(check_token(v->tokens[i], i, err));
        bool inserted;
        FAL_TRY(fal_string_map_add(w->ids, v->tokens[i], (int32_t)i, &inserted, err));
        if (!inserted)
            return fal_fail(err, FAL_E_FORMAT, "token %zu '%s' is token %d already", i,
                            fal_quote(v->tokens[i]).text,
                            fal_string_map_find(w->ids, v->tokens[i]));
    }
    return FAL_OK;
}

static bool is_special(const fal_vocabulary *v, int32_t id) {
    return v->types[id] == FAL_TOKEN_CONTROL || v->types[id] == FAL_TOKEN_UNKNOWN;
}

/* True if merges may take or make the token of this text. */
static bool takes_part(const writing *w, fal_slice text) {
    int32_t id = fal_string_map_find(w->ids, text);
    return id >= 0 && !is_special(w->vocabulary, id);
}

/* ---- tokenizer.json ---- */

static json_t *added_tokens(const fal_vocabulary *v) {
    json_t *list = json_array();
    for (size_t i = 0; i < v->n_tokens; i++) {
        bool special = is_special(v, (int32_t)i);
        if (!special && v->types[i] != FAL_TOKEN_USER_DEFINED) continue;
        json_t *token = json_pack("{s:I, s:o, s:b, s:b, s:b, s:b, s:b}", "id", (json_int_t)i,
                                  "content", text_of(v->tokens[i]), "single_word", 0, "lstrip", 0,
                                  "rstrip", 0, "normalized", 0, "special", (int)special);
        if (json_array_append_new(list, token) == 0) continue;
        json_decref(list);
        return NULL;
    }
    return list;
}

static json_t *vocab(const fal_vocabulary *v) {
    json_t *all = json_object();
    for (size_t i = 0; i < v->n_tokens; i++) {
        if (v->types[i] == FAL_TOKEN_UNUSED) continue;
        json_t *id = json_integer((json_int_t)i);
        if (json_object_setn_new_nocheck(all, v->tokens[i].data, v->tokens[i].length, id) == 0)
            continue;
        json_decref(all);
        return NULL;
    }
    return all;
}

/* True if all three tokens of a merge take part; joined is working memory. */
static fal_status merge_is_usable(const writing *w, size_t index, fal_string_builder *joined,
                                  bool *out, fal_error *err) {
    fal_slice text = w->vocabulary->merges[index];
    const char *space = text.length ? memchr(text.data, ' ', text.length) : NULL;
    if (!space)
        return fal_fail(err, FAL_E_FORMAT, "merge %zu '%s' has no space", index,
                        fal_quote(text).text);
    fal_slice left = {text.data, (size_t)(space - text.data)};
    fal_slice right = {space + 1, text.length - left.length - 1};
    fal_string_clear(joined);
    fal_string_append(joined, left.data, left.length);
    fal_string_append(joined, right.data, right.length);
    FAL_TRY(fal_string_status(joined, err));
    *out = takes_part(w, left) && takes_part(w, right)
           && takes_part(w, (fal_slice){joined->text, joined->length});
    return FAL_OK;
}

static fal_status add_merges(const writing *w, json_t *list, fal_error *err) {
    fal_string_builder joined = {0};
    fal_status status = FAL_OK;
    for (size_t i = 0; i < w->vocabulary->n_merges; i++) {
        bool usable = false;
        FAL_TRY_OUT(merge_is_usable(w, i, &joined, &usable, err));
        if (!usable) continue;
        if (json_array_append_new(list, text_of(w->vocabulary->merges[i])) != 0)
            FAL_TRY_OUT(fal_fail_memory(err, 0));
    }
out:
    fal_string_release(&joined);
    return status;
}

static json_t *pre_tokenizer(const fal_vocabulary *v) {
    static const struct {
        const char *name, *json;
    } structures[] = {

#define FAL_TOKENIZER_STRUCTURE(name, signature, json) {name, json},
#include "formats/tokenizer_structures.def"
#undef FAL_TOKENIZER_STRUCTURE
    };
    for (size_t i = 0; i < sizeof structures / sizeof structures[0]; i++) {
        if (strcmp(structures[i].name, v->pretokenizer) == 0)
            return json_loads(structures[i].json, 0, NULL);
    }
    return NULL;
}

static json_t *byte_level(void) {
    return json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 0,
                     "trim_offsets", 0, "use_regex", 1);
}

/* Puts the bos token in front, where the model wants it there. */
static json_t *post_processor(const fal_vocabulary *v) {
    if (!v->add_bos || v->bos < 0) return byte_level();
    fal_slice bos = v->tokens[v->bos];
    json_t *ids = json_object();
    json_t *entry = json_pack("{s:o, s:[i], s:[o]}", "id", text_of(bos), "ids", (int)v->bos,
                              "tokens", text_of(bos));
    if (json_object_setn_new_nocheck(ids, bos.data, bos.length, entry) != 0) {
        json_decref(ids);
        return NULL;
    }
    return json_pack("{s:s, s:[{s:{s:o, s:i}}, {s:{s:s, s:i}}],"
                     " s:[{s:{s:o, s:i}}, {s:{s:s, s:i}}, {s:{s:s, s:i}}], s:o}",
                     "type", "TemplateProcessing", "single", "SpecialToken", "id", text_of(bos),
                     "type_id", 0, "Sequence", "id", "A", "type_id", 0, "pair", "SpecialToken",
                     "id", text_of(bos), "type_id", 0, "Sequence", "id", "A", "type_id", 0,
                     "Sequence", "id", "B", "type_id", 1, "special_tokens", ids);
}

static fal_status compose_tokenizer(const writing *w, json_t **out, fal_error *err) {
    const fal_vocabulary *v = w->vocabulary;
    json_t *pre = pre_tokenizer(v);
    if (!pre)
        return fal_fail(err, FAL_E_UNSUPPORTED, "pretokenizer '%s' has no form in tokenizer.json",
                        fal_quote(fal_slice_of(v->pretokenizer)).text);
    json_t *merges = json_array();
    fal_status status = merges ? add_merges(w, merges, err) : fal_fail_memory(err, 0);
    if (status != FAL_OK) {
        json_decref(merges);
        json_decref(pre);
        return status;
    }
    json_t *model =
        json_pack("{s:s, s:n, s:n, s:n, s:n, s:b, s:b, s:o, s:o}", "type", "BPE", "dropout",
                  "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", 0,
                  "byte_fallback", 0, "vocab", vocab(v), "merges", merges);
    *out =
        json_pack("{s:s, s:n, s:n, s:o, s:n, s:o, s:o, s:o, s:o}", "version", "1.0", "truncation",
                  "padding", "added_tokens", added_tokens(v), "normalizer", "pre_tokenizer", pre,
                  "post_processor", post_processor(v), "decoder", byte_level(), "model", model);
    return *out ? FAL_OK : fal_fail_memory(err, 0);
}

/* ---- the other files ---- */

/* The special tokens with a purpose, and the rest as "additional_special_tokens". A token that v->types does not mark is
 * left out: files that name an ordinary word mean it as one, and naming it here would cut it out of texts. */
static json_t *special_tokens(const fal_vocabulary *v) {
    const struct {
        const char *key;
        int32_t id;
    } purposes[] = {
        {"bos_token", v->bos    },
        {"eos_token", v->eos    },
        {"unk_token", v->unknown},
        {"pad_token", v->padding},
    };

    enum {
        N_PURPOSES = sizeof purposes / sizeof purposes[0]
    };

    json_t *all = json_object(), *rest = json_array();
    bool failed = !all || !rest;
    for (size_t i = 0; i < N_PURPOSES; i++) {
        bool is_needed = v->add_bos && purposes[i].id == v->bos;
        if (purposes[i].id < 0 || !(is_needed || is_special(v, purposes[i].id))) continue;
        failed |=
            json_object_set_new(all, purposes[i].key, text_of(v->tokens[purposes[i].id])) != 0;
    }
    for (size_t i = 0; i < v->n_tokens; i++) {
        bool has_purpose = false;
        for (size_t k = 0; k < N_PURPOSES; k++)
            has_purpose |= purposes[k].id == (int32_t)i;
        if (has_purpose || !is_special(v, (int32_t)i)) continue;
        failed |= json_array_append_new(rest, text_of(v->tokens[i])) != 0;
    }
    failed |= json_object_set(all, "additional_special_tokens", rest) != 0;
    json_decref(rest);
    if (!failed) return all;
    json_decref(all);
    return NULL;
}

/* token_type_ids are not asked for: the model has none. */
static json_t *config(const fal_vocabulary *v, int64_t max_length) {
    json_t *all =
        json_pack("{s:s, s:b, s:b, s:[s,s]}", "tokenizer_class", "PreTrainedTokenizerFast",
                  "add_prefix_space", 0, "clean_up_tokenization_spaces", 0, "model_input_names",
                  "input_ids", "attention_mask");
    json_t *specials = special_tokens(v);
    bool failed = json_object_update(all, specials) != 0;
    json_decref(specials);
    if (max_length > 0)
        failed |= json_object_set_new(all, "model_max_length", json_integer(max_length)) != 0;
    if (v->chat_template)
        failed |= json_object_set_new(all, "chat_template", json_string(v->chat_template)) != 0;
    if (!failed) return all;
    json_decref(all);
    return NULL;
}

/* Writes value, which is taken, as directory/name. */
static fal_status write_value(const char *directory, const char *name, json_t *take_value,
                              fal_error *err) {
    char *path = fal_path_join(directory, name);
    fal_status status = path ? fal_json_write_file(path, take_value, err) : fal_fail_memory(err, 0);
    fal_free(path);
    json_decref(take_value);
    return status;
}

static fal_status check_template(const fal_vocabulary *v, fal_error *err) {
    if (!v->chat_template || fal_utf8_is_valid(v->chat_template, strlen(v->chat_template)))
        return FAL_OK;
    return fal_fail(err, FAL_E_FORMAT, "the chat template is not UTF-8");
}

fal_status fal_tokenizer_json_write(const fal_vocabulary *v, const char *directory,
                                    int64_t max_length, fal_error *err) {
    writing w = {.vocabulary = v};
    json_t *tokenizer = NULL;
    fal_status status = index_tokens(&w, err);
    if (status == FAL_OK) status = check_template(v, err);
    if (status == FAL_OK) status = compose_tokenizer(&w, &tokenizer, err);
    fal_string_map_close(w.ids);
    FAL_TRY(status);
    FAL_TRY(write_value(directory, "tokenizer.json", tokenizer, err));
    FAL_TRY(write_value(directory, "tokenizer_config.json", config(v, max_length), err));
    return write_value(directory, "special_tokens_map.json", special_tokens(v), err);
}
