/* Body of training_checkpoint.h: the folder, and the two files of tensors. The manifest is manifest.c's. */
#include "train/training_checkpoint.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/folder.h"
#include "formats/safetensors.h"
#include "formats/safetensors_write.h"
#include "train/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NAME_SIZE = FAL_WEIGHT_NAME_SIZE + 8
};

/* A file of a checkpoint holds one array of each trained weight, or two. */
typedef struct part {
    const char *file, *prefix;
    int moment; /* -1: the weight itself */
} part;

static const part parts[] = {
    {"weights.safetensors",   "",   -1               },
    {"optimizer.safetensors", "m.", FAL_MOMENT_FIRST },
    {"optimizer.safetensors", "v.", FAL_MOMENT_SECOND},
};

enum {
    N_PARTS = sizeof parts / sizeof *parts
};

/* What is written or read. */
typedef struct contents {
    fal_trainable *trainable;
    fal_optimizer *optimizer;
} contents;

static fal_tensor tensor_of(const contents *c, const part *p, int index) {
    const fal_trainable_weight *w = fal_trainable_at(c->trainable, index);
    if (w->is_frozen) return FAL_NONE;
    return p->moment < 0 ? w->value
                         : fal_optimizer_moment(c->optimizer, index, (fal_moment)p->moment);
}

static void name_of(const contents *c, const part *p, int index, char out[NAME_SIZE]) {
    snprintf(out, NAME_SIZE, "%s%s", p->prefix, fal_trainable_at(c->trainable, index)->name);
}

static size_t bytes_of(fal_tensor t) {
    return (size_t)t.n_rows * (size_t)t.n_cols * sizeof(float);
}

static fal_status folder_of(char **out, const char *directory, int64_t step, const char *suffix,
                            fal_error *err) {
    char name[64];
    snprintf(name, sizeof name, "step-%lld%s", (long long)step, suffix);
    *out = fal_path_join(directory, name);
    return *out ? FAL_OK : fal_fail_memory(err, strlen(directory));
}

/* ---- writing ---- */

static fal_status announce(const contents *c, const part *p, fal_safetensors_writer *w,
                           fal_manifest *manifest, fal_error *err) {
    for (int i = 0; i < fal_trainable_count(c->trainable); i++) {
        fal_tensor t = tensor_of(c, p, i);
        if (!fal_tensor_is_given(t)) continue;
        char name[NAME_SIZE], digest[FAL_SHA256_HEX];
        name_of(c, p, i, name);
        const int64_t shape[2] = {t.n_rows, t.n_cols};
        bool is_vector = t.n_rows == 1;
        FAL_TRY(fal_safetensors_add(w, name, t.type, is_vector ? 1 : 2,
                                    is_vector ? shape + 1 : shape, err));
        fal_sha256 sum = fal_sha256_begin();
        fal_sha256_add(&sum, t.data, bytes_of(t));
        fal_sha256_end(&sum, digest);
        FAL_TRY(fal_manifest_add_tensor(manifest, name, digest, err));
    }
    return FAL_OK;
}

static fal_status write_data(const contents *c, const part *p, fal_safetensors_writer *w,
                             fal_error *err) {
    for (int i = 0; i < fal_trainable_count(c->trainable); i++) {
        fal_tensor t = tensor_of(c, p, i);
        if (fal_tensor_is_given(t)) FAL_TRY(fal_safetensors_write(w, t.data, bytes_of(t), err));
    }
    return FAL_OK;
}

