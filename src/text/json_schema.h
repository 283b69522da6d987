/* JSON schemas as grammars: the JSON documents that a schema admits, in one canonical order of keys. */
#ifndef FAL_TEXT_JSON_SCHEMA_H
#define FAL_TEXT_JSON_SCHEMA_H

#include "base/string_builder.h"

/* Appends a grammar in GBNF. What cannot be enforced is refused, never left out (docs/grammars.md lists both).
 * Fails: FORMAT (no JSON, no schema), UNSUPPORTED (a keyword, named with its place), LIMIT, MEMORY. */
fal_status fal_json_schema_to_gbnf(fal_string_builder *out, const char *schema, size_t length,
                                   fal_error *err);

#endif
