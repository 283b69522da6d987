/* Reads GBNF: rules, alternatives, groups, repetitions. Literals and classes are grammar_terminals.c's work.
 * Source of the dialect: the GBNF guide of llama.cpp (grammars/README.md). Wider than it in one thing: a line may begin
 * with the bar of an alternative. */
#include "text/grammar_parse.h"

#include "base/alloc.h"
#include "base/string_map.h"
#include "base/utf8.h"
#include "text/quote.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    MAX_TEXT_BYTES = 4 << 20,
    MAX_NESTING = 200,
    MAX_STACKED_REPEATS = 8, /* as in x?*+ */
    MAX_REPEATS = 1 << 20
};

/* Columns count characters. */
fal_status fal_grammar_fail(const fal_grammar_rules *r, uint32_t position, fal_error *err,
                            fal_status status, const char *format, ...) {
    size_t line = 1, column = 1;
    for (size_t i = 0; i < position && i < r->text.length; i++) {
        unsigned char c = (unsigned char)r->text.data[i];
        if (c == '\n') {
            line++;
            column = 1;
        } else if ((c & 0xc0) != 0x80) {
            column++;
        }
    }
    char message[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return fal_fail(err, status, "grammar, line %zu, column %zu: %s", line, column, message);
}

/* ---- what is read is kept ---- */

fal_status fal_parse_expression(fal_grammar_parser *p, fal_expression expression, int32_t *out,
                                fal_error *err) {
    fal_grammar_rules *r = p->rules;
    if (!fal_grow((void **)&r->expressions, &r->expressions_capacity, r->n_expressions + 1,
                  sizeof *r->expressions))
        return fal_fail_memory(err, 0);
    *out = (int32_t)r->n_expressions;
    r->expressions[r->n_expressions++] = expression;
    return FAL_OK;
}

static fal_status push(fal_grammar_parser *p, int32_t expression, fal_error *err) {
    if (!fal_grow((void **)&p->stack, &p->stack_capacity, p->n_stack + 1, sizeof *p->stack))
        return fal_fail_memory(err, 0);
    p->stack[p->n_stack++] = expression;
    return FAL_OK;
}

/* Makes one expression of what lies on the stack above base; one alone stands for itself. */
static fal_status gather(fal_grammar_parser *p, fal_expression_kind kind, size_t base,
                         uint32_t position, int32_t *out, fal_error *err) {
    fal_grammar_rules *r = p->rules;
    size_t count = p->n_stack - base;
    p->n_stack = base;
    if (count == 1) {
        *out = p->stack[base];
        return FAL_OK;
    }
    if (!fal_grow((void **)&r->children, &r->children_capacity, r->n_children + count,
                  sizeof *r->children))
        return fal_fail_memory(err, 0);
    if (count) memcpy(r->children + r->n_children, p->stack + base, count * sizeof *r->children);
    fal_expression e = {.kind = kind,
                        .position = position,
                        .first = (int32_t)r->n_children,
                        .count = (int32_t)count};
    r->n_children += count;
    return fal_parse_expression(p, e, out, err);
}

static fal_status rule_named(fal_grammar_parser *p, fal_slice name, int32_t *out, fal_error *err) {
    fal_grammar_rules *r = p->rules;
    *out = fal_string_map_find(p->names, name);
    if (*out >= 0) return FAL_OK;
    bool inserted;
    if (!fal_grow((void **)&r->rules, &r->rules_capacity, r->n_rules + 1, sizeof *r->rules))
        return fal_fail_memory(err, 0);
    *out = (int32_t)r->n_rules;
    FAL_TRY(fal_string_map_add(p->names, name, *out, &inserted, err));
    r->rules[r->n_rules++] = (fal_grammar_rule){
        .name = name, .body = -1, .position = (uint32_t)(name.data - r->text.data)};
    return FAL_OK;
}

/* ---- reading ---- */

static bool is_name_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-'
           || c == '_';
}

static char here(const fal_grammar_parser *p) {
    return p->position < p->rules->text.length ? p->rules->text.data[p->position] : '\0';
}

static bool is_at_end(const fal_grammar_parser *p) {
    return p->position >= p->rules->text.length;
}

static void skip_space(fal_grammar_parser *p, bool over_lines) {
    const fal_slice text = p->rules->text;
    for (; !is_at_end(p); p->position++) {
        char c = here(p);
        if (c == '#') {
            while (p->position + 1 < text.length && text.data[p->position + 1] != '\n')
                p->position++;
        } else if (c != ' ' && c != '\t' && c != '\r' && !(c == '\n' && over_lines)) {
            return;
        }
    }
}

