/* Builds zip archives by hand, so that each field can be made wrong. */
#ifndef FAL_TESTS_ZIP_BYTES_H
#define FAL_TESTS_ZIP_BYTES_H

#include "base/string_builder.h"
#include "check.h"

#include <stdbool.h>
#include <stdlib.h>

/* What to get wrong or to do differently; zero: nothing. */
typedef struct zip_options {
    bool is_zip64;         /* sizes and offsets in 64-bit records */
    int method, flags;     /* of every entry */
    int packed_difference; /* packed size minus size */
    bool has_other_name;   /* in the local headers */
    bool is_unaligned;     /* data at odd offsets */
    int count_difference;  /* entries announced minus entries there */
    int disk;              /* number of this disk */
    const char *comment;
} zip_options;

typedef struct zip_bytes {
    zip_options options;
    fal_string_builder file, directory;
    int n_entries;
    void *copy; /* ends exactly at the end of a heap block */
} zip_bytes;

static inline void zip_put(fal_string_builder *b, uint64_t number, int n_bytes) {
    char bytes[8];
    for (int i = 0; i < n_bytes; i++)
        bytes[i] = (char)(number >> 8 * i & 0xff);
    fal_string_append(b, bytes, (size_t)n_bytes);
}

static inline void zip_zeros(fal_string_builder *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        zip_put(b, 0, 1);
}

static inline void zip_add(zip_bytes *z, const char *name, const void *data, size_t length) {
    const zip_options *o = &z->options;
    size_t offset = z->file.length, name_bytes = strlen(name);
    uint64_t packed = length + (uint64_t)(int64_t)o->packed_difference;
    /* An extra field of zeros makes the data begin at a multiple of 64. */
    size_t extra = (64 - (offset + 30 + name_bytes + 4) % 64) % 64 + o->is_unaligned;
    zip_put(&z->file, 0x04034b50, 4);
    zip_zeros(&z->file, 2);
    zip_put(&z->file, (uint64_t)o->flags, 2);
    zip_put(&z->file, (uint64_t)o->method, 2);
    zip_zeros(&z->file, 2 + 2 + 4);
    zip_put(&z->file, packed, 4);
    zip_put(&z->file, length, 4);
    zip_put(&z->file, name_bytes, 2);
    zip_put(&z->file, 4 + extra, 2);
    if (o->has_other_name) {
        zip_zeros(&z->file, name_bytes);
    } else {
        fal_string_append(&z->file, name, name_bytes);
    }
    zip_put(&z->file, 0x4246, 2);
    zip_put(&z->file, extra, 2);
    zip_zeros(&z->file, extra);
    fal_string_append(&z->file, data, length);

    fal_string_builder *d = &z->directory;
    zip_put(d, 0x02014b50, 4);
    zip_zeros(d, 2 + 2);
    zip_put(d, (uint64_t)o->flags, 2);
    zip_put(d, (uint64_t)o->method, 2);
    zip_zeros(d, 2 + 2 + 4);
    zip_put(d, o->is_zip64 ? UINT32_MAX : packed, 4);
    zip_put(d, o->is_zip64 ? UINT32_MAX : length, 4);
    zip_put(d, name_bytes, 2);
    zip_put(d, o->is_zip64 ? 8 + 28 : 0, 2);
    zip_put(d, 3, 2);
    zip_zeros(d, 2 + 2 + 4);
    zip_put(d, o->is_zip64 ? UINT32_MAX : offset, 4);
    fal_string_append(d, name, name_bytes);
    if (o->is_zip64) {
        zip_put(d, 0x7777, 2); /* a field of somebody else's comes first */
        zip_put(d, 4, 2);
        zip_zeros(d, 4);
        zip_put(d, 1, 2);
        zip_put(d, 24, 2);
        zip_put(d, length, 8);
        zip_put(d, packed, 8);
        zip_put(d, offset, 8);
    }
    fal_string_append_text(d, "own");
    z->n_entries++;
}

/* Writes directory and end; *length bytes from a block of exactly that size, owned by z. */
static inline const void *zip_finish(zip_bytes *z, size_t *length) {
    const zip_options *o = &z->options;
    size_t offset = z->file.length;
    uint64_t n_entries = (uint64_t)(z->n_entries + o->count_difference), disk = (uint64_t)o->disk;
    const char *comment = o->comment ? o->comment : "";
    fal_string_append(&z->file, z->directory.text, z->directory.length);
    if (o->is_zip64) {
        size_t end64 = z->file.length;
        zip_put(&z->file, 0x06064b50, 4);
        zip_put(&z->file, 44, 8);
        zip_zeros(&z->file, 2 + 2);
        zip_put(&z->file, disk, 4);
        zip_put(&z->file, 0, 4);
        zip_put(&z->file, n_entries, 8);
        zip_put(&z->file, n_entries, 8);
        zip_put(&z->file, z->directory.length, 8);
        zip_put(&z->file, offset, 8);
        zip_put(&z->file, 0x07064b50, 4);
        zip_put(&z->file, 0, 4);
        zip_put(&z->file, end64, 8);
        zip_put(&z->file, 1, 4);
    }
    zip_put(&z->file, 0x06054b50, 4);
    zip_put(&z->file, o->is_zip64 ? UINT16_MAX : disk, 2);
    zip_put(&z->file, o->is_zip64 ? UINT16_MAX : 0, 2);
    zip_put(&z->file, o->is_zip64 ? UINT16_MAX : n_entries, 2);
    zip_put(&z->file, o->is_zip64 ? UINT16_MAX : n_entries, 2);
    zip_put(&z->file, o->is_zip64 ? UINT32_MAX : z->directory.length, 4);
    zip_put(&z->file, o->is_zip64 ? UINT32_MAX : offset, 4);
    zip_put(&z->file, strlen(comment), 2);
    fal_string_append_text(&z->file, comment);
    *length = z->file.length;
    z->copy = malloc(*length);
    memcpy(z->copy, z->file.text, *length);
    return z->copy;
}

static inline void zip_release(zip_bytes *z) {
    fal_string_release(&z->file);
    fal_string_release(&z->directory);
    free(z->copy);
    *z = (zip_bytes){0};
}

#endif
