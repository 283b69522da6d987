/* Manual pages in mdoc, from the same tables as --help. */
#include "cli/help_text.h"

#include <ctype.h>
#include <string.h>

static int upper(char letter) {
    return toupper((unsigned char)letter);
}

enum {
    TEXT_WIDTH = 78
};

/* Writes one word; nothing in it is taken as a request or an escape. */
static void print_word(FILE *stream, const char *word, size_t length, bool at_line_start) {
    if (at_line_start && (*word == '.' || *word == '\'')) fputs("\\&", stream);
    for (size_t i = 0; i < length; i++)
        fputs(word[i] == '\\' ? "\\e" : (const char[]){word[i], '\0'}, stream);
}

/* Running text: every sentence begins a line, lines are short, an empty line begins a paragraph. */
static void print_text(FILE *stream, const char *text) {
    size_t column = 0;
    while (*text) {
        size_t n = strcspn(text, " \n");
        if (column && column + 1 + n > TEXT_WIDTH) {
            fputc('\n', stream);
            column = 0;
        }
        if (column && n) fputc(' ', stream);
        print_word(stream, text, n, column == 0);
        column += n + 1;
        bool ends_sentence = n && strchr(".?!", text[n - 1]) && text[n] == ' '
                             && isupper((unsigned char)text[n + 1]);
        bool ends_paragraph = text[n] == '\n' && text[n + 1] == '\n';
        if (ends_paragraph) fputs("\n.Pp", stream);
        if (ends_sentence || ends_paragraph) {
            fputc('\n', stream);
            column = 0;
        }
        text += n;
        text += strspn(text, " \n");
    }
    if (column) fputc('\n', stream);
}

static void print_option(FILE *stream, const fal_option *o) {
    fputs(".It ", stream);
    if (o->letter) fprintf(stream, "Fl %c , ", o->letter);
    fprintf(stream, "Fl \\-%s", o->name);
    if (o->value) fprintf(stream, " Ar %s", o->value);
    fputc('\n', stream);
    char bound[600];
    fal_option_bound(o, bound, sizeof bound);
    char text[800];
    snprintf(text, sizeof text, "%c%s.%s%s%s", upper(o->meaning[0]), o->meaning + 1,
             bound[0] ? " The value is " : "", bound, bound[0] ? "." : "");
    print_text(stream, text);
}

static void print_synopsis(FILE *stream, const fal_command_row *row) {
    fputs(".Sh SYNOPSIS\n.Nm falconer\n", stream);
    if (!row) {
        fputs(".Ar COMMAND\n.Op Ar OPTIONS\n.Op Ar ARGUMENTS\n", stream);
        return;
    }
    fprintf(stream, ".Cm %s\n", row->name);
    if (row->command->groups) fputs(".Op Ar OPTIONS\n", stream);
    for (const fal_argument *a = row->command->arguments; a && a->name; a++)
        fprintf(stream, a->is_required ? ".Ar %s\n" : ".Op Ar %s\n", a->name);
}

static void print_options(FILE *stream, const fal_command *command) {
    for (const fal_option_group *g = command->groups; g && g->title; g++) {
        bool continues = g != command->groups && strcmp(g[-1].title, g->title) == 0;
        bool is_continued = g[1].title && strcmp(g[1].title, g->title) == 0;
        if (!continues) fprintf(stream, ".Ss %s\n.Bl -tag -width Ds\n", g->title);
        for (const fal_option *o = g->rows; o->name; o++)
            print_option(stream, o);
        if (!is_continued) fputs(".El\n", stream);
    }
    fputs(".Ss General\n.Bl -tag -width Ds\n", stream);
    print_option(stream, &fal_help_option);
    fputs(".El\n", stream);
}

static void print_argument(FILE *stream, const fal_argument *a) {
    char text[400];
    snprintf(text, sizeof text, "is %s.", a->meaning);
    fprintf(stream, ".Pp\n.Ar %s\n", a->name);
    print_text(stream, text);
}

static void print_commands(FILE *stream) {
    fputs(".Sh COMMANDS\n.Bl -tag -width completion\n", stream);
    const fal_command_row *row;
    for (int i = 0; (row = fal_command_at(i)); i++)
        fprintf(stream, ".It Cm %s\n%c%s.\n", row->name, upper(row->summary[0]), row->summary + 1);
    fputs(".El\n", stream);
}