static fal_status expected(fal_grammar_parser *p, const char *what, fal_error *err) {
    if (is_at_end(p))
        return fal_grammar_fail(p->rules, p->position, err, FAL_E_FORMAT,
                                "%s is expected, the text ends", what);
    char one[2] = {here(p), '\0'};
    if (one[0] == '\n')
        return fal_grammar_fail(p->rules, p->position, err, FAL_E_FORMAT,
                                "%s is expected, the line ends", what);
    uint32_t character;
    size_t rest = p->rules->text.length - p->position;
    int length = fal_utf8_decode(p->rules->text.data + p->position, rest, &character);
    fal_slice found = {p->rules->text.data + p->position, length ? (size_t)length : 1};
    return fal_grammar_fail(p->rules, p->position, err, FAL_E_FORMAT, "%s is expected, not '%s'",
                            what, fal_quote(found).text);
}

static fal_status read_name(fal_grammar_parser *p, fal_slice *out, fal_error *err) {
    size_t begin = p->position;
    while (!is_at_end(p) && is_name_character(here(p)))
        p->position++;
    *out = (fal_slice){p->rules->text.data + begin, p->position - begin};
    return out->length ? FAL_OK : expected(p, "the name of a rule", err);
}

static fal_status read_count(fal_grammar_parser *p, int32_t *out, fal_error *err) {
    if (here(p) < '0' || here(p) > '9') return expected(p, "a number", err);
    uint32_t begin = p->position;
    for (*out = 0; here(p) >= '0' && here(p) <= '9'; p->position++) {
        *out = *out * 10 + (here(p) - '0');
        if (*out > MAX_REPEATS)
            return fal_grammar_fail(p->rules, begin, err, FAL_E_LIMIT,
                                    "repeated more than %d times", MAX_REPEATS);
    }
    return FAL_OK;
}

/* {m}, {m,}, {m,n}; the parser stands behind the brace. */
static fal_status read_bounds(fal_grammar_parser *p, fal_expression *repeat, fal_error *err) {
    skip_space(p, false);
    uint32_t begin = p->position;
    FAL_TRY(read_count(p, &repeat->least, err));
    repeat->most = repeat->least;
    skip_space(p, false);
    if (here(p) == ',') {
        p->position++;
        skip_space(p, false);
        repeat->most = -1;
        if (here(p) != '}') FAL_TRY(read_count(p, &repeat->most, err));
        skip_space(p, false);
    }
    if (here(p) != '}') return expected(p, "'}'", err);
    p->position++;
    if (repeat->most >= 0 && repeat->most < repeat->least)
        return fal_grammar_fail(p->rules, begin, err, FAL_E_FORMAT,
                                "repeated at least %d and at most %d times", repeat->least,
                                repeat->most);
    return FAL_OK;
}

/* Any number of ? * + {m,n} behind the expression *item. */
static fal_status read_repeats(fal_grammar_parser *p, int32_t *item, bool over_lines,
                               fal_error *err) {
    for (int n = 0;; n++) {
        skip_space(p, over_lines);
        char c = here(p);
        fal_expression repeat = {.kind = FAL_EXPRESSION_REPEAT,
                                 .position = p->position,
                                 .first = *item,
                                 .least = c == '+',
                                 .most = c == '?' ? 1 : -1};
        if (c != '?' && c != '*' && c != '+' && c != '{') return FAL_OK;
        if (n == MAX_STACKED_REPEATS)
            return fal_grammar_fail(p->rules, p->position, err, FAL_E_LIMIT,
                                    "over %d repetitions of one thing", MAX_STACKED_REPEATS);
        p->position++;
        if (c == '{') FAL_TRY(read_bounds(p, &repeat, err));
        FAL_TRY(fal_parse_expression(p, repeat, item, err));
    }
}

static fal_status read_choice(fal_grammar_parser *p, int depth, int32_t *out, fal_error *err);

static fal_status read_group(fal_grammar_parser *p, int depth, int32_t *out, fal_error *err) {
    if (depth == MAX_NESTING)
        return fal_grammar_fail(p->rules, p->position, err, FAL_E_LIMIT,
                                "groups nested deeper than %d", MAX_NESTING);
    p->position++;
    skip_space(p, true);
    FAL_TRY(read_choice(p, depth + 1, out, err));
    if (here(p) != ')') return expected(p, "')'", err);
    p->position++;
    return FAL_OK;
}

