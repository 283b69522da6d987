/* Option tables: a row says how an option is called, what it takes, where the value is stored and what it means. */
#ifndef FAL_CLI_OPTIONS_H
#define FAL_CLI_OPTIONS_H

#include <falconer/tokenizer.h>

#include "base/fail.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum fal_option_kind { /* stored as */
    FAL_OPTION_FLAG,           /* bool; takes no value */
    FAL_OPTION_TEXT,           /* const char *, borrowed from the command line */
    FAL_OPTION_FILE,           /* as text */
    FAL_OPTION_DIRECTORY,      /* as text */
    FAL_OPTION_CHOICE,         /* const char *, one of the words that `choice` gives */
    FAL_OPTION_COUNT,          /* int */
    FAL_OPTION_SEED,           /* uint64_t */
    FAL_OPTION_NUMBER,         /* double */
    FAL_OPTION_LIST,           /* fal_texts; the option may be repeated */
    FAL_OPTION_IDS             /* fal_tokens; "1,2,3" */
} fal_option_kind;

/* The index-th word, NULL past the end. */
typedef const char *fal_choice_function(int index);

/* Texts of a repeated option, NULL-terminated; released with the parsed line. */
typedef struct fal_texts {
    const char **items;
    size_t count;
} fal_texts;

typedef struct fal_option {
    const char *name; /* without dashes; NULL ends a table */
    char letter;      /* 0: none */
    fal_option_kind kind;
    size_t offset;     /* in the struct that the group stores into */
    const char *value; /* how the value is called in help: "FILE", "N" */
    double min, max;   /* of counts and numbers, both allowed; HUGE_VAL: no upper bound */
    fal_choice_function *choice;
    const char *meaning; /* at most 48 characters, so that help fits 80 columns */
} fal_option;

/* Rows by kind. FAL_ROW is for kinds without bounds: TEXT, FILE, DIRECTORY, SEED, LIST, IDS. */
#define FAL_ROW(kind, name, letter, offset, value, meaning) \
    { name, letter, FAL_OPTION_##kind, offset, value, 0, 0, NULL, meaning }
#define FAL_ROW_FLAG(name, letter, offset, meaning) \
    FAL_ROW(FLAG, name, letter, offset, NULL, meaning)
#define FAL_ROW_COUNT(name, letter, offset, value, min, max, meaning) \
    { name, letter, FAL_OPTION_COUNT, offset, value, min, max, NULL, meaning }
#define FAL_ROW_NUMBER(name, letter, offset, value, min, max, meaning) \
    { name, letter, FAL_OPTION_NUMBER, offset, value, min, max, NULL, meaning }
#define FAL_ROW_CHOICE(name, letter, offset, value, choice, meaning) \
    { name, letter, FAL_OPTION_CHOICE, offset, value, 0, 0, choice, meaning }

/* Rows that mean the same in every command. */
#define FAL_ROW_THREADS(offset) \
    FAL_ROW_COUNT("threads", 0, offset, "N", 1, 1024, "threads to compute with (usable cores)")
#define FAL_ROW_JSON(offset)  FAL_ROW_FLAG("json", 0, offset, "print one JSON object")
#define FAL_ROW_QUIET(offset) FAL_ROW_FLAG("quiet", 'q', offset, "say nothing but errors")

/* Rows that belong together; several commands may share one table at different offsets. */
typedef struct fal_option_group {
    const char *title; /* "Sampling"; NULL ends a list of groups */
    const fal_option *rows;
    size_t offset; /* of the group's struct in the command's values */
} fal_option_group;

enum {
    FAL_MAX_OPTIONS = 64
}; /* per command */

struct fal_command_row;

/* A command line as read through the tables. */
typedef struct fal_parsed {
    const struct fal_command_row *row;
    void *values;           /* the command's struct */
    const char **arguments; /* words without dashes, NULL-terminated */
    int n_arguments;
    bool given[FAL_MAX_OPTIONS]; /* by flattened index, see fal_option_at */
    bool wants_help;
} fal_parsed;

/* The row of -h, --help, which every command has. */
extern const fal_option fal_help_option;

/* The index-th option over all groups (NULL past the end); *offset (may be NULL) from the start of the values. */
const fal_option *fal_option_at(const fal_option_group *groups, int index, size_t *offset);

/* Reads the words behind the command's name. Checks names, values, bounds and the number of arguments.
 *
 *   out    released by the caller in any case
 *   Fails: ARGUMENT in one line with the option, the value and the bound or the nearest name; MEMORY. */
fal_status fal_parsed_open(fal_parsed *out, const struct fal_command_row *row, int argc,
                           char **argv, fal_error *err);
void fal_parsed_release(fal_parsed *parsed);

/* Whether the option stood on the command line. */
bool fal_parsed_has(const fal_parsed *parsed, const char *name);

/* Checks text against the row and stores it in the group's struct at base. label names the option in a message. */
fal_status fal_option_store(const fal_option *option, void *base, const char *label,
                            const char *text, fal_error *err);

/* "4G", "500MB", "2GiB", digits alone: bytes, 100K to 1000T. label names the option in a message. Fails: ARGUMENT. */
fal_status fal_size_read(const char *label, const char *text, uint64_t *out, fal_error *err);

/* The bound in words ("a whole number from 0 to 100", "one of cpu, ref"); writes at most size bytes. */
void fal_option_bound(const fal_option *option, char *out, size_t size);

#endif
