/* Body of vocabulary.h, the part that reads and releases. What a GGUF file says is copied as it stands; whether it makes
 * sense is checked when a tokenizer is made of it. */
#include "text/vocabulary.h"

#include "base/alloc.h"
#include "text/pretokenize.h"
#include "text/quote.h"

#include <string.h>

void fal_vocabulary_release(fal_vocabulary *v) {
    if (!v) return;
    fal_free(v->tokens);
    fal_free(v->types);
    fal_free(v->merges);
    fal_free(v->text);
    fal_free(v->chat_template);
    *v = (fal_vocabulary){0};
}

/* The rule of files that name none, which is how all were written before 2024. */
static const struct {
    const char *architecture, *pretokenizer;
} rules_of_architectures[] = {
    {"falcon",    "falcon"   },
    {"starcoder", "starcoder"},
    {"refact",    "starcoder"},
    {"gpt2",      "gpt-2"    },
    {"phi2",      "gpt-2"    },
};

static fal_status find_pretokenizer(fal_vocabulary *v, const fal_gguf *f, fal_error *err) {
    fal_gguf_string name = {0}, architecture = {0};
    const char *rule = NULL;
    bool named = fal_gguf_find_string(f, "tokenizer.ggml.pre", &name);
    if (named && !fal_slice_equals((fal_slice){name.data, name.length}, "default")) {
        rule = fal_pretokenizer_name_of((fal_slice){name.data, name.length});
        if (!rule)
            return fal_fail(err, FAL_E_UNSUPPORTED,
                            "tokenizer.ggml.pre is '%s', which is not known",
                            fal_quote((fal_slice){name.data, name.length}).text);
    } else {
        (void)fal_gguf_find_string(f, "general.architecture", &architecture);
        fal_slice wanted = {architecture.data, architecture.length};
        for (size_t i = 0; i < sizeof rules_of_architectures / sizeof rules_of_architectures[0];
             i++) {
            if (fal_slice_equals(wanted, rules_of_architectures[i].architecture))
                rule = rules_of_architectures[i].pretokenizer;
        }
        if (!rule)
            return fal_fail(err, FAL_E_UNSUPPORTED,
                            "tokenizer.ggml.pre is missing, and architecture '%s' tells no rule",
                            fal_quote(wanted).text);
    }
    memcpy(v->pretokenizer, rule, strlen(rule) + 1);
    return FAL_OK;
}

static fal_status find_array(const fal_gguf_value **out, const fal_gguf *f, const char *key,
                             fal_error *err) {
    *out = fal_gguf_find(f, key);
    if (!*out) return fal_fail(err, FAL_E_FORMAT, "key '%s' is missing", key);
    if ((*out)->type != FAL_GGUF_ARRAY)
        return fal_fail(err, FAL_E_FORMAT, "key '%s' is not an array", key);
    if ((*out)->count > INT32_MAX)
        return fal_fail(err, FAL_E_FORMAT, "key '%s': %llu elements, at most %d", key,
                        (unsigned long long)(*out)->count, INT32_MAX);
    return FAL_OK;
}

/* Bytes of all strings of an array together. */
static fal_status measure(size_t *total, const fal_gguf *f, const fal_gguf_value *value,
                          fal_error *err) {
    for (uint64_t i = 0; i < value->count; i++) {
        fal_gguf_string text;
        if (!fal_gguf_value_string(f, value, i, &text))
            return fal_fail(err, FAL_E_FORMAT, "key '%s': element %llu is not a string", value->key,
                            (unsigned long long)i);
        if (!fal_add_size(*total, text.length, total)) return fal_fail_memory(err, 0);
    }
    return FAL_OK;
}

/* Copies the strings to *to, which moves on. */
static void copy_strings(fal_slice *slices, const fal_gguf *f, const fal_gguf_value *value,
                         char **to) {
    for (uint64_t i = 0; i < value->count; i++) {
        fal_gguf_string text;
        if (!fal_gguf_value_string(f, value, i, &text)) return;
        if (text.length) memcpy(*to, text.data, text.length);
        slices[i] = (fal_slice){*to, text.length};
        *to += text.length;
    }
}

static fal_status read_strings(fal_vocabulary *v, const fal_gguf *f, fal_error *err) {
    const fal_gguf_value *tokens, *merges;
    FAL_TRY(find_array(&tokens, f, "tokenizer.ggml.tokens", err));
    FAL_TRY(find_array(&merges, f, "tokenizer.ggml.merges", err));
    size_t bytes = 0;
    FAL_TRY(measure(&bytes, f, tokens, err));
    FAL_TRY(measure(&bytes, f, merges, err));
    v->n_tokens = (size_t)tokens->count;
    v->n_merges = (size_t)merges->count;
    v->tokens = fal_alloc(v->n_tokens, sizeof *v->tokens);
    v->merges = fal_alloc(v->n_merges, sizeof *v->merges);
    v->text = fal_alloc(bytes, 1);
    if (!v->tokens || !v->merges || !v->text) return fal_fail_memory(err, bytes);
    char *to = v->text;
    copy_strings(v->tokens, f, tokens, &to);
    copy_strings(v->merges, f, merges, &to);
    return FAL_OK;
}

