/* Reads a command line through option tables. What the options do is the commands' business; how they are shown is
 * that of help_text.c, man_page.c and completion.c. */
#include "cli/options.h"

#include "base/alloc.h"
#include "cli/command.h"
#include "cli/nearest.h"
#include "publish/pick.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LEAST_SIZE = 100000
};

static const uint64_t MOST_SIZE = UINT64_C(1000000000000000);

const fal_option fal_help_option = {"help", 'h',  FAL_OPTION_FLAG,  0, NULL, 0,
                                    0,      NULL, "print this help"};

const fal_option *fal_option_at(const fal_option_group *groups, int index, size_t *offset) {
    for (const fal_option_group *g = groups; g && g->title; g++)
        for (const fal_option *o = g->rows; o->name; o++) {
            if (index-- > 0) continue;
            if (offset) *offset = g->offset;
            return o;
        }
    return NULL;
}

/* ---- values ---- */

static void *field(const fal_option *option, void *base) {
    return (char *)base + option->offset;
}

fal_status fal_size_read(const char *label, const char *text, uint64_t *out, fal_error *err) {
    char *end;
    double number = strtod(text, &end);
    fal_status status = FAL_OK;
    if (*text >= '0' && *text <= '9' && !*end) {
        *out = number <= 1e15 ? (uint64_t)number : UINT64_MAX;
    } else {
        status = fal_parse_bytes(text, out, err);
    }
    if (status == FAL_OK && *out >= LEAST_SIZE && *out <= MOST_SIZE) return FAL_OK;
    return fal_fail(err, FAL_E_ARGUMENT,
                    "%s '%.60s': 100K to 1000T is possible, such as 4G or 500M", label, text);
}

static void append_choices(const fal_option *option, char *out, size_t size) {
    size_t used = strlen(out);
    for (int i = 0; option->choice(i) && used < size; i++) {
        int n = snprintf(out + used, size - used, "%s%s", i ? ", " : "", option->choice(i));
        used += (size_t)n;
    }
}

void fal_option_bound(const fal_option *option, char *out, size_t size) {
    const char *what = option->kind == FAL_OPTION_COUNT ? "a whole number" : "a number";
    out[0] = '\0';
    switch (option->kind) {
    case FAL_OPTION_COUNT:
    case FAL_OPTION_NUMBER:
        if (isinf(option->max))
            snprintf(out, size, "%s, at least %.10g", what, option->min);
        else
            snprintf(out, size, "%s from %.10g to %.10g", what, option->min, option->max);
        break;
    case FAL_OPTION_SEED: snprintf(out, size, "a whole number from 0 to 2^63 - 1"); break;
    case FAL_OPTION_IDS: snprintf(out, size, "token ids between commas, as 1,2,3"); break;
    case FAL_OPTION_CHOICE:
        snprintf(out, size, "one of ");
        append_choices(option, out, size);
        break;
    case FAL_OPTION_FLAG:
    case FAL_OPTION_TEXT:
    case FAL_OPTION_FILE:
    case FAL_OPTION_DIRECTORY:
    case FAL_OPTION_LIST: break;
    }
}

static fal_status refuse(const fal_option *option, const char *label, const char *text,
                         fal_error *err) {
    char bound[600];
    fal_option_bound(option, bound, sizeof bound);
    return fal_fail(err, FAL_E_ARGUMENT, "%s '%.200s': not %s", label, text, bound);
}

static fal_status store_choice(const fal_option *option, void *base, const char *label,
                               const char *text, fal_error *err) {
    fal_nearest nearest = {.word = text};
    for (int i = 0; option->choice(i); i++) {
        if (strcmp(option->choice(i), text) == 0) {
            *(const char **)field(option, base) = option->choice(i);
            return FAL_OK;
        }
        fal_nearest_offer(&nearest, option->choice(i));
    }
    char bound[600];
    fal_option_bound(option, bound, sizeof bound);
    if (!nearest.best)
        return fal_fail(err, FAL_E_ARGUMENT, "%s '%.200s': not %s", label, text, bound);
    return fal_fail(err, FAL_E_ARGUMENT, "%s '%.200s': not %s; nearest: %s", label, text, bound,
                    nearest.best);
}

/* True if text begins as a decimal number does: strtod and strtoull would take blanks, hexadecimal and words too. */
static bool looks_decimal(const char *text, bool may_be_negative) {
    if (may_be_negative && *text == '-') text++;
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) return false;
    return (*text >= '0' && *text <= '9') || (*text == '.' && text[1] >= '0' && text[1] <= '9');
}

