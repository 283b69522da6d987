/* Regular expressions of schemas (`pattern`) as GBNF. What has no counterpart is refused by name: assertions, references,
 * anchors within. A character stands in JSON as itself, or in its shortest escape.
 * Source: ECMA-262, the syntax of patterns; word characters, digits are those of ASCII, as there. */
#include "base/utf8.h"
#include "text/json_schema_private.h"
#include "text/quote.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_NESTING = 50,
    MAX_RANGES = 400,
    LAST_CHARACTER = 0x10ffff
};

typedef struct character_range {
    uint32_t low, high;
} character_range;

/* Characters; not sorted until they are written. */
typedef struct character_set {
    character_range ranges[MAX_RANGES];
    size_t count;
} character_set;

typedef struct reading {
    fal_schema_converter *c;
    const char *pattern, *at;
    fal_string_builder *out;
} reading;

static fal_status refuse(const reading *r, const char *what, fal_error *err) {
    return fal_schema_refuse(r->c, err, "pattern '%s', at %zu: %s cannot be enforced",
                             fal_quote(fal_slice_of(r->pattern)).text,
                             (size_t)(r->at - r->pattern) + 1, what);
}

static fal_status malformed(const reading *r, const char *what, fal_error *err) {
    return fal_schema_malformed(r->c, err, "pattern '%s', at %zu: %s",
                                fal_quote(fal_slice_of(r->pattern)).text,
                                (size_t)(r->at - r->pattern) + 1, what);
}

/* ---- sets ---- */

static fal_status add(const reading *r, character_set *set, uint32_t low, uint32_t high,
                      fal_error *err) {
    if (set->count == MAX_RANGES) return refuse(r, "a class of over 400 ranges", err);
    set->ranges[set->count++] = (character_range){low, high};
    return FAL_OK;
}

static int by_low(const void *a, const void *b) {
    const character_range *x = a, *y = b;
    return (x->low > y->low) - (x->low < y->low);
}

static void join(character_set *set) {
    size_t kept = 0;
    qsort(set->ranges, set->count, sizeof set->ranges[0], by_low);
    for (size_t i = 1; i < set->count; i++) {
        if (set->ranges[i].low > set->ranges[kept].high + 1)
            set->ranges[++kept] = set->ranges[i];
        else if (set->ranges[i].high > set->ranges[kept].high)
            set->ranges[kept].high = set->ranges[i].high;
    }
    if (set->count) set->count = kept + 1;
}

/* Joins, and puts in place of the set what is not in it. */
static fal_status negate(const reading *r, character_set *set, fal_error *err) {
    join(set);
    character_set others = {.count = 0};
    uint32_t low = 0;
    for (size_t i = 0; i < set->count; i++) {
        if (set->ranges[i].low > low) FAL_TRY(add(r, &others, low, set->ranges[i].low - 1, err));
        low = set->ranges[i].high + 1;
    }
    if (low <= LAST_CHARACTER) FAL_TRY(add(r, &others, low, LAST_CHARACTER, err));
    *set = others;
    return FAL_OK;
}

typedef struct shorthand {
    char letter;
    character_range ranges[10];
} shorthand;

/* Ranges end with one from 1 to 0. Spaces: those on which implementations agree; for \S, all that any takes for one. */
static const shorthand shorthands[] = {
    {'d', {{'0', '9'}, {1, 0}}                                    },
    {'w', {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}, {1, 0}}},
    {'s', {{'\t', '\r'}, {' ', ' '}, {1, 0}}                      },
    {'S',
     {{'\t', '\r'},
      {0x1c, ' '},
      {0x85, 0x85},
      {0xa0, 0xa0},
      {0x1680, 0x1680},
      {0x2000, 0x200a},
      {0x2028, 0x202f},
      {0x205f, 0x205f},
      {0x3000, 0x3000},
      {0xfeff, 0xfeff}}                                           },
};

