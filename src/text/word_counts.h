/* Distinct words with how often each was met. */
#ifndef FAL_TEXT_WORD_COUNTS_H
#define FAL_TEXT_WORD_COUNTS_H

#include "base/fail.h"

#include <stdint.h>

typedef struct fal_word {
    size_t begin; /* into the text of its fal_word_counts */
    uint64_t count;
    uint32_t length, hash;
} fal_word;

/* Zero-initialise; release when done. Order of words is that of their first arrival. */
typedef struct fal_word_counts {
    fal_word *words; /* [n_words] */
    size_t n_words, word_capacity;
    char *text; /* of all words, one behind the other */
    size_t text_length, text_capacity;
    uint32_t *slots; /* [n_slots] place in words, plus 1; 0: empty */
    size_t n_slots;  /* a power of two */
} fal_word_counts;

/* Counts a word [length bytes] `count` more times. Fails: LIMIT (4 Gi words), MEMORY. */
fal_status fal_word_counts_add(fal_word_counts *c, const char *bytes, uint32_t length,
                               uint64_t count, fal_error *err);

/* Adds all counts of `from`. Fails: as fal_word_counts_add. */
fal_status fal_word_counts_add_all(fal_word_counts *c, const fal_word_counts *from, fal_error *err);

/* Forgets all words below the smallest count that leaves at most n_words. Which words stay depends on counts alone.
 * Returns how many were forgotten. */
size_t fal_word_counts_forget_rare(fal_word_counts *c, size_t n_words);

/* Forgets all words and keeps the memory. */
void fal_word_counts_clear(fal_word_counts *c);
void fal_word_counts_release(fal_word_counts *c);

#endif
