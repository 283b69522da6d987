/* Body of chat.h and of <falconer/tokenizer.h>, the part about conversations: finds the format of a model and renders
 * messages by the rows of chat_formats.def. Text of the format and of contents is tokenised together, as in the original;
 * only names of control tokens in the format itself become control tokens. */
#include "text/chat.h"

#include "base/alloc.h"
#include "base/string_builder.h"
#include "base/utf8.h"
#include "text/quote.h"
#include "text/vocabulary.h"

#include <string.h>
#include <time.h>

enum {
    SYSTEM,
    USER,
    ASSISTANT,
    N_ROLES
};

typedef enum trim {
    KEEP,
    STRIP,
    JOIN
} trim;

typedef struct role_row {
    const char *before, *after;
    trim trim;
} role_row;

struct fal_chat_format {
    const char *name;
    const char *const *controls; /* NULL-terminated; NULL: none */
    const char *between;
    role_row roles[N_ROLES];
    const char *answer;
    bool system_first;
    const char *default_system;
    const char *const *stop_words;
    const char *template_mark, *name_mark, *jinja_template; /* NULL: none */
};

/* clang-format off */
#define FAL_LIST(...) (const char *const[]){__VA_ARGS__, NULL}
#define FAL_CHAT_FORMAT(name, meaning, controls, between, system_before, system_after, system_trim, \
                        user_before, user_after, user_trim, assistant_before, assistant_after,      \
                        assistant_trim, answer, system_first, default_system, stop_words,           \
                        template_mark, name_mark, jinja_template)                                   \
    {name, controls, between,                                                                       \
     {{system_before, system_after, system_trim},                                                   \
      {user_before, user_after, user_trim},                                                         \
      {assistant_before, assistant_after, assistant_trim}},                                         \
     answer, system_first, default_system, stop_words, template_mark, name_mark, jinja_template},
/* clang-format on */
static const fal_chat_format formats[] = {
#include "text/chat_formats.def"
};

enum {
    N_FORMATS = sizeof formats / sizeof formats[0]
};

static const char *const role_names[N_ROLES] = {"system", "user", "assistant"};
static const char *const no_words[] = {NULL};

const fal_chat_format *fal_chat_format_by_name(const char *name) {
    for (int i = 0; i < N_FORMATS; i++) {
        if (strcmp(formats[i].name, name) == 0) return &formats[i];
    }
    return NULL;
}

const char *fal_chat_format_name(const fal_chat_format *format) {
    return format->name;
}

const char *const *fal_chat_stop_words(const fal_chat_format *format) {
    return format->stop_words ? format->stop_words : no_words;
}

/* The control token of the format whose name text begins with; NULL: none. */
static const char *control_at(const fal_chat_format *format, const char *text) {
    for (const char *const *name = format->controls; name && *name; name++) {
        if (strncmp(text, *name, strlen(*name)) == 0) return *name;
    }
    return NULL;
}

const char *const *fal_chat_controls(const fal_chat_format *format) {
    return format->controls ? format->controls : no_words;
}

const char *fal_chat_end(const fal_chat_format *format) {
    return control_at(format, format->roles[ASSISTANT].after);
}

const char *fal_chat_template(const fal_chat_format *format) {
    return format->jinja_template;
}

/* ---- detection ---- */

/* The first control token of format that t lacks; NULL: it has all. */
static const char *missing_control(const fal_chat_format *format, const fal_tokenizer *t) {
    for (const char *const *name = format->controls; name && *name; name++) {
        if (fal_tokenizer_control_id(t, *name) < 0) return *name;
    }
    return NULL;
}

static fal_slice find_text(const fal_gguf *f, const char *key) {
    fal_gguf_string found = {"", 0};
    if (f) (void)fal_gguf_find_string(f, key, &found);
    return (fal_slice){found.data, found.length};
}

static fal_slice template_of(const fal_tokenizer *t, const fal_gguf *f) {
    fal_slice text = find_text(f, "tokenizer.chat_template");
    const char *stored = fal_tokenizer_vocabulary(t)->chat_template;
    return text.length == 0 && stored ? fal_slice_of(stored) : text;
}

const fal_chat_format *fal_chat_format_detect(const fal_tokenizer *t, const fal_gguf *f) {
    for (int i = 0; i < N_FORMATS; i++) {
        if (formats[i].controls && !missing_control(&formats[i], t)) return &formats[i];
    }
    fal_slice chat_template = template_of(t, f);
    for (int i = 0; i < N_FORMATS; i++) {
        if (formats[i].template_mark
            && fal_slice_contains(chat_template, formats[i].template_mark, false)
            && !missing_control(&formats[i], t))
            return &formats[i];
    }
    /* Other families have models with "chat" in their names, and formats of their own. */
    if (fal_slice_equals(find_text(f, "general.architecture"), "falcon")) {
        fal_slice name = find_text(f, "general.name");
        for (int i = 0; i < N_FORMATS; i++) {
            if (formats[i].name_mark && fal_slice_contains(name, formats[i].name_mark, true))
                return &formats[i];
        }
    }
    return fal_chat_format_by_name("plain");
}

