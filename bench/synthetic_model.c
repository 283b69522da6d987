/* Body of synthetic_model.h. The weights of one type are encoded once, as a stretch of a million normal values, and every
 * tensor repeats it from another place: speed does not depend on values, and encoding billions would take minutes.
 *
 * Source: the recipes are those of files published since 2024, which keep output.weight of Falcon at q8_0. */
#include "synthetic_model.h"

#include "base/alloc.h"
#include "base/random.h"
#include "base/utf8.h"
#include "formats/gguf_write.h"
#include "text/byte_map.h"

#include <stdio.h>
#include <string.h>

enum {
    STRETCH_WEIGHTS = 1 << 20,
    N_CONTROLS = 12
};

static const synthetic_shape shapes[] = {
    {"falcon-7b",   4544,  18176, 32, 71,  1, 65024, false},
    {"falcon-11b",  4096,  16384, 60, 32,  8, 65024, false},
    {"falcon-40b",  8192,  32768, 60, 128, 8, 65024, true },
    {"falcon-180b", 14848, 59392, 80, 232, 8, 65024, true },
    {"tiny",        256,   1024,  2,  4,   1, 1024,  false},
    {"tiny-odd",    224,   1024,  2,  7,   1, 1024,  false}, /* rows of no multiple of 256, as in falcon-7b */
};

const synthetic_shape *synthetic_shape_at(int index) {
    return index < (int)(sizeof shapes / sizeof *shapes) ? &shapes[index] : NULL;
}

const synthetic_shape *synthetic_shape_by_name(const char *name) {
    for (int i = 0; synthetic_shape_at(i); i++) {
        if (strcmp(shapes[i].name, name) == 0) return &shapes[i];
    }
    return NULL;
}

typedef enum part {
    TOKEN_EMBD,
    ATTN_QKV,
    ATTN_OUTPUT,
    FFN_UP,
    FFN_DOWN,
    OUTPUT
} part;

/* A recipe: the type of most tensors, and where it differs. ffn_down has a type for the first n/16 layers and one for
 * those that get more bits. */
typedef struct recipe {
    const char *name, *most, *attn_qkv, *attn_output, *down_first, *down_more, *down, *output;
} recipe;

static const recipe recipes[] = {
    {"f32",    "f32",    NULL,   NULL,   NULL,   NULL,   NULL,   "f32" },
    {"f16",    "f16",    NULL,   NULL,   NULL,   NULL,   NULL,   "f16" },
    {"bf16",   "bf16",   NULL,   NULL,   NULL,   NULL,   NULL,   "bf16"},
    {"q4_0",   "q4_0",   NULL,   NULL,   NULL,   NULL,   NULL,   "q8_0"},
    {"q4_1",   "q4_1",   NULL,   NULL,   NULL,   NULL,   NULL,   "q8_0"},
    {"q5_0",   "q5_0",   NULL,   NULL,   NULL,   NULL,   NULL,   "q8_0"},
    {"q5_1",   "q5_1",   NULL,   NULL,   NULL,   NULL,   NULL,   "q8_0"},
    {"q8_0",   "q8_0",   NULL,   NULL,   NULL,   NULL,   NULL,   "q8_0"},
    {"q2_k",   "q2_k",   NULL,   NULL,   NULL,   NULL,   "q3_k", "q8_0"},
    {"q3_k_s", "q3_k",   NULL,   NULL,   NULL,   NULL,   NULL,   "q8_0"},
    {"q3_k_m", "q3_k",   "q4_k", NULL,   "q5_k", "q4_k", NULL,   "q8_0"},
    {"q3_k_l", "q3_k",   "q4_k", "q4_k", NULL,   NULL,   "q4_k", "q8_0"},
    {"q4_k_s", "q4_k",   NULL,   NULL,   NULL,   NULL,   NULL,   "q8_0"},
    {"q4_k_m", "q4_k",   "q5_k", NULL,   "q6_k", "q5_k", NULL,   "q8_0"},
    {"q5_k_s", "q5_k",   NULL,   NULL,   NULL,   NULL,   NULL,   "q8_0"},
    {"q5_k_m", "q5_k",   "q6_k", NULL,   NULL,   "q6_k", NULL,   "q8_0"},
    {"q6_k",   "q6_k",   NULL,   NULL,   NULL,   NULL,   NULL,   "q8_0"},
    {"iq4_nl", "iq4_nl", NULL,   NULL,   NULL,   NULL,   NULL,   "q8_0"},
    {"iq4_xs", "iq4_xs", NULL,   NULL,   NULL,   NULL,   NULL,   "q8_0"},
};

