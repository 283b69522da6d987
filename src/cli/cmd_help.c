/* help: what --help prints, and manual pages. */
#include "cli/help_text.h"

typedef struct help_options {
    bool man;
} help_options;

static const fal_option rows[] = {
    FAL_ROW_FLAG("man", 0, offsetof(help_options, man), "print the manual page, in mdoc"), {0}};

static const fal_option_group groups[] = {
    {"Options", rows, 0},
    {NULL,      NULL, 0}
};

static const fal_argument arguments[] = {
    {"COMMAND", FAL_OPTION_CHOICE, fal_command_choice, false,
     "the command to explain (the whole program)"                 },
    {NULL,      FAL_OPTION_TEXT,   NULL,               false, NULL}
};

static const fal_example examples[] = {
    {"falconer help run",                   "What run does and takes:"},
    {"falconer help --man chat | man -l -", "The manual page of chat:"},
    {NULL,                                  NULL                      }
};

static fal_status run(const fal_parsed *parsed, fal_error *err) {
    (void)err;
    const help_options *o = parsed->values;
    const fal_command_row *row =
        parsed->n_arguments ? fal_command_find(parsed->arguments[0]) : NULL;
    if (o->man)
        fal_man_print(stdout, row);
    else if (row)
        fal_help_print(stdout, row);
    else
        fal_help_print_overview(stdout);
    return FAL_OK;
}

const fal_command fal_command_help = {
    .description =
        "Explains a command, or lists all of them. The same tables make the help, the manual pages and the "
        "completion.",
    .arguments = arguments,
    .groups = groups,
    .examples = examples,
    .values_bytes = sizeof(help_options),
    .run = run};