/* \d \w \s and their capitals; *found false: the letter is none of them. */
static fal_status add_shorthand(const reading *r, character_set *set, char letter, bool *found,
                                fal_error *err) {
    bool is_capital = letter == 'D' || letter == 'W' || letter == 'S';
    char listed = letter == 'S' || !is_capital ? letter : (char)(letter | 0x20);
    character_set own = {.count = 0};
    *found = false;
    for (size_t i = 0; i < sizeof shorthands / sizeof shorthands[0] && !*found; i++) {
        *found = shorthands[i].letter == listed;
        for (size_t k = 0; *found && k < 10; k++) {
            character_range range = shorthands[i].ranges[k];
            if (range.low > range.high) break;
            FAL_TRY(add(r, &own, range.low, range.high, err));
        }
    }
    if (*found && is_capital) FAL_TRY(negate(r, &own, err));
    for (size_t i = 0; i < own.count; i++)
        FAL_TRY(add(r, set, own.ranges[i].low, own.ranges[i].high, err));
    return FAL_OK;
}

/* ---- writing ---- */

static char short_escape(uint32_t character) {
    static const char characters[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *found = character && character < 128 ? strchr(characters, (int)character) : NULL;
    return found ? letters[found - characters] : '\0';
}

static bool needs_escape(uint32_t character) {
    return character < 0x20 || character == '"' || character == '\\';
}

static void write_character(fal_string_builder *out, uint32_t character) {
    char text[8];
    char letter = short_escape(character);
    if (letter)
        fal_string_append_format(
            out, letter == '"' || letter == '\\' ? "\"\\\\\\%c\" " : "\"\\\\%c\" ", letter);
    else if (character < 0x20)
        fal_string_append_format(out, "\"\\\\u%04x\" ", character);
    else {
        fal_gbnf_literal(out, text, (size_t)fal_utf8_encode(character, text));
        fal_string_append_text(out, " ");
    }
}

static void write_plain_range(fal_string_builder *out, uint32_t low, uint32_t high) {
    if (low >= 0xd800 && low <= 0xdfff) low = 0xe000;
    if (high >= 0xd800 && high <= 0xdfff) high = 0xd7ff;
    if (low > high) return;
    fal_gbnf_class_character(out, low);
    if (low == high) return;
    fal_string_append_text(out, "-");
    fal_gbnf_class_character(out, high);
}

/* Plain characters as one class, the others one by one: there are 34 of them. */
static fal_status write_set(const reading *r, character_set *set, fal_error *err) {
    fal_string_builder plain = {0}, escaped = {0};
    join(set);
    for (size_t i = 0; i < set->count; i++) {
        uint32_t low = set->ranges[i].low, high = set->ranges[i].high;
        for (uint32_t at = low; at <= high && at <= '\\'; at++) {
            if (!needs_escape(at)) continue;
            if (at > low) write_plain_range(&plain, low, at - 1);
            fal_string_append_text(&escaped, "| ");
            write_character(&escaped, at);
            low = at + 1;
        }
        if (low <= high) write_plain_range(&plain, low, high);
    }
    fal_status status = fal_string_status(&plain, err);
    if (status == FAL_OK) status = fal_string_status(&escaped, err);
    if (status == FAL_OK && !plain.length && !escaped.length)
        status = malformed(r, "no character is in this class", err);
    if (status == FAL_OK && plain.length)
        fal_string_append_format(r->out, "([%s] %s) ", plain.text,
                                 escaped.length ? escaped.text : "");
    else if (status == FAL_OK)
        fal_string_append_format(r->out, "(%s) ", escaped.text + 2);
    fal_string_release(&plain);
    fal_string_release(&escaped);
    return status;
}

/* ---- reading ---- */

static fal_status read_hex(reading *r, int n_digits, uint32_t *out, fal_error *err) {
    *out = 0;
    for (int i = 0; i < n_digits; i++, r->at++) {
        static const char digits[] = "0123456789abcdef";
        char c = *r->at;
        const char *found = c ? strchr(digits, c >= 'A' && c <= 'F' ? c | 0x20 : c) : NULL;
        if (!found) return malformed(r, "an escape needs hexadecimal digits", err);
        *out = *out << 4 | (uint32_t)(found - digits);
    }
    if (*out >= 0xd800 && *out <= 0xdfff) return refuse(r, "half of a pair of surrogates", err);
    return FAL_OK;
}

/* Behind the backslash: one character. */
static fal_status read_escape(reading *r, uint32_t *out, fal_error *err) {
    static const char letters[] = "nrtfv0", characters[] = {'\n', '\r', '\t', '\f', '\v', '\0'};
    char c = *r->at;
    const char *found = c ? strchr(letters, c) : NULL;
    bool is_word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (found) {
        *out = (uint32_t)characters[found - letters];
        r->at++;
        return c == '0' && *r->at >= '0' && *r->at <= '9' ? refuse(r, "this escape", err) : FAL_OK;
    }
    if (c == 'x' || c == 'u') {
        r->at++;
        return read_hex(r, c == 'x' ? 2 : 4, out, err);
    }
    if (is_word || c == '\0') return refuse(r, "this escape", err);
    int length = fal_utf8_decode(r->at, strlen(r->at), out);
    r->at += length;
    return length ? FAL_OK : malformed(r, "no valid UTF-8", err);
}

/* One character or a shorthand, escaped or not, of a class. *is_one false: a shorthand, which was added. */
static fal_status read_class_part(reading *r, character_set *set, uint32_t *out, bool *is_one,
                                  fal_error *err) {
    *is_one = true;
    if (*r->at != '\\') {
        int length = fal_utf8_decode(r->at, strlen(r->at), out);
        r->at += length;
        return length ? FAL_OK : malformed(r, "this class does not end", err);
    }
    bool found;
    FAL_TRY(add_shorthand(r, set, r->at[1], &found, err));
    *is_one = !found;
    r->at += found ? 2 : 1;
    if (found) return FAL_OK;
    if (*r->at == 'b') {
        *out = '\b';
        r->at++;
        return FAL_OK;
    }
    return read_escape(r, out, err);
}

static fal_status read_class(reading *r, fal_error *err) {
    character_set set = {.count = 0};
    bool is_negated = *++r->at == '^';
    if (is_negated) r->at++;
    while (*r->at != ']') {
        uint32_t low, high;
        bool is_one;
        FAL_TRY(read_class_part(r, &set, &low, &is_one, err));
        if (!is_one) continue;
        high = low;
        if (r->at[0] == '-' && r->at[1] != ']') {
            r->at++;
            FAL_TRY(read_class_part(r, &set, &high, &is_one, err));
            if (!is_one) return refuse(r, "a range that ends with a class", err);
        }
        if (low > high) return malformed(r, "this range ends before it begins", err);
        FAL_TRY(add(r, &set, low, high, err));
    }
    r->at++;
    if (is_negated) FAL_TRY(negate(r, &set, err));
    return write_set(r, &set, err);
}

static fal_status read_alternatives(reading *r, int depth, fal_error *err);

static fal_status read_group(reading *r, int depth, fal_error *err) {
    if (depth == MAX_NESTING) return refuse(r, "such deep nesting", err);
    r->at++;
    if (*r->at == '?') {
        if (r->at[1] != ':') return refuse(r, "an assertion or named group", err);
        r->at += 2;
    }
    fal_string_append_text(r->out, "(");
    FAL_TRY(read_alternatives(r, depth + 1, err));
    if (*r->at != ')') return malformed(r, "this group does not end", err);
    r->at++;
    fal_string_append_text(r->out, ") ");
    return FAL_OK;
}

static fal_status read_atom(reading *r, int depth, fal_error *err) {
    uint32_t character;
    bool found;
    if (*r->at == '(') return read_group(r, depth, err);
    if (*r->at == '[') return read_class(r, err);
    if (*r->at == '^' || *r->at == '$') return refuse(r, "an anchor within", err);
    if (*r->at == '*' || *r->at == '+' || *r->at == '?' || *r->at == '{')
        return malformed(r, "nothing stands before this repetition", err);
    if (*r->at == '.') { /* any but the ends of lines */
        character_set set = {
            .count = 3, .ranges = {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}
        };
        r->at++;
        FAL_TRY(negate(r, &set, err));
        return write_set(r, &set, err);
    }
    if (*r->at == '\\') {
        character_set set = {.count = 0};
        FAL_TRY(add_shorthand(r, &set, r->at[1], &found, err));
        r->at += found ? 2 : 1;
        if (found) return write_set(r, &set, err);
        FAL_TRY(read_escape(r, &character, err));
    } else {
        int length = fal_utf8_decode(r->at, strlen(r->at), &character);
        if (!length) return malformed(r, "no valid UTF-8", err);
        r->at += length;
    }
    write_character(r->out, character);
    return FAL_OK;
}

static fal_status read_repetition(reading *r, fal_error *err) {
    char c = *r->at;
    if (c == '{') {
        long bounds[2] = {0, -1};
        char *end;
        if (r->at[1] < '0' || r->at[1] > '9') return malformed(r, "a brace without a number", err);
        bounds[0] = bounds[1] = strtol(r->at + 1, &end, 10);
        if (*end == ',') bounds[1] = end[1] == '}' ? (end++, -1) : strtol(end + 1, &end, 10);
        if (*end != '}') return malformed(r, "this repetition does not end", err);
        if (bounds[0] > 100000 || bounds[1] > 100000 || (bounds[1] >= 0 && bounds[1] < bounds[0]))
            return refuse(r, "this repetition", err);
        fal_gbnf_bounds(r->out, (int32_t)bounds[0], (int32_t)bounds[1]);
        r->at = end + 1;
    } else if (c == '*' || c == '+' || c == '?') {
        fal_string_append(r->out, &c, 1);
        r->at++;
    } else {
        return FAL_OK;
    }
    if (*r->at == '?') r->at++; /* lazy: the texts are the same */
    fal_string_append_text(r->out, " ");
    return FAL_OK;
}

static fal_status read_sequence(reading *r, int depth, fal_error *err) {
    bool is_top = depth == 0, begins = is_top && *r->at == '^', ends = false, is_empty = true;
    if (begins) r->at++;
    if (is_top && !begins) fal_string_append_text(r->out, "char* ");
    while (*r->at && *r->at != '|' && *r->at != ')') {
        ends = is_top && r->at[0] == '$' && (r->at[1] == '\0' || r->at[1] == '|');
        if (ends) {
            r->at++;
            break;
        }
        FAL_TRY(read_atom(r, depth, err));
        FAL_TRY(read_repetition(r, err));
        is_empty = false;
    }
    if (is_empty) fal_string_append_text(r->out, "\"\" ");
    if (is_top && !ends) fal_string_append_text(r->out, "char* ");
    return FAL_OK;
}

static fal_status read_alternatives(reading *r, int depth, fal_error *err) {
    FAL_TRY(read_sequence(r, depth, err));
    while (*r->at == '|') {
        r->at++;
        fal_string_append_text(r->out, "| ");
        FAL_TRY(read_sequence(r, depth, err));
    }
    return FAL_OK;
}

fal_status fal_schema_pattern(fal_schema_converter *c, const char *pattern, fal_string_builder *out,
                              fal_error *err) {
    reading r = {.c = c, .pattern = pattern, .at = pattern, .out = out};
    fal_string_append_text(out, "(");
    FAL_TRY(read_alternatives(&r, 0, err));
    if (*r.at) return malformed(&r, "a bracket that nothing opened", err);
    fal_string_append_text(out, ") ");
    return FAL_OK;
}
