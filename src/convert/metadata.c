/* Body of metadata.h. */
#include "convert/metadata.h"

#include "text/chat.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static void set_text(fal_gguf_writer *w, const char *key, const char *text) {
    fal_gguf_set_string(w, key, text, strlen(text));
}

static const struct {
    const char *key;
    size_t offset;
} word_keys[] = {
    {"general.name",        offsetof(fal_model_words, name)       },
    {"general.author",      offsetof(fal_model_words, author)     },
    {"general.license",     offsetof(fal_model_words, license)    },
    {"general.description", offsetof(fal_model_words, description)},
};

enum {
    N_WORDS = sizeof word_keys / sizeof word_keys[0]
};

static const char *word_at(const fal_model_words *words, int i) {
    return *(const char *const *)((const char *)words + word_keys[i].offset);
}

void fal_metadata_write_words(fal_gguf_writer *w, const fal_model_words *words) {
    for (int i = 0; i < N_WORDS; i++) {
        const char *word = word_at(words, i);
        if (word) set_text(w, word_keys[i].key, word);
    }
}

const char *fal_metadata_find_word(const fal_model_words *words, const char *key) {
    for (int i = 0; i < N_WORDS; i++) {
        if (strcmp(key, word_keys[i].key) == 0) return word_at(words, i);
    }
    return NULL;
}

static int32_t find_token(const fal_vocabulary *v, const char *text) {
    for (size_t i = v->n_tokens; i-- > 0;) {
        if (v->types[i] == FAL_TOKEN_CONTROL && fal_slice_equals(v->tokens[i], text))
            return (int32_t)i;
    }
    return -1;
}

static void set_id(fal_gguf_writer *w, const char *key, int32_t id) {
    if (id >= 0) fal_gguf_set_u32(w, key, (uint32_t)id);
}

/* The vocabulary's own id; else the config's, if it is a control token: Falcon-RW's config names ids of another one. */
static int32_t special_id(const fal_vocabulary *v, int32_t own, int32_t by_config) {
    if (own >= 0) return own;
    bool is_control = by_config >= 0 && (size_t)by_config < v->n_tokens
                      && v->types[by_config] == FAL_TOKEN_CONTROL;
    return is_control ? by_config : find_token(v, "<|endoftext|>");
}

const char *fal_metadata_chat_template(const fal_vocabulary *v) {
    if (v->chat_template) return v->chat_template;
    bool is_alfred = find_token(v, "<start_user>") >= 0 && find_token(v, "<start_assistant>") >= 0
                     && find_token(v, "<end_message>") >= 0;
    return is_alfred ? fal_chat_template(fal_chat_format_by_name("alfred")) : NULL;
}

void fal_metadata_write_vocabulary(fal_gguf_writer *w, const fal_vocabulary *v,
                                   const fal_params *p) {
    set_text(w, "tokenizer.ggml.model", "gpt2");
    set_text(w, "tokenizer.ggml.pre", v->pretokenizer);
    fal_gguf_set_strings(w, "tokenizer.ggml.tokens", v->tokens, v->n_tokens);
    fal_gguf_set_i32s(w, "tokenizer.ggml.token_type", v->types, v->n_tokens);
    fal_gguf_set_strings(w, "tokenizer.ggml.merges", v->merges, v->n_merges);
    set_id(w, "tokenizer.ggml.bos_token_id", special_id(v, v->bos, p->bos));
    set_id(w, "tokenizer.ggml.eos_token_id", special_id(v, v->eos, p->eos));
    set_id(w, "tokenizer.ggml.eot_token_id", v->eot >= 0 ? v->eot : find_token(v, "<end_message>"));
    set_id(w, "tokenizer.ggml.unknown_token_id", v->unknown);
    set_id(w, "tokenizer.ggml.padding_token_id", v->padding);
    if (v->add_bos) fal_gguf_set_bool(w, "tokenizer.ggml.add_bos_token", true);
    const char *chat_template = fal_metadata_chat_template(v);
    if (chat_template) set_text(w, "tokenizer.chat_template", chat_template);
}

void fal_folder_name(const char *directory, char *out, size_t size) {
    size_t end = strlen(directory);
    while (end > 0 && directory[end - 1] == '/')
        end--;
    size_t begin = end;
    while (begin > 0 && directory[begin - 1] != '/')
        begin--;
    bool says_something = end > begin && !(end - begin == 1 && directory[begin] == '.')
                          && !(end - begin == 2 && strncmp(directory + begin, "..", 2) == 0);
    if (says_something) {
        snprintf(out, size, "%.*s", (int)(end - begin), directory + begin);
    } else {
        snprintf(out, size, "model");
    }
}
