/* Body of gguf_edit.h: composes the new header from the old one, and decides by arithmetic where it can go.
 * Its backup and its recovery are gguf_backup.c's. */
#include "formats/gguf_edit.h"

#include "base/alloc.h"
#include "base/string_builder.h"
#include "formats/gguf_backup.h"
#include "formats/gguf_memory.h"
#include "formats/gguf_private.h"

#include <string.h>

enum {
    VERSION = 3,
    HEAD_BYTES = 4 + 4 + 8 + 8
};

/* Spaces under this key fill what is left in front of the data. */
static const char pad_key[] = "falconer.pad";

enum {
    PAD_BYTES = 8 + sizeof pad_key - 1 + 4 + 8 /* of the key with an empty string */
};

typedef struct edit {
    const char *path;
    fal_mapping mapping;
    fal_gguf *file;
    const fal_gguf_part *part;
    fal_gguf_writer *values;      /* all of the changed file but the pad */
    fal_string_builder directory; /* offsets as they were */
    fal_string_builder header;    /* once it is known where the data begins */
    uint64_t least_bytes;         /* of the header without pad */
} edit;

static void put_number(fal_string_builder *b, uint64_t number, int n_bytes) {
    char bytes[8];
    for (int i = 0; i < n_bytes; i++)
        bytes[i] = (char)(number >> 8 * i & 0xff);
    fal_string_append(b, bytes, (size_t)n_bytes);
}

/* ---- composing ---- */

/* The changes as a file that can be asked. */
static fal_status read_changes(const fal_gguf_writer *changes, fal_string_builder *bytes,
                               fal_gguf **out, fal_error *err) {
    fal_slice values;
    size_t n_keys;
    FAL_TRY(fal_gguf_writer_values(changes, &values, &n_keys, err));
    fal_string_append(bytes, "GGUF", 4);
    put_number(bytes, VERSION, 4);
    put_number(bytes, 0, 8);
    put_number(bytes, n_keys, 8);
    if (values.length) fal_string_append(bytes, values.data, values.length);
    FAL_TRY(fal_string_status(bytes, err));
    return fal_gguf_open_header(out, bytes->text, bytes->length, bytes->length, err);
}

static bool is_listed(const char *const *list, const char *key) {
    for (; list && *list; list++)
        if (strcmp(*list, key) == 0) return true;
    return false;
}

static void merge(edit *e, const fal_gguf *changes, const char *const *removed) {
    for (int i = 0; i < fal_gguf_value_count(e->file); i++) {
        const fal_gguf_value *value = fal_gguf_value_at(e->file, i);
        if (strcmp(value->key, pad_key) == 0 || is_listed(removed, value->key)) continue;
        const fal_gguf_value *instead = fal_gguf_find(changes, value->key);
        fal_gguf_set_value(e->values, instead ? changes : e->file, instead ? instead : value);
    }
    for (int i = 0; i < fal_gguf_value_count(changes); i++) {
        const fal_gguf_value *value = fal_gguf_value_at(changes, i);
        if (!fal_gguf_find(e->file, value->key)) fal_gguf_set_value(e->values, changes, value);
    }
}

static void put_directory(edit *e) {
    for (int i = 0; i < fal_gguf_tensor_count(e->file); i++) {
        const fal_gguf_tensor *t = fal_gguf_tensor_at(e->file, i);
        put_number(&e->directory, strlen(t->name), 8);
        fal_string_append_text(&e->directory, t->name);
        put_number(&e->directory, (uint64_t)t->n_dims, 4);
        for (int d = t->n_dims - 1; d >= 0; d--)
            put_number(&e->directory, (uint64_t)t->shape[d], 8);
        put_number(&e->directory, t->type_id, 4);
        put_number(&e->directory, t->offset - e->part->data_start, 8);
    }
}

