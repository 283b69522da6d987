/* Where the entries of a zip archive lie in memory. Only entries that are stored, not compressed, can be reached. */
#ifndef FAL_FORMATS_ZIP_ARCHIVE_H
#define FAL_FORMATS_ZIP_ARCHIVE_H

#include "base/bytes.h"

typedef struct fal_zip_archive fal_zip_archive;

typedef struct fal_zip_entry {
    fal_slice name;   /* borrowed from the archive's bytes */
    const void *data; /* the same; NULL when is_stored is false */
    uint64_t bytes;
    bool is_stored; /* false: compressed or encrypted */
} fal_zip_entry;

/* Reads the directory of an archive, with or without 64-bit sizes.
 *
 *   out    owned by the caller; NULL on failure
 *   data   the whole archive; borrowed until close
 *   Fails: FORMAT (no archive, damaged, a name twice), UNSUPPORTED (several disks), MEMORY.
 *   Source: PKWARE, APPNOTE.TXT 6.3, sections 4.3 and 4.5.3. */
fal_status fal_zip_open(fal_zip_archive **out, const void *data, size_t length, fal_error *err);
void fal_zip_close(fal_zip_archive *z);

int fal_zip_count(const fal_zip_archive *z);
const fal_zip_entry *fal_zip_at(const fal_zip_archive *z, int index);
const fal_zip_entry *fal_zip_find(const fal_zip_archive *z, fal_slice name); /* NULL: absent */

#endif
