/* Body of gguf_backup.h and the half of gguf_edit.h that looks after backups.
 *
 * A backup is written beside and renamed, so it is whole or absent: magic, bytes of the file, bytes of a header, the header
 * before, the header after, a checksum of all that. It is believed only if every byte at the file's beginning is that of
 * one of the two headers, so one that was left behind by another file changes nothing. */
#include "formats/gguf_backup.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/string_builder.h"
#include "formats/gguf_edit.h"

#include <stdio.h>
#include <string.h>

enum {
    MAGIC_BYTES = 8,
    FACTS_BYTES = MAGIC_BYTES + 8 + 8,
    CHECKSUM_BYTES = 8
};

static const char magic[MAGIC_BYTES + 1] = "FALHEAD1";
static const size_t MAX_BACKUP_BYTES = (size_t)1 << 31;

/* FNV-1a, 64 bits: against damage, not against malice. */
static uint64_t checksum(const char *bytes, size_t length) {
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < length; i++)
        sum = (sum ^ (uint8_t)bytes[i]) * UINT64_C(0x100000001b3);
    return sum;
}

static char *backup_path(const char *path) {
    static const char suffix[] = ".header-backup";
    size_t length = strlen(path);
    char *out = fal_alloc(length + sizeof suffix, 1);
    if (out) snprintf(out, length + sizeof suffix, "%s%s", path, suffix);
    return out;
}

static void put_u64(fal_string_builder *b, uint64_t number) {
    char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (char)(number >> 8 * i & 0xff);
    fal_string_append(b, bytes, sizeof bytes);
}

static fal_status save(const char *path, const fal_header_backup *backup, fal_error *err) {
    fal_string_builder b = {0};
    fal_string_append(&b, magic, MAGIC_BYTES);
    put_u64(&b, backup->file_bytes);
    put_u64(&b, backup->before.length);
    fal_string_append(&b, backup->before.data, backup->before.length);
    fal_string_append(&b, backup->after.data, backup->after.length);
    if (!b.failed) put_u64(&b, checksum(b.text, b.length));
    fal_output *output = NULL;
    fal_status status = FAL_OK;
    FAL_TRY_OUT(fal_string_status(&b, err));
    FAL_TRY_OUT(fal_output_open(&output, path, err));
    FAL_TRY_OUT(fal_output_write(output, b.text, b.length, err));
    status = fal_output_commit(output, err);
    output = NULL;
out:
    fal_output_discard(output);
    fal_string_release(&b);
    return status;
}

static fal_status replace(const char *path, const char *saved, const fal_header_backup *backup,
                          fal_error *err) {
    /* The mapping shows what is written, so what was there before is kept apart. */
    char *before = fal_copy_string(backup->before.data, backup->before.length);
    if (!before) return fal_fail_memory(err, backup->before.length);
    /* A file that may not be written is found out before anything is left behind. */
    fal_status status = fal_file_overwrite(path, 0, before, 0, err);
    if (status == FAL_OK) status = save(saved, backup, err);
    if (status == FAL_OK) {
        status = fal_file_overwrite(path, 0, backup->after.data, backup->after.length, err);
        bool is_whole =
            status == FAL_OK
            || fal_file_overwrite(path, 0, before, backup->before.length, NULL) == FAL_OK;
        if (is_whole) {
            fal_status removed = fal_file_unlink(saved, status == FAL_OK ? err : NULL);
            if (status == FAL_OK) status = removed;
        } else {
            fal_add_context(err, status, "the header is half written, its backup is '%s'", saved);
        }
    }
    fal_free(before);
    return status;
}

fal_status fal_header_backup_replace(const char *path, const fal_header_backup *backup,
                                     fal_error *err) {
    char *saved = backup_path(path);
    if (!saved) return fal_fail_memory(err, 0);
    fal_status status = replace(path, saved, backup, err);
    fal_free(saved);
    return status;
}

/* ---- recovery ---- */

bool fal_gguf_edit_was_cut_short(const char *path) {
    char *saved = backup_path(path);
    bool exists = saved && fal_file_exists(saved);
    fal_free(saved);
    return exists;
}

/* Takes a backup's bytes apart. */
static fal_status parse(fal_header_backup *out, const char *bytes, size_t length, fal_error *err) {
    fal_reader r = fal_reader_open(bytes, length);
    fal_slice mark = fal_read_slice(&r, MAGIC_BYTES);
    out->file_bytes = fal_read_u64(&r);
    uint64_t n = fal_read_u64(&r);
    out->before = fal_read_slice(&r, n);
    out->after = fal_read_slice(&r, n);
    size_t n_summed = r.position;
    uint64_t sum = fal_read_u64(&r);
    FAL_TRY(fal_reader_status(&r, err));
    if (memcmp(mark.data, magic, MAGIC_BYTES) != 0 || fal_reader_remaining(&r) > 0
        || sum != checksum(bytes, n_summed))
        return fal_fail(err, FAL_E_FORMAT, "the backup is damaged");
    return FAL_OK;
}

/* Whether the file can be what was left of writing `after` over `before`. */
static bool is_mixture(const fal_header_backup *b, const fal_mapping *file) {
    if (file->length != b->file_bytes || b->before.length > file->length) return false;
    const char *now = file->data;
    for (size_t i = 0; i < b->before.length; i++)
        if (now[i] != b->before.data[i] && now[i] != b->after.data[i]) return false;
    return true;
}

static fal_status recover(const char *path, const char *saved, fal_error *err) {
    char *bytes;
    size_t length;
    fal_header_backup backup;
    fal_mapping file = {0};
    FAL_TRY(fal_file_read(&bytes, &length, saved, MAX_BACKUP_BYTES, err));
    fal_status status = parse(&backup, bytes, length, err);
    if (status != FAL_OK) fal_add_context(err, status, "%s", saved);
    if (status == FAL_OK) status = fal_mapping_open(&file, path, err);
    if (status == FAL_OK && !is_mixture(&backup, &file))
        status = fal_fail(err, FAL_E_FORMAT, "%s: a backup of another file than '%s'", saved, path);
    bool is_done = status == FAL_OK
                   && (memcmp(file.data, backup.before.data, backup.before.length) == 0
                       || memcmp(file.data, backup.after.data, backup.after.length) == 0);
    fal_mapping_release(&file);
    if (status == FAL_OK && !is_done)
        status = fal_file_overwrite(path, 0, backup.before.data, backup.before.length, err);
    if (status == FAL_OK) status = fal_file_unlink(saved, err);
    fal_free(bytes);
    return status;
}

fal_status fal_gguf_edit_recover(const char *path, bool *recovered, fal_error *err) {
    *recovered = false;
    char *saved = backup_path(path);
    if (!saved) return fal_fail_memory(err, 0);
    fal_status status = FAL_OK;
    if (fal_file_exists(saved)) {
        status = recover(path, saved, err);
        *recovered = status == FAL_OK;
    }
    fal_free(saved);
    return status;
}
