/* Answers questions about an open GGUF file: values by key and converted, tensors by name. */
#include "base/bytes.h"
#include "formats/gguf_private.h"

#include <float.h>
#include <math.h>

size_t fal_gguf_element_bytes(uint32_t type) {
    static const uint8_t bytes[] = {
        [FAL_GGUF_U8] = 1,  [FAL_GGUF_I8] = 1,  [FAL_GGUF_U16] = 2, [FAL_GGUF_I16] = 2,
        [FAL_GGUF_U32] = 4, [FAL_GGUF_I32] = 4, [FAL_GGUF_F32] = 4, [FAL_GGUF_BOOL] = 1,
        [FAL_GGUF_U64] = 8, [FAL_GGUF_I64] = 8, [FAL_GGUF_F64] = 8};
    return type < sizeof bytes ? bytes[type] : 0;
}

const fal_gguf_stored_value *fal_gguf_part_find(const fal_gguf_part *part, const char *key) {
    int32_t index = fal_string_map_find(part->value_map, fal_slice_of(key));
    return index < 0 ? NULL : &part->values[index];
}

int fal_gguf_value_count(const fal_gguf *f) {
    return f->parts[0].n_values;
}

const fal_gguf_value *fal_gguf_value_at(const fal_gguf *f, int index) {
    return &f->parts[0].values[index].face;
}

const fal_gguf_value *fal_gguf_find(const fal_gguf *f, const char *key) {
    const fal_gguf_stored_value *v = fal_gguf_part_find(&f->parts[0], key);
    return v ? &v->face : NULL;
}

/* The bytes of element i of a number; the reader is empty where there is none. */
static fal_reader element_reader(const fal_gguf_value *value, uint64_t i) {
    const fal_gguf_stored_value *v = (const fal_gguf_stored_value *)value;
    size_t size = fal_gguf_element_bytes(value->element_type);
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
    case FAL_GGUF_I8: *out = (int64_t)(int8_t)fal_read_u8(&r); return true;
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
    const fal_gguf_stored_value *v = (const fal_gguf_stored_value *)value;
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
