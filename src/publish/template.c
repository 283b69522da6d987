/* Body of template.h: one pass over the text with a stack of open sections. */
#include "publish/template.h"

#include <string.h>

enum {
    MAX_OPEN = 16,
    NAMES_BYTES = 800 /* of the names that a message lists */
};

/* A tag in the text. */
typedef struct tag {
    char kind; /* '#', '^', '/', or 0 for a value */
    fal_slice name;
    size_t begin, end; /* of all of it */
} tag;

typedef struct filling {
    fal_string_builder *out;
    fal_slice text;
    const char *file;
    const fal_template_value *values;

    struct {
        const fal_template_value *value;
        size_t at; /* of its tag */
        bool is_shown;
    } open[MAX_OPEN];

    int n_open;
} filling;

static bool is_name_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

static size_t skip_spaces(fal_slice text, size_t at) {
    while (at < text.length && text.data[at] == ' ')
        at++;
    return at;
}

/* Reads the tag at `at`, where two braces stand; false: these are text. */
static bool read_tag(fal_slice text, size_t at, tag *out) {
    *out = (tag){.begin = at};
    size_t i = skip_spaces(text, at + 2);
    if (i < text.length && (text.data[i] == '#' || text.data[i] == '^' || text.data[i] == '/')) {
        out->kind = text.data[i];
        i = skip_spaces(text, i + 1);
    }
    out->name.data = text.data + i;
    while (i < text.length && is_name_byte(text.data[i])) {
        i++;
        out->name.length++;
    }
    i = skip_spaces(text, i);
    out->end = i + 2;
    return out->name.length > 0 && text.length - i >= 2 && memcmp(text.data + i, "}}", 2) == 0;
}

static bool find_tag(fal_slice text, size_t at, tag *out) {
    for (; at + 2 <= text.length; at++) {
        if (text.data[at] == '{' && text.data[at + 1] == '{' && read_tag(text, at, out))
            return true;
    }
    return false;
}

static int line_of(const filling *f, size_t at) {
    int line = 1;
    for (size_t i = 0; i < at; i++)
        line += f->text.data[i] == '\n';
    return line;
}

static fal_status fail_unknown(const filling *f, const tag *t, fal_error *err) {
    char names[NAMES_BYTES] = "";
    size_t used = 0;
    for (const fal_template_value *v = f->values; v->name; v++) {
        size_t length = strlen(v->name);
        if (used + length + 3 > sizeof names) break;
        if (used) memcpy(names + used, ", ", 2);
        used += used ? 2 : 0;
        memcpy(names + used, v->name, length + 1);
        used += length;
    }
    return fal_fail(err, FAL_E_FORMAT, "%s:%d: no placeholder is called '%.*s'; there are %s",
                    f->file, line_of(f, t->begin), (int)(t->name.length < 40 ? t->name.length : 40),
                    t->name.data, names);
}

static bool is_shown(const filling *f) {
    return f->n_open == 0 || f->open[f->n_open - 1].is_shown;
}

static fal_status open_section(filling *f, const tag *t, const fal_template_value *value,
                               fal_error *err) {
    if (f->n_open == MAX_OPEN)
        return fal_fail(err, FAL_E_FORMAT, "%s:%d: more than %d sections in each other", f->file,
                        line_of(f, t->begin), MAX_OPEN);
    bool wanted = (value->text.length > 0) == (t->kind == '#');
    bool shown = is_shown(f) && wanted;
    f->open[f->n_open].value = value;
    f->open[f->n_open].at = t->begin;
    f->open[f->n_open++].is_shown = shown;
    return FAL_OK;
}

static fal_status apply(filling *f, const tag *t, fal_error *err) {
    const fal_template_value *value = f->values;
    while (value->name && !fal_slice_equals(t->name, value->name))
        value++;
    if (!value->name) return fail_unknown(f, t, err);
    if (t->kind == '#' || t->kind == '^') return open_section(f, t, value, err);
    if (t->kind == '/') {
        if (f->n_open == 0 || f->open[f->n_open - 1].value != value)
            return fal_fail(err, FAL_E_FORMAT, "%s:%d: section '%s' ends here and is not open",
                            f->file, line_of(f, t->begin), value->name);
        f->n_open--;
        return FAL_OK;
    }
    if (is_shown(f)) fal_string_append(f->out, value->text.data, value->text.length);
    return FAL_OK;
}

/* A section's tag alone on its line takes the whole line. */
static void widen(fal_slice text, tag *t) {
    size_t begin = t->begin, end = t->end;
    if (!t->kind) return;
    while (begin > 0 && is_blank(text.data[begin - 1]))
        begin--;
    while (end < text.length && is_blank(text.data[end]))
        end++;
    if (begin > 0 && text.data[begin - 1] != '\n') return;
    if (end < text.length && text.data[end] != '\n') return;
    t->begin = begin;
    t->end = end < text.length ? end + 1 : end;
}

fal_status fal_template_fill(fal_string_builder *out, fal_slice text, const char *name,
                             const fal_template_value *values, fal_error *err) {
    filling f = {.out = out, .text = text, .file = name, .values = values};
    size_t at = 0;
    for (tag t; find_tag(text, at, &t); at = t.end) {
        size_t begin = at;
        widen(text, &t);
        if (is_shown(&f) && t.begin > begin)
            fal_string_append(out, text.data + begin, t.begin - begin);
        FAL_TRY(apply(&f, &t, err));
    }
    if (f.n_open > 0)
        return fal_fail(err, FAL_E_FORMAT, "%s:%d: section '%s' is not closed", name,
                        line_of(&f, f.open[f.n_open - 1].at), f.open[f.n_open - 1].value->name);
    fal_string_append(out, text.data + at, text.length - at);
    return fal_string_status(out, err);
}
