/* Body of request.h: walks the fields of a JSON object through the rows of request_fields.def. */
#include "server/request.h"

#include "base/alloc.h"
#include "server/request_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const fal_field fields[] = {
#define FAL_FIELD_ROW(bodies, name, kind, member, low, high, is_required, meaning) \
    {bodies, name, FAL_FIELD_##kind, offsetof(fal_request, member),                \
     low,    high, is_required,      meaning},
#define FAL_FIELD(bodies, name, kind, member, low, high, meaning) \
    FAL_FIELD_ROW(bodies, name, kind, member, low, high, false, meaning)
#define FAL_FIELD_REQUIRED(bodies, name, kind, member, low, high, meaning) \
    FAL_FIELD_ROW(bodies, name, kind, member, low, high, true, meaning)
#include "server/request_fields.def"
#undef FAL_FIELD
#undef FAL_FIELD_REQUIRED
#undef FAL_FIELD_ROW
};

enum {
    N_FIELDS = sizeof fields / sizeof fields[0]
};

static const struct body_row {
    unsigned bit;
    const char *schema;
    bool is_tolerant;
    const char *meaning;
} bodies[] = {

#define FAL_BODY(name, schema, is_tolerant, meaning) \
    {FAL_BODY_##name, schema, is_tolerant, meaning},
#include "server/request_bodies.def"
#undef FAL_BODY
};

static const struct body_row *row_of(unsigned kind) {
    int i = 0;
    while (bodies[i].bit != kind)
        i++;
    return &bodies[i];
}

/* A message is one line, whatever the client's words in it are. */
static void make_one_line(char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f) *text = ' ';
}

fal_status fal_request_refuse(fal_request *r, const char *field, fal_error *err, const char *format,
                              ...) {
    char words[800];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    make_one_line(words);
    snprintf(r->offender, sizeof r->offender, "%s", field);
    make_one_line(r->offender);
    return fal_fail(err, FAL_E_ARGUMENT, "%s: %s", r->offender, words);
}

/* Later rows win, whatever the order in the text: so the rows are walked, not the object. */
fal_status fal_request_read_object(fal_request *r, fal_body kind, json_t *object, fal_error *err) {
    for (int i = 0; i < N_FIELDS; i++) {
        if (!(fields[i].bodies & kind)) continue;
        json_t *value = json_object_get(object, fields[i].name);
        if (value && !json_is_null(value))
            FAL_TRY(fal_field_read(r, &fields[i], value, err));
        else if (fields[i].is_required)
            return fal_request_refuse(r, fields[i].name, err, "this field is required");
    }
    if (row_of(kind)->is_tolerant) return FAL_OK;
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) {
        bool is_known = json_is_null(value);
        for (int i = 0; !is_known && i < N_FIELDS; i++)
            is_known = (fields[i].bodies & kind) && strcmp(fields[i].name, key) == 0;
        if (!is_known) return fal_request_refuse(r, key, err, "no such field");
    }
    return FAL_OK;
}

fal_status fal_request_read(fal_request *r, fal_body kind, json_t *take_body, fal_error *err) {
    r->body = take_body;
    return fal_request_read_object(r, kind, take_body, err);
}

void fal_request_drop_body(fal_request *r) {
    json_decref(r->body);
    r->body = NULL;
    r->model = r->inputs = r->text = r->content = r->truncation = r->grammar = r->encoding = NULL;
    r->messages = r->system = r->prompt = r->parameters = r->tokens = r->biases = NULL;
    r->response_format = r->schema = r->stream_options = r->ignored = NULL;
}

void fal_request_release(fal_request *r) {
    json_decref(r->body);
    for (size_t i = 0; i < r->stop.count; i++)
        fal_free(r->stop.items[i]);
    fal_free(r->stop.items);
    *r = (fal_request){0};
}

/* ---- the schema ---- */

const char *fal_request_schema_name(int body_index) {
    return bodies[body_index].schema;
}

json_t *fal_request_schema(int body_index) {
    const struct body_row *row = &bodies[body_index];
    json_t *properties = json_object(), *required = json_array();
    for (int i = 0; i < N_FIELDS; i++) {
        if (!(fields[i].bodies & row->bit)) continue;
        json_object_set_new(properties, fields[i].name, fal_field_schema(&fields[i]));
        if (fields[i].is_required) json_array_append_new(required, json_string(fields[i].name));
    }
    json_t *schema = json_pack("{s:s, s:s, s:o}", "type", "object", "description", row->meaning,
                               "properties", properties);
    if (json_array_size(required)) json_object_set(schema, "required", required);
    if (!row->is_tolerant) json_object_set_new(schema, "additionalProperties", json_false());
    json_decref(required);
    return schema;
}
