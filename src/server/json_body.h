/* The body of a request as JSON. */
#ifndef FAL_SERVER_JSON_BODY_H
#define FAL_SERVER_JSON_BODY_H

#include "base/fail.h"

#include <jansson.h>
#include <stddef.h>

/* Reads text [length bytes, any bytes] as a JSON object.
 *
 *   out    owned by the caller; NULL on failure
 *   Fails: ARGUMENT (no JSON, with its line; no object; a text with a zero byte in it; deeper than 128), MEMORY. */
fal_status fal_json_body_read(json_t **out, const char *text, size_t length, fal_error *err);

#endif
