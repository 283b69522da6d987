/* Importance matrices in memory, and the two forms on disk. How the numbers come about is the matter of src/eval, what
 * they are used for that of src/convert.
 *
 * Classic form, little endian: i32 entries; for each i32 length and bytes of the name, i32 chunks, i32 values, f32
 * values, each the mean square times the chunks; then, in all but the oldest files, i32 chunks, i32 length and bytes of
 * the text's name. GGUF form: f32 tensors "<name>.in_sum2" (sums of squares) and "<name>.counts" (rows of input, one per
 * matrix), general.type "imatrix" and imatrix.{datasets,chunk_count,chunk_size}. */
#include "formats/importance.h"

#include "base/alloc.h"
#include "base/file.h"
#include "formats/gguf_memory.h"
#include "formats/gguf_private.h"
#include "formats/gguf_write.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LEAST_ENTRY_BYTES = 4 + 1 + 4 + 4 + 4,
    DEFAULT_CHUNK = 512 /* tokens, where a file does not tell: what llama.cpp takes by default */
};

static const char sums_suffix[] = ".in_sum2", counts_suffix[] = ".counts";

/* ---- in memory ---- */

static void release_entry(fal_importance_entry *e) {
    fal_free(e->name);
    fal_free(e->mean_squares);
    *e = (fal_importance_entry){0};
}

void fal_importance_release(fal_importance *importance) {
    for (size_t i = 0; i < importance->count; i++)
        release_entry(&importance->entries[i]);
    fal_free(importance->entries);
    fal_free(importance->dataset);
    *importance = (fal_importance){0};
}

