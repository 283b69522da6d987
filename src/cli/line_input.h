/* What a person types, message by message: with editing and history on a terminal, line by line from a pipe. */
#ifndef FAL_CLI_LINE_INPUT_H
#define FAL_CLI_LINE_INPUT_H

#include "base/string_builder.h"

typedef struct fal_line_input fal_line_input;

typedef enum fal_input_event {
    FAL_INPUT_MESSAGE,     /* there is one, maybe of several lines */
    FAL_INPUT_INTERRUPTED, /* Ctrl-C at the prompt; what was typed is thrown away */
    FAL_INPUT_END          /* Ctrl-D or the end of the pipe */
} fal_input_event;

/* history  the file's name, read and appended to; NULL: none. Fails: MEMORY. */
fal_status fal_line_input_open(fal_line_input **out, const char *history, fal_error *err);
void fal_line_input_close(fal_line_input *input);

/* The next message. A line that ends with a backslash goes on in the next one; a line that begins with """ opens a block
 * that goes on to the next """.
 *
 *   message           emptied first; without the final newline
 *   *threw_text_away  (of INTERRUPTED) something had been typed */
fal_input_event fal_line_input_read(fal_line_input *input, fal_string_builder *message,
                                    bool *threw_text_away);

/* The history's place by the XDG rules, its folders made; owned (fal_free). NULL: there is no home. */
char *fal_history_path(void);

#endif
