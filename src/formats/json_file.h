/* Reads a JSON file with jansson; the message of a failure names file, line and what is wrong. */
#ifndef FAL_FORMATS_JSON_FILE_H
#define FAL_FORMATS_JSON_FILE_H

#include "base/fail.h"

#include <jansson.h>

/* out is owned by the caller (json_decref). Fails: NOT_FOUND, IO, FORMAT, LIMIT (over 1 GiB). */
fal_status fal_json_read_file(json_t **out, const char *path, fal_error *err);

#endif
