/* Body of gguf_write.h: collects the metadata as the bytes it becomes and the directory as a list, then writes both.
 * Sizes and offsets are known before the first byte is written, so nothing is ever patched. */
#include "formats/gguf_write.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/string_builder.h"
#include "base/string_map.h"
#include "formats/gguf_private.h"

#include <limits.h>
#include <string.h>

enum {
    VERSION = 3
};

typedef struct name_list {
    char **items; /* owned; the map borrows them */
    size_t count, capacity;
    fal_string_map *map;
} name_list;

typedef struct announced_tensor {
    const char *name; /* borrowed from the list of names */
    const fal_type *type;
    int n_dims;
    int64_t shape[FAL_GGUF_MAX_DIMS];
    uint64_t bytes;
} announced_tensor;

struct fal_gguf_writer {
    fal_string_builder values; /* as in the file */
    name_list keys, names;
    fal_status status; /* the first failure of a set */
    fal_error error;
    uint32_t alignment;
    announced_tensor *tensors;
    size_t tensor_capacity;
    fal_output *output; /* NULL before begin */
    size_t current;     /* the tensor whose data is being written */
    uint64_t written;   /* bytes of it */
};

/* ---- numbers as bytes ---- */

static void put_number(fal_string_builder *b, uint64_t number, int n_bytes) {
    char bytes[8];
    for (int i = 0; i < n_bytes; i++)
        bytes[i] = (char)(number >> 8 * i & 0xff);
    fal_string_append(b, bytes, (size_t)n_bytes);
}

static void put_string(fal_string_builder *b, const char *text, size_t length) {
    put_number(b, length, 8);
    fal_string_append(b, text, length);
}

