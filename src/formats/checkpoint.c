/* Body of checkpoint.h: finds the files of a folder, maps them and has their tensors listed. What a file holds is the
 * business of safetensors.c and torch_file.c. */
#include "formats/checkpoint.h"

#include "base/alloc.h"
#include "base/file.h"
#include "formats/checkpoint_list.h"
#include "formats/json_file.h"
#include "formats/safetensors.h"
#include "formats/torch_file.h"

#include <stdio.h>
#include <string.h>

typedef fal_status list_tensors(fal_checkpoint_list *list, const void *data, size_t length,
                                const char *file, fal_error *err);

/* In the order in which they are looked for. shard_prefix and shard_suffix: how the files of an index are usually named;
 * NULL: a single file. */
static const struct {
    const char *name;
    list_tensors *read;
    const char *shard_prefix, *shard_suffix;
} candidates[] = {
    {"model.safetensors.index.json", fal_safetensors_read, "model-00001-of-",         ".safetensors"},
    {"model.safetensors",            fal_safetensors_read, NULL,                      NULL          },
    {"pytorch_model.bin.index.json", fal_torch_file_read,  "pytorch_model-00001-of-", ".bin"        },
    {"pytorch_model.bin",            fal_torch_file_read,  NULL,                      NULL          },
};

enum {
    N_CANDIDATES = sizeof candidates / sizeof *candidates,
    MAX_SHARDS = 999
};

typedef struct source_file {
    char *name;
    fal_mapping mapping;
} source_file;

struct fal_checkpoint {
    source_file *files;
    size_t n_files, file_capacity;
    fal_checkpoint_list list;
    int *shown; /* rows of list that are not skipped */
    int n_shown;
};

/* ---- files ---- */

static source_file *find_file(const fal_checkpoint *c, const char *name) {
    for (size_t i = 0; i < c->n_files; i++) {
        if (strcmp(c->files[i].name, name) == 0) return &c->files[i];
    }
    return NULL;
}

static fal_status add_file(fal_checkpoint *c, const char *directory, const char *name,
                           list_tensors *read, fal_error *err) {
    if (!fal_grow((void **)&c->files, &c->file_capacity, c->n_files + 1, sizeof *c->files)) {
        return fal_fail_memory(err, (c->n_files + 1) * sizeof *c->files);
    }
    source_file *file = &c->files[c->n_files];
    *file = (source_file){.name = fal_copy_string(name, strlen(name))};
    if (!file->name) return fal_fail_memory(err, strlen(name) + 1);
    c->n_files++;
    char *path = fal_path_join(directory, name);
    if (!path) return fal_fail_memory(err, strlen(directory) + strlen(name) + 2);
    fal_status status = fal_mapping_open(&file->mapping, path, err);
    if (status == FAL_OK) {
        status = read(&c->list, file->mapping.data, file->mapping.length, file->name, err);
        status = fal_add_context(err, status, "%s", path);
    }
    fal_free(path);
    return status;
}

/* ---- index ---- */

/* A shard lies beside its index, nowhere else. */
static bool is_plain_name(const char *name) {
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) return false;
    for (const char *c = name; *c; c++) {
        if (*c == '/' || *c == '\\' || (unsigned char)*c < 0x20 || *c == 0x7f) return false;
    }
    return true;
}

static fal_status check_place(const fal_checkpoint *c, const char *tensor, const char *shard,
                              fal_error *err) {
    const fal_checkpoint_row *row = fal_checkpoint_list_find(&c->list, fal_slice_of(tensor));
    if (row && strcmp(row->face.file, shard) == 0) return FAL_OK;
    return fal_fail(err, FAL_E_FORMAT, "tensor '%.200s' is not in '%.200s'%s%s", tensor, shard,
                    row ? " but in " : "", row ? row->face.file : "");
}

static fal_status read_map(fal_checkpoint *c, const char *directory, json_t *map,
                           list_tensors *read, fal_error *err) {
    if (!json_is_object(map) || json_object_size(map) == 0) {
        return fal_fail(err, FAL_E_FORMAT, "'weight_map' is missing or empty");
    }
    const char *tensor;
    json_t *value;
    json_object_foreach(map, tensor, value) {
        FAL_TRY(fal_checkpoint_check_name(fal_slice_of(tensor), err));
        const char *shard = json_string_value(value);
        if (!shard || !is_plain_name(shard)) {
            return fal_fail(err, FAL_E_FORMAT,
                            "'weight_map' gives tensor '%.200s' no plain name of a file", tensor);
        }
        if (!find_file(c, shard)) FAL_TRY(add_file(c, directory, shard, read, err));
    }
    json_object_foreach(map, tensor, value)
        FAL_TRY(check_place(c, tensor, json_string_value(value), err));
    return FAL_OK;
}