const char *synthetic_recipe_at(int index) {
    return index < (int)(sizeof recipes / sizeof *recipes) ? recipes[index].name : NULL;
}

static bool gets_more_bits(int layer, int n_layers) {
    int eighth = n_layers / 8;
    return layer < eighth || layer >= 7 * n_layers / 8 || (layer - eighth) % 3 == 2;
}

static const char *type_wanted(const recipe *r, part where, int layer, int n_layers) {
    const char *wanted = NULL;
    if (where == OUTPUT) wanted = r->output;
    if (where == ATTN_QKV) wanted = r->attn_qkv;
    if (where == ATTN_OUTPUT) wanted = r->attn_output;
    if (where == FFN_DOWN) {
        wanted = r->down;
        if (r->down_more && gets_more_bits(layer, n_layers)) wanted = r->down_more;
        if (r->down_first && layer < n_layers / 16) wanted = r->down_first;
    }
    return wanted ? wanted : r->most;
}

/* What stands in for a type whose block does not divide the row. */
static const fal_type *type_for(const char *wanted, int64_t n_cols) {
    static const char *const fallbacks[][2] = {
        {"q2_k",   "iq4_nl"},
        {"q3_k",   "iq4_nl"},
        {"q4_k",   "q5_0"  },
        {"q5_k",   "q5_1"  },
        {"q6_k",   "q8_0"  },
        {"iq4_xs", "iq4_nl"},
    };
    const fal_type *type = fal_type_by_name(wanted);
    if (!type || n_cols % type->weights_per_block == 0) return type;
    for (size_t i = 0; i < sizeof fallbacks / sizeof *fallbacks; i++) {
        if (strcmp(fallbacks[i][0], wanted) == 0) return type_for(fallbacks[i][1], n_cols);
    }
    return fal_type_by_name("f16");
}

/* One tensor of the file to be. */
typedef struct entry {
    char name[64];
    const fal_type *type;
    int n_dims;
    int64_t shape[2];
} entry;

typedef struct writing {
    const synthetic_shape *shape;
    const recipe *recipe;
    int n_layers;
    fal_gguf_writer *writer;
    entry *entries;
    size_t n_entries, capacity;
    void *stretch[64]; /* encoded weights by the type's place in the list; made when first needed */
    fal_random random;
} writing;

static fal_status add_entry(writing *w, entry e, fal_error *err) {
    if (!fal_grow((void **)&w->entries, &w->capacity, w->n_entries + 1, sizeof *w->entries))
        return fal_fail_memory(err, 0);
    w->entries[w->n_entries++] = e;
    return fal_gguf_add_tensor(w->writer, e.name, e.type, e.n_dims, e.shape, err);
}

static fal_status add_matrix(writing *w, const char *name, part where, int layer, int64_t n_rows,
                             int64_t n_cols, fal_error *err) {
    entry e = {
        .n_dims = 2, .shape = {n_rows, n_cols}
    };
    e.type = type_for(type_wanted(w->recipe, where, layer, w->n_layers), n_cols);
    if (layer < 0) {
        snprintf(e.name, sizeof e.name, "%s.weight", name);
    } else {
        snprintf(e.name, sizeof e.name, "blk.%d.%s.weight", layer, name);
    }
    return add_entry(w, e, err);
}

static fal_status add_norm(writing *w, const char *prefix, const char *name, fal_error *err) {
    static const char *const kinds[] = {"weight", "bias"};
    for (int i = 0; i < 2; i++) {
        entry e = {.type = fal_type_by_id(FAL_TYPE_F32), .n_dims = 1, .shape = {w->shape->d_model}};
        snprintf(e.name, sizeof e.name, "%s%s.%s", prefix, name, kinds[i]);
        FAL_TRY(add_entry(w, e, err));
    }
    return FAL_OK;
}

