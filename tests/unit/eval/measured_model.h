/* Tiny models to measure, made from the checkpoints of tests/golden, and a text without a pattern. */
#ifndef FAL_TESTS_MEASURED_MODEL_H
#define FAL_TESTS_MEASURED_MODEL_H

#include "check.h"
#include "convert/convert.h"
#include "eval/eval.h"
#include "formats/gguf_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A path of this process's own. */
static inline const char *measured_path(const char *name, char path[256]) {
    const char *folder = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    int n = snprintf(path, 256, "%s/falconer-eval-%ld-%s", folder, (long)getpid(), name);
    assert_in_range(n, 1, 255);
    return path;
}

/* Writes the checkpoint of this name as path. */
static inline void measured_convert(const char *name, const char *type, const char *path) {
    fal_error err = {0};
    char folder[512];
    snprintf(folder, sizeof folder, FAL_SOURCE_DIR "/tests/golden/models/%s", name);
    const fal_convert_options options = {.type = type};
    CHECK_OK(fal_convert_folder(folder, path, &options, &err), &err);
}

static inline fal_model *measured_open(const char *path, const fal_model_options *options) {
    fal_error err = {0};
    fal_model *model;
    CHECK_OK(fal_model_open(&model, path, options, &err), &err);
    return model;
}

/* The same ids for each seed. */
static inline void measured_text(int32_t *tokens, size_t count, const fal_model *model,
                                 uint32_t seed) {
    uint32_t drawn = seed, n_vocab = (uint32_t)fal_model_info_get(model)->n_vocab;
    for (size_t i = 0; i < count; i++) {
        drawn = drawn * 1664525u + 1013904223u;
        tokens[i] = (int32_t)((drawn >> 8) % n_vocab);
    }
}

/* Copies the file with bos_token_id 11 and a vocabulary that asks for it. */
static inline void measured_add_bos(const char *from, const char *to) {
    fal_error err = {0};
    fal_gguf *f;
    fal_gguf_writer *w;
    CHECK_OK(fal_gguf_open(&f, from, &err), &err);
    CHECK_OK(fal_gguf_writer_open(&w, &err), &err);
    for (int i = 0; i < fal_gguf_value_count(f); i++) {
        const fal_gguf_value *v = fal_gguf_value_at(f, i);
        if (strcmp(v->key, "tokenizer.ggml.bos_token_id") != 0
            && strcmp(v->key, "tokenizer.ggml.add_bos_token") != 0)
            fal_gguf_set_value(w, f, v);
    }
    fal_gguf_set_u32(w, "tokenizer.ggml.bos_token_id", 11);
    fal_gguf_set_bool(w, "tokenizer.ggml.add_bos_token", true);
    for (int i = 0; i < fal_gguf_tensor_count(f); i++) {
        const fal_gguf_tensor *t = fal_gguf_tensor_at(f, i);
        CHECK_OK(
            fal_gguf_add_tensor(w, t->name, fal_type_by_id(t->type_id), t->n_dims, t->shape, &err),
            &err);
    }
    CHECK_OK(fal_gguf_writer_begin(w, to, &err), &err);
    for (int i = 0; i < fal_gguf_tensor_count(f); i++) {
        const fal_gguf_tensor *t = fal_gguf_tensor_at(f, i);
        CHECK_OK(fal_gguf_write_data(w, t->data, (size_t)t->bytes, &err), &err);
    }
    CHECK_OK(fal_gguf_writer_commit(w, &err), &err);
    fal_gguf_writer_close(w);
    fal_gguf_close(f);
}

/* Overwrites one number of an f32 tensor in the file. */
static inline void measured_spoil(const char *path, const char *tensor, int64_t index,
                                  float value) {
    fal_error err = {0};
    fal_gguf *f;
    CHECK_OK(fal_gguf_open(&f, path, &err), &err);
    const fal_gguf_tensor *t = fal_gguf_tensor_find(f, tensor);
    assert_non_null(t);
    long at = (long)t->offset + (long)index * (long)sizeof value;
    fal_gguf_close(f);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_equal(fwrite(&value, sizeof value, 1, file), 1);
    assert_int_equal(fclose(file), 0);
}

#endif
