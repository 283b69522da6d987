/* Body of json_body.h. */
#include "server/json_body.h"

#include <stdbool.h>

/* How deeply brackets are nested, strings apart. Parsers recurse, so depth is bounded before one runs. */
static int depth_of(const char *text, size_t length) {
    int depth = 0, most = 0;
    bool is_inside = false;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (is_inside) {
            if (c == '\\') i++;
            if (c == '"') is_inside = false;
        } else if (c == '"') {
            is_inside = true;
        } else if (c == '{' || c == '[') {
            if (++depth > most) most = depth;
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return most;
}

/* Words of the parser, which quote the text, on one line. */
static fal_status no_json(const json_error_t *why, fal_error *err) {
    char words[sizeof why->text];
    size_t n = 0;
    for (; n + 1 < sizeof words && why->text[n]; n++)
        words[n] = (unsigned char)why->text[n] < ' ' ? ' ' : why->text[n];
    words[n] = '\0';
    return fal_fail(err, FAL_E_ARGUMENT, "the body is not JSON: line %d, column %d: %s", why->line,
                    why->column, words);
}

fal_status fal_json_body_read(json_t **out, const char *text, size_t length, fal_error *err) {
    enum {
        MAX_DEPTH = 128
    };

    json_error_t why;
    *out = NULL;
    int depth = depth_of(text, length);
    if (depth > MAX_DEPTH)
        return fal_fail(err, FAL_E_ARGUMENT, "the body's JSON is %d levels deep, at most %d", depth,
                        MAX_DEPTH);
    json_t *value = json_loadb(text, length, 0, &why);
    if (!value && json_error_code(&why) == json_error_out_of_memory)
        return fal_fail_memory(err, length);
    if (!value) return no_json(&why, err);
    if (!json_is_object(value)) {
        json_decref(value);
        return fal_fail(err, FAL_E_ARGUMENT, "the body is JSON, but no object");
    }
    *out = value;
    return FAL_OK;
}
