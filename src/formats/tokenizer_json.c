/* Body of tokenizer_json.h: gathers tokens under their ids, then lays them out as a vocabulary. Kinds of tokenizers that
 * would give other ids than byte-level BPE with a known rule are refused by name. Whether merges fit the tokens is checked
 * when a tokenizer is made of the vocabulary. */
#include "formats/tokenizer_json.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/string_builder.h"
#include "base/string_map.h"
#include "base/utf8.h"
#include "formats/json_file.h"
#include "text/byte_map.h"
#include "text/quote.h"

#include <string.h>

enum {
    MAX_FILE_BYTES = 1 << 30
};

/* What the files say, while it is put together. Texts point into the JSON values. */
typedef struct gathering {
    json_t *tokenizer, *config, *special_tokens; /* NULL: not there */
    fal_vocabulary *vocabulary;
    fal_slice *tokens; /* [capacity]; data NULL: the id is not taken */
    int32_t *types;
    size_t capacity;
    fal_string_map *ids;      /* texts of model.vocab and of added tokens; ask through find_token */
    fal_string_map *replaced; /* texts that lost their id to an added token */
    size_t n_replaced;
    fal_string_builder text; /* of the vocabulary: tokens, then merges */
} gathering;

static fal_slice slice_of(const json_t *string) {
    return (fal_slice){json_string_value(string), json_string_length(string)};
}

