/* Opens and closes GGUF files: one file, a set of parts of which any may be named, or bytes in memory.
 * What a part holds is read by gguf_read.c. */
#include "base/alloc.h"
#include "formats/gguf_memory.h"
#include "formats/gguf_private.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PART_SUFFIX_BYTES = 20 /* "-00001-of-00009.gguf" */
};

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
    (void)snprintf(suffix, sizeof suffix, "-%05d-of-%05d.gguf", part, n_parts);
    memcpy(copy + strlen(path) - PART_SUFFIX_BYTES, suffix, PART_SUFFIX_BYTES);
    return copy;
}

static void release_part(fal_gguf_part *part) {
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
static fal_status open_part(fal_gguf *f, fal_gguf_part *part, char *take_path, fal_error *err) {
    part->path = take_path;
    if (!take_path) return fal_fail_memory(err, 0);
    FAL_TRY(fal_mapping_open(&part->mapping, part->path, err));
    part->data = part->mapping.data;
    part->length = part->mapping.length;
    return fal_add_context(err, fal_gguf_part_parse(f, part, err), "%s", part->path);
}

static fal_status get_split_number(const fal_gguf_part *part, const char *key, int64_t max,
                                   int64_t *out, fal_error *err) {
    const fal_gguf_stored_value *v = fal_gguf_part_find(part, key);
    if (!v || v->face.type == FAL_GGUF_ARRAY || !fal_gguf_value_i64(NULL, &v->face, 0, out)
        || *out < 0 || *out > max) {
        return fal_fail(err, FAL_E_FORMAT, "key '%s' is missing or no number from 0 to %lld", key,
                        (long long)max);
    }
    return FAL_OK;
}

static fal_status check_part(const fal_gguf_part *part, int index, int n_parts, fal_error *err) {
    int64_t number = 0, count = 0;
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
        fal_gguf_part *part = &f->parts[i];
        f->n_parts++;
        fal_status status = open_part(f, part, part_path(f->path, i + 1, n_parts), err);
        if (status == FAL_E_NOT_FOUND) {
            return fal_add_context(err, status, "part %d of %d is missing", i + 1, n_parts);
        }
        FAL_TRY(status);
        FAL_TRY(fal_add_context(err, check_part(part, i, n_parts, err), "%s", part->path));
    }
    int64_t n_tensors = 0;
    const fal_gguf_part *first = &f->parts[0];
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
    const fal_gguf_part *part = &f->parts[0];
    if (!fal_gguf_part_find(part, "split.count")) return FAL_OK;
    int64_t count = 0;
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

/* file_bytes: of the file that data is the beginning of. */
static fal_status open_memory(fal_gguf **out, const void *data, size_t length, uint64_t file_bytes,
                              const char *name, fal_error *err) {
    *out = NULL;
    fal_gguf *f = allocate(name);
    if (!f) return fal_fail_memory(err, sizeof *f);
    f->parts[0].data = data;
    f->parts[0].length = length;
    f->parts[0].file_bytes = file_bytes;
    fal_status status = fal_gguf_part_parse(f, &f->parts[0], err);
    if (status == FAL_OK) {
        *out = f;
    } else {
        fal_gguf_close(f);
    }
    return status;
}

void fal_gguf_forget(const fal_gguf *f, const fal_gguf_tensor *tensor) {
    if (f->parts[0].mapping.data) fal_mapped_range_forget(tensor->data, (size_t)tensor->bytes);
}

fal_status fal_gguf_open_memory(fal_gguf **out, const void *data, size_t length, const char *name,
                                fal_error *err) {
    return fal_add_context(err, open_memory(out, data, length, length, name, err), "%s", name);
}

fal_status fal_gguf_open_header(fal_gguf **out, const void *data, size_t length,
                                uint64_t file_bytes, fal_error *err) {
    return open_memory(out, data, length, file_bytes, "memory", err);
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
