/* Objects and arrays of a schema. Keys come in the order of `properties`, then additional ones. What follows a member is a
 * rule of its own, so that the grammar grows with the number of properties and not with its square. */
#include "base/alloc.h"
#include "text/json_schema_private.h"
#include "text/quote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- keys that are none of the listed ones ---- */

/* A key as it stands in JSON: characters, or escapes of two characters, each a unit. */
static size_t unit_length(const char *key) {
    size_t length = key[0] == '\\' ? 2 : 1;
    while ((key[length] & 0xc0) == 0x80)
        length++;
    return length;
}

typedef struct key_list {
    char **items; /* sorted, escaped, without quotation marks */
    size_t count;
} key_list;

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void release_keys(key_list *keys) {
    for (size_t i = 0; keys->items && i < keys->count; i++)
        fal_free(keys->items[i]);
    fal_free(keys->items);
}

/* A key as JSON, with its quotation marks. Released by the caller, unless that fails. */
static fal_status quoted_key(fal_string_builder *text, const char *key, fal_error *err) {
    json_t *name = json_string(key);
    if (name)
        fal_schema_dump(text, name);
    else
        text->failed = true;
    json_decref(name);
    fal_status status = fal_string_status(text, err);
    if (status != FAL_OK) fal_string_release(text);
    return status;
}

static fal_status collect_keys(fal_schema_converter *c, const json_t *properties, key_list *out,
                               fal_error *err) {
    const char *key;
    json_t *value;
    out->items = fal_alloc(json_object_size(properties) + 1, sizeof *out->items);
    if (!out->items) return fal_fail_memory(err, 0);
    json_object_foreach((json_t *)(uintptr_t)properties, key, value) {
        fal_string_builder text = {0};
        FAL_TRY(quoted_key(&text, key, err));
        out->items[out->count] = fal_copy_string(text.text + 1, text.length - 2);
        fal_string_release(&text);
        if (!out->items[out->count]) return fal_fail_memory(err, 0);
        if (strstr(out->items[out->count++], "\\u"))
            return fal_schema_refuse(c, err, "additional keys beside '%s' cannot be enforced",
                                     fal_quote(fal_slice_of(key)).text);
    }
    qsort(out->items, out->count, sizeof *out->items, by_text);
    return FAL_OK;
}

/* The units that keys [begin, end) have at `at`: one class of what is plain, one of what is escaped. */
static void append_other_units(fal_string_builder *out, const key_list *keys, size_t begin,
                               size_t end, size_t at) {
    static const char escapes[] = "\"\\bfnrt";
    bool is_taken[sizeof escapes] = {0};
    fal_string_append_text(out, "[^\"\\\\\\x00-\\x1F");
    for (size_t i = begin; i < end; i++) {
        const char *unit = keys->items[i] + at;
        const char *found = unit[0] == '\\' ? strchr(escapes, unit[1]) : NULL;
        if (found)
            is_taken[found - escapes] = true;
        else if (unit[0] == ']' || unit[0] == '-' || unit[0] == '^' || unit[0] == '[')
            fal_string_append_format(out, "\\%c", unit[0]);
        else if (unit[0])
            fal_string_append(out, unit, unit_length(unit));
    }
    fal_string_append_text(out, "]");
    bool is_first = true;
    for (size_t i = 0; escapes[i]; i++) {
        if (is_taken[i]) continue;
        fal_string_append_text(out, is_first ? " | \"\\\\\" [" : "");
        fal_string_append_format(out, escapes[i] == '"' || escapes[i] == '\\' ? "\\%c" : "%c",
                                 escapes[i]);
        is_first = false;
    }
    if (!is_first) fal_string_append_text(out, "]");
}

/* What may follow the first `at` bytes, which the keys [begin, end) begin with, so that none of them comes out; with the
 * quotation mark that ends it. Rules are
 * made for what follows each unit. */
static fal_status other_keys(fal_schema_converter *c, const key_list *keys, size_t begin,
                             size_t end, size_t at, int32_t *rule, fal_error *err) {
    fal_string_builder body = {0};
    fal_status status = FAL_OK;
    if (at > 2000) return fal_schema_refuse(c, err, "a key is longer than 2000 bytes");
    *rule = c->n_rules++;
    bool is_key = keys->items[begin][at] == '\0';
    fal_string_append_text(&body, is_key ? "" : "\"\\\"\" | ");
    fal_string_append_text(&body, "(");
    append_other_units(&body, keys, begin, end, at);
    fal_string_append_text(&body, ") key-rest ");
    for (size_t i = begin + is_key, next; i < end && status == FAL_OK; i = next) {
        int32_t deeper;
        size_t length = unit_length(keys->items[i] + at);
        for (next = i + 1; next < end; next++)
            if (strncmp(keys->items[next] + at, keys->items[i] + at, length) != 0) break;
        status = other_keys(c, keys, i, next, at + length, &deeper, err);
        fal_string_append_text(&body, "| ");
        fal_gbnf_literal(&body, keys->items[i] + at, length);
        fal_string_append_format(&body, " s%d ", status == FAL_OK ? deeper : 0);
    }
    if (status == FAL_OK) status = fal_string_status(&body, err);
    if (status == FAL_OK) fal_string_append_format(c->out, "s%d ::= %s\n", *rule, body.text);
    fal_string_release(&body);
    return status;
}