/* One thing that repetitions may stand behind; *found false: there is none here. */
static fal_status read_item(fal_grammar_parser *p, int depth, int32_t *out, bool *found,
                            fal_error *err) {
    char c = here(p);
    uint32_t position = p->position;
    *found = true;
    if (c == '"') return fal_parse_literal(p, out, err);
    if (c == '[') return fal_parse_class(p, out, err);
    if (c == '.') return fal_parse_any(p, out, err);
    if (c == '(') return read_group(p, depth, out, err);
    if (c == '<' || c == '!')
        return fal_grammar_fail(p->rules, position, err, FAL_E_UNSUPPORTED,
                                "tokens of a vocabulary ('%c') cannot be named here", c);
    if (is_name_character(c)) {
        fal_slice name;
        fal_expression call = {.kind = FAL_EXPRESSION_CALL, .position = position};
        FAL_TRY(read_name(p, &name, err));
        FAL_TRY(rule_named(p, name, &call.first, err));
        return fal_parse_expression(p, call, out, err);
    }
    *found = false;
    return FAL_OK;
}

static fal_status read_sequence(fal_grammar_parser *p, int depth, int32_t *out, fal_error *err) {
    size_t base = p->n_stack;
    uint32_t begin = p->position;
    for (;;) {
        int32_t item;
        bool found;
        FAL_TRY(read_item(p, depth, &item, &found, err));
        if (!found) return gather(p, FAL_EXPRESSION_SEQUENCE, base, begin, out, err);
        FAL_TRY(read_repeats(p, &item, depth > 0, err));
        FAL_TRY(push(p, item, err));
    }
}

/* Whether a bar comes next; outside of groups also one at the beginning of a line. */
static bool skip_bar(fal_grammar_parser *p) {
    uint32_t begin = p->position;
    skip_space(p, true);
    if (here(p) != '|') {
        p->position = begin;
        return false;
    }
    p->position++;
    skip_space(p, true);
    return true;
}

static fal_status read_choice(fal_grammar_parser *p, int depth, int32_t *out, fal_error *err) {
    size_t base = p->n_stack;
    uint32_t begin = p->position;
    do {
        int32_t sequence;
        FAL_TRY(read_sequence(p, depth, &sequence, err));
        FAL_TRY(push(p, sequence, err));
    } while (skip_bar(p));
    return gather(p, FAL_EXPRESSION_CHOICE, base, begin, out, err);
}

static fal_status read_rule(fal_grammar_parser *p, fal_error *err) {
    fal_slice name;
    int32_t rule, body;
    uint32_t position = p->position;
    FAL_TRY(read_name(p, &name, err));
    FAL_TRY(rule_named(p, name, &rule, err));
    if (p->rules->rules[rule].body >= 0)
        return fal_grammar_fail(p->rules, position, err, FAL_E_FORMAT, "rule '%s' is defined twice",
                                fal_quote(name).text);
    p->rules->rules[rule].position = position;
    skip_space(p, false);
    const fal_slice text = p->rules->text;
    if (text.length - p->position < 3 || memcmp(text.data + p->position, "::=", 3) != 0)
        return expected(p, "'::='", err);
    p->position += 3;
    skip_space(p, true);
    FAL_TRY(read_choice(p, 0, &body, err));
    p->rules->rules[rule].body = body;
    skip_space(p, false);
    if (!is_at_end(p) && here(p) != '\n') return expected(p, "the end of the rule", err);
    skip_space(p, true);
    return FAL_OK;
}

static fal_status read_rules(fal_grammar_parser *p, fal_error *err) {
    fal_grammar_rules *r = p->rules;
    skip_space(p, true);
    while (!is_at_end(p))
        FAL_TRY(read_rule(p, err));
    r->root = fal_string_map_find(p->names, fal_slice_of("root"));
    if (r->root < 0) return fal_fail(err, FAL_E_FORMAT, "grammar: there is no rule 'root'");
    for (size_t i = 0; i < r->n_rules; i++) {
        if (r->rules[i].body < 0)
            return fal_grammar_fail(r, r->rules[i].position, err, FAL_E_FORMAT,
                                    "rule '%s' is not defined", fal_quote(r->rules[i].name).text);
    }
    return FAL_OK;
}

fal_status fal_grammar_parse(fal_grammar_rules *out, const char *text, size_t length,
                             fal_error *err) {
    *out = (fal_grammar_rules){
        .text = {text, length}
    };
    if (length > MAX_TEXT_BYTES)
        return fal_fail(err, FAL_E_LIMIT, "grammar: %zu bytes, at most %d", length, MAX_TEXT_BYTES);
    fal_grammar_parser p = {.rules = out, .names = fal_string_map_open(64)};
    fal_status status = p.names ? read_rules(&p, err) : fal_fail_memory(err, 0);
    fal_string_map_close(p.names);
    fal_free(p.stack);
    if (status != FAL_OK) fal_grammar_rules_release(out);
    return status;
}

void fal_grammar_rules_release(fal_grammar_rules *r) {
    fal_free(r->rules);
    fal_free(r->expressions);
    fal_free(r->children);
    fal_free(r->bytes);
    fal_free(r->ranges);
    *r = (fal_grammar_rules){0};
}
