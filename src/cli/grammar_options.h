/* The options of what an answer has to look like, shared by run and chat. */
#ifndef FAL_CLI_GRAMMAR_OPTIONS_H
#define FAL_CLI_GRAMMAR_OPTIONS_H

#include <falconer/grammar.h>

#include "cli/options.h"

typedef struct fal_grammar_choice {
    const char *grammar, *schema; /* files; NULL: not asked for */
} fal_grammar_choice;

/* Rows that store into a fal_grammar_choice. */
extern const fal_option fal_grammar_option_rows[];

/* *out is owned by the caller; NULL also when nothing was asked for. command begins messages of its own. Fails: ARGUMENT
 * (both were), NOT_FOUND, IO, and as fal_grammar_open and fal_grammar_open_schema, with the file's name. */
fal_status fal_grammar_choice_open(fal_grammar **out, const fal_grammar_choice *choice,
                                   const char *command, fal_error *err);

#endif
