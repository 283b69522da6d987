/* The rules of a grammar as they were written: expressions, without any automaton yet. */
#ifndef FAL_TEXT_GRAMMAR_RULES_H
#define FAL_TEXT_GRAMMAR_RULES_H

#include "base/bytes.h"

typedef enum fal_expression_kind {
    FAL_EXPRESSION_BYTES,    /* these bytes */
    FAL_EXPRESSION_CLASS,    /* one character of these ranges */
    FAL_EXPRESSION_CALL,     /* what a rule describes */
    FAL_EXPRESSION_SEQUENCE, /* one behind the other; of none: the empty text */
    FAL_EXPRESSION_CHOICE,   /* one of them */
    FAL_EXPRESSION_REPEAT,   /* the same, again and again */
    FAL_EXPRESSION_KINDS
} fal_expression_kind;

typedef struct fal_expression {
    fal_expression_kind kind;
    uint32_t position; /* in the text, for messages */
    int32_t first;     /* into bytes, ranges or children; CALL: a rule; REPEAT: an expression */
    int32_t count;
    int32_t least, most; /* REPEAT; most is -1 without a bound */
} fal_expression;

/* Code points, both ends included; never surrogates. */
typedef struct fal_character_range {
    uint32_t low, high;
} fal_character_range;

typedef struct fal_grammar_rule {
    fal_slice name;    /* borrowed from the text */
    int32_t body;      /* an expression; -1 while it is mentioned only */
    uint32_t position; /* where it is defined or first mentioned */
} fal_grammar_rule;

/* Zero-initialise; release when done. The text must outlive it. */
typedef struct fal_grammar_rules {
    fal_slice text;
    fal_grammar_rule *rules; /* the rule root is rules[root] */
    fal_expression *expressions;
    int32_t *children;
    char *bytes;
    fal_character_range *ranges;
    size_t n_rules, n_expressions, n_children, n_bytes, n_ranges;
    size_t rules_capacity, expressions_capacity, children_capacity, bytes_capacity, ranges_capacity;
    int32_t root;
} fal_grammar_rules;

/* Fails: FORMAT with line and column (what is malformed; a rule that is undefined or defined twice, by name; no root),
 * LIMIT (over 4 MiB of text, or nested too deeply), MEMORY. */
fal_status fal_grammar_parse(fal_grammar_rules *out, const char *text, size_t length,
                             fal_error *err);
void fal_grammar_rules_release(fal_grammar_rules *r);

/* status and a message that begins with line and column of position. */
__attribute__((format(printf, 5, 6))) fal_status fal_grammar_fail(const fal_grammar_rules *r,
                                                                  uint32_t position, fal_error *err,
                                                                  fal_status status,
                                                                  const char *format, ...);

#endif