/* ---- the default system prompt ---- */

static void append(char *out, size_t size, size_t *n, const char *text, size_t length) {
    for (size_t i = 0; i < length && *n + 1 < size; i++)
        out[(*n)++] = text[i];
}

/* "16 November, 2023", where this machine is. */
static void append_date(char *out, size_t size, size_t *n, int64_t now) {
    static const char *const months[] = {"January",   "February", "March",    "April",
                                         "May",       "June",     "July",     "August",
                                         "September", "October",  "November", "December"};
    time_t seconds = (time_t)now;
    struct tm date;
    if (!localtime_r(&seconds, &date)) return;
    fal_string_builder text = {0};
    fal_string_append_format(&text, "%d %s, %lld", date.tm_mday, months[date.tm_mon],
                             date.tm_year + 1900LL);
    if (!text.failed) append(out, size, n, text.text, text.length);
    fal_string_release(&text);
}

void fal_chat_default_system(const fal_chat_format *format, int64_t now, char *out, size_t size) {
    static const char mark[] = "{date}";
    if (size == 0) return;
    const char *text = format->default_system;
    const char *date = strstr(text, mark);
    size_t n = 0;
    if (date) {
        append(out, size, &n, text, (size_t)(date - text));
        append_date(out, size, &n, now);
        text = date + sizeof mark - 1;
    }
    append(out, size, &n, text, strlen(text));
    out[n] = '\0';
}

/* ---- trimming ---- */

/* What Python's str.strip takes for white space. */
static bool is_space(uint32_t c) {
    return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0
           || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029
           || c == 0x202f || c == 0x205f || c == 0x3000;
}

static fal_slice strip(fal_slice text) {
    uint32_t character;
    size_t begin = 0, end = 0;
    for (size_t i = 0; i < text.length;) {
        int n = fal_utf8_decode(text.data + i, text.length - i, &character);
        bool space = n > 0 && is_space(character);
        i += n > 0 ? (size_t)n : 1;
        if (!space) end = i;
        if (space && end == 0) begin = i;
    }
    return end == 0 ? (fal_slice){text.data, 0} : (fal_slice){text.data + begin, end - begin};
}

/* Appends text with each `from` made `to` and every second newline of a pair left out, in the order of the template. */
static void append_joined(fal_string_builder *out, fal_slice text) {
    bool after_newline = false; /* an unpaired newline was the last thing appended */
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] == '\r' && i + 1 < text.length && text.data[i + 1] == '\n') continue;
        if (text.data[i] == '\n' && after_newline) {
            after_newline = false;
            continue;
        }
        after_newline = text.data[i] == '\n';
        fal_string_append(out, text.data + i, 1);
    }
}

/* ---- rendering ---- */

/* The waiting text up to here, from the end of the run before it, is of one message. */
typedef struct owned_run {
    size_t end;
    int32_t owner;
} owned_run;

/* Text that waits to be tokenised as one, up to the next control token. */
typedef struct rendering {
    const fal_chat_format *format;
    const fal_tokenizer *tokenizer;
    fal_string_builder text;
    fal_tokens *out;
    fal_tokens *owners; /* NULL: not asked for */
    owned_run *runs;
    size_t n_runs, run_capacity;
} rendering;

/* Notes whose the text is that was appended since the last run. */
static void close_run(rendering *r, int32_t owner) {
    size_t begin = r->n_runs > 0 ? r->runs[r->n_runs - 1].end : 0;
    if (!r->owners || r->text.length == begin) return;
    if (!fal_grow((void **)&r->runs, &r->run_capacity, r->n_runs + 1, sizeof *r->runs)) {
        r->text.failed = true;
        return;
    }
    r->runs[r->n_runs++] = (owned_run){r->text.length, owner};
}

/* Owners of the ids from n_before on, which are the tokens of the waiting text. */
static fal_status append_owners(rendering *r, size_t n_before, fal_error *err) {
    size_t end = 0, run = 0, length;
    for (size_t i = n_before; i < r->out->count; i++) {
        fal_tokenizer_piece(r->tokenizer, r->out->ids[i], &length);
        end += length;
        while (run + 1 < r->n_runs && end > r->runs[run].end)
            run++;
        FAL_TRY(fal_tokens_append(r->owners, &r->runs[run].owner, 1, err));
    }
    return FAL_OK;
}

static fal_status flush(rendering *r, fal_error *err) {
    FAL_TRY(fal_string_status(&r->text, err));
    if (r->text.length == 0) return FAL_OK;
    size_t n_before = r->out->count;
    FAL_TRY(fal_tokenizer_encode(r->tokenizer, r->text.text, r->text.length, FAL_SPECIALS_AS_TEXT,
                                 r->out, NULL, err));
    if (r->owners) FAL_TRY(append_owners(r, n_before, err));
    fal_string_clear(&r->text);
    r->n_runs = 0;
    return FAL_OK;
}

