/* Body of hf_tensors.h: a piece of rows is read and encoded by all threads, then written. */
#include "convert/hf_tensors.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/string_map.h"
#include "base/thread.h"
#include "compute/cpu/quantize.h"
#include "formats/safetensors_write.h"
#include "model/config_writer.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum {
    PIECE_WEIGHTS = 1 << 22,
    MAX_SHARDS = 99999, /* what the names have digits for */
    NAME_SIZE = 64
};

static const float BEYOND_F16 = 65520; /* rounds to infinity */

/* ---- the list ---- */

static fal_status check_shape(const fal_hf_tensors *all, fal_weight_id id, int source,
                              fal_error *err) {
    const fal_plan_tensor *t = &all->source->tensors[source];
    return fal_weight_check_shape(id, all->model.params, t->name, t->n_dims, t->shape, err);
}

static fal_status add_tensor(fal_hf_tensors *all, const fal_string_map *places,
                             const fal_weight_spec *spec, int layer, fal_error *err) {
    char name[FAL_WEIGHT_NAME_SIZE];
    fal_weight_gguf_name(spec->id, layer, name);
    int source = fal_string_map_find(places, fal_slice_of(name));
    if (source < 0 && (spec->flags & FAL_WEIGHT_OPTIONAL)) return FAL_OK;
    if (source < 0) return fal_fail(err, FAL_E_FORMAT, "tensor '%s' is missing", name);
    FAL_TRY(check_shape(all, spec->id, source, err));
    /* Of every name there is one tensor, and of every tensor one name: there are never more than the source has. */
    if (all->count == all->source->n_tensors)
        return fal_fail(err, FAL_E_BUG, "tensor '%s' is listed twice", name);
    fal_hf_tensor *item = &all->items[all->count++];
    item->source = source;
    item->is_regrouped = (spec->flags & FAL_WEIGHT_QKV) != 0;
    fal_weight_hf_name(spec, layer, item->name);
    return FAL_OK;
}

static fal_status list_items(fal_hf_tensors *all, const fal_string_map *places, fal_error *err) {
    const fal_arch *arch = all->model.arch;
    fal_weight_walk walk = {arch->weights, arch->n_weights, all->model.params, 0, 0};
    const fal_weight_spec *spec;
    int layer;
    while ((spec = fal_weight_next(&walk, &layer)))
        FAL_TRY(add_tensor(all, places, spec, layer, err));
    return FAL_OK;
}

static uint64_t bytes_of(const fal_hf_tensors *all, const fal_hf_tensor *item) {
    const fal_plan_tensor *t = &all->source->tensors[item->source];
    return (uint64_t)fal_plan_tensor_rows(t) * (uint64_t)fal_plan_tensor_columns(t)
           * (uint64_t)all->type->bytes_per_block;
}

/* Fills the shards one after the other. */
static fal_status cut_shards(fal_hf_tensors *all, uint64_t shard_bytes, fal_error *err) {
    uint64_t in_shard = 0;
    all->n_shards = 1;
    for (int i = 0; i < all->count; i++) {
        uint64_t bytes = bytes_of(all, &all->items[i]);
        if (in_shard > 0 && (bytes > shard_bytes || in_shard > shard_bytes - bytes)) {
            all->n_shards++;
            in_shard = 0;
        }
        in_shard += bytes;
        all->bytes += bytes;
        all->items[i].shard = all->n_shards - 1;
    }
    if (all->n_shards > MAX_SHARDS)
        return fal_fail(err, FAL_E_LIMIT, "%d files of tensors, at most %d are possible",
                        all->n_shards, MAX_SHARDS);
    return FAL_OK;
}

