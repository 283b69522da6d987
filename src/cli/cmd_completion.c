/* completion: scripts that complete commands, options and their values in bash, zsh and fish. */
#include "cli/command.h"

#include <stdio.h>
#include <string.h>

typedef void shell_function(FILE *stream);

/* Calls f for every option of a command, --help last. */
static const fal_option *option_or_help(const fal_command *command, int index) {
    const fal_option *o = fal_option_at(command->groups, index, NULL);
    if (o || index < 0) return o;
    bool is_first_past = index == 0 || fal_option_at(command->groups, index - 1, NULL);
    return is_first_past ? &fal_help_option : NULL;
}

static void print_words(FILE *stream, fal_choice_function *choice) {
    for (int i = 0; choice(i); i++)
        fprintf(stream, "%s%s", i ? " " : "", choice(i));
}

/* ---- bash ---- */

static void bash_values(FILE *stream, const char *command, const fal_option *o) {
    bool is_path = o->kind == FAL_OPTION_FILE || o->kind == FAL_OPTION_DIRECTORY;
    if (!o->value) return;
    fprintf(stream, "        %s:--%s", command, o->name);
    if (o->letter) fprintf(stream, "|%s:-%c", command, o->letter);
    fputs(") ", stream);
    if (o->kind == FAL_OPTION_CHOICE) {
        fputs("COMPREPLY=($(compgen -W '", stream);
        print_words(stream, o->choice);
        fputs("' -- \"$word\"))", stream);
    } else if (is_path) {
        fprintf(stream, "compopt -o filenames; COMPREPLY=($(compgen -%c -- \"$word\"))",
                o->kind == FAL_OPTION_FILE ? 'f' : 'd');
    } else {
        fputs(":", stream); /* a value that cannot be guessed */
    }
    fputs("; return ;;\n", stream);
}

static void bash_arguments(FILE *stream, const fal_command_row *row) {
    bool has_paths = false;
    fprintf(stream, "        %s) words='", row->name);
    for (const fal_argument *a = row->command->arguments; a && a->name; a++) {
        if (a->kind == FAL_OPTION_CHOICE) print_words(stream, a->choice);
        has_paths = has_paths || a->kind == FAL_OPTION_FILE || a->kind == FAL_OPTION_DIRECTORY;
    }
    fputs("'; options='", stream);
    const fal_option *o;
    for (int i = 0; (o = option_or_help(row->command, i)); i++)
        fprintf(stream, "%s--%s", i ? " " : "", o->name);
    fprintf(stream, "'; paths=%s ;;\n", has_paths ? "yes" : "");
}

static void bash(FILE *stream) {
    const fal_command_row *row;
    fputs(
        "# bash completion of falconer: source it, or put it into the folder of completions.\n"
        "_falconer() {\n"
        "    local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} words= options= paths=\n"
        "    COMPREPLY=()\n"
        "    if ((COMP_CWORD == 1)); then\n"
        "        COMPREPLY=($(compgen -W '",
        stream);
    print_words(stream, fal_command_choice);
    fputs(" --help --version' -- \"$word\"))\n"
          "        return\n"
          "    fi\n"
          "    case $command:${COMP_WORDS[COMP_CWORD - 1]} in\n",
          stream);
    for (int i = 0; (row = fal_command_at(i)); i++) {
        const fal_option *o;
        for (int k = 0; (o = option_or_help(row->command, k)); k++)
            bash_values(stream, row->name, o);
    }
    fputs("    esac\n"
          "    case $command in\n",
          stream);
    for (int i = 0; (row = fal_command_at(i)); i++)
        bash_arguments(stream, row);
    fputs("    esac\n"
          "    [[ $word == -* ]] && words=$options\n"
          "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
          "    if [[ -n $paths && $word != -* ]]; then\n"
          "        compopt -o filenames\n"
          "        COMPREPLY+=($(compgen -f -- \"$word\"))\n"
          "    fi\n"
          "}\n"
          "complete -F _falconer falconer\n",
          stream);
}

/* ---- zsh ---- */

/* Inside single quotes, and inside _arguments' brackets and colons. */
static void zsh_escape(FILE *stream, const char *text) {
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", stream);
        else if (strchr("[]:\\", *text))
            fprintf(stream, "\\%c", *text);
        else
            fputc(*text, stream);
    }
}

static void zsh_action(FILE *stream, fal_option_kind kind, fal_choice_function *choice) {
    if (kind == FAL_OPTION_CHOICE) {
        fputc('(', stream);
        print_words(stream, choice);
        fputc(')', stream);
    } else if (kind == FAL_OPTION_FILE) {
        fputs("_files", stream);
    } else if (kind == FAL_OPTION_DIRECTORY) {
        fputs("_files -/", stream);
    } else {
        fputc(' ', stream);
    }
}

static void zsh_option(FILE *stream, const fal_option *o, const char *dashes, const char *name) {
    bool repeats = o->kind == FAL_OPTION_LIST;
    fprintf(stream, " \\\n            '%s%s%s[", repeats ? "*" : "", dashes, name);
    zsh_escape(stream, o->meaning);
    fputc(']', stream);
    if (o->value) {
        fprintf(stream, ":%s:", o->value);
        zsh_action(stream, o->kind, o->choice);
    }
    fputc('\'', stream);
}

