/* Body of bpe.h. A piece is a linked list of symbols; the pairs that can merge wait in a heap ordered by rank, then by
 * place, which is the order of the original. A pair that has changed meanwhile is recognised when it comes up.
 * Splitting text into pieces, and control tokens, are left to others. */
#include "text/bpe.h"

#include "base/alloc.h"
#include "base/utf8.h"
#include "text/byte_map.h"
#include "text/quote.h"

#include <string.h>

static const uint32_t NONE = UINT32_MAX;

typedef struct fal_bpe_symbol {
    int32_t id; /* -1: merged into the symbol before it */
    uint32_t previous, next;
    uint32_t rank; /* of the merge with the next symbol; NONE: there is none */
} symbol;

typedef struct pair_slot {
    uint64_t pair; /* left id, right id */
    uint32_t rank; /* NONE: empty */
    int32_t product;
} pair_slot;

struct fal_bpe {
    int32_t byte_ids[256]; /* -1: no token */
    int32_t *products;     /* [n_merges] */
    pair_slot *pairs;
    size_t n_pairs; /* a power of two */
};

static uint64_t pair_of(int32_t left, int32_t right) {
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

/* The slot that holds pair, or the empty one where it belongs. The table is never more than half full. */
static pair_slot *probe(const fal_bpe *b, uint64_t pair) {
    uint64_t hash = pair * 0x9e3779b97f4a7c15u;
    size_t mask = b->n_pairs - 1;
    for (size_t i = (size_t)(hash ^ hash >> 29) & mask;; i = (i + 1) & mask) {
        pair_slot *slot = &b->pairs[i];
        if (slot->rank == NONE || slot->pair == pair) return slot;
    }
}

/* ---- building ---- */

static bool takes_part(const fal_vocabulary *v, int32_t id) {
    int32_t type = v->types[id];
    return type != FAL_TOKEN_CONTROL && type != FAL_TOKEN_UNKNOWN && type != FAL_TOKEN_UNUSED;
}

static void find_byte_ids(fal_bpe *b, const fal_vocabulary *v, const fal_string_map *ids) {
    for (int byte = 0; byte < 256; byte++) {
        char text[4];
        int length = fal_utf8_encode(fal_byte_character((uint8_t)byte), text);
        int32_t id = fal_string_map_find(ids, (fal_slice){text, (size_t)length});
        b->byte_ids[byte] = id >= 0 && takes_part(v, id) ? id : -1;
    }
}

static fal_status find_part(int32_t *out, const fal_string_map *ids, fal_slice part, size_t merge,
                            const char *what, fal_error *err) {
    *out = fal_string_map_find(ids, part);
    if (*out >= 0) return FAL_OK;
    return fal_fail(err, FAL_E_FORMAT, "merge %zu: its %s '%s' is not a token", merge, what,
                    fal_quote(part).text);
}

/* The ids of a merge's parts and of their product. */
static fal_status read_merge(int32_t found[3], const fal_vocabulary *v, const fal_string_map *ids,
                             size_t merge, char **joined, size_t *capacity, fal_error *err) {
    fal_slice text = v->merges[merge];
    const char *space = text.length ? memchr(text.data, ' ', text.length) : NULL;
    size_t left = space ? (size_t)(space - text.data) : 0;
    size_t right = space ? text.length - left - 1 : 0;
    if (left == 0 || right == 0 || memchr(space + 1, ' ', right))
        return fal_fail(err, FAL_E_FORMAT,
                        "merge %zu: '%s' is not two tokens with one space between", merge,
                        fal_quote(text).text);
    if (!fal_grow((void **)joined, capacity, left + right, 1))
        return fal_fail_memory(err, left + right);
    memcpy(*joined, text.data, left);
    memcpy(*joined + left, space + 1, right);
    FAL_TRY(find_part(&found[0], ids, (fal_slice){text.data, left}, merge, "left part", err));
    FAL_TRY(find_part(&found[1], ids, (fal_slice){space + 1, right}, merge, "right part", err));
    /* Files that give a token another meaning (Alfred's chat tokens replace words) may keep the merge that made it: it
     * can never be applied. */
    found[2] = fal_string_map_find(ids, (fal_slice){*joined, left + right});
    return FAL_OK;
}

static fal_status add_merges(fal_bpe *b, const fal_vocabulary *v, const fal_string_map *ids,
                             fal_error *err) {
    char *joined = NULL;
    size_t capacity = 0;
    fal_status status = FAL_OK;
    for (size_t i = 0; i < v->n_merges; i++) {
        int32_t found[3] = {-1, -1, -1};
        FAL_TRY_OUT(read_merge(found, v, ids, i, &joined, &capacity, err));
        if (found[2] < 0) continue;
        if (!takes_part(v, found[0]) || !takes_part(v, found[1]) || !takes_part(v, found[2]))
            continue;
        pair_slot *slot = probe(b, pair_of(found[0], found[1]));
        if (slot->rank != NONE) {
            FAL_TRY_OUT(fal_fail(err, FAL_E_FORMAT, "merge %zu: '%s' is merge %u already", i,
                                 fal_quote(v->merges[i]).text, (unsigned)slot->rank));
        }
        *slot = (pair_slot){pair_of(found[0], found[1]), (uint32_t)i, found[2]};
        b->products[i] = found[2];
    }
out:
    fal_free(joined);
    return status;
}

static fal_status build(fal_bpe *b, const fal_vocabulary *v, const fal_string_map *ids,
                        fal_error *err) {
    if (v->n_merges > INT32_MAX)
        return fal_fail(err, FAL_E_FORMAT, "%zu merges, at most %d", v->n_merges, INT32_MAX);
    b->n_pairs = 16;
    while (b->n_pairs / 2 < v->n_merges)
        b->n_pairs *= 2;
    b->pairs = fal_alloc(b->n_pairs, sizeof *b->pairs);
    b->products = fal_alloc(v->n_merges, sizeof *b->products);
    if (!b->pairs || !b->products) return fal_fail_memory(err, b->n_pairs * sizeof *b->pairs);
    for (size_t i = 0; i < b->n_pairs; i++)
        b->pairs[i].rank = NONE;
    find_byte_ids(b, v, ids);
    return add_merges(b, v, ids, err);
}

fal_status fal_bpe_open(fal_bpe **out, const fal_vocabulary *v, const fal_string_map *ids,
                        fal_error *err) {
    *out = NULL;
    fal_bpe *b = fal_alloc(1, sizeof *b);
    if (!b) return fal_fail_memory(err, sizeof *b);
    fal_status status = build(b, v, ids, err);
    if (status != FAL_OK) {
        fal_bpe_close(b);
        return status;
    }
    *out = b;
    return FAL_OK;
}

void fal_bpe_close(fal_bpe *b) {
    if (!b) return;
    fal_free(b->pairs);
    fal_free(b->products);
    fal_free(b);
}

/* ---- the heap: numbers of rank (high half) and place (low half), smallest first ---- */

static void sift_down(uint64_t *queue, size_t n, size_t at) {
    uint64_t moving = queue[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= n) break;
        if (child + 1 < n && queue[child + 1] < queue[child]) child++;
        if (queue[child] >= moving) break;
        queue[at] = queue[child];
        at = child;
    }
    queue[at] = moving;
}