fal_status fal_hf_tensors_list(fal_hf_tensors *out, fal_source *source,
                               const fal_source_model *model, const fal_type *type,
                               uint64_t shard_bytes, fal_error *err) {
    *out = (fal_hf_tensors){.source = source, .model = *model, .type = type};
    out->items = fal_alloc((size_t)source->n_tensors, sizeof *out->items);
    if (!out->items) return fal_fail_memory(err, (size_t)source->n_tensors * sizeof *out->items);
    fal_string_map *places = fal_string_map_open((size_t)source->n_tensors);
    fal_status status = places ? FAL_OK : fal_fail_memory(err, 0);
    bool is_new;
    for (int i = 0; status == FAL_OK && i < source->n_tensors; i++)
        status = fal_string_map_add(places, fal_slice_of(source->tensors[i].name), i, &is_new, err);
    if (status == FAL_OK) status = list_items(out, places, err);
    fal_string_map_close(places);
    return status == FAL_OK ? cut_shards(out, shard_bytes, err) : status;
}

void fal_hf_tensors_release(fal_hf_tensors *tensors) {
    fal_free(tensors->items);
    *tensors = (fal_hf_tensors){0};
}

/* ---- rows ---- */

typedef struct row_writer {
    const fal_hf_tensors *all;
    const fal_to_hf_options *options;
    fal_safetensors_writer *file;
    fal_pool *pool;
    float *values; /* of one piece */
    char *encoded;
    size_t capacity; /* weights that both have room for */
    uint64_t n_done; /* bytes */
} row_writer;

/* The rows at hand, in the folder's order; threads take some of them each. */
typedef struct piece {
    const row_writer *w;
    const fal_hf_tensor *item;
    int64_t first, n_cols;
    atomic_int status;     /* a failure of any thread */
    atomic_bool is_beyond; /* some number is finite, but not in f16 */
} piece;

/* Reads rows [first, first + n) of the folder's order. Rows of one head lie together in either order. */
static fal_status read_regrouped(const fal_hf_tensors *all, int tensor, int64_t n_cols,
                                 int64_t first, int64_t n, float *out) {
    const fal_source *s = all->source;
    int64_t head_dim = all->model.params->head_dim;
    for (int64_t row = first; row < first + n;) {
        int64_t run = head_dim - row % head_dim;
        if (run > first + n - row) run = first + n - row;
        FAL_TRY(s->kind->read_rows(s->state, tensor, fal_qkv_row_in_gguf(all->model.params, row),
                                   run, out + (row - first) * n_cols, NULL));
        row += run;
    }
    return FAL_OK;
}

static bool is_beyond_f16(const float *values, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        if (fabsf(values[i]) >= BEYOND_F16 && isfinite(values[i])) return true;
    }
    return false;
}

static void make_rows(void *argument, int64_t begin, int64_t end) {
    piece *p = argument;
    const fal_hf_tensors *all = p->w->all;
    const fal_source *s = all->source;
    int64_t n = end - begin, first = p->first + begin;
    float *values = p->w->values + begin * p->n_cols;
    bool is_regrouped = p->item->is_regrouped && s->tensors[p->item->source].n_dims == 2;
    fal_status status = is_regrouped
                            ? read_regrouped(all, p->item->source, p->n_cols, first, n, values)
                            : s->kind->read_rows(s->state, p->item->source, first, n, values, NULL);
    if (status != FAL_OK) {
        atomic_store(&p->status, (int)status);
        return;
    }
    if (all->type->gguf_id == FAL_TYPE_F16 && is_beyond_f16(values, n * p->n_cols))
        atomic_store(&p->is_beyond, true);
    size_t width = (size_t)all->type->bytes_per_block;
    fal_cpu_encode(all->type, values, NULL, p->w->encoded + (size_t)(begin * p->n_cols) * width,
                   n * p->n_cols);
}

/* A bias of QKV is one row whose elements move; encoded they are of one width. */
static void regroup_vector(const row_writer *w, int64_t n_values) {
    size_t width = (size_t)w->all->type->bytes_per_block;
    char *regrouped = (char *)w->values; /* as wide as the widest type */
    for (int64_t i = 0; i < n_values; i++)
        memcpy(regrouped + (size_t)i * width,
               w->encoded + (size_t)fal_qkv_row_in_gguf(w->all->model.params, i) * width, width);
    memcpy(w->encoded, regrouped, (size_t)n_values * width);
}

