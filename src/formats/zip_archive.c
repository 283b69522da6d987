/* Body of zip_archive.h. Written here because entries of many gigabytes must be mapped where they lie, and libraries
 * hand out copies: the directory is read, each local header is checked against it, nothing is decompressed. */
#include "formats/zip_archive.h"

#include "base/alloc.h"
#include "base/string_map.h"

#include <limits.h>
#include <string.h>

enum {
    END_SIGNATURE = 0x06054b50,
    END64_SIGNATURE = 0x06064b50,
    LOCATOR_SIGNATURE = 0x07064b50,
    ENTRY_SIGNATURE = 0x02014b50,
    LOCAL_SIGNATURE = 0x04034b50,
    END_BYTES = 22,
    LOCATOR_BYTES = 20,
    ENTRY_BYTES = 46,
    MAX_COMMENT_BYTES = 65535,
    FLAG_ENCRYPTED = 1,
    EXTRA_ZIP64 = 1
};

struct fal_zip_archive {
    const uint8_t *data;
    size_t length;
    fal_zip_entry *entries;
    int n_entries;
    fal_string_map *map;
};

typedef struct directory {
    uint64_t n_entries, bytes, offset;
} directory;

static fal_reader reader_at(const fal_zip_archive *z, uint64_t offset) {
    fal_reader r = fal_reader_open(z->data, z->length);
    fal_read_slice(&r, offset);
    return r;
}

static bool has_signature(const fal_zip_archive *z, uint64_t offset, uint32_t signature) {
    fal_reader r = reader_at(z, offset);
    return fal_read_u32(&r) == signature && !r.failed;
}

/* The end record stands last, behind it only a comment whose length it tells. */
static fal_status find_end(const fal_zip_archive *z, size_t *out, fal_error *err) {
    for (size_t comment = 0; comment <= MAX_COMMENT_BYTES && comment + END_BYTES <= z->length;
         comment++) {
        size_t offset = z->length - END_BYTES - comment;
        if (!has_signature(z, offset, END_SIGNATURE)) continue;
        fal_reader r = reader_at(z, offset + END_BYTES - 2);
        if (fal_read_u16(&r) != comment) continue;
        *out = offset;
        return FAL_OK;
    }
    return fal_fail(err, FAL_E_FORMAT, "no zip archive: its end record is missing");
}

static fal_status read_end64(const fal_zip_archive *z, size_t locator, directory *out,
                             fal_error *err) {
    fal_reader r = reader_at(z, locator + 4);
    fal_read_u32(&r); /* disk of the record */
    uint64_t offset = fal_read_u64(&r);
    if (!has_signature(z, offset, END64_SIGNATURE)) {
        return fal_fail(err, FAL_E_FORMAT, "zip archive: no 64-bit end record at offset %llu",
                        (unsigned long long)offset);
    }
    r = reader_at(z, offset + 4);
    fal_read_slice(&r, 8 + 2 + 2); /* size of the record, versions */
    uint32_t disk = fal_read_u32(&r), directory_disk = fal_read_u32(&r);
    uint64_t n_here = fal_read_u64(&r);
    out->n_entries = fal_read_u64(&r);
    out->bytes = fal_read_u64(&r);
    out->offset = fal_read_u64(&r);
    FAL_TRY(fal_reader_status(&r, err));
    if (disk != 0 || directory_disk != 0 || n_here != out->n_entries) {
        return fal_fail(err, FAL_E_UNSUPPORTED, "a zip archive on several disks");
    }
    return FAL_OK;
}

static fal_status find_directory(const fal_zip_archive *z, directory *out, fal_error *err) {
    size_t end = 0;
    FAL_TRY(find_end(z, &end, err));
    fal_reader r = reader_at(z, end + 4);
    uint16_t disk = fal_read_u16(&r), directory_disk = fal_read_u16(&r), n_here = fal_read_u16(&r);
    out->n_entries = fal_read_u16(&r);
    out->bytes = fal_read_u32(&r);
    out->offset = fal_read_u32(&r);
    if (end >= LOCATOR_BYTES && has_signature(z, end - LOCATOR_BYTES, LOCATOR_SIGNATURE)) {
        FAL_TRY(read_end64(z, end - LOCATOR_BYTES, out, err));
    } else if (disk != 0 || directory_disk != 0 || n_here != out->n_entries) {
        return fal_fail(err, FAL_E_UNSUPPORTED, "a zip archive on several disks");
    }
    if (out->offset > end || out->bytes > end - out->offset) {
        return fal_fail(err, FAL_E_FORMAT,
                        "zip archive: a directory of %llu bytes at offset %llu, before %zu",
                        (unsigned long long)out->bytes, (unsigned long long)out->offset, end);
    }
    if (out->n_entries > out->bytes / ENTRY_BYTES || out->n_entries > INT_MAX) {
        return fal_fail(err, FAL_E_FORMAT, "zip archive: %llu entries in a directory of %llu bytes",
                        (unsigned long long)out->n_entries, (unsigned long long)out->bytes);
    }
    return FAL_OK;
}

/* Sizes that do not fit 32 bits stand in an extra field, in this order and only those. */
static fal_status read_large_sizes(fal_slice extra, uint64_t *bytes, uint64_t *packed,
                                   uint64_t *offset, fal_error *err) {
    uint64_t *const fields[] = {bytes, packed, offset};
    fal_reader r = fal_reader_open(extra.data, extra.length);
    while (fal_reader_remaining(&r) >= 4 && !r.failed) {
        uint16_t id = fal_read_u16(&r);
        fal_slice body = fal_read_slice(&r, fal_read_u16(&r));
        if (id != EXTRA_ZIP64) continue;
        fal_reader b = fal_reader_open(body.data, body.length);
        for (int i = 0; i < 3; i++) {
            if (*fields[i] == UINT32_MAX) *fields[i] = fal_read_u64(&b);
        }
        return fal_reader_status(&b, err);
    }
    return FAL_OK;
}

