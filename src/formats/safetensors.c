/* Body of safetensors.h: an 8-byte length, a JSON object with one entry per tensor, then the data. */
#include "formats/safetensors.h"

#include "base/alloc.h"
#include "formats/json_file.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_HEADER_BYTES = 100000000,
    MAX_DIMS = 4
};

typedef struct number_kind {
    const char *name;
    int bytes;
    int64_t type_id; /* -1: skipped */
} number_kind;

static const number_kind kinds[] = {
    {"F32",     4, FAL_TYPE_F32 },
    {"F16",     2, FAL_TYPE_F16 },
    {"BF16",    2, FAL_TYPE_BF16},
    {"F64",     8, -1           },
    {"I64",     8, -1           },
    {"U64",     8, -1           },
    {"I32",     4, -1           },
    {"U32",     4, -1           },
    {"I16",     2, -1           },
    {"U16",     2, -1           },
    {"I8",      1, -1           },
    {"U8",      1, -1           },
    {"BOOL",    1, -1           },
    {"F8_E5M2", 1, -1           },
    {"F8_E4M3", 1, -1           },
};

typedef struct span {
    uint64_t begin, end; /* in the data */
    const char *name;    /* borrowed from the header */
} span;

typedef struct source {
    const char *file;
    const uint8_t *data; /* behind the header */
    uint64_t length;
    span *spans;
    size_t n_spans;
} source;

static const number_kind *find_kind(const char *name) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].name, name) == 0) return &kinds[i];
    }
    return NULL;
}

static fal_status read_shape(const json_t *shape, fal_checkpoint_tensor *t, int64_t *n_numbers,
                             fal_error *err) {
    size_t n_dims = json_array_size(shape);
    *n_numbers = 1;
    for (int i = 0; i < MAX_DIMS; i++)
        t->shape[i] = 1;
    for (size_t i = 0; i < n_dims; i++) {
        const json_t *item = json_array_get(shape, i);
        int64_t extent = json_is_integer(item) ? json_integer_value(item) : -1;
        if (extent < 0 || (extent > 0 && *n_numbers > INT64_MAX / extent)) {
            return fal_fail(err, FAL_E_FORMAT,
                            "'shape' holds no size, or the product of the sizes exceeds %lld",
                            (long long)INT64_MAX);
        }
        *n_numbers *= extent;
        if (i < MAX_DIMS) t->shape[i] = extent;
    }
    t->n_dims = n_dims <= MAX_DIMS ? (int)n_dims : MAX_DIMS + 1;
    return FAL_OK;
}

static fal_status read_span(const source *s, const json_t *offsets, span *out, fal_error *err) {
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end)) {
        return fal_fail(err, FAL_E_FORMAT, "'data_offsets' is no pair of whole numbers");
    }
    json_int_t a = json_integer_value(begin), b = json_integer_value(end);
    if (a < 0 || b < a || (uint64_t)b > s->length) {
        return fal_fail(err, FAL_E_FORMAT,
                        "'data_offsets' are %lld to %lld, the data has %llu bytes", (long long)a,
                        (long long)b, (unsigned long long)s->length);
    }
    out->begin = (uint64_t)a;
    out->end = (uint64_t)b;
    return FAL_OK;
}