static uint32_t bits_of_f32(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* ---- names ---- */

static fal_status add_name(name_list *list, const char *name, size_t max_bytes, fal_error *err) {
    FAL_TRY(fal_gguf_check_name(name, strlen(name), max_bytes, err));
    if (list->count >= INT_MAX) return fal_fail(err, FAL_E_LIMIT, "more than %d names", INT_MAX);
    if (!list->map) list->map = fal_string_map_open(64);
    void *items = list->items;
    bool has_room = fal_grow(&items, &list->capacity, list->count + 1, sizeof *list->items);
    list->items = items;
    char *copy = list->map && has_room ? fal_copy_string(name, strlen(name)) : NULL;
    if (!copy) return fal_fail_memory(err, 0);
    bool inserted = false;
    fal_status status =
        fal_string_map_add(list->map, fal_slice_of(copy), (int32_t)list->count, &inserted, err);
    if (inserted) {
        list->items[list->count++] = copy;
        return FAL_OK;
    }
    fal_free(copy);
    return status != FAL_OK ? status : fal_fail(err, FAL_E_FORMAT, "the name is there already");
}

static void release_names(name_list *list) {
    fal_string_map_close(list->map);
    for (size_t i = 0; i < list->count; i++)
        fal_free(list->items[i]);
    fal_free(list->items);
}

/* ---- metadata ---- */

fal_status fal_gguf_writer_open(fal_gguf_writer **out, fal_error *err) {
    *out = fal_alloc(1, sizeof **out);
    if (!*out) return fal_fail_memory(err, sizeof **out);
    (*out)->alignment = FAL_GGUF_DEFAULT_ALIGNMENT;
    return FAL_OK;
}

void fal_gguf_writer_close(fal_gguf_writer *w) {
    if (!w) return;
    fal_output_discard(w->output);
    fal_free(w->tensors);
    release_names(&w->names);
    release_names(&w->keys);
    fal_string_release(&w->values);
    fal_free(w);
}

/* Begins a value; false after a failure, which begin will report. */
static bool start_value(fal_gguf_writer *w, const char *key, fal_gguf_value_type type) {
    if (w->status != FAL_OK) return false;
    if (w->output) {
        w->status =
            fal_fail(&w->error, FAL_E_BUG, "key '%s' is set after the header was written", key);
        return false;
    }
    fal_status status = add_name(&w->keys, key, FAL_GGUF_MAX_KEY_BYTES, &w->error);
    w->status = fal_add_context(&w->error, status, "key '%.80s'", key);
    if (w->status != FAL_OK) return false;
    put_string(&w->values, key, strlen(key));
    put_number(&w->values, type, 4);
    return true;
}

static bool start_array(fal_gguf_writer *w, const char *key, fal_gguf_value_type element_type,
                        uint64_t count) {
    if (!start_value(w, key, FAL_GGUF_ARRAY)) return false;
    put_number(&w->values, element_type, 4);
    put_number(&w->values, count, 8);
    return true;
}

/* The alignment that the file announces is the one that is used. */
static void set_alignment(fal_gguf_writer *w, const char *key, uint32_t value) {
    if (strcmp(key, "general.alignment") != 0 || w->status != FAL_OK) return;
    w->status = fal_gguf_check_alignment(value, &w->error);
    if (w->status == FAL_OK) w->alignment = value;
}

void fal_gguf_set_u32(fal_gguf_writer *w, const char *key, uint32_t value) {
    if (start_value(w, key, FAL_GGUF_U32)) put_number(&w->values, value, 4);
    set_alignment(w, key, value);
}

void fal_gguf_set_u16(fal_gguf_writer *w, const char *key, uint16_t value) {
    if (start_value(w, key, FAL_GGUF_U16)) put_number(&w->values, value, 2);
}

void fal_gguf_set_i32(fal_gguf_writer *w, const char *key, int32_t value) {
    if (start_value(w, key, FAL_GGUF_I32)) put_number(&w->values, (uint32_t)value, 4);
}

void fal_gguf_set_u64(fal_gguf_writer *w, const char *key, uint64_t value) {
    if (start_value(w, key, FAL_GGUF_U64)) put_number(&w->values, value, 8);
}

void fal_gguf_set_f32(fal_gguf_writer *w, const char *key, float value) {
    if (start_value(w, key, FAL_GGUF_F32)) put_number(&w->values, bits_of_f32(value), 4);
}

void fal_gguf_set_bool(fal_gguf_writer *w, const char *key, bool value) {
    if (start_value(w, key, FAL_GGUF_BOOL)) put_number(&w->values, value, 1);
}

void fal_gguf_set_string(fal_gguf_writer *w, const char *key, const char *text, size_t length) {
    if (start_value(w, key, FAL_GGUF_STRING)) put_string(&w->values, text, length);
}

void fal_gguf_set_strings(fal_gguf_writer *w, const char *key, const fal_slice *texts,
                          size_t count) {
    if (!start_array(w, key, FAL_GGUF_STRING, count)) return;
    for (size_t i = 0; i < count; i++)
        put_string(&w->values, texts[i].data, texts[i].length);
}

void fal_gguf_set_i32s(fal_gguf_writer *w, const char *key, const int32_t *values, size_t count) {
    if (!start_array(w, key, FAL_GGUF_I32, count)) return;
    for (size_t i = 0; i < count; i++)
        put_number(&w->values, (uint32_t)values[i], 4);
}

void fal_gguf_set_f32s(fal_gguf_writer *w, const char *key, const float *values, size_t count) {
    if (!start_array(w, key, FAL_GGUF_F32, count)) return;
    for (size_t i = 0; i < count; i++)
        put_number(&w->values, bits_of_f32(values[i]), 4);
}

void fal_gguf_set_value(fal_gguf_writer *w, const fal_gguf *from, const fal_gguf_value *value) {
    bool started = value->type == FAL_GGUF_ARRAY
                       ? start_array(w, value->key, value->element_type, value->count)
                       : start_value(w, value->key, value->type);
    if (!started) return;
    for (uint64_t i = 0; value->element_type == FAL_GGUF_STRING && i < value->count; i++) {
        fal_gguf_string text = {NULL, 0};
        fal_gguf_value_string(from, value, i, &text);
        put_string(&w->values, text.data, text.length);
    }
    if (value->element_type != FAL_GGUF_STRING) {
        const fal_gguf_stored_value *stored = (const fal_gguf_stored_value *)value;
        size_t bytes = (size_t)value->count * fal_gguf_element_bytes(value->element_type);
        fal_string_append(&w->values, stored->data, bytes);
    }
    int64_t number;
    if (value->type == FAL_GGUF_U32 && fal_gguf_value_i64(from, value, 0, &number)) {
        set_alignment(w, value->key, (uint32_t)number);
    }
}

fal_status fal_gguf_writer_values(const fal_gguf_writer *w, fal_slice *bytes, size_t *n_keys,
                                  fal_error *err) {
    if (w->status != FAL_OK) return fal_fail(err, w->status, "%s", w->error.message);
    FAL_TRY(fal_string_status(&w->values, err));
    *bytes = (fal_slice){w->values.text, w->values.length};
    *n_keys = w->keys.count;
    return FAL_OK;
}

/* ---- directory ---- */

fal_status fal_gguf_add_tensor(fal_gguf_writer *w, const char *name, const fal_type *type,
                               int n_dims, const int64_t *shape, fal_error *err) {
    if (w->output)
        return fal_fail(err, FAL_E_BUG, "tensor '%s' is added after the header was written", name);
    announced_tensor t = {.type = type, .n_dims = n_dims};
    int64_t n_weights;
    fal_status status = fal_gguf_shape_weights(n_dims, shape, &n_weights, err);
    if (status == FAL_OK) status = fal_gguf_shape_bytes(type, n_dims, shape, &t.bytes, err);
    if (status != FAL_OK) return fal_add_context(err, status, "tensor '%.80s'", name);
    memcpy(t.shape, shape, (size_t)n_dims * sizeof *shape);

    void *items = w->tensors;
    bool has_room = fal_grow(&items, &w->tensor_capacity, w->names.count + 1, sizeof *w->tensors);
    w->tensors = items;
    if (!has_room) return fal_fail_memory(err, (w->names.count + 1) * sizeof *w->tensors);
    status = add_name(&w->names, name, FAL_GGUF_MAX_NAME_BYTES, err);
    if (status != FAL_OK) return fal_add_context(err, status, "tensor '%.80s'", name);
    t.name = w->names.items[w->names.count - 1];
    w->tensors[w->names.count - 1] = t;
    return FAL_OK;
}

static uint64_t padding(const fal_gguf_writer *w, uint64_t position) {
    return (w->alignment - position % w->alignment) % w->alignment;
}

/* Adds a tensor's bytes and its padding; the last one is padded too, which some readers insist on. */
static fal_status add_bytes(const fal_gguf_writer *w, uint64_t *position, uint64_t bytes,
                            fal_error *err) {
    if (bytes > INT64_MAX - *position - w->alignment) {
        return fal_fail(err, FAL_E_LIMIT, "the file exceeds %lld bytes", (long long)INT64_MAX);
    }
    *position += bytes;
    *position += padding(w, *position);
    return FAL_OK;
}

fal_status fal_gguf_writer_file_bytes(const fal_gguf_writer *w, uint64_t *out, fal_error *err) {
    uint64_t position = 4 + 4 + 8 + 8 + w->values.length;
    for (size_t i = 0; i < w->names.count; i++) {
        position += 8 + strlen(w->tensors[i].name) + 4 + 8 * (uint64_t)w->tensors[i].n_dims + 4 + 8;
    }
    if (w->names.count) position += padding(w, position);
    for (size_t i = 0; i < w->names.count; i++)
        FAL_TRY(add_bytes(w, &position, w->tensors[i].bytes, err));
    *out = position;
    return FAL_OK;
}

/* Dimensions are stored innermost first. */
static fal_status put_directory(const fal_gguf_writer *w, fal_string_builder *b, fal_error *err) {
    uint64_t offset = 0;
    for (size_t i = 0; i < w->names.count; i++) {
        const announced_tensor *t = &w->tensors[i];
        put_string(b, t->name, strlen(t->name));
        put_number(b, (uint64_t)t->n_dims, 4);
        for (int d = t->n_dims - 1; d >= 0; d--)
            put_number(b, (uint64_t)t->shape[d], 8);
        put_number(b, t->type->gguf_id, 4);
        put_number(b, offset, 8);
        FAL_TRY(add_bytes(w, &offset, t->bytes, err));
    }
    return FAL_OK;
}

/* ---- writing ---- */

static fal_status write_padding(fal_gguf_writer *w, fal_error *err) {
    static const char zeros[64];
    uint64_t left = padding(w, fal_output_position(w->output));
    while (left) {
        size_t n = left < sizeof zeros ? (size_t)left : sizeof zeros;
        FAL_TRY(fal_output_write(w->output, zeros, n, err));
        left -= n;
    }
    return FAL_OK;
}

fal_status fal_gguf_writer_header(const fal_gguf_writer *w, fal_string_builder *out,
                                  fal_error *err) {
    if (w->status != FAL_OK) return fal_fail(err, w->status, "%s", w->error.message);
    FAL_TRY(fal_string_status(&w->values, err));
    fal_string_append(out, "GGUF", 4);
    put_number(out, VERSION, 4);
    put_number(out, w->names.count, 8);
    put_number(out, w->keys.count, 8);
    if (w->values.length) fal_string_append(out, w->values.text, w->values.length);
    FAL_TRY(put_directory(w, out, err));
    return fal_string_status(out, err);
}

fal_status fal_gguf_writer_begin(fal_gguf_writer *w, const char *path, fal_error *err) {
    if (w->output) return fal_fail(err, FAL_E_BUG, "the header was written already");
    fal_string_builder header = {0};
    fal_status status = fal_gguf_writer_header(w, &header, err);
    if (status == FAL_OK) status = fal_output_open(&w->output, path, err);
    if (status == FAL_OK) status = fal_output_write(w->output, header.text, header.length, err);
    if (status == FAL_OK && w->names.count) status = write_padding(w, err);
    fal_string_release(&header);
    return status;
}

fal_status fal_gguf_write_data(fal_gguf_writer *w, const void *data, size_t bytes, fal_error *err) {
    if (!w->output) return fal_fail(err, FAL_E_BUG, "data before the header");
    if (bytes == 0) return FAL_OK;
    if (w->current >= w->names.count) {
        return fal_fail(err, FAL_E_BUG, "%zu bytes of data behind the last tensor", bytes);
    }
    const announced_tensor *t = &w->tensors[w->current];
    if (bytes > t->bytes - w->written) {
        return fal_fail(
            err, FAL_E_BUG, "tensor '%s': %zu bytes of data where %llu of %llu are left", t->name,
            bytes, (unsigned long long)(t->bytes - w->written), (unsigned long long)t->bytes);
    }
    FAL_TRY(fal_output_write(w->output, data, bytes, err));
    w->written += bytes;
    if (w->written < t->bytes) return FAL_OK;
    w->current++;
    w->written = 0;
    return write_padding(w, err);
}

fal_status fal_gguf_writer_commit(fal_gguf_writer *w, fal_error *err) {
    if (!w->output) return fal_fail(err, FAL_E_BUG, "nothing was begun");
    if (w->status != FAL_OK) return fal_fail(err, w->status, "%s", w->error.message);
    if (w->current < w->names.count) {
        const announced_tensor *t = &w->tensors[w->current];
        return fal_fail(err, FAL_E_BUG, "tensor '%s': %llu of %llu bytes are written", t->name,
                        (unsigned long long)w->written, (unsigned long long)t->bytes);
    }
    fal_output *output = w->output;
    w->output = NULL;
    return fal_output_commit(output, err);
}
