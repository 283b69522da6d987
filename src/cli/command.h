/* What a command is: its words for people, its option tables, and what it does. Parsing, help, manual pages and
 * completion are made from these tables alone. */
#ifndef FAL_CLI_COMMAND_H
#define FAL_CLI_COMMAND_H

#include "cli/options.h"

/* A word that stands on the command line without dashes. */
typedef struct fal_argument {
    const char *name;     /* "HF_DIR"; "FILE..." as last one may be repeated; NULL ends a table */
    fal_option_kind kind; /* TEXT, FILE, DIRECTORY or CHOICE */
    fal_choice_function *choice;
    bool is_required;
    const char *meaning;
} fal_argument;

typedef struct fal_example {
    const char *command; /* NULL ends a table */
    const char *meaning;
} fal_example;

typedef struct fal_command {
    const char *description; /* for the manual page; paragraphs are separated by an empty line */
    const fal_argument *arguments;      /* NULL: none */
    const fal_option_group *groups;     /* NULL: none but --help */
    const fal_example *examples;        /* the first one also ends --help */
    size_t values_bytes;                /* of the struct that the options are stored in */
    void (*set_defaults)(void *values); /* NULL: all zero */
    fal_status (*run)(const fal_parsed *parsed, fal_error *err);
} fal_command;

/* A row of commands.def. */
typedef struct fal_command_row {
    const char *name, *group, *summary;
    const fal_command *command;
} fal_command_row;

/* NULL: past the end; no such name. */
const fal_command_row *fal_command_at(int index);
const fal_command_row *fal_command_find(const char *name);

/* A fal_choice_function over the commands' names. */
const char *fal_command_choice(int index);

#endif
