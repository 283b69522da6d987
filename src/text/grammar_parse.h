/* What the two files that read GBNF share: where they are, and how what was read is kept. */
#ifndef FAL_TEXT_GRAMMAR_PARSE_H
#define FAL_TEXT_GRAMMAR_PARSE_H

#include "base/string_map.h"
#include "text/grammar_rules.h"

typedef struct fal_grammar_parser {
    fal_grammar_rules *rules; /* also holds the text */
    uint32_t position;
    fal_string_map *names; /* of rules */
    int32_t *stack;        /* expressions that belong to sequences and choices under way */
    size_t n_stack, stack_capacity;
} fal_grammar_parser;

/* Keeps an expression. Fails: MEMORY. */
fal_status fal_parse_expression(fal_grammar_parser *p, fal_expression expression, int32_t *out,
                                fal_error *err);

/* "literal", [class], and the full stop for any character; the parser stands at the first of its characters, and is left
 * behind the last. Fail: FORMAT (with line and column), MEMORY. */
fal_status fal_parse_literal(fal_grammar_parser *p, int32_t *out, fal_error *err);
fal_status fal_parse_class(fal_grammar_parser *p, int32_t *out, fal_error *err);
fal_status fal_parse_any(fal_grammar_parser *p, int32_t *out, fal_error *err);

#endif
