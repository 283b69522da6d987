/* Body of safetensors_write.h. The header is known before the first byte is written, so nothing is ever patched. */
#include "formats/safetensors_write.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/string_builder.h"
#include "formats/checkpoint_list.h"
#include "formats/json_file.h"
#include "formats/json_value.h"

#include <string.h>

enum {
    MAX_DIMS = 4,
    MAX_HEADER_BYTES = 100000000, /* what readers take */
    ALIGNMENT = 64                /* of the data, from the start of the file */
};

struct fal_safetensors_writer {
    json_t *header, *metadata;
    uint64_t announced, written; /* bytes of data */
    fal_output *output;          /* NULL before begin */
};

fal_status fal_safetensors_writer_open(fal_safetensors_writer **out, fal_error *err) {
    fal_safetensors_writer *w = fal_alloc(1, sizeof *w);
    *out = NULL;
    if (!w) return fal_fail_memory(err, sizeof *w);
    w->header = json_object();
    w->metadata = json_object();
    if (!w->header || !w->metadata) {
        fal_safetensors_writer_close(w);
        return fal_fail_memory(err, 0);
    }
    *out = w;
    return FAL_OK;
}

void fal_safetensors_writer_close(fal_safetensors_writer *w) {
    if (!w) return;
    fal_output_discard(w->output);
    json_decref(w->header);
    json_decref(w->metadata);
    fal_free(w);
}

fal_status fal_safetensors_set_text(fal_safetensors_writer *w, const char *key, const char *text,
                                    fal_error *err) {
    json_t *value = json_string(text);
    if (!value) return fal_fail(err, FAL_E_FORMAT, "metadata '%.80s': the text is no UTF-8", key);
    if (json_object_get(w->metadata, key)) {
        json_decref(value);
        return fal_fail(err, FAL_E_FORMAT, "metadata '%.80s' is there already", key);
    }
    if (json_object_set_new(w->metadata, key, value) != 0)
        return fal_fail(err, FAL_E_FORMAT, "metadata: a key that is no UTF-8");
    return FAL_OK;
}

/* What the format calls a type; NULL: nothing. */
static const char *name_of_type(const fal_type *type) {
    if (type->gguf_id == FAL_TYPE_F32) return "F32";
    if (type->gguf_id == FAL_TYPE_F16) return "F16";
    if (type->gguf_id == FAL_TYPE_BF16) return "BF16";
    return NULL;
}

static fal_status check_tensor(const fal_safetensors_writer *w, const char *name,
                               const fal_type *type, int n_dims, const int64_t *shape,
                               uint64_t *bytes, fal_error *err) {
    FAL_TRY(fal_checkpoint_check_name(fal_slice_of(name), err));
    if (strcmp(name, "__metadata__") == 0 || json_object_get(w->header, name))
        return fal_fail(err, FAL_E_FORMAT, "the name is there already");
    if (!name_of_type(type))
        return fal_fail(err, FAL_E_UNSUPPORTED, "type %s: f32, f16 and bf16 are possible",
                        type->name);
    int64_t n_numbers = 0;
    if (n_dims < 0 || n_dims > MAX_DIMS || !fal_checkpoint_count_numbers(shape, n_dims, &n_numbers))
        return fal_fail(err, FAL_E_FORMAT, "no shape: %d dimensions (at most %d) or too large",
                        n_dims, MAX_DIMS);
    uint64_t width = (uint64_t)type->bytes_per_block;
    if ((uint64_t)n_numbers > ((uint64_t)INT64_MAX - w->announced) / width)
        return fal_fail(err, FAL_E_LIMIT, "%lld numbers, all data together exceed %lld bytes",
                        (long long)n_numbers, (long long)INT64_MAX);
    *bytes = (uint64_t)n_numbers * width;
    return FAL_OK;
}

fal_status fal_safetensors_add(fal_safetensors_writer *w, const char *name, const fal_type *type,
                               int n_dims, const int64_t *shape, fal_error *err) {
    uint64_t bytes = 0;
    fal_status status = check_tensor(w, name, type, n_dims, shape, &bytes, err);
    if (status != FAL_OK) return fal_add_context(err, status, "tensor '%.200s'", name);
    json_t *extents = json_array();
    for (int i = 0; i < n_dims; i++)
        json_array_append_new(extents, json_integer((json_int_t)shape[i]));
    json_t *entry =
        json_pack("{s:s,s:o,s:[I,I]}", "dtype", name_of_type(type), "shape", extents,
                  "data_offsets", (json_int_t)w->announced, (json_int_t)(w->announced + bytes));
    if (json_object_set_new(w->header, name, entry) != 0) return fal_fail_memory(err, 0);
    w->announced += bytes;
    return FAL_OK;
}

uint64_t fal_safetensors_data_bytes(const fal_safetensors_writer *w) {
    return w->announced;
}

/* Spaces behind the JSON, which the format allows, bring the data to a multiple of the alignment. */
static fal_status write_header(fal_safetensors_writer *w, fal_string_builder *json,
                               fal_error *err) {
    while ((8 + json->length) % ALIGNMENT != 0 && !json->failed)
        fal_string_append_text(json, " ");
    FAL_TRY(fal_string_status(json, err));
    if (json->length > MAX_HEADER_BYTES)
        return fal_fail(err, FAL_E_LIMIT, "a header of %zu bytes, at most %d", json->length,
                        MAX_HEADER_BYTES);
    uint8_t length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)((uint64_t)json->length >> 8 * i);
    FAL_TRY(fal_output_write(w->output, length, sizeof length, err));
    return fal_output_write(w->output, json->text, json->length, err);
}

fal_status fal_safetensors_begin(fal_safetensors_writer *w, const char *path, fal_error *err) {
    if (w->output) return fal_fail(err, FAL_E_BUG, "'%s': the header is written already", path);
    fal_string_builder text = {0};
    json_t *whole = json_object();
    bool failed = !whole;
    if (json_object_size(w->metadata))
        failed = failed || json_object_set(whole, "__metadata__", w->metadata) != 0;
    failed = failed || json_object_update(whole, w->header) != 0;
    fal_json_write_text(&text, whole, JSON_COMPACT);
    failed = failed || text.failed;
    fal_status status = failed ? fal_fail_memory(err, 0) : fal_output_open(&w->output, path, err);
    if (status == FAL_OK) status = write_header(w, &text, err);
    fal_string_release(&text);
    json_decref(whole);
    return status;
}

fal_status fal_safetensors_write(fal_safetensors_writer *w, const void *data, size_t bytes,
                                 fal_error *err) {
    if (!w->output || bytes > w->announced - w->written)
        return fal_fail(err, FAL_E_BUG, "%zu bytes of data where %llu are announced", bytes,
                        (unsigned long long)(w->output ? w->announced - w->written : 0));
    FAL_TRY(fal_output_write(w->output, data, bytes, err));
    w->written += bytes;
    return FAL_OK;
}

fal_status fal_safetensors_commit(fal_safetensors_writer *w, fal_error *err) {
    if (!w->output || w->written != w->announced)
        return fal_fail(err, FAL_E_BUG, "%llu of %llu bytes of data are written",
                        (unsigned long long)w->written, (unsigned long long)w->announced);
    fal_output *output = w->output;
    w->output = NULL;
    return fal_output_commit(output, err);
}
