/* Body of json_schema.h: which keywords there are, types, references, choices. Objects and arrays, strings, patterns, numbers
 * and merging have files of their own. */
#include "text/json_schema.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "text/json_schema_private.h"
#include "text/quote.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_SCHEMA_BYTES = 1 << 20,
    MAX_DEPTH = 100,
    MAX_RULES = 50000,
    MAX_COUNT = 100000
};

/* Spaces are bounded, so that an answer cannot go on with them for ever: one space, or a line's beginning. A \u escape is
 * never half of a pair, nor zero, which many readers refuse. */
static const char basic_rules[] =
    "ws ::= (\" \" | \"\\n\" [ \\t]{0,40})?\n"
    "colon ::= \":\" \" \"?\n"
    "hex ::= [0-9a-fA-F]\n"
    "escape ::= [\"\\\\/bfnrt] | \"u\" (\"000\" [1-9a-fA-F] | \"00\" [1-9a-fA-F] hex"
    " | \"0\" [1-9a-fA-F] hex hex | [1-9a-cA-CefEF] hex hex hex | [dD] [0-7] hex hex"
    " | [dD] [89abAB] hex hex \"\\\\u\" [dD] [c-fC-F] hex hex)\n"
    "char ::= [^\"\\\\\\x00-\\x1F] | \"\\\\\" escape\n"
    "key-char ::= [^\"\\\\\\x00-\\x1F] | \"\\\\\" [\"\\\\bfnrt]\n"
    "key-rest ::= key-char* \"\\\"\"\n"
    "string ::= \"\\\"\" char* \"\\\"\"\n"
    "integer ::= \"-\"? [1-9] [0-9]{0,17} | \"0\"\n"
    "number ::= \"-\"? (\"0\" | [1-9] [0-9]{0,17}) (\".\" [0-9]{1,17})? ([eE] [-+]? [0-9]{1,2})?\n"
    "boolean ::= \"true\" | \"false\"\n"
    "object ::= \"{\" ws (string colon value (\",\" ws string colon value)* ws)? \"}\"\n"
    "array ::= \"[\" ws (value (\",\" ws value)* ws)? \"]\"\n"
    "value ::= object | array | string | number | boolean | \"null\"\n";

/* ---- keywords ---- */

enum {
    IS_NULL = 1,
    IS_BOOLEAN = 2,
    IS_OBJECT = 4,
    IS_ARRAY = 8,
    IS_STRING = 16,
    IS_INTEGER = 32,
    IS_NUMBER = 64,
    IS_ANY = 127 - IS_INTEGER,
    IS_NUMERIC = IS_INTEGER | IS_NUMBER
};

typedef struct type_row {
    const char *name;
    int type;
    const char *rule; /* without any keywords */
    fal_status (*write)(fal_schema_converter *c, const json_t *s, fal_string_builder *out,
                        fal_error *err);
} type_row;

static const type_row types[] = {
    {"null",    IS_NULL,    "\"null\"", NULL              },
    {"boolean", IS_BOOLEAN, "boolean",  NULL              },
    {"object",  IS_OBJECT,  "object",   fal_schema_object },
    {"array",   IS_ARRAY,   "array",    fal_schema_array  },
    {"string",  IS_STRING,  "string",   fal_schema_string },
    {"integer", IS_INTEGER, "integer",  fal_schema_integer},
    {"number",  IS_NUMBER,  "number",   fal_schema_number },
};

enum {
    N_TYPES = sizeof types / sizeof types[0]
};

typedef struct keyword_row {
    const char *name;
    int types; /* it says something of these; 0: of none, or handled for all */
} keyword_row;

