/* Body of <falconer/gguf.h>: parses the header of every part into a list of values and a tensor directory.
 * The only place where GGUF's order of dimensions is reversed. Checks the container alone; what a key or a tensor
 * means, and whether its shape suits a model, is left to those who use it. */
#include <falconer/gguf.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/file.h"
#include "base/string_map.h"
#include "base/utf8.h"
#include "formats/gguf_memory.h"
#include "quant/type.h"

#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_VERSION = 3,
    DEFAULT_ALIGNMENT = 32,
    MIN_ALIGNMENT = 8,
    MAX_DIMS = 4,
    MAX_KEY_BYTES = 65535,
    MAX_NAME_BYTES = 63,
    PART_SUFFIX_BYTES = 20 /* "-00001-of-00009.gguf" */
};

typedef struct stored_value {
    fal_gguf_value face; /* first, so that a pointer to it is a pointer to all */
    char *key;
    const char *data;          /* elements of fixed size, as in the file */
    fal_gguf_string string;    /* a scalar string */
    fal_gguf_string *elements; /* of an array of strings; owned */
} stored_value;

typedef struct stored_tensor {
    fal_gguf_tensor face;
    char *name;
    char *type_text; /* "type 99", where no name is known */
} stored_tensor;

typedef struct gguf_part {
    char *path;
    fal_mapping mapping;
    const void *data; /* of the mapping, or borrowed memory */
    size_t length;
    uint32_t version, alignment;
    uint64_t n_tensors;
    stored_value *values;
    int n_values;
    fal_string_map *value_map;
    int first_tensor; /* in the directory of all parts */
} gguf_part;

struct fal_gguf {
    char *path;
    gguf_part *parts;
    int n_parts;
    stored_tensor *tensors;
    int n_tensors;
    size_t tensor_capacity;
    fal_string_map *tensor_map;
};

/* ---- primitives whose width depends on the version ---- */

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

/* Keys and names appear in messages, so they must be text of one line. */
static fal_status read_name(parser *p, char **out, size_t max_bytes, const char *what,
                            uint64_t index, fal_error *err) {
    uint64_t length = read_length(p);
    if (!p->reader.failed && (length == 0 || length > max_bytes)) {
        return fal_fail(err, FAL_E_FORMAT, "%s %llu: a name of %llu bytes, 1 to %zu are allowed",
                        what, (unsigned long long)index, (unsigned long long)length, max_bytes);
    }
    fal_slice text = fal_read_slice(&p->reader, length);
    FAL_TRY(fal_reader_status(&p->reader, err));
    for (size_t i = 0; i < text.length; i++) {
        uint8_t byte = (uint8_t)text.data[i];
        if (byte < 0x20 || byte == 0x7f) {
            return fal_fail(err, FAL_E_FORMAT, "%s %llu: a name with the control character 0x%02x",
                            what, (unsigned long long)index, byte);
        }
    }
    if (!fal_utf8_is_valid(text.data, text.length)) {
        return fal_fail(err, FAL_E_FORMAT, "%s %llu: a name that is not UTF-8", what,
                        (unsigned long long)index);
    }
    *out = fal_copy_string(text.data, text.length);
    return *out ? FAL_OK : fal_fail_memory(err, text.length + 1);
}

/* Bytes of one element; 0 for strings, arrays and numbers that name no type. */
static size_t element_bytes(uint32_t type) {
    static const uint8_t bytes[] = {
        [FAL_GGUF_U8] = 1,  [FAL_GGUF_I8] = 1,  [FAL_GGUF_U16] = 2, [FAL_GGUF_I16] = 2,
        [FAL_GGUF_U32] = 4, [FAL_GGUF_I32] = 4, [FAL_GGUF_F32] = 4, [FAL_GGUF_BOOL] = 1,
        [FAL_GGUF_U64] = 8, [FAL_GGUF_I64] = 8, [FAL_GGUF_F64] = 8};
    return type < sizeof bytes ? bytes[type] : 0;
}

static bool is_value_type(uint32_t type) {
    return type <= FAL_GGUF_F64;
}

