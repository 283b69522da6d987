/* Options of a command from a YAML file: every key is the long name of an option, with dashes or underscores. What stands
 * on the command line wins. */
#ifndef FAL_CLI_CONFIG_FILE_H
#define FAL_CLI_CONFIG_FILE_H

#include "cli/options.h"

typedef struct fal_config_file fal_config_file;

/* Reads path into those of parsed's values that the command line does not give; texts point into *out, which must live as
 * long as they are used.
 *
 * A repeatable option takes a text, a list of texts, or (as all keys that take lists, also in the plural) a list of mappings:
 * one with the key "path" becomes PATH,key=value,...; of any other mapping, each pair becomes key=value.
 *
 *   Fails: NOT_FOUND, IO, FORMAT (no YAML), ARGUMENT (an unknown key, with the nearest option; a value out of bounds), each
 *   with file and line; LIMIT, MEMORY. */
fal_status fal_config_file_open(fal_config_file **out, const char *path, const fal_parsed *parsed,
                                fal_error *err);
void fal_config_file_close(fal_config_file *c);

#endif
