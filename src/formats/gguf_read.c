/* Reads the header of one GGUF file: metadata and tensor directory. The only place where GGUF's order of dimensions is
 * reversed. Checks the container alone; what a key or a tensor means, and whether its shape suits a model, is left to
 * those who use it. Sets of files are gguf_open.c's. */
#include "base/alloc.h"
#include "base/bytes.h"
#include "formats/gguf_private.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_VERSION = 3
};

typedef struct parser {
    fal_reader reader;
    uint32_t version;
} parser;

static uint64_t read_length(parser *p) {
    return p->version == 1 ? fal_read_u32(&p->reader) : fal_read_u64(&p->reader);
}

static fal_slice read_string(parser *p) {
    uint64_t length = read_length(p);
    return fal_read_slice(&p->reader, length);
}

static fal_status read_name(parser *p, char **out, size_t max_bytes, const char *what,
                            uint64_t index, fal_error *err) {
    fal_slice text = read_string(p);
    FAL_TRY(fal_reader_status(&p->reader, err));
    fal_status status = fal_gguf_check_name(text.data, text.length, max_bytes, err);
    if (status != FAL_OK)
        return fal_add_context(err, status, "%s %llu", what, (unsigned long long)index);
    *out = fal_copy_string(text.data, text.length);
    return *out ? FAL_OK : fal_fail_memory(err, text.length + 1);
}

static bool is_value_type(uint32_t type) {
    return type <= FAL_GGUF_F64;
}

static fal_status read_strings(parser *p, fal_gguf_stored_value *v, fal_error *err) {
    size_t min_bytes = p->version == 1 ? sizeof(uint32_t) : sizeof(uint64_t);
    if (v->face.count > fal_reader_remaining(&p->reader) / min_bytes) {
        return fal_fail(err, FAL_E_FORMAT, "key '%s': %llu strings in the %zu bytes that are left",
                        v->key, (unsigned long long)v->face.count,
                        fal_reader_remaining(&p->reader));
    }
    v->elements = fal_alloc((size_t)v->face.count, sizeof *v->elements);
    if (!v->elements) return fal_fail_memory(err, (size_t)v->face.count * sizeof *v->elements);
    for (size_t i = 0; i < v->face.count && !p->reader.failed; i++) {
        fal_slice text = read_string(p);
        v->elements[i] = (fal_gguf_string){text.data, text.length};
    }
    return FAL_OK;
}

static fal_status read_numbers(parser *p, fal_gguf_stored_value *v, fal_error *err) {
    size_t size = fal_gguf_element_bytes(v->face.element_type);
    if (v->face.count > fal_reader_remaining(&p->reader) / size) {
        return fal_fail(err, FAL_E_FORMAT,
                        "key '%s': %llu elements of %zu bytes in the %zu bytes that are left",
                        v->key, (unsigned long long)v->face.count, size,
                        fal_reader_remaining(&p->reader));
    }
    fal_slice bytes = fal_read_slice(&p->reader, v->face.count * size);
    v->data = bytes.data;
    if (v->face.element_type != FAL_GGUF_BOOL) return FAL_OK;
    for (size_t i = 0; i < bytes.length; i++) {
        if ((uint8_t)bytes.data[i] > 1) {
            return fal_fail(err, FAL_E_FORMAT, "key '%s': a bool of value %u, 0 or 1 is allowed",
                            v->key, (unsigned)(uint8_t)bytes.data[i]);
        }
    }
    return FAL_OK;
}