/* All that is enforced, and what says nothing of a document. Whatever is not here is refused. */
static const keyword_row keywords[] = {
    {"$schema",              0         },
    {"$id",                  0         },
    {"$comment",             0         },
    {"$defs",                0         },
    {"definitions",          0         },
    {"$ref",                 0         },
    {"title",                0         },
    {"description",          0         },
    {"default",              0         },
    {"examples",             0         },
    {"deprecated",           0         },
    {"readOnly",             0         },
    {"writeOnly",            0         },
    {"discriminator",        0         },
    {"type",                 0         },
    {"enum",                 0         },
    {"const",                0         },
    {"anyOf",                0         },
    {"oneOf",                0         },
    {"allOf",                0         },
    {"properties",           IS_OBJECT },
    {"required",             IS_OBJECT },
    {"additionalProperties", IS_OBJECT },
    {"minProperties",        IS_OBJECT },
    {"maxProperties",        IS_OBJECT },
    {"items",                IS_ARRAY  },
    {"prefixItems",          IS_ARRAY  },
    {"additionalItems",      IS_ARRAY  },
    {"minItems",             IS_ARRAY  },
    {"maxItems",             IS_ARRAY  },
    {"uniqueItems",          IS_ARRAY  },
    {"minLength",            IS_STRING },
    {"maxLength",            IS_STRING },
    {"pattern",              IS_STRING },
    {"format",               IS_STRING },
    {"minimum",              IS_NUMERIC},
    {"maximum",              IS_NUMERIC},
    {"exclusiveMinimum",     IS_NUMERIC},
    {"exclusiveMaximum",     IS_NUMERIC},
    {"multipleOf",           IS_NUMERIC},
};

static const keyword_row *keyword_named(const char *name) {
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
        if (strcmp(keywords[i].name, name) == 0) return &keywords[i];
    }
    return NULL;
}

/* Which types keywords of s speak of; what is unknown is refused. */
static fal_status check_keywords(const fal_schema_converter *c, const json_t *s, int *spoken_of,
                                 fal_error *err) {
    const char *key;
    json_t *value;
    *spoken_of = 0;
    json_object_foreach((json_t *)(uintptr_t)s, key, value) {
        const keyword_row *row = keyword_named(key);
        if (!row && strncmp(key, "x-", 2) != 0)
            return fal_schema_refuse(c, err, "'%s' cannot be enforced",
                                     fal_quote(fal_slice_of(key)).text);
        if (row) *spoken_of |= row->types;
    }
    return FAL_OK;
}

static fal_status type_named(const fal_schema_converter *c, const json_t *name, int *out,
                             fal_error *err) {
    const char *text = json_string_value(name);
    if (!text) return fal_schema_malformed(c, err, "a type is a word");
    /* As servers call any object; only at the top. */
    if (strcmp(text, "json_object") == 0 && c->place.length == 1) text = "object";
    for (int i = 0; i < N_TYPES; i++) {
        if (strcmp(types[i].name, text) == 0) {
            *out |= types[i].type;
            return FAL_OK;
        }
    }
    return fal_schema_malformed(c, err, "there is no type '%s'",
                                fal_quote(fal_slice_of(text)).text);
}

/* Without a type: those that keywords speak of, else all. */
static fal_status find_types(const fal_schema_converter *c, const json_t *s, int *out,
                             fal_error *err) {
    int spoken_of;
    FAL_TRY(check_keywords(c, s, &spoken_of, err));
    const json_t *type = json_object_get(s, "type");
    *out = 0;
    if (!type) {
        *out = spoken_of & IS_NUMBER ? spoken_of & ~IS_INTEGER : spoken_of ? spoken_of : IS_ANY;
        return FAL_OK;
    }
    if (!json_is_array(type)) return type_named(c, type, out, err);
    for (size_t i = 0; i < json_array_size(type); i++)
        FAL_TRY(type_named(c, json_array_get(type, i), out, err));
    if (*out & IS_NUMBER) *out &= ~IS_INTEGER;
    return *out ? FAL_OK : fal_schema_malformed(c, err, "no type is allowed");
}

/* ---- messages and places ---- */

__attribute__((format(printf, 4, 0))) static fal_status fail_at(const fal_schema_converter *c,
                                                                fal_error *err, fal_status status,
                                                                const char *format,
                                                                va_list arguments) {
    char message[300];
    vsnprintf(message, sizeof message, format, arguments);
    const char *place = c->place.text ? c->place.text : "#";
    return fal_fail(err, status, "schema at '%s': %s", fal_quote(fal_slice_of(place)).text,
                    message);
}