static fal_status read_types(fal_vocabulary *v, const fal_gguf *f, fal_error *err) {
    v->types = fal_alloc(v->n_tokens, sizeof *v->types);
    if (!v->types) return fal_fail_memory(err, v->n_tokens * sizeof *v->types);
    for (size_t i = 0; i < v->n_tokens; i++)
        v->types[i] = FAL_TOKEN_NORMAL;
    if (!fal_gguf_find(f, "tokenizer.ggml.token_type")) return FAL_OK;

    const fal_gguf_value *types;
    FAL_TRY(find_array(&types, f, "tokenizer.ggml.token_type", err));
    if (types->count != v->n_tokens)
        return fal_fail(err, FAL_E_FORMAT, "key '%s': %llu elements for %zu tokens", types->key,
                        (unsigned long long)types->count, v->n_tokens);
    for (size_t i = 0; i < v->n_tokens; i++) {
        int64_t type;
        if (!fal_gguf_value_i64(f, types, i, &type) || type < INT32_MIN || type > INT32_MAX)
            return fal_fail(err, FAL_E_FORMAT, "key '%s': element %zu is not a type", types->key,
                            i);
        v->types[i] = (int32_t)type;
    }
    return FAL_OK;
}

/* An id that may be there. The largest 32-bit number is how some converters write "none". */
static fal_status read_id(int32_t *out, const fal_vocabulary *v, const fal_gguf *f, const char *key,
                          fal_error *err) {
    *out = -1;
    const fal_gguf_value *value = fal_gguf_find(f, key);
    if (!value) return FAL_OK;
    int64_t id;
    if (value->type == FAL_GGUF_ARRAY || !fal_gguf_value_i64(f, value, 0, &id))
        return fal_fail(err, FAL_E_FORMAT, "key '%s' is not a token id", key);
    if (id == -1 || id == UINT32_MAX) return FAL_OK;
    if (id < 0 || (uint64_t)id >= v->n_tokens)
        return fal_fail(err, FAL_E_FORMAT, "key '%s': id %lld is not below the vocabulary's %zu",
                        key, (long long)id, v->n_tokens);
    *out = (int32_t)id;
    return FAL_OK;
}

static fal_status read_ids(fal_vocabulary *v, const fal_gguf *f, fal_error *err) {
    FAL_TRY(read_id(&v->bos, v, f, "tokenizer.ggml.bos_token_id", err));
    FAL_TRY(read_id(&v->eos, v, f, "tokenizer.ggml.eos_token_id", err));
    FAL_TRY(read_id(&v->eot, v, f, "tokenizer.ggml.eot_token_id", err));
    FAL_TRY(read_id(&v->unknown, v, f, "tokenizer.ggml.unknown_token_id", err));
    FAL_TRY(read_id(&v->padding, v, f, "tokenizer.ggml.padding_token_id", err));
    (void)fal_gguf_find_bool(f, "tokenizer.ggml.add_bos_token", &v->add_bos);
    return FAL_OK;
}

static fal_status read_vocabulary(fal_vocabulary *v, const fal_gguf *f, fal_error *err) {
    fal_gguf_string model;
    if (!fal_gguf_find_string(f, "tokenizer.ggml.model", &model))
        return fal_fail(err, FAL_E_FORMAT,
                        "key 'tokenizer.ggml.model' is missing: the file has no vocabulary");
    if (!fal_slice_equals((fal_slice){model.data, model.length}, "gpt2"))
        return fal_fail(err, FAL_E_UNSUPPORTED, "tokenizer.ggml.model is '%s', 'gpt2' is supported",
                        fal_quote((fal_slice){model.data, model.length}).text);
    FAL_TRY(find_pretokenizer(v, f, err));
    FAL_TRY(read_strings(v, f, err));
    FAL_TRY(read_types(v, f, err));
    FAL_TRY(read_ids(v, f, err));
    fal_gguf_string chat_template;
    if (fal_gguf_find_string(f, "tokenizer.chat_template", &chat_template)) {
        v->chat_template = fal_copy_string(chat_template.data, chat_template.length);
        if (!v->chat_template) return fal_fail_memory(err, chat_template.length);
    }
    return FAL_OK;
}

fal_status fal_vocabulary_from_gguf(fal_vocabulary *out, const fal_gguf *f, fal_error *err) {
    *out = (fal_vocabulary){0};
    fal_status status = read_vocabulary(out, f, err);
    if (status != FAL_OK) fal_vocabulary_release(out);
    return fal_add_context(err, status, "'%s'", fal_gguf_path(f));
}
