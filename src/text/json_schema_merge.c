/* References within a schema, and one schema in place of several that all hold (allOf). */
#include "text/json_schema_private.h"
#include "text/quote.h"

#include <stdlib.h>
#include <string.h>

/* ---- references ---- */

static int hex_value(char c) {
    static const char digits[] = "0123456789abcdef";
    const char *found = c ? strchr(digits, c | 0x20) : NULL;
    return found && (c < '0' || c > '9' ? c >= 'A' : true) ? (int)(found - digits) : -1;
}

/* One step of a pointer: %XX, then ~1 and ~0. */
static void append_step(fal_string_builder *out, const char *step, size_t length) {
    for (size_t i = 0; i < length; i++) {
        char c = step[i];
        if (c == '%' && i + 2 < length + 0 && hex_value(step[i + 1]) >= 0
            && hex_value(step[i + 2]) >= 0) {
            c = (char)(hex_value(step[i + 1]) << 4 | hex_value(step[i + 2]));
            i += 2;
        } else if (c == '~' && i + 1 < length && (step[i + 1] == '0' || step[i + 1] == '1')) {
            c = step[++i] == '0' ? '~' : '/';
        }
        fal_string_append(out, &c, 1);
    }
}

static const json_t *step_into(const json_t *from, const char *step) {
    if (json_is_object(from)) return json_object_get(from, step);
    char *end;
    unsigned long index = strtoul(step, &end, 10);
    if (!json_is_array(from) || *step == '\0' || *end) return NULL;
    return json_array_get(from, index);
}

fal_status fal_schema_resolve(const fal_schema_converter *c, const char *reference,
                              const json_t **out, fal_error *err) {
    if (reference[0] != '#' || (reference[1] && reference[1] != '/'))
        return fal_schema_refuse(c, err, "'$ref' to '%s': only '#' and '#/...' can be followed",
                                 fal_quote(fal_slice_of(reference)).text);
    fal_string_builder step = {0};
    fal_status status = FAL_OK;
    *out = c->root;
    for (const char *at = reference + 1; *at == '/' && *out && status == FAL_OK;) {
        size_t length = strcspn(at + 1, "/");
        fal_string_clear(&step);
        append_step(&step, at + 1, length);
        fal_string_append(&step, "", 0);
        status = fal_string_status(&step, err);
        if (status == FAL_OK) *out = step_into(*out, step.text ? step.text : "");
        at += 1 + length;
    }
    fal_string_release(&step);
    if (status == FAL_OK && !*out)
        return fal_schema_malformed(c, err, "'$ref' to '%s', which is not there",
                                    fal_quote(fal_slice_of(reference)).text);
    return status;
}

/* ---- merging ---- */

typedef enum merge_kind {
    MERGE_IGNORED, /* says nothing */
    MERGE_LARGER,  /* the larger number holds */
    MERGE_SMALLER, /* the smaller number holds */
    MERGE_BOTH,    /* both schemas hold: allOf */
    MERGE_UNION,   /* a list with the members of both */
    MERGE_SHARED,  /* what both have in common */
    MERGE_MEMBERS, /* properties */
    MERGE_EITHER   /* true if one of them is */
} merge_kind;

typedef struct merge_row {
    const char *keyword;
    merge_kind kind;
} merge_row;

/* What is not here must be equal. */
static const merge_row rows[] = {
    {"$schema",          MERGE_IGNORED},
    {"$id",              MERGE_IGNORED},
    {"$comment",         MERGE_IGNORED},
    {"$defs",            MERGE_IGNORED},
    {"definitions",      MERGE_IGNORED},
    {"title",            MERGE_IGNORED},
    {"description",      MERGE_IGNORED},
    {"default",          MERGE_IGNORED},
    {"examples",         MERGE_IGNORED},
    {"deprecated",       MERGE_IGNORED},
    {"readOnly",         MERGE_IGNORED},
    {"writeOnly",        MERGE_IGNORED},
    {"discriminator",    MERGE_IGNORED},
    {"minLength",        MERGE_LARGER },
    {"minItems",         MERGE_LARGER },
    {"minProperties",    MERGE_LARGER },
    {"minimum",          MERGE_LARGER },
    {"exclusiveMinimum", MERGE_LARGER },
    {"maxLength",        MERGE_SMALLER},
    {"maxItems",         MERGE_SMALLER},
    {"maxProperties",    MERGE_SMALLER},
    {"maximum",          MERGE_SMALLER},
    {"exclusiveMaximum", MERGE_SMALLER},
    {"items",            MERGE_BOTH   },
    {"required",         MERGE_UNION  },
    {"enum",             MERGE_SHARED },
    {"properties",       MERGE_MEMBERS},
    {"uniqueItems",      MERGE_EITHER },
};

static merge_kind kind_of(const char *keyword, bool *is_known) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        *is_known = strcmp(rows[i].keyword, keyword) == 0;
        if (*is_known) return rows[i].kind;
    }
    return MERGE_IGNORED;
}

static json_t *both_of(json_t *a, json_t *b) {
    return json_equal(a, b) ? json_incref(a) : json_pack("{s:[O,O]}", "allOf", a, b);
}