fal_status fal_schema_refuse(const fal_schema_converter *c, fal_error *err, const char *format,
                             ...) {
    va_list arguments;
    va_start(arguments, format);
    fal_status status = fail_at(c, err, FAL_E_UNSUPPORTED, format, arguments);
    va_end(arguments);
    return status;
}

fal_status fal_schema_malformed(const fal_schema_converter *c, fal_error *err, const char *format,
                                ...) {
    va_list arguments;
    va_start(arguments, format);
    fal_status status = fail_at(c, err, FAL_E_FORMAT, format, arguments);
    va_end(arguments);
    return status;
}

size_t fal_schema_enter(fal_schema_converter *c, const char *step) {
    size_t before = c->place.length;
    fal_string_append_text(&c->place, "/");
    fal_string_append_text(&c->place, step);
    return before;
}

void fal_schema_leave(fal_schema_converter *c, size_t before) {
    if (c->place.failed) return;
    c->place.length = before;
    c->place.text[before] = '\0';
}

fal_status fal_schema_count(const fal_schema_converter *c, const json_t *s, const char *keyword,
                            int32_t missing, int32_t *out, fal_error *err) {
    const json_t *value = json_object_get(s, keyword);
    *out = missing;
    if (!value) return FAL_OK;
    double number = json_number_value(value);
    if (!json_is_number(value) || number < 0 || number != (double)(int64_t)number)
        return fal_schema_malformed(c, err, "'%s' is a number of things", keyword);
    if (number > MAX_COUNT)
        return fal_fail(err, FAL_E_LIMIT, "schema at '%s': '%s' is %.0f, at most %d is possible",
                        c->place.text, keyword, number, MAX_COUNT);
    *out = (int32_t)number;
    return FAL_OK;
}

/* ---- text of GBNF ---- */

void fal_gbnf_literal(fal_string_builder *out, const char *text, size_t length) {
    fal_string_append_text(out, "\"");
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\')
            fal_string_append_format(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            fal_string_append_format(out, "\\x%02X", c);
        else
            fal_string_append(out, text + i, 1);
    }
    fal_string_append_text(out, "\"");
}

void fal_gbnf_class_character(fal_string_builder *out, uint32_t character) {
    bool is_plain = (character >= '0' && character <= '9') || (character >= 'a' && character <= 'z')
                    || (character >= 'A' && character <= 'Z');
    if (is_plain)
        fal_string_append_format(out, "%c", (char)character);
    else
        fal_string_append_format(out, "\\U%08X", character);
}

void fal_gbnf_bounds(fal_string_builder *out, int32_t least, int32_t most) {
    if (most < 0)
        fal_string_append_format(out, "{%d,}", least);
    else
        fal_string_append_format(out, "{%d,%d}", least, most);
}

/* ---- constants ---- */

static fal_status write_value(fal_schema_converter *c, const json_t *value, int depth,
                              fal_string_builder *out, fal_error *err);

/* A member or element, and what is between it and the one before it. */
static fal_status write_part(fal_schema_converter *c, const char *key, const json_t *value,
                             bool is_first, int depth, fal_string_builder *out, fal_error *err) {
    if (!is_first) fal_string_append_text(out, "\",\" ws ");
    if (key) {
        json_t *name = json_string(key);
        fal_status status =
            name ? write_value(c, name, depth + 1, out, err) : fal_fail_memory(err, 0);
        json_decref(name);
        FAL_TRY(status);
        fal_string_append_text(out, "colon ");
    }
    return write_value(c, value, depth + 1, out, err);
}

static fal_status write_parts(fal_schema_converter *c, const json_t *value, int depth,
                              fal_string_builder *out, fal_error *err) {
    bool is_object = json_is_object(value), is_first = true;
    fal_string_append_text(out, is_object ? "\"{\" ws " : "\"[\" ws ");
    for (size_t i = 0; i < json_array_size(value); i++, is_first = false)
        FAL_TRY(write_part(c, NULL, json_array_get(value, i), is_first, depth, out, err));
    const char *key;
    json_t *member;
    json_object_foreach((json_t *)(uintptr_t)value, key, member) {
        FAL_TRY(write_part(c, key, member, is_first, depth, out, err));
        is_first = false;
    }
    if (!is_first) fal_string_append_text(out, "ws ");
    fal_string_append_text(out, is_object ? "\"}\" " : "\"]\" ");
    return FAL_OK;
}

