/* Body of packer.h. Each passage goes where it leaves the least room. */
#include "train/packer.h"

#include "base/alloc.h"

#include <stdlib.h>

enum {
    MAX_PASSAGES = 1 << 30
};

/* What packing needs per passage. */
struct fal_packer_space {
    fal_passage passage;
    int32_t index, bin; /* place before packing; where the passage goes */
};

void fal_packer_release(fal_packer *p) {
    fal_free(p->passages);
    fal_free(p->bins);
    fal_free(p->space);
    fal_open_bins_release(&p->open);
    *p = (fal_packer){0};
}

void fal_packer_keep(fal_packer *p, int32_t bin) {
    fal_bin kept = bin < 0 ? (fal_bin){0} : p->bins[bin];
    for (int32_t i = 0; i < kept.n_passages; i++)
        p->passages[i] = p->passages[kept.first + i];
    p->n_passages = kept.n_passages;
    p->n_tokens = kept.n_tokens;
    p->n_bins = 0;
}

fal_status fal_packer_add(fal_packer *p, fal_passage passage, fal_error *err) {
    if (p->n_passages >= MAX_PASSAGES)
        return fal_fail(err, FAL_E_LIMIT, "more than %d passages to pack at once", MAX_PASSAGES);
    size_t needed = (size_t)p->n_passages + 1;
    if (!fal_grow((void **)&p->passages, &p->passage_capacity, needed, sizeof *p->passages))
        return fal_fail_memory(err, needed * sizeof *p->passages);
    p->passages[p->n_passages++] = passage;
    p->n_tokens += passage.n_tokens;
    return FAL_OK;
}

/* Longest first; equal ones as they came in. */
static int by_length(const void *a, const void *b) {
    const struct fal_packer_space *x = a, *y = b;
    if (x->passage.n_tokens != y->passage.n_tokens)
        return x->passage.n_tokens < y->passage.n_tokens ? 1 : -1;
    return x->index < y->index ? -1 : 1;
}

/* Chooses a bin for each passage of the sorted space. */
static void choose_bins(fal_packer *p, int32_t length) {
    int32_t shortest = p->space[p->n_passages - 1].passage.n_tokens;
    for (int32_t i = 0; i < p->n_passages; i++) {
        int32_t n_tokens = p->space[i].passage.n_tokens;
        int32_t place = fal_open_bins_find(&p->open, length - n_tokens);
        if (place < 0) {
            p->bins[p->n_bins] = (fal_bin){0};
            place = fal_open_bins_add(&p->open, p->n_bins++);
        }
        int32_t chosen = p->open.items[place].bin;
        p->space[i].bin = chosen;
        p->bins[chosen].n_passages++;
        p->bins[chosen].n_tokens += n_tokens;
        if (p->bins[chosen].n_tokens > length - shortest)
            fal_open_bins_close(&p->open, place);
        else
            fal_open_bins_fill(&p->open, place, p->bins[chosen].n_tokens);
    }
}

fal_status fal_packer_pack(fal_packer *p, int32_t length, fal_error *err) {
    size_t n = (size_t)p->n_passages;
    p->n_bins = 0;
    if (n == 0) return FAL_OK;
    if (!fal_grow((void **)&p->bins, &p->bin_capacity, n, sizeof *p->bins)
        || !fal_grow((void **)&p->space, &p->space_capacity, n, sizeof *p->space))
        return fal_fail_memory(err, n * (sizeof *p->bins + sizeof *p->space));
    FAL_TRY(fal_open_bins_reset(&p->open, n, err));
    for (int32_t i = 0; i < p->n_passages; i++)
        p->space[i] = (struct fal_packer_space){.passage = p->passages[i], .index = i};
    qsort(p->space, n, sizeof *p->space, by_length);
    choose_bins(p, length);
    for (int32_t b = 1; b < p->n_bins; b++)
        p->bins[b].first = p->bins[b - 1].first + p->bins[b - 1].n_passages;
    for (int32_t i = 0; i < p->n_passages; i++)
        p->passages[p->bins[p->space[i].bin].first++] = p->space[i].passage;
    for (int32_t b = 0; b < p->n_bins; b++)
        p->bins[b].first -= p->bins[b].n_passages;
    return FAL_OK;
}

size_t fal_packer_passage_bytes(void) {
    return sizeof(fal_passage) + sizeof(fal_bin) + sizeof(struct fal_packer_space)
           + sizeof(fal_open_bin);
}

int32_t fal_packer_emptiest(const fal_packer *p) {
    int32_t found = -1;
    for (int32_t b = 0; b < p->n_bins; b++) {
        if (found < 0 || p->bins[b].n_tokens < p->bins[found].n_tokens) found = b;
    }
    return found;
}

/* Fullest first; of the same n_tokens, by where the passages lie, which is the order of packing. */
static int by_fullness(const void *a, const void *b) {
    const fal_bin *x = a, *y = b;
    if (x->n_tokens != y->n_tokens) return x->n_tokens < y->n_tokens ? 1 : -1;
    return x->first < y->first ? -1 : 1;
}

void fal_packer_sort(fal_packer *p) {
    if (p->n_bins > 1) qsort(p->bins, (size_t)p->n_bins, sizeof *p->bins, by_fullness);
}