/* The first entry whose name is not before this one. */
static size_t place_of(const fal_importance *importance, const char *name) {
    size_t low = 0, high = importance->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(importance->entries[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const fal_importance_entry *fal_importance_entry_find(const fal_importance *importance,
                                                      const char *name) {
    size_t at = place_of(importance, name);
    bool is_found = at < importance->count && strcmp(importance->entries[at].name, name) == 0;
    return is_found ? &importance->entries[at] : NULL;
}

const float *fal_importance_find(const fal_importance *importance, const char *name,
                                 int64_t n_columns) {
    const fal_importance_entry *e = fal_importance_entry_find(importance, name);
    return e && e->n_values == n_columns ? e->mean_squares : NULL;
}

/* A new entry at the end, with a name and zeroed values of its own. */
static fal_status append(fal_importance *importance, const char *name, size_t length,
                         int64_t n_values, fal_importance_entry **out, fal_error *err) {
    if (!fal_grow((void **)&importance->entries, &importance->capacity, importance->count + 1,
                  sizeof *importance->entries))
        return fal_fail_memory(err, 0);
    fal_importance_entry made = {.name = fal_copy_string(name, length), .n_values = n_values};
    made.mean_squares = fal_alloc((size_t)n_values, sizeof *made.mean_squares);
    if (!made.name || !made.mean_squares) {
        release_entry(&made);
        return fal_fail_memory(err, (size_t)n_values * sizeof(float));
    }
    *out = &importance->entries[importance->count++];
    **out = made;
    return FAL_OK;
}

fal_status fal_importance_add(fal_importance *importance, const fal_importance_entry *entry,
                              fal_error *err) {
    fal_importance_entry *made;
    if (fal_importance_entry_find(importance, entry->name))
        return fal_fail(err, FAL_E_ARGUMENT, "the entry '%s' stands twice", entry->name);
    size_t at = place_of(importance, entry->name);
    FAL_TRY(append(importance, entry->name, strlen(entry->name), entry->n_values, &made, err));
    memcpy(made->mean_squares, entry->mean_squares,
           (size_t)entry->n_values * sizeof *made->mean_squares);
    made->n_chunks = entry->n_chunks;
    made->n_tokens = entry->n_tokens;
    fal_importance_entry last = *made, *to = &importance->entries[at];
    memmove(to + 1, to, (importance->count - 1 - at) * sizeof *to);
    *to = last;
    return FAL_OK;
}

fal_status fal_importance_set_dataset(fal_importance *importance, const char *name, size_t length,
                                      fal_error *err) {
    char *copy = fal_copy_string(name, length);
    if (!copy) return fal_fail_memory(err, length);
    fal_free(importance->dataset);
    importance->dataset = copy;
    return FAL_OK;
}

static int compare_names(const void *a, const void *b) {
    const fal_importance_entry *left = a, *right = b;
    return strcmp(left->name, right->name);
}

/* Files have their entries in any order. */
static fal_status put_in_order(fal_importance *importance, fal_error *err) {
    fal_importance_entry *e = importance->entries;
    qsort(e, importance->count, sizeof *e, compare_names);
    for (size_t i = 1; i < importance->count; i++) {
        if (strcmp(e[i - 1].name, e[i].name) == 0)
            return fal_fail(err, FAL_E_FORMAT, "the entry '%s' stands twice", e[i].name);
    }
    return FAL_OK;
}

static fal_status check_values(const fal_importance_entry *e, fal_error *err) {
    for (int64_t i = 0; i < e->n_values; i++) {
        float value = e->mean_squares[i];
        if (!isfinite(value) || value < 0)
            return fal_fail(err, FAL_E_FORMAT,
                            "entry '%s': value %lld is %g, a mean of squares is expected", e->name,
                            (long long)i, (double)value);
    }
    return FAL_OK;
}

/* ---- classic form ---- */

static int32_t read_i32(fal_reader *r) {
    return (int32_t)fal_read_u32(r);
}

static fal_status read_name(fal_reader *r, int index, fal_slice *out, fal_error *err) {
    int32_t length = read_i32(r);
    FAL_TRY(fal_reader_status(r, err));
    if (length < 1 || (size_t)length > fal_reader_remaining(r))
        return fal_fail(err, FAL_E_FORMAT, "entry %d: a name of %d bytes, %zu are left", index,
                        length, fal_reader_remaining(r));
    *out = fal_read_slice(r, (uint64_t)length);
    fal_status status = fal_gguf_check_name(out->data, out->length, FAL_GGUF_MAX_KEY_BYTES, err);
    return status == FAL_OK ? FAL_OK : fal_add_context(err, status, "entry %d", index);
}

static fal_status read_entry(fal_importance *out, fal_reader *r, int index, fal_error *err) {
    fal_slice name = {0};
    FAL_TRY(read_name(r, index, &name, err));
    int32_t n_chunks = read_i32(r), n_values = read_i32(r);
    FAL_TRY(fal_reader_status(r, err));
    if (n_chunks < 0)
        return fal_fail(err, FAL_E_FORMAT, "entry '%.*s': %d chunks, at least 0 are expected",
                        (int)name.length, name.data, n_chunks);
    if (n_values < 1 || (size_t)n_values > fal_reader_remaining(r) / sizeof(float))
        return fal_fail(err, FAL_E_FORMAT, "entry '%.*s': %d values, %zu bytes are left",
                        (int)name.length, name.data, n_values, fal_reader_remaining(r));
    fal_importance_entry *e;
    FAL_TRY(append(out, name.data, name.length, n_values, &e, err));
    /* Files that tell no chunks hold the means themselves. */
    e->n_chunks = n_chunks > 0 ? n_chunks : 1;
    for (int32_t i = 0; i < n_values; i++)
        e->mean_squares[i] = (float)((double)fal_read_f32(r) / (double)e->n_chunks);
    return check_values(e, err);
}

static fal_status read_end(fal_importance *out, fal_reader *r, fal_error *err) {
    if (fal_reader_remaining(r) == 0) return FAL_OK;
    int32_t n_chunks = read_i32(r);
    FAL_TRY(fal_reader_status(r, err));
    out->n_chunks = n_chunks > 0 ? n_chunks : 0;
    if (fal_reader_remaining(r) == 0) return FAL_OK;
    int32_t length = read_i32(r);
    FAL_TRY(fal_reader_status(r, err));
    if (length < 0 || (size_t)length != fal_reader_remaining(r))
        return fal_fail(err, FAL_E_FORMAT, "the text's name has %d bytes, but %zu are left", length,
                        fal_reader_remaining(r));
    fal_slice name = fal_read_slice(r, (uint64_t)length);
    return length ? fal_importance_set_dataset(out, name.data, name.length, err) : FAL_OK;
}

static fal_status parse_classic(fal_importance *out, const void *data, size_t length,
                                fal_error *err) {
    fal_reader r = fal_reader_open(data, length);
    int32_t count = read_i32(&r);
    FAL_TRY(fal_reader_status(&r, err));
    if (count < 1 || (size_t)count > fal_reader_remaining(&r) / LEAST_ENTRY_BYTES)
        return fal_fail(err, FAL_E_FORMAT, "not an importance matrix: %d entries in %zu bytes",
                        count, length);
    for (int32_t i = 0; i < count; i++)
        FAL_TRY(read_entry(out, &r, i, err));
    return read_end(out, &r, err);
}

static fal_status write_i32(fal_output *o, int64_t value, const char *what, fal_error *err) {
    if (value < 0 || value > INT32_MAX)
        return fal_fail(err, FAL_E_LIMIT, "%s: %lld, at most %d can be written", what,
                        (long long)value, INT32_MAX);
    uint32_t bits = (uint32_t)value;
    uint8_t bytes[4] = {(uint8_t)bits, (uint8_t)(bits >> 8), (uint8_t)(bits >> 16),
                        (uint8_t)(bits >> 24)};
    return fal_output_write(o, bytes, sizeof bytes, err);
}

static fal_status write_f32(fal_output *o, float value, fal_error *err) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint8_t bytes[4] = {(uint8_t)bits, (uint8_t)(bits >> 8), (uint8_t)(bits >> 16),
                        (uint8_t)(bits >> 24)};
    return fal_output_write(o, bytes, sizeof bytes, err);
}

static fal_status write_entry(fal_output *o, const fal_importance_entry *e, fal_error *err) {
    size_t length = strlen(e->name);
    FAL_TRY(write_i32(o, (int64_t)length, "bytes of a name", err));
    FAL_TRY(fal_output_write(o, e->name, length, err));
    FAL_TRY(write_i32(o, e->n_chunks, e->name, err));
    FAL_TRY(write_i32(o, e->n_values, e->name, err));
    for (int64_t i = 0; i < e->n_values; i++) {
        double sum = (double)e->mean_squares[i] * (double)e->n_chunks;
        if (!(sum <= (double)FLT_MAX))
            return fal_fail(err, FAL_E_LIMIT, "%s: value %lld is %g, at most %g can be written",
                            e->name, (long long)i, sum, (double)FLT_MAX);
        FAL_TRY(write_f32(o, (float)sum, err));
    }
    return FAL_OK;
}

static fal_status write_classic(fal_output *o, const fal_importance *importance, fal_error *err) {
    FAL_TRY(write_i32(o, (int64_t)importance->count, "entries", err));
    for (size_t i = 0; i < importance->count; i++)
        FAL_TRY(write_entry(o, &importance->entries[i], err));
    size_t length = importance->dataset ? strlen(importance->dataset) : 0;
    FAL_TRY(write_i32(o, importance->n_chunks, "chunks", err));
    FAL_TRY(write_i32(o, (int64_t)length, "bytes of the text's name", err));
    return length ? fal_output_write(o, importance->dataset, length, err) : FAL_OK;
}

/* ---- GGUF ---- */

static bool ends_in(const char *text, const char *suffix) {
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && strcmp(text + n - m, suffix) == 0;
}

static fal_status check_f32(const fal_gguf_tensor *t, fal_error *err) {
    if (t->type_id == FAL_TYPE_F32 && t->data) return FAL_OK;
    return fal_fail(err, FAL_E_FORMAT, "tensor '%s' has type %s, f32 is expected", t->name,
                    t->type_name);
}

static int64_t value_count(const fal_gguf_tensor *t) {
    return (int64_t)(t->bytes / sizeof(float));
}

/* Where a matrix of the stack has seen no token, llama.cpp takes 1 for each column: all alike. */
static fal_status divide(fal_importance_entry *e, fal_reader *sums, fal_reader *counts,
                         int64_t n_matrices, fal_error *err) {
    int64_t n_columns = e->n_values / n_matrices;
    for (int64_t m = 0; m < n_matrices; m++) {
        double n = (double)fal_read_f32(counts);
        if (!(n >= 0 && n <= 0x1p53))
            return fal_fail(err, FAL_E_FORMAT, "entry '%s': a count of %g", e->name, n);
        if (n > (double)e->n_tokens) e->n_tokens = (int64_t)n;
        for (int64_t i = 0; i < n_columns; i++) {
            double sum = (double)fal_read_f32(sums);
            e->mean_squares[m * n_columns + i] = n > 0 ? (float)(sum / n) : 1.0f;
        }
    }
    return FAL_OK;
}

static fal_status read_gguf_entry(fal_importance *out, const fal_gguf *f, const fal_gguf_tensor *t,
                                  fal_error *err) {
    char name[FAL_GGUF_MAX_NAME_BYTES + 1], counts_name[FAL_GGUF_MAX_NAME_BYTES + 16];
    size_t length = strlen(t->name) - strlen(sums_suffix);
    if (length < 1 || length >= sizeof name)
        return fal_fail(err, FAL_E_FORMAT, "tensor '%s' names no matrix", t->name);
    memcpy(name, t->name, length);
    name[length] = '\0';
    snprintf(counts_name, sizeof counts_name, "%s%s", name, counts_suffix);
    const fal_gguf_tensor *counts = fal_gguf_tensor_find(f, counts_name);
    if (!counts) return fal_fail(err, FAL_E_FORMAT, "tensor '%s' is missing", counts_name);
    FAL_TRY(check_f32(t, err));
    FAL_TRY(check_f32(counts, err));
    int64_t n_values = value_count(t), n_matrices = value_count(counts);
    if (n_values % n_matrices != 0)
        return fal_fail(err, FAL_E_FORMAT, "tensor '%s' has %lld values for %lld counts", t->name,
                        (long long)n_values, (long long)n_matrices);
    fal_importance_entry *e;
    FAL_TRY(append(out, name, length, n_values, &e, err));
    fal_reader sums = fal_reader_open(t->data, (size_t)t->bytes),
               rows = fal_reader_open(counts->data, (size_t)counts->bytes);
    FAL_TRY(divide(e, &sums, &rows, n_matrices, err));
    int64_t chunk_size = out->chunk_size ? out->chunk_size : DEFAULT_CHUNK;
    e->n_chunks = e->n_tokens / chunk_size + (e->n_tokens % chunk_size != 0);
    if (e->n_chunks < 1) e->n_chunks = 1;
    return check_values(e, err);
}

static fal_status read_gguf(fal_importance *out, const fal_gguf *f, fal_error *err) {
    fal_gguf_string type, dataset;
    uint32_t number;
    if (!fal_gguf_find_string(f, "general.type", &type)
        || !fal_slice_equals((fal_slice){type.data, type.length}, "imatrix"))
        return fal_fail(err, FAL_E_FORMAT,
                        "not an importance matrix: key 'general.type' is not 'imatrix'");
    if (fal_gguf_find_u32(f, "imatrix.chunk_count", &number)) out->n_chunks = number;
    if (fal_gguf_find_u32(f, "imatrix.chunk_size", &number)) out->chunk_size = number;
    const fal_gguf_value *datasets = fal_gguf_find(f, "imatrix.datasets");
    if (datasets && datasets->count > 0 && fal_gguf_value_string(f, datasets, 0, &dataset))
        FAL_TRY(fal_importance_set_dataset(out, dataset.data, dataset.length, err));
    for (int i = 0; i < fal_gguf_tensor_count(f); i++) {
        const fal_gguf_tensor *t = fal_gguf_tensor_at(f, i);
        if (ends_in(t->name, sums_suffix)) FAL_TRY(read_gguf_entry(out, f, t, err));
    }
    if (out->count == 0)
        return fal_fail(err, FAL_E_FORMAT, "not an importance matrix: no tensor ends in '%s'",
                        sums_suffix);
    return FAL_OK;
}

static fal_status parse_gguf(fal_importance *out, const void *data, size_t length, fal_error *err) {
    fal_gguf *f;
    FAL_TRY(fal_gguf_open_header(&f, data, length, length, err));
    fal_status status = read_gguf(out, f, err);
    fal_gguf_close(f);
    return status;
}

/* A count is a float in this form: beyond 2^24 not every one is told exactly, so that the sums follow what is. */
static float count_of(const fal_importance *importance, const fal_importance_entry *e) {
    int64_t chunk_size = importance->chunk_size ? importance->chunk_size : DEFAULT_CHUNK;
    return e->n_tokens ? (float)e->n_tokens : (float)e->n_chunks * (float)chunk_size;
}

static fal_status announce(fal_gguf_writer *w, const fal_importance *importance, fal_error *err) {
    const fal_type *f32 = fal_type_by_id(FAL_TYPE_F32);
    for (size_t i = 0; i < importance->count; i++) {
        const fal_importance_entry *e = &importance->entries[i];
        char name[FAL_GGUF_MAX_NAME_BYTES + 2];
        const int64_t sums_shape[] = {1, e->n_values}, counts_shape[] = {1, 1};
        if (strlen(e->name) + strlen(sums_suffix) >= sizeof name)
            return fal_fail(err, FAL_E_LIMIT, "entry '%s': the name is too long for GGUF", e->name);
        snprintf(name, sizeof name, "%s%s", e->name, sums_suffix);
        FAL_TRY(fal_gguf_add_tensor(w, name, f32, 2, sums_shape, err));
        snprintf(name, sizeof name, "%s%s", e->name, counts_suffix);
        FAL_TRY(fal_gguf_add_tensor(w, name, f32, 2, counts_shape, err));
    }
    return FAL_OK;
}

static fal_status write_gguf_entry(fal_gguf_writer *w, const fal_importance *importance,
                                   const fal_importance_entry *e, fal_error *err) {
    float n = count_of(importance, e);
    for (int64_t i = 0; i < e->n_values; i++) {
        double sum = (double)e->mean_squares[i] * (double)n;
        float stored = (float)sum;
        if (!(sum <= (double)FLT_MAX))
            return fal_fail(err, FAL_E_LIMIT, "%s: value %lld is %g, at most %g can be written",
                            e->name, (long long)i, sum, (double)FLT_MAX);
        FAL_TRY(fal_gguf_write_data(w, &stored, sizeof stored, err));
    }
    return fal_gguf_write_data(w, &n, sizeof n, err);
}

static fal_status write_gguf(fal_gguf_writer *w, const fal_importance *importance, const char *path,
                             fal_error *err) {
    if (importance->n_chunks > UINT32_MAX || importance->chunk_size > UINT32_MAX)
        return fal_fail(err, FAL_E_LIMIT, "%lld chunks of %lld tokens are too many for GGUF",
                        (long long)importance->n_chunks, (long long)importance->chunk_size);
    fal_slice dataset = fal_slice_of(importance->dataset ? importance->dataset : "");
    int64_t chunk_size = importance->chunk_size ? importance->chunk_size : DEFAULT_CHUNK;
    fal_gguf_set_string(w, "general.type", "imatrix", 7);
    fal_gguf_set_strings(w, "imatrix.datasets", &dataset, dataset.length ? 1 : 0);
    fal_gguf_set_u32(w, "imatrix.chunk_count", (uint32_t)importance->n_chunks);
    fal_gguf_set_u32(w, "imatrix.chunk_size", (uint32_t)chunk_size);
    FAL_TRY(announce(w, importance, err));
    FAL_TRY(fal_gguf_writer_begin(w, path, err));
    for (size_t i = 0; i < importance->count; i++)
        FAL_TRY(write_gguf_entry(w, importance, &importance->entries[i], err));
    return fal_gguf_writer_commit(w, err);
}

/* ---- either form ---- */

fal_status fal_importance_parse(fal_importance *out, const void *data, size_t length,
                                fal_error *err) {
    bool is_gguf = length >= 4 && memcmp(data, "GGUF", 4) == 0;
    fal_status status =
        is_gguf ? parse_gguf(out, data, length, err) : parse_classic(out, data, length, err);
    if (status == FAL_OK) status = put_in_order(out, err);
    if (status != FAL_OK) fal_importance_release(out);
    return status;
}

fal_status fal_importance_read(fal_importance *out, const char *path, fal_error *err) {
    fal_mapping file = {0};
    FAL_TRY(fal_mapping_open(&file, path, err));
    fal_status status = fal_importance_parse(out, file.data, file.length, err);
    fal_mapping_release(&file);
    return status == FAL_OK ? FAL_OK : fal_add_context(err, status, "%s", path);
}

fal_status fal_importance_write(const fal_importance *importance, const char *path,
                                fal_error *err) {
    if (importance->count == 0)
        return fal_fail(err, FAL_E_ARGUMENT, "%s: an importance matrix without entries", path);
    if (ends_in(path, ".gguf")) {
        fal_gguf_writer *w;
        FAL_TRY(fal_gguf_writer_open(&w, err));
        fal_status status = write_gguf(w, importance, path, err);
        fal_gguf_writer_close(w);
        return status;
    }
    fal_output *o;
    FAL_TRY(fal_output_open(&o, path, err));
    fal_status status = write_classic(o, importance, err);
    if (status == FAL_OK) return fal_output_commit(o, err);
    fal_output_discard(o);
    return status;
}