/* Parts [first, end) go into one file. */
static fal_status write_file(const contents *c, const char *folder, int first, int end,
                             fal_manifest *manifest, fal_error *err) {
    fal_safetensors_writer *w = NULL;
    char *path = fal_path_join(folder, parts[first].file);
    if (!path) return fal_fail_memory(err, 0);
    fal_status status;
    FAL_TRY_OUT(fal_safetensors_writer_open(&w, err));
    FAL_TRY_OUT(fal_safetensors_set_text(w, "format", "pt", err));
    for (int i = first; i < end; i++)
        FAL_TRY_OUT(announce(c, &parts[i], w, manifest, err));
    FAL_TRY_OUT(fal_safetensors_begin(w, path, err));
    for (int i = first; i < end; i++)
        FAL_TRY_OUT(write_data(c, &parts[i], w, err));
    FAL_TRY_OUT(fal_safetensors_commit(w, err));
out:
    fal_safetensors_writer_close(w);
    fal_free(path);
    return status;
}

static fal_status write_folder(const contents *c, const char *folder, fal_manifest *manifest,
                               fal_error *err) {
    FAL_TRY(fal_folder_remove(folder, err));
    FAL_TRY(fal_folder_make(folder, err));
    for (int first = 0; first < N_PARTS;) {
        int end = first + 1;
        while (end < N_PARTS && strcmp(parts[end].file, parts[first].file) == 0)
            end++;
        FAL_TRY(write_file(c, folder, first, end, manifest, err));
        first = end;
    }
    return fal_manifest_write(manifest, folder, err);
}

fal_status fal_training_checkpoint_write(const char *directory, fal_trainable *trainable,
                                         fal_optimizer *optimizer, const fal_progress_of_run *at,
                                         fal_error *err) {
    const contents c = {trainable, optimizer};
    char *partial = NULL, *final = NULL;
    fal_manifest *manifest = NULL;
    fal_status status;
    FAL_TRY_OUT(folder_of(&partial, directory, at->step, ".partial", err));
    FAL_TRY_OUT(folder_of(&final, directory, at->step, "", err));
    if (fal_file_exists(final)) {
        status = fal_fail(err, FAL_E_ARGUMENT, "'%s' is there already", final);
        goto out;
    }
    FAL_TRY_OUT(fal_manifest_open(&manifest, at, err));
    status = write_folder(&c, partial, manifest, err);
    if (status == FAL_OK) status = fal_folder_rename(partial, final, err);
    if (status != FAL_OK) (void)fal_folder_remove(partial, NULL);
out:
    fal_manifest_close(manifest);
    fal_free(partial);
    fal_free(final);
    return status;
}

/* ---- reading ---- */

/* The tensors of one file, with those of the manifest. */
typedef struct opened_file {
    fal_mapping mapping;
    fal_checkpoint_list list;
} opened_file;

static void release_file(opened_file *f) {
    fal_checkpoint_list_release(&f->list);
    fal_mapping_release(&f->mapping);
}

static fal_status check_shape(const fal_checkpoint_tensor *found, fal_tensor t, fal_error *err) {
    int64_t n_rows = found->n_dims == 2 ? found->shape[0] : 1;
    int64_t n_cols = found->n_dims == 2 ? found->shape[1] : found->shape[0];
    bool fits = found->type && found->type->gguf_id == FAL_TYPE_F32 && found->n_dims >= 1
                && found->n_dims <= 2 && n_rows == t.n_rows && n_cols == t.n_cols;
    if (fits) return FAL_OK;
    return fal_fail(err, FAL_E_FORMAT, "%lld rows of %lld in the file, %lld of %lld in the model",
                    (long long)n_rows, (long long)n_cols, (long long)t.n_rows, (long long)t.n_cols);
}

static fal_status read_tensor(const fal_manifest *manifest, const opened_file *f, const char *name,
                              fal_tensor t, fal_error *err) {
    const fal_checkpoint_row *row = fal_checkpoint_list_find(&f->list, fal_slice_of(name));
    const char *expected = fal_manifest_digest(manifest, name);
    if (!row || row->is_skipped || !expected)
        return fal_fail(err, FAL_E_FORMAT,
                        "it is missing: damage, or a checkpoint of another model");
    FAL_TRY(check_shape(&row->face, t, err));
    char digest[FAL_SHA256_HEX];
    fal_sha256 sum = fal_sha256_begin();
    fal_sha256_add(&sum, row->face.data, bytes_of(t));
    fal_sha256_end(&sum, digest);
    if (strcmp(digest, expected) != 0)
        return fal_fail(err, FAL_E_FORMAT, "damaged: its digest is not the manifest's");
    memcpy(t.data, row->face.data, bytes_of(t));
    if (row->face.is_mapped) fal_mapped_range_forget(row->face.data, bytes_of(t));
    return FAL_OK;
}

