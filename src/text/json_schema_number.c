/* Numbers of a schema. Bounds become alternatives digit by digit: 1 to 150 is [1-9] | [1-9][0-9] | "1" ([0-4][0-9] | "50"). */
#include "text/json_schema_private.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    MAX_DIGITS = 18 /* always fit 64 bits */
};

#define LARGEST 999999999999999999.0

/* low to high, both included; is_above: more than low, is_below: less than high (for numbers with fractions). */
typedef struct number_bounds {
    int64_t low, high;
    bool has_low, has_high, is_above, is_below;
} number_bounds;

/* ---- digits ---- */

static void append_digits(fal_string_builder *out, char low, char high, size_t n) {
    if (low == high)
        fal_string_append_format(out, "\"%c\" ", low);
    else
        fal_string_append_format(out, "[%c-%c] ", low, high);
    if (n) fal_string_append_format(out, "[0-9]{%zu} ", n);
}

/* The numbers of n digits from low to high, leading zeros included. */
static void append_same_length(fal_string_builder *out, const char *low, const char *high,
                               size_t n) {
    size_t shared = 0;
    while (shared < n && low[shared] == high[shared])
        shared++;
    if (shared) fal_string_append_format(out, "\"%.*s\" ", (int)shared, low);
    low += shared;
    high += shared;
    n -= shared;
    if (n == 0) return;
    bool from_zeros = strspn(low + 1, "0") >= n - 1, to_nines = strspn(high + 1, "9") >= n - 1;
    char first = from_zeros ? low[0] : (char)(low[0] + 1);
    char last = to_nines ? high[0] : (char)(high[0] - 1);
    bool is_first = true;
    fal_string_append_text(out, "(");
    if (!from_zeros) {
        char nines[MAX_DIGITS + 2] = "9999999999999999999";
        fal_string_append_format(out, "\"%c\" ", low[0]);
        append_same_length(out, low + 1, nines, n - 1);
        is_first = false;
    }
    if (first <= last) {
        fal_string_append_text(out, is_first ? "" : "| ");
        append_digits(out, first, last, n - 1);
        is_first = false;
    }
    if (!to_nines) {
        char zeros[MAX_DIGITS + 2] = "0000000000000000000";
        fal_string_append_format(out, "%s\"%c\" ", is_first ? "" : "| ", high[0]);
        append_same_length(out, zeros, high + 1, n - 1);
    }
    fal_string_append_text(out, ") ");
}

/* low to high, 0 <= low <= high, without leading zeros. */
static void append_range(fal_string_builder *out, int64_t low, int64_t high) {
    char from[24], to[24];
    fal_string_append_text(out, "(");
    for (bool is_first = true; low <= high; is_first = false) {
        size_t n = (size_t)snprintf(from, sizeof from, "%lld", (long long)low);
        int64_t longest = 9; /* the largest of as many digits */
        for (size_t i = 1; i < n; i++)
            longest = longest * 10 + 9;
        int64_t end = high < longest ? high : longest;
        snprintf(to, sizeof to, "%lld", (long long)end);
        fal_string_append_text(out, is_first ? "" : "| ");
        append_same_length(out, from, to, n);
        low = end + 1;
    }
    fal_string_append_text(out, ") ");
}

/* ---- bounds ---- */

static fal_status read_bound(fal_schema_converter *c, const json_t *s, const char *keyword,
                             bool *is_there, double *out, fal_error *err) {
    const json_t *value = json_object_get(s, keyword);
    *is_there = value != NULL;
    if (!value) return FAL_OK;
    if (!json_is_number(value)) return fal_schema_malformed(c, err, "'%s' is a number", keyword);
    *out = json_number_value(value);
    if (fabs(*out) > LARGEST)
        return fal_schema_refuse(c, err, "'%s' has over %d digits", keyword, MAX_DIGITS);
    return FAL_OK;
}

static void raise(number_bounds *b, int64_t low, bool is_above) {
    if (b->has_low && (low < b->low || (low == b->low && !is_above))) return;
    b->low = low;
    b->has_low = true;
    b->is_above = is_above;
}

static void lower(number_bounds *b, int64_t high, bool is_below) {
    if (b->has_high && (high > b->high || (high == b->high && !is_below))) return;
    b->high = high;
    b->has_high = true;
    b->is_below = is_below;
}

/* For integers bounds are moved to the next integer that may be; those of numbers must be whole. */
static fal_status find_bounds(fal_schema_converter *c, const json_t *s, bool of_integers,
                              number_bounds *out, fal_error *err) {
    static const char *const keywords[] = {"minimum", "exclusiveMinimum", "maximum",
                                           "exclusiveMaximum"};
    *out = (number_bounds){0};
    for (int i = 0; i < 4; i++) {
        bool is_there, is_exclusive = i & 1;
        double value = 0;
        FAL_TRY(read_bound(c, s, keywords[i], &is_there, &value, err));
        if (!is_there) continue;
        bool is_whole = value == floor(value);
        if (!is_whole && !of_integers)
            return fal_schema_refuse(c, err, "'%s' of numbers that is not whole cannot be enforced",
                                     keywords[i]);
        if (i < 2)
            raise(out, (int64_t)ceil(value) + (of_integers && is_exclusive && is_whole),
                  !of_integers && is_exclusive);
        else
            lower(out, (int64_t)floor(value) - (of_integers && is_exclusive && is_whole),
                  !of_integers && is_exclusive);
    }
    if (out->has_low && out->has_high
        && (out->low > out->high || (out->low == out->high && (out->is_above || out->is_below))))
        return fal_schema_refuse(c, err, "no number is in its bounds");
    return FAL_OK;
}