static void print_environment(FILE *stream) {
    fputs(
        ".Sh ENVIRONMENT\n.Bl -tag -width FALCONER_API_KEYS\n"
        ".It Ev FALCONER_CPU\nThe highest level of processor that is made use of: portable, avx2 or avx512.\n"
        ".It Ev FALCONER_LOG\nHow much is told on standard error: warning, info or debug.\n"
        ".It Ev FALCONER_API_KEYS\nKeys of the clients of\n.Cm serve ,\nbetween spaces or commas, where no file is named.\n"
        ".It Ev NO_COLOR\nIf set and not empty, no colours.\n"
        ".It Ev XDG_STATE_HOME\nWhere the history of\n.Cm chat\nand the conversations of\n.Cm serve\nare kept, in a folder falconer; "
        "~/.local/state if it is not set.\n.El\n",
        stream);
}

static void print_exit_status(FILE *stream) {
    fputs(".Sh EXIT STATUS\n.Bl -tag -width Ds\n", stream);
    for (int i = 0; i < FAL_STATUS_COUNT; i++) {
        const char *words = fal_status_words((fal_status)i);
        fprintf(stream, ".It %d\n%c%s.\n", fal_status_exit_code((fal_status)i), upper(words[0]),
                words + 1);
    }
    fputs(".El\n", stream);
}

static void print_examples(FILE *stream, const fal_example *examples) {
    if (!examples || !examples->command) return;
    fputs(".Sh EXAMPLES\n", stream);
    for (const fal_example *e = examples; e->command; e++) {
        if (e != examples) fputs(".Pp\n", stream);
        print_text(stream, e->meaning);
        fputs(".Pp\n.Dl ", stream);
        print_word(stream, e->command, strlen(e->command), false);
        fputc('\n', stream);
    }
}

/* The other pages, without the page itself. */
static void print_see_also(FILE *stream, const fal_command_row *self) {
    const char *names[64];
    int n = 0;
    const fal_command_row *row;
    if (self) names[n++] = "";
    for (int i = 0; (row = fal_command_at(i)) && n < 63; i++)
        if (row != self) names[n++] = row->name;
    for (int i = 1; i < n; i++) /* mandoc asks for the alphabet's order */
        for (int k = i; k > 0 && strcmp(names[k - 1], names[k]) > 0; k--) {
            const char *spare = names[k];
            names[k] = names[k - 1];
            names[k - 1] = spare;
        }
    fputs(".Sh SEE ALSO\n", stream);
    for (int i = 0; i < n; i++)
        fprintf(stream, ".Xr falconer%s%s 1%s\n", names[i][0] ? "-" : "", names[i],
                i + 1 < n ? " ," : "");
}

void fal_man_print(FILE *stream, const fal_command_row *row) {
    /* A page made from tables has no date of its own: this keyword, not filled in, makes mandoc and groff leave it open. */
    fputs(".Dd $Mdocdate$\n.Dt FALCONER", stream);
    if (row) fputc('-', stream);
    for (const char *c = row ? row->name : ""; *c; c++)
        fputc(upper(*c), stream);
    fprintf(stream, " 1\n.Os\n.Sh NAME\n.Nm falconer%s%s\n.Nd %s\n", row ? "-" : "",
            row ? row->name : "",
            row ? row->summary : "convert, inspect and run language models of the Falcon family");
    print_synopsis(stream, row);
    fputs(".Sh DESCRIPTION\n", stream);
    if (!row) {
        print_text(
            stream,
            "falconer reads models of the Falcon family and StarCoder from GGUF files, or makes such files from "
            "Hugging Face folders, and runs them. Results go to standard output; everything else goes to "
            "standard error. The first word is a command, each with a manual page and --help of its own.");
        print_commands(stream);
    } else {
        print_text(stream, row->command->description);
        for (const fal_argument *a = row->command->arguments; a && a->name; a++)
            print_argument(stream, a);
        print_options(stream, row->command);
    }
    print_environment(stream);
    print_exit_status(stream);
    if (row) print_examples(stream, row->command->examples);
    print_see_also(stream, row);
}
