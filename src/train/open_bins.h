/* The bins that still have room, found by how much they hold. An ordered set: packing needs the fullest bin below a bound
 * once per passage, and a window may have a million bins. */
#ifndef FAL_TRAIN_OPEN_BINS_H
#define FAL_TRAIN_OPEN_BINS_H

#include "base/fail.h"

#include <stdint.h>

/* A bin at its place in the list of open ones. */
typedef struct fal_open_bin {
    int32_t bin, n_tokens;
    int32_t below, above; /* subtrees: places whose keys are lower, or higher; -1: none */
} fal_open_bin;

/* Zero-initialise; release when done. */
typedef struct fal_open_bins {
    fal_open_bin *items; /* [count], in the order that decides between bins of the same n_tokens */
    int32_t count, root;
    size_t capacity;
} fal_open_bins;

void fal_open_bins_release(fal_open_bins *b);
/* Empties the set, with room for n_most bins. Fails: MEMORY. */
fal_status fal_open_bins_reset(fal_open_bins *b, size_t n_most, fal_error *err);

/* The place of the fullest bin of at most n_tokens, the first of several; -1: there is none. */
int32_t fal_open_bins_find(const fal_open_bins *b, int32_t n_tokens);
/* Puts an empty bin at the end of the list and returns its place. */
int32_t fal_open_bins_add(fal_open_bins *b, int32_t bin);
/* The bin at this place holds n_tokens from now on. */
void fal_open_bins_fill(fal_open_bins *b, int32_t place, int32_t n_tokens);
/* Takes a bin out of the list; the last one of the list takes its place. */
void fal_open_bins_close(fal_open_bins *b, int32_t place);

#endif