static int append_dumped(const char *text, size_t length, void *out) {
    fal_string_append(out, text, length);
    return 0;
}

/* Real numbers with as few digits as bring them back. */
void fal_schema_dump(fal_string_builder *out, const json_t *value) {
    size_t before = out->length;
    if (json_dump_callback(value, append_dumped, out, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)))
        out->failed = true;
    if (!json_is_real(value) || out->failed
        || strtod(out->text + before, NULL) == json_real_value(value))
        return;
    out->length = before;
    if (json_dump_callback(value, append_dumped, out, JSON_ENCODE_ANY | JSON_REAL_PRECISION(17)))
        out->failed = true;
}

static fal_status write_value(fal_schema_converter *c, const json_t *value, int depth,
                              fal_string_builder *out, fal_error *err) {
    if (depth > MAX_DEPTH) return fal_schema_refuse(c, err, "nested deeper than %d", MAX_DEPTH);
    if (json_is_object(value) || json_is_array(value))
        return write_parts(c, value, depth, out, err);
    fal_string_builder text = {0};
    fal_schema_dump(&text, value);
    fal_status status = fal_string_status(&text, err);
    if (status == FAL_OK) fal_gbnf_literal(out, text.text, text.length);
    fal_string_append_text(out, " ");
    fal_string_release(&text);
    return status;
}

static int type_of(const json_t *value) {
    if (json_is_null(value)) return IS_NULL;
    if (json_is_boolean(value)) return IS_BOOLEAN;
    if (json_is_object(value)) return IS_OBJECT;
    if (json_is_array(value)) return IS_ARRAY;
    if (json_is_string(value)) return IS_STRING;
    return json_is_integer(value) ? IS_NUMERIC : IS_NUMBER;
}

/* The values of enum or const that are of the schema's types. */
static fal_status write_values(fal_schema_converter *c, const json_t *s, fal_string_builder *out,
                               fal_error *err) {
    static const char *const beside[] = {"anyOf", "oneOf", "allOf", "$ref"};
    int allowed, spoken_of, n_written = 0;
    FAL_TRY(find_types(c, s, &allowed, err));
    FAL_TRY(check_keywords(c, s, &spoken_of, err));
    if (!json_object_get(s, "type")) allowed = IS_ANY;
    const json_t *list = json_object_get(s, "enum"), *only = json_object_get(s, "const");
    if (list && !json_is_array(list)) return fal_schema_malformed(c, err, "'enum' is a list");
    for (size_t i = 0; i < sizeof beside / sizeof beside[0]; i++) {
        if (json_object_get(s, beside[i])) spoken_of = 1;
    }
    if (spoken_of)
        return fal_schema_refuse(c, err, "'%s' cannot be enforced beside other keywords",
                                 list ? "enum" : "const");
    for (size_t i = 0; i < (list ? json_array_size(list) : 1); i++) {
        const json_t *value = list ? json_array_get(list, i) : only;
        if (!(type_of(value) & allowed)) continue;
        if (list && only && !json_equal((json_t *)(uintptr_t)value, (json_t *)(uintptr_t)only))
            continue;
        if (n_written++) fal_string_append_text(out, "| ");
        FAL_TRY(write_value(c, value, 0, out, err));
    }
    return n_written ? FAL_OK : fal_schema_refuse(c, err, "no value is left that is allowed");
}

/* ---- choices ---- */

/* The schema without its choice and what says nothing; NULL in *out: nothing is left. */
static fal_status rest_of(const json_t *s, const char *choice, json_t **out, fal_error *err) {
    *out = json_copy((json_t *)(uintptr_t)s);
    if (!*out) return fal_fail_memory(err, 0);
    json_object_del(*out, choice);
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
        const keyword_row *row = &keywords[i];
        if (strcmp(row->name, "$ref") == 0) break;
        json_object_del(*out, row->name);
    }
    static const char *const silent[] = {"title",      "description", "default",   "examples",
                                         "deprecated", "readOnly",    "writeOnly", "discriminator"};
    for (size_t i = 0; i < sizeof silent / sizeof silent[0]; i++)
        json_object_del(*out, silent[i]);
    if (json_object_size(*out) == 0) {
        json_decref(*out);
        *out = NULL;
    }
    return FAL_OK;
}

