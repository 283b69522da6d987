/* Body of open_bins.h: a treap, whose nodes are the places of the list. Priorities are hashes of the places, so that the
 * tree is near to balanced and the same in every run.
 * Source: Seidel and Aragon, Randomized search trees, 1996. */
#include "train/open_bins.h"

#include "base/alloc.h"
#include "base/hash.h"

enum {
    NOWHERE = -1
};

/* Fuller bins are higher, and of those of the same n_tokens the ones earlier in the list. */
static uint64_t key_of(int32_t n_tokens, int32_t place) {
    return (uint64_t)(uint32_t)n_tokens << 32 | (UINT32_MAX - (uint32_t)place);
}

static uint64_t key_at(const fal_open_bins *b, int32_t place) {
    return key_of(b->items[place].n_tokens, place);
}

static uint64_t priority(int32_t place) {
    return fal_hash_add(0, (uint64_t)place);
}

/* Parts the tree at root into the keys below `key` and those above it. */
static void split(fal_open_bins *b, int32_t root, uint64_t key, int32_t *below, int32_t *above) {
    while (root != NOWHERE) {
        fal_open_bin *node = &b->items[root];
        if (key_at(b, root) < key) {
            *below = root;
            below = &node->above;
            root = node->above;
        } else {
            *above = root;
            above = &node->below;
            root = node->below;
        }
    }
    *below = *above = NOWHERE;
}

/* Makes one tree at *to of two; all keys of `low` are below those of `high`. */
static void join(fal_open_bins *b, int32_t low, int32_t high, int32_t *to) {
    while (low != NOWHERE && high != NOWHERE) {
        if (priority(low) > priority(high)) {
            *to = low;
            to = &b->items[low].above;
            low = *to;
        } else {
            *to = high;
            to = &b->items[high].below;
            high = *to;
        }
    }
    *to = low != NOWHERE ? low : high;
}

static int32_t *step_down(fal_open_bins *b, int32_t from, uint64_t key) {
    fal_open_bin *node = &b->items[from];
    return key_at(b, from) < key ? &node->above : &node->below;
}

static void enter(fal_open_bins *b, int32_t place) {
    uint64_t key = key_at(b, place);
    int32_t *at = &b->root;
    while (*at != NOWHERE && priority(*at) > priority(place))
        at = step_down(b, *at, key);
    split(b, *at, key, &b->items[place].below, &b->items[place].above);
    *at = place;
}

static void leave(fal_open_bins *b, int32_t place) {
    uint64_t key = key_at(b, place);
    int32_t *at = &b->root;
    while (*at != place)
        at = step_down(b, *at, key);
    join(b, b->items[place].below, b->items[place].above, at);
}

void fal_open_bins_release(fal_open_bins *b) {
    fal_free(b->items);
    *b = (fal_open_bins){0};
}

fal_status fal_open_bins_reset(fal_open_bins *b, size_t n_most, fal_error *err) {
    b->count = 0;
    b->root = NOWHERE;
    if (fal_grow((void **)&b->items, &b->capacity, n_most, sizeof *b->items)) return FAL_OK;
    return fal_fail_memory(err, n_most * sizeof *b->items);
}

int32_t fal_open_bins_find(const fal_open_bins *b, int32_t n_tokens) {
    uint64_t bound = key_of(n_tokens, 0); /* the highest key of a bin of n_tokens */
    int32_t found = NOWHERE;
    for (int32_t at = b->root; at != NOWHERE;) {
        bool fits = key_at(b, at) <= bound;
        if (fits) found = at;
        at = fits ? b->items[at].above : b->items[at].below;
    }
    return found;
}

int32_t fal_open_bins_add(fal_open_bins *b, int32_t bin) {
    int32_t place = b->count++;
    b->items[place] = (fal_open_bin){.bin = bin};
    enter(b, place);
    return place;
}

void fal_open_bins_fill(fal_open_bins *b, int32_t place, int32_t n_tokens) {
    leave(b, place);
    b->items[place].n_tokens = n_tokens;
    enter(b, place);
}

void fal_open_bins_close(fal_open_bins *b, int32_t place) {
    int32_t last = b->count - 1;
    leave(b, place);
    if (place != last) {
        leave(b, last);
        b->items[place] = b->items[last];
        enter(b, place);
    }
    b->count = last;
}
