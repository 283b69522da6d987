/* Replaces the first bytes of a file so that a crash at any moment leaves either header, or a backup that tells both. */
#ifndef FAL_FORMATS_GGUF_BACKUP_H
#define FAL_FORMATS_GGUF_BACKUP_H

#include "base/bytes.h"

/* Both headers have the same length. Borrowed. */
typedef struct fal_header_backup {
    uint64_t file_bytes;
    fal_slice before, after;
} fal_header_backup;

/* Saves the backup beside path, writes `after` over the file's beginning, removes the backup. A failure on the way puts
 * `before` back. The file may be mapped: `before` may lie in the mapping.
 * Fails: IO, MEMORY; the message names the backup if it had to stay. */
fal_status fal_header_backup_replace(const char *path, const fal_header_backup *backup,
                                     fal_error *err);

#endif