static fal_status read_part(const contents *c, const part *p, const fal_manifest *manifest,
                            const opened_file *f, fal_error *err) {
    for (int i = 0; i < fal_trainable_count(c->trainable); i++) {
        fal_tensor t = tensor_of(c, p, i);
        if (!fal_tensor_is_given(t)) continue;
        char name[NAME_SIZE];
        name_of(c, p, i, name);
        fal_status status = read_tensor(manifest, f, name, t, err);
        if (status != FAL_OK) return fal_add_context(err, status, "tensor '%s'", name);
    }
    return FAL_OK;
}

/* All tensors of the model are there when this is called: a checkpoint of more is of a larger one. */
static fal_status check_count(const contents *c, const fal_manifest *manifest, const char *folder,
                              fal_error *err) {
    int64_t n = 0, n_saved = fal_manifest_tensor_count(manifest);
    for (int p = 0; p < N_PARTS; p++) {
        for (int i = 0; i < fal_trainable_count(c->trainable); i++)
            n += fal_tensor_is_given(tensor_of(c, &parts[p], i));
    }
    if (n == n_saved) return FAL_OK;
    return fal_fail(err, FAL_E_FORMAT,
                    "%s: %lld tensors in it, %lld in the model: of another model", folder,
                    (long long)n_saved, (long long)n);
}

static fal_status read_one(const contents *c, const part *p, const fal_manifest *manifest,
                           const char *folder, fal_error *err) {
    opened_file f = {0};
    char *path = fal_path_join(folder, p->file);
    if (!path) return fal_fail_memory(err, 0);
    fal_status status = fal_mapping_open(&f.mapping, path, err);
    if (status == FAL_OK) {
        status = fal_safetensors_read(&f.list, f.mapping.data, f.mapping.length, p->file, err);
        if (status == FAL_OK) status = read_part(c, p, manifest, &f, err);
        if (status != FAL_OK) fal_add_context(err, status, "%s", path);
    }
    release_file(&f);
    fal_free(path);
    return status;
}

static fal_status open_manifest(fal_manifest **out, const char *folder, int64_t step,
                                fal_progress_of_run *at, fal_error *err) {
    FAL_TRY(fal_manifest_read(out, folder, at, err));
    if (at->step == step) return FAL_OK;
    return fal_fail(err, FAL_E_FORMAT, "%s: the manifest says step %lld", folder,
                    (long long)at->step);
}

fal_status fal_training_checkpoint_look(const char *directory, int64_t step,
                                        fal_progress_of_run *at, fal_error *err) {
    char *folder;
    fal_manifest *manifest = NULL;
    FAL_TRY(folder_of(&folder, directory, step, "", err));
    fal_status status = open_manifest(&manifest, folder, step, at, err);
    fal_manifest_close(manifest);
    fal_free(folder);
    return status;
}

fal_status fal_training_checkpoint_read(const char *directory, int64_t step,
                                        fal_trainable *trainable, fal_optimizer *optimizer,
                                        fal_progress_of_run *at, fal_error *err) {
    const contents c = {trainable, optimizer};
    char *folder = NULL;
    fal_manifest *manifest = NULL;
    fal_status status;
    FAL_TRY_OUT(folder_of(&folder, directory, step, "", err));
    FAL_TRY_OUT(open_manifest(&manifest, folder, step, at, err));
    for (int i = 0; i < N_PARTS; i++)
        FAL_TRY_OUT(read_one(&c, &parts[i], manifest, folder, err));
    FAL_TRY_OUT(check_count(&c, manifest, folder, err));
out:
    fal_manifest_close(manifest);
    fal_free(folder);
    return status;
}

