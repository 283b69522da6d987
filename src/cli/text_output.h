/* Texts on their way out: made whole UTF-8, and written to files. The terminal is terminal.h's. */
#ifndef FAL_CLI_TEXT_OUTPUT_H
#define FAL_CLI_TEXT_OUTPUT_H

#include "base/string_builder.h"

/* Appends text with U+FFFD in place of each byte that is not UTF-8 and, without keeps_zeros, of each zero. */
void fal_text_append_whole(fal_string_builder *out, const char *text, size_t length,
                           bool keeps_zeros);

/* Writes the builder's text into path, which is whole or untouched. Fails: MEMORY (the builder's), IO. */
fal_status fal_text_write_file(const fal_string_builder *text, const char *path, fal_error *err);

#endif
