/* libedit behind one face. The history is written after each line, beside its file, which is whole at any time. */
#include "cli/line_input.h"

#include "base/alloc.h"
#include "base/file.h"
#include "cli/terminal.h"

#include <errno.h>
#include <histedit.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

enum {
    HISTORY_LINES = 1000
};

struct fal_line_input {
    EditLine *editor; /* NULL: a pipe */
    History *history;
    HistEvent event;
    char *history_path;
    char prompt[64];
    FILE *shown;             /* where libedit draws */
    bool takes_pastes;       /* the terminal marks what is pasted */
    bool continues;          /* the second and later lines of a message */
    fal_string_builder line; /* of a pipe */
};

static char *show_prompt(EditLine *editor) {
    fal_line_input *input = NULL;
    el_get(editor, EL_CLIENTDATA, &input);
    static char more[] = ". ";
    return input->continues ? more : input->prompt;
}

/* ---- pasted text ---- */

/* Terminals put these around what is pasted once they are asked to. */
static const wchar_t paste_begins[] = L"\033[200~", paste_ends[] = L"\033[201~";

/* Its newlines are Returns on the wire, and would send each line by itself. Other control characters are not typed. */
static unsigned char take_paste(EditLine *editor, int key) {
    (void)key;

    enum {
        LENGTH = sizeof paste_ends / sizeof paste_ends[0] - 1
    };

    size_t n_matched = 0;
    wchar_t c = 0;
    while (n_matched < LENGTH && el_wgetc(editor, &c) == 1) {
        n_matched = c == paste_ends[n_matched] ? n_matched + 1 : c == paste_ends[0];
        if (c == L'\r') c = L'\n';
        const wchar_t text[] = {c, 0};
        bool is_text = (c >= 0x20 && c != 0x7f) || c == L'\n' || c == L'\t';
        if (n_matched == 0 && is_text && el_winsertstr(editor, text) != 0) return CC_ERROR;
    }
    return CC_REFRESH;
}

static void open_pastes(fal_line_input *input) {
    const char *terminal = getenv("TERM");
    if (!fal_terminal_is(input->shown) || !terminal || strcmp(terminal, "dumb") == 0) return;
    input->takes_pastes =
        el_wset(input->editor, EL_ADDFN, L"falconer-paste", L"Insert pasted text", take_paste) == 0
        && el_wset(input->editor, EL_BIND, paste_begins, L"falconer-paste", NULL) == 0;
}

static void mark_pastes(const fal_line_input *input, bool on) {
    if (!input->takes_pastes) return;
    fputs(on ? "\033[?2004h" : "\033[?2004l", input->shown);
    fflush(input->shown);
}

static void open_editor(fal_line_input *input) {
    FILE *shown = fal_terminal_is(stdout) ? stdout : stderr;
    input->shown = shown;
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
    open_pastes(input);
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
    if (input->history) history_end(input->history);
    if (input->editor) el_end(input->editor);
    fal_string_release(&input->line);
    fal_free(input->history_path);
    fal_free(input);
}

static void write_history(fal_line_input *input) {
    fal_string_builder beside = {0};
    if (!input->history_path) return;
    fal_string_append_format(&beside, "%s.partial-%ld", input->history_path, (long)getpid());
    if (!beside.failed) {
        /* What a person writes is nobody else's business. */
        mode_t mask = umask(S_IRWXG | S_IRWXO);
        if (history(input->history, &input->event, H_SAVE, beside.text) < 0
            || rename(beside.text, input->history_path) != 0)
            (void)unlink(beside.text);
        umask(mask);
    }
    fal_string_release(&beside);
}

/* What el_gets gives, again after a signal that is no interruption: a stop and a continuation end its read. */
static const char *get_line(fal_line_input *input, int *n) {
    const char *line;
    mark_pastes(input, true);
    do {
        errno = 0;
        line = el_gets(input->editor, n);
        if (line || errno != EINTR || fal_interrupt_is_raised()) break;
        el_reset(input->editor);
    } while (true);
    mark_pastes(input, false);
    return line;
}

/* One line with its newline, borrowed until the next; NULL: end or interruption. */
static const char *read_edited(fal_line_input *input, size_t *length, bool *threw_text_away) {
    int n = 0;
    el_resize(input->editor);
    const char *line = get_line(input, &n);
    if (line && n > 0 && !fal_interrupt_is_raised()) {
        *length = (size_t)n;
        if (input->history && line[strspn(line, " \t\n")]) {
            history(input->history, &input->event, H_ENTER, line);
            write_history(input);
        }
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
