/* Builds a tiny Falcon GGUF file, whole or spoilt in one way: what must open, and what must be refused. The arithmetic of
 * its drawn weights means nothing. Fails the running test by itself. */
#ifndef FAL_TESTS_TINY_MODEL_H
#define FAL_TESTS_TINY_MODEL_H

#include "golden/golden_files.h"

/* Start from tiny_model_whole() and change what the test is about. */
typedef struct tiny_model {
    const char *name; /* general.name */
    const char *architecture;
    uint32_t context_length;
    /* What the keys say. The tensors have the shapes of tiny_model_whole(), and their type stays f32. */
    uint32_t d_model, d_ff, n_layers, n_heads, n_kv_heads;
    float norm_epsilon;
    bool has_chat_tokens;                     /* <start_system> and the like */
    bool has_two_norms;                       /* as 40B; else as 7B */
    const char *without_key, *without_tensor; /* left out; NULL: none */
    /* One tensor with another shape; NULL: none. */
    const char *reshaped;
    int n_dims;
    int64_t shape[4];
    const char *extra_u32; /* one key more; NULL: none */
    uint32_t extra_value;

    struct {
        const char *key; /* NULL: none */
        float value;
    } extra_f32[4];

    const char *own_rope_method; /* falconer.rope.method; NULL: absent */
    int n_unnamed_rows; /* rows of the embedding beyond the tokens; negative: too few rows */
} tiny_model;

enum {
    TINY_D_MODEL = 32,
    TINY_D_FF = 64,
    TINY_LAYERS = 2,
    TINY_HEADS = 4,
    TINY_KV_HEADS = 2
};

tiny_model tiny_model_whole(void);

/* Writes the model to path. */
void tiny_model_write(const tiny_model *t, const char *path);

#endif