static fal_status read_tensor(source *s, fal_checkpoint_list *list, const char *name,
                              const json_t *entry, fal_error *err) {
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    const json_t *shape = json_object_get(entry, "shape");
    if (!dtype || !json_is_array(shape))
        return fal_fail(err, FAL_E_FORMAT, "'dtype' or 'shape' is missing");
    fal_checkpoint_tensor t = {.file = s->file};
    int64_t n_numbers;
    FAL_TRY(read_shape(shape, &t, &n_numbers, err));
    span *place = &s->spans[s->n_spans++];
    place->name = name;
    FAL_TRY(read_span(s, json_object_get(entry, "data_offsets"), place, err));
    t.bytes = place->end - place->begin;
    t.data = s->data + place->begin;
    const number_kind *kind = find_kind(dtype);
    if (kind
        && ((uint64_t)n_numbers > UINT64_MAX / (uint64_t)kind->bytes
            || (uint64_t)n_numbers * (uint64_t)kind->bytes != t.bytes)) {
        return fal_fail(err, FAL_E_FORMAT, "%lld numbers of type %s in %llu bytes",
                        (long long)n_numbers, kind->name, (unsigned long long)t.bytes);
    }
    if (kind && kind->type_id >= 0) {
        if (t.n_dims > MAX_DIMS) {
            return fal_fail(err, FAL_E_UNSUPPORTED, "%zu dimensions, at most %d",
                            json_array_size(shape), MAX_DIMS);
        }
        t.type = fal_type_by_id((uint32_t)kind->type_id);
    }
    return fal_checkpoint_list_add(list, fal_slice_of(name), &t, err);
}

static int compare_spans(const void *a, const void *b) {
    const span *s = a, *t = b;
    if (s->begin != t->begin) return s->begin < t->begin ? -1 : 1;
    return s->end < t->end ? -1 : s->end > t->end;
}

static fal_status check_overlap(source *s, fal_error *err) {
    if (s->n_spans < 2) return FAL_OK;
    qsort(s->spans, s->n_spans, sizeof *s->spans, compare_spans);
    for (size_t i = 1; i < s->n_spans; i++) {
        const span *a = &s->spans[i - 1], *b = &s->spans[i];
        if (b->begin < a->end) {
            return fal_fail(err, FAL_E_FORMAT,
                            "the data of tensor '%.200s' overlaps that of '%.200s'", b->name,
                            a->name);
        }
    }
    return FAL_OK;
}

static fal_status read_header(source *s, fal_checkpoint_list *list, json_t *header,
                              fal_error *err) {
    s->spans = fal_alloc(json_object_size(header), sizeof *s->spans);
    if (!s->spans) return fal_fail_memory(err, json_object_size(header) * sizeof *s->spans);
    const char *name;
    json_t *entry;
    json_object_foreach(header, name, entry) {
        if (strcmp(name, "__metadata__") == 0) continue;
        FAL_TRY(fal_checkpoint_check_name(fal_slice_of(name), err));
        fal_status status = read_tensor(s, list, name, entry, err);
        if (status != FAL_OK) return fal_add_context(err, status, "tensor '%s'", name);
    }
    return check_overlap(s, err);
}

fal_status fal_safetensors_read(fal_checkpoint_list *list, const void *data, size_t length,
                                const char *file, fal_error *err) {
    fal_reader r = fal_reader_open(data, length);
    uint64_t header_bytes = fal_read_u64(&r);
    FAL_TRY(fal_reader_status(&r, err));
    if (header_bytes > fal_reader_remaining(&r)) {
        return fal_fail(err, FAL_E_FORMAT,
                        "no safetensors file: a header of %llu bytes in a file of %zu",
                        (unsigned long long)header_bytes, length);
    }
    if (header_bytes > MAX_HEADER_BYTES) {
        return fal_fail(err, FAL_E_LIMIT, "a header of %llu bytes, at most %d",
                        (unsigned long long)header_bytes, MAX_HEADER_BYTES);
    }
    fal_slice text = fal_read_slice(&r, header_bytes);
    json_t *header = NULL;
    FAL_TRY(fal_json_parse(&header, text, "header", err));
    source s = {.file = file, .data = r.data + r.position, .length = fal_reader_remaining(&r)};
    fal_status status = FAL_OK;
    if (json_is_object(header)) {
        status = read_header(&s, list, header, err);
    } else {
        status = fal_fail(err, FAL_E_FORMAT, "the header is no JSON object");
    }
    fal_free(s.spans);
    json_decref(header);
    return status;
}