/* With `is_union` also what only b has; else only what both have. */
static json_t *lists_of(json_t *a, json_t *b, bool is_union) {
    json_t *out = is_union ? json_copy(a) : json_array();
    for (size_t i = 0; out && i < json_array_size(b); i++) {
        json_t *value = json_array_get(b, i);
        bool is_in_a = false;
        for (size_t k = 0; k < json_array_size(a) && !is_in_a; k++)
            is_in_a = json_equal(json_array_get(a, k), value);
        if (is_in_a != is_union && json_array_append(out, value)) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

static json_t *members_of(json_t *a, json_t *b) {
    json_t *out = json_copy(a);
    const char *key;
    json_t *value;
    json_object_foreach(b, key, value) {
        json_t *before = json_object_get(out, key);
        if (out
            && json_object_set_new(out, key,
                                   before ? both_of(before, value) : json_incref(value))) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

static json_t *number_of(json_t *a, json_t *b, bool is_larger) {
    return json_incref((json_number_value(a) > json_number_value(b)) == is_larger ? a : b);
}

static json_t *shared_types(json_t *a, json_t *b) {
    json_t *first = json_is_array(a) ? json_incref(a) : json_pack("[O]", a);
    json_t *second = json_is_array(b) ? json_incref(b) : json_pack("[O]", b);
    json_t *out = lists_of(first, second, false);
    for (int turn = 0; out && turn < 2; turn++) { /* an integer is a number, too */
        json_t *some = turn ? second : first, *others = turn ? first : second;
        bool has_integer = false, has_number = false;
        for (size_t i = 0; i < json_array_size(some); i++) {
            const char *name = json_string_value(json_array_get(some, i));
            has_integer = has_integer || (name && strcmp(name, "integer") == 0);
        }
        for (size_t i = 0; i < json_array_size(others); i++) {
            const char *name = json_string_value(json_array_get(others, i));
            has_number = has_number || (name && strcmp(name, "number") == 0);
        }
        if (has_integer && has_number && json_array_append_new(out, json_string("integer"))) {
            json_decref(out);
            out = NULL;
        }
    }
    json_decref(first);
    json_decref(second);
    return out;
}

/* Objects that forbid other keys than theirs: those of the other schema must be among these. */
static bool are_keys_closed(const json_t *s) {
    return json_object_get(s, "additionalProperties")
           && !json_is_true(json_object_get(s, "additionalProperties"));
}

static bool has_all_keys(const json_t *s, const json_t *other) {
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(other, "properties"), key, value) {
        if (!json_object_get(json_object_get(s, "properties"), key)) return false;
    }
    return true;
}

static fal_status merge_value(fal_schema_converter *c, json_t *into, const char *key, json_t *value,
                              fal_error *err) {
    json_t *before = json_object_get(into, key), *merged = NULL;
    bool is_known;
    merge_kind kind = kind_of(key, &is_known);
    if (!before) {
        return json_object_set(into, key, value) ? fal_fail_memory(err, 0) : FAL_OK;
    } else if ((is_known && kind == MERGE_IGNORED) || json_equal(before, value)) {
        return FAL_OK;
    } else if (strcmp(key, "type") == 0) {
        merged = shared_types(before, value);
    } else if (!is_known) {
        return fal_schema_refuse(c, err, "'%s' of several parts cannot be enforced together",
                                 fal_quote(fal_slice_of(key)).text);
    } else if (kind == MERGE_LARGER || kind == MERGE_SMALLER) {
        merged = number_of(before, value, kind == MERGE_LARGER);
    } else if (kind == MERGE_BOTH) {
        merged = both_of(before, value);
    } else if (kind == MERGE_UNION || kind == MERGE_SHARED) {
        merged = lists_of(before, value, kind == MERGE_UNION);
    } else if (kind == MERGE_MEMBERS) {
        merged = members_of(before, value);
    } else {
        merged = json_boolean(json_is_true(before) || json_is_true(value));
    }
    return json_object_set_new(into, key, merged) ? fal_fail_memory(err, 0) : FAL_OK;
}

/* Adds what a schema asks for to `into`; references are followed first. */
static fal_status merge_schema(fal_schema_converter *c, json_t *into, const json_t *s, int depth,
                               fal_error *err) {
    const char *key;
    json_t *value;
    if (json_is_true(s)) return FAL_OK;
    if (!json_is_object(s)) return fal_schema_refuse(c, err, "a part of 'allOf' allows nothing");
    if (depth > 50)
        return fal_fail(err, FAL_E_LIMIT, "schema at '%s': 'allOf' goes round in circles",
                        c->place.text);
    bool is_closed = are_keys_closed(into), other_is_closed = are_keys_closed(s);
    if ((is_closed && !has_all_keys(into, s)) || (other_is_closed && !has_all_keys(s, into)))
        return fal_schema_refuse(
            c, err, "'additionalProperties' of several parts cannot be enforced together");
    json_object_foreach((json_t *)(uintptr_t)s, key, value) {
        const json_t *target;
        if (strcmp(key, "$ref") == 0 && json_is_string(value)) {
            FAL_TRY(fal_schema_resolve(c, json_string_value(value), &target, err));
            FAL_TRY(merge_schema(c, into, target, depth + 1, err));
        } else if (strcmp(key, "allOf") == 0) {
            for (size_t i = 0; i < json_array_size(value); i++)
                FAL_TRY(merge_schema(c, into, json_array_get(value, i), depth + 1, err));
        } else {
            FAL_TRY(merge_value(c, into, key, value, err));
        }
    }
    return FAL_OK;
}

fal_status fal_schema_merge(fal_schema_converter *c, const json_t *schemas, const json_t **out,
                            fal_error *err) {
    json_t *merged = json_object();
    if (!merged || json_array_append_new(c->made, merged)) return fal_fail_memory(err, 0);
    for (size_t i = 0; i < json_array_size(schemas); i++)
        FAL_TRY(merge_schema(c, merged, json_array_get(schemas, i), 0, err));
    *out = merged;
    return FAL_OK;
}
