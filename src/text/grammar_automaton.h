/* A grammar ready to be followed: the places of all rules, and how bytes and calls lead from one to another.
 * Within a rule steps are unambiguous where that does not make it much larger; calls may always be taken beside bytes. */
#ifndef FAL_TEXT_GRAMMAR_AUTOMATON_H
#define FAL_TEXT_GRAMMAR_AUTOMATON_H

#include "text/grammar_rules.h"

typedef struct fal_grammar_edge {
    int32_t target;
    uint8_t low, high; /* bytes, both ends included */
} fal_grammar_edge;

/* What rule describes, at least one byte, leads to target. */
typedef struct fal_grammar_call {
    int32_t rule, target;
} fal_grammar_call;

typedef struct fal_grammar_place {
    int32_t first_edge, n_edges, first_call, n_calls;
    bool may_end; /* the rule may end here */
} fal_grammar_place;

/* Rules are numbered so that one which begins with another has the lower number. Zero-initialise; release when done. */
typedef struct fal_automaton {
    fal_grammar_place *places;
    fal_grammar_edge *edges;
    fal_grammar_call *calls;
    size_t n_places, n_edges, n_calls;
    size_t places_capacity, edges_capacity, calls_capacity;
    int32_t *starts; /* [n_rules] places */
    size_t n_rules, starts_capacity;
    int32_t root;          /* rule */
    uint8_t class_of[256]; /* bytes of one class lead everywhere to the same */
    uint8_t byte_of[256];  /* one byte of each class */
    int n_classes;
} fal_automaton;

/* Fails: FORMAT (left recursion, by name), LIMIT (too large), MEMORY. */
fal_status fal_automaton_make(fal_automaton *out, const fal_grammar_rules *rules, fal_error *err);
void fal_automaton_release(fal_automaton *a);

/* The end of a rule, and nothing else. */
static inline bool fal_place_is_bare_end(const fal_grammar_place *p) {
    return p->may_end && p->n_edges == 0 && p->n_calls == 0;
}

#endif
