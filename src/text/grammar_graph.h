/* One rule as a graph: steps by nothing, by a byte, by a whole other rule. From the rule's first place to its last. */
#ifndef FAL_TEXT_GRAMMAR_GRAPH_H
#define FAL_TEXT_GRAMMAR_GRAPH_H

#include "text/grammar_rules.h"

enum {
    FAL_STEP_NOTHING = -1, /* rule of a step that takes nothing */
    FAL_STEP_BYTE = -2     /* rule of a step by a byte */
};

typedef struct fal_graph_step {
    int32_t rule; /* by which it goes; or one of the above */
    uint8_t low, high;
    int32_t target;
    int32_t next; /* another step from the same place; -1: none */
} fal_graph_step;

/* A rule that the graph knows: one of the text, or what a long repetition repeats. */
typedef struct fal_graph_rule {
    int32_t body;         /* expression */
    int32_t origin;       /* rule of the text that it belongs to */
    int32_t inlined_size; /* places it would take where it is called; 0: it is not copied there */
} fal_graph_rule;

/* Zero-initialise; release when done. rules may grow while graphs are built. */
typedef struct fal_graph {
    const fal_grammar_rules *text;
    fal_graph_rule *rules;
    size_t n_rules, rules_capacity;
    bool *is_nullable; /* [n_expressions] may be empty */
    bool *is_flat;     /* [n_expressions] no loop, no call of what is not flat */
    int32_t *sizes;    /* [n_expressions] about how many places it takes */
    int32_t *
        repeated_rules; /* [n_expressions] the rule that stands for a repeated expression; -1: none */
    int32_t *heads;     /* [n_places] first step from there; -1: none */
    fal_graph_step *steps;
    size_t n_places, places_capacity, n_steps, steps_capacity;
} fal_graph;

/* Prepares the graphs of a grammar's rules: which may be empty, which are copied where they are called. Fails: MEMORY. */
fal_status fal_graph_open(fal_graph *g, const fal_grammar_rules *text, fal_error *err);
void fal_graph_release(fal_graph *g);

/* Puts in place of the graph that of another rule, from place 0 to place 1.
 * Fails: LIMIT (over max_places), MEMORY. */
fal_status fal_graph_build(fal_graph *g, int32_t rule, size_t max_places, fal_error *err);

#endif
