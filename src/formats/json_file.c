/* Body of json_file.h. */
#include "formats/json_file.h"

#include "base/alloc.h"
#include "base/file.h"
#include "formats/json_value.h"

#include <string.h>

enum {
    MAX_FILE_BYTES = 1 << 30,
    MAX_DIGITS = 18, /* always fit 64 bits */
    REAL_DIGITS = 15 /* always come back from a double */
};

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* The end of the string literal that begins at text[from], which is a quotation mark. */
static size_t string_end(fal_slice text, size_t from) {
    size_t i = from + 1;
    while (i < text.length && text.data[i] != '"')
        i += text.data[i] == '\\' ? 2 : 1;
    return i < text.length ? i + 1 : text.length;
}

/* Copies text with ".0" behind each integer that may not fit 64 bits, so that it is read as a real number. */
static void widen_integers(fal_string_builder *out, fal_slice text) {
    size_t i = 0;
    while (i < text.length) {
        size_t begin = i;
        if (text.data[i] == '"') {
            i = string_end(text, i);
            fal_string_append(out, text.data + begin, i - begin);
            continue;
        }
        while (i < text.length && is_digit(text.data[i]))
            i++;
        bool integer = i - begin > MAX_DIGITS && (begin == 0 || text.data[begin - 1] != '.')
                       && (i == text.length || !strchr(".eE", text.data[i]));
        if (i == begin) i++;
        fal_string_append(out, text.data + begin, i - begin);
        if (integer) fal_string_append_text(out, ".0");
    }
}

static json_t *load(fal_slice text, json_error_t *error) {
    return json_loadb(text.data, text.length, JSON_REJECT_DUPLICATES, error);
}

/* jansson quotes the text near the fault, which may hold anything. */
static void make_printable(char *text) {
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) *text = ' ';
    }
}

fal_status fal_json_parse(json_t **out, fal_slice text, const char *name, fal_error *err) {
    return fal_json_parse_line(out, text, name, 1, err);
}

fal_status fal_json_parse_line(json_t **out, fal_slice text, const char *name, int64_t number,
                               fal_error *err) {
    json_error_t error;
    *out = load(text, &error);
    if (!*out && json_error_code(&error) == json_error_numeric_overflow) {
        fal_string_builder widened = {0};
        widen_integers(&widened, text);
        if (!widened.failed) *out = load((fal_slice){widened.text, widened.length}, &error);
        bool failed = widened.failed;
        fal_string_release(&widened);
        if (failed) return fal_fail_memory(err, text.length);
    }
    if (*out) return FAL_OK;
    if (json_error_code(&error) == json_error_out_of_memory) return fal_fail_memory(err, 0);
    make_printable(error.text);
    return fal_fail(err, FAL_E_FORMAT, "'%s': line %lld: %s", name,
                    (long long)number + error.line - 1, error.text);
}

fal_status fal_json_read_file(json_t **out, const char *path, fal_error *err) {
    *out = NULL;
    char *text = NULL;
    size_t length = 0;
    FAL_TRY(fal_file_read(&text, &length, path, MAX_FILE_BYTES, err));
    fal_status status = fal_json_parse(out, (fal_slice){text, length}, path, err);
    fal_free(text);
    return status;
}

fal_status fal_json_write_file(const char *path, const json_t *value, fal_error *err) {
    fal_string_builder text = {0};
    /* A value is dumped without fault unless memory is short: what is no JSON cannot be made with jansson. */
    size_t flags = JSON_INDENT(2) | JSON_REAL_PRECISION(REAL_DIGITS);
    fal_json_write_text(&text, value, flags);
    fal_string_append_text(&text, "\n");
    fal_status status = fal_string_status(&text, err);
    if (status == FAL_OK) status = fal_file_write(path, text.text, text.length, err);
    fal_string_release(&text);
    return status;
}
