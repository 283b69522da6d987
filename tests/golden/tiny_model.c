/* Body of tiny_model.h. */
#include "golden/tiny_model.h"

#include "formats/gguf_write.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    MAX_TOKENS = 64,
    TOKEN_SIZE = 24
};

typedef struct tiny_tokens {
    char text[MAX_TOKENS][TOKEN_SIZE];
    fal_slice slices[MAX_TOKENS];
    int32_t types[MAX_TOKENS];
    size_t count;
} tiny_tokens;

tiny_model tiny_model_whole(void) {
    return (tiny_model){.name = "Falcon",
                        .architecture = "falcon",
                        .context_length = 2048,
                        .d_model = TINY_D_MODEL,
                        .d_ff = TINY_D_FF,
                        .n_layers = TINY_LAYERS,
                        .n_heads = TINY_HEADS,
                        .n_kv_heads = TINY_KV_HEADS,
                        .norm_epsilon = 1e-5f,
                        .has_two_norms = true};
}

static void add_token(tiny_tokens *tokens, const char *text, bool is_control) {
    assert_in_range(tokens->count, 0, MAX_TOKENS - 1);
    size_t i = tokens->count++;
    snprintf(tokens->text[i], TOKEN_SIZE, "%s", text);
    tokens->slices[i] = (fal_slice){tokens->text[i], strlen(text)};
    tokens->types[i] = is_control ? 3 : 1;
}

static void make_tokens(const tiny_model *t, tiny_tokens *tokens) {
    tokens->count = 0;
    add_token(tokens, "<|endoftext|>", true);
    for (char c = 'a'; c <= 'z'; c++)
        add_token(tokens, (char[]){c, '\0'}, false);
    add_token(tokens, "ab", false);
    if (!t->has_chat_tokens) return;
    add_token(tokens, "<start_system>", true);
    add_token(tokens, "<start_user>", true);
    add_token(tokens, "<start_assistant>", true);
    add_token(tokens, "<end_message>", true);
}

static bool is_left_out(const char *name, const char *left_out) {
    return left_out && strcmp(name, left_out) == 0;
}

static void set_number(fal_gguf_writer *w, const tiny_model *t, const char *suffix,
                       uint32_t value) {
    char key[96];
    snprintf(key, sizeof key, "%s.%s", t->architecture, suffix);
    if (!is_left_out(key, t->without_key)) fal_gguf_set_u32(w, key, value);
}

static void set_text(fal_gguf_writer *w, const tiny_model *t, const char *key, const char *value) {
    if (!is_left_out(key, t->without_key)) fal_gguf_set_string(w, key, value, strlen(value));
}

static void write_keys(fal_gguf_writer *w, const tiny_model *t, const tiny_tokens *tokens) {
    static const fal_slice merges[] = {
        {"a b", 3}
    };
    char key[96];
    set_text(w, t, "general.architecture", t->architecture);
    set_text(w, t, "general.name", t->name);
    set_number(w, t, "context_length", t->context_length);
    set_number(w, t, "embedding_length", t->d_model);
    set_number(w, t, "feed_forward_length", t->d_ff);
    set_number(w, t, "block_count", t->n_layers);
    set_number(w, t, "attention.head_count", t->n_heads);
    set_number(w, t, "attention.head_count_kv", t->n_kv_heads);
    snprintf(key, sizeof key, "%s.attention.layer_norm_epsilon", t->architecture);
    if (!is_left_out(key, t->without_key)) fal_gguf_set_f32(w, key, t->norm_epsilon);
    set_text(w, t, "tokenizer.ggml.model", "gpt2");
    set_text(w, t, "tokenizer.ggml.pre", "falcon");
    if (!is_left_out("tokenizer.ggml.tokens", t->without_key))
        fal_gguf_set_strings(w, "tokenizer.ggml.tokens", tokens->slices, tokens->count);
    fal_gguf_set_i32s(w, "tokenizer.ggml.token_type", tokens->types, tokens->count);
    if (!is_left_out("tokenizer.ggml.merges", t->without_key))
        fal_gguf_set_strings(w, "tokenizer.ggml.merges", merges, 1);
    fal_gguf_set_u32(w, "tokenizer.ggml.bos_token_id", 0);
    fal_gguf_set_u32(w, "tokenizer.ggml.eos_token_id", 0);
    if (t->extra_u32) fal_gguf_set_u32(w, t->extra_u32, t->extra_value);
    for (size_t i = 0; i < sizeof t->extra_f32 / sizeof t->extra_f32[0]; i++) {
        if (t->extra_f32[i].key) fal_gguf_set_f32(w, t->extra_f32[i].key, t->extra_f32[i].value);
    }
    if (t->own_rope_method) set_text(w, t, "falconer.rope.method", t->own_rope_method);
}

