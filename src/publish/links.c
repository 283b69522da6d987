/* Body of links.h: a walk over lines that knows fences, code in a line, brackets and attributes. */
#include "publish/links.h"

#include "base/alloc.h"
#include "base/utf8.h"

#include <string.h>
#include <strings.h>

enum {
    MAX_LABEL = 1000 /* bytes of a link's words, so that no line costs its square */
};

static char byte_at(const fal_link_walk *w, size_t at) {
    return at < w->text.length ? w->text.data[at] : '\n';
}

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n';
}

static bool starts_with(fal_slice text, size_t at, const char *word) {
    size_t length = strlen(word);
    return text.length - at >= length && strncasecmp(text.data + at, word, length) == 0;
}

/* At the start of a line: whether it opens or closes a fence. */
static bool is_fence(fal_link_walk *w) {
    size_t i = w->at;
    while (byte_at(w, i) == ' ' && i < w->at + 3)
        i++;
    char c = byte_at(w, i);
    if ((c != '`' && c != '~') || byte_at(w, i + 1) != c || byte_at(w, i + 2) != c) return false;
    if (w->fence && w->fence != c) return false;
    w->fence = w->fence ? '\0' : c;
    return true;
}

static void skip_line(fal_link_walk *w) {
    while (byte_at(w, w->at) != '\n')
        w->at++;
}

/* Behind code between equally long runs of backticks on the line; behind the first run if nothing closes it. */
static void skip_code(fal_link_walk *w) {
    size_t n = 0;
    while (byte_at(w, w->at) == '`') {
        n++;
        w->at++;
    }
    for (size_t i = w->at, run = 0; byte_at(w, i) != '\n'; i++) {
        run = byte_at(w, i) == '`' ? run + 1 : 0;
        if (run == n && byte_at(w, i + 1) != '`') {
            w->at = i + 1;
            return;
        }
    }
}

/* Whether the bracket that closes at `at` was opened on its line, and if so behind an exclamation mark. */
static bool find_opening(const fal_link_walk *w, size_t at, bool *is_image) {
    int depth = 0;
    size_t least = at > MAX_LABEL ? at - MAX_LABEL : 0;
    for (size_t i = at + 1; i-- > least && w->text.data[i] != '\n';) {
        char c = w->text.data[i], before = i > 0 ? w->text.data[i - 1] : '\n';
        if (before == '\\') continue;
        if (c == ']') depth++;
        if (c != '[' || --depth > 0) continue;
        *is_image = before == '!';
        return true;
    }
    return false;
}

/* The target that begins at `at`: between < and >, or up to a space or the parenthesis that closes. */
static fal_slice target_at(fal_link_walk *w, size_t at, bool in_parentheses) {
    while (byte_at(w, at) == ' ' || byte_at(w, at) == '\t')
        at++;
    bool angled = byte_at(w, at) == '<';
    size_t begin = at + angled, end = begin;
    for (int depth = 0; byte_at(w, end) != '\n'; end++) {
        char c = byte_at(w, end);
        if (angled ? c == '>' : is_space(c)) break;
        if (angled || !in_parentheses) continue;
        if (c == ')' && depth-- == 0) break;
        if (c == '(') depth++;
    }
    w->at = end;
    return (fal_slice){w->text.data + begin, end - begin};
}

/* [name]: target, at the start of a line. */
static bool read_definition(fal_link_walk *w, fal_link *out) {
    size_t i = w->at;
    while (byte_at(w, i) == ' ' && i < w->at + 3)
        i++;
    if (byte_at(w, i) != '[' || byte_at(w, i + 1) == '^') return false;
    while (byte_at(w, i) != ']' && byte_at(w, i) != '\n')
        i++;
    if (byte_at(w, i) != ']' || byte_at(w, i + 1) != ':') return false;
    *out = (fal_link){.target = target_at(w, i + 2, false), .line = w->line + 1};
    return out->target.length > 0;
}

static bool read_attribute(fal_link_walk *w, fal_link *out) {
    bool is_source = starts_with(w->text, w->at, "src=");
    size_t i = w->at + (is_source ? 4 : 5);
    char quote = byte_at(w, i);
    if (quote != '"' && quote != '\'') return false;
    size_t begin = ++i;
    while (byte_at(w, i) != quote && byte_at(w, i) != '\n')
        i++;
    w->at = i;
    *out = (fal_link){
        .target = {w->text.data + begin, i - begin},
        .is_image = is_source && w->html_image,
        .line = w->line + 1
    };
    return true;
}

