/* The terminal: colours where they are welcome, width, progress bars, harmless output of foreign text, Ctrl-C. */
#ifndef FAL_CLI_TERMINAL_H
#define FAL_CLI_TERMINAL_H

#include "base/fail.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Sets the character encoding; call once, first. */
void fal_terminal_open(void);

/* Whether a person sits at the other end. */
bool fal_terminal_is(FILE *stream);

/* Columns of the terminal, 80 where there is none. */
int fal_terminal_width(void);

typedef enum fal_style {
    FAL_STYLE_PLAIN,
    FAL_STYLE_BOLD,
    FAL_STYLE_DIM,
    FAL_STYLE_PROMPT,
    FAL_STYLE_WARNING
} fal_style;

/* The sequence that begins a style (PLAIN ends it); "" unless stream is a terminal that may show colours: NO_COLOR is
 * honoured. */
const char *fal_style_of(FILE *stream, fal_style style);

/* A dim line on stderr, harmless whatever the arguments hold. */
__attribute__((format(printf, 1, 2))) void fal_terminal_notice(const char *format, ...);

/* Writes text of unknown origin so that it cannot do anything: "^[" stands for an escape character, U+FFFD for C1 controls
 * and bytes that are not UTF-8. Newlines and tabs pass. */
void fal_write_harmless(FILE *stream, const char *text, size_t length);

/* As fal_write_harmless on a terminal; elsewhere the bytes as they are. For results. */
void fal_terminal_write(FILE *stream, const char *text, size_t length);

/* Writes text in double quotes, on one line whatever it holds: \n, \t, \", \\ and \xNN for bytes that are not UTF-8 and
 * for control characters. */
void fal_print_quoted(FILE *stream, const char *text, size_t length);

/* "1.4 GiB", "312 KiB"; writes at most size bytes. */
void fal_format_bytes(char *out, size_t size, double bytes);
/* "41.84 B", "7.20 M", "812". */
void fal_format_count(char *out, size_t size, double n);
/* "1:02:03", "0:42". */
void fal_format_duration(char *out, size_t size, double seconds);

/* A bar on stderr with rate and time left; silent where stderr is no terminal. */
typedef struct fal_progress {
    const char *what;
    const char *unit;  /* "tokens"; NULL: bytes */
    uint64_t n_before; /* done before it was opened: no part of the rate */
    double started, drawn;
    bool is_shown;
} fal_progress;

/* Starts the clock. what and unit are borrowed. */
fal_progress fal_progress_open(const char *what, const char *unit);

/* Draws at most ten times a second. */
void fal_progress_show(fal_progress *progress, uint64_t n_done, uint64_t n_total);
/* Removes the bar from the screen. */
void fal_progress_clear(fal_progress *progress);

/* From here on Ctrl-C, SIGTERM and SIGHUP only raise a flag; the n_to_end-th of them before fal_interrupt_clear ends the
 * program. */
void fal_interrupt_watch(int n_to_end);
bool fal_interrupt_is_raised(void);
/* Whether SIGTERM or SIGHUP came: then the program is to end, and fal_interrupt_clear does not lower the flag. */
bool fal_interrupt_is_final(void);
void fal_interrupt_clear(void);

#endif