static fal_status open_edit(edit *e, const char *path, const fal_gguf_writer *changes,
                            const char *const *removed, fal_error *err) {
    e->path = path;
    FAL_TRY(fal_mapping_open(&e->mapping, path, err));
    fal_status status =
        fal_gguf_open_header(&e->file, e->mapping.data, e->mapping.length, e->mapping.length, err);
    FAL_TRY(fal_add_context(err, status, "%s", path));
    e->part = &e->file->parts[0];
    FAL_TRY(fal_gguf_writer_open(&e->values, err));
    fal_string_builder bytes = {0};
    fal_gguf *asked = NULL;
    status = read_changes(changes, &bytes, &asked, err);
    if (status == FAL_OK) merge(e, asked, removed);
    fal_gguf_close(asked);
    fal_string_release(&bytes);
    FAL_TRY(status);
    put_directory(e);
    FAL_TRY(fal_string_status(&e->directory, err));
    fal_slice values;
    size_t n_keys;
    FAL_TRY(fal_gguf_writer_values(e->values, &values, &n_keys, err));
    e->least_bytes = HEAD_BYTES + values.length + e->directory.length;
    return FAL_OK;
}

static void close_edit(edit *e) {
    fal_string_release(&e->header);
    fal_string_release(&e->directory);
    fal_gguf_writer_close(e->values);
    fal_gguf_close(e->file);
    fal_mapping_release(&e->mapping);
}

/* ---- where the data begins ---- */

/* Readers expect the data at the first multiple of the alignment behind the header, so a gap of the alignment or more
 * needs the pad, and the pad has a least size. */
static bool fits(const edit *e, uint64_t data_start) {
    if (e->part->n_tensors == 0) return data_start == e->least_bytes;
    if (data_start < e->least_bytes) return false;
    uint64_t gap = data_start - e->least_bytes;
    return gap < e->part->alignment || gap >= PAD_BYTES;
}

/* The first possible start of the data behind the header that has the same place in a block as it has now, so that blocks
 * can be shared. */
static uint64_t start_beside(const edit *e) {
    if (e->part->n_tensors == 0) return e->least_bytes;
    uint64_t step = fal_file_block_bytes(e->path);
    if (step < e->part->alignment) step = e->part->alignment;
    uint64_t start = e->part->data_start % step;
    if (start < e->least_bytes) start += (e->least_bytes - start + step - 1) / step * step;
    while (!fits(e, start))
        start += step;
    return start;
}

/* Makes the header, exactly data_start bytes long. */
static fal_status make_header(edit *e, uint64_t data_start, fal_error *err) {
    uint64_t gap = data_start - e->least_bytes;
    bool has_pad = gap >= PAD_BYTES;
    fal_slice values;
    size_t n_keys;
    FAL_TRY(fal_gguf_writer_values(e->values, &values, &n_keys, err));
    fal_string_append(&e->header, "GGUF", 4);
    put_number(&e->header, VERSION, 4);
    put_number(&e->header, e->part->n_tensors, 8);
    put_number(&e->header, n_keys + has_pad, 8);
    if (values.length) fal_string_append(&e->header, values.data, values.length);
    if (has_pad) {
        put_number(&e->header, sizeof pad_key - 1, 8);
        fal_string_append_text(&e->header, pad_key);
        put_number(&e->header, FAL_GGUF_STRING, 4);
        put_number(&e->header, gap - PAD_BYTES, 8);
        for (uint64_t i = 0; i < gap - PAD_BYTES; i++)
            fal_string_append(&e->header, " ", 1);
    }
    if (e->directory.length) fal_string_append(&e->header, e->directory.text, e->directory.length);
    while (e->header.length < data_start && !e->header.failed)
        put_number(&e->header, 0, 1);
    return fal_string_status(&e->header, err);
}

