/* Readers of the kinds of field_kinds.def: from a JSON value to a member of fal_request. */
#include "base/alloc.h"
#include "base/fail.h"
#include "server/request_private.h"

#include <string.h>

enum {
    SHOWN_BYTES = 60, /* of a value that is refused */
    WORD_BYTES = 4096 /* of a word that is kept while an answer is written */
};

typedef fal_status reader(fal_request *r, const fal_field *field, json_t *value, fal_error *err);

/* A value as a message shows it: JSON on one line, cut. */
static const char *shown(const json_t *value, char *out, size_t size) {
    size_t length =
        json_dumpb(value, out, size - 1, JSON_ENCODE_ANY | JSON_ENSURE_ASCII | JSON_COMPACT);
    bool is_cut = length > size - 1;
    out[is_cut ? size - 1 : length] = '\0';
    if (is_cut) memcpy(out + size - 4, "...", 3);
    return out;
}

static fal_status refuse_type(fal_request *r, const fal_field *field, const json_t *value,
                              const char *wanted, fal_error *err) {
    char text[SHOWN_BYTES];
    return fal_request_refuse(r, field->name, err, "%s is not %s", shown(value, text, sizeof text),
                              wanted);
}

static fal_status check_bounds(fal_request *r, const fal_field *field, double value,
                               fal_error *err) {
    if (value >= field->low && value <= field->high) return FAL_OK;
    return fal_request_refuse(r, field->name, err, "%.15g, allowed are %.15g to %.15g", value,
                              field->low, field->high);
}

static void *member(fal_request *r, const fal_field *field) {
    return (char *)r + field->offset;
}

static fal_status read_FLAG(fal_request *r, const fal_field *field, json_t *value, fal_error *err) {
    if (!json_is_boolean(value)) return refuse_type(r, field, value, "true or false", err);
    *(fal_flag *)member(r, field) = json_is_true(value) ? FAL_YES : FAL_NO;
    return FAL_OK;
}

static fal_status read_WHOLE(fal_request *r, const fal_field *field, json_t *value,
                             fal_error *err) {
    double real = json_number_value(value);
    bool is_whole =
        json_is_integer(value)
        || (json_is_real(value) && real >= -1e15 && real <= 1e15 && real == (double)(int64_t)real);
    if (!is_whole) return refuse_type(r, field, value, "an integer", err);
    FAL_TRY(check_bounds(r, field, real, err));
    *(fal_whole *)member(r, field) = (fal_whole){
        true, json_is_integer(value) ? (int64_t)json_integer_value(value) : (int64_t)real};
    return FAL_OK;
}

static fal_status read_NUMBER(fal_request *r, const fal_field *field, json_t *value,
                              fal_error *err) {
    if (!json_is_number(value)) return refuse_type(r, field, value, "a number", err);
    FAL_TRY(check_bounds(r, field, json_number_value(value), err));
    *(fal_number *)member(r, field) = (fal_number){true, json_number_value(value)};
    return FAL_OK;
}

static fal_status read_TEXT(fal_request *r, const fal_field *field, json_t *value, fal_error *err) {
    if (!json_is_string(value)) return refuse_type(r, field, value, "a string", err);
    if (field->high > 0 && (double)json_string_length(value) > field->high)
        return fal_request_refuse(r, field->name, err, "%zu bytes, at most %.0f",
                                  json_string_length(value), field->high);
    *(const char **)member(r, field) = json_string_value(value);
    return FAL_OK;
}

static fal_status add_word(fal_request *r, const fal_field *field, const json_t *value,
                           fal_error *err) {
    fal_words *words = member(r, field);
    if (!json_is_string(value)) return refuse_type(r, field, value, "a string", err);
    size_t length = json_string_length(value);
    if (!length)
        return fal_request_refuse(r, field->name, err, "an empty text would end every answer");
    if (length > WORD_BYTES)
        return fal_request_refuse(r, field->name, err, "a text of %zu bytes, at most %d", length,
                                  WORD_BYTES);
    if ((double)words->count >= field->high)
        return fal_request_refuse(r, field->name, err, "more than %.0f texts", field->high);
    void *items = words->items;
    if (!fal_grow(&items, &words->capacity, words->count + 2, sizeof *words->items))
        return fal_fail_memory(err, 0);
    words->items = items;
    words->items[words->count] = fal_copy_string(json_string_value(value), length);
    if (!words->items[words->count]) return fal_fail_memory(err, length);
    words->items[++words->count] = NULL;
    return FAL_OK;
}

static fal_status read_WORDS(fal_request *r, const fal_field *field, json_t *value,
                             fal_error *err) {
    if (!json_is_array(value)) return add_word(r, field, value, err);
    for (size_t i = 0; i < json_array_size(value); i++)
        FAL_TRY(add_word(r, field, json_array_get(value, i), err));
    return FAL_OK;
}

