/* Files: map, read whole, write beside and rename. POSIX body in file_posix.c. */
#ifndef FAL_BASE_FILE_H
#define FAL_BASE_FILE_H

#include "base/file_range.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* A read-only mapping of a whole file. Zero-initialise; release accepts zero. */
typedef struct fal_mapping {
    const void *data; /* page-aligned; NULL for an empty file */
    size_t length;
} fal_mapping;

/* Maps path. Fails: NOT_FOUND, ARGUMENT (not a regular file), IO. */
fal_status fal_mapping_open(fal_mapping *out, const char *path, fal_error *err);
void fal_mapping_release(fal_mapping *mapping);

/* Asks the system to read the range ahead. A hint; never fails. */
void fal_mapping_will_need(const fal_mapping *mapping, size_t offset, size_t length);

/* Lets the system take back the pages of a range that lies in a mapped file; they are read again when needed. Never for
 * memory that is not mapped from a file: its contents would be lost. */
void fal_mapped_range_forget(const void *data, size_t length);

/* The whole file, with a zero behind its end.
 *   out        owned by the caller (fal_free)
 *   max_bytes  LIMIT beyond it */
fal_status fal_file_read(char **out, size_t *length, const char *path, size_t max_bytes,
                         fal_error *err);

/* The same of a regular file only, without waiting for what else may have the name (ARGUMENT). */
fal_status fal_file_read_regular(char **out, size_t *length, const char *path, size_t max_bytes,
                                 fal_error *err);

/* Writes the whole of path, which is whole or untouched. data may be NULL for no bytes. Fails: IO, MEMORY. */
fal_status fal_file_write(const char *path, const void *data, size_t length, fal_error *err);

/* Makes path an empty file that its owner alone reads and writes; what is there already stays as it is.
 * Fails: NOT_FOUND (its folder), IO. */
fal_status fal_file_make_private(const char *path, fal_error *err);

/* False also where the system does not tell. */
bool fal_file_exists(const char *path);
bool fal_file_is_directory(const char *path);
/* True if both are there and are one and the same, by whatever names. */
bool fal_file_is_same(const char *a, const char *b);

/* A link is followed; what is there and no regular file is refused (ARGUMENT). Writes "<path>.partial-<pid>-<n>" beside path; commit syncs and renames, so that path is whole or untouched. */
typedef struct fal_output fal_output;
fal_status fal_output_open(fal_output **out, const char *path, fal_error *err);
/* Nobody but its owner may read the file. */
fal_status fal_output_hide(fal_output *o, fal_error *err);
fal_status fal_output_write(fal_output *o, const void *data, size_t length, fal_error *err);
uint64_t fal_output_position(const fal_output *o);
/* Appends `length` bytes at offset `at` of the file at path, by the cheapest means (fal_range_copy). */
fal_status fal_output_append_file(fal_output *o, const char *path, uint64_t at, uint64_t length,
                                  const fal_copy_progress *progress, fal_copy_way *way,
                                  fal_error *err);
/* Gives the output the permissions of the file at path. */
void fal_output_permit_like(fal_output *o, const char *path);
/* Closes o in any case; on failure the partial file is removed. */
fal_status fal_output_commit(fal_output *o, fal_error *err);
/* Closes o and removes the partial file; NULL is fine. */
void fal_output_discard(fal_output *o);

/* Makes what happened to the name `path` in its folder last through a crash, where the system can. */
void fal_file_sync_folder(const char *path);

/* Joins directory and name into a new string (fal_free); NULL when memory is short. */
char *fal_path_join(const char *directory, const char *name);
/* The part behind the last slash; borrowed from path. */
const char *fal_path_base(const char *path);

#endif
