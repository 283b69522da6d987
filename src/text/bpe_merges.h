/* Which pairs of symbols to merge, in which order: the learning part of byte-pair encoding. */
#ifndef FAL_TEXT_BPE_MERGES_H
#define FAL_TEXT_BPE_MERGES_H

#include "base/bytes.h"
#include "text/word_counts.h"

typedef struct fal_bpe_merge {
    int32_t left, right;
} fal_bpe_merge;

/* The text of a token as files hold it: in the byte-to-character mapping. Owned by its list. */
typedef struct fal_bpe_token {
    char *text;
    size_t length;
} fal_bpe_token;

/* Tokens and merges so far. Zero-initialise, release when done. */
typedef struct fal_bpe_merges {
    fal_bpe_token *tokens; /* [n_tokens] */
    size_t n_tokens, token_capacity;
    fal_bpe_merge *merges; /* [n_merges] best first */
    size_t n_merges, merge_capacity;
} fal_bpe_merges;

/* How far it is; returning false cancels. */
typedef bool fal_on_merge(void *user, size_t n_tokens, size_t n_wanted);

/* Copies a token in behind the others. Fails: MEMORY. */
fal_status fal_bpe_merges_add_token(fal_bpe_merges *m, fal_slice text, fal_error *err);

/* Adds merges, and the tokens that they make, until there are n_wanted tokens or no pair is left that occurs min_count
 * times. Each merge takes the pair that stands most often side by side in the words at that time, of equal ones the one
 * with the smallest ids, left before right. Each makes a token of its own: a text within a word is always built up the same
 * way, whatever stands around it, so no two merges make the same. None makes the text of the first n_controls tokens.
 *
 *   m        holds the control tokens, and one token for each byte
 *   byte_ids [256] the token of each byte
 *   n_left   tokens that all words together are written in afterwards
 *   Source:  Sennrich, Haddow and Birch, Neural Machine Translation of Rare Words with Subword Units, 2016; the order of
 *            equal pairs is that of Hugging Face's tokenizers.
 *   Fails:   LIMIT (4 Gi places where pairs stand), CANCELLED, MEMORY. */
fal_status fal_bpe_merges_find(fal_bpe_merges *m, const fal_word_counts *words,
                               const int32_t byte_ids[256], size_t n_controls, size_t n_wanted,
                               uint64_t min_count, fal_on_merge *on_merge, void *user,
                               uint64_t *n_left, fal_error *err);

void fal_bpe_merges_release(fal_bpe_merges *m);

#endif
