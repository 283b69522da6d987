/* Builds GGUF files by hand, field by field, so that tests do not depend on the writer under test. */
#ifndef FAL_TESTS_GGUF_BYTES_H
#define FAL_TESTS_GGUF_BYTES_H

#include "base/string_builder.h"
#include "check.h"
#include "formats/gguf_memory.h"

#include <stdlib.h>

typedef struct gguf_bytes {
    fal_string_builder b;
    int version;
    void *
        copy; /* what the file under test was opened from; ends exactly at the end of a heap block */
} gguf_bytes;

static inline void put(gguf_bytes *g, uint64_t number, int n_bytes) {
    char bytes[8];
    for (int i = 0; i < n_bytes; i++)
        bytes[i] = (char)(number >> 8 * i & 0xff);
    fal_string_append(&g->b, bytes, (size_t)n_bytes);
}

static inline void put_length(gguf_bytes *g, uint64_t number) {
    put(g, number, g->version == 1 ? 4 : 8);
}

static inline void put_bytes(gguf_bytes *g, const char *bytes, size_t length) {
    put_length(g, length);
    fal_string_append(&g->b, bytes, length);
}

static inline void put_text(gguf_bytes *g, const char *text) {
    put_bytes(g, text, strlen(text));
}

static inline void put_header(gguf_bytes *g, int version, uint64_t n_tensors, uint64_t n_values) {
    g->version = version;
    fal_string_append(&g->b, "GGUF", 4);
    put(g, (uint64_t)version, 4);
    put_length(g, n_tensors);
    put_length(g, n_values);
}

/* A key and the type of its value; the value follows. */
static inline void put_key(gguf_bytes *g, const char *key, fal_gguf_value_type type) {
    put_text(g, key);
    put(g, type, 4);
}

static inline void put_array(gguf_bytes *g, const char *key, fal_gguf_value_type element_type,
                             uint64_t count) {
    put_key(g, key, FAL_GGUF_ARRAY);
    put(g, element_type, 4);
    put_length(g, count);
}

/* dims as in the file: innermost first. */
static inline void put_tensor(gguf_bytes *g, const char *name, int n_dims, const uint64_t *dims,
                              uint32_t type, uint64_t offset) {
    put_text(g, name);
    put(g, (uint64_t)n_dims, 4);
    for (int i = 0; i < n_dims; i++)
        put_length(g, dims[i]);
    put(g, type, 4);
    put(g, offset, 8);
}

static inline void put_padding(gguf_bytes *g, size_t alignment) {
    while (g->b.length % alignment)
        put(g, 0, 1);
}

static inline void put_data(gguf_bytes *g, size_t n_bytes) {
    for (size_t i = 0; i < n_bytes; i++)
        put(g, i & 0xff, 1);
}

/* Opens the first `length` bytes from a block of exactly that size. */
static inline fal_status open_prefix(fal_gguf **out, gguf_bytes *g, size_t length, fal_error *err) {
    free(g->copy);
    g->copy = malloc(length ? length : 1);
    if (length) memcpy(g->copy, g->b.text, length);
    return fal_gguf_open_memory(out, g->copy, length, "memory", err);
}

static inline fal_status open_all(fal_gguf **out, gguf_bytes *g, fal_error *err) {
    return open_prefix(out, g, g->b.length, err);
}

static inline void release_bytes(gguf_bytes *g) {
    fal_string_release(&g->b);
    free(g->copy);
    *g = (gguf_bytes){0};
}

/* One value of each kind and two tensors: f32 [2, 3] with the bytes 0, 1, 2, ... and q8_0 [1, 32]. */
static inline void put_small_file(gguf_bytes *g, int version) {
    put_header(g, version, 2, 5);
    put_key(g, "general.architecture", FAL_GGUF_STRING);
    put_text(g, "falcon");
    put_key(g, "a.count", FAL_GGUF_U32);
    put(g, 7, 4);
    put_array(g, "a.numbers", FAL_GGUF_I16, 2);
    put(g, 0xffff, 2);
    put(g, 2, 2);
    put_array(g, "a.words", FAL_GGUF_STRING, 2);
    put_text(g, "one");
    put_text(g, "");
    put_key(g, "a.flag", FAL_GGUF_BOOL);
    put(g, 1, 1);
    put_tensor(g, "first.weight", 2, (const uint64_t[]){3, 2}, 0, 0);
    put_tensor(g, "second.weight", 2, (const uint64_t[]){32, 1}, 8, 32);
    put_padding(g, 32);
    put_data(g, 24);
    put_padding(g, 32);
    put_data(g, 34);
}

#endif
