/* A set of hashes: which documents there are already. */
#ifndef FAL_TRAIN_SEEN_H
#define FAL_TRAIN_SEEN_H

#include "base/fail.h"

#include <stdbool.h>
#include <stdint.h>

/* Zero-initialise; release when done. */
typedef struct fal_seen {
    uint64_t *slots; /* 0: free */
    size_t n_slots, n_used;
} fal_seen;

/* Adds hash; *was_there: it had been added before. Fails: MEMORY; then nothing changed. */
fal_status fal_seen_add(fal_seen *seen, uint64_t hash, bool *was_there, fal_error *err);
void fal_seen_release(fal_seen *seen);

#endif
