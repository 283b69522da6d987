/* Pieces of files: overwritten where they are, or carried over to another file by the cheapest means. Linux body in
 * file_range.c; whole files are file.h's. */
#ifndef FAL_BASE_FILE_RANGE_H
#define FAL_BASE_FILE_RANGE_H

#include "base/fail.h"

#include <stdbool.h>
#include <stdint.h>

/* How bytes went from one file to another, cheapest first. */
typedef enum fal_copy_way {
    FAL_COPY_CLONED, /* the files share the blocks on disk */
    FAL_COPY_SYSTEM, /* copied by the system, which may share blocks, too */
    FAL_COPY_PLAIN   /* read and written */
} fal_copy_way;

/* Between pieces: how many of how many bytes. Returning false cancels. */
typedef bool fal_on_copy(void *user, uint64_t n_done, uint64_t n_total);

typedef struct fal_copy_progress {
    fal_on_copy *function; /* NULL: none */
    void *user;
} fal_copy_progress;

/* Writes bytes over those at offset `at` of the file at path and syncs. The bytes must lie inside the file.
 * Fails: NOT_FOUND, IO; then some of the bytes may be written. */
fal_status fal_file_overwrite(const char *path, uint64_t at, const void *data, size_t length,
                              fal_error *err);

/* Removes the file at path, and syncs its folder. */
fal_status fal_file_unlink(const char *path, fal_error *err);

/* Copies bytes between open files (descriptors). Blocks are shared where the file system can and both offsets have the
 * same place in a block.
 *
 *   way  the dearest means that was needed for more than a part of a block
 *   Fails: IO, FORMAT (the source is too short), CANCELLED, MEMORY. */
fal_status fal_range_copy(int from, uint64_t at, int to, uint64_t to_at, uint64_t length,
                          const fal_copy_progress *progress, fal_copy_way *way, fal_error *err);

/* Bytes of a block of the file system that holds path: a power of two from 512 to 1 MiB, 4096 where it does not tell. */
uint64_t fal_file_block_bytes(const char *path);

#endif