static fal_status keep(fal_request *r, const fal_field *field, json_t *value) {
    *(json_t **)member(r, field) = value;
    return FAL_OK;
}

static fal_status read_OBJECT(fal_request *r, const fal_field *field, json_t *value,
                              fal_error *err) {
    if (!json_is_object(value)) return refuse_type(r, field, value, "an object", err);
    return keep(r, field, value);
}

static fal_status read_LIST(fal_request *r, const fal_field *field, json_t *value, fal_error *err) {
    if (!json_is_array(value)) return refuse_type(r, field, value, "a list", err);
    return keep(r, field, value);
}

static fal_status read_TURNS(fal_request *r, const fal_field *field, json_t *value,
                             fal_error *err) {
    if (!json_is_array(value)) return refuse_type(r, field, value, "a list of messages", err);
    if (!json_array_size(value))
        return fal_request_refuse(r, field->name, err, "the list is empty, at least one is needed");
    if ((double)json_array_size(value) > field->high)
        return fal_request_refuse(r, field->name, err, "%zu messages, at most %.0f",
                                  json_array_size(value), field->high);
    for (size_t i = 0; i < json_array_size(value); i++) {
        json_t *turn = json_array_get(value, i);
        if (!json_is_object(turn) || !json_is_string(json_object_get(turn, "role")))
            return fal_request_refuse(r, field->name, err, "message %zu is no object with a role",
                                      i);
    }
    return keep(r, field, value);
}

static fal_status read_CONTENT(fal_request *r, const fal_field *field, json_t *value,
                               fal_error *err) {
    if (!json_is_string(value) && !json_is_array(value))
        return refuse_type(r, field, value, "a string or a list of parts", err);
    return keep(r, field, value);
}

/* What a list of prompts holds is looked at when its tokens are made; here only how many there are. */
static fal_status read_PROMPTS(fal_request *r, const fal_field *field, json_t *value,
                               fal_error *err) {
    json_t *first = json_array_get(value, 0);
    if (!json_is_string(value) && !json_is_string(first) && !json_is_integer(first)
        && !json_is_array(first))
        return refuse_type(r, field, value, "a string, strings, token ids or lists of them", err);
    if (!json_is_integer(first) && (double)json_array_size(value) > field->high)
        return fal_request_refuse(r, field->name, err, "%zu prompts, at most %.0f",
                                  json_array_size(value), field->high);
    return keep(r, field, value);
}

static fal_status read_IDS(fal_request *r, const fal_field *field, json_t *value, fal_error *err) {
    return read_LIST(r, field, value, err);
}

static fal_status read_TOPS(fal_request *r, const fal_field *field, json_t *value, fal_error *err) {
    if (!json_is_boolean(value)) return read_WHOLE(r, field, value, err);
    *(fal_whole *)member(r, field) = (fal_whole){json_is_true(value), 0};
    return FAL_OK;
}

static fal_status read_IGNORED(fal_request *r, const fal_field *field, json_t *value,
                               fal_error *err) {
    (void)err;
    return keep(r, field, value);
}

static fal_status read_REFUSED(fal_request *r, const fal_field *field, json_t *value,
                               fal_error *err) {
    bool is_empty = json_is_false(value) || (json_is_array(value) && !json_array_size(value))
                    || (json_is_object(value) && !json_object_size(value))
                    || (json_is_string(value) && !json_string_length(value));
    if (!is_empty)
        return fal_request_refuse(r, field->name, err, "not supported: %s", field->meaning);
    return FAL_OK;
}

static const struct kind_row {
    reader *read;
    const char *schema;
} kinds[] = {

#define FAL_FIELD_KIND(name, schema, meaning) {read_##name, schema},
#include "server/field_kinds.def"
#undef FAL_FIELD_KIND
};

fal_status fal_field_read(fal_request *r, const fal_field *field, json_t *value, fal_error *err) {
    return kinds[field->kind].read(r, field, value, err);
}

json_t *fal_field_schema(const fal_field *field) {
    json_t *schema = json_loads(kinds[field->kind].schema, 0, NULL);
    bool is_number = field->kind == FAL_FIELD_WHOLE || field->kind == FAL_FIELD_NUMBER;
    if (is_number && field->kind == FAL_FIELD_WHOLE && field->high < 1e15) {
        json_object_set_new(schema, "minimum", json_integer((json_int_t)field->low));
        json_object_set_new(schema, "maximum", json_integer((json_int_t)field->high));
    } else if (is_number && field->high < 1e15) {
        json_object_set_new(schema, "minimum", json_real(field->low));
        json_object_set_new(schema, "maximum", json_real(field->high));
    }
    if (field->kind == FAL_FIELD_TEXT && field->high > 0)
        json_object_set_new(schema, "maxLength", json_integer((json_int_t)field->high));
    json_object_set_new(schema, "description", json_string(field->meaning));
    return schema;
}