/* Appends text of the format itself. */
static fal_status add_format_text(rendering *r, const char *text, int32_t owner, fal_error *err) {
    while (*text) {
        const char *control = control_at(r->format, text);
        if (!control) {
            fal_string_append(&r->text, text++, 1);
            continue;
        }
        close_run(r, owner);
        FAL_TRY(flush(r, err));
        int32_t id = fal_tokenizer_control_id(r->tokenizer, control);
        FAL_TRY(fal_tokens_append(r->out, &id, 1, err));
        if (r->owners) FAL_TRY(fal_tokens_append(r->owners, &owner, 1, err));
        text += strlen(control);
    }
    close_run(r, owner);
    return FAL_OK;
}

static void add_content(rendering *r, const char *content, trim how, int32_t owner) {
    fal_slice text = fal_slice_of(content);
    if (how != KEEP) text = strip(text);
    if (how == JOIN)
        append_joined(&r->text, text);
    else
        fal_string_append(&r->text, text.data, text.length);
    close_run(r, owner);
}

static fal_status find_role(int *out, const fal_chat_format *format, const fal_message *messages,
                            size_t index, fal_error *err) {
    const fal_message *message = &messages[index];
    if (!message->role || !message->content)
        return fal_fail(err, FAL_E_ARGUMENT, "message %zu has no %s", index + 1,
                        message->role ? "content" : "role");
    for (int role = 0; role < N_ROLES; role++) {
        if (strcmp(message->role, role_names[role]) != 0) continue;
        if (role == SYSTEM && index > 0 && format->system_first)
            return fal_fail(err, FAL_E_ARGUMENT,
                            "message %zu: format '%s' has a system message only in front",
                            index + 1, format->name);
        *out = role;
        return FAL_OK;
    }
    return fal_fail(err, FAL_E_ARGUMENT, "message %zu: role '%s' is not system, user or assistant",
                    index + 1, fal_quote(fal_slice_of(message->role)).text);
}

size_t fal_chat_content_bytes(const fal_chat_format *format, const fal_message *messages,
                              size_t n_messages) {
    rendering r = {.format = format};
    for (size_t i = 0; i < n_messages; i++) {
        int role;
        if (find_role(&role, format, messages, i, NULL) == FAL_OK)
            add_content(&r, messages[i].content, format->roles[role].trim, (int32_t)i);
    }
    size_t bytes = r.text.length;
    fal_string_release(&r.text);
    return bytes;
}

static fal_status render(rendering *r, const fal_message *messages, size_t n_messages,
                         bool open_answer, fal_error *err) {
    for (size_t i = 0; i < n_messages; i++) {
        int role = USER;
        FAL_TRY(find_role(&role, r->format, messages, i, err));
        const role_row *row = &r->format->roles[role];
        if (i > 0) FAL_TRY(add_format_text(r, r->format->between, -1, err));
        FAL_TRY(add_format_text(r, row->before, -1, err));
        add_content(r, messages[i].content, row->trim, (int32_t)i);
        FAL_TRY(add_format_text(r, row->after, (int32_t)i, err));
    }
    if (open_answer) {
        if (n_messages > 0) FAL_TRY(add_format_text(r, r->format->between, -1, err));
        FAL_TRY(add_format_text(r, r->format->answer, -1, err));
    }
    return flush(r, err);
}

static fal_status render_all(rendering *r, const fal_message *messages, size_t n_messages,
                             bool open_answer, fal_error *err) {
    const char *missing = missing_control(r->format, r->tokenizer);
    if (missing)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "format '%s' needs the control token %s, which this vocabulary lacks",
                        r->format->name, missing);
    size_t n_before = r->out->count, n_owners = r->owners ? r->owners->count : 0;
    fal_status status = render(r, messages, n_messages, open_answer, err);
    fal_string_release(&r->text);
    fal_free(r->runs);
    if (status == FAL_OK) return FAL_OK;
    r->out->count = n_before;
    if (r->owners) r->owners->count = n_owners;
    return status;
}

fal_status fal_chat_render(const fal_chat_format *format, const fal_tokenizer *t,
                           const fal_message *messages, size_t n_messages, bool open_answer,
                           fal_tokens *out, fal_error *err) {
    rendering r = {.format = format, .tokenizer = t, .out = out};
    return render_all(&r, messages, n_messages, open_answer, err);
}

fal_status fal_chat_render_owned(const fal_chat_format *format, const fal_tokenizer *t,
                                 const fal_message *messages, size_t n_messages, fal_tokens *out,
                                 fal_tokens *owners, fal_error *err) {
    rendering r = {.format = format, .tokenizer = t, .out = out, .owners = owners};
    return render_all(&r, messages, n_messages, false, err);
}
