/* Jansson's values made from ours: text of any bytes, numbers that may be infinite. And their text. */
#ifndef FAL_FORMATS_JSON_VALUE_H
#define FAL_FORMATS_JSON_VALUE_H

#include "base/string_builder.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* A string; bytes that are not UTF-8 become U+FFFD, since JSON has no others. */
json_t *fal_json_text(const char *text, size_t length);

/* A real, or null where JSON has none (infinity, NaN). */
json_t *fal_json_number(double value);

/* An integer, at the nearest bound where 64 bits do not hold it; null for NaN. */
json_t *fal_json_whole(double value);

/* A list of integers. */
json_t *fal_json_ids(const int32_t *ids, size_t count);

/* Appends a value's text. flags: jansson's (json_dumps). value NULL, or memory that is short, makes out fail
 * (fal_string_status). */
void fal_json_write_text(fal_string_builder *out, const json_t *value, size_t flags);

#endif
