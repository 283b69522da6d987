/* Where a text can be in its grammar. All places at once are one set of pairs: a place within a rule, and the set of pairs
 * that go on when that rule ends. Sets are kept once and numbered, so that equal situations have equal numbers, and what
 * was found out about one is not found out again. A set's parts have lower numbers than it. */
#ifndef FAL_TEXT_GRAMMAR_FOLLOWER_H
#define FAL_TEXT_GRAMMAR_FOLLOWER_H

#include "text/grammar_automaton.h"

enum {
    FAL_NOWHERE = 0,    /* the empty set: the text is none of the grammar */
    FAL_TEXT_ENDS = -1, /* place of a pair: the text may end */
    FAL_BELOW_ENDS =
        -2 /* place of a pair: what was followed for itself ends, and what is below it would go on */
};

typedef struct fal_follower_pair {
    int32_t place; /* of the automaton, or one of the above */
    int32_t below; /* set */
} fal_follower_pair;

typedef struct fal_follower_set {
    size_t begin; /* into pairs */
    int32_t count;
    int32_t row;    /* of steps; -1: none yet */
    int32_t popped; /* where one is when the rule above ends; -1: not known yet */
    bool text_may_end, below_may_end, has_bytes;
} fal_follower_set;

typedef struct fal_follower_caller {
    fal_follower_pair pair;
    int32_t next;
} fal_follower_caller;

/* A list that grows. */
typedef struct fal_pairs {
    fal_follower_pair *items;
    size_t count, capacity;
} fal_pairs;

/* Zero-initialise; release when done. */
typedef struct fal_follower {
    const fal_automaton *automaton;
    fal_pairs pairs; /* of all sets */
    fal_follower_set *sets;
    size_t n_sets, sets_capacity;
    int32_t *table; /* hash table of sets; -1: free */
    size_t table_size;
    int32_t *steps; /* [n_rows, n_classes] sets; -1: not known yet */
    size_t n_rows, rows_capacity;
    unsigned generation; /* grows when sets get other numbers */
    int64_t work;        /* pairs looked at since the caller set it to 0 */
    /* while a set is made */
    fal_pairs todo, found, one, joined;
    fal_pairs seen; /* hash table */
    uint32_t *seen_stamps, stamp;
    size_t n_seen;
    fal_follower_caller *callers; /* lists by rule: who goes on when it ends */
    size_t n_callers, callers_capacity;
    int32_t *first_callers; /* [n_rules]; -1: none */
    uint64_t *called;       /* [n_rules / 64] rules with callers */
} fal_follower;

/* Fails: MEMORY. */
fal_status fal_follower_open(fal_follower *f, const fal_automaton *a, fal_error *err);
void fal_follower_release(fal_follower *f);

/* Where a text begins. Fails, as all below: LIMIT (too many ways at once), MEMORY. */
fal_status fal_follower_begin(fal_follower *f, int32_t *out, fal_error *err);
/* At one place with nothing known of what is below it. */
fal_status fal_follower_alone(fal_follower *f, int32_t place, int32_t *out, fal_error *err);
/* Where one is when a rule ends that had `below` under it. */
fal_status fal_follower_pop(fal_follower *f, int32_t below, int32_t *out, fal_error *err);
/* Where a byte of a class leads to from a set. */
fal_status fal_follower_step(fal_follower *f, int32_t set, int byte_class, int32_t *out,
                             fal_error *err);

/* The same where it is known already, else -1. */
static inline int32_t fal_follower_known_step(const fal_follower *f, int32_t set, int byte_class) {
    int32_t row = f->sets[set].row;
    if (row < 0) return -1;
    return f->steps[(size_t)row * (size_t)f->automaton->n_classes + (size_t)byte_class];
}

/* Forgets all sets but *set, and what it consists of, if there are many; changes its number. */
fal_status fal_follower_tidy(fal_follower *f, int32_t *set, fal_error *err);

#endif