static fal_status add_tensors(writing *w, fal_error *err) {
    const synthetic_shape *s = w->shape;
    int64_t d = s->d_model, qkv_rows = d / s->n_heads * (s->n_heads + 2 * s->n_kv_heads);
    FAL_TRY(add_matrix(w, "token_embd", TOKEN_EMBD, -1, s->n_vocab, d, err));
    for (int layer = 0; layer < w->n_layers; layer++) {
        char prefix[32];
        snprintf(prefix, sizeof prefix, "blk.%d.", layer);
        FAL_TRY(add_norm(w, prefix, "attn_norm", err));
        if (s->has_two_norms) FAL_TRY(add_norm(w, prefix, "attn_norm_2", err));
        FAL_TRY(add_matrix(w, "attn_qkv", ATTN_QKV, layer, qkv_rows, d, err));
        FAL_TRY(add_matrix(w, "attn_output", ATTN_OUTPUT, layer, d, d, err));
        FAL_TRY(add_matrix(w, "ffn_up", FFN_UP, layer, s->d_ff, d, err));
        FAL_TRY(add_matrix(w, "ffn_down", FFN_DOWN, layer, d, s->d_ff, err));
    }
    FAL_TRY(add_norm(w, "", "output_norm", err));
    return add_matrix(w, "output", OUTPUT, -1, s->n_vocab, d, err);
}

static void set_keys(writing *w) {
    const synthetic_shape *s = w->shape;
    fal_gguf_writer *out = w->writer;
    char name[80];
    int length = snprintf(name, sizeof name, "synthetic %s, %d layers, %s", s->name, w->n_layers,
                          w->recipe->name);
    fal_gguf_set_string(out, "general.architecture", "falcon", 6);
    fal_gguf_set_string(out, "general.name", name, (size_t)length);
    fal_gguf_set_u32(out, "falcon.context_length", 8192);
    fal_gguf_set_string(out, "falcon.tensor_data_layout", "jploski", 7);
    fal_gguf_set_u32(out, "falcon.embedding_length", (uint32_t)s->d_model);
    fal_gguf_set_u32(out, "falcon.feed_forward_length", (uint32_t)s->d_ff);
    fal_gguf_set_u32(out, "falcon.block_count", (uint32_t)w->n_layers);
    fal_gguf_set_u32(out, "falcon.attention.head_count", (uint32_t)s->n_heads);
    fal_gguf_set_u32(out, "falcon.attention.head_count_kv", (uint32_t)s->n_kv_heads);
    fal_gguf_set_f32(out, "falcon.attention.layer_norm_epsilon", 1e-5f);
}

/* A byte-level vocabulary of the wanted size: controls, the 256 bytes, then pairs of bytes, each by one merge. */
static fal_status set_vocabulary(writing *w, fal_error *err) {
    size_t n = (size_t)w->shape->n_vocab, n_merges = n - N_CONTROLS - 256, at = 0;
    fal_status status = FAL_OK;
    fal_slice *texts = fal_alloc(n + n_merges, sizeof *texts);
    int32_t *types = fal_alloc(n, sizeof *types);
    char(*bytes)[16] = fal_alloc(n + n_merges, sizeof *bytes);
    if (!texts || !types || !bytes) {
        status = fal_fail_memory(err, n * 32);
        goto out;
    }
    for (size_t i = 0; i < n + n_merges; i++) {
        char *text = bytes[i];
        size_t token = i < n ? i : i - n + N_CONTROLS + 256, pair = token - N_CONTROLS - 256;
        int length = 0;
        if (token + 1 == N_CONTROLS) {
            length = snprintf(text, 16, "<|endoftext|>");
        } else if (token < N_CONTROLS) {
            length = snprintf(text, 16, ">>MARK%zu<<", token);
        } else if (token < N_CONTROLS + 256) {
            length = fal_utf8_encode(fal_byte_character((uint8_t)(token - N_CONTROLS)), text);
        } else {
            length = fal_utf8_encode(fal_byte_character((uint8_t)(pair / 256)), text);
            if (i >= n) text[length++] = ' ';
            length += fal_utf8_encode(fal_byte_character((uint8_t)(pair % 256)), text + length);
        }
        if (i < n) types[i] = token < N_CONTROLS ? 3 : 1;
        texts[at++] = (fal_slice){text, (size_t)length};
    }
    fal_gguf_set_string(w->writer, "tokenizer.ggml.model", "gpt2", 4);
    fal_gguf_set_string(w->writer, "tokenizer.ggml.pre", "falcon", 6);
    fal_gguf_set_strings(w->writer, "tokenizer.ggml.tokens", texts, n);
    fal_gguf_set_i32s(w->writer, "tokenizer.ggml.token_type", types, n);
    fal_gguf_set_strings(w->writer, "tokenizer.ggml.merges", texts + n, n_merges);
    fal_gguf_set_u32(w->writer, "tokenizer.ggml.bos_token_id", N_CONTROLS - 1);
    fal_gguf_set_u32(w->writer, "tokenizer.ggml.eos_token_id", N_CONTROLS - 1);
out:
    fal_free(bytes);
    fal_free(types);
    fal_free(texts);
    return status;
}

