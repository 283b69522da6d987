/* Which tokens a situation allows: the token trie walked against the follower. What the places of a rule allow by
 * themselves is kept; only tokens that go on beyond the rule's end are walked again for what is below. */
#ifndef FAL_TEXT_GRAMMAR_MASK_H
#define FAL_TEXT_GRAMMAR_MASK_H

#include "text/grammar_follower.h"
#include "text/token_trie.h"

enum {
    FAL_KEPT_MASKS = 16,
    FAL_KEPT_RUNS = 64
};

/* Bytes that all lead from one set to the same other one: bit i: byte i. */
typedef struct fal_byte_run {
    int32_t set; /* FAL_NOWHERE: none */
    int32_t next;
    uint64_t bytes[2];
} fal_byte_run;

/* What one place allows whatever is below it. */
typedef struct fal_place_mask {
    int32_t *tokens; /* [n_tokens]; NULL where bits are shorter */
    uint32_t *bits;
    size_t n_tokens;
    int32_t *open; /* [n_open] nodes at which the rule may end while tokens go on */
    size_t n_open;
} fal_place_mask;

/* Zero-initialise; release when done. */
typedef struct fal_grammar_masks {
    fal_follower *follower;
    const fal_token_trie *trie;
    size_t n_words;          /* of a mask */
    fal_place_mask **places; /* [n_places] of the automaton; NULL: not known yet */
    size_t kept_bytes;       /* by all of them */
    int32_t *open;           /* under way */
    size_t n_open, open_capacity;
    uint32_t *bits; /* [n_words] under way */
    fal_byte_run runs[FAL_KEPT_RUNS];
    uint32_t *kept[FAL_KEPT_MASKS];
    int32_t kept_sets[FAL_KEPT_MASKS]; /* FAL_NOWHERE: none */
    unsigned generation;               /* of the follower, for kept_sets */
} fal_grammar_masks;

/* Fails: MEMORY. */
fal_status fal_grammar_masks_open(fal_grammar_masks *m, fal_follower *f, const fal_token_trie *trie,
                                  fal_error *err);
void fal_grammar_masks_release(fal_grammar_masks *m);

/* The mask of a set [n_words], borrowed until the next call. End tokens are none of it. Fails: LIMIT, MEMORY. */
fal_status fal_grammar_mask(fal_grammar_masks *m, int32_t set, const uint32_t **out,
                            fal_error *err);

#endif