static fal_status read_value(parser *p, fal_gguf_stored_value *v, uint64_t index, fal_error *err) {
    FAL_TRY(read_name(p, &v->key, FAL_GGUF_MAX_KEY_BYTES, "key", index, err));
    v->face.key = v->key;
    uint32_t type = fal_read_u32(&p->reader);
    uint32_t element_type = type;
    v->face.count = 1;
    if (type == FAL_GGUF_ARRAY) {
        element_type = fal_read_u32(&p->reader);
        v->face.count = read_length(p);
    }
    FAL_TRY(fal_reader_status(&p->reader, err));
    if (!is_value_type(type) || !is_value_type(element_type)) {
        return fal_fail(err, FAL_E_FORMAT, "key '%s': value type %u, at most %d is known", v->key,
                        is_value_type(type) ? element_type : type, FAL_GGUF_F64);
    }
    if (element_type == FAL_GGUF_ARRAY) {
        return fal_fail(err, FAL_E_UNSUPPORTED, "key '%s': an array of arrays", v->key);
    }
    v->face.type = (fal_gguf_value_type)type;
    v->face.element_type = (fal_gguf_value_type)element_type;
    if (element_type != FAL_GGUF_STRING) {
        FAL_TRY(read_numbers(p, v, err));
    } else if (type == FAL_GGUF_ARRAY) {
        FAL_TRY(read_strings(p, v, err));
    } else {
        fal_slice text = read_string(p);
        v->string = (fal_gguf_string){text.data, text.length};
    }
    return fal_add_context(err, fal_reader_status(&p->reader, err), "key '%s'", v->key);
}

static fal_status read_values(parser *p, fal_gguf_part *part, uint64_t n_values, fal_error *err) {
    part->values = fal_alloc((size_t)n_values, sizeof *part->values);
    part->value_map = fal_string_map_open((size_t)n_values);
    if (!part->values || !part->value_map) {
        return fal_fail_memory(err, (size_t)n_values * sizeof *part->values);
    }
    for (uint64_t i = 0; i < n_values; i++) {
        fal_gguf_stored_value *v = &part->values[i];
        part->n_values++;
        FAL_TRY(read_value(p, v, i, err));
        bool inserted;
        FAL_TRY(
            fal_string_map_add(part->value_map, fal_slice_of(v->key), (int32_t)i, &inserted, err));
        if (!inserted) return fal_fail(err, FAL_E_FORMAT, "key '%s' is there twice", v->key);
    }
    return FAL_OK;
}

static fal_status read_shape(parser *p, fal_gguf_tensor *t, fal_error *err) {
    uint32_t n_dims = fal_read_u32(&p->reader);
    FAL_TRY(fal_reader_status(&p->reader, err));
    if (n_dims > FAL_GGUF_MAX_DIMS) {
        return fal_fail(err, FAL_E_FORMAT, "%u dimensions, 1 to %d are allowed", n_dims,
                        FAL_GGUF_MAX_DIMS);
    }
    t->n_dims = (int)n_dims;
    for (int i = 0; i < FAL_GGUF_MAX_DIMS; i++)
        t->shape[i] = 1;
    /* An extent beyond INT64_MAX turns negative here and is refused with the other bad ones. */
    for (int i = t->n_dims - 1; i >= 0; i--)
        t->shape[i] = (int64_t)read_length(p);
    FAL_TRY(fal_reader_status(&p->reader, err));
    int64_t n_weights;
    return fal_gguf_shape_weights(t->n_dims, t->shape, &n_weights, err);
}

/* A type without a row is listed, so that the file can be inspected; its size stays unknown and is 0. */
static fal_status find_size(fal_gguf_stored_tensor *t, fal_error *err) {
    const fal_type *type = fal_type_by_id(t->face.type_id);
    t->face.type_name = fal_type_name_of_id(t->face.type_id);
    if (!t->face.type_name) {
        char text[32];
        int length = snprintf(text, sizeof text, "type %u", t->face.type_id);
        t->type_text = fal_copy_string(text, (size_t)length);
        t->face.type_name = t->type_text;
        if (!t->type_text) return fal_fail_memory(err, sizeof text);
    }
    if (!type) return FAL_OK;
    return fal_gguf_shape_bytes(type, t->face.n_dims, t->face.shape, &t->face.bytes, err);
}

static fal_status read_tensor(parser *p, fal_gguf *f, uint64_t index, fal_error *err) {
    fal_gguf_stored_tensor *t = &f->tensors[f->n_tensors];
    memset(t, 0, sizeof *t);
    FAL_TRY(read_name(p, &t->name, FAL_GGUF_MAX_NAME_BYTES, "tensor", index, err));
    f->n_tensors++;
    t->face.name = t->name;
    fal_status status = FAL_OK;
    FAL_TRY_OUT(read_shape(p, &t->face, err));
    t->face.type_id = fal_read_u32(&p->reader);
    t->face.offset = fal_read_u64(&p->reader);
    FAL_TRY_OUT(fal_reader_status(&p->reader, err));
    FAL_TRY_OUT(find_size(t, err));
    bool inserted;
    FAL_TRY_OUT(
        fal_string_map_add(f->tensor_map, fal_slice_of(t->name), f->n_tensors - 1, &inserted, err));
    if (!inserted) status = fal_fail(err, FAL_E_FORMAT, "the name is there twice");
out:
    return fal_add_context(err, status, "tensor '%s'", t->name);
}

