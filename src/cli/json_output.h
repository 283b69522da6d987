/* JSON results: one line on standard output, or an indented text. */
#ifndef FAL_CLI_JSON_OUTPUT_H
#define FAL_CLI_JSON_OUTPUT_H

#include <falconer/tokenizer.h>

#include "base/string_builder.h"
#include "formats/json_value.h"

#include <jansson.h>

/* Appends the text of value, indented, with a newline. */
fal_status fal_json_append(fal_string_builder *out, const json_t *value, fal_error *err);

/* Prints one line with n_digits significant digits and releases value. Fails: MEMORY. */
fal_status fal_json_print(json_t *take_value, size_t n_digits, fal_error *err);

#endif