static void push(uint64_t *queue, size_t *n, uint64_t entry) {
    size_t at = (*n)++;
    while (at > 0 && queue[(at - 1) / 2] > entry) {
        queue[at] = queue[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    queue[at] = entry;
}

static uint64_t pop(uint64_t *queue, size_t *n) {
    uint64_t top = queue[0];
    queue[0] = queue[--*n];
    if (*n > 0) sift_down(queue, *n, 0);
    return top;
}

/* ---- merging ---- */

/* Fills in the rank of the pair that begins at symbol i. True: it can merge. */
static bool rank_pair(const fal_bpe *b, symbol *symbols, uint32_t i) {
    uint32_t next = symbols[i].next;
    symbols[i].rank =
        next == NONE ? NONE : probe(b, pair_of(symbols[i].id, symbols[next].id))->rank;
    return symbols[i].rank != NONE;
}

static uint64_t entry_of(const symbol *symbols, uint32_t i) {
    return (uint64_t)symbols[i].rank << 32 | i;
}

/* The queue holds 2 n entries: n - 1 pairs at the start, and at most n - 1 merges that each take one entry and add two.
 * An entry is outdated when its symbol has another rank: the same rank cannot come back, since the text that a pair at
 * one place would produce only grows. */
static void merge_all(const fal_bpe *b, symbol *symbols, uint32_t n, uint64_t *queue) {
    size_t n_queued = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (rank_pair(b, symbols, i)) queue[n_queued++] = entry_of(symbols, i);
    }
    for (size_t i = n_queued / 2; i-- > 0;)
        sift_down(queue, n_queued, i);
    while (n_queued > 0) {
        uint64_t entry = pop(queue, &n_queued);
        uint32_t at = (uint32_t)entry, rank = (uint32_t)(entry >> 32);
        symbol *left = &symbols[at];
        if (left->id < 0 || left->rank != rank) continue;
        symbol *right = &symbols[left->next];
        left->id = b->products[rank];
        left->next = right->next;
        right->id = -1;
        if (left->next != NONE) symbols[left->next].previous = at;
        if (rank_pair(b, symbols, at)) push(queue, &n_queued, entry_of(symbols, at));
        uint32_t previous = left->previous;
        if (previous != NONE && rank_pair(b, symbols, previous))
            push(queue, &n_queued, entry_of(symbols, previous));
    }
}

static fal_status reserve(fal_bpe_scratch *scratch, size_t n, fal_error *err) {
    if (!fal_grow((void **)&scratch->symbols, &scratch->symbol_capacity, n, sizeof(symbol))
        || !fal_grow((void **)&scratch->queue, &scratch->queue_capacity, 2 * n, sizeof(uint64_t)))
        return fal_fail_memory(err, n * sizeof(symbol));
    return FAL_OK;
}

fal_status fal_bpe_encode(const fal_bpe *b, fal_bpe_scratch *scratch, const char *bytes,
                          size_t length, fal_tokens *out, size_t *n_dropped, fal_error *err) {
    if (length >= NONE)
        return fal_fail(err, FAL_E_LIMIT, "a word of %zu bytes, at most %u", length,
                        (unsigned)NONE - 1);
    FAL_TRY(reserve(scratch, length, err));
    symbol *symbols = scratch->symbols;
    uint32_t n = 0;
    for (size_t i = 0; i < length; i++) {
        int32_t id = b->byte_ids[(uint8_t)bytes[i]];
        if (id < 0) {
            ++*n_dropped;
            continue;
        }
        symbols[n] = (symbol){id, n == 0 ? NONE : n - 1, n + 1, NONE};
        n++;
    }
    if (n == 0) return FAL_OK;
    symbols[n - 1].next = NONE;
    merge_all(b, symbols, n, scratch->queue);
    if (!fal_grow((void **)&out->ids, &out->capacity, out->count + n, sizeof *out->ids))
        return fal_fail_memory(err, (out->count + n) * sizeof *out->ids);
    for (uint32_t i = 0; i != NONE; i = symbols[i].next)
        out->ids[out->count++] = symbols[i].id;
    return FAL_OK;
}

void fal_bpe_scratch_release(fal_bpe_scratch *scratch) {
    fal_free(scratch->symbols);
    fal_free(scratch->queue);
    *scratch = (fal_bpe_scratch){0};
}