/* Appends the expression of an additional key. */
static fal_status write_additional_key(fal_schema_converter *c, const json_t *properties,
                                       fal_string_builder *out, fal_error *err) {
    key_list keys = {0};
    int32_t rule = 0;
    if (json_object_size(properties) == 0) {
        fal_string_append_text(out, "string ");
        return FAL_OK;
    }
    fal_status status = collect_keys(c, properties, &keys, err);
    if (status == FAL_OK) status = other_keys(c, &keys, 0, keys.count, 0, &rule, err);
    if (status == FAL_OK) fal_string_append_format(out, "\"\\\"\" s%d ", rule);
    release_keys(&keys);
    return status;
}

/* ---- objects ---- */

static bool is_listed(const json_t *list, const char *key) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (name && strcmp(name, key) == 0) return true;
    }
    return false;
}

/* An additional member as a rule; -1: there may be none. */
static fal_status additional_member(fal_schema_converter *c, const json_t *s, int32_t *rule,
                                    fal_error *err) {
    const json_t *properties = json_object_get(s, "properties");
    const json_t *additional = json_object_get(s, "additionalProperties");
    *rule = -1;
    if (json_is_false(additional) || (!additional && properties)) return FAL_OK;
    fal_string_builder body = {0};
    fal_status status = write_additional_key(c, properties, &body, err);
    fal_string_append_text(&body, "colon ");
    if (status == FAL_OK && additional && !json_is_true(additional)) {
        int32_t value = 0;
        size_t before = fal_schema_enter(c, "additionalProperties");
        status = fal_schema_visit(c, additional, &value, err);
        fal_schema_leave(c, before);
        fal_string_append_format(&body, "s%d", value);
    } else {
        fal_string_append_text(&body, "value");
    }
    *rule = c->n_rules++;
    if (status == FAL_OK) status = fal_string_status(&body, err);
    if (status == FAL_OK) fal_string_append_format(c->out, "s%d ::= %s\n", *rule, body.text);
    fal_string_release(&body);
    return status;
}

static fal_status visit_property(fal_schema_converter *c, const char *key, const json_t *schema,
                                 int32_t *rule, fal_error *err) {
    size_t outer = fal_schema_enter(c, "properties");
    fal_schema_enter(c, key);
    fal_status status = fal_schema_visit(c, schema, rule, err);
    fal_schema_leave(c, outer);
    return status;
}

/* Rules for what may come from a member on: rest, with others before it, and first, with none. Made from the last one
 * backwards. first -1: something is missing without the members before. */
typedef struct members {
    int32_t rest, first;
} members;

static fal_status put_member(fal_schema_converter *c, const char *key, int32_t value,
                             bool is_required, members *m, fal_error *err) {
    fal_string_builder quoted = {0}, name = {0};
    FAL_TRY(quoted_key(&quoted, key, err));
    fal_gbnf_literal(&name, quoted.text, quoted.length);
    fal_string_release(&quoted);
    int32_t member = c->n_rules++, rest = c->n_rules++, first = c->n_rules++;
    fal_status status = fal_string_status(&name, err);
    if (status == FAL_OK) {
        fal_string_append_format(c->out, "s%d ::= %s colon s%d\n", member, name.text, value);
        fal_string_append_format(c->out, "s%d ::= (\",\" ws s%d)%s s%d\n", rest, member,
                                 is_required ? "" : "?", m->rest);
        fal_string_append_format(c->out, "s%d ::= s%d s%d", first, member, m->rest);
        if (!is_required) fal_string_append_format(c->out, " | s%d", m->first);
        fal_string_append_text(c->out, "\n");
        *m = (members){rest, first};
    }
    fal_string_release(&name);
    return status;
}

