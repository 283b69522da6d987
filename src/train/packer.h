/* A window of passages that are packed into sequences together, by best fit, longest first. */
#ifndef FAL_TRAIN_PACKER_H
#define FAL_TRAIN_PACKER_H

#include "train/open_bins.h"
#include "train/plan.h"

/* One sequence to be: passages [first, first + n_passages) of the packer. */
typedef struct fal_bin {
    int32_t first, n_passages, n_tokens;
} fal_bin;

/* Zero-initialise; release when done. Passages are in the order they came in before packing, by bin after it. */
typedef struct fal_packer {
    fal_passage *passages;
    fal_bin *bins;
    int32_t n_passages, n_bins;
    int64_t n_tokens;
    struct fal_packer_space *space; /* of the packing itself, as is open */
    fal_open_bins open;
    size_t passage_capacity, bin_capacity, space_capacity;
} fal_packer;

void fal_packer_release(fal_packer *p);
/* Leaves the passages of this bin only; -1: none. */
void fal_packer_keep(fal_packer *p, int32_t bin);
/* Fails: MEMORY, LIMIT (more than 2^30 passages). */
fal_status fal_packer_add(fal_packer *p, fal_passage passage, fal_error *err);
/* Packs all passages, each 1 to length tokens, into bins of at most length tokens. Fails: MEMORY. */
fal_status fal_packer_pack(fal_packer *p, int32_t length, fal_error *err);
/* Memory that a passage takes until it is packed. */
size_t fal_packer_passage_bytes(void);
/* The bin with fewest tokens (the first of several); -1: there is none. */
int32_t fal_packer_emptiest(const fal_packer *p);
/* Puts the fullest bins first; those of as many tokens stay in their order. */
void fal_packer_sort(fal_packer *p);

#endif
