/* Body of seen.h: open addressing, at most half full. The hashes are well mixed already. */
#include "train/seen.h"

#include "base/alloc.h"

enum {
    FIRST_SLOTS = 1024
};

/* The slot that holds hash, or the free one where it belongs. */
static uint64_t *find_slot(uint64_t *slots, size_t n_slots, uint64_t hash) {
    size_t i = hash & (n_slots - 1);
    while (slots[i] != 0 && slots[i] != hash)
        i = (i + 1) & (n_slots - 1);
    return &slots[i];
}

static fal_status grow(fal_seen *seen, fal_error *err) {
    size_t n = FIRST_SLOTS;
    if (seen->n_slots > 0 && !fal_multiply_size(seen->n_slots, 2, &n))
        return fal_fail_memory(err, 0);
    uint64_t *slots = fal_alloc(n, sizeof *slots);
    if (!slots) return fal_fail_memory(err, n * sizeof *slots);
    for (size_t i = 0; i < seen->n_slots; i++) {
        if (seen->slots[i] != 0) *find_slot(slots, n, seen->slots[i]) = seen->slots[i];
    }
    fal_free(seen->slots);
    seen->slots = slots;
    seen->n_slots = n;
    return FAL_OK;
}

fal_status fal_seen_add(fal_seen *seen, uint64_t hash, bool *was_there, fal_error *err) {
    if (seen->n_used >= seen->n_slots / 2) FAL_TRY(grow(seen, err));
    if (hash == 0) hash = 1; /* 0 marks free slots */
    uint64_t *slot = find_slot(seen->slots, seen->n_slots, hash);
    *was_there = *slot != 0;
    *slot = hash;
    seen->n_used += !*was_there;
    return FAL_OK;
}

void fal_seen_release(fal_seen *seen) {
    fal_free(seen->slots);
    *seen = (fal_seen){0};
}