/* What the bounds on the number of keys leave of additional ones. */
static fal_status key_bounds(fal_schema_converter *c, const json_t *s, bool has_additional,
                             int32_t *most, fal_error *err) {
    const json_t *properties = json_object_get(s, "properties");
    int32_t least, n_listed = (int32_t)json_object_size(properties);
    int32_t n_required = (int32_t)json_array_size(json_object_get(s, "required"));
    FAL_TRY(fal_schema_count(c, s, "minProperties", 0, &least, err));
    FAL_TRY(fal_schema_count(c, s, "maxProperties", -1, most, err));
    if (least > n_required && !(least == 1 && n_listed == 0 && has_additional))
        return fal_schema_refuse(c, err, "'minProperties' cannot be enforced");
    if (*most >= 0 && (n_listed > *most || (has_additional && n_listed > 0)))
        return fal_schema_refuse(c, err, "'maxProperties' cannot be enforced");
    return FAL_OK;
}

/* The rules behind the last listed member: additional ones, as many as may be. */
static fal_status end_of_members(fal_schema_converter *c, const json_t *s, members *m,
                                 fal_error *err) {
    int32_t additional, most, least;
    FAL_TRY(additional_member(c, s, &additional, err));
    FAL_TRY(key_bounds(c, s, additional >= 0, &most, err));
    FAL_TRY(fal_schema_count(c, s, "minProperties", 0, &least, err));
    m->rest = c->n_rules++;
    m->first = c->n_rules++;
    if (additional < 0 || most == 0) {
        fal_string_append_format(c->out, "s%d ::= \"\"\ns%d ::= \"\"\n", m->rest, m->first);
        return FAL_OK;
    }
    fal_string_append_format(c->out, "s%d ::= (\",\" ws s%d)", m->rest, additional);
    fal_gbnf_bounds(c->out, 0, most < 0 ? -1 : most - 1);
    fal_string_append_format(c->out, "\ns%d ::= %ss%d s%d\n", m->first, least ? "" : "\"\" | ",
                             additional, m->rest);
    return FAL_OK;
}

/* Members that are required and not listed are additional ones with any name: these are refused. */
static fal_status check_required(fal_schema_converter *c, const json_t *s, fal_error *err) {
    const json_t *required = json_object_get(s, "required");
    const json_t *properties = json_object_get(s, "properties");
    if (properties && !json_is_object(properties))
        return fal_schema_malformed(c, err, "'properties' is an object");
    if (required && !json_is_array(required))
        return fal_schema_malformed(c, err, "'required' is a list");
    for (size_t i = 0; i < json_array_size(required); i++) {
        const char *key = json_string_value(json_array_get(required, i));
        if (!key) return fal_schema_malformed(c, err, "'required' is a list of keys");
        if (!json_object_get(properties, key))
            return fal_schema_refuse(c, err, "required key '%s' is not in 'properties'",
                                     fal_quote(fal_slice_of(key)).text);
    }
    return FAL_OK;
}

fal_status fal_schema_object(fal_schema_converter *c, const json_t *s, fal_string_builder *out,
                             fal_error *err) {
    const json_t *properties = json_object_get(s, "properties");
    const json_t *required = json_object_get(s, "required");
    members m;
    FAL_TRY(check_required(c, s, err));
    FAL_TRY(end_of_members(c, s, &m, err));
    size_t n = json_object_size(properties), i = 0;
    const char **keys = fal_alloc(n + 1, sizeof *keys);
    if (!keys) return fal_fail_memory(err, 0);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)properties, key, value) keys[i++] = key;
    fal_status status = FAL_OK;
    while (i-- > 0 && status == FAL_OK) {
        int32_t rule;
        status = visit_property(c, keys[i], json_object_get(properties, keys[i]), &rule, err);
        if (status == FAL_OK)
            status = put_member(c, keys[i], rule, is_listed(required, keys[i]), &m, err);
    }
    fal_free(keys);
    if (status != FAL_OK) return status;
    bool may_be_empty = json_array_size(required) == 0;
    int32_t least;
    FAL_TRY(fal_schema_count(c, s, "minProperties", 0, &least, err));
    fal_string_append_format(out, "\"{\" ws s%d ws \"}\" %s", m.first,
                             may_be_empty && least == 0 ? "| \"{}\" " : "");
    return FAL_OK;
}

/* ---- arrays ---- */

/* Elements that have schemas of their own, and what all others have. */
typedef struct elements {
    const json_t *prefix; /* list; may be NULL */
    const json_t *others; /* schema; NULL: any */
    bool has_others;      /* else there are none beyond the prefix */
    const char *prefix_keyword, *others_keyword;
    int32_t least, most; /* -1: no bound */
} elements;

