/* Body of json_body.h. */
#include "server/json_body.h"

#include <stdbool.h>

/* What is bounded before a parser runs, since parsers recurse, and make a tree that is many times as large as its text. */
typedef struct shape {
    int depth;    /* of brackets, strings apart */
    size_t bytes; /* of the tree about, texts apart */
} shape;

/* What a value of the parser's takes beside its text, allocator included. Behind each name, comma and bracket stands one. */
static size_t bytes_behind(char c) {
    enum {
        VALUE = 48,
        LIST = 128,
        OBJECT = 240,
        NAME = 96
    };

    switch (c) {
    case '[': return VALUE + LIST;
    case '{': return VALUE + OBJECT;
    case ':': return NAME;
    case ',': return VALUE;
    default: return 0;
    }
}

static shape shape_of(const char *text, size_t length) {
    shape found = {0};
    int depth = 0;
    bool is_inside = false;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (is_inside) {
            if (c == '\\') i++;
            if (c == '"') is_inside = false;
            continue;
        }
        is_inside = c == '"';
        found.bytes += bytes_behind(c);
        if (c == '}' || c == ']') depth--;
        if ((c == '{' || c == '[') && ++depth > found.depth) found.depth = depth;
    }
    return found;
}

static fal_status check_shape(const char *text, size_t length, fal_error *err) {
    enum {
        MAX_DEPTH = 128,
        MAX_BYTES = 128 << 20
    };

    shape found = shape_of(text, length);
    if (found.depth > MAX_DEPTH)
        return fal_fail(err, FAL_E_ARGUMENT, "the body's JSON is %d levels deep, at most %d",
                        found.depth, MAX_DEPTH);
    if (found.bytes > MAX_BYTES)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "the body's JSON has values for %zu MiB of memory, at most %d",
                        found.bytes >> 20, MAX_BYTES >> 20);
    return FAL_OK;
}

/* Words of the parser, which quote the text, on one line; but where they tell its callers what to do. */
static fal_status no_json(const json_error_t *why, fal_error *err) {
    char words[sizeof why->text];
    size_t n = 0;
    enum json_error_code code = json_error_code(why);
    if (code == json_error_null_character || code == json_error_null_byte_in_key)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "line %d, column %d of the body: a text with a zero byte (\\u0000) in it",
                        why->line, why->column);
    for (; n + 1 < sizeof words && why->text[n]; n++)
        words[n] = (unsigned char)why->text[n] < ' ' ? ' ' : why->text[n];
    words[n] = '\0';
    return fal_fail(err, FAL_E_ARGUMENT, "the body is not JSON: line %d, column %d: %s", why->line,
                    why->column, words);
}

fal_status fal_json_body_read(json_t **out, const char *text, size_t length, fal_error *err) {
    json_error_t why;
    *out = NULL;
    if (!length)
        return fal_fail(err, FAL_E_ARGUMENT, "the body is empty; it must be a JSON object");
    FAL_TRY(check_shape(text, length, err));
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