static fal_status read_index(fal_checkpoint *c, const char *directory, const char *name,
                             list_tensors *read, fal_error *err) {
    char *path = fal_path_join(directory, name);
    if (!path) return fal_fail_memory(err, strlen(directory) + strlen(name) + 2);
    json_t *index = NULL;
    fal_status status = fal_json_read_file(&index, path, err);
    if (status == FAL_OK) {
        status = read_map(c, directory, json_object_get(index, "weight_map"), read, err);
        status = fal_add_context(err, status, "%s", path);
    }
    json_decref(index);
    fal_free(path);
    return status;
}

/* ---- the face ---- */

static fal_status find_in(const char *directory, const char *name, bool *found, fal_error *err) {
    char *path = fal_path_join(directory, name);
    if (!path) return fal_fail_memory(err, strlen(directory) + strlen(name) + 2);
    *found = fal_file_exists(path);
    fal_free(path);
    return FAL_OK;
}

/* Shards without their index are the usual sign of a download that was cut short. */
static fal_status fail_without_files(const char *directory, fal_error *err) {
    for (int i = 0; i < N_CANDIDATES; i++) {
        for (int n = 1; candidates[i].shard_prefix && n <= MAX_SHARDS; n++) {
            char name[64];
            bool found = false;
            (void)snprintf(name, sizeof name, "%s%05d%s", candidates[i].shard_prefix, n,
                           candidates[i].shard_suffix);
            FAL_TRY(find_in(directory, name, &found, err));
            if (!found) continue;
            return fal_fail(err, FAL_E_NOT_FOUND, "'%s' holds '%s', but the index '%s' is missing",
                            directory, name, candidates[i].name);
        }
    }
    return fal_fail(err, FAL_E_NOT_FOUND, "'%s' holds none of %s, %s, %s, %s", directory,
                    candidates[0].name, candidates[1].name, candidates[2].name, candidates[3].name);
}

static fal_status read_directory(fal_checkpoint *c, const char *directory, fal_error *err) {
    for (int i = 0; i < N_CANDIDATES; i++) {
        bool found = false;
        FAL_TRY(find_in(directory, candidates[i].name, &found, err));
        if (!found) continue;
        if (candidates[i].shard_prefix)
            return read_index(c, directory, candidates[i].name, candidates[i].read, err);
        return add_file(c, directory, candidates[i].name, candidates[i].read, err);
    }
    return fail_without_files(directory, err);
}

static fal_status select_shown(fal_checkpoint *c, fal_error *err) {
    c->shown = fal_alloc(c->list.count, sizeof *c->shown);
    if (!c->shown) return fal_fail_memory(err, c->list.count * sizeof *c->shown);
    for (size_t i = 0; i < c->list.count; i++) {
        if (!c->list.rows[i].is_skipped) c->shown[c->n_shown++] = (int)i;
    }
    return FAL_OK;
}

fal_status fal_checkpoint_open(fal_checkpoint **out, const char *directory, fal_error *err) {
    *out = NULL;
    fal_checkpoint *c = fal_alloc(1, sizeof *c);
    if (!c) return fal_fail_memory(err, sizeof *c);
    fal_status status = FAL_OK;
    FAL_TRY_OUT(read_directory(c, directory, err));
    FAL_TRY_OUT(select_shown(c, err));
    *out = c;
    c = NULL;
out:
    fal_checkpoint_close(c);
    return status;
}

void fal_checkpoint_close(fal_checkpoint *c) {
    if (!c) return;
    fal_free(c->shown);
    fal_checkpoint_list_release(&c->list);
    for (size_t i = 0; i < c->n_files; i++) {
        fal_mapping_release(&c->files[i].mapping);
        fal_free(c->files[i].name);
    }
    fal_free(c->files);
    fal_free(c);
}

int fal_checkpoint_count(const fal_checkpoint *c) {
    return c->n_shown;
}

const fal_checkpoint_tensor *fal_checkpoint_at(const fal_checkpoint *c, int index) {
    return &c->list.rows[c->shown[index]].face;
}

const fal_checkpoint_tensor *fal_checkpoint_find(const fal_checkpoint *c, const char *name) {
    const fal_checkpoint_row *row = fal_checkpoint_list_find(&c->list, fal_slice_of(name));
    return row && !row->is_skipped ? &row->face : NULL;
}