static fal_status find_elements(fal_schema_converter *c, const json_t *s, elements *e,
                                fal_error *err) {
    const json_t *items = json_object_get(s, "items");
    *e = (elements){.prefix = json_object_get(s, "prefixItems"),
                    .others = items,
                    .prefix_keyword = "prefixItems",
                    .others_keyword = "items"};
    if (json_is_array(items)) { /* as drafts before 2020 have it */
        *e = (elements){.prefix = items,
                        .others = json_object_get(s, "additionalItems"),
                        .prefix_keyword = "items",
                        .others_keyword = "additionalItems"};
    } else if (json_object_get(s, "additionalItems")) {
        return fal_schema_refuse(c, err, "'additionalItems' is meant beside a list of 'items'");
    }
    if (e->prefix && !json_is_array(e->prefix))
        return fal_schema_malformed(c, err, "'%s' is a list of schemas", e->prefix_keyword);
    e->has_others = !json_is_false(e->others);
    if (json_is_boolean(e->others)) e->others = NULL;
    FAL_TRY(fal_schema_count(c, s, "minItems", 0, &e->least, err));
    FAL_TRY(fal_schema_count(c, s, "maxItems", -1, &e->most, err));
    int32_t n_prefix = (int32_t)json_array_size(e->prefix);
    if (!e->has_others && (e->most < 0 || e->most > n_prefix)) e->most = n_prefix;
    if (e->most >= 0 && e->least > e->most)
        return fal_schema_refuse(c, err, "at least %d and at most %d elements", e->least, e->most);
    if (json_is_true(json_object_get(s, "uniqueItems")) && (e->most < 0 || e->most > 1))
        return fal_schema_refuse(c, err, "'uniqueItems' cannot be enforced");
    return FAL_OK;
}

static fal_status visit_element(fal_schema_converter *c, const elements *e, int32_t i,
                                int32_t *rule, fal_error *err) {
    char step[48];
    snprintf(step, sizeof step, "%s/%d", e->prefix_keyword, i);
    size_t before = fal_schema_enter(c, i < 0 ? e->others_keyword : step);
    const json_t *schema = i < 0 ? e->others : json_array_get(e->prefix, (size_t)i);
    fal_status status = fal_schema_visit(c, schema, rule, err);
    fal_schema_leave(c, before);
    return status;
}

/* The rule of what follows element n - 1: nothing where there may be n, or a comma and more. */
static fal_status rest_of_elements(fal_schema_converter *c, const elements *e, int32_t *rule,
                                   fal_error *err) {
    int32_t n_prefix = (int32_t)json_array_size(e->prefix), other = -1;
    if (e->most >= 0 && n_prefix > e->most) n_prefix = e->most;
    if (e->others) FAL_TRY(visit_element(c, e, -1, &other, err));
    *rule = c->n_rules++;
    int32_t n_before = n_prefix ? n_prefix : 1; /* the first of the others has no comma */
    int32_t least = e->least > n_before ? e->least - n_before : 0;
    fal_string_append_format(c->out, "s%d ::= (\",\" ws ", *rule);
    if (other < 0)
        fal_string_append_text(c->out, "value)");
    else
        fal_string_append_format(c->out, "s%d)", other);
    fal_gbnf_bounds(c->out, least, e->most < 0 ? -1 : e->most - n_before);
    fal_string_append_text(c->out, "\n");
    for (int32_t i = n_prefix - 1; i > 0; i--) {
        int32_t element, rest = *rule;
        FAL_TRY(visit_element(c, e, i, &element, err));
        *rule = c->n_rules++;
        fal_string_append_format(c->out, "s%d ::= %s\",\" ws s%d s%d\n", *rule,
                                 i < e->least ? "" : "\"\" | ", element, rest);
    }
    return FAL_OK;
}

fal_status fal_schema_array(fal_schema_converter *c, const json_t *s, fal_string_builder *out,
                            fal_error *err) {
    elements e;
    int32_t rest, first = -1;
    FAL_TRY(find_elements(c, s, &e, err));
    if (e.most == 0) {
        fal_string_append_text(out, "\"[\" ws \"]\" ");
        return FAL_OK;
    }
    FAL_TRY(rest_of_elements(c, &e, &rest, err));
    bool has_prefix = json_array_size(e.prefix) > 0;
    if (has_prefix || e.others) FAL_TRY(visit_element(c, &e, has_prefix ? 0 : -1, &first, err));
    fal_string_append_text(out, "\"[\" ws ");
    if (first < 0)
        fal_string_append_text(out, "value ");
    else
        fal_string_append_format(out, "s%d ", first);
    fal_string_append_format(out, "s%d ws \"]\" %s", rest, e.least == 0 ? "| \"[]\" " : "");
    return FAL_OK;
}