static int place_of(const fal_type *type) {
    int place = 0;
    while (fal_type_at(place) != type)
        place++;
    return place;
}

/* The stretch of a type: normal weights of the size that trained models have, so that activations stay finite. */
static fal_status stretch_of(writing *w, const fal_type *type, const char **out, fal_error *err) {
    void **stretch = &w->stretch[place_of(type)];
    *out = *stretch;
    if (*stretch) return FAL_OK;
    if (!type->encode)
        return fal_fail(err, FAL_E_UNSUPPORTED, "type %s has no encoder", type->name);
    int64_t n_blocks = STRETCH_WEIGHTS / type->weights_per_block;
    float *weights = fal_alloc(STRETCH_WEIGHTS, sizeof *weights);
    *stretch = fal_alloc((size_t)n_blocks, (size_t)type->bytes_per_block);
    if (!weights || !*stretch) {
        fal_free(weights);
        return fal_fail_memory(err, STRETCH_WEIGHTS * sizeof *weights);
    }
    for (int i = 0; i < STRETCH_WEIGHTS; i++)
        weights[i] = (float)(0.02 * fal_random_normal(&w->random));
    type->encode(weights, NULL, *stretch, n_blocks);
    fal_free(weights);
    *out = *stretch;
    return FAL_OK;
}

/* Norms are one and zero, as they are before training. */
static fal_status write_norm(writing *w, const entry *e, fal_error *err) {
    float value = strstr(e->name, ".bias") ? 0.0f : 1.0f;
    for (int64_t i = 0; i < e->shape[0]; i++)
        FAL_TRY(fal_gguf_write_data(w->writer, &value, sizeof value, err));
    return FAL_OK;
}

static fal_status write_matrix(writing *w, const entry *e, fal_error *err) {
    const char *stretch;
    FAL_TRY(stretch_of(w, e->type, &stretch, err));
    int64_t n_stretch = STRETCH_WEIGHTS / e->type->weights_per_block;
    int64_t left = e->shape[0] * e->shape[1] / e->type->weights_per_block;
    int64_t from = (int64_t)(fal_random_u64(&w->random) % (uint64_t)n_stretch);
    while (left > 0) {
        int64_t n = n_stretch - from < left ? n_stretch - from : left;
        size_t block = (size_t)e->type->bytes_per_block;
        FAL_TRY(
            fal_gguf_write_data(w->writer, stretch + (size_t)from * block, (size_t)n * block, err));
        left -= n;
        from = 0;
    }
    return FAL_OK;
}

static fal_status write_all(writing *w, const char *path, fal_error *err) {
    FAL_TRY(fal_gguf_writer_open(&w->writer, err));
    set_keys(w);
    FAL_TRY(set_vocabulary(w, err));
    FAL_TRY(add_tensors(w, err));
    FAL_TRY(fal_gguf_writer_begin(w->writer, path, err));
    for (size_t i = 0; i < w->n_entries; i++) {
        const entry *e = &w->entries[i];
        FAL_TRY(e->n_dims == 1 ? write_norm(w, e, err) : write_matrix(w, e, err));
    }
    return fal_gguf_writer_commit(w->writer, err);
}

fal_status synthetic_model_write(const char *path, const synthetic_shape *shape, int n_layers,
                                 const char *recipe_name, fal_error *err) {
    writing w = {.shape = shape, .n_layers = n_layers > 0 ? n_layers : shape->n_layers};
    for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++) {
        if (strcmp(recipes[i].name, recipe_name) == 0) w.recipe = &recipes[i];
    }
    if (!w.recipe) return fal_fail(err, FAL_E_ARGUMENT, "no type is called '%s'", recipe_name);
    w.random = fal_random_seeded(1, 0);
    fal_status status = write_all(&w, path, err);
    fal_gguf_writer_close(w.writer);
    for (size_t i = 0; i < sizeof w.stretch / sizeof *w.stretch; i++)
        fal_free(w.stretch[i]);
    fal_free(w.entries);
    return status;
}