static fal_status store_number(const fal_option *option, void *base, const char *label,
                               const char *text, fal_error *err) {
    char *end = NULL;
    double value = strtod(text, &end);
    if (!looks_decimal(text, true) || *end || !isfinite(value) || value < option->min
        || value > option->max)
        return refuse(option, label, text, err);
    if (option->kind == FAL_OPTION_NUMBER) {
        *(double *)field(option, base) = value;
        return FAL_OK;
    }
    if (value < INT_MIN || value > INT_MAX || value != (double)(int)value || strpbrk(text, ".eE"))
        return refuse(option, label, text, err);
    *(int *)field(option, base) = (int)value;
    return FAL_OK;
}

static fal_status store_seed(const fal_option *option, void *base, const char *label,
                             const char *text, fal_error *err) {
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (!looks_decimal(text, false) || *end || errno || value > INT64_MAX)
        return refuse(option, label, text, err);
    *(uint64_t *)field(option, base) = value;
    return FAL_OK;
}

static fal_status store_ids(const fal_option *option, void *base, const char *label,
                            const char *text, fal_error *err) {
    fal_tokens *tokens = field(option, base);
    tokens->count = 0;
    const char *at = text;
    while (*at) {
        char *end = NULL;
        errno = 0;
        long value = looks_decimal(at, false) ? strtol(at, &end, 10) : -1;
        if (!end || errno || value > INT32_MAX) return refuse(option, label, text, err);
        int32_t id = (int32_t)value;
        FAL_TRY(fal_tokens_append(tokens, &id, 1, err));
        at = end;
        if (*at == '\0') return FAL_OK;
        if (*at != ',') return refuse(option, label, text, err);
        at++;
        while (*at == ' ')
            at++;
    }
    return refuse(option, label, text, err);
}

static fal_status store_text(const fal_option *option, void *base, const char *label,
                             const char *text, fal_error *err) {
    if (!text[0]) return fal_fail(err, FAL_E_ARGUMENT, "%s '': is empty", label);
    fal_texts *texts = field(option, base);
    const char **grown = fal_realloc(texts->items, texts->count + 2, sizeof *grown);
    if (!grown) return fal_fail_memory(err, (texts->count + 2) * sizeof *grown);
    grown[texts->count++] = text;
    grown[texts->count] = NULL;
    texts->items = grown;
    return FAL_OK;
}

fal_status fal_option_store(const fal_option *option, void *base, const char *label,
                            const char *text, fal_error *err) {
    switch (option->kind) {
    case FAL_OPTION_FLAG: *(bool *)field(option, base) = true; return FAL_OK;
    case FAL_OPTION_TEXT:
    case FAL_OPTION_FILE:
    case FAL_OPTION_DIRECTORY: *(const char **)field(option, base) = text; return FAL_OK;
    case FAL_OPTION_CHOICE: return store_choice(option, base, label, text, err);
    case FAL_OPTION_COUNT:
    case FAL_OPTION_NUMBER: return store_number(option, base, label, text, err);
    case FAL_OPTION_SEED: return store_seed(option, base, label, text, err);
    case FAL_OPTION_IDS: return store_ids(option, base, label, text, err);
    case FAL_OPTION_LIST: return store_text(option, base, label, text, err);
    }
    return fal_fail(err, FAL_E_BUG, "%s: option of unknown kind %d", label, (int)option->kind);
}

/* ---- lines ---- */

/* What the parser holds while it walks the words. */
typedef struct walk {
    fal_parsed *out;
    int argc, at;
    char **argv;
} walk;

static fal_status unknown_option(const fal_parsed *parsed, const char *word, fal_error *err) {
    const fal_option_group *groups = parsed->row->command->groups;
    char name[80];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 1, "="), word + 1);
    fal_nearest nearest = {.word = name + 1};
    const fal_option *o;
    if (word[1] == '-') {
        for (int i = 0; (o = fal_option_at(groups, i, NULL)); i++)
            fal_nearest_offer(&nearest, o->name);
        fal_nearest_offer(&nearest, fal_help_option.name);
    }
    if (nearest.best)
        return fal_fail(err, FAL_E_ARGUMENT, "%s: unknown option '%.200s'; nearest: --%s",
                        parsed->row->name, word, nearest.best);
    return fal_fail(err, FAL_E_ARGUMENT, "%s: unknown option '%.200s'; see falconer %s --help",
                    parsed->row->name, word, parsed->row->name);
}

static fal_status take_option(walk *w, const fal_option *option, int index, size_t offset,
                              const char *attached, fal_error *err) {
    char label[80];
    snprintf(label, sizeof label, "%s: --%s", w->out->row->name, option->name);
    bool is_flag = option->kind == FAL_OPTION_FLAG;
    if (is_flag && attached)
        return fal_fail(err, FAL_E_ARGUMENT, "%s takes no value, got '%.200s'", label, attached);
    if (option == &fal_help_option) {
        w->out->wants_help = true;
        return FAL_OK;
    }
    const char *text = attached;
    if (!is_flag && !text) {
        if (w->at >= w->argc)
            return fal_fail(err, FAL_E_ARGUMENT, "%s needs a value: %s", label, option->value);
        text = w->argv[w->at++];
    }
    w->out->given[index] = true;
    return fal_option_store(option, (char *)w->out->values + offset, label, text, err);
}