/* Turns offsets from the data section into offsets from the file, and checks that the data lies inside it. */
static fal_status place_tensor(const fal_gguf_part *part, fal_gguf_tensor *t, fal_error *err) {
    uint64_t data_start = part->data_start;
    uint64_t length = part->file_bytes ? part->file_bytes : part->length;
    if (t->offset % part->alignment != 0) {
        return fal_fail(err, FAL_E_FORMAT, "tensor '%s': offset %llu is not a multiple of %u",
                        t->name, (unsigned long long)t->offset, part->alignment);
    }
    uint64_t room = data_start < length ? length - data_start : 0;
    if (t->offset > room || t->bytes > room - t->offset) {
        return fal_fail(err, FAL_E_FORMAT,
                        "tensor '%s': %llu bytes at offset %llu of the data, which has %llu bytes",
                        t->name, (unsigned long long)t->bytes, (unsigned long long)t->offset,
                        (unsigned long long)room);
    }
    t->offset += data_start;
    if (t->bytes && t->offset + t->bytes <= part->length)
        t->data = (const char *)part->data + t->offset;
    return FAL_OK;
}

typedef struct extent {
    uint64_t begin, bytes; /* in the file */
    const char *name;
} extent;

static int compare_extents(const void *a, const void *b) {
    const extent *s = a, *t = b;
    if (s->begin != t->begin) return s->begin < t->begin ? -1 : 1;
    return s->bytes < t->bytes ? -1 : s->bytes > t->bytes;
}

static fal_status check_overlap(const fal_gguf_stored_tensor *tensors, size_t n, fal_error *err) {
    if (n < 2) return FAL_OK;
    extent *extents = fal_alloc(n, sizeof *extents);
    if (!extents) return fal_fail_memory(err, n * sizeof *extents);
    for (size_t i = 0; i < n; i++) {
        extents[i] = (extent){tensors[i].face.offset, tensors[i].face.bytes, tensors[i].name};
    }
    qsort(extents, n, sizeof *extents, compare_extents);
    fal_status status = FAL_OK;
    for (size_t i = 1; i < n && status == FAL_OK; i++) {
        const extent *s = &extents[i - 1], *t = &extents[i];
        if (t->begin - s->begin < s->bytes) {
            status =
                fal_fail(err, FAL_E_FORMAT,
                         "tensor '%s' at offset %llu overlaps tensor '%s' at %llu, of %llu bytes",
                         t->name, (unsigned long long)t->begin, s->name,
                         (unsigned long long)s->begin, (unsigned long long)s->bytes);
        }
    }
    fal_free(extents);
    return status;
}

static fal_status check_magic(parser *p, fal_error *err) {
    fal_slice magic = fal_read_slice(&p->reader, 4);
    FAL_TRY(fal_reader_status(&p->reader, err));
    if (memcmp(magic.data, "GGUF", 4) == 0) return FAL_OK;
    static const char *const forerunners[] = {"lmgg", "fmgg", "tjgg"};
    for (size_t i = 0; i < sizeof forerunners / sizeof *forerunners; i++) {
        if (memcmp(magic.data, forerunners[i], 4) == 0) {
            return fal_fail(err, FAL_E_UNSUPPORTED, "a GGML file from before GGUF");
        }
    }
    const uint8_t *b = (const uint8_t *)magic.data;
    return fal_fail(err, FAL_E_FORMAT, "not a GGUF file: it begins with %02x %02x %02x %02x", b[0],
                    b[1], b[2], b[3]);
}

