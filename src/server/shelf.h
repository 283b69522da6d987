/* Timelines that no answer holds, so that a prompt which begins like one of them is not computed again: in memory up to a
 * number of bytes, and in a folder that outlasts the process. Belongs to the computing thread. */
#ifndef FAL_SERVER_SHELF_H
#define FAL_SERVER_SHELF_H

#include <falconer/log.h>

#include "runtime/batch.h"

typedef struct fal_shelf fal_shelf;

typedef struct fal_shelf_options {
    fal_batch *batch; /* whose sessions are kept; outlives the shelf */
    const char *kv_type;
    uint64_t memory_bytes; /* most bytes of timelines in memory */
    const char *folder;    /* NULL: none */
    uint64_t disk_bytes;   /* most bytes in the folder, of this model */
    fal_log log;
    /* Called on the shelf's thread when fal_shelf_collect has something to do; must only wake somebody. */
    void (*on_news)(void *user);
    void *user;
} fal_shelf_options;

/* What is on it. */
typedef struct fal_shelf_state {
    size_t n_in_memory, n_on_disk;
    uint64_t memory_bytes, disk_bytes; /* memory: also for those that are being read */
} fal_shelf_state;

/* Finds what an earlier process has left in the folder. Damaged files are removed, those of other models stay.
 *
 *   sample  any session as those that will be kept; borrowed for the call
 *   Fails: BUSY (another process works in the folder), IO, ARGUMENT, MEMORY. */
fal_status fal_shelf_open(fal_shelf **out, const fal_shelf_options *o, fal_session *sample,
                          fal_error *err);

/* Writes to the folder what is only in memory, then forgets all. NULL is fine. */
void fal_shelf_close(fal_shelf *s);

/* The beginning of a prompt, looked for among what was computed for the same keyholder (job.h). Borrowed. */
typedef struct fal_beginning {
    uint64_t keyholder;
    const int32_t *tokens; /* [count] */
    size_t count;
} fal_beginning;

/* Keeps a copy of a keyholder's timeline, unless one that begins with all of it is there; shorter ones that it contains go. Does
 * nothing for a few tokens, or when memory is short. */
void fal_shelf_keep(fal_shelf *s, uint64_t keyholder, const fal_session *timeline);

/* The timeline in memory that has most of what is wanted, and how much; NULL and 0: none has.
 *
 *   is_from_disk  whether it was read from the folder
 *   returns       borrowed until the next call of anything here */
const fal_session *fal_shelf_find(fal_shelf *s, const fal_beginning *wanted, size_t *n_found,
                                  bool *is_from_disk);

typedef enum fal_fetch {
    FAL_FETCH_NOTHING, /* nothing better is in the folder, or it cannot be read now */
    FAL_FETCH_READS,   /* one is being read */
    FAL_FETCH_WAITS    /* one could be read, but those that are being read fill the memory */
} fal_fetch;

/* Looks for a timeline in the folder that has clearly more of what is wanted than n_known tokens; if may_start, begins to
 * read it. What is read counts as memory from then on. A damaged file is removed; one that cannot be read for another reason
 * stays, and is done without for a minute. */
fal_fetch fal_shelf_fetch(fal_shelf *s, const fal_beginning *wanted, size_t n_known,
                          bool may_start);

/* Takes over what the shelf's thread has finished. */
void fal_shelf_collect(fal_shelf *s);

/* How it stands. */
fal_shelf_state fal_shelf_state_get(const fal_shelf *s);

/* How many tokens of a and b are the same from the beginning on, at most `most`. */
size_t fal_same_beginning(const int32_t *a, const int32_t *b, size_t most);

#endif