static fal_status make_room(row_writer *w, size_t n_weights, fal_error *err) {
    if (n_weights <= w->capacity) return FAL_OK;
    fal_free(w->values);
    fal_free(w->encoded);
    w->capacity = 0;
    w->values = fal_alloc_aligned(n_weights, sizeof *w->values);
    w->encoded = fal_alloc_aligned(n_weights, sizeof *w->values);
    if (!w->values || !w->encoded) return fal_fail_memory(err, 2 * n_weights * sizeof *w->values);
    w->capacity = n_weights;
    return FAL_OK;
}

static fal_status write_piece(row_writer *w, piece *p, int64_t n_rows, fal_error *err) {
    const fal_plan_tensor *t = &w->all->source->tensors[p->item->source];
    fal_pool_for(w->pool, n_rows, n_rows / (fal_pool_size(w->pool) * 4) + 1, make_rows, p);
    fal_status status = (fal_status)atomic_load(&p->status);
    if (status != FAL_OK)
        return fal_fail(err, status, "tensor '%s': %s", t->name, fal_status_words(status));
    if (atomic_load(&p->is_beyond))
        return fal_fail(
            err, FAL_E_FORMAT,
            "tensor '%s': some weight is 65520 or more, f16 holds less; bf16 and f32 hold it",
            t->name);
    if (p->item->is_regrouped && t->n_dims == 1) regroup_vector(w, p->n_cols);
    size_t bytes = (size_t)(n_rows * p->n_cols) * (size_t)w->all->type->bytes_per_block;
    FAL_TRY(fal_safetensors_write(w->file, w->encoded, bytes, err));
    w->n_done += bytes;
    if (w->options->on_progress
        && !w->options->on_progress(w->options->user, p->item->name, w->n_done, w->all->bytes))
        return fal_fail(err, FAL_E_CANCELLED, "cancelled at tensor '%s'", p->item->name);
    return FAL_OK;
}

static fal_status write_tensor(row_writer *w, const fal_hf_tensor *item, fal_error *err) {
    const fal_source *s = w->all->source;
    const fal_plan_tensor *t = &s->tensors[item->source];
    int64_t n_rows = fal_plan_tensor_rows(t), n_cols = fal_plan_tensor_columns(t);
    int64_t at_once = PIECE_WEIGHTS / n_cols;
    if (at_once < 1) at_once = 1;
    if (at_once > n_rows) at_once = n_rows;
    FAL_TRY(make_room(w, (size_t)(at_once * n_cols), err));
    for (int64_t first = 0; first < n_rows; first += at_once) {
        int64_t n = n_rows - first < at_once ? n_rows - first : at_once;
        piece p = {.w = w, .item = item, .first = first, .n_cols = n_cols, .status = FAL_OK};
        FAL_TRY(write_piece(w, &p, n, err));
        /* Regrouped rows come from everywhere: those go together. */
        if (!item->is_regrouped) s->kind->forget_rows(s->state, item->source, first, n);
    }
    if (item->is_regrouped) s->kind->forget_rows(s->state, item->source, 0, n_rows);
    return FAL_OK;
}

/* ---- files ---- */

static void name_of_shard(const fal_hf_tensors *all, int shard, char out[NAME_SIZE]) {
    if (all->n_shards == 1) {
        snprintf(out, NAME_SIZE, "model.safetensors");
    } else {
        snprintf(out, NAME_SIZE, "model-%05d-of-%05d.safetensors", shard + 1, all->n_shards);
    }
}