/* Nothing is written that the reader does not take for the same file with the keys that were asked for. */
static fal_status check_header(const edit *e, fal_error *err) {
    uint64_t data_bytes = e->mapping.length - e->part->data_start;
    if (e->part->n_tensors == 0) data_bytes = 0;
    fal_gguf *f;
    fal_status status = fal_gguf_open_header(&f, e->header.text, e->header.length,
                                             e->header.length + data_bytes, err);
    if (status != FAL_OK) return fal_add_context(err, status, "%s: the changed header", e->path);
    const fal_gguf_part *part = &f->parts[0];
    bool is_same = part->n_tensors == 0 || part->data_start == e->header.length;
    for (int i = 0; i < fal_gguf_tensor_count(f); i++) {
        const fal_gguf_tensor *now = fal_gguf_tensor_at(f, i);
        const fal_gguf_tensor *before = fal_gguf_tensor_at(e->file, i);
        is_same &= now->offset - part->data_start == before->offset - e->part->data_start
                   && now->type_id == before->type_id && now->bytes == before->bytes;
    }
    fal_gguf_close(f);
    return is_same ? FAL_OK
                   : fal_fail(err, FAL_E_BUG, "%s: the changed header moves tensors", e->path);
}

/* ---- writing ---- */

static fal_status write_beside(edit *e, const fal_gguf_edit_options *o, fal_gguf_edited *edited,
                               fal_error *err) {
    uint64_t start = start_beside(e);
    FAL_TRY(make_header(e, start, err));
    FAL_TRY(check_header(e, err));
    uint64_t from = e->part->n_tensors ? e->part->data_start : e->mapping.length;
    fal_output *output;
    FAL_TRY(fal_output_open(&output, o->out_path ? o->out_path : e->path, err));
    fal_status status = FAL_OK;
    fal_output_permit_like(output, e->path);
    FAL_TRY_OUT(fal_output_write(output, e->header.text, e->header.length, err));
    FAL_TRY_OUT(fal_output_append_file(output, e->path, from, e->mapping.length - from,
                                       &o->progress, &edited->way, err));
    return fal_output_commit(output, err);
out:
    fal_output_discard(output);
    return status;
}

static fal_status write_in_place(edit *e, fal_error *err) {
    FAL_TRY(make_header(e, e->part->data_start, err));
    FAL_TRY(check_header(e, err));
    const fal_header_backup backup = {
        .file_bytes = e->mapping.length,
        .before = {(const char *)e->mapping.data, e->header.length},
        .after = {e->header.text,                e->header.length}
    };
    return fal_header_backup_replace(e->path, &backup, err);
}

fal_status fal_gguf_edit(const char *path, const fal_gguf_writer *changes,
                         const char *const *removed, const fal_gguf_edit_options *options,
                         fal_gguf_edited *edited, fal_error *err) {
    static const fal_gguf_edit_options defaults;
    const fal_gguf_edit_options *o = options ? options : &defaults;
    fal_gguf_edited ignored;
    if (!edited) edited = &ignored;
    *edited = (fal_gguf_edited){0};
    if (fal_gguf_edit_was_cut_short(path))
        return fal_fail(err, FAL_E_ARGUMENT, "%s: an edit was cut short and is to be undone first",
                        path);
    edit e = {0};
    fal_status status = FAL_OK;
    FAL_TRY_OUT(open_edit(&e, path, changes, removed, err));
    bool fits_here = e.part->n_tensors > 0 && fits(&e, e.part->data_start);
    edited->was_in_place = fits_here && !o->out_path && (o->in_place || !o->beside);
    if (!edited->was_in_place && o->in_place && !o->beside) {
        status =
            fal_fail(err, FAL_E_ARGUMENT, "%s: a header of %llu bytes does not fit in %llu", path,
                     (unsigned long long)e.least_bytes, (unsigned long long)e.part->data_start);
        goto out;
    }
    status = edited->was_in_place ? write_in_place(&e, err) : write_beside(&e, o, edited, err);
    edited->header_bytes = e.header.length;
out:
    close_edit(&e);
    return status;
}

const char *fal_gguf_first_part(const fal_gguf *f, int *n_parts) {
    *n_parts = f->n_parts;
    return f->parts[0].path ? f->parts[0].path : f->path;
}
