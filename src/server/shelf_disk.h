/* A thread that writes timelines to files and reads them back, so that the computing thread never waits for a disk. */
#ifndef FAL_SERVER_SHELF_DISK_H
#define FAL_SERVER_SHELF_DISK_H

#include <falconer/session.h>

typedef struct fal_shelf_disk fal_shelf_disk;

/* One piece of work; belongs to the thread from the request until it is handed back. */
typedef struct fal_disk_task {
    struct fal_disk_task *next;
    void *owner;
    bool is_load;
    fal_session *session; /* what is written; what is read goes there */
    const char *path;
    uint64_t file_bytes; /* afterwards, of the file */
    fal_status status;
    fal_error error;
} fal_disk_task;

/* on_done is called on the thread after each task. Fails: IO, MEMORY. */
fal_status fal_shelf_disk_open(fal_shelf_disk **out, void (*on_done)(void *user), void *user,
                               fal_error *err);

/* Finishes all tasks. Those not handed back yet stay so: collect them first. NULL is fine. */
void fal_shelf_disk_close(fal_shelf_disk *d);

/* Adds a task, which stays where it is until it is handed back. */
void fal_shelf_disk_request(fal_shelf_disk *d, fal_disk_task *task);

/* A task that is done; NULL: none. */
fal_disk_task *fal_shelf_disk_done(fal_shelf_disk *d);

/* Waits until all tasks are done. */
void fal_shelf_disk_wait(fal_shelf_disk *d);

/* The size of the file at path in bytes, and when it was last used (seconds); false: there is no such file. */
bool fal_disk_file_look(const char *path, uint64_t *bytes, double *used_at);

/* Lets nobody but the owner into a folder. */
void fal_disk_folder_hide(const char *path);

#endif
