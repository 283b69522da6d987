/* The GGUF reader, and every answer it gives about a file that it accepts. */
#include <falconer/gguf.h>

#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

volatile unsigned fal_fuzz_sum;

static void walk_value(const fal_gguf *f, const fal_gguf_value *v) {
    if (fal_gguf_find(f, v->key) != v) abort();
    uint32_t u32;
    float f32;
    bool flag;
    fal_gguf_string text;
    fal_gguf_find_u32(f, v->key, &u32);
    fal_gguf_find_f32(f, v->key, &f32);
    fal_gguf_find_bool(f, v->key, &flag);
    fal_gguf_find_string(f, v->key, &text);
    for (uint64_t i = 0; i < v->count; i++) {
        int64_t i64;
        double f64;
        bool answered = fal_gguf_value_i64(f, v, i, &i64);
        answered |= fal_gguf_value_f64(f, v, i, &f64);
        if (fal_gguf_value_string(f, v, i, &text)) fal_fuzz_sum += touch(text.data, text.length);
        if (answered && v->element_type == FAL_GGUF_STRING) abort();
    }
}

static void walk_tensor(const fal_gguf *f, const fal_gguf_tensor *t) {
    if (fal_gguf_tensor_find(f, t->name) != t || t->n_dims < 1 || t->n_dims > 4) abort();
    for (int i = 0; i < 4; i++) {
        if (t->shape[i] < 1) abort();
    }
    fal_fuzz_sum += touch(t->data, t->bytes) + (unsigned)strlen(t->type_name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    fal_gguf *f;
    fal_error err = {0};
    fal_status status = fal_gguf_open_memory(&f, data, length, "memory", &err);
    if (status != FAL_OK) {
        if (f || err.status != status || err.message[0] == '\0' || strchr(err.message, '\n'))
            abort();
        return 0;
    }
    for (int i = 0; i < fal_gguf_value_count(f); i++)
        walk_value(f, fal_gguf_value_at(f, i));
    for (int i = 0; i < fal_gguf_tensor_count(f); i++)
        walk_tensor(f, fal_gguf_tensor_at(f, i));
    fal_gguf_close(f);
    return 0;
}
