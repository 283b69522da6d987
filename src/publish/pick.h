/* Which file of a set fits into a given memory, and how long a context it leaves room for. */
#ifndef FAL_PUBLISH_PICK_H
#define FAL_PUBLISH_PICK_H

#include "base/fail.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct fal_pick_row {
    char *path;                     /* owned; NULL: only a size is known */
    char *trouble;                  /* owned; why the file cannot be picked; NULL: it can */
    uint64_t bytes;                 /* of the weights; of the file where only a size is known */
    double bits_per_weight;         /* 0: not known */
    uint64_t cache_bytes_per_token; /* 0: not known */
    uint64_t working_bytes;         /* of a session, beside weights and cache */
    int n_context;                  /* what the model is good for; 0: not known */
    /* Set by fal_pick_choose. */
    uint64_t needed; /* with the context asked for */
    int64_t spare;   /* what is left of the memory; negative: what is missing */
    int64_t longest; /* tokens of context that fit, at most n_context; 0: none, -1: not known */
    bool fits;
} fal_pick_row;

/* Zero-initialise; release accepts zero. */
typedef struct fal_pick {
    fal_pick_row *rows;
    size_t count, capacity;
    uint64_t memory;
    const char *kv_type; /* of the cache, set before files are added; NULL: each model's own */
    int n_context;       /* asked for; 0: what each model is good for */
    int best;            /* index into rows; -1: none fits */
} fal_pick;

/* Adds a GGUF file. One that is no model is added with its trouble. Fails: NOT_FOUND, IO, MEMORY. */
fal_status fal_pick_add_file(fal_pick *p, const char *path, fal_error *err);

/* Adds all .gguf files of a folder, split sets once. Fails: NOT_FOUND (also when there are none), IO, MEMORY. */
fal_status fal_pick_add_folder(fal_pick *p, const char *directory, fal_error *err);

/* Adds a size of which nothing else is known. Fails: MEMORY. */
fal_status fal_pick_add_size(fal_pick *p, uint64_t bytes, fal_error *err);

/* Computes every row for `memory` bytes and n_context tokens (0: what each model is good for), sorts the rows by size and
 * finds the best: of those that fit the one with most bits per weight, which is the order of quality within a set. */
void fal_pick_choose(fal_pick *p, uint64_t memory, int n_context);

void fal_pick_release(fal_pick *p);

/* "17.4GB", "24GiB", "800 MB", "4G": a number with a unit; K, M, G and T count thousands, KiB to TiB 1024s.
 * Fails: ARGUMENT. */
fal_status fal_parse_bytes(const char *text, uint64_t *out, fal_error *err);

#endif