/* Names and lengths of the local header may differ from the directory's, so the place of the data is computed from it. */
static fal_status find_data(const fal_zip_archive *z, fal_zip_entry *e, uint64_t offset,
                            uint64_t end, fal_error *err) {
    if (!has_signature(z, offset, LOCAL_SIGNATURE)) {
        return fal_fail(err, FAL_E_FORMAT, "no local header at offset %llu",
                        (unsigned long long)offset);
    }
    fal_reader r = reader_at(z, offset + 26);
    uint16_t name_bytes = fal_read_u16(&r), extra_bytes = fal_read_u16(&r);
    fal_slice name = fal_read_slice(&r, name_bytes);
    fal_read_slice(&r, extra_bytes);
    FAL_TRY(fal_reader_status(&r, err));
    if (name.length != e->name.length || memcmp(name.data, e->name.data, name.length) != 0) {
        return fal_fail(err, FAL_E_FORMAT, "the local header has another name");
    }
    if (r.position > end || e->bytes > end - r.position) {
        return fal_fail(err, FAL_E_FORMAT, "%llu bytes at offset %zu, before %llu",
                        (unsigned long long)e->bytes, r.position, (unsigned long long)end);
    }
    e->data = z->data + r.position;
    return FAL_OK;
}

static fal_status read_entry(const fal_zip_archive *z, fal_reader *r, const directory *d,
                             fal_zip_entry *e, fal_error *err) {
    uint32_t signature = fal_read_u32(r);
    fal_read_slice(r, 2 + 2); /* versions */
    uint16_t flags = fal_read_u16(r), method = fal_read_u16(r);
    fal_read_slice(r, 2 + 2 + 4); /* time, date, checksum */
    uint64_t packed = fal_read_u32(r);
    uint64_t bytes = fal_read_u32(r);
    uint16_t name_bytes = fal_read_u16(r), extra_bytes = fal_read_u16(r),
             comment_bytes = fal_read_u16(r);
    fal_read_slice(r, 2 + 2 + 4); /* disk, attributes */
    uint64_t offset = fal_read_u32(r);
    e->name = fal_read_slice(r, name_bytes);
    fal_slice extra = fal_read_slice(r, extra_bytes);
    fal_read_slice(r, comment_bytes);
    FAL_TRY(fal_reader_status(r, err));
    if (signature != ENTRY_SIGNATURE)
        return fal_fail(err, FAL_E_FORMAT, "no entry where one is announced");
    FAL_TRY(read_large_sizes(extra, &bytes, &packed, &offset, err));
    e->bytes = bytes;
    e->is_stored = method == 0 && (flags & FLAG_ENCRYPTED) == 0;
    if (!e->is_stored) return FAL_OK;
    if (packed != bytes) {
        return fal_fail(err, FAL_E_FORMAT, "%llu bytes stored as %llu", (unsigned long long)bytes,
                        (unsigned long long)packed);
    }
    return find_data(z, e, offset, d->offset, err);
}

static fal_status read_entries(fal_zip_archive *z, const directory *d, fal_error *err) {
    z->entries = fal_alloc((size_t)d->n_entries, sizeof *z->entries);
    z->map = fal_string_map_open((size_t)d->n_entries);
    if (!z->entries || !z->map)
        return fal_fail_memory(err, (size_t)d->n_entries * sizeof *z->entries);
    fal_reader r = fal_reader_open(z->data + d->offset, (size_t)d->bytes);
    for (uint64_t i = 0; i < d->n_entries; i++) {
        fal_zip_entry *e = &z->entries[z->n_entries];
        fal_status status = read_entry(z, &r, d, e, err);
        bool inserted = true;
        if (status == FAL_OK)
            status = fal_string_map_add(z->map, e->name, z->n_entries, &inserted, err);
        if (!inserted) status = fal_fail(err, FAL_E_FORMAT, "its name is there twice");
        if (status != FAL_OK)
            return fal_add_context(err, status, "zip archive: entry %llu", (unsigned long long)i);
        z->n_entries++;
    }
    return FAL_OK;
}

fal_status fal_zip_open(fal_zip_archive **out, const void *data, size_t length, fal_error *err) {
    *out = NULL;
    fal_zip_archive *z = fal_alloc(1, sizeof *z);
    if (!z) return fal_fail_memory(err, sizeof *z);
    z->data = data;
    z->length = length;
    fal_status status = FAL_OK;
    directory d;
    FAL_TRY_OUT(find_directory(z, &d, err));
    FAL_TRY_OUT(read_entries(z, &d, err));
    *out = z;
    z = NULL;
out:
    fal_zip_close(z);
    return status;
}

void fal_zip_close(fal_zip_archive *z) {
    if (!z) return;
    fal_string_map_close(z->map);
    fal_free(z->entries);
    fal_free(z);
}

int fal_zip_count(const fal_zip_archive *z) {
    return z->n_entries;
}

const fal_zip_entry *fal_zip_at(const fal_zip_archive *z, int index) {
    return &z->entries[index];
}

const fal_zip_entry *fal_zip_find(const fal_zip_archive *z, fal_slice name) {
    int32_t index = fal_string_map_find(z->map, name);
    return index < 0 ? NULL : &z->entries[index];
}
