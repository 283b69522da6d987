/* Reads and writes JSON with jansson; the message of a failure names file, line and what is wrong. Keys given twice are
 * refused. An integer of more than 18 digits, which tokenizer_config.json is fond of, is read as a real number. */
#ifndef FAL_FORMATS_JSON_FILE_H
#define FAL_FORMATS_JSON_FILE_H

#include "base/bytes.h"

#include <jansson.h>

/* out is owned by the caller (json_decref). Fails: NOT_FOUND, IO, FORMAT, LIMIT (over 1 GiB), MEMORY. */
fal_status fal_json_read_file(json_t **out, const char *path, fal_error *err);

/* As fal_json_read_file, from memory; name stands for the file in messages. */
fal_status fal_json_parse(json_t **out, fal_slice text, const char *name, fal_error *err);
/* As fal_json_parse, of text that begins in the file's line `number`. */
fal_status fal_json_parse_line(json_t **out, fal_slice text, const char *name, int64_t number,
                               fal_error *err);

/* Writes value, indented, with a newline behind it; real numbers with 15 digits, so that 0.1 stays 0.1; path is whole or untouched. value stays the caller's; NULL, which is
 * what jansson makes of a value without memory, is MEMORY. Fails: IO, MEMORY. */
fal_status fal_json_write_file(const char *path, const json_t *value, fal_error *err);

#endif
