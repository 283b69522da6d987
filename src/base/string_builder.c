/* Body of string_builder.h. */
#include "base/string_builder.h"

#include "base/alloc.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool reserve(fal_string_builder *b, size_t extra) {
    size_t needed;
    if (b->failed) return false;
    if (!fal_add_size(b->length, extra, &needed) || !fal_add_size(needed, 1, &needed)
        || !fal_grow((void **)&b->text, &b->capacity, needed, 1)) {
        b->failed = true;
        return false;
    }
    return true;
}

void fal_string_append(fal_string_builder *b, const char *text, size_t length) {
    if (!reserve(b, length)) return;
    if (length) memcpy(b->text + b->length, text, length);
    b->length += length;
    b->text[b->length] = '\0';
}

void fal_string_append_text(fal_string_builder *b, const char *text) {
    fal_string_append(b, text, strlen(text));
}

void fal_string_append_format(fal_string_builder *b, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int n = vsnprintf(NULL, 0, format, arguments);
    if (n < 0) {
        b->failed = true;
    } else if (reserve(b, (size_t)n)) {
        vsnprintf(b->text + b->length, (size_t)n + 1, format, again);
        b->length += (size_t)n;
    }
    va_end(again);
    va_end(arguments);
}

void fal_string_clear(fal_string_builder *b) {
    b->length = 0;
    if (b->text) b->text[0] = '\0';
}

void fal_string_append_whole(fal_string_builder *b, const char *text, size_t length,
                             bool keeps_zeros) {
    for (size_t at = 0; at < length;) {
        uint32_t code_point = 0;
        int n = fal_utf8_decode(text + at, length - at, &code_point);
        if (n && (code_point || keeps_zeros))
            fal_string_append(b, text + at, (size_t)n);
        else
            fal_string_append_text(b, "\xef\xbf\xbd");
        at += n ? (size_t)n : 1;
    }
}

fal_status fal_string_status(const fal_string_builder *b, fal_error *err) {
    return b->failed ? fal_fail_memory(err, 0) : FAL_OK;
}

char *fal_string_take(fal_string_builder *b) {
    char *text = NULL;
    if (reserve(b, 0)) {
        b->text[b->length] = '\0';
        text = b->text;
        b->text = NULL;
    }
    fal_string_release(b);
    return text;
}

void fal_string_release(fal_string_builder *b) {
    fal_free(b->text);
    *b = (fal_string_builder){0};
}