static fal_status check_multiple(fal_schema_converter *c, const json_t *s, bool of_integers,
                                 fal_error *err) {
    const json_t *value = json_object_get(s, "multipleOf");
    if (!value || (of_integers && json_number_value(value) == 1)) return FAL_OK;
    return fal_schema_refuse(c, err, "'multipleOf' cannot be enforced");
}

/* Formats that name a width are bounds; those of real numbers say nothing here. */
static fal_status check_number_format(fal_schema_converter *c, const json_t *s, number_bounds *b,
                                      fal_error *err) {
    const char *format = json_string_value(json_object_get(s, "format"));
    if (!format || !json_object_get(s, "type")) return FAL_OK;
    if (strcmp(format, "int32") == 0) {
        raise(b, INT32_MIN, false);
        lower(b, INT32_MAX, false);
        return FAL_OK;
    }
    static const char *const silent[] = {"int64", "float", "double"};
    for (size_t i = 0; i < sizeof silent / sizeof silent[0]; i++) {
        if (strcmp(silent[i], format) == 0) return FAL_OK;
    }
    return fal_schema_refuse(c, err, "format '%s' of numbers cannot be enforced",
                             strlen(format) < 40 ? format : "...");
}

/* ---- integers ---- */

fal_status fal_schema_integer(fal_schema_converter *c, const json_t *s, fal_string_builder *out,
                              fal_error *err) {
    number_bounds b;
    const int64_t largest = 999999999999999999;
    FAL_TRY(check_multiple(c, s, true, err));
    FAL_TRY(find_bounds(c, s, true, &b, err));
    FAL_TRY(check_number_format(c, s, &b, err));
    if (!b.has_low && !b.has_high) {
        fal_string_append_text(out, "integer ");
        return FAL_OK;
    }
    int64_t low = b.has_low ? b.low : -largest, high = b.has_high ? b.high : largest;
    if (low > high) return fal_schema_refuse(c, err, "no integer is in its bounds");
    if (high >= 0) append_range(out, low > 0 ? low : 0, high);
    if (high >= 0 && low < 0) fal_string_append_text(out, "| ");
    if (low < 0) {
        fal_string_append_text(out, "\"-\" ");
        append_range(out, high < -1 ? -high : 1, -low);
    }
    return FAL_OK;
}

/* ---- numbers with fractions ---- */

/* Numbers of one sign from low to high: whole parts below high with any fraction, and high itself. */
static void append_fractions(fal_string_builder *out, number_bounds b) {
    static const char any[] = "(\".\" [0-9]{1,15})? ", zero[] = "(\".\" \"0\"{1,15})? ",
                      some[] = "\".\" [0-9]{0,14} [1-9] ";
    fal_string_append_text(out, "(");
    int64_t whole = b.low;
    bool is_first = true;
    if (b.is_above && (b.low < b.high)) {
        fal_string_append_format(out, "\"%lld\" %s", (long long)b.low, some);
        whole++;
        is_first = false;
    }
    if (whole < b.high) {
        fal_string_append_text(out, is_first ? "" : "| ");
        append_range(out, whole, b.high - 1);
        fal_string_append_text(out, any);
        is_first = false;
    }
    if (!b.is_below && !(b.is_above && b.low == b.high))
        fal_string_append_format(out, "%s\"%lld\" %s", is_first ? "" : "| ", (long long)b.high,
                                 zero);
    fal_string_append_text(out, ") ");
}

fal_status fal_schema_number(fal_schema_converter *c, const json_t *s, fal_string_builder *out,
                             fal_error *err) {
    number_bounds b;
    const int64_t largest = 999999999999999999;
    FAL_TRY(check_multiple(c, s, false, err));
    FAL_TRY(find_bounds(c, s, false, &b, err));
    FAL_TRY(check_number_format(c, s, &b, err));
    if (!b.has_low && !b.has_high) {
        fal_string_append_text(out, "number ");
        return FAL_OK;
    }
    if (!b.has_low) b.low = -largest;
    if (!b.has_high) b.high = largest;
    bool has_positive = b.high > 0 || (b.high == 0 && !b.is_below && !(b.is_above && b.low == 0));
    if (has_positive) {
        number_bounds positive = b;
        if (b.low < 0) {
            positive.low = 0;
            positive.is_above = false;
        }
        append_fractions(out, positive);
    }
    if (b.low >= 0) return FAL_OK;
    number_bounds negative = {.low = 0, .is_above = true, .high = -b.low, .is_below = b.is_above};
    if (b.high < 0) {
        negative.low = -b.high;
        negative.is_above = b.is_below;
    }
    fal_string_append_text(out, has_positive ? "| \"-\" " : "\"-\" ");
    append_fractions(out, negative);
    return FAL_OK;
}