/* A visit announces a tensor or writes its data. */
typedef void visit_function(fal_gguf_writer *w, const char *name, int n_dims, const int64_t *shape);

static void announce(fal_gguf_writer *w, const char *name, int n_dims, const int64_t *shape) {
    fal_error error = {0};
    CHECK_OK(fal_gguf_add_tensor(w, name, fal_type_by_id(FAL_TYPE_F32), n_dims, shape, &error),
             &error);
}

static void write_values(fal_gguf_writer *w, const char *name, int n_dims, const int64_t *shape) {
    fal_error error = {0};
    int64_t count = 1;
    for (int i = 0; i < n_dims; i++)
        count *= shape[i];
    uint32_t state = (uint32_t)strlen(name) * 2654435761u;
    for (int64_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        float value = (float)(state >> 8) / 0x1p24f - 0.5f;
        CHECK_OK(fal_gguf_write_data(w, &value, sizeof value, &error), &error);
    }
}

static void visit_one(fal_gguf_writer *w, const tiny_model *t, visit_function *visit,
                      const char *name, int64_t n_rows, int64_t n_cols) {
    int64_t shape[4] = {n_rows, n_cols, 1, 1};
    int n_dims = 2;
    if (is_left_out(name, t->without_tensor)) return;
    if (n_rows == 0) {
        n_dims = 1;
        shape[0] = n_cols;
    }
    if (t->reshaped && strcmp(name, t->reshaped) == 0) {
        n_dims = t->n_dims;
        memcpy(shape, t->shape, sizeof shape);
    }
    visit(w, name, n_dims, shape);
}

static void visit_tensors(fal_gguf_writer *w, const tiny_model *t, visit_function *visit,
                          int64_t n_vocab) {
    enum {
        QKV = TINY_D_MODEL / TINY_HEADS * (TINY_HEADS + 2 * TINY_KV_HEADS)
    };

    static const struct {
        const char *suffix;
        int64_t n_rows, n_cols;
        bool is_second_norm;
    } layer_tensors[] = {
        {"attn_norm.weight",   0,            TINY_D_MODEL, false},
        {"attn_norm.bias",     0,            TINY_D_MODEL, false},
        {"attn_norm_2.weight", 0,            TINY_D_MODEL, true },
        {"attn_norm_2.bias",   0,            TINY_D_MODEL, true },
        {"attn_qkv.weight",    QKV,          TINY_D_MODEL, false},
        {"attn_output.weight", TINY_D_MODEL, TINY_D_MODEL, false},
        {"ffn_up.weight",      TINY_D_FF,    TINY_D_MODEL, false},
        {"ffn_down.weight",    TINY_D_MODEL, TINY_D_FF,    false},
    };

    visit_one(w, t, visit, "token_embd.weight", n_vocab, TINY_D_MODEL);
    for (int layer = 0; layer < TINY_LAYERS; layer++) {
        for (size_t i = 0; i < sizeof layer_tensors / sizeof layer_tensors[0]; i++) {
            char name[64];
            if (layer_tensors[i].is_second_norm && !t->has_two_norms) continue;
            snprintf(name, sizeof name, "blk.%d.%s", layer, layer_tensors[i].suffix);
            visit_one(w, t, visit, name, layer_tensors[i].n_rows, layer_tensors[i].n_cols);
        }
    }
    visit_one(w, t, visit, "output_norm.weight", 0, TINY_D_MODEL);
    visit_one(w, t, visit, "output_norm.bias", 0, TINY_D_MODEL);
}

void tiny_model_write(const tiny_model *t, const char *path) {
    fal_error error = {0};
    fal_gguf_writer *w = NULL;
    tiny_tokens tokens;
    make_tokens(t, &tokens);
    int64_t n_vocab = (int64_t)tokens.count + t->n_unnamed_rows;
    CHECK_OK(fal_gguf_writer_open(&w, &error), &error);
    write_keys(w, t, &tokens);
    visit_tensors(w, t, announce, n_vocab);
    CHECK_OK(fal_gguf_writer_begin(w, path, &error), &error);
    visit_tensors(w, t, write_values, n_vocab);
    CHECK_OK(fal_gguf_writer_commit(w, &error), &error);
    fal_gguf_writer_close(w);
}