/* The rule of a branch together with the rest, which is the caller's and may be NULL. */
static fal_status visit_with(fal_schema_converter *c, json_t *rest, json_t *branch, int32_t *rule,
                             fal_error *err) {
    if (!rest) return fal_schema_visit(c, branch, rule, err);
    const json_t *merged;
    json_t *both = json_pack("[O, O]", rest, branch);
    fal_status status = both ? fal_schema_merge(c, both, &merged, err) : fal_fail_memory(err, 0);
    if (status == FAL_OK) status = fal_schema_visit(c, merged, rule, err);
    json_decref(both);
    return status;
}

/* What a branch allows, as far as a look at its top tells. */
typedef struct outline {
    const json_t *schema;
    int types;
} outline;

static fal_status outline_of(const fal_schema_converter *c, const json_t *branch, outline *out,
                             fal_error *err) {
    for (int i = 0; i < MAX_DEPTH; i++) {
        const char *reference = json_string_value(json_object_get(branch, "$ref"));
        if (!reference) break;
        FAL_TRY(fal_schema_resolve(c, reference, &branch, err));
    }
    out->schema = branch;
    out->types = IS_ANY;
    if (json_object_get(branch, "type")) FAL_TRY(find_types(c, branch, &out->types, err));
    if (out->types & IS_NUMBER) out->types |= IS_INTEGER;
    return FAL_OK;
}

static bool holds(const json_t *list, const json_t *value) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (json_equal(json_array_get(list, i), value)) return true;
    }
    return false;
}

/* Whether the constants of two schemas are known and have none in common. */
static bool differ_in_constants(const json_t *a, const json_t *b) {
    const json_t *list[2] = {json_object_get(a, "enum"), json_object_get(b, "enum")};
    const json_t *only[2] = {json_object_get(a, "const"), json_object_get(b, "const")};
    if (only[0] && only[1]) return !json_equal(only[0], only[1]);
    if (only[0] && list[1]) return !holds(list[1], only[0]);
    if (only[1] && list[0]) return !holds(list[0], only[1]);
    if (!list[0] || !list[1]) return false;
    for (size_t i = 0; i < json_array_size(list[0]); i++) {
        if (holds(list[1], json_array_get(list[0], i))) return false;
    }
    return true;
}

static bool is_required(const json_t *s, const char *key) {
    const json_t *required = json_object_get(s, "required");
    for (size_t i = 0; i < json_array_size(required); i++) {
        const char *name = json_string_value(json_array_get(required, i));
        if (name && strcmp(name, key) == 0) return true;
    }
    return false;
}

/* Whether no document can be of both. */
static bool exclude_each_other(const outline *a, const outline *b) {
    if (!(a->types & b->types) || differ_in_constants(a->schema, b->schema)) return true;
    if ((a->types & b->types) != IS_OBJECT) return false;
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(a->schema, "properties"), key, value) {
        const json_t *other = json_object_get(json_object_get(b->schema, "properties"), key);
        if (other && is_required(a->schema, key) && is_required(b->schema, key)
            && differ_in_constants(value, other))
            return true;
    }
    return false;
}

static fal_status check_one_of(const fal_schema_converter *c, const json_t *branches,
                               fal_error *err) {
    size_t n = json_array_size(branches);
    if (n > 200) return fal_schema_refuse(c, err, "'oneOf' has %zu branches, at most 200", n);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++) {
            outline a, b;
            FAL_TRY(outline_of(c, json_array_get(branches, k), &a, err));
            FAL_TRY(outline_of(c, json_array_get(branches, i), &b, err));
            if (!exclude_each_other(&a, &b))
                return fal_schema_refuse(
                    c, err, "'oneOf' cannot be enforced: %zu and %zu may hold both; see 'anyOf'", k,
                    i);
        }
    }
    return FAL_OK;
}

