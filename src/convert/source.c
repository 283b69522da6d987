/* Body of source.h: chooses the kind by what the path is. */
#include "convert/source.h"

#include "base/alloc.h"
#include "base/file.h"

fal_status fal_source_open(fal_source **out, const char *path, const fal_log *log, fal_error *err) {
    *out = NULL;
    fal_source *s = fal_alloc(1, sizeof *s);
    if (!s) return fal_fail_memory(err, sizeof *s);
    fal_status status = fal_file_is_directory(path) ? fal_source_open_folder(s, path, log, err)
                                                    : fal_source_open_gguf(s, path, err);
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
