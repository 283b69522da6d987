/* Body of grammar_mask.h. */
#include "text/grammar_mask.h"

#include "base/alloc.h"

#include <string.h>

enum {
    MAX_KEPT_BYTES = 16 << 20,
    WORTH_A_LOOK =
        8 /* nodes below one, from which on it is asked whether all of them are allowed */
};

fal_status fal_grammar_masks_open(fal_grammar_masks *m, fal_follower *f, const fal_token_trie *trie,
                                  fal_error *err) {
    *m = (fal_grammar_masks){
        .follower = f, .trie = trie, .n_words = ((size_t)trie->n_vocab + 31) / 32};
    m->places = fal_alloc(f->automaton->n_places, sizeof *m->places);
    m->bits = fal_alloc(m->n_words, sizeof *m->bits);
    return m->places && m->bits ? FAL_OK : fal_fail_memory(err, 0);
}

static void place_mask_close(fal_place_mask *p) {
    if (!p) return;
    fal_free(p->tokens);
    fal_free(p->bits);
    fal_free(p->open);
    fal_free(p);
}

static void forget_places(fal_grammar_masks *m) {
    for (size_t i = 0; m->places && i < m->follower->automaton->n_places; i++) {
        place_mask_close(m->places[i]);
        m->places[i] = NULL;
    }
    m->kept_bytes = 0;
}

void fal_grammar_masks_release(fal_grammar_masks *m) {
    forget_places(m);
    fal_free(m->places);
    fal_free(m->open);
    fal_free(m->bits);
    for (int i = 0; i < FAL_KEPT_MASKS; i++)
        fal_free(m->kept[i]);
    *m = (fal_grammar_masks){0};
}

/* ---- the walk ---- */

static void set_tokens(fal_grammar_masks *m, int32_t begin, int32_t end) {
    for (int32_t i = begin; i < end; i++) {
        int32_t id = m->trie->tokens[i];
        m->bits[id / 32] |= 1u << id % 32;
    }
}

/* The bytes that lead to where `byte` leads from the set; those over 127 are left out. */
static fal_status find_run(fal_grammar_masks *m, int32_t set, int byte, const fal_byte_run **out,
                           fal_error *err) {
    fal_byte_run *run = &m->runs[set % FAL_KEPT_RUNS];
    *out = run;
    if (run->set == set && run->bytes[byte / 64] >> byte % 64 & 1) return FAL_OK;
    const uint8_t *class_of = m->follower->automaton->class_of;
    *run = (fal_byte_run){.set = FAL_NOWHERE};
    FAL_TRY(fal_follower_step(m->follower, set, class_of[byte], &run->next, err));
    for (int other = 1; other < 128; other++) {
        int32_t next = fal_follower_known_step(m->follower, set, class_of[other]);
        if (next < 0) FAL_TRY(fal_follower_step(m->follower, set, class_of[other], &next, err));
        if (next == run->next) run->bytes[other / 64] |= (uint64_t)1 << other % 64;
    }
    run->set = set;
    return FAL_OK;
}

static int lowest_byte(const uint64_t bytes[2]) {
    int byte = 1;
    while (!(bytes[byte / 64] >> byte % 64 & 1))
        byte++;
    return byte;
}

/* Whether everything below the node is allowed because all its bytes lead to one set, from there to one, and so on: letters
 * within a string do, counted or not. */
static fal_status allows_all_below(fal_grammar_masks *m, int32_t set, int32_t node, bool *out,
                                   fal_error *err) {
    const uint64_t *below = m->trie->below[node];
    *out = false;
    if (below[0] & 1) return FAL_OK;
    int byte = lowest_byte(below);
    for (int left = m->trie->height[node]; left > 0; left--) {
        const fal_byte_run *run;
        if (m->follower->sets[set].below_may_end) return FAL_OK;
        FAL_TRY(find_run(m, set, byte, &run, err));
        if ((below[0] & ~run->bytes[0]) || (below[1] & ~run->bytes[1])) return FAL_OK;
        if (run->next == FAL_NOWHERE) return FAL_OK;
        if (run->next == set) break;
        set = run->next;
    }
    *out = true;
    return FAL_OK;
}

static fal_status note_open(fal_grammar_masks *m, int32_t node, fal_error *err) {
    if (!fal_grow((void **)&m->open, &m->open_capacity, m->n_open + 1, sizeof *m->open))
        return fal_fail_memory(err, 0);
    m->open[m->n_open++] = node;
    return FAL_OK;
}

/* Sets the bits of the tokens below root that the set allows after root's bytes, and notes the nodes that stay open. */
static fal_status walk(fal_grammar_masks *m, int32_t root, int32_t set, fal_error *err) {
    const fal_token_trie *t = m->trie;
    fal_follower *f = m->follower;
    int32_t sets[256]; /* by depth */
    sets[t->depth[root]] = set;
    for (int32_t node = root + 1; node < t->skip[root];) {
        int32_t before = sets[t->depth[node] - 1], here;
        f->work++;
        int byte_class = f->automaton->class_of[t->byte[node]];
        here = fal_follower_known_step(f, before, byte_class);
        if (here < 0) FAL_TRY(fal_follower_step(f, before, byte_class, &here, err));
        if (here == FAL_NOWHERE) {
            node = t->skip[node];
            continue;
        }
        bool is_leaf = t->skip[node] == node + 1, has_bytes = f->sets[here].has_bytes;
        if (f->sets[here].below_may_end && !is_leaf) FAL_TRY(note_open(m, node, err));
        bool all_below = false;
        if (has_bytes && t->skip[node] - node > WORTH_A_LOOK)
            FAL_TRY(allows_all_below(m, here, node, &all_below, err));
        set_tokens(m, t->first_token[node], t->first_token[all_below ? t->skip[node] : node + 1]);
        sets[t->depth[node]] = here;
        node = all_below || !has_bytes ? t->skip[node] : node + 1;
    }
    return FAL_OK;
}

