/* A trainable model as a GGUF file, with the metadata that a converted one has. */
#include "base/alloc.h"
#include "base/bytes.h"
#include "model/trainable_private.h"

#include <string.h>

/* general.file_type, by type. */
enum {
    FILE_TYPE_F32 = 0,
    FILE_TYPE_F16 = 1,
    FILE_TYPE_BF16 = 32
};

static uint32_t file_type_of(const fal_type *type) {
    if (type->gguf_id == FAL_TYPE_F16) return FILE_TYPE_F16;
    return type->gguf_id == FAL_TYPE_BF16 ? FILE_TYPE_BF16 : FILE_TYPE_F32;
}

static bool begins_with(const char *key, const char *beginning) {
    return strncmp(key, beginning, strlen(beginning)) == 0;
}

/* Whether a key says what this model says by itself. */
static bool is_replaced(const char *key) {
    static const char *const beginnings[] = {"split.", "falconer.quantize.", "falconer.rope.",
                                             "general.quantization_version"};
    static const char *const names[] = {"general.architecture", "general.name", "general.file_type",
                                        "general.alignment"};
    for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++) {
        if (begins_with(key, beginnings[i])) return true;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(key, names[i]) == 0) return true;
    }
    for (int i = 0; i < fal_arch_count(); i++) {
        const char *name = fal_arch_at(i)->name;
        if (begins_with(key, name) && key[strlen(name)] == '.') return true;
    }
    return false;
}

static fal_status write_metadata(const fal_trainable *t, const fal_gguf *like, const fal_type *type,
                                 fal_gguf_writer *w, fal_error *err) {
    fal_gguf_string found;
    char *name = NULL;
    if (like && fal_gguf_find_string(like, "general.name", &found)) {
        name = fal_copy_string(found.data, found.length);
        if (!name) return fal_fail_memory(err, found.length);
    }
    fal_metadata_write(w, t->arch, &t->params, name ? name : t->arch->name);
    fal_free(name);
    FAL_TRY(fal_metadata_write_rope(w, t->arch, &t->params, err));
    for (int i = 0; like && i < fal_gguf_value_count(like); i++) {
        const fal_gguf_value *v = fal_gguf_value_at(like, i);
        if (!is_replaced(v->key)) fal_gguf_set_value(w, like, v);
    }
    fal_gguf_set_u32(w, "general.file_type", file_type_of(type));
    return FAL_OK;
}

static bool stays_f32(const fal_trainable *t, const fal_trainable_weight *w) {
    if (!w->is_matrix) return true;
    for (int i = 0; i < t->arch->n_weights; i++) {
        const fal_weight_spec *spec = &t->arch->weights[i];
        if (spec->id == w->id && (spec->flags & FAL_WEIGHT_KEEP_F32)) return true;
    }
    return false;
}

static const fal_type *type_of(const fal_trainable *t, const fal_trainable_weight *w,
                               const fal_type *type) {
    return stays_f32(t, w) ? fal_type_by_id(FAL_TYPE_F32) : type;
}

static fal_status announce(const fal_trainable *t, const fal_type *type, fal_gguf_writer *w,
                           fal_error *err) {
    for (int i = 0; i < t->n_weights; i++) {
        const fal_trainable_weight *weight = &t->weights[i];
        if (weight->part != FAL_TRAINABLE_WHOLE) continue;
        bool is_vector = fal_weight_is_vector(weight->id);
        const int64_t shape[2] = {is_vector ? weight->n_cols : weight->n_rows, weight->n_cols};
        FAL_TRY(fal_gguf_add_tensor(w, weight->name, type_of(t, weight, type), is_vector ? 1 : 2,
                                    shape, err));
    }
    return FAL_OK;
}

/* Scratch for one row of any weight. */
typedef struct row_buffer {
    float *values;
    double *sums;
    void *encoded;
} row_buffer;

static fal_status open_buffer(row_buffer *b, const fal_trainable *t, fal_error *err) {
    int64_t n_cols = 1;
    for (int i = 0; i < t->n_weights; i++) {
        if (t->weights[i].n_cols > n_cols) n_cols = t->weights[i].n_cols;
    }
    b->values = fal_alloc_aligned((size_t)n_cols, sizeof *b->values);
    b->sums = fal_alloc((size_t)n_cols, sizeof *b->sums);
    b->encoded = fal_alloc_aligned((size_t)n_cols, sizeof(float));
    return b->values && b->sums && b->encoded ? FAL_OK : fal_fail_memory(err, 0);
}

static void release_buffer(row_buffer *b) {
    fal_free(b->values);
    fal_free(b->sums);
    fal_free(b->encoded);
}

static fal_status write_rows(const fal_trainable *t, const fal_type *type, fal_gguf_writer *w,
                             const row_buffer *b, fal_error *err) {
    for (int i = 0; i < t->n_weights; i++) {
        const fal_trainable_weight *weight = &t->weights[i];
        if (weight->part != FAL_TRAINABLE_WHOLE) continue;
        const fal_type *stored = type_of(t, weight, type);
        size_t row_bytes;
        FAL_TRY(fal_type_row_bytes(stored, weight->n_cols, &row_bytes, err));
        for (int64_t row = 0; row < weight->n_rows; row++) {
            fal_lora_fold_row(t, weight, row, b->values, b->sums);
            stored->encode(b->values, NULL, b->encoded, weight->n_cols / stored->weights_per_block);
            FAL_TRY(fal_gguf_write_data(w, b->encoded, row_bytes, err));
        }
    }
    return FAL_OK;
}

fal_status fal_trainable_write_gguf(const fal_trainable *t, const fal_gguf *like,
                                    const fal_type *type, const char *path, fal_error *err) {
    if (!type) type = fal_type_by_id(FAL_TYPE_F32);
    if (type->is_quantized || !type->in_files)
        return fal_fail(err, FAL_E_ARGUMENT, "type '%s': f32, f16 and bf16 are possible",
                        type->name);
    row_buffer buffer = {0};
    fal_gguf_writer *w = NULL;
    fal_status status;
    FAL_TRY_OUT(open_buffer(&buffer, t, err));
    FAL_TRY_OUT(fal_gguf_writer_open(&w, err));
    FAL_TRY_OUT(write_metadata(t, like, type, w, err));
    FAL_TRY_OUT(announce(t, type, w, err));
    FAL_TRY_OUT(fal_gguf_writer_begin(w, path, err));
    FAL_TRY_OUT(write_rows(t, type, w, &buffer, err));
    FAL_TRY_OUT(fal_gguf_writer_commit(w, err));
out:
    fal_gguf_writer_close(w);
    release_buffer(&buffer);
    return status;
}