static bool is_string(const json_t *value, const char *text) {
    return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

/* `absent` is what a value means that is missing or null. */
static bool flag_of(const json_t *object, const char *key, bool absent) {
    const json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_is_true(value) : absent;
}

/* ---- the pretokenizer's structure ---- */

/* Appends the signature of one pre-tokenizer, which holds all that changes how text is split. */
static void append_signature(fal_string_builder *out, const json_t *step) {
    const json_t *type = json_object_get(step, "type");
    if (!json_is_string(type)) {
        fal_string_append_text(out, "(no type)");
        return;
    }
    fal_string_append_text(out, fal_quote(slice_of(type)).text);
    const json_t *behavior = json_object_get(step, "behavior");
    if (json_is_string(behavior))
        fal_string_append_format(out, " %s", fal_quote(slice_of(behavior)).text);
    const json_t *regex = json_object_get(json_object_get(step, "pattern"), "Regex");
    if (json_is_string(regex))
        fal_string_append_format(out, " /%s/", fal_quote(slice_of(regex)).text);
    else if (json_object_get(step, "pattern"))
        fal_string_append_text(out, " pattern");
    if (flag_of(step, "invert", false)) fal_string_append_text(out, " invert");
    if (flag_of(step, "individual_digits", false)) fal_string_append_text(out, " individual");
    bool byte_level = is_string(type, "ByteLevel");
    if (flag_of(step, "add_prefix_space", byte_level))
        fal_string_append_text(out, " add_prefix_space");
    if (byte_level && !flag_of(step, "use_regex", true)) fal_string_append_text(out, " no regex");
}

static const struct {
    const char *name, *signature;
} known_structures[] = {

#define FAL_TOKENIZER_STRUCTURE(name, signature, json) {name, signature},
#include "formats/tokenizer_structures.def"
#undef FAL_TOKENIZER_STRUCTURE
};

static fal_status find_pretokenizer(gathering *g, fal_error *err) {
    const json_t *root = json_object_get(g->tokenizer, "pre_tokenizer");
    fal_string_builder signature = {0};
    if (is_string(json_object_get(root, "type"), "Sequence")) {
        const json_t *steps = json_object_get(root, "pretokenizers"), *step;
        size_t i;
        json_array_foreach(steps, i, step) {
            if (i > 0) fal_string_append_text(&signature, ", ");
            append_signature(&signature, step);
        }
    } else {
        append_signature(&signature, root);
    }
    fal_status status = fal_string_status(&signature, err);
    const char *found = signature.text ? signature.text : "";
    const char *name = NULL;
    for (size_t i = 0; i < sizeof known_structures / sizeof known_structures[0]; i++) {
        if (strcmp(found, known_structures[i].signature) == 0) name = known_structures[i].name;
    }
    if (status == FAL_OK && name) memcpy(g->vocabulary->pretokenizer, name, strlen(name) + 1);
    if (status == FAL_OK && !name)
        status = fal_fail(err, FAL_E_UNSUPPORTED, "pre_tokenizer '%.300s' is not known", found);
    fal_string_release(&signature);
    return status;
}

/* ---- kinds that are refused ---- */

static bool is_empty(const json_t *value) {
    return !value || json_is_null(value) || is_string(value, "");
}

static bool is_zero(const json_t *value) {
    return !value || json_is_null(value)
           || (json_is_number(value) && json_number_value(value) == 0);
}

static fal_status check_kind(const gathering *g, fal_error *err) {
    const json_t *normalizer = json_object_get(g->tokenizer, "normalizer");
    if (normalizer && !json_is_null(normalizer))
        return fal_fail(err, FAL_E_UNSUPPORTED, "normalizer '%s' is not supported",
                        fal_quote(slice_of(json_object_get(normalizer, "type"))).text);
    const json_t *model = json_object_get(g->tokenizer, "model");
    if (!json_is_object(model)) return fal_fail(err, FAL_E_FORMAT, "there is no model");
    const json_t *type = json_object_get(model, "type");
    if (type && !json_is_string(type))
        return fal_fail(err, FAL_E_FORMAT, "model.type is not a string");
    if (type && !is_string(type, "BPE"))
        return fal_fail(err, FAL_E_UNSUPPORTED, "model.type is '%s', BPE is supported",
                        fal_quote(slice_of(type)).text);
    static const char *const must_be_empty[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    for (size_t i = 0; i < 2; i++) {
        if (!is_empty(json_object_get(model, must_be_empty[i])))
            return fal_fail(err, FAL_E_UNSUPPORTED, "model.%s is not supported", must_be_empty[i]);
    }
    static const char *const must_be_false[] = {"byte_fallback", "ignore_merges"};
    for (size_t i = 0; i < 2; i++) {
        if (flag_of(model, must_be_false[i], false))
            return fal_fail(err, FAL_E_UNSUPPORTED, "model.%s is not supported", must_be_false[i]);
    }
    if (!is_zero(json_object_get(model, "dropout")))
        return fal_fail(err, FAL_E_UNSUPPORTED, "model.dropout is not supported");
    return FAL_OK;
}

/* ---- tokens ---- */

static bool same_text(fal_slice a, fal_slice b) {
    return a.data && b.data && a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

/* The id of a text, or -1; a token that was replaced has none. */
static int32_t find_token(const gathering *g, fal_slice text) {
    int32_t id = text.data ? fal_string_map_find(g->ids, text) : -1;
    return id >= 0 && same_text(g->tokens[id], text) ? id : -1;
}

/* Checks a token's text and id. */
static fal_status take_id(gathering *g, fal_slice text, const json_t *id, int32_t *out,
                          fal_error *err) {
    fal_quoted name = fal_quote(text);
    if (!json_is_integer(id))
        return fal_fail(err, FAL_E_FORMAT, "token '%s': its id is not an integer", name.text);
    json_int_t value = json_integer_value(id);
    if (value < 0 || (uint64_t)value >= g->capacity)
        return fal_fail(err, FAL_E_FORMAT, "token '%s': id %lld is not below %zu", name.text,
                        (long long)value, g->capacity);
    if (text.length == 0)
        return fal_fail(err, FAL_E_FORMAT, "token %lld is empty", (long long)value);
    *out = (int32_t)value;
    return FAL_OK;
}

static fal_status read_vocab(gathering *g, fal_error *err) {
    json_t *vocab = json_object_get(json_object_get(g->tokenizer, "model"), "vocab");
    if (!json_is_object(vocab)) return fal_fail(err, FAL_E_FORMAT, "model.vocab is not an object");
    const char *key;
    size_t length;
    json_t *value;
    json_object_keylen_foreach(vocab, key, length, value) {
        fal_slice text = {key, length};
        int32_t id = -1;
        FAL_TRY(take_id(g, text, value, &id, err));
        if (g->tokens[id].data)
            return fal_fail(err, FAL_E_FORMAT, "tokens '%s' and '%s' have the same id %d",
                            fal_quote(g->tokens[id]).text, fal_quote(text).text, id);
        g->tokens[id] = text;
        g->types[id] = FAL_TOKEN_NORMAL;
        bool inserted;
        FAL_TRY(fal_string_map_add(g->ids, text, id, &inserted, err));
    }
    return FAL_OK;
}

static fal_status check_added(const json_t *token, fal_slice text, fal_error *err) {
    static const char *const must_be_false[] = {"single_word", "lstrip", "rstrip"};
    for (size_t i = 0; i < sizeof must_be_false / sizeof must_be_false[0]; i++) {
        if (flag_of(token, must_be_false[i], false))
            return fal_fail(err, FAL_E_UNSUPPORTED, "added token '%s': %s is not supported",
                            fal_quote(text).text, must_be_false[i]);
    }
    return FAL_OK;
}

/* Gives an added token its id, which may belong to another token so far. */
static fal_status place_added(gathering *g, fal_slice text, int32_t id, int32_t type,
                              fal_error *err) {
    fal_slice before = g->tokens[id];
    bool inserted;
    if (!same_text(before, text)) {
        FAL_TRY(fal_string_map_add(g->ids, text, id, &inserted, err));
        if (!inserted)
            return fal_fail(err, FAL_E_FORMAT, "added token '%s' has id %d, but id %d elsewhere",
                            fal_quote(text).text, id, fal_string_map_find(g->ids, text));
        if (before.data && g->types[id] != FAL_TOKEN_NORMAL)
            return fal_fail(err, FAL_E_FORMAT, "added tokens '%s' and '%s' have the same id %d",
                            fal_quote(before).text, fal_quote(text).text, id);
        if (before.data) {
            FAL_TRY(fal_string_map_add(g->replaced, before, id, &inserted, err));
            g->n_replaced++;
        }
        g->tokens[id] = text;
    }
    g->types[id] = type;
    return FAL_OK;
}

static fal_status add_token(gathering *g, const json_t *token, const json_t *id_value,
                            fal_error *err) {
    const json_t *content = json_object_get(token, "content");
    if (!json_is_string(content))
        return fal_fail(err, FAL_E_FORMAT, "an added token has no content");
    fal_slice text = slice_of(content);
    int32_t id = -1;
    FAL_TRY(take_id(g, text, id_value, &id, err));
    FAL_TRY(check_added(token, text, err));
    return place_added(
        g, text, id, flag_of(token, "special", false) ? FAL_TOKEN_CONTROL : FAL_TOKEN_USER_DEFINED,
        err);
}

static fal_status read_added(gathering *g, fal_error *err) {
    const json_t *added = json_object_get(g->tokenizer, "added_tokens"), *token;
    if (added && !json_is_array(added) && !json_is_null(added))
        return fal_fail(err, FAL_E_FORMAT, "added_tokens is not an array");
    size_t i;
    json_array_foreach(added, i, token) {
        FAL_TRY(add_token(g, token, json_object_get(token, "id"), err));
    }
    return FAL_OK;
}

/* Tokens that only the configuration lists: {"65024": {"content": "<x>", "special": true, ...}}. */
static fal_status read_config_added(gathering *g, fal_error *err) {
    json_t *added = json_object_get(g->config, "added_tokens_decoder");
    const char *key;
    json_t *token;
    json_object_foreach(added, key, token) {
        size_t digits = strspn(key, "0123456789");
        if (digits == 0 || digits > 9 || key[digits])
            return fal_fail(err, FAL_E_FORMAT, "added_tokens_decoder: '%s' is not an id",
                            fal_quote(fal_slice_of(key)).text);
        json_int_t value = 0;
        for (size_t i = 0; i < digits; i++)
            value = value * 10 + (key[i] - '0');
        json_t *id = json_integer(value);
        if (!id) return fal_fail_memory(err, 0);
        fal_status status = add_token(g, token, id, err);
        json_decref(id);
        if (status != FAL_OK) return status;
    }
    return FAL_OK;
}

/* The text of a special token, written as a string or as an object with a content; data NULL: neither. */
static fal_slice special_text(const json_t *value) {
    if (json_is_object(value)) value = json_object_get(value, "content");
    return json_is_string(value) ? slice_of(value) : (fal_slice){NULL, 0};
}

static void mark_special(gathering *g, fal_slice text) {
    int32_t id = find_token(g, text);
    if (id >= 0) g->types[id] = FAL_TOKEN_CONTROL;
}

/* Finds bos_token and its like: in tokenizer_config.json, else in special_tokens_map.json. */
static fal_status find_special(gathering *g, const char *key, int32_t *out, fal_error *err) {
    const json_t *const files[] = {g->config, g->special_tokens};
    *out = -1;
    for (size_t i = 0; i < 2; i++) {
        const json_t *value = json_object_get(files[i], key);
        if (!value || json_is_null(value)) continue;
        fal_slice text = special_text(value);
        if (!text.data)
            return fal_fail(err, FAL_E_FORMAT, "%s is neither a string nor a token", key);
        *out = find_token(g, text);
        if (*out < 0)
            return fal_fail(err, FAL_E_FORMAT, "%s '%s' is not in the vocabulary", key,
                            fal_quote(text).text);
        g->types[*out] = FAL_TOKEN_CONTROL;
        return FAL_OK;
    }
    return FAL_OK;
}

static fal_status read_specials(gathering *g, fal_error *err) {
    const json_t *const files[] = {g->config, g->special_tokens};
    for (size_t f = 0; f < 2; f++) {
        const json_t *list = json_object_get(files[f], "additional_special_tokens"), *token;
        size_t i;
        json_array_foreach(list, i, token) mark_special(g, special_text(token));
    }
    fal_vocabulary *v = g->vocabulary;
    FAL_TRY(find_special(g, "bos_token", &v->bos, err));
    FAL_TRY(find_special(g, "eos_token", &v->eos, err));
    FAL_TRY(find_special(g, "unk_token", &v->unknown, err));
    FAL_TRY(find_special(g, "pad_token", &v->padding, err));
    v->eot = -1;
    return FAL_OK;
}

/* A bos token in front is how a TemplateProcessing can differ from doing nothing; other templates are refused. */
static fal_status read_post_processor(gathering *g, fal_error *err) {
    const json_t *processor = json_object_get(g->tokenizer, "post_processor");
    const json_t *type = json_object_get(processor, "type");
    if (!processor || json_is_null(processor) || is_string(type, "ByteLevel")) return FAL_OK;
    const json_t *single = json_object_get(processor, "single");
    bool has_sequence = false,
         fits = is_string(type, "TemplateProcessing") && json_is_array(single);
    const json_t *step;
    size_t i;
    json_array_foreach(single, i, step) {
        const json_t *special = json_object_get(json_object_get(step, "SpecialToken"), "id");
        if (!special) {
            has_sequence = true;
        } else {
            int32_t id = json_is_string(special) ? find_token(g, slice_of(special)) : -1;
            fits = fits && i == 0 && id >= 0 && id == g->vocabulary->bos;
            g->vocabulary->add_bos = true;
        }
    }
    if (fits && has_sequence) return FAL_OK;
    return fal_fail(err, FAL_E_UNSUPPORTED, "post_processor '%s' is not supported",
                    fal_quote(slice_of(type)).text);
}

/* An unknown token would stand for bytes that have no token, which are dropped otherwise. */
static fal_status check_unknown(const gathering *g, fal_error *err) {
    const json_t *unknown = json_object_get(json_object_get(g->tokenizer, "model"), "unk_token");
    if (is_empty(unknown)) return FAL_OK;
    for (int byte = 0; byte < 256; byte++) {
        char text[4];
        int length = fal_utf8_encode(fal_byte_character((uint8_t)byte), text);
        if (find_token(g, (fal_slice){text, (size_t)length}) < 0)
            return fal_fail(err, FAL_E_UNSUPPORTED,
                            "model.unk_token, for bytes without a token such as 0x%02x",
                            (unsigned)byte);
    }
    return FAL_OK;
}

/* ---- merges ---- */

/* One merge as "left right" at the end of g->text; both ways of writing it are in use. */
static fal_status append_merge(gathering *g, const json_t *merge, size_t index, size_t *begin,
                               fal_error *err) {
    *begin = g->text.length;
    if (json_is_string(merge)) {
        fal_slice text = slice_of(merge);
        fal_string_append(&g->text, text.data, text.length);
        return FAL_OK;
    }
    const json_t *left = json_array_get(merge, 0), *right = json_array_get(merge, 1);
    if (json_array_size(merge) != 2 || !json_is_string(left) || !json_is_string(right))
        return fal_fail(err, FAL_E_FORMAT, "merge %zu is neither a string nor a pair of strings",
                        index);
    fal_slice parts[] = {slice_of(left), slice_of(right)};
    for (size_t i = 0; i < 2; i++) {
        if (i == 1) fal_string_append(&g->text, " ", 1);
        fal_string_append(&g->text, parts[i].data, parts[i].length);
    }
    return FAL_OK;
}

/* True if a part or the result of "left right" is a token that lost its id. */
static fal_status is_obsolete(const gathering *g, fal_slice merge, bool *out, fal_error *err) {
    *out = false;
    const char *space = merge.length ? memchr(merge.data, ' ', merge.length) : NULL;
    if (!space) return FAL_OK;
    size_t left = (size_t)(space - merge.data), right = merge.length - left - 1;
    fal_string_builder joined = {0};
    fal_string_append(&joined, merge.data, left);
    fal_string_append(&joined, space + 1, right);
    fal_status status = fal_string_status(&joined, err);
    if (status == FAL_OK)
        *out = fal_string_map_find(g->replaced, (fal_slice){merge.data, left}) >= 0
               || fal_string_map_find(g->replaced, (fal_slice){space + 1, right}) >= 0
               || fal_string_map_find(g->replaced, (fal_slice){joined.text, joined.length}) >= 0;
    fal_string_release(&joined);
    return status;
}

/* Appends the merges to g->text, and notes where each begins, since the text still moves. */
static fal_status lay_out_merges(gathering *g, size_t *begins, fal_error *err) {
    const json_t *merges = json_object_get(json_object_get(g->tokenizer, "model"), "merges"),
                 *merge;
    fal_vocabulary *v = g->vocabulary;
    size_t i;
    json_array_foreach(merges, i, merge) {
        size_t begin = 0;
        FAL_TRY(append_merge(g, merge, i, &begin, err));
        FAL_TRY(fal_string_status(&g->text, err));
        fal_slice text = {g->text.text + begin, g->text.length - begin};
        bool obsolete = false;
        if (g->n_replaced > 0) FAL_TRY(is_obsolete(g, text, &obsolete, err));
        if (obsolete) {
            g->text.length = begin;
            continue;
        }
        begins[v->n_merges] = begin;
        v->merges[v->n_merges++].length = text.length;
    }
    return FAL_OK;
}

/* ---- laying out ---- */

static fal_status lay_out_tokens(gathering *g, size_t *begins, fal_error *err) {
    fal_vocabulary *v = g->vocabulary;
    for (size_t i = 0; i < v->n_tokens; i++) {
        begins[i] = g->text.length;
        bool taken = g->tokens[i].data != NULL;
        if (taken)
            fal_string_append(&g->text, g->tokens[i].data, g->tokens[i].length);
        else
            fal_string_append_format(&g->text, "[PAD%zu]", i);
        v->types[i] = taken ? g->types[i] : FAL_TOKEN_UNUSED;
        v->tokens[i].length = g->text.length - begins[i];
    }
    return fal_string_status(&g->text, err);
}

static void point(fal_slice *slices, const size_t *begins, size_t n, const char *text) {
    for (size_t i = 0; i < n; i++)
        slices[i].data = text + begins[i];
}

static fal_status lay_out(gathering *g, int64_t n_vocab, fal_error *err) {
    const json_t *merges = json_object_get(json_object_get(g->tokenizer, "model"), "merges");
    if (!json_is_array(merges)) return fal_fail(err, FAL_E_FORMAT, "model.merges is not an array");
    fal_vocabulary *v = g->vocabulary;
    v->n_tokens = (size_t)n_vocab;
    for (size_t i = 0; n_vocab == 0 && i < g->capacity; i++) {
        if (g->tokens[i].data) v->n_tokens = i + 1;
    }
    size_t n_merges = json_array_size(merges);
    v->tokens = fal_alloc(v->n_tokens, sizeof *v->tokens);
    v->types = fal_alloc(v->n_tokens, sizeof *v->types);
    v->merges = fal_alloc(n_merges, sizeof *v->merges);
    size_t *begins = fal_alloc(v->n_tokens + n_merges, sizeof *begins);
    fal_status status = FAL_OK;
    if (!v->tokens || !v->types || !v->merges || !begins) status = fal_fail_memory(err, 0);
    if (status == FAL_OK) status = lay_out_tokens(g, begins, err);
    if (status == FAL_OK) status = lay_out_merges(g, begins + v->n_tokens, err);
    if (status == FAL_OK) {
        v->text = fal_string_take(&g->text);
        if (!v->text) status = fal_fail_memory(err, 0);
    }
    if (status == FAL_OK) {
        point(v->tokens, begins, v->n_tokens, v->text);
        point(v->merges, begins + v->n_tokens, v->n_merges, v->text);
    }
    fal_free(begins);
    return status;
}

/* ---- the chat template ---- */

/* A string, or a list of named ones, of which "default" counts. */
static const json_t *configured_template(const gathering *g) {
    const json_t *value = json_object_get(g->config, "chat_template"), *entry;
    if (!json_is_array(value)) return value;
    size_t i;
    json_array_foreach(value, i, entry) {
        if (is_string(json_object_get(entry, "name"), "default"))
            return json_object_get(entry, "template");
    }
    return NULL;
}

static fal_status read_chat_template(gathering *g, fal_slice file, fal_error *err) {
    const json_t *configured = configured_template(g);
    fal_slice text = file;
    if (!text.data && json_is_string(configured)) text = slice_of(configured);
    if (!text.data) return FAL_OK;
    g->vocabulary->chat_template = fal_copy_string(text.data, text.length);
    return g->vocabulary->chat_template ? FAL_OK : fal_fail_memory(err, text.length);
}

/* ---- the whole ---- */

static fal_status parse_object(json_t **out, fal_slice text, const char *name, fal_error *err) {
    if (!text.data) return FAL_OK;
    FAL_TRY(fal_json_parse(out, text, name, err));
    if (json_is_object(*out)) return FAL_OK;
    return fal_fail(err, FAL_E_FORMAT, "'%s': not an object", name);
}

/* Ids are bounded by the model's rows; without them, by as many tokens as there can be. */
static fal_status reserve(gathering *g, int64_t n_vocab, fal_error *err) {
    if (n_vocab < 0 || n_vocab > INT32_MAX)
        return fal_fail(err, FAL_E_ARGUMENT, "a vocabulary of %lld rows, 0 to %d are possible",
                        (long long)n_vocab, INT32_MAX);
    size_t n_tokens =
        json_object_size(json_object_get(json_object_get(g->tokenizer, "model"), "vocab"))
        + json_array_size(json_object_get(g->tokenizer, "added_tokens"))
        + json_object_size(json_object_get(g->config, "added_tokens_decoder"));
    g->capacity = n_vocab ? (size_t)n_vocab : n_tokens;
    g->tokens = fal_alloc(g->capacity, sizeof *g->tokens);
    g->types = fal_alloc(g->capacity, sizeof *g->types);
    g->ids = fal_string_map_open(n_tokens);
    g->replaced = fal_string_map_open(0);
    return g->tokens && g->types && g->ids && g->replaced ? FAL_OK : fal_fail_memory(err, 0);
}

static fal_status read_tokenizer(gathering *g, int64_t n_vocab, fal_error *err) {
    FAL_TRY(check_kind(g, err));
    FAL_TRY(find_pretokenizer(g, err));
    FAL_TRY(reserve(g, n_vocab, err));
    FAL_TRY(read_vocab(g, err));
    FAL_TRY(read_added(g, err));
    FAL_TRY(read_config_added(g, err));
    FAL_TRY(read_specials(g, err));
    FAL_TRY(read_post_processor(g, err));
    FAL_TRY(check_unknown(g, err));
    return lay_out(g, n_vocab, err);
}

fal_status fal_tokenizer_json_parse(fal_vocabulary *out, const fal_tokenizer_json_texts *texts,
                                    int64_t n_vocab, fal_error *err) {
    *out = (fal_vocabulary){0};
    gathering g = {.vocabulary = out};
    fal_status status = parse_object(&g.tokenizer, texts->tokenizer, "tokenizer.json", err);
    if (status == FAL_OK)
        status = parse_object(&g.config, texts->config, "tokenizer_config.json", err);
    if (status == FAL_OK)
        status =
            parse_object(&g.special_tokens, texts->special_tokens, "special_tokens_map.json", err);
    if (status == FAL_OK)
        status = fal_add_context(err, read_tokenizer(&g, n_vocab, err), "tokenizer.json");
    if (status == FAL_OK) status = read_chat_template(&g, texts->chat_template, err);
    fal_string_release(&g.text);
    fal_string_map_close(g.replaced);
    fal_string_map_close(g.ids);
    fal_free(g.types);
    fal_free(g.tokens);
    json_decref(g.special_tokens);
    json_decref(g.config);
    json_decref(g.tokenizer);
    if (status != FAL_OK) fal_vocabulary_release(out);
    return status;
}

/* Reads directory/name; *out stays NULL when an optional file is not there. */
static fal_status read_text(char **out, size_t *length, const char *directory, const char *name,
                            bool optional, fal_error *err) {
    char *path = fal_path_join(directory, name);
    if (!path) return fal_fail_memory(err, 0);
    fal_status status = FAL_OK;
    if (!optional || fal_file_exists(path))
        status = fal_file_read(out, length, path, MAX_FILE_BYTES, err);
    fal_free(path);
    return status;
}

fal_status fal_tokenizer_json_read(fal_vocabulary *out, const char *directory, int64_t n_vocab,
                                   fal_error *err) {
    *out = (fal_vocabulary){0};
    static const char *const names[] = {"tokenizer.json", "tokenizer_config.json",
                                        "special_tokens_map.json", "chat_template.jinja"};
    char *texts[4] = {NULL};
    size_t lengths[4] = {0};
    fal_status status = FAL_OK;
    for (int i = 0; i < 4 && status == FAL_OK; i++)
        status = read_text(&texts[i], &lengths[i], directory, names[i], i > 0, err);
    if (status == FAL_OK) {
        fal_tokenizer_json_texts files = {
            {texts[0], lengths[0]},
            {texts[1], lengths[1]},
            {texts[2], lengths[2]},
            {texts[3], lengths[3]}
        };
        status = fal_add_context(err, fal_tokenizer_json_parse(out, &files, n_vocab, err), "'%s'",
                                 directory);
    }
    for (int i = 0; i < 4; i++)
        fal_free(texts[i]);
    return status;
}