static void note_tag(fal_link_walk *w, char c) {
    if (c == '>') w->in_html = false;
    if (c != '<') return;
    char next = byte_at(w, w->at + 1);
    w->in_html = (next >= 'a' && next <= 'z') || (next >= 'A' && next <= 'Z');
    w->html_image = starts_with(w->text, w->at + 1, "img");
}

/* Looks at one character and goes on; true if a link begins there. */
static bool step(fal_link_walk *w, fal_link *out) {
    char c = w->text.data[w->at];
    note_tag(w, c);
    bool is_image = false;
    if (c == ']' && byte_at(w, w->at + 1) == '(' && find_opening(w, w->at, &is_image)) {
        *out = (fal_link){.is_image = is_image, .line = w->line + 1};
        out->target = target_at(w, w->at + 2, true);
        return true;
    }
    if (w->in_html && w->at > 0 && is_space(w->text.data[w->at - 1])
        && (starts_with(w->text, w->at, "src=") || starts_with(w->text, w->at, "href="))
        && read_attribute(w, out))
        return true;
    if (c == '`') {
        skip_code(w);
    } else if (c == '\\' && byte_at(w, w->at + 1) != '\n') {
        w->at += 2;
    } else {
        w->line += c == '\n';
        w->at++;
    }
    return false;
}

bool fal_link_next(fal_link_walk *w, fal_link *out) {
    while (w->at < w->text.length) {
        if (w->at == 0 || w->text.data[w->at - 1] == '\n') {
            if (is_fence(w) || w->fence) {
                skip_line(w);
                w->line++;
                w->at++;
                continue;
            }
            if (read_definition(w, out)) return true;
        }
        if (step(w, out)) return true;
    }
    return false;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* A scheme is a letter and what may follow it, up to a colon. */
static bool has_scheme(fal_slice target) {
    for (size_t i = 0; i < target.length; i++) {
        char c = target.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (c == ':') return i > 0;
        if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.')))
            return false;
    }
    return false;
}

/* In place: "./a//b/." is "a/b", so that one file has one name. */
static void drop_idle_parts(char *path) {
    char *to = path;
    if (*path == '/') return;
    for (const char *part = path; *part;) {
        size_t length = strcspn(part, "/");
        bool is_idle = length == 0 || (length == 1 && *part == '.');
        if (!is_idle) {
            if (to != path) *to++ = '/';
            memmove(to, part, length);
            to += length;
        }
        part += length;
        part += *part == '/';
    }
    if (to == path && *path) *to++ = '.';
    *to = '\0';
}

fal_status fal_link_path(char **out, fal_slice target, fal_error *err) {
    *out = NULL;
    if (target.length == 0 || target.data[0] == '#' || target.data[0] == '/' || has_scheme(target))
        return FAL_OK;
    char *path = fal_alloc(target.length + 1, 1);
    if (!path) return fal_fail_memory(err, target.length);
    size_t n = 0;
    for (size_t i = 0; i < target.length && target.data[i] != '?' && target.data[i] != '#'; i++) {
        int high = i + 2 < target.length ? hex_digit(target.data[i + 1]) : -1;
        int low = i + 2 < target.length ? hex_digit(target.data[i + 2]) : -1;
        bool coded = target.data[i] == '%' && high >= 0 && low >= 0;
        path[n++] = coded ? (char)(high * 16 + low) : target.data[i];
        if (coded) i += 2;
    }
    drop_idle_parts(path);
    *out = path;
    return FAL_OK;
}

bool fal_path_stays_inside(const char *path) {
    if (!*path || *path == '/') return false;
    for (const char *part = path; part;) {
        const char *slash = strchr(part, '/');
        size_t length = slash ? (size_t)(slash - part) : strlen(part);
        if (length == 2 && memcmp(part, "..", 2) == 0) return false;
        part = slash ? slash + 1 : NULL;
    }
    return true;
}

void fal_append_clean(fal_string_builder *out, fal_slice text) {
    for (size_t at = 0; at < text.length;) {
        uint32_t code = 0;
        int n = fal_utf8_decode(text.data + at, text.length - at, &code);
        bool returns = code == '\r';
        bool control = code < 0x20 ? code != '\n' && code != '\t' : code >= 0x7f && code < 0xa0;
        if (n == 0) {
            fal_string_append_text(out, "\xef\xbf\xbd");
        } else if (returns && (at + 1 == text.length || text.data[at + 1] != '\n')) {
            fal_string_append_text(out, "\n");
        } else if (!control) {
            fal_string_append(out, text.data + at, (size_t)n);
        }
        at += n ? (size_t)n : 1;
    }
}
