/* SHA256SUMS: one line for each file, as sha256sum writes and reads it. */
#ifndef FAL_PUBLISH_CHECKSUM_H
#define FAL_PUBLISH_CHECKSUM_H

#include "base/digest.h"

typedef struct fal_checksum {
    char sha256[FAL_SHA256_HEX];
    char *name; /* of a file beside the list, owned */
    int line;   /* from 1 */
} fal_checksum;

/* Zero-initialise; release accepts zero. */
typedef struct fal_checksums {
    fal_checksum *items;
    size_t count, capacity;
} fal_checksums;

/* Appends a copy. Fails: MEMORY. */
fal_status fal_checksums_add(fal_checksums *list, const char *sha256, const char *name,
                             fal_error *err);

/* Reads a list; out is released by the caller in any case. Fails: NOT_FOUND, IO, LIMIT (over 1 MiB), FORMAT (a line that
 * is none, with its number), MEMORY. */
fal_status fal_checksums_read(fal_checksums *out, const char *path, fal_error *err);

/* Writes path, which is whole or untouched. Fails: IO, MEMORY. */
fal_status fal_checksums_write(const fal_checksums *list, const char *path, fal_error *err);
void fal_checksums_release(fal_checksums *list);

#endif
