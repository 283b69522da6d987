/* A folder that one process at a time works in, and what killed processes left in it. POSIX body in folder_lock_posix.c. */
#ifndef FAL_BASE_FOLDER_LOCK_H
#define FAL_BASE_FOLDER_LOCK_H

#include "base/fail.h"

typedef struct fal_folder_lock fal_folder_lock;

/* Locks the folder at path by its hidden file .lock, which stays. The lock goes with the process, however it ends, and is
 * not inherited by programs that it starts. Where the file system has no locks, there is none.
 * Fails: BUSY (another lock of the folder is held), IO, NOT_FOUND, MEMORY. */
fal_status fal_folder_lock_open(fal_folder_lock **out, const char *path, fal_error *err);
/* NULL is fine. */
void fal_folder_lock_close(fal_folder_lock *lock);

/* Removes what killed processes left of writing `name` in a folder: files and folders "<name>.partial-<pid>-<n>" (see
 * file.h, folder_output.h). Only where no other process can be writing that name. What cannot be removed stays.
 * Fails: IO, NOT_FOUND, MEMORY. */
fal_status fal_folder_remove_partial(const char *folder, const char *name, fal_error *err);

#endif