/* --name, --name=value, -x, -xvalue */
static fal_status read_option(walk *w, const char *word, fal_error *err) {
    const fal_option_group *groups = w->out->row->command->groups;
    bool is_long = word[1] == '-';
    const char *equals = is_long ? strchr(word, '=') : NULL;
    size_t length = equals ? (size_t)(equals - word) - 2 : is_long ? strlen(word) - 2 : 0;
    const char *attached = equals ? equals + 1 : NULL;
    if (!is_long && word[2]) attached = word + 2;
    for (int i = 0;; i++) {
        size_t offset = 0;
        const fal_option *o = fal_option_at(groups, i, &offset);
        bool is_last = !o;
        if (is_last) o = &fal_help_option;
        bool matches = is_long ? strlen(o->name) == length && memcmp(o->name, word + 2, length) == 0
                               : o->letter && o->letter == word[1];
        if (matches) return take_option(w, o, i, offset, attached, err);
        if (is_last) return unknown_option(w->out, word, err);
    }
}

/* "TYPE...": the last argument, as often as one likes. */
static bool is_repeated(const fal_argument *argument) {
    size_t length = strlen(argument->name);
    return length > 3 && strcmp(argument->name + length - 3, "...") == 0;
}

static fal_status check_arguments(const fal_parsed *parsed, fal_error *err) {
    const fal_argument *known = parsed->row->command->arguments;
    int n = 0;
    for (; known && known[n].name; n++)
        if (known[n].is_required && n >= parsed->n_arguments)
            return fal_fail(err, FAL_E_ARGUMENT, "%s: %s is missing; see falconer %s --help",
                            parsed->row->name, known[n].name, parsed->row->name);
    bool is_open = n > 0 && is_repeated(&known[n - 1]);
    if (parsed->n_arguments > n && !is_open)
        return fal_fail(err, FAL_E_ARGUMENT, "%s: argument '%.200s' is one too many (at most %d)",
                        parsed->row->name, parsed->arguments[n], n);
    for (int i = 0; i < parsed->n_arguments; i++) {
        if (i >= n || known[i].kind != FAL_OPTION_CHOICE) continue;
        const fal_option as_option = {
            .name = known[i].name, .kind = known[i].kind, .choice = known[i].choice};
        char label[80];
        const char *stored;
        snprintf(label, sizeof label, "%s: %s", parsed->row->name, known[i].name);
        FAL_TRY(fal_option_store(&as_option, &stored, label, parsed->arguments[i], err));
    }
    return FAL_OK;
}

fal_status fal_parsed_open(fal_parsed *out, const fal_command_row *row, int argc, char **argv,
                           fal_error *err) {
    *out = (fal_parsed){.row = row};
    out->values = fal_alloc(1, row->command->values_bytes + 1);
    out->arguments = fal_alloc((size_t)argc + 1, sizeof *out->arguments);
    if (!out->values || !out->arguments) return fal_fail_memory(err, 0);
    if (row->command->set_defaults) row->command->set_defaults(out->values);
    walk w = {out, argc, 0, argv};
    bool only_arguments = false;
    while (w.at < argc) {
        const char *word = argv[w.at++];
        if (!only_arguments && strcmp(word, "--") == 0)
            only_arguments = true;
        else if (!only_arguments && word[0] == '-' && word[1])
            FAL_TRY(read_option(&w, word, err));
        else
            out->arguments[out->n_arguments++] = word;
    }
    if (out->wants_help) return FAL_OK;
    return check_arguments(out, err);
}

void fal_parsed_release(fal_parsed *parsed) {
    const fal_option_group *groups = parsed->row ? parsed->row->command->groups : NULL;
    const fal_option *o;
    size_t offset = 0;
    for (int i = 0; parsed->values && (o = fal_option_at(groups, i, &offset)); i++) {
        void *base = (char *)parsed->values + offset;
        if (o->kind == FAL_OPTION_LIST) {
            fal_texts *texts = field(o, base);
            fal_free(texts->items);
        }
        if (o->kind == FAL_OPTION_IDS) fal_tokens_release(field(o, base));
    }
    fal_free(parsed->values);
    fal_free(parsed->arguments);
    *parsed = (fal_parsed){0};
}

bool fal_parsed_has(const fal_parsed *parsed, const char *name) {
    const fal_option *o;
    for (int i = 0; (o = fal_option_at(parsed->row->command->groups, i, NULL)); i++)
        if (strcmp(o->name, name) == 0) return parsed->given[i];
    return false;
}