/* ---- the folder of a run ---- */

/* -1: not a name that a checkpoint is given, digit for digit. */
static int64_t step_of_name(const char *name) {
    if (strncmp(name, "step-", 5) != 0 || name[5] < '0' || name[5] > '9') return -1;
    long long step = strtoll(name + 5, NULL, 10);
    char given[NAME_SIZE];
    snprintf(given, sizeof given, "step-%lld", step);
    return strcmp(name, given) == 0 ? step : -1;
}

/* *step of name in directory; -1: it is no checkpoint's folder. Fails: MEMORY. */
static fal_status step_in(const char *directory, const char *name, int64_t *step, fal_error *err) {
    *step = step_of_name(name);
    if (*step < 0) return FAL_OK;
    char *path = fal_path_join(directory, name);
    if (!path) return fal_fail_memory(err, 0);
    if (!fal_file_is_directory(path)) *step = -1;
    fal_free(path);
    return FAL_OK;
}

static bool is_left_behind(const char *name) {
    size_t length = strlen(name);
    static const char suffix[] = ".partial";
    size_t tail = sizeof suffix - 1;
    return strncmp(name, "step-", 5) == 0 && length > tail
           && strcmp(name + length - tail, suffix) == 0;
}

fal_status fal_training_checkpoint_find(const char *directory, int64_t *step, fal_error *err) {
    *step = -1;
    if (!fal_file_is_directory(directory)) return FAL_OK;
    fal_names names = {0};
    fal_status status = fal_folder_list(&names, directory, "", err);
    for (size_t i = 0; status == FAL_OK && i < names.count; i++) {
        int64_t found;
        status = step_in(directory, names.items[i], &found, err);
        if (status == FAL_OK && found > *step) *step = found;
    }
    fal_names_release(&names);
    return status;
}

/* Checkpoints among names that are behind step. */
static int64_t count_above(const int64_t *steps, size_t count, int64_t step) {
    int64_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += steps[i] > step;
    return n;
}

/* A checkpoint gets a name that is none before its files go: it is never seen half removed. */
static fal_status remove_one(const char *directory, const char *name, fal_error *err) {
    char *partial = NULL, *path = fal_path_join(directory, name);
    fal_status status = path ? FAL_OK : fal_fail_memory(err, 0);
    if (status == FAL_OK && !is_left_behind(name)) {
        status = folder_of(&partial, directory, step_of_name(name), ".partial", err);
        if (status == FAL_OK) status = fal_folder_remove(partial, err);
        if (status == FAL_OK) status = fal_folder_rename(path, partial, err);
    }
    if (status == FAL_OK) status = fal_folder_remove(partial ? partial : path, err);
    fal_free(partial);
    fal_free(path);
    return status;
}

fal_status fal_training_checkpoint_keep(const char *directory, int keep, fal_error *err) {
    fal_names names = {0};
    int64_t *steps = NULL;
    fal_status status = fal_folder_list(&names, directory, "", err);
    if (status == FAL_OK) {
        steps = fal_alloc(names.count + 1, sizeof *steps);
        if (!steps) status = fal_fail_memory(err, names.count * sizeof *steps);
    }
    for (size_t i = 0; status == FAL_OK && i < names.count; i++)
        status = step_in(directory, names.items[i], &steps[i], err);
    for (size_t i = 0; status == FAL_OK && i < names.count; i++) {
        bool is_old = steps[i] >= 0 && count_above(steps, names.count, steps[i]) >= keep;
        if (is_old || is_left_behind(names.items[i]))
            status = remove_one(directory, names.items[i], err);
    }
    fal_free(steps);
    fal_names_release(&names);
    return status;
}
