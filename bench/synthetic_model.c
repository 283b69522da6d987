/* Body of synthetic_model.h. The weights of one type are encoded once, as a stretch of a million normal values, and every
 * tensor repeats it from another place: speed does not depend on values, and encoding billions would take minutes. Which
 * tensor gets which type is convert's. */
#include "synthetic_model.h"

#include "base/alloc.h"
#include "base/random.h"
#include "base/utf8.h"
#include "convert/type_plan.h"
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

/* A number type that is no mix: all matrices take it. NULL: no such type, or not one of files. */
static const fal_type *plain_type(const char *name) {
    const fal_type *type = fal_mix_by_name(name) ? NULL : fal_type_by_name(name);
    return type && type->in_files ? type : NULL;
}

const char *synthetic_recipe_at(int index) {
    int left = index - fal_mix_count();
    if (left < 0) return fal_mix_at(index)->name;
    for (int i = 0; i < fal_type_count(); i++) {
        const fal_type *type = plain_type(fal_type_at(i)->name);
        if (type && left-- == 0) return type->name;
    }
    return NULL;
}

typedef struct writing {
    const synthetic_shape *shape;
    const char *recipe;
    int n_layers;
    fal_gguf_writer *writer;
    fal_plan_tensor *tensors;
    char (*names)[64]; /* of the tensors */
    fal_plan_entry *plan;
    size_t n_tensors;
    void *stretch[64]; /* encoded weights by the type's place in the list; made when first needed */
    fal_random random;
} writing;

/* layer -1: outside the layers. n_rows 0: a vector. */
static void add(writing *w, int layer, const char *name, int64_t n_rows, int64_t n_cols) {
    char *own = w->names[w->n_tensors];
    if (layer < 0) {
        snprintf(own, sizeof *w->names, "%s", name);
    } else {
        snprintf(own, sizeof *w->names, "blk.%d.%s", layer, name);
    }
    fal_plan_tensor tensor = {.name = own, .source = fal_type_by_id(FAL_TYPE_F32)};
    tensor.n_dims = n_rows ? 2 : 1;
    tensor.shape[0] = n_rows ? n_rows : n_cols;
    tensor.shape[1] = n_rows ? n_cols : 1;
    tensor.shape[2] = tensor.shape[3] = 1;
    w->tensors[w->n_tensors++] = tensor;
}

static void add_all(writing *w) {
    const synthetic_shape *s = w->shape;
    int64_t d = s->d_model, qkv_rows = d / s->n_heads * (s->n_heads + 2 * s->n_kv_heads);
    add(w, -1, "token_embd.weight", s->n_vocab, d);
    for (int layer = 0; layer < w->n_layers; layer++) {
        add(w, layer, "attn_norm.weight", 0, d);
        add(w, layer, "attn_norm.bias", 0, d);
        if (s->has_two_norms) {
            add(w, layer, "attn_norm_2.weight", 0, d);
            add(w, layer, "attn_norm_2.bias", 0, d);
        }
        add(w, layer, "attn_qkv.weight", qkv_rows, d);
        add(w, layer, "attn_output.weight", d, d);
        add(w, layer, "ffn_up.weight", s->d_ff, d);
        add(w, layer, "ffn_down.weight", d, s->d_ff);
    }
    add(w, -1, "output_norm.weight", 0, d);
    add(w, -1, "output_norm.bias", 0, d);
    add(w, -1, "output.weight", s->n_vocab, d);
}

/* The tensors and their types: those that a quantizer would choose. */
static fal_status plan_tensors(writing *w, fal_error *err) {
    size_t most = 8 * (size_t)w->n_layers + 4;
    w->tensors = fal_alloc(most, sizeof *w->tensors);
    w->names = fal_alloc(most, sizeof *w->names);
    w->plan = fal_alloc(most, sizeof *w->plan);
    if (!w->tensors || !w->names || !w->plan) return fal_fail_memory(err, most);
    add_all(w);
    fal_type_wish wish = {".", plain_type(w->recipe)};
    fal_type_plan_options options = {.mix = fal_mix_by_name(wish.type ? "q8_0" : w->recipe),
                                     .architecture = "falcon",
                                     .n_layers = w->n_layers,
                                     .wishes = &wish,
                                     .n_wishes = wish.type ? 1 : 0};
    if (!options.mix) return fal_fail(err, FAL_E_ARGUMENT, "no type is called '%s'", w->recipe);
    FAL_TRY(fal_type_plan_make(w->plan, w->tensors, w->n_tensors, &options, err));
    for (size_t i = 0; i < w->n_tensors; i++) {
        const fal_plan_tensor *t = &w->tensors[i];
        FAL_TRY(fal_gguf_add_tensor(w->writer, t->name, w->plan[i].used, t->n_dims, t->shape, err));
    }
    return FAL_OK;
}

static void set_keys(writing *w) {
    const synthetic_shape *s = w->shape;
    fal_gguf_writer *out = w->writer;
    char name[80];
    int length =
        snprintf(name, sizeof name, "synthetic %s, %d layers, %s", s->name, w->n_layers, w->recipe);
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
static fal_status write_norm(writing *w, const fal_plan_tensor *t, fal_error *err) {
    float value = strstr(t->name, ".bias") ? 0.0f : 1.0f;
    for (int64_t i = 0; i < t->shape[0]; i++)
        FAL_TRY(fal_gguf_write_data(w->writer, &value, sizeof value, err));
    return FAL_OK;
}

static fal_status write_matrix(writing *w, const fal_plan_tensor *t, const fal_type *type,
                               fal_error *err) {
    const char *stretch;
    FAL_TRY(stretch_of(w, type, &stretch, err));
    int64_t n_stretch = STRETCH_WEIGHTS / type->weights_per_block;
    int64_t left = t->shape[0] * t->shape[1] / type->weights_per_block;
    int64_t from = (int64_t)(fal_random_u64(&w->random) % (uint64_t)n_stretch);
    size_t block = (size_t)type->bytes_per_block;
    while (left > 0) {
        int64_t n = n_stretch - from < left ? n_stretch - from : left;
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
    FAL_TRY(plan_tensors(w, err));
    FAL_TRY(fal_gguf_writer_begin(w->writer, path, err));
    for (size_t i = 0; i < w->n_tensors; i++) {
        const fal_plan_tensor *t = &w->tensors[i];
        FAL_TRY(t->n_dims == 1 ? write_norm(w, t, err) : write_matrix(w, t, w->plan[i].used, err));
    }
    return fal_gguf_writer_commit(w->writer, err);
}

fal_status synthetic_model_write(const char *path, const synthetic_shape *shape, int n_layers,
                                 const char *recipe, fal_error *err) {
    writing w = {.shape = shape, .recipe = recipe, .random = fal_random_seeded(1, 0)};
    w.n_layers = n_layers > 0 ? n_layers : shape->n_layers;
    fal_status status = write_all(&w, path, err);
    fal_gguf_writer_close(w.writer);
    for (size_t i = 0; i < sizeof w.stretch / sizeof *w.stretch; i++)
        fal_free(w.stretch[i]);
    fal_free(w.plan);
    fal_free(w.names);
    fal_free(w.tensors);
    return status;
}
