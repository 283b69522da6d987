/* libedit behind one face. The history is written when the input is closed. */
#include "cli/line_input.h"

#include "base/alloc.h"
#include "base/file.h"
#include "cli/terminal.h"

#include <histedit.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    HISTORY_LINES = 1000
};

struct fal_line_input {
    EditLine *editor; /* NULL: a pipe */
    History *history;
    HistEvent event;
    char *history_path;
    char prompt[64];
    bool continues;          /* the second and later lines of a message */
    fal_string_builder line; /* of a pipe */
};

static char *show_prompt(EditLine *editor) {
    fal_line_input *input = NULL;
    el_get(editor, EL_CLIENTDATA, &input);
    static char more[] = ". ";
    return input->continues ? more : input->prompt;
}

static void open_editor(fal_line_input *input) {
    FILE *shown = fal_terminal_is(stdout) ? stdout : stderr;
    const char *style = fal_style_of(shown, FAL_STYLE_PROMPT),
               *plain = fal_style_of(shown, FAL_STYLE_PLAIN);
    /* Bytes between \1 take no room on the screen. */
    if (style[0])
        snprintf(input->prompt, sizeof input->prompt, "\1%s\1> \1%s\1", style, plain);
    else
        snprintf(input->prompt, sizeof input->prompt, "> ");
    input->editor = el_init("falconer", stdin, shown, stderr);
    if (!input->editor) return;
    el_set(input->editor, EL_CLIENTDATA, input);
    el_set(input->editor, EL_PROMPT_ESC, show_prompt, '\1');
    el_set(input->editor, EL_EDITOR, "emacs");
    el_set(input->editor, EL_SIGNAL, 1);
    el_source(input->editor, NULL);
    input->history = history_init();
    if (!input->history) return;
    history(input->history, &input->event, H_SETSIZE, HISTORY_LINES);
    history(input->history, &input->event, H_SETUNIQUE, 1);
    if (input->history_path) history(input->history, &input->event, H_LOAD, input->history_path);
    el_set(input->editor, EL_HIST, history, input->history);
}

fal_status fal_line_input_open(fal_line_input **out, const char *history_file, fal_error *err) {
    fal_line_input *input = fal_alloc(1, sizeof *input);
    if (!input) return fal_fail_memory(err, sizeof *input);
    if (history_file) {
        input->history_path = fal_copy_string(history_file, strlen(history_file));
        if (!input->history_path) {
            fal_free(input);
            return fal_fail_memory(err, strlen(history_file));
        }
    }
    if (fal_terminal_is(stdin)) open_editor(input);
    *out = input;
    return FAL_OK;
}

void fal_line_input_close(fal_line_input *input) {
    if (!input) return;
    if (input->history && input->history_path) {
        history(input->history, &input->event, H_SAVE, input->history_path);
        /* What a person writes is nobody else's business. */
        (void)chmod(input->history_path, S_IRUSR | S_IWUSR);
    }
    if (input->history) history_end(input->history);
    if (input->editor) el_end(input->editor);
    fal_string_release(&input->line);
    fal_free(input->history_path);
    fal_free(input);
}

/* One line with its newline, borrowed until the next; NULL: end or interruption. */
static const char *read_edited(fal_line_input *input, size_t *length, bool *threw_text_away) {
    int n = 0;
    el_resize(input->editor);
    const char *line = el_gets(input->editor, &n);
    if (line && n > 0 && !fal_interrupt_is_raised()) {
        *length = (size_t)n;
        if (input->history && line[strspn(line, " \t\n")])
            history(input->history, &input->event, H_ENTER, line);
        return line;
    }
    const LineInfo *typed = el_line(input->editor);
    *threw_text_away = typed && typed->lastchar > typed->buffer;
    el_reset(input->editor);
    fputc('\n', stderr);
    return NULL;
}

static const char *read_piped(fal_line_input *input, size_t *length) {
    int c = 0;
    fal_string_clear(&input->line);
    while (c != '\n' && (c = getc(stdin)) != EOF) {
        const char byte = (char)c;
        fal_string_append(&input->line, &byte, 1);
    }
    *length = input->line.length;
    return *length && !input->line.failed ? input->line.text : NULL;
}

static bool begins_block(const char *line, size_t length) {
    return length >= 3 && memcmp(line, "\"\"\"", 3) == 0;
}

fal_input_event fal_line_input_read(fal_line_input *input, fal_string_builder *message,
                                    bool *threw_text_away) {
    bool in_block = false, goes_on = true;
    fal_string_clear(message);
    *threw_text_away = false;
    input->continues = false;
    while (goes_on) {
        size_t length = 0;
        const char *line = input->editor ? read_edited(input, &length, threw_text_away)
                                         : read_piped(input, &length);
        if (!line && fal_interrupt_is_raised()) {
            *threw_text_away = *threw_text_away || input->continues;
            fal_interrupt_clear();
            return FAL_INPUT_INTERRUPTED;
        }
        if (!line) return message->length ? FAL_INPUT_MESSAGE : FAL_INPUT_END;
        while (length && (line[length - 1] == '\n' || line[length - 1] == '\r'))
            length--;
        if (input->continues) fal_string_append_text(message, "\n");
        if (!input->continues && begins_block(line, length)) {
            in_block = true;
            line += 3;
            length -= 3;
        }
        bool ends_block = in_block && length >= 3 && memcmp(line + length - 3, "\"\"\"", 3) == 0;
        bool has_backslash = !in_block && length && line[length - 1] == '\\';
        fal_string_append(message, line, length - (ends_block ? 3 : has_backslash ? 1 : 0));
        goes_on = in_block ? !ends_block : has_backslash;
        input->continues = true;
    }
    return FAL_INPUT_MESSAGE;
}

/* ---- the history's place ---- */

static bool make_folders(char *path) {
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        bool is_there = mkdir(path, S_IRWXU) == 0 || fal_file_is_directory(path);
        *slash = '/';
        if (!is_there) return false;
    }
    return true;
}

char *fal_history_path(void) {
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    fal_string_builder path = {0};
    if (state && state[0] == '/')
        fal_string_append_format(&path, "%s/falconer/chat_history", state);
    else if (home && home[0] == '/')
        fal_string_append_format(&path, "%s/.local/state/falconer/chat_history", home);
    else
        return NULL;
    char *text = fal_string_take(&path);
    if (text && !make_folders(text)) {
        fal_free(text);
        return NULL;
    }
    return text;
}
