/* /openapi.json: the routes of routes.def, what they take by request_fields.def, what they give by answer_shapes.def. */
#include <falconer/version.h>

#include "base/fail.h"
#include "server/request.h"
#include "server/router.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const struct shape_field {
    const char *shape, *name, *type, *meaning;
} shape_fields[] = {

#define FAL_SHAPE_FIELD(shape, name, type, meaning) {#shape, name, type, meaning},
#include "server/answer_shapes.def"
#undef FAL_SHAPE_FIELD
};

static const struct route_shape {
    const char *handler, *body, *answer, *event, *meaning;
} route_shapes[] = {

#define FAL_ROUTE_SHAPE(handler, body, answer, event, meaning) \
    {#handler, body, answer, event, meaning},
#include "server/route_shapes.def"
#undef FAL_ROUTE_SHAPE
};

enum {
    N_SHAPE_FIELDS = sizeof shape_fields / sizeof shape_fields[0],
    N_ROUTE_SHAPES = sizeof route_shapes / sizeof route_shapes[0]
};

/* ---- types ---- */

static json_t *reference(const char *name, size_t length) {
    return json_pack("{s:o}", "$ref", json_sprintf("#/components/schemas/%.*s", (int)length, name));
}

static json_t *read_type(const char **text);

/* A word, or a list in brackets. */
static json_t *read_one_type(const char **text) {
    if (**text == '[') {
        ++*text;
        json_t *items = read_type(text);
        if (**text == ']') ++*text;
        return json_pack("{s:s, s:o}", "type", "array", "items", items);
    }
    const char *word = *text;
    size_t length = strcspn(word, "|]");
    *text += length;
    if (isupper((unsigned char)word[0])) return reference(word, length);
    if (length == 3 && strncmp(word, "any", 3) == 0) return json_object();
    return json_pack("{s:s%}", "type", word, length);
}

static json_t *read_type(const char **text) {
    json_t *first = read_one_type(text);
    if (**text != '|') return first;
    json_t *list = json_pack("[o]", first);
    while (**text == '|') {
        ++*text;
        json_array_append_new(list, read_one_type(text));
    }
    return json_pack("{s:o}", "anyOf", list);
}

static json_t *schema_of(const char *type) {
    return read_type(&type);
}

/* ---- components ---- */

static void add_shapes(json_t *schemas) {
    for (int i = 0; i < N_SHAPE_FIELDS; i++) {
        const struct shape_field *field = &shape_fields[i];
        json_t *shape = json_object_get(schemas, field->shape);
        if (!shape) {
            shape = json_pack("{s:s, s:{}, s:[]}", "type", "object", "properties", "required");
            json_object_set_new(schemas, field->shape, shape);
        }
        size_t length = strcspn(field->name, "?");
        json_t *schema = schema_of(field->type), *name = json_stringn(field->name, length);
        json_object_set_new(schema, "description", json_string(field->meaning));
        json_object_set_new(json_object_get(shape, "properties"), json_string_value(name), schema);
        if (field->name[length])
            json_decref(name);
        else
            json_array_append_new(json_object_get(shape, "required"), name);
    }
}

static json_t *make_schemas(void) {
    json_t *schemas = json_object();
    for (int i = 0; i < FAL_BODY_COUNT_OF_KINDS; i++)
        json_object_set_new(schemas, fal_request_schema_name(i), fal_request_schema(i));
    json_t *properties = json_object_get(json_object_get(schemas, "GenerateRequest"), "properties");
    json_object_set_new(properties, "parameters", schema_of("GenerateParameters"));
    add_shapes(schemas);
    return schemas;
}

/* ---- paths ---- */

static const struct route_shape *shape_of(const fal_route *route) {
    for (int i = 0; i < N_ROUTE_SHAPES; i++)
        if (strcmp(route_shapes[i].handler, route->handler_name) == 0) return &route_shapes[i];
    return NULL;
}

static json_t *make_answers(const fal_route *route, const struct route_shape *shape) {
    char error[40];
    json_t *content = json_object();
    if (shape && shape->answer[0])
        json_object_set_new(content, "application/json",
                            json_pack("{s:o}", "schema", schema_of(shape->answer)));
    if (shape && shape->event[0])
        json_object_set_new(content, "text/event-stream",
                            json_pack("{s:o}", "schema", schema_of(shape->event)));
    snprintf(error, sizeof error, "%c%sError", toupper((unsigned char)route->dialect->name[0]),
             route->dialect->name + 1);
    json_t *good =
        json_pack("{s:s}", "description", shape ? shape->meaning : "what the route is for");
    if (json_object_size(content)) json_object_set(good, "content", content);
    json_decref(content);
    return json_pack("{s:o, s:{s:s, s:{s:{s:o}}}}", "200", good, "default", "description",
                     "what is wrong", "content", "application/json", "schema", schema_of(error));
}

/* "{id...}" is "{id}" here; *parameters gets what stands in braces. */
static json_t *path_of(const char *path, json_t *parameters) {
    char text[200];
    size_t n = 0;
    for (; *path && n + 1 < sizeof text; path++) {
        if (*path == '.' && strncmp(path, "...}", 4) == 0) path += 3;
        if (*path == '{') {
            size_t length = strcspn(path + 1, ".}");
            json_array_append_new(parameters, json_pack("{s:s%, s:s, s:b, s:{s:s}}", "name",
                                                        path + 1, length, "in", "path", "required",
                                                        1, "schema", "type", "string"));
        }
        text[n++] = *path;
    }
    return json_stringn(text, n);
}

static json_t *make_operation(const fal_route *route, int index, json_t *take_parameters) {
    const struct route_shape *shape = shape_of(route);
    json_t *operation =
        json_pack("{s:o, s:s, s:[s], s:o}", "operationId",
                  json_sprintf("%s_%d", route->handler_name, index), "summary", route->meaning,
                  "tags", route->dialect->name, "responses", make_answers(route, shape));
    if (shape && shape->body[0])
        json_object_set_new(operation, "requestBody",
                            json_pack("{s:b, s:{s:{s:o}}}", "required", 1, "content",
                                      "application/json", "schema", schema_of(shape->body)));
    if (route->access == FAL_ACCESS_OPEN) json_object_set_new(operation, "security", json_array());
    if (json_array_size(take_parameters)) json_object_set(operation, "parameters", take_parameters);
    json_decref(take_parameters);
    return operation;
}

static json_t *make_paths(void) {
    json_t *paths = json_object();
    for (int i = 0; i < fal_route_count(); i++) {
        const fal_route *route = fal_route_at(i);
        json_t *parameters = json_array();
        json_t *path = path_of(route->path, parameters);
        char method[10] = "";
        for (size_t k = 0; route->method[k] && k + 1 < sizeof method; k++)
            method[k] = (char)tolower((unsigned char)route->method[k]);
        json_t *item = json_object_get(paths, json_string_value(path));
        if (!item) {
            item = json_object();
            json_object_set_new(paths, json_string_value(path), item);
        }
        json_object_set_new(item, method, make_operation(route, i, parameters));
        json_decref(path);
    }
    return paths;
}

fal_status fal_route_openapi(fal_server *server, fal_exchange *x, fal_error *err) {
    (void)server;
    (void)err;
    json_t *info =
        json_pack("{s:s, s:s, s:s}", "title", "falconer", "version", FAL_VERSION, "description",
                  "Models of the Falcon family in the dialects of OpenAI, Anthropic, "
                  "text-generation-inference and Inference Endpoints");
    json_t *keys =
        json_pack("{s:{s:s, s:s}, s:{s:s, s:s, s:s}}", "bearer", "type", "http", "scheme", "bearer",
                  "header", "type", "apiKey", "in", "header", "name", "X-Api-Key");
    fal_exchange_answer_json(x, 200,
                             json_pack("{s:s, s:o, s:o, s:[{s:[]}, {s:[]}, {}], s:{s:o, s:o}}",
                                       "openapi", "3.1.0", "info", info, "paths", make_paths(),
                                       "security", "bearer", "header", "components", "schemas",
                                       make_schemas(), "securitySchemes", keys));
    return FAL_OK;
}
