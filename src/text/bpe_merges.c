/* Body of bpe_merges.h. Counts of pairs are kept exact while words change; a heap holds what counts were when a pair was
 * last met, and an outdated entry is recognised when it comes up. A pair knows the words that it stands in, or stood. */
#include "text/bpe_merges.h"

#include "base/alloc.h"

#include <string.h>

static const uint32_t NONE = UINT32_MAX;
static const uint64_t NO_PAIR = UINT64_MAX;

enum {
    PROGRESS_EVERY = 256 /* merges */
};

/* A word as symbols: [begin, begin + length) of all symbols. */
typedef struct spelling {
    size_t begin;
    uint32_t length;
    int64_t count;
} spelling;

typedef struct pair_slot {
    uint64_t pair; /* left id, right id; NO_PAIR: empty */
    int64_t count;
    uint32_t first_place; /* into places */
    bool is_touched;      /* it is in `touched` */
} pair_slot;

/* One word that a pair stands in, or stood: a link of a list. */
typedef struct place {
    uint32_t word, next;
} place;

typedef struct candidate {
    int64_t count;
    uint64_t pair;
} candidate;

typedef struct learning {
    fal_bpe_merges *merges;
    size_t n_controls;

    spelling *spellings; /* [n_spellings] */
    size_t n_spellings;
    int32_t *symbols;

    pair_slot *slots;
    size_t n_slots, n_pairs; /* n_slots is a power of two */
    place *places;
    size_t n_places, place_capacity;
    uint32_t free_place;

    uint64_t *touched; /* pairs that gained occurrences since the last merge */
    size_t n_touched, touched_capacity;
    candidate *heap;
    size_t n_candidates, candidate_capacity;
} learning;

