/* JSON results: text of any bytes, numbers that may be infinite, one line on standard output. */
#ifndef FAL_CLI_JSON_OUTPUT_H
#define FAL_CLI_JSON_OUTPUT_H

#include <falconer/tokenizer.h>

#include "base/string_builder.h"

#include <jansson.h>

/* A string; bytes that are not UTF-8 become U+FFFD, since JSON has no others. */
json_t *fal_json_text(const char *text, size_t length);

/* A real, or null where JSON has none (infinity, NaN). */
json_t *fal_json_number(double value);

/* An integer, at the nearest bound where 64 bits do not hold it; null for NaN. */
json_t *fal_json_whole(double value);

/* A list of integers. */
json_t *fal_json_ids(const int32_t *ids, size_t count);

/* Appends the text of value, indented, with a newline. */
fal_status fal_json_append(fal_string_builder *out, const json_t *value, fal_error *err);

/* Prints one line with n_digits significant digits and releases value. Fails: MEMORY. */
fal_status fal_json_print(json_t *take_value, size_t n_digits, fal_error *err);

#endif