static fal_status write_choice(fal_schema_converter *c, const json_t *s, const char *choice,
                               fal_string_builder *out, fal_error *err) {
    const json_t *branches = json_object_get(s, choice);
    json_t *rest = NULL;
    if (!json_is_array(branches) || json_array_size(branches) == 0)
        return fal_schema_malformed(c, err, "'%s' is a list of schemas", choice);
    if (strcmp(choice, "oneOf") == 0) FAL_TRY(check_one_of(c, branches, err));
    FAL_TRY(rest_of(s, choice, &rest, err));
    fal_status status = FAL_OK;
    for (size_t i = 0; i < json_array_size(branches) && status == FAL_OK; i++) {
        char step[32];
        int32_t rule = 0;
        snprintf(step, sizeof step, "%s/%zu", choice, i);
        size_t before = fal_schema_enter(c, step);
        status = visit_with(c, rest, json_array_get(branches, i), &rule, err);
        fal_schema_leave(c, before);
        if (status == FAL_OK) fal_string_append_format(out, "%ss%d ", i ? "| " : "", rule);
    }
    json_decref(rest);
    return status;
}

/* allOf and $ref beside others: one schema that asks for all. */
static fal_status write_merged(fal_schema_converter *c, const json_t *s, const char *keyword,
                               fal_string_builder *out, fal_error *err) {
    json_t *rest = NULL, *all = json_array(), *asked = json_object_get(s, keyword);
    const json_t *merged;
    int32_t rule;
    fal_status status = all ? rest_of(s, keyword, &rest, err) : fal_fail_memory(err, 0);
    if (status == FAL_OK && rest && json_array_append(all, rest)) status = fal_fail_memory(err, 0);
    if (status == FAL_OK) {
        int failed = json_is_array(asked)
                         ? json_array_extend(all, asked)
                         : json_array_append_new(all, json_pack("{s:O}", keyword, asked));
        status = failed ? fal_fail_memory(err, 0) : fal_schema_merge(c, all, &merged, err);
    }
    if (status == FAL_OK) status = fal_schema_visit(c, merged, &rule, err);
    if (status == FAL_OK) fal_string_append_format(out, "s%d ", rule);
    json_decref(rest);
    json_decref(all);
    return status;
}

static fal_status write_reference(fal_schema_converter *c, const json_t *s, fal_string_builder *out,
                                  fal_error *err) {
    const json_t *target;
    json_t *rest;
    int32_t rule;
    const char *reference = json_string_value(json_object_get(s, "$ref"));
    if (!reference) return fal_schema_malformed(c, err, "'$ref' is a text");
    FAL_TRY(rest_of(s, "$ref", &rest, err));
    json_decref(rest);
    if (rest) return write_merged(c, s, "$ref", out, err);
    FAL_TRY(fal_schema_resolve(c, reference, &target, err));
    fal_string_builder place = c->place;
    c->place = (fal_string_builder){0};
    fal_string_append_text(&c->place, reference);
    fal_status status = fal_schema_visit(c, target, &rule, err);
    fal_string_release(&c->place);
    c->place = place;
    if (status == FAL_OK) fal_string_append_format(out, "s%d ", rule);
    return status;
}

/* ---- schemas ---- */

static fal_status write_types(fal_schema_converter *c, const json_t *s, fal_string_builder *out,
                              fal_error *err) {
    int allowed, n_written = 0;
    FAL_TRY(find_types(c, s, &allowed, err));
    for (int i = 0; i < N_TYPES; i++) {
        if (!(types[i].type & allowed)) continue;
        if (n_written++) fal_string_append_text(out, "| ");
        if (types[i].write)
            FAL_TRY(types[i].write(c, s, out, err));
        else
            fal_string_append_format(out, "%s ", types[i].rule);
    }
    return FAL_OK;
}

