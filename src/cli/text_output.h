/* Texts on their way into files. The terminal is terminal.h's. */
#ifndef FAL_CLI_TEXT_OUTPUT_H
#define FAL_CLI_TEXT_OUTPUT_H

#include "base/string_builder.h"

/* Writes the builder's text into path, which is whole or untouched. Fails: MEMORY (the builder's), IO. */
fal_status fal_text_write_file(const fal_string_builder *text, const char *path, fal_error *err);

#endif
