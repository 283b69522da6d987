/* Help and manual pages, made from the tables. */
#ifndef FAL_CLI_HELP_TEXT_H
#define FAL_CLI_HELP_TEXT_H

#include "cli/command.h"

#include <stdio.h>

/* The commands by group. */
void fal_help_print_overview(FILE *stream);

/* What `falconer COMMAND --help` prints. */
void fal_help_print(FILE *stream, const fal_command_row *row);

/* The manual page in mdoc; row NULL: falconer(1) itself. */
void fal_man_print(FILE *stream, const fal_command_row *row);

#endif