/* ---- values ---- */

static fal_status read_strings(parser *p, stored_value *v, fal_error *err) {
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

static fal_status read_numbers(parser *p, stored_value *v, fal_error *err) {
    size_t size = element_bytes(v->face.element_type);
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

static fal_status read_value(parser *p, stored_value *v, uint64_t index, fal_error *err) {
    FAL_TRY(read_name(p, &v->key, MAX_KEY_BYTES, "key", index, err));
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

static fal_status read_values(parser *p, gguf_part *part, uint64_t n_values, fal_error *err) {
    part->values = fal_alloc((size_t)n_values, sizeof *part->values);
    part->value_map = fal_string_map_open((size_t)n_values);
    if (!part->values || !part->value_map) {
        return fal_fail_memory(err, (size_t)n_values * sizeof *part->values);
    }
    for (uint64_t i = 0; i < n_values; i++) {
        stored_value *v = &part->values[i];
        part->n_values++;
        FAL_TRY(read_value(p, v, i, err));
        bool inserted;
        FAL_TRY(
            fal_string_map_add(part->value_map, fal_slice_of(v->key), (int32_t)i, &inserted, err));
        if (!inserted) return fal_fail(err, FAL_E_FORMAT, "key '%s' is there twice", v->key);
    }
    return FAL_OK;
}

static const stored_value *part_value(const gguf_part *part, const char *key) {
    int32_t index = fal_string_map_find(part->value_map, fal_slice_of(key));
    return index < 0 ? NULL : &part->values[index];
}

/* ---- tensors ---- */

static fal_status read_shape(parser *p, fal_gguf_tensor *t, fal_error *err) {
    uint32_t n_dims = fal_read_u32(&p->reader);
    FAL_TRY(fal_reader_status(&p->reader, err));
    if (n_dims < 1 || n_dims > MAX_DIMS) {
        return fal_fail(err, FAL_E_FORMAT, "%u dimensions, 1 to %d are allowed", n_dims, MAX_DIMS);
    }
    t->n_dims = (int)n_dims;
    for (int i = 0; i < MAX_DIMS; i++)
        t->shape[i] = 1;
    int64_t n_weights = 1;
    for (int i = t->n_dims - 1; i >= 0; i--) {
        uint64_t extent = read_length(p);
        FAL_TRY(fal_reader_status(&p->reader, err));
        if (extent < 1 || extent > INT64_MAX) {
            return fal_fail(err, FAL_E_FORMAT, "dimension %d is %llu, 1 to %lld are allowed", i,
                            (unsigned long long)extent, (long long)INT64_MAX);
        }
        if ((int64_t)extent > INT64_MAX / n_weights) {
            return fal_fail(err, FAL_E_FORMAT, "the product of the dimensions exceeds %lld",
                            (long long)INT64_MAX);
        }
        n_weights *= (int64_t)extent;
        t->shape[i] = (int64_t)extent;
    }
    return FAL_OK;
}

/* A type without a row is listed, so that the file can be inspected; its size stays unknown and is 0. */
static fal_status find_size(stored_tensor *t, fal_error *err) {
    const fal_type *type = fal_type_by_id(t->face.type_id);
    if (!type) {
        char text[32];
        int length = snprintf(text, sizeof text, "type %u", t->face.type_id);
        t->type_text = fal_copy_string(text, (size_t)length);
        t->face.type_name = t->type_text;
        return t->type_text ? FAL_OK : fal_fail_memory(err, sizeof text);
    }
    t->face.type_name = type->name;
    size_t bytes;
    FAL_TRY(fal_type_row_bytes(type, t->face.shape[t->face.n_dims - 1], &bytes, err));
    for (int i = 0; i < t->face.n_dims - 1; i++) {
        if (!fal_multiply_size(bytes, (size_t)t->face.shape[i], &bytes)) {
            return fal_fail(err, FAL_E_FORMAT, "its size exceeds %zu bytes", SIZE_MAX);
        }
    }
    t->face.bytes = bytes;
    return FAL_OK;
}

static fal_status read_tensor(parser *p, fal_gguf *f, uint64_t index, fal_error *err) {
    stored_tensor *t = &f->tensors[f->n_tensors];
    memset(t, 0, sizeof *t);
    FAL_TRY(read_name(p, &t->name, MAX_NAME_BYTES, "tensor", index, err));
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
static fal_status place_tensor(const gguf_part *part, uint64_t data_start, fal_gguf_tensor *t,
                               fal_error *err) {
    if (t->offset % part->alignment != 0) {
        return fal_fail(err, FAL_E_FORMAT, "tensor '%s': offset %llu is not a multiple of %u",
                        t->name, (unsigned long long)t->offset, part->alignment);
    }
    uint64_t room = data_start < part->length ? part->length - data_start : 0;
    if (t->offset > room || t->bytes > room - t->offset) {
        return fal_fail(err, FAL_E_FORMAT,
                        "tensor '%s': %llu bytes at offset %llu of the data, which has %llu bytes",
                        t->name, (unsigned long long)t->bytes, (unsigned long long)t->offset,
                        (unsigned long long)room);
    }
    t->offset += data_start;
    if (t->bytes) t->data = (const char *)part->data + t->offset;
    return FAL_OK;
}

static int compare_offsets(const void *a, const void *b) {
    const fal_gguf_tensor *s = *(const fal_gguf_tensor *const *)a,
                          *t = *(const fal_gguf_tensor *const *)b;
    if (s->offset != t->offset) return s->offset < t->offset ? -1 : 1;
    return s->bytes < t->bytes ? -1 : s->bytes > t->bytes;
}

static fal_status check_overlap(const stored_tensor *tensors, size_t n, fal_error *err) {
    if (n < 2) return FAL_OK;
    const fal_gguf_tensor **sorted = fal_alloc(n, sizeof *sorted);
    if (!sorted) return fal_fail_memory(err, n * sizeof *sorted);
    for (size_t i = 0; i < n; i++)
        sorted[i] = &tensors[i].face;
    qsort(sorted, n, sizeof *sorted, compare_offsets);
    fal_status status = FAL_OK;
    for (size_t i = 1; i < n && status == FAL_OK; i++) {
        const fal_gguf_tensor *s = sorted[i - 1], *t = sorted[i];
        if (t->offset - s->offset < s->bytes) {
            status =
                fal_fail(err, FAL_E_FORMAT,
                         "tensor '%s' at offset %llu overlaps tensor '%s' at %llu, of %llu bytes",
                         t->name, (unsigned long long)t->offset, s->name,
                         (unsigned long long)s->offset, (unsigned long long)s->bytes);
        }
    }
    fal_free(sorted);
    return status;
}

/* ---- one part ---- */

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

static fal_status find_alignment(gguf_part *part, fal_error *err) {
    part->alignment = DEFAULT_ALIGNMENT;
    const stored_value *v = part_value(part, "general.alignment");
    if (!v) return FAL_OK;
    if (v->face.type != FAL_GGUF_U32) {
        return fal_fail(err, FAL_E_FORMAT, "key 'general.alignment': value type %d, %d is expected",
                        v->face.type, FAL_GGUF_U32);
    }
    fal_reader r = fal_reader_open(v->data, sizeof(uint32_t));
    part->alignment = fal_read_u32(&r);
    if (part->alignment < MIN_ALIGNMENT || (part->alignment & (part->alignment - 1)) != 0) {
        return fal_fail(err, FAL_E_FORMAT,
                        "key 'general.alignment': %u, a power of two of at least %d is expected",
                        part->alignment, MIN_ALIGNMENT);
    }
    return FAL_OK;
}

static fal_status read_directory(parser *p, fal_gguf *f, gguf_part *part, fal_error *err) {
    size_t min_bytes = p->version == 1 ? 4 + 1 + 4 + 4 + 4 + 8 : 8 + 1 + 4 + 8 + 4 + 8;
    FAL_TRY(check_count(p, part->n_tensors, min_bytes, "tensors", err));
    size_t n_needed = (size_t)f->n_tensors + (size_t)part->n_tensors;
    if (n_needed > INT_MAX)
        return fal_fail(err, FAL_E_LIMIT, "%zu tensors, at most %d", n_needed, INT_MAX);
    void *items = f->tensors;
    bool has_room = fal_grow(&items, &f->tensor_capacity, n_needed, sizeof *f->tensors);
    f->tensors = items;
    if (!has_room) return fal_fail_memory(err, n_needed * sizeof *f->tensors);
    if (!f->tensor_map) f->tensor_map = fal_string_map_open(n_needed);
    if (!f->tensor_map) return fal_fail_memory(err, 0);

    part->first_tensor = f->n_tensors;
    for (uint64_t i = 0; i < part->n_tensors; i++)
        FAL_TRY(read_tensor(p, f, i, err));
    uint64_t data_start = p->reader.position + (part->alignment - 1u);
    data_start -= data_start % part->alignment;
    for (int i = part->first_tensor; i < f->n_tensors; i++) {
        FAL_TRY(place_tensor(part, data_start, &f->tensors[i].face, err));
    }
    return check_overlap(f->tensors + part->first_tensor, (size_t)part->n_tensors, err);
}

static fal_status parse_part(fal_gguf *f, gguf_part *part, fal_error *err) {
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

/* ---- split sets ---- */

/* True, with the numbers of "…-00002-of-00009.gguf", when path ends like that. */
static bool parse_part_name(const char *path, int *part, int *n_parts) {
    size_t length = strlen(path);
    if (length < PART_SUFFIX_BYTES) return false;
    const char *suffix = path + length - PART_SUFFIX_BYTES;
    for (int i = 1; i <= 5; i++) {
        if (suffix[i] < '0' || suffix[i] > '9' || suffix[i + 9] < '0' || suffix[i + 9] > '9')
            return false;
    }
    if (suffix[0] != '-' || memcmp(suffix + 6, "-of-", 4) != 0 || strcmp(suffix + 15, ".gguf") != 0)
        return false;
    *part = (int)strtol(suffix + 1, NULL, 10);
    *n_parts = (int)strtol(suffix + 10, NULL, 10);
    return true;
}

static char *part_path(const char *path, int part, int n_parts) {
    char *copy = fal_copy_string(path, strlen(path));
    if (!copy) return NULL;
    char suffix[PART_SUFFIX_BYTES + 16];
    snprintf(suffix, sizeof suffix, "-%05d-of-%05d.gguf", part, n_parts);
    memcpy(copy + strlen(path) - PART_SUFFIX_BYTES, suffix, PART_SUFFIX_BYTES);
    return copy;
}

static void release_part(gguf_part *part) {
    for (int i = 0; i < part->n_values; i++) {
        fal_free(part->values[i].key);
        fal_free(part->values[i].elements);
    }
    fal_free(part->values);
    fal_string_map_close(part->value_map);
    fal_mapping_release(&part->mapping);
    fal_free(part->path);
    memset(part, 0, sizeof *part);
}

static void release_tensors(fal_gguf *f) {
    for (int i = 0; i < f->n_tensors; i++) {
        fal_free(f->tensors[i].name);
        fal_free(f->tensors[i].type_text);
    }
    fal_string_map_close(f->tensor_map);
    f->tensor_map = NULL;
    f->n_tensors = 0;
}

/* Maps and parses one file. Takes path, which may be NULL after a failure to copy it. */
static fal_status open_part(fal_gguf *f, gguf_part *part, char *take_path, fal_error *err) {
    part->path = take_path;
    if (!take_path) return fal_fail_memory(err, 0);
    FAL_TRY(fal_mapping_open(&part->mapping, part->path, err));
    part->data = part->mapping.data;
    part->length = part->mapping.length;
    return fal_add_context(err, parse_part(f, part, err), "%s", part->path);
}

static fal_status get_split_number(const gguf_part *part, const char *key, int64_t max,
                                   int64_t *out, fal_error *err) {
    const stored_value *v = part_value(part, key);
    if (!v || v->face.type == FAL_GGUF_ARRAY || !fal_gguf_value_i64(NULL, &v->face, 0, out)
        || *out < 0 || *out > max) {
        return fal_fail(err, FAL_E_FORMAT, "key '%s' is missing or no number from 0 to %lld", key,
                        (long long)max);
    }
    return FAL_OK;
}

static fal_status check_part(const gguf_part *part, int index, int n_parts, fal_error *err) {
    int64_t number, count;
    FAL_TRY(get_split_number(part, "split.no", UINT16_MAX, &number, err));
    FAL_TRY(get_split_number(part, "split.count", UINT16_MAX, &count, err));
    if (number != index || count != n_parts) {
        return fal_fail(err, FAL_E_FORMAT,
                        "it says it is part %lld of %lld, its name says part %d of %d",
                        (long long)number + 1, (long long)count, index + 1, n_parts);
    }
    return FAL_OK;
}

static fal_status open_split(fal_gguf *f, int n_parts, fal_error *err) {
    release_tensors(f);
    release_part(&f->parts[0]);
    fal_free(f->parts);
    f->n_parts = 0;
    f->parts = fal_alloc((size_t)n_parts, sizeof *f->parts);
    if (!f->parts) return fal_fail_memory(err, (size_t)n_parts * sizeof *f->parts);
    for (int i = 0; i < n_parts; i++) {
        gguf_part *part = &f->parts[i];
        f->n_parts++;
        fal_status status = open_part(f, part, part_path(f->path, i + 1, n_parts), err);
        if (status == FAL_E_NOT_FOUND) {
            return fal_add_context(err, status, "part %d of %d is missing", i + 1, n_parts);
        }
        FAL_TRY(status);
        FAL_TRY(fal_add_context(err, check_part(part, i, n_parts, err), "%s", part->path));
    }
    int64_t n_tensors;
    const gguf_part *first = &f->parts[0];
    FAL_TRY(fal_add_context(
        err, get_split_number(first, "split.tensors.count", INT_MAX, &n_tensors, err), "%s",
        first->path));
    if (n_tensors != f->n_tensors) {
        return fal_fail(err, FAL_E_FORMAT,
                        "%s: the parts hold %d tensors, key 'split.tensors.count' says %lld",
                        first->path, f->n_tensors, (long long)n_tensors);
    }
    return FAL_OK;
}

/* A file that says it is one of several is read again from the first part on. */
static fal_status open_siblings(fal_gguf *f, fal_error *err) {
    const gguf_part *part = &f->parts[0];
    if (!part_value(part, "split.count")) return FAL_OK;
    int64_t count;
    FAL_TRY(fal_add_context(err, get_split_number(part, "split.count", UINT16_MAX, &count, err),
                            "%s", f->path));
    if (count < 2) return FAL_OK;
    int index, n_parts;
    if (!parse_part_name(f->path, &index, &n_parts)) {
        return fal_fail(err, FAL_E_FORMAT,
                        "%s: one of %lld parts, but its name does not end in -00001-of-%05lld.gguf",
                        f->path, (long long)count, (long long)count);
    }
    FAL_TRY(fal_add_context(err, check_part(part, index - 1, n_parts, err), "%s", f->path));
    return open_split(f, n_parts, err);
}

/* ---- the face ---- */

static fal_gguf *allocate(const char *path) {
    fal_gguf *f = fal_alloc(1, sizeof *f);
    if (!f) return NULL;
    f->path = fal_copy_string(path, strlen(path));
    f->parts = fal_alloc(1, sizeof *f->parts);
    f->n_parts = f->parts != NULL;
    if (f->path && f->parts) return f;
    fal_gguf_close(f);
    return NULL;
}

fal_status fal_gguf_open(fal_gguf **out, const char *path, fal_error *err) {
    *out = NULL;
    fal_gguf *f = allocate(path);
    if (!f) return fal_fail_memory(err, sizeof *f);
    fal_status status = FAL_OK;
    FAL_TRY_OUT(open_part(f, &f->parts[0], fal_copy_string(path, strlen(path)), err));
    FAL_TRY_OUT(open_siblings(f, err));
    *out = f;
    f = NULL;
out:
    fal_gguf_close(f);
    return status;
}

fal_status fal_gguf_open_memory(fal_gguf **out, const void *data, size_t length, fal_error *err) {
    *out = NULL;
    fal_gguf *f = allocate("memory");
    if (!f) return fal_fail_memory(err, sizeof *f);
    f->parts[0].data = data;
    f->parts[0].length = length;
    fal_status status = parse_part(f, &f->parts[0], err);
    if (status == FAL_OK) {
        *out = f;
    } else {
        fal_gguf_close(f);
    }
    return status;
}

void fal_gguf_close(fal_gguf *f) {
    if (!f) return;
    release_tensors(f);
    fal_free(f->tensors);
    for (int i = 0; i < f->n_parts; i++)
        release_part(&f->parts[i]);
    fal_free(f->parts);
    fal_free(f->path);
    fal_free(f);
}

const char *fal_gguf_path(const fal_gguf *f) {
    return f->path;
}

uint32_t fal_gguf_version(const fal_gguf *f) {
    return f->parts[0].version;
}

uint64_t fal_gguf_file_bytes(const fal_gguf *f) {
    uint64_t bytes = 0;
    for (int i = 0; i < f->n_parts; i++)
        bytes += f->parts[i].length;
    return bytes;
}

uint32_t fal_gguf_alignment(const fal_gguf *f) {
    return f->parts[0].alignment;
}

int fal_gguf_value_count(const fal_gguf *f) {
    return f->parts[0].n_values;
}

const fal_gguf_value *fal_gguf_value_at(const fal_gguf *f, int index) {
    return &f->parts[0].values[index].face;
}

const fal_gguf_value *fal_gguf_find(const fal_gguf *f, const char *key) {
    const stored_value *v = part_value(&f->parts[0], key);
    return v ? &v->face : NULL;
}

/* The bytes of element i of a number; the reader is empty where there is none. */
static fal_reader element_reader(const fal_gguf_value *value, uint64_t i) {
    const stored_value *v = (const stored_value *)value;
    size_t size = element_bytes(value->element_type);
    if (i >= value->count || size == 0) return fal_reader_open(NULL, 0);
    return fal_reader_open(v->data + i * size, size);
}

bool fal_gguf_value_i64(const fal_gguf *f, const fal_gguf_value *v, uint64_t i, int64_t *out) {
    (void)f;
    fal_reader r = element_reader(v, i);
    if (r.length == 0) return false;
    uint64_t wide;
    switch (v->element_type) {
    case FAL_GGUF_BOOL:
    case FAL_GGUF_U8: *out = fal_read_u8(&r); return true;
    case FAL_GGUF_I8: *out = (int8_t)fal_read_u8(&r); return true;
    case FAL_GGUF_U16: *out = fal_read_u16(&r); return true;
    case FAL_GGUF_I16: *out = (int16_t)fal_read_u16(&r); return true;
    case FAL_GGUF_U32: *out = fal_read_u32(&r); return true;
    case FAL_GGUF_I32: *out = (int32_t)fal_read_u32(&r); return true;
    case FAL_GGUF_I64: *out = (int64_t)fal_read_u64(&r); return true;
    case FAL_GGUF_U64:
        wide = fal_read_u64(&r);
        if (wide > INT64_MAX) return false;
        *out = (int64_t)wide;
        return true;
    case FAL_GGUF_F32:
    case FAL_GGUF_F64:
    case FAL_GGUF_STRING:
    case FAL_GGUF_ARRAY: return false;
    }
    return false;
}

bool fal_gguf_value_f64(const fal_gguf *f, const fal_gguf_value *v, uint64_t i, double *out) {
    if (v->element_type == FAL_GGUF_F32 || v->element_type == FAL_GGUF_F64) {
        fal_reader r = element_reader(v, i);
        if (r.length == 0) return false;
        *out = v->element_type == FAL_GGUF_F32 ? (double)fal_read_f32(&r) : fal_read_f64(&r);
        return true;
    }
    int64_t number;
    if (v->element_type == FAL_GGUF_BOOL || !fal_gguf_value_i64(f, v, i, &number)) return false;
    if (number > (INT64_C(1) << DBL_MANT_DIG) || number < -(INT64_C(1) << DBL_MANT_DIG))
        return false;
    *out = (double)number;
    return true;
}

bool fal_gguf_value_string(const fal_gguf *f, const fal_gguf_value *value, uint64_t i,
                           fal_gguf_string *out) {
    (void)f;
    const stored_value *v = (const stored_value *)value;
    if (value->element_type != FAL_GGUF_STRING || i >= value->count) return false;
    *out = value->type == FAL_GGUF_ARRAY ? v->elements[i] : v->string;
    return true;
}

static const fal_gguf_value *find_scalar(const fal_gguf *f, const char *key) {
    const fal_gguf_value *v = fal_gguf_find(f, key);
    return v && v->type != FAL_GGUF_ARRAY ? v : NULL;
}

bool fal_gguf_find_u32(const fal_gguf *f, const char *key, uint32_t *out) {
    const fal_gguf_value *v = find_scalar(f, key);
    int64_t number;
    if (!v || v->type == FAL_GGUF_BOOL || !fal_gguf_value_i64(f, v, 0, &number)) return false;
    if (number < 0 || number > UINT32_MAX) return false;
    *out = (uint32_t)number;
    return true;
}

bool fal_gguf_find_f32(const fal_gguf *f, const char *key, float *out) {
    const fal_gguf_value *v = find_scalar(f, key);
    double number;
    if (!v || !fal_gguf_value_f64(f, v, 0, &number)) return false;
    if (isfinite(number) && fabs(number) > (double)FLT_MAX) return false;
    *out = (float)number;
    return true;
}

bool fal_gguf_find_bool(const fal_gguf *f, const char *key, bool *out) {
    const fal_gguf_value *v = find_scalar(f, key);
    int64_t number;
    if (!v || v->type != FAL_GGUF_BOOL || !fal_gguf_value_i64(f, v, 0, &number)) return false;
    *out = number != 0;
    return true;
}

bool fal_gguf_find_string(const fal_gguf *f, const char *key, fal_gguf_string *out) {
    const fal_gguf_value *v = find_scalar(f, key);
    return v && fal_gguf_value_string(f, v, 0, out);
}

static fal_status fail_get(const fal_gguf *f, const char *key, const char *wish, fal_error *err) {
    return fal_fail(err, FAL_E_FORMAT, "%s: key '%s' %s%s", f->path, key,
                    fal_gguf_find(f, key) ? "is not " : "is missing",
                    fal_gguf_find(f, key) ? wish : "");
}

fal_status fal_gguf_get_u32(const fal_gguf *f, const char *key, uint32_t *out, fal_error *err) {
    if (fal_gguf_find_u32(f, key, out)) return FAL_OK;
    return fail_get(f, key, "a whole number from 0 to 4294967295", err);
}

fal_status fal_gguf_get_f32(const fal_gguf *f, const char *key, float *out, fal_error *err) {
    if (fal_gguf_find_f32(f, key, out)) return FAL_OK;
    return fail_get(f, key, "a number that fits 32 bits", err);
}

fal_status fal_gguf_get_string(const fal_gguf *f, const char *key, fal_gguf_string *out,
                               fal_error *err) {
    if (fal_gguf_find_string(f, key, out)) return FAL_OK;
    return fail_get(f, key, "a string", err);
}

int fal_gguf_tensor_count(const fal_gguf *f) {
    return f->n_tensors;
}

const fal_gguf_tensor *fal_gguf_tensor_at(const fal_gguf *f, int index) {
    return &f->tensors[index].face;
}

const fal_gguf_tensor *fal_gguf_tensor_find(const fal_gguf *f, const char *name) {
    int32_t index = f->tensor_map ? fal_string_map_find(f->tensor_map, fal_slice_of(name)) : -1;
    return index < 0 ? NULL : &f->tensors[index].face;
}
