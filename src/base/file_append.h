/* A file that grows line by line: a run's log. POSIX body in file_append_posix.c. */
#ifndef FAL_BASE_FILE_APPEND_H
#define FAL_BASE_FILE_APPEND_H

#include "base/fail.h"

typedef struct fal_appended fal_appended;

/* Opens path for appending, and makes it if it is missing. Fails: IO, NOT_FOUND (its folder), MEMORY. */
fal_status fal_appended_open(fal_appended **out, const char *path, fal_error *err);

/* All bytes or none: what a failing write left is cut off again, where the system lets it. Fails: IO. */
fal_status fal_appended_write(fal_appended *a, const void *data, size_t length, fal_error *err);

/* What was written outlives a crash of the machine. Fails: IO. */
fal_status fal_appended_sync(fal_appended *a, fal_error *err);
void fal_appended_close(fal_appended *a);

#endif
