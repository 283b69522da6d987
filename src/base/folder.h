/* Folders: make one, list what is in one. POSIX body in folder_posix.c. */
#ifndef FAL_BASE_FOLDER_H
#define FAL_BASE_FOLDER_H

#include "base/fail.h"

#include <stdbool.h>

/* Makes the folder at path, and those above it that are missing; one that is there is fine.
 * Fails: ARGUMENT (something else has the name), IO, MEMORY. */
fal_status fal_folder_make(const char *path, fal_error *err);

/* What the symbolic link at path says, owned by the caller (fal_free); NULL for anything else. */
char *fal_link_target(const char *path);

/* Gives the folder at `from` the name `to`, which must be free, and makes that last through a crash. Fails: IO, NOT_FOUND. */
fal_status fal_folder_rename(const char *from, const char *to, fal_error *err);

/* Removes the files in a folder and the folder; one that is not there is fine. Folders in it are left, and it with them.
 * Fails: IO, MEMORY. */
fal_status fal_folder_remove(const char *path, fal_error *err);

/* Removes a folder that is empty; any other stays. */
void fal_folder_remove_empty(const char *path);

/* Removes a file; one that is not there is fine. */
void fal_file_remove(const char *path);

/* Names in a folder. Zero-initialise; release accepts zero. */
typedef struct fal_names {
    char **items; /* in byte order */
    size_t count, capacity;
} fal_names;

/* Lists the names in a folder that end in `suffix` ("" for all), hidden ones not.
 *
 *   out  released by the caller in any case
 *   Fails: NOT_FOUND, IO, MEMORY. */
fal_status fal_folder_list(fal_names *out, const char *path, const char *suffix, fal_error *err);
void fal_names_release(fal_names *names);

#endif
