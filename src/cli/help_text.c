/* The text of --help: one line per option, at most 80 columns. */
#include "cli/help_text.h"

#include <string.h>

enum {
    MEANING_COLUMN = 30,
    MEANING_WIDTH = 80 - MEANING_COLUMN
};

void fal_help_print_overview(FILE *stream) {
    fputs("usage: falconer COMMAND [OPTIONS] [ARGUMENTS]\n\n"
          "falconer converts, quantizes and runs language models of the Falcon family.\n",
          stream);
    const fal_command_row *row;
    for (int i = 0; (row = fal_command_at(i)); i++) {
        const fal_command_row *before = fal_command_at(i - 1);
        if (!before || strcmp(before->group, row->group) != 0)
            fprintf(stream, "\n%s\n", row->group);
        fprintf(stream, "  %-17s%s\n", row->name, row->summary);
    }
    fputs("\nfalconer help COMMAND explains a command, falconer --version tells the version.\n",
          stream);
}

static void print_row(FILE *stream, const char *left, const char *meaning) {
    if (strlen(left) + 2 > MEANING_COLUMN)
        fprintf(stream, "%s\n%*s", left, MEANING_COLUMN, "");
    else
        fprintf(stream, "%-*s", MEANING_COLUMN, left);
    /* Broken at the last blank that fits; a word that does not fit stays whole. */
    while (strlen(meaning) > MEANING_WIDTH) {
        int end = MEANING_WIDTH;
        while (end > 0 && meaning[end] != ' ')
            end--;
        if (end == 0) break;
        fprintf(stream, "%.*s\n%*s", end, meaning, MEANING_COLUMN, "");
        meaning += end + 1;
    }
    fprintf(stream, "%s\n", meaning);
}

static void print_option(FILE *stream, const fal_option *o) {
    char left[120], letter[8] = "    ";
    if (o->letter) snprintf(letter, sizeof letter, "-%c, ", o->letter);
    snprintf(left, sizeof left, "  %s--%s%s%s", letter, o->name, o->value ? " " : "",
             o->value ? o->value : "");
    print_row(stream, left, o->meaning);
}

void fal_help_print(FILE *stream, const fal_command_row *row) {
    const fal_command *command = row->command;
    fprintf(stream, "usage: falconer %s%s", row->name, command->groups ? " [OPTIONS]" : "");
    for (const fal_argument *a = command->arguments; a && a->name; a++)
        fprintf(stream, a->is_required ? " %s" : " [%s]", a->name);
    fprintf(stream, "\n%s\n", row->summary);
    for (const fal_argument *a = command->arguments; a && a->name; a++) {
        char left[64];
        snprintf(left, sizeof left, "  %s", a->name);
        print_row(stream, left, a->meaning);
    }
    for (const fal_option_group *g = command->groups; g && g->title; g++) {
        /* Neighbours with one title are one list. */
        if (g == command->groups || strcmp(g[-1].title, g->title) != 0)
            fprintf(stream, "\n%s:\n", g->title);
        for (const fal_option *o = g->rows; o->name; o++)
            print_option(stream, o);
    }
    bool has_one_list = command->groups && !command->groups[1].title;
    if (!has_one_list) fputc('\n', stream);
    print_option(stream, &fal_help_option);
    if (command->examples && command->examples->command)
        fprintf(stream, "\nexample: %s\n", command->examples->command);
}
