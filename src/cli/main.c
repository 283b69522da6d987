/* Finds the command, reads its options, runs it, prints its error, returns its exit code. */
#include <falconer/version.h>

#include "base/cpu.h"
#include "cli/command.h"
#include "cli/help_text.h"
#include "cli/nearest.h"
#include "cli/terminal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static fal_status unknown_command(const char *word, fal_error *err) {
    fal_nearest nearest = {.word = word};
    for (int i = 0; fal_command_at(i); i++)
        fal_nearest_offer(&nearest, fal_command_at(i)->name);
    if (nearest.best)
        return fal_fail(err, FAL_E_ARGUMENT, "unknown command '%.200s'; nearest: %s", word,
                        nearest.best);
    return fal_fail(err, FAL_E_ARGUMENT, "unknown command '%.200s'; see falconer help", word);
}

static fal_status run_command(const char *name, int argc, char **argv, fal_error *err) {
    const fal_command_row *row = fal_command_find(name);
    if (!row) return unknown_command(name, err);
    fal_parsed parsed;
    fal_status status = fal_parsed_open(&parsed, row, argc, argv, err);
    if (status == FAL_OK) {
        if (parsed.wants_help)
            fal_help_print(stdout, row);
        else
            status = row->command->run(&parsed, err);
    }
    fal_parsed_release(&parsed);
    return status;
}

static fal_status run(int argc, char **argv, fal_error *err) {
    const char *word = argc > 1 ? argv[1] : "--help";
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        fal_help_print_overview(stdout);
        return FAL_OK;
    }
    if (strcmp(word, "--version") == 0) {
        printf("falconer %s\n", FAL_VERSION);
        return FAL_OK;
    }
    if (word[0] == '-')
        return fal_fail(err, FAL_E_ARGUMENT, "option '%.200s' before a command; see falconer help",
                        word);
    return run_command(word, argc - 2, argv + 2, err);
}

/* An unknown word in a variable changes nothing, which must be told: one measures something else otherwise. */
static void check_variable(const char *name, const char *const *words) {
    char known[100] = "";
    const char *value = getenv(name);
    if (!value || !value[0]) return;
    for (size_t used = 0, i = 0; words[i]; i++) {
        if (strcmp(words[i], value) == 0) return;
        used +=
            (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", words[i]);
    }
    fal_terminal_notice("%s '%.100s' is not known and ignored; known: %s", name, value, known);
}

static void check_environment(void) {
    const char *levels[FAL_CPU_LEVELS + 1] = {NULL};
    for (int level = 0; level < FAL_CPU_LEVELS; level++)
        levels[level] = fal_cpu_level_name((fal_cpu_level)level);
    const char *const events[] = {"warning", "info", "debug", NULL};
    check_variable("FALCONER_CPU", levels);
    check_variable("FALCONER_LOG", events);
}

int main(int argc, char **argv) {
    signal(SIGXFSZ, SIG_IGN); /* a file at its limit is told as a full disk is */
    fal_terminal_open();
    check_environment();
    fal_error err = {0};
    fal_status status = run(argc, argv, &err);
    /* A result that did not reach its reader is a failure, too: a full disk shows only here. */
    if ((fflush(stdout) || ferror(stdout)) && status == FAL_OK)
        status = fal_fail_errno(&err, "writing", "standard output");
    if (status != FAL_OK) {
        const char *message = err.message[0] ? err.message : fal_status_words(status);
        fputs("falconer: ", stderr);
        fal_write_harmless(stderr, message, strlen(message));
        fputc('\n', stderr);
    }
    return fal_status_exit_code(status);
}