static uint64_t pair_of(int32_t left, int32_t right) {
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

/* ---- tokens ---- */

fal_status fal_bpe_merges_add_token(fal_bpe_merges *m, fal_slice text, fal_error *err) {
    if (!fal_grow((void **)&m->tokens, &m->token_capacity, m->n_tokens + 1, sizeof *m->tokens))
        return fal_fail_memory(err, 0);
    char *copy = fal_copy_string(text.data, text.length);
    if (!copy) return fal_fail_memory(err, text.length);
    m->tokens[m->n_tokens++] = (fal_bpe_token){copy, text.length};
    return FAL_OK;
}

void fal_bpe_merges_release(fal_bpe_merges *m) {
    for (size_t i = 0; i < m->n_tokens; i++)
        fal_free(m->tokens[i].text);
    fal_free(m->tokens);
    fal_free(m->merges);
    *m = (fal_bpe_merges){0};
}

/* True if a control token has the text that two tokens make together. */
static bool makes_control(const learning *l, fal_bpe_token left, fal_bpe_token right) {
    for (size_t i = 0; i < l->n_controls; i++) {
        fal_bpe_token control = l->merges->tokens[i];
        if (control.length == left.length + right.length
            && memcmp(control.text, left.text, left.length) == 0
            && memcmp(control.text + left.length, right.text, right.length) == 0)
            return true;
    }
    return false;
}

/* Lists a merge and adds its product. */
static fal_status add_merge(learning *l, int32_t left, int32_t right, fal_error *err) {
    fal_bpe_merges *m = l->merges;
    if (!fal_grow((void **)&m->merges, &m->merge_capacity, m->n_merges + 1, sizeof *m->merges)
        || !fal_grow((void **)&m->tokens, &m->token_capacity, m->n_tokens + 1, sizeof *m->tokens))
        return fal_fail_memory(err, 0);
    fal_bpe_token a = m->tokens[left], b = m->tokens[right];
    char *text = fal_alloc(a.length + b.length, 1);
    if (!text) return fal_fail_memory(err, a.length + b.length);
    memcpy(text, a.text, a.length);
    memcpy(text + a.length, b.text, b.length);
    m->tokens[m->n_tokens++] = (fal_bpe_token){text, a.length + b.length};
    m->merges[m->n_merges++] = (fal_bpe_merge){left, right};
    return FAL_OK;
}

/* ---- pairs ---- */

/* The slot of a pair, or the empty one where it belongs. The table is never more than half full. */
static pair_slot *probe(const learning *l, uint64_t pair) {
    uint64_t hash = pair * 0x9e3779b97f4a7c15u;
    size_t mask = l->n_slots - 1;
    for (size_t i = (size_t)(hash ^ hash >> 29) & mask;; i = (i + 1) & mask) {
        pair_slot *slot = &l->slots[i];
        if (slot->pair == NO_PAIR || slot->pair == pair) return slot;
    }
}

static fal_status grow_slots(learning *l, fal_error *err) {
    size_t n_before = l->n_slots;
    pair_slot *before = l->slots;
    size_t n_slots = n_before ? 2 * n_before : 4096;
    pair_slot *slots = fal_alloc(n_slots, sizeof *slots);
    if (!slots) return fal_fail_memory(err, n_slots * sizeof *slots);
    for (size_t i = 0; i < n_slots; i++)
        slots[i].pair = NO_PAIR;
    l->slots = slots;
    l->n_slots = n_slots;
    for (size_t i = 0; i < n_before; i++) {
        if (before[i].pair != NO_PAIR) *probe(l, before[i].pair) = before[i];
    }
    fal_free(before);
    return FAL_OK;
}

static fal_status find_pair(learning *l, uint64_t pair, pair_slot **out, fal_error *err) {
    if (2 * (l->n_pairs + 1) > l->n_slots) FAL_TRY(grow_slots(l, err));
    *out = probe(l, pair);
    if ((*out)->pair == pair) return FAL_OK;
    **out = (pair_slot){.pair = pair, .first_place = NONE};
    l->n_pairs++;
    return FAL_OK;
}

/* Notes that a pair stands in a word. */
static fal_status add_place(learning *l, pair_slot *slot, uint32_t word, fal_error *err) {
    if (slot->first_place != NONE && l->places[slot->first_place].word == word) return FAL_OK;
    uint32_t at = l->free_place;
    if (at != NONE) {
        l->free_place = l->places[at].next;
    } else {
        if (l->n_places >= NONE)
            return fal_fail(err, FAL_E_LIMIT, "pairs stand in %zu places, at most %u", l->n_places,
                            NONE - 1);
        if (!fal_grow((void **)&l->places, &l->place_capacity, l->n_places + 1, sizeof *l->places))
            return fal_fail_memory(err, 0);
        at = (uint32_t)l->n_places++;
    }
    l->places[at] = (place){word, slot->first_place};
    slot->first_place = at;
    return FAL_OK;
}

static fal_status remove_pair(learning *l, int32_t left, int32_t right, int64_t count,
                              fal_error *err) {
    pair_slot *slot;
    FAL_TRY(find_pair(l, pair_of(left, right), &slot, err));
    slot->count -= count;
    return FAL_OK;
}

static fal_status insert_pair(learning *l, int32_t left, int32_t right, int64_t count,
                              uint32_t word, fal_error *err) {
    pair_slot *slot;
    FAL_TRY(find_pair(l, pair_of(left, right), &slot, err));
    slot->count += count;
    FAL_TRY(add_place(l, slot, word, err));
    if (slot->is_touched) return FAL_OK;
    if (!fal_grow((void **)&l->touched, &l->touched_capacity, l->n_touched + 1, sizeof *l->touched))
        return fal_fail_memory(err, 0);
    l->touched[l->n_touched++] = slot->pair;
    slot->is_touched = true;
    return FAL_OK;
}

/* ---- candidates: a heap with the best on top ---- */

static bool is_better(candidate a, candidate b) {
    return a.count != b.count ? a.count > b.count : a.pair < b.pair;
}

static fal_status push(learning *l, candidate c, fal_error *err) {
    if (!fal_grow((void **)&l->heap, &l->candidate_capacity, l->n_candidates + 1, sizeof *l->heap))
        return fal_fail_memory(err, 0);
    size_t at = l->n_candidates++;
    while (at > 0 && is_better(c, l->heap[(at - 1) / 2])) {
        l->heap[at] = l->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    l->heap[at] = c;
    return FAL_OK;
}

static candidate pop(learning *l) {
    candidate top = l->heap[0], moving = l->heap[--l->n_candidates];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= l->n_candidates) break;
        if (child + 1 < l->n_candidates && is_better(l->heap[child + 1], l->heap[child])) child++;
        if (!is_better(l->heap[child], moving)) break;
        l->heap[at] = l->heap[child];
        at = child;
    }
    l->heap[at] = moving;
    return top;
}

/* Makes candidates of the pairs that gained occurrences. */
static fal_status push_touched(learning *l, fal_error *err) {
    for (size_t i = 0; i < l->n_touched; i++) {
        pair_slot *slot = probe(l, l->touched[i]);
        slot->is_touched = false;
        if (slot->count > 0) FAL_TRY(push(l, (candidate){slot->count, slot->pair}, err));
    }
    l->n_touched = 0;
    return FAL_OK;
}

/* The pair that stands most often side by side; NO_PAIR: none does min_count times. */
static fal_status take_best(learning *l, int64_t min_count, uint64_t *out, fal_error *err) {
    *out = NO_PAIR;
    while (l->n_candidates > 0) {
        candidate best = pop(l);
        int64_t count = probe(l, best.pair)->count;
        if (best.count < min_count) return FAL_OK;
        if (count == best.count) {
            *out = best.pair;
            return FAL_OK;
        }
        /* One that has more by now is in the heap a second time. */
        if (count > 0 && count < best.count) FAL_TRY(push(l, (candidate){count, best.pair}, err));
    }
    return FAL_OK;
}