static void zsh(FILE *stream) {
    const fal_command_row *row;
    fputs("#compdef falconer\n"
          "# zsh completion of falconer: put it into a folder of $fpath as _falconer.\n"
          "_falconer() {\n"
          "    local -a commands=(\n",
          stream);
    for (int i = 0; (row = fal_command_at(i)); i++) {
        fprintf(stream, "        '%s:", row->name);
        zsh_escape(stream, row->summary);
        fputs("'\n", stream);
    }
    fputs("    )\n"
          "    if ((CURRENT == 2)); then\n"
          "        _describe command commands\n"
          "        return\n"
          "    fi\n"
          "    local command=$words[2]\n"
          "    shift words\n"
          "    ((CURRENT--))\n"
          "    case $command in\n",
          stream);
    for (int i = 0; (row = fal_command_at(i)); i++) {
        fprintf(stream, "        %s)\n            _arguments -s", row->name);
        const fal_option *o;
        for (int k = 0; (o = option_or_help(row->command, k)); k++) {
            const char letter[] = {o->letter, '\0'};
            if (o->letter) zsh_option(stream, o, "-", letter);
            zsh_option(stream, o, "--", o->name);
        }
        for (const fal_argument *a = row->command->arguments; a && a->name; a++) {
            fprintf(stream, " \\\n            ':%s:", a->name);
            zsh_action(stream, a->kind, a->choice);
            fputc('\'', stream);
        }
        fputs("\n            ;;\n", stream);
    }
    fputs(
        "    esac\n"
        "}\n"
        "if [ \"$funcstack[1]\" = _falconer ]; then _falconer \"$@\"; else compdef _falconer falconer; fi\n",
        stream);
}

/* ---- fish ---- */

static void fish_quoted(FILE *stream, const char *text) {
    fputc('\'', stream);
    for (; *text; text++)
        fprintf(stream, strchr("'\\", *text) ? "\\%c" : "%c", *text);
    fputc('\'', stream);
}

static void fish_option(FILE *stream, const char *command, const fal_option *o) {
    fprintf(stream, "complete -c falconer -n '__fish_seen_subcommand_from %s' -l %s", command,
            o->name);
    if (o->letter) fprintf(stream, " -s %c", o->letter);
    if (o->value) fputs(" -r", stream);
    if (o->kind == FAL_OPTION_CHOICE) {
        fputs(" -f -a '", stream);
        print_words(stream, o->choice);
        fputc('\'', stream);
    } else if (o->value && o->kind != FAL_OPTION_FILE && o->kind != FAL_OPTION_DIRECTORY) {
        fputs(" -f", stream);
    } else if (o->kind == FAL_OPTION_FILE || o->kind == FAL_OPTION_DIRECTORY) {
        fputs(" -F", stream);
    }
    fputs(" -d ", stream);
    fish_quoted(stream, o->meaning);
    fputc('\n', stream);
}

static void fish_arguments(FILE *stream, const fal_command_row *row) {
    for (const fal_argument *a = row->command->arguments; a && a->name; a++) {
        fprintf(stream, "complete -c falconer -n '__fish_seen_subcommand_from %s'", row->name);
        if (a->kind == FAL_OPTION_CHOICE) {
            fputs(" -a '", stream);
            print_words(stream, a->choice);
            fputc('\'', stream);
        } else if (a->kind != FAL_OPTION_TEXT) {
            fputs(" -F", stream);
        }
        fputc('\n', stream);
    }
}

static void fish(FILE *stream) {
    const fal_command_row *row;
    fputs("# fish completion of falconer: save it as ~/.config/fish/completions/falconer.fish.\n"
          "complete -c falconer -f\n"
          "complete -c falconer -n __fish_use_subcommand -l version -d 'tell the version'\n"
          "complete -c falconer -n __fish_use_subcommand -s h -l help -d 'print this help'\n",
          stream);
    for (int i = 0; (row = fal_command_at(i)); i++) {
        fprintf(stream, "complete -c falconer -n __fish_use_subcommand -a %s -d ", row->name);
        fish_quoted(stream, row->summary);
        fputc('\n', stream);
    }
    for (int i = 0; (row = fal_command_at(i)); i++) {
        const fal_option *o;
        for (int k = 0; (o = option_or_help(row->command, k)); k++)
            fish_option(stream, row->name, o);
        fish_arguments(stream, row);
    }
}

static const struct {
    const char *name;
    shell_function *function;
} shells[] = {
    {"bash", bash},
    {"zsh",  zsh },
    {"fish", fish}
};

static const char *shell_choice(int index) {
    return (size_t)index < sizeof shells / sizeof shells[0] ? shells[index].name : NULL;
}

static const fal_argument arguments[] = {
    {"SHELL", FAL_OPTION_CHOICE, shell_choice, true,  "bash, zsh or fish"},
    {NULL,    FAL_OPTION_TEXT,   NULL,         false, NULL               }
};

static const fal_example examples[] = {
    {"source <(falconer completion bash)",                                  "Completion in the bash that is running:"},
    {"falconer completion fish > ~/.config/fish/completions/falconer.fish",
     "Completion in fish, for good:"                                                                                 },
    {NULL,                                                                  NULL                                     }
};

static fal_status run(const fal_parsed *parsed, fal_error *err) {
    (void)err;
    for (int i = 0; shell_choice(i); i++)
        if (strcmp(shell_choice(i), parsed->arguments[0]) == 0) shells[i].function(stdout);
    return FAL_OK;
}

const fal_command fal_command_completion = {
    .description =
        "Prints a script that completes falconer's commands, options and values in a shell.",
    .arguments = arguments,
    .examples = examples,
    .run = run};