/* ---- places ---- */

static size_t count_bits(const uint32_t *bits, size_t n_words) {
    size_t n = 0;
    for (size_t i = 0; i < n_words; i++) {
        for (uint32_t word = bits[i]; word; word &= word - 1)
            n++;
    }
    return n;
}

/* Keeps what is under way for the place: as tokens where these are few. */
static fal_status keep_place(fal_grammar_masks *m, int32_t place, fal_error *err) {
    size_t n_tokens = count_bits(m->bits, m->n_words);
    bool as_tokens = n_tokens < m->n_words;
    size_t bytes = sizeof(fal_place_mask) + m->n_open * sizeof *m->open
                   + (as_tokens ? n_tokens : m->n_words) * sizeof(uint32_t);
    if (m->kept_bytes + bytes > MAX_KEPT_BYTES) forget_places(m);
    fal_place_mask *p = m->places[place] = fal_alloc(1, sizeof *p);
    if (!p) return fal_fail_memory(err, sizeof *p);
    m->kept_bytes += bytes;
    p->open = fal_alloc(m->n_open + 1, sizeof *p->open);
    if (as_tokens)
        p->tokens = fal_alloc(n_tokens + 1, sizeof *p->tokens);
    else
        p->bits = fal_alloc(m->n_words, sizeof *p->bits);
    if (!p->open || !(p->tokens || p->bits)) {
        place_mask_close(p);
        m->places[place] = NULL;
        return fal_fail_memory(err, bytes);
    }
    p->n_open = m->n_open;
    if (m->n_open) memcpy(p->open, m->open, m->n_open * sizeof *p->open);
    if (p->bits) memcpy(p->bits, m->bits, m->n_words * sizeof *p->bits);
    for (size_t i = 0; as_tokens && i < m->n_words; i++) {
        for (int bit = 0; m->bits[i] >> bit; bit++) {
            if (m->bits[i] >> bit & 1) p->tokens[p->n_tokens++] = (int32_t)(i * 32) + bit;
            if (bit == 31) break;
        }
    }
    return FAL_OK;
}

static fal_status place_mask(fal_grammar_masks *m, int32_t place, const fal_place_mask **out,
                             fal_error *err) {
    if (!m->places[place]) {
        int32_t set;
        memset(m->bits, 0, m->n_words * sizeof *m->bits);
        m->n_open = 0;
        FAL_TRY(fal_follower_alone(m->follower, place, &set, err));
        FAL_TRY(walk(m, 0, set, err));
        FAL_TRY(keep_place(m, place, err));
    }
    *out = m->places[place];
    return FAL_OK;
}

/* ---- sets ---- */

/* Adds what one pair of the set allows to the bits. */
static fal_status add_pair(fal_grammar_masks *m, const fal_place_mask *p, int32_t below,
                           fal_error *err) {
    for (size_t i = 0; p->bits && i < m->n_words; i++)
        m->bits[i] |= p->bits[i];
    for (size_t i = 0; i < p->n_tokens; i++)
        m->bits[p->tokens[i] / 32] |= 1u << p->tokens[i] % 32;
    if (p->n_open == 0) return FAL_OK;
    int32_t popped;
    FAL_TRY(fal_follower_pop(m->follower, below, &popped, err));
    for (size_t i = 0; m->follower->sets[popped].has_bytes && i < p->n_open; i++)
        FAL_TRY(walk(m, p->open[i], popped, err));
    return FAL_OK;
}

/* Masks of all places first: making one uses the bits. */
static fal_status make_mask(fal_grammar_masks *m, int32_t set, fal_error *err) {
    fal_follower *f = m->follower;
    size_t begin = f->sets[set].begin, end = begin + (size_t)f->sets[set].count;
    const fal_place_mask *p;
    for (int round = 0; round < 2; round++) {
        for (size_t i = begin; i < end; i++) {
            fal_follower_pair pair = f->pairs.items[i];
            if (pair.place < 0) continue;
            FAL_TRY(place_mask(m, pair.place, &p, err));
            if (round == 1) FAL_TRY(add_pair(m, p, pair.below, err));
        }
        if (round == 0) memset(m->bits, 0, m->n_words * sizeof *m->bits);
    }
    return FAL_OK;
}

fal_status fal_grammar_mask(fal_grammar_masks *m, int32_t set, const uint32_t **out,
                            fal_error *err) {
    int slot = set % FAL_KEPT_MASKS;
    if (m->generation != m->follower->generation) {
        memset(m->kept_sets, 0, sizeof m->kept_sets);
        memset(m->runs, 0, sizeof m->runs);
    }
    m->generation = m->follower->generation;
    *out = m->kept[slot];
    if (set != FAL_NOWHERE && m->kept_sets[slot] == set) return FAL_OK;
    if (!m->kept[slot]) m->kept[slot] = fal_alloc(m->n_words, sizeof *m->bits);
    if (!m->kept[slot]) return fal_fail_memory(err, m->n_words * sizeof *m->bits);
    FAL_TRY(make_mask(m, set, err));
    memcpy(m->kept[slot], m->bits, m->n_words * sizeof *m->bits);
    m->kept_sets[slot] = set;
    *out = m->kept[slot];
    return FAL_OK;
}