/* ---- words ---- */

static fal_status spell(learning *l, const fal_word_counts *words, const int32_t byte_ids[256],
                        fal_error *err) {
    l->spellings = fal_alloc(words->n_words, sizeof *l->spellings);
    l->symbols = fal_alloc(words->text_length, sizeof *l->symbols);
    if (!l->spellings || !l->symbols)
        return fal_fail_memory(err, words->text_length * sizeof *l->symbols);
    l->n_spellings = words->n_words;
    for (size_t i = 0; i < words->text_length; i++)
        l->symbols[i] = byte_ids[(uint8_t)words->text[i]];
    for (size_t w = 0; w < words->n_words; w++) {
        const fal_word *word = &words->words[w];
        l->spellings[w] = (spelling){word->begin, word->length, (int64_t)word->count};
        const int32_t *symbols = l->symbols + word->begin;
        for (uint32_t i = 0; i + 1 < word->length; i++)
            FAL_TRY(
                insert_pair(l, symbols[i], symbols[i + 1], (int64_t)word->count, (uint32_t)w, err));
    }
    return push_touched(l, err);
}

/* Merges left and right wherever they stand side by side in a word, from its beginning to its end. */
static fal_status merge_in_word(learning *l, uint32_t index, int32_t left, int32_t right,
                                int32_t product, fal_error *err) {
    spelling *word = &l->spellings[index];
    int32_t *symbols = l->symbols + word->begin;
    int64_t count = word->count;
    uint32_t n = 0;
    for (uint32_t i = 0; i < word->length; i++) {
        bool meets = i + 1 < word->length && symbols[i] == left && symbols[i + 1] == right;
        if (!meets) {
            symbols[n++] = symbols[i];
            continue;
        }
        FAL_TRY(remove_pair(l, left, right, count, err));
        if (n > 0) {
            FAL_TRY(remove_pair(l, symbols[n - 1], left, count, err));
            FAL_TRY(insert_pair(l, symbols[n - 1], product, count, index, err));
        }
        if (i + 2 < word->length) {
            FAL_TRY(remove_pair(l, right, symbols[i + 2], count, err));
            FAL_TRY(insert_pair(l, product, symbols[i + 2], count, index, err));
        }
        symbols[n++] = product;
        i++;
    }
    word->length = n;
    return FAL_OK;
}

static fal_status merge(learning *l, uint64_t pair, fal_error *err) {
    int32_t left = (int32_t)(pair >> 32), right = (int32_t)(uint32_t)pair;
    const fal_bpe_merges *m = l->merges;
    pair_slot *slot = probe(l, pair);
    if (makes_control(l, m->tokens[left], m->tokens[right])) {
        slot->count = 0;
        return FAL_OK;
    }
    int32_t product = (int32_t)m->n_tokens;
    FAL_TRY(add_merge(l, left, right, err));
    uint32_t at = slot->first_place;
    slot->first_place = NONE;
    while (at != NONE) {
        place here = l->places[at];
        l->places[at].next = l->free_place;
        l->free_place = at;
        at = here.next;
        FAL_TRY(merge_in_word(l, here.word, left, right, product, err));
    }
    return push_touched(l, err);
}

static fal_status learn(learning *l, size_t n_wanted, uint64_t min_count, fal_on_merge *on_merge,
                        void *user, fal_error *err) {
    for (size_t step = 0; l->merges->n_tokens < n_wanted; step++) {
        if (on_merge && step % PROGRESS_EVERY == 0
            && !on_merge(user, l->merges->n_tokens, n_wanted))
            return fal_fail(err, FAL_E_CANCELLED, "cancelled after %zu merges", step);
        uint64_t pair;
        FAL_TRY(take_best(l, (int64_t)min_count, &pair, err));
        if (pair == NO_PAIR) break;
        FAL_TRY(merge(l, pair, err));
    }
    return FAL_OK;
}

fal_status fal_bpe_merges_find(fal_bpe_merges *m, const fal_word_counts *words,
                               const int32_t byte_ids[256], size_t n_controls, size_t n_wanted,
                               uint64_t min_count, fal_on_merge *on_merge, void *user,
                               uint64_t *n_left, fal_error *err) {
    learning l = {.merges = m, .n_controls = n_controls, .free_place = NONE};
    fal_status status = spell(&l, words, byte_ids, err);
    if (status == FAL_OK) status = learn(&l, n_wanted, min_count, on_merge, user, err);
    *n_left = 0;
    for (size_t i = 0; status == FAL_OK && i < l.n_spellings; i++)
        *n_left += (uint64_t)l.spellings[i].count * l.spellings[i].length;
    fal_free(l.spellings);
    fal_free(l.symbols);
    fal_free(l.slots);
    fal_free(l.places);
    fal_free(l.touched);
    fal_free(l.heap);
    return status;
}
