/* Body of word_counts.h: a table of places with linear probing, at most half full. */
#include "text/word_counts.h"

#include "base/alloc.h"

#include <stdbool.h>
#include <string.h>

/* Words come in by the million from text of any origin; a chain of collisions would cost time and nothing else. */
static uint32_t hash_of(const char *bytes, uint32_t length) {
    uint64_t hash = 0x9e3779b97f4a7c15u ^ length;
    uint32_t i = 0;
    for (; i + 8 <= length; i += 8) {
        uint64_t word;
        memcpy(&word, bytes + i, sizeof word);
        hash = (hash ^ word) * 0xff51afd7ed558ccdu;
        hash ^= hash >> 32;
    }
    for (; i < length; i++)
        hash = (hash ^ (uint8_t)bytes[i]) * 0x100000001b3u;
    hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53u;
    return (uint32_t)(hash >> 32);
}

/* The slot that holds the word, or the empty one where it belongs. */
static uint32_t *probe(const fal_word_counts *c, const char *bytes, uint32_t length,
                       uint32_t hash) {
    size_t mask = c->n_slots - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        uint32_t place = c->slots[i];
        if (place == 0) return &c->slots[i];
        const fal_word *word = &c->words[place - 1];
        if (word->hash == hash && word->length == length
            && memcmp(c->text + word->begin, bytes, length) == 0)
            return &c->slots[i];
    }
}

/* Puts every word into the slots, which are empty. The words differ, so none is compared. */
static void fill_slots(fal_word_counts *c) {
    size_t mask = c->n_slots - 1;
    for (size_t i = 0; i < c->n_words; i++) {
        size_t at = c->words[i].hash & mask;
        while (c->slots[at] != 0)
            at = (at + 1) & mask;
        c->slots[at] = (uint32_t)i + 1;
    }
}

static fal_status reserve(fal_word_counts *c, uint32_t length, fal_error *err) {
    if (c->n_words >= UINT32_MAX)
        return fal_fail(err, FAL_E_LIMIT, "%zu different words, at most %u", c->n_words,
                        UINT32_MAX - 1);
    if (!fal_grow((void **)&c->words, &c->word_capacity, c->n_words + 1, sizeof *c->words)
        || !fal_grow((void **)&c->text, &c->text_capacity, c->text_length + length, 1))
        return fal_fail_memory(err, 0);
    if (2 * (c->n_words + 1) <= c->n_slots) return FAL_OK;
    size_t n_slots = c->n_slots ? 2 * c->n_slots : 1024;
    uint32_t *slots = fal_alloc(n_slots, sizeof *slots);
    if (!slots) return fal_fail_memory(err, n_slots * sizeof *slots);
    fal_free(c->slots);
    c->slots = slots;
    c->n_slots = n_slots;
    fill_slots(c);
    return FAL_OK;
}

static fal_status add_hashed(fal_word_counts *c, const char *bytes, uint32_t length, uint32_t hash,
                             uint64_t count, fal_error *err) {
    if (c->n_slots) {
        uint32_t place = *probe(c, bytes, length, hash);
        if (place != 0) {
            c->words[place - 1].count += count;
            return FAL_OK;
        }
    }
    FAL_TRY(reserve(c, length, err));
    memcpy(c->text + c->text_length, bytes, length);
    c->words[c->n_words] = (fal_word){c->text_length, count, length, hash};
    c->text_length += length;
    *probe(c, bytes, length, hash) = (uint32_t)++c->n_words;
    return FAL_OK;
}

fal_status fal_word_counts_add(fal_word_counts *c, const char *bytes, uint32_t length,
                               uint64_t count, fal_error *err) {
    return add_hashed(c, bytes, length, hash_of(bytes, length), count, err);
}

fal_status fal_word_counts_add_all(fal_word_counts *c, const fal_word_counts *from,
                                   fal_error *err) {
    for (size_t i = 0; i < from->n_words; i++) {
        const fal_word *word = &from->words[i];
        FAL_TRY(
            add_hashed(c, from->text + word->begin, word->length, word->hash, word->count, err));
    }
    return FAL_OK;
}

/* The smallest count that at most n_words words reach. */
static uint64_t bound_that_leaves(const fal_word_counts *c, size_t n_words) {
    uint64_t bound = 1;
    for (;;) {
        size_t n_left = 0;
        uint64_t next = UINT64_MAX; /* the smallest count that stays */
        for (size_t i = 0; i < c->n_words; i++) {
            if (c->words[i].count < bound) continue;
            n_left++;
            if (c->words[i].count < next) next = c->words[i].count;
        }
        if (n_left <= n_words) return bound;
        bound = next + 1;
    }
}

size_t fal_word_counts_forget_rare(fal_word_counts *c, size_t n_words) {
    uint64_t bound = bound_that_leaves(c, n_words);
    size_t n_before = c->n_words;
    c->n_words = c->text_length = 0;
    for (size_t i = 0; i < n_before; i++) {
        fal_word word = c->words[i];
        if (word.count < bound) continue;
        memmove(c->text + c->text_length, c->text + word.begin, word.length);
        word.begin = c->text_length;
        c->text_length += word.length;
        c->words[c->n_words++] = word;
    }
    if (c->n_slots) memset(c->slots, 0, c->n_slots * sizeof *c->slots);
    fill_slots(c);
    return n_before - c->n_words;
}

void fal_word_counts_clear(fal_word_counts *c) {
    c->n_words = c->text_length = 0;
    if (c->n_slots) memset(c->slots, 0, c->n_slots * sizeof *c->slots);
}

void fal_word_counts_release(fal_word_counts *c) {
    fal_free(c->words);
    fal_free(c->text);
    fal_free(c->slots);
    *c = (fal_word_counts){0};
}
