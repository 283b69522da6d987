/* Literals and classes of GBNF: escapes, ranges, negation, all of Unicode. */
#include "base/alloc.h"
#include "base/utf8.h"
#include "text/grammar_parse.h"

#include <stdlib.h>
#include <string.h>

enum {
    FIRST_SURROGATE = 0xd800,
    LAST_SURROGATE = 0xdfff,
    LAST_CHARACTER = 0x10ffff
};

static fal_status bad(const fal_grammar_parser *p, uint32_t position, const char *what,
                      fal_error *err) {
    return fal_grammar_fail(p->rules, position, err, FAL_E_FORMAT, "%s", what);
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* n_digits at the parser's position as a code point. begin: where the escape began. */
static fal_status read_hex(fal_grammar_parser *p, int n_digits, uint32_t begin, uint32_t *out,
                           fal_error *err) {
    const fal_slice text = p->rules->text;
    *out = 0;
    for (int i = 0; i < n_digits; i++, p->position++) {
        int digit = p->position < text.length ? hex_digit(text.data[p->position]) : -1;
        if (digit < 0)
            return fal_grammar_fail(p->rules, begin, err, FAL_E_FORMAT,
                                    "this escape needs %d hexadecimal digits", n_digits);
        *out = *out << 4 | (uint32_t)digit;
    }
    if (*out > LAST_CHARACTER || (*out >= FIRST_SURROGATE && *out <= LAST_SURROGATE))
        return fal_grammar_fail(p->rules, begin, err, FAL_E_FORMAT, "U+%04X is no character", *out);
    return FAL_OK;
}

typedef struct escape {
    char name;
    char character; /* 0: n_digits of hexadecimal follow */
    int n_digits;
} escape;

static const escape escapes[] = {
    {'x',  0,    2},
    {'u',  0,    4},
    {'U',  0,    8},
    {'t',  '\t', 0},
    {'r',  '\r', 0},
    {'n',  '\n', 0},
    {'\\', '\\', 0},
    {'"',  '"',  0},
    {'[',  '[',  0},
    {']',  ']',  0},
    {'-',  '-',  0},
    {'^',  '^',  0},
};

/* One character of a literal or class, escaped or not. */
static fal_status read_character(fal_grammar_parser *p, uint32_t *out, fal_error *err) {
    const fal_slice text = p->rules->text;
    uint32_t begin = p->position;
    int length = fal_utf8_decode(text.data + begin, text.length - begin, out);
    if (length == 0) return bad(p, begin, "no valid UTF-8", err);
    p->position += (uint32_t)length;
    if (*out != '\\') return FAL_OK;
    char name = p->position < text.length ? text.data[p->position++] : '\0';
    for (size_t i = 0; i < sizeof escapes / sizeof escapes[0]; i++) {
        if (escapes[i].name != name) continue;
        *out = (uint32_t)escapes[i].character;
        return escapes[i].n_digits ? read_hex(p, escapes[i].n_digits, begin, out, err) : FAL_OK;
    }
    return bad(p, begin, "an escape is one of \\n \\r \\t \\\\ \\\" \\[ \\] \\- \\^ \\x \\u \\U",
               err);
}

fal_status fal_parse_literal(fal_grammar_parser *p, int32_t *out, fal_error *err) {
    fal_grammar_rules *r = p->rules;
    uint32_t begin = p->position++;
    size_t first = r->n_bytes;
    while (p->position < r->text.length && r->text.data[p->position] != '"') {
        uint32_t character;
        FAL_TRY(read_character(p, &character, err));
        if (!fal_grow((void **)&r->bytes, &r->bytes_capacity, r->n_bytes + 4, 1))
            return fal_fail_memory(err, 0);
        r->n_bytes += (size_t)fal_utf8_encode(character, r->bytes + r->n_bytes);
    }
    if (p->position == r->text.length) return bad(p, begin, "this literal does not end", err);
    p->position++;
    fal_expression e = {.kind = FAL_EXPRESSION_BYTES,
                        .position = begin,
                        .first = (int32_t)first,
                        .count = (int32_t)(r->n_bytes - first)};
    return fal_parse_expression(p, e, out, err);
}

/* ---- classes ---- */

static fal_status add_range(fal_grammar_rules *r, uint32_t low, uint32_t high, fal_error *err) {
    if (!fal_grow((void **)&r->ranges, &r->ranges_capacity, r->n_ranges + 1, sizeof *r->ranges))
        return fal_fail_memory(err, 0);
    r->ranges[r->n_ranges++] = (fal_character_range){low, high};
    return FAL_OK;
}

/* Without the surrogates that lie in it. */
static fal_status add_characters(fal_grammar_rules *r, uint32_t low, uint32_t high,
                                 fal_error *err) {
    if (low < FIRST_SURROGATE)
        FAL_TRY(add_range(r, low, high < FIRST_SURROGATE ? high : FIRST_SURROGATE - 1, err));
    if (high > LAST_SURROGATE)
        FAL_TRY(add_range(r, low > LAST_SURROGATE ? low : LAST_SURROGATE + 1, high, err));
    return FAL_OK;
}

static int by_low(const void *a, const void *b) {
    const fal_character_range *x = a, *y = b;
    return (x->low > y->low) - (x->low < y->low);
}

/* Sorts the ranges from first on, joining those that touch. */
static void join_ranges(fal_grammar_rules *r, size_t first) {
    size_t count = r->n_ranges - first, kept = 0;
    if (count == 0) return;
    fal_character_range *ranges = r->ranges + first;
    qsort(ranges, count, sizeof *ranges, by_low);
    for (size_t i = 1; i < count; i++) {
        if (ranges[i].low <= ranges[kept].high + 1) {
            if (ranges[i].high > ranges[kept].high) ranges[kept].high = ranges[i].high;
        } else {
            ranges[++kept] = ranges[i];
        }
    }
    r->n_ranges = first + kept + 1;
}

/* Puts in place of the joined ranges from first on those between them. */
static fal_status negate_ranges(fal_grammar_rules *r, size_t first, fal_error *err) {
    size_t count = r->n_ranges - first;
    uint32_t low = 0;
    for (size_t i = 0; i < count; i++) {
        fal_character_range range = r->ranges[first + i];
        if (range.low > low) FAL_TRY(add_characters(r, low, range.low - 1, err));
        low = range.high + 1;
    }
    if (low <= LAST_CHARACTER) FAL_TRY(add_characters(r, low, LAST_CHARACTER, err));
    size_t n_negated = r->n_ranges - first - count;
    memmove(r->ranges + first, r->ranges + first + count, n_negated * sizeof *r->ranges);
    r->n_ranges = first + n_negated;
    return FAL_OK;
}

/* A character, or a range of them. A hyphen before the bracket stands for itself. */
static fal_status read_range(fal_grammar_parser *p, fal_error *err) {
    const fal_slice text = p->rules->text;
    uint32_t low, high, begin = p->position;
    FAL_TRY(read_character(p, &low, err));
    high = low;
    if (text.length - p->position >= 2 && text.data[p->position] == '-'
        && text.data[p->position + 1] != ']') {
        p->position++;
        FAL_TRY(read_character(p, &high, err));
    }
    if (low > high) return bad(p, begin, "this range ends before it begins", err);
    return add_characters(p->rules, low, high, err);
}

static fal_status keep_class(fal_grammar_parser *p, uint32_t begin, size_t first, int32_t *out,
                             fal_error *err) {
    fal_expression e = {.kind = FAL_EXPRESSION_CLASS,
                        .position = begin,
                        .first = (int32_t)first,
                        .count = (int32_t)(p->rules->n_ranges - first)};
    if (e.count == 0) return bad(p, begin, "no character is in this class", err);
    return fal_parse_expression(p, e, out, err);
}

fal_status fal_parse_class(fal_grammar_parser *p, int32_t *out, fal_error *err) {
    fal_grammar_rules *r = p->rules;
    uint32_t begin = p->position++;
    size_t first = r->n_ranges;
    bool is_negated = p->position < r->text.length && r->text.data[p->position] == '^';
    if (is_negated) p->position++;
    while (p->position < r->text.length && r->text.data[p->position] != ']')
        FAL_TRY(read_range(p, err));
    if (p->position == r->text.length) return bad(p, begin, "this class does not end", err);
    p->position++;
    join_ranges(r, first);
    if (is_negated) FAL_TRY(negate_ranges(r, first, err));
    return keep_class(p, begin, first, out, err);
}

fal_status fal_parse_any(fal_grammar_parser *p, int32_t *out, fal_error *err) {
    size_t first = p->rules->n_ranges;
    FAL_TRY(add_characters(p->rules, 0, LAST_CHARACTER, err));
    return keep_class(p, p->position++, first, out, err);
}