static fal_status announce(const fal_hf_tensors *all, int shard, fal_safetensors_writer *file,
                           fal_error *err) {
    FAL_TRY(fal_safetensors_set_text(file, "format", "pt", err));
    for (int i = 0; i < all->count; i++) {
        const fal_hf_tensor *item = &all->items[i];
        const fal_plan_tensor *t = &all->source->tensors[item->source];
        if (item->shard == shard)
            FAL_TRY(fal_safetensors_add(file, item->name, all->type, t->n_dims, t->shape, err));
    }
    return FAL_OK;
}

static fal_status write_shard(row_writer *w, int shard, const char *directory, fal_error *err) {
    char name[NAME_SIZE];
    name_of_shard(w->all, shard, name);
    char *path = fal_path_join(directory, name);
    if (!path) return fal_fail_memory(err, strlen(directory));
    fal_status status;
    FAL_TRY_OUT(fal_safetensors_writer_open(&w->file, err));
    FAL_TRY_OUT(announce(w->all, shard, w->file, err));
    FAL_TRY_OUT(fal_safetensors_begin(w->file, path, err));
    for (int i = 0; i < w->all->count; i++) {
        if (w->all->items[i].shard == shard) FAL_TRY_OUT(write_tensor(w, &w->all->items[i], err));
    }
    FAL_TRY_OUT(fal_safetensors_commit(w->file, err));
out:
    fal_safetensors_writer_close(w->file);
    w->file = NULL;
    fal_free(path);
    return status;
}

static fal_status write_index(const fal_hf_tensors *all, const char *directory, fal_error *err) {
    fal_config_writer map = {.object = json_object()}, sizes = {.object = json_object()},
                      index = {.object = json_object()};
    for (int i = 0; i < all->count; i++) {
        char file[NAME_SIZE];
        name_of_shard(all, all->items[i].shard, file);
        fal_config_set_text(&map, all->items[i].name, file);
    }
    fal_config_set_integer(&sizes, "total_size", (int64_t)all->bytes);
    index.has_failed = map.has_failed || sizes.has_failed;
    fal_config_set_value(&index, "metadata", sizes.object);
    fal_config_set_value(&index, "weight_map", map.object);
    fal_status status =
        fal_config_writer_write(&index, directory, "model.safetensors.index.json", err);
    json_decref(index.object);
    return status;
}

fal_status fal_hf_tensors_write(const fal_hf_tensors *tensors, const char *directory,
                                const fal_to_hf_options *options, fal_error *err) {
    row_writer w = {.all = tensors, .options = options};
    fal_status status = fal_pool_open(&w.pool, options->n_threads, err);
    for (int shard = 0; status == FAL_OK && shard < tensors->n_shards; shard++)
        status = write_shard(&w, shard, directory, err);
    if (status == FAL_OK && tensors->n_shards > 1) status = write_index(tensors, directory, err);
    fal_pool_close(w.pool);
    fal_free(w.encoded);
    fal_free(w.values);
    return status;
}

/* ---- comparing ---- */

fal_status fal_source_is_equal(const fal_source *s, int tensor, int other, bool *out,
                               fal_error *err) {
    const fal_plan_tensor *t = &s->tensors[tensor], *u = &s->tensors[other];
    int64_t n_rows = fal_plan_tensor_rows(t), n_cols = fal_plan_tensor_columns(t);
    *out = n_rows == fal_plan_tensor_rows(u) && n_cols == fal_plan_tensor_columns(u);
    float *a = fal_alloc_aligned((size_t)n_cols, sizeof *a);
    float *b = fal_alloc_aligned((size_t)n_cols, sizeof *b);
    fal_status status = a && b ? FAL_OK : fal_fail_memory(err, (size_t)n_cols * sizeof *a);
    for (int64_t row = 0; status == FAL_OK && *out && row < n_rows; row++) {
        status = s->kind->read_rows(s->state, tensor, row, 1, a, err);
        if (status == FAL_OK) status = s->kind->read_rows(s->state, other, row, 1, b, err);
        if (status == FAL_OK) *out = memcmp(a, b, (size_t)n_cols * sizeof *a) == 0;
    }
    fal_free(a);
    fal_free(b);
    return status;
}
