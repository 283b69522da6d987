/* Body of source.h: chooses the kind by what the path is. */
#include "convert/source.h"

#include "base/alloc.h"
#include "base/file.h"

#include <string.h>

static bool is_config(const char *path) {
    size_t length = strlen(path);
    return length >= 5 && strcmp(path + length - 5, ".json") == 0;
}

/* Of a config.json the folder that it lies in. */
static fal_status open_config(fal_source *s, const char *path, const fal_log *log, fal_error *err) {
    const char *base = fal_path_base(path);
    if (strcmp(base, "config.json") != 0)
        return fal_fail(err, FAL_E_ARGUMENT, "'%s': a config has the name config.json", path);
    char *directory =
        base == path ? fal_copy_string(".", 1) : fal_copy_string(path, (size_t)(base - path));
    if (!directory) return fal_fail_memory(err, 0);
    fal_status status = fal_source_open_folder(s, directory, true, log, err);
    fal_free(directory);
    return status;
}

static fal_status open_by_kind(fal_source *s, const char *path, bool shapes_only,
                               const fal_log *log, fal_error *err) {
    if (fal_file_is_directory(path)) return fal_source_open_folder(s, path, shapes_only, log, err);
    if (is_config(path) && !shapes_only)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "'%s': a config has no weights; it can be planned (--dry-run), and its "
                        "folder quantized",
                        path);
    if (is_config(path)) return open_config(s, path, log, err);
    return fal_source_open_gguf(s, path, err);
}

fal_status fal_source_open(fal_source **out, const char *path, bool shapes_only, const fal_log *log,
                           fal_error *err) {
    *out = NULL;
    fal_source *s = fal_alloc(1, sizeof *s);
    if (!s) return fal_fail_memory(err, sizeof *s);
    fal_status status = open_by_kind(s, path, shapes_only, log, err);
    if (status != FAL_OK) {
        fal_source_close(s);
        return status;
    }
    *out = s;
    return FAL_OK;
}

void fal_source_close(fal_source *s) {
    if (!s) return;
    if (s->kind) s->kind->close(s->state);
    fal_free(s);
}

int64_t fal_plan_tensor_columns(const fal_plan_tensor *t) {
    return t->shape[t->n_dims - 1];
}

int64_t fal_plan_tensor_rows(const fal_plan_tensor *t) {
    int64_t n = 1;
    for (int i = 0; i < t->n_dims - 1; i++)
        n *= t->shape[i];
    return n;
}

const fal_type *fal_source_float_type(const fal_source *s) {
    for (int i = 0; i < s->n_tensors; i++) {
        const fal_type *type = s->tensors[i].source;
        if (s->tensors[i].n_dims == 2) return type->is_quantized ? NULL : type;
    }
    return fal_type_by_id(FAL_TYPE_F32);
}

int fal_source_find(const fal_source *s, const char *name) {
    for (int i = 0; i < s->n_tensors; i++) {
        if (strcmp(s->tensors[i].name, name) == 0) return i;
    }
    return -1;
}

static uint64_t mix_bytes(uint64_t hash, const void *data, size_t length) {
    const unsigned char *bytes = data;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}

fal_status fal_source_fingerprint(const fal_source *s, uint64_t *out, fal_error *err) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (int i = 0; i < s->n_tensors; i++) {
        const fal_plan_tensor *t = &s->tensors[i];
        size_t n_cols = (size_t)fal_plan_tensor_columns(t);
        float *row = fal_alloc_aligned(n_cols, sizeof *row);
        if (!row) return fal_fail_memory(err, n_cols * sizeof *row);
        fal_status status = s->kind->read_rows(s->state, i, 0, 1, row, err);
        hash = mix_bytes(hash, t->name, strlen(t->name));
        hash = mix_bytes(hash, t->shape, sizeof t->shape);
        if (status == FAL_OK) hash = mix_bytes(hash, row, n_cols * sizeof *row);
        fal_free(row);
        if (status != FAL_OK) return status;
    }
    *out = hash >> 1; /* fits the signed numbers that some readers use */
    return FAL_OK;
}
