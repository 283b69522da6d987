/* A growable string with a sticky failure: append freely, ask once. */
#ifndef FAL_BASE_STRING_BUILDER_H
#define FAL_BASE_STRING_BUILDER_H

#include "base/bytes.h"

/* Zero-initialise. text is NULL until something was appended, and always terminated afterwards. */
typedef struct fal_string_builder {
    char *text;
    size_t length, capacity;
    bool failed;
} fal_string_builder;

/* Each appends, or does nothing after a failure. Text may hold zeros. */
void fal_string_append(fal_string_builder *b, const char *text, size_t length);
void fal_string_append_text(fal_string_builder *b, const char *text);
__attribute__((format(printf, 2, 3))) void fal_string_append_format(fal_string_builder *b,
                                                                    const char *format, ...);

/* Appends text with U+FFFD in place of each byte that is not UTF-8 and, without keeps_zeros, of each zero. */
void fal_string_append_whole(fal_string_builder *b, const char *text, size_t length,
                             bool keeps_zeros);

/* Empties, keeping the memory. */
void fal_string_clear(fal_string_builder *b);

/* MEMORY if any append failed. */
fal_status fal_string_status(const fal_string_builder *b, fal_error *err);

/* Hands the text to the caller (fal_free) and empties the builder; NULL after a failure. Never NULL otherwise. */
char *fal_string_take(fal_string_builder *b);

void fal_string_release(fal_string_builder *b);

#endif
