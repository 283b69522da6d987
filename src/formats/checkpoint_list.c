/* Body of checkpoint_list.h. */
#include "formats/checkpoint_list.h"

#include "base/alloc.h"
#include "base/utf8.h"

#include <limits.h>
#include <string.h>

enum {
    MAX_NAME_BYTES = 1024
};

fal_status fal_checkpoint_check_name(fal_slice name, fal_error *err) {
    if (name.length == 0 || name.length > MAX_NAME_BYTES) {
        return fal_fail(err, FAL_E_FORMAT, "a tensor's name of %zu bytes, 1 to %d are allowed",
                        name.length, MAX_NAME_BYTES);
    }
    bool is_text = fal_utf8_is_valid(name.data, name.length);
    for (size_t i = 0; i < name.length; i++) {
        uint8_t byte = (uint8_t)name.data[i];
        is_text = is_text && byte >= 0x20 && byte != 0x7f;
    }
    return is_text ? FAL_OK
                   : fal_fail(err, FAL_E_FORMAT, "a tensor's name that is no text of one line");
}

/* Readers of tensors may use pointers of the element's type. */
static fal_status align_data(fal_checkpoint_row *row, fal_error *err) {
    fal_checkpoint_tensor *t = &row->face;
    t->is_mapped = true;
    if (!t->type || t->bytes == 0 || (uintptr_t)t->data % (uintptr_t)t->type->bytes_per_block == 0)
        return FAL_OK;
    row->copy = fal_alloc_aligned((size_t)t->bytes, 1);
    if (!row->copy) return fal_fail_memory(err, (size_t)t->bytes);
    memcpy(row->copy, t->data, (size_t)t->bytes);
    t->data = row->copy;
    t->is_mapped = false;
    return FAL_OK;
}

fal_status fal_checkpoint_list_add(fal_checkpoint_list *list, fal_slice name,
                                   const fal_checkpoint_tensor *tensor, fal_error *err) {
    if (list->count >= INT_MAX) return fal_fail(err, FAL_E_LIMIT, "more than %d tensors", INT_MAX);
    const fal_checkpoint_row *twin = fal_checkpoint_list_find(list, name);
    if (twin) {
        return fal_fail(err, FAL_E_FORMAT, "tensor '%s' is there already, in %s", twin->name,
                        twin->face.file);
    }
    if (!list->map) list->map = fal_string_map_open(512);
    void *rows = list->rows;
    bool has_room = fal_grow(&rows, &list->capacity, list->count + 1, sizeof *list->rows);
    list->rows = rows;
    if (!list->map || !has_room)
        return fal_fail_memory(err, (list->count + 1) * sizeof *list->rows);

    fal_checkpoint_row *row = &list->rows[list->count];
    *row = (fal_checkpoint_row){.face = *tensor, .is_skipped = !tensor->type};
    row->name = fal_copy_string(name.data, name.length);
    if (!row->name) return fal_fail_memory(err, name.length + 1);
    row->face.name = row->name;
    list->count++;
    FAL_TRY(align_data(row, err));
    bool inserted;
    return fal_string_map_add(list->map, fal_slice_of(row->name), (int32_t)(list->count - 1),
                              &inserted, err);
}

const fal_checkpoint_row *fal_checkpoint_list_find(const fal_checkpoint_list *list,
                                                   fal_slice name) {
    int32_t index = list->map ? fal_string_map_find(list->map, name) : -1;
    return index < 0 ? NULL : &list->rows[index];
}

void fal_checkpoint_list_release(fal_checkpoint_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        fal_free(list->rows[i].name);
        fal_free(list->rows[i].copy);
    }
    fal_free(list->rows);
    fal_string_map_close(list->map);
    *list = (fal_checkpoint_list){0};
}

bool fal_checkpoint_count_numbers(const int64_t *shape, int n_dims, int64_t *out) {
    *out = 1;
    for (int i = 0; i < n_dims; i++) {
        if (shape[i] < 0 || (shape[i] > 0 && *out > INT64_MAX / shape[i])) return false;
        *out *= shape[i];
    }
    return true;
}