static fal_status check_version(parser *p, fal_error *err) {
    p->version = fal_read_u32(&p->reader);
    FAL_TRY(fal_reader_status(&p->reader, err));
    if (p->version == 0)
        return fal_fail(err, FAL_E_FORMAT, "version 0, 1 to %d are known", MAX_VERSION);
    /* Nothing else marks the byte order: a small version read in the wrong order has its low half empty. */
    if ((p->version & 0xffffu) == 0)
        return fal_fail(err, FAL_E_UNSUPPORTED, "a big-endian GGUF file");
    if (p->version > MAX_VERSION) {
        return fal_fail(err, FAL_E_UNSUPPORTED, "version %u, 1 to %d are supported", p->version,
                        MAX_VERSION);
    }
    return FAL_OK;
}

/* No count is trusted before the bytes that are left could hold that many of the smallest items. */
static fal_status check_count(parser *p, uint64_t count, size_t min_bytes, const char *what,
                              fal_error *err) {
    size_t remaining = fal_reader_remaining(&p->reader);
    if (count <= remaining / min_bytes && count <= INT_MAX) return FAL_OK;
    return fal_fail(err, FAL_E_FORMAT, "%llu %s in the %zu bytes that are left",
                    (unsigned long long)count, what, remaining);
}

static fal_status find_alignment(fal_gguf_part *part, fal_error *err) {
    part->alignment = FAL_GGUF_DEFAULT_ALIGNMENT;
    const fal_gguf_stored_value *v = fal_gguf_part_find(part, "general.alignment");
    if (!v) return FAL_OK;
    if (v->face.type != FAL_GGUF_U32) {
        return fal_fail(err, FAL_E_FORMAT, "key 'general.alignment': value type %d, %d is expected",
                        v->face.type, FAL_GGUF_U32);
    }
    fal_reader r = fal_reader_open(v->data, sizeof(uint32_t));
    part->alignment = fal_read_u32(&r);
    return fal_gguf_check_alignment(part->alignment, err);
}

static fal_status read_directory(parser *p, fal_gguf *f, fal_gguf_part *part, fal_error *err) {
    size_t min_bytes = p->version == 1 ? 4 + 1 + 4 + 4 + 4 + 8 : 8 + 1 + 4 + 8 + 4 + 8;
    FAL_TRY(check_count(p, part->n_tensors, min_bytes, "tensors", err));
    part->first_tensor = f->n_tensors;
    if (part->n_tensors == 0) return FAL_OK;
    size_t n_needed = (size_t)f->n_tensors + (size_t)part->n_tensors;
    if (n_needed > INT_MAX)
        return fal_fail(err, FAL_E_LIMIT, "%zu tensors, at most %d", n_needed, INT_MAX);
    void *items = f->tensors;
    bool has_room = fal_grow(&items, &f->tensor_capacity, n_needed, sizeof *f->tensors);
    f->tensors = items;
    if (!has_room) return fal_fail_memory(err, n_needed * sizeof *f->tensors);
    if (!f->tensor_map) f->tensor_map = fal_string_map_open(n_needed);
    if (!f->tensor_map) return fal_fail_memory(err, 0);

    for (uint64_t i = 0; i < part->n_tensors; i++)
        FAL_TRY(read_tensor(p, f, i, err));
    part->data_start = p->reader.position + (part->alignment - 1u);
    part->data_start -= part->data_start % part->alignment;
    for (int i = part->first_tensor; i < f->n_tensors; i++)
        FAL_TRY(place_tensor(part, &f->tensors[i].face, err));
    return check_overlap(f->tensors + part->first_tensor, (size_t)part->n_tensors, err);
}

fal_status fal_gguf_part_parse(fal_gguf *f, fal_gguf_part *part, fal_error *err) {
    parser p = {.reader = fal_reader_open(part->data, part->length)};
    FAL_TRY(check_magic(&p, err));
    FAL_TRY(check_version(&p, err));
    part->version = p.version;
    part->n_tensors = read_length(&p);
    uint64_t n_values = read_length(&p);
    FAL_TRY(fal_reader_status(&p.reader, err));
    FAL_TRY(check_count(&p, n_values, p.version == 1 ? 4 + 1 + 4 + 1 : 8 + 1 + 4 + 1, "keys", err));
    FAL_TRY(read_values(&p, part, n_values, err));
    FAL_TRY(find_alignment(part, err));
    return read_directory(&p, f, part, err);
}