static fal_status write_schema(fal_schema_converter *c, const json_t *s, fal_string_builder *out,
                               fal_error *err) {
    int spoken_of;
    if (json_is_true(s)) {
        fal_string_append_text(out, "value ");
        return FAL_OK;
    }
    if (json_is_false(s)) return fal_schema_refuse(c, err, "'false' allows nothing");
    if (!json_is_object(s)) return fal_schema_malformed(c, err, "a schema is an object");
    FAL_TRY(check_keywords(c, s, &spoken_of, err));
    if (json_object_get(s, "allOf")) return write_merged(c, s, "allOf", out, err);
    if (json_object_get(s, "$ref")) return write_reference(c, s, out, err);
    if (json_object_get(s, "anyOf")) return write_choice(c, s, "anyOf", out, err);
    if (json_object_get(s, "oneOf")) return write_choice(c, s, "oneOf", out, err);
    if (json_object_get(s, "enum") || json_object_get(s, "const"))
        return write_values(c, s, out, err);
    return write_types(c, s, out, err);
}

static size_t slot_of(const fal_schema_converter *c, const json_t *schema) {
    size_t at = fal_hash_add(0, (uint64_t)(uintptr_t)schema) & (c->table_size - 1);
    while (c->table[at].schema && c->table[at].schema != schema)
        at = (at + 1) & (c->table_size - 1);
    return at;
}

static fal_status know(fal_schema_converter *c, const json_t *schema, int32_t rule,
                       fal_error *err) {
    if (2 * c->n_known >= c->table_size) {
        fal_schema_converter grown = {.table_size = c->table_size ? 2 * c->table_size : 256};
        grown.table = fal_alloc(grown.table_size, sizeof *grown.table);
        if (!grown.table) return fal_fail_memory(err, 0);
        for (size_t i = 0; i < c->table_size; i++) {
            if (c->table[i].schema) grown.table[slot_of(&grown, c->table[i].schema)] = c->table[i];
        }
        fal_free(c->table);
        c->table = grown.table;
        c->table_size = grown.table_size;
    }
    c->table[slot_of(c, schema)] = (fal_schema_rule){schema, rule};
    c->n_known++;
    return FAL_OK;
}

/* jansson has one true and one false for all: these have no address of their own, and need none. */
fal_status fal_schema_visit(fal_schema_converter *c, const json_t *schema, int32_t *rule,
                            fal_error *err) {
    if (c->table_size) {
        const fal_schema_rule *known = &c->table[slot_of(c, schema)];
        *rule = known->rule;
        if (known->schema) return FAL_OK;
    }
    if (c->depth >= MAX_DEPTH)
        return fal_fail(err, FAL_E_LIMIT, "schema: nested deeper than %d", MAX_DEPTH);
    if (c->n_rules >= MAX_RULES)
        return fal_fail(err, FAL_E_LIMIT, "schema: over %d parts", MAX_RULES);
    *rule = c->n_rules++;
    FAL_TRY(know(c, schema, *rule, err));
    fal_string_builder body = {0};
    c->depth++;
    fal_status status = write_schema(c, schema, &body, err);
    c->depth--;
    if (status == FAL_OK) status = fal_string_status(&body, err);
    if (status == FAL_OK) fal_string_append_format(c->out, "s%d ::= %s\n", *rule, body.text);
    fal_string_release(&body);
    return status;
}

/* ---- the whole ---- */

static fal_status convert(fal_schema_converter *c, fal_error *err) {
    int32_t rule;
    fal_string_append_text(&c->place, "#");
    c->made = json_array();
    if (!c->made) return fal_fail_memory(err, 0);
    FAL_TRY(fal_schema_visit(c, c->root, &rule, err));
    fal_string_append_format(c->out, "root ::= s%d\n", rule);
    fal_string_append_text(c->out, basic_rules);
    return fal_string_status(c->out, err);
}

fal_status fal_json_schema_to_gbnf(fal_string_builder *out, const char *schema, size_t length,
                                   fal_error *err) {
    json_error_t error;
    if (length > MAX_SCHEMA_BYTES)
        return fal_fail(err, FAL_E_LIMIT, "schema: %zu bytes, at most %d", length,
                        MAX_SCHEMA_BYTES);
    json_t *root = json_loadb(schema, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!root)
        return fal_fail(err, FAL_E_FORMAT, "schema, line %d, column %d: %s", error.line,
                        error.column, fal_quote(fal_slice_of(error.text)).text);
    fal_schema_converter c = {.root = root, .out = out};
    fal_status status = convert(&c, err);
    json_decref(c.made);
    fal_string_release(&c.place);
    fal_free(c.table);
    json_decref(root);
    return status;
}
