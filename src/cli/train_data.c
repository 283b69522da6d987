/* Body of train_data.h. */
#include "cli/train_data.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/string_builder.h"
#include "cli/nearest.h"
#include "cli/terminal.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_SOURCES = 1000,
    MAX_GROUPS = 32
};

/* ---- what a source says: PATH[,KEY=VALUE...] ---- */

static const char *overlong_choice(int index) {
    static const char *const names[] = {"default", "cut", "drop", "middle", "left", NULL};
    return names[index];
}

/* The words of a source's keys, stored as options are. */
typedef struct source_words {
    const char *overlong;
    fal_source_options options;
    unsigned given; /* bits, by row of source_keys */
} source_words;

#define AT(member) offsetof(source_words, options.member)

static const fal_option source_keys[] = {
    FAL_ROW_CHOICE("reader", 0, AT(reader), "NAME", fal_reader_name, "form of the file"),
    FAL_ROW(TEXT, "group", 0, AT(group), "NAME", "group that it belongs to"),
    FAL_ROW_NUMBER("weight", 0, AT(weight), "W", 1e-9, 1e9, "share within its group"),
    FAL_ROW_CHOICE("overlong", 0, offsetof(source_words, overlong), "WHAT", overlong_choice,
                   "what to do with longer documents"),
    FAL_ROW_COUNT("min-tokens", 0, AT(min_tokens), "N", 1, INT_MAX, "of a document"),
    FAL_ROW(TEXT, "language", 0, AT(language), "CODE", "records of this language only"),
    FAL_ROW_COUNT("top-answers", 0, AT(top_answers), "N", 1, INT_MAX, "kept per question"),
    {0}};

#undef AT

static const fal_option *find_key(const char *name, fal_nearest *nearest) {
    for (const fal_option *o = source_keys; o->name; o++) {
        if (strcmp(o->name, name) == 0) return o;
        fal_nearest_offer(nearest, o->name);
    }
    return NULL;
}

/* "; nearest: weight", or all that there are. */
static fal_status fail_unknown_key(const char *path, const char *key, const fal_nearest *nearest,
                                   fal_error *err) {
    fal_string_builder names = {0};
    if (nearest->best)
        return fal_fail(err, FAL_E_ARGUMENT, "source '%.200s': unknown key '%.60s'; nearest: %s",
                        path, key, nearest->best);
    for (const fal_option *o = source_keys; o->name; o++)
        fal_string_append_format(&names, "%s%s", o == source_keys ? "" : ", ", o->name);
    fal_status status = fal_string_status(&names, err);
    if (status == FAL_OK)
        status =
            fal_fail(err, FAL_E_ARGUMENT, "source '%.200s': unknown key '%.60s', not one of %s",
                     path, key, names.text);
    fal_string_release(&names);
    return status;
}

static fal_status store_key(source_words *words, const char *path, char *key, fal_error *err) {
    char label[300], *value = strchr(key, '=');
    *value++ = '\0';
    for (char *at = key; *at; at++)
        if (*at == '_') *at = '-';
    fal_nearest nearest = {.word = key};
    const fal_option *option = find_key(key, &nearest);
    if (!option) return fail_unknown_key(path, key, &nearest, err);
    snprintf(label, sizeof label, "source '%.200s': %s", path, key);
    unsigned bit = 1u << (option - source_keys);
    if (words->given & bit) return fal_fail(err, FAL_E_ARGUMENT, "%s is given twice", label);
    words->given |= bit;
    return fal_option_store(option, words, label, value, err);
}

/* The next ",key=" at or behind `at`: commas in paths stay. NULL: none. */
static char *find_comma(char *at) {
    for (at = strchr(at, ','); at; at = strchr(at + 1, ',')) {
        size_t length = strspn(at + 1, "abcdefghijklmnopqrstuvwxyz_-");
        if (length > 0 && at[1 + length] == '=') return at;
    }
    return NULL;
}

static fal_status read_source(fal_train_source *s, const char *text, fal_error *err) {
    source_words words = {0};
    s->text = fal_copy_string(text, strlen(text));
    if (!s->text) return fal_fail_memory(err, strlen(text));
    char *comma = find_comma(s->text);
    while (comma) {
        char *key = comma + 1, *next = find_comma(key);
        *comma = '\0';
        if (next) *next = '\0';
        FAL_TRY(store_key(&words, s->text, key, err));
        comma = next;
    }
    s->options = words.options;
    s->options.path = s->text;
    for (int i = 0; words.overlong && overlong_choice(i); i++) {
        if (strcmp(overlong_choice(i), words.overlong) == 0) s->options.overlong = (fal_overlong)i;
    }
    return FAL_OK;
}

static fal_status list_sources(fal_train_data *d, const fal_train_choice *c, fal_error *err) {
    size_t n_training = c->sources.count, n = n_training + c->validation.count;
    if (n_training == 0)
        return fal_fail(err, FAL_E_ARGUMENT, "train: no data: --source PATH is needed");
    if (n > MAX_SOURCES)
        return fal_fail(err, FAL_E_LIMIT, "train: %zu sources, at most %d", n, MAX_SOURCES);
    d->sources = fal_alloc(n, sizeof *d->sources);
    d->names = fal_alloc(n, sizeof *d->names);
    if (!d->sources || !d->names) return fal_fail_memory(err, 0);
    d->n_training = (int)n_training;
    for (size_t i = 0; i < n; i++) {
        const char *text =
            i < n_training ? c->sources.items[i] : c->validation.items[i - n_training];
        fal_train_source *s = &d->sources[d->n_sources++];
        fal_status status = read_source(s, text, err);
        if (status != FAL_OK) return fal_add_context(err, status, "train");
        d->names[i] = s->options.path;
    }
    return FAL_OK;
}

/* ---- reading ---- */

static bool on_read(void *user, const char *path, uint64_t n_bytes, uint64_t total_bytes) {
    fal_progress *progress = user;
    (void)path;
    if (progress->what) fal_progress_show(progress, n_bytes, total_bytes);
    return !fal_interrupt_is_raised();
}

/* What a source adds to is told by its number alone. */
static fal_status read_documents(fal_train_data *d, int index, const fal_reading *reading,
                                 fal_error *err) {
    fal_train_source *s = &d->sources[index];
    fal_documents *to = index < d->n_training ? &d->documents : &d->validation_documents;
    FAL_TRY(fal_source_read(&s->options, index, reading, to, &s->report, err));
    s->group = s->options.group;
    if (!s->group && s->report.reader) s->group = fal_reader_group(s->report.reader);
    if (!s->group) s->group = "web-text";
    return FAL_OK;
}

static fal_status read_all(fal_train_data *d, const fal_train_choice *c,
                           const fal_tokenizer *tokenizer, const fal_chat_format *chat_format,
                           fal_error *err) {
    for (int i = 0; i < d->n_sources; i++) {
        fal_progress progress = fal_progress_open("reading data", NULL);
        if (c->quiet) progress.what = NULL;
        const fal_reading reading = {.tokenizer = tokenizer,
                                     .chat_format = chat_format,
                                     .sequence_length = d->sequence_length,
                                     .seed = c->seed,
                                     .prompt_share = c->prompt_share,
                                     .is_strict = c->strict,
                                     .on_progress = on_read,
                                     .user = &progress};
        fal_status status = read_documents(d, i, &reading, err);
        fal_progress_clear(&progress);
        FAL_TRY(status);
    }
    return FAL_OK;
}

/* Why nothing of a source was kept. */
static void explain_source(fal_string_builder *text, const fal_train_source *s) {
    const fal_source_report *r = &s->report;
    fal_string_append_format(text, "'%.200s' ", s->options.path);
    if (r->n_records == 0) {
        fal_string_append_text(text, "is empty");
        return;
    }
    fal_string_append_format(text, "has %lld %s, dropped for:", (long long)r->n_records,
                             r->n_records == 1 ? "record" : "records");
    for (int i = 0; i < r->n_reasons; i++)
        fal_string_append_format(text, "%s %s (%lld)", i > 0 ? "," : "", r->dropped[i].reason,
                                 (long long)r->dropped[i].count);
}

/* Fails if none of sources [first, end) has a document, telling why. */
static fal_status check_documents(const fal_train_data *d, int first, int end, const char *purpose,
                                  fal_error *err) {
    enum {
        MOST_TOLD = 3
    };

    int64_t n_kept = 0;
    for (int i = first; i < end; i++)
        n_kept += d->sources[i].report.n_kept;
    if (n_kept > 0 || first == end) return FAL_OK;
    fal_string_builder text = {0};
    for (int i = first; i < end && i < first + MOST_TOLD; i++) {
        if (i > first) fal_string_append_text(&text, "; ");
        explain_source(&text, &d->sources[i]);
    }
    if (end - first > MOST_TOLD)
        fal_string_append_format(&text, "; and %d more sources", end - first - MOST_TOLD);
    fal_status status = fal_string_status(&text, err);
    if (status == FAL_OK)
        status = fal_fail(err, FAL_E_ARGUMENT, "train: there are no documents to %s: %s", purpose,
                          text.text);
    fal_string_release(&text);
    return status;
}

/* ---- groups ---- */

typedef struct group_list {
    const char *names[MAX_GROUPS];
    double weights[MAX_GROUPS];
    int count;
} group_list;

/* Alfred's mix; groups without data are left out. */
static const struct {
    const char *name;
    double weight;
} usual_groups[] = {
    {"short-chat",   50},
    {"long-context", 45},
    {"web-text",     5 },
};

static fal_status read_weight(const char *text, const char **name_end, double *weight,
                              fal_error *err) {
    char *end = NULL;
    const char *equals = strrchr(text, '=');
    *weight = equals ? strtod(equals + 1, &end) : -1;
    if (!equals || equals == text || end == equals + 1 || *end || !(*weight >= 0 && *weight <= 1e9))
        return fal_fail(err, FAL_E_ARGUMENT,
                        "train: --group '%.200s': not NAME=WEIGHT with a weight from 0 to 1e9",
                        text);
    *name_end = equals;
    return FAL_OK;
}

/* The weight that was said for a group, or that it usually has; -1: neither. */
static fal_status weight_of(const fal_train_choice *c, const char *name, double *out,
                            fal_error *err) {
    *out = -1;
    for (size_t i = 0; i < sizeof usual_groups / sizeof usual_groups[0]; i++) {
        if (strcmp(usual_groups[i].name, name) == 0) *out = usual_groups[i].weight;
    }
    for (size_t i = 0; i < c->groups.count; i++) {
        const char *text = c->groups.items[i], *end = NULL;
        double weight;
        FAL_TRY(read_weight(text, &end, &weight, err));
        if (strlen(name) == (size_t)(end - text) && memcmp(name, text, strlen(name)) == 0)
            *out = weight;
    }
    return FAL_OK;
}

/* Index of the group of this name in the list, which grows by it. */
static fal_status add_group(group_list *list, const char *name, int *index, fal_error *err) {
    for (*index = 0; *index < list->count; ++*index) {
        if (strcmp(list->names[*index], name) == 0) return FAL_OK;
    }
    if (list->count == MAX_GROUPS)
        return fal_fail(err, FAL_E_LIMIT, "train: more than %d groups", MAX_GROUPS);
    list->names[list->count++] = name;
    return FAL_OK;
}

static fal_status find_weights(group_list *list, const fal_train_choice *c, fal_error *err) {
    for (int i = 0; i < list->count; i++) {
        FAL_TRY(weight_of(c, list->names[i], &list->weights[i], err));
        if (list->weights[i] < 0 && list->count == 1) list->weights[i] = 1;
        if (list->weights[i] < 0)
            return fal_fail(err, FAL_E_ARGUMENT,
                            "train: group '%.100s' has no weight; say --group %.100s=WEIGHT",
                            list->names[i], list->names[i]);
    }
    return FAL_OK;
}

static fal_status fail_unknown_group(const group_list *list, const char *text, fal_error *err) {
    fal_string_builder names = {0};
    for (int i = 0; i < list->count; i++)
        fal_string_append_format(&names, "%s%.60s", i > 0 ? ", " : "", list->names[i]);
    fal_status status = fal_string_status(&names, err);
    if (status == FAL_OK)
        status = fal_fail(err, FAL_E_ARGUMENT,
                          "train: --group '%.200s': no source is in it; groups with sources: %s",
                          text, names.text);
    fal_string_release(&names);
    return status;
}

/* A name given to --group twice, or that no source belongs to, is a slip. */
static fal_status check_names(const group_list *list, const fal_train_choice *c, fal_error *err) {
    for (size_t i = 0; i < c->groups.count; i++) {
        const char *text = c->groups.items[i], *end = NULL;
        double weight;
        bool is_known = false;
        FAL_TRY(read_weight(text, &end, &weight, err));
        for (size_t k = 0; k < i; k++) {
            if (strncmp(c->groups.items[k], text, (size_t)(end - text) + 1) == 0)
                return fal_fail(err, FAL_E_ARGUMENT, "train: --group '%.200s': given twice", text);
        }
        for (int k = 0; k < list->count; k++)
            is_known |= strlen(list->names[k]) == (size_t)(end - text)
                        && memcmp(list->names[k], text, (size_t)(end - text)) == 0;
        if (!is_known) return fail_unknown_group(list, text, err);
    }
    return FAL_OK;
}

/* ---- the plan ---- */

/* Sources without a single document are left out of the mix, and so is a group of only such. */
static fal_status plan_training(fal_train_data *d, const fal_train_choice *c, fal_error *err) {
    group_list list = {0};
    fal_plan_source *sources = fal_alloc((size_t)d->n_training, sizeof *sources);
    fal_status status;
    if (!sources) return fal_fail_memory(err, 0);
    for (int i = 0; i < d->n_training; i++) {
        const fal_train_source *s = &d->sources[i];
        FAL_TRY_OUT(add_group(&list, s->group, &sources[i].group, err));
        if (s->report.n_kept > 0) sources[i].weight = s->options.weight > 0 ? s->options.weight : 1;
    }
    FAL_TRY_OUT(find_weights(&list, c, err));
    FAL_TRY_OUT(check_names(&list, c, err));
    for (int g = 0; g < list.count; g++) {
        bool has_documents = false;
        for (int i = 0; i < d->n_training; i++)
            has_documents |= sources[i].group == g && sources[i].weight > 0;
        if (!has_documents) list.weights[g] = 0;
    }
    const fal_plan_options how = {.seed = c->seed,
                                  .n_tokens = d->total_tokens,
                                  .sequence_length = d->sequence_length,
                                  .n_sequences = d->n_sequences,
                                  .group_weights = list.weights,
                                  .n_groups = list.count,
                                  .sources = sources,
                                  .n_sources = d->n_training};
    status = fal_plan_open(&d->plan, &d->documents, &how, err);
out:
    fal_free(sources);
    return status;
}

/* Everything once. */
static fal_status plan_validation(fal_train_data *d, fal_error *err) {
    const double weight = 1;
    if (d->n_sources == d->n_training) return FAL_OK;
    fal_plan_source *sources = fal_alloc((size_t)d->n_sources, sizeof *sources);
    if (!sources) return fal_fail_memory(err, 0);
    for (int i = d->n_training; i < d->n_sources; i++)
        sources[i].weight = (double)d->sources[i].report.n_tokens;
    const fal_plan_options how = {.sequence_length = d->sequence_length,
                                  .n_sequences = 1,
                                  .group_weights = &weight,
                                  .n_groups = 1,
                                  .sources = sources,
                                  .n_sources = d->n_sources};
    fal_status status = fal_plan_open(&d->validation, &d->validation_documents, &how, err);
    fal_free(sources);
    return fal_add_context(err, status, "validation");
}

static fal_status check_length(const fal_train_data *d, int n_context, fal_error *err) {
    if (d->sequence_length <= n_context) return FAL_OK;
    return fal_fail(err, FAL_E_ARGUMENT,
                    "train: --sequence-length %d: the model's context is %d; extend it with "
                    "--context-method and --context-scale",
                    d->sequence_length, n_context);
}

fal_status fal_train_data_open(fal_train_data *d, const fal_train_choice *c,
                               const fal_tokenizer *tokenizer, const fal_chat_format *chat_format,
                               int n_context, fal_error *err) {
    *d = (fal_train_data){.sequence_length = c->sequence_length ? c->sequence_length : n_context};
    FAL_TRY(check_length(d, n_context, err));
    FAL_TRY(fal_train_choice_batch(c, d->sequence_length, &d->n_sequences, &d->total_tokens, err));
    FAL_TRY(list_sources(d, c, err));
    FAL_TRY(read_all(d, c, tokenizer, chat_format, err));
    FAL_TRY(check_documents(d, 0, d->n_training, "train on", err));
    FAL_TRY(check_documents(d, d->n_training, d->n_sources, "validate with", err));
    FAL_TRY(plan_training(d, c, err));
    return plan_validation(d, err);
}

void fal_train_data_release(fal_train_data *d) {
    fal_plan_close(d->plan);
    fal_plan_close(d->validation);
    fal_documents_release(&d->documents);
    fal_documents_release(&d->validation_documents);
    for (int i = 0; i < d->n_sources; i++)
        fal_free(d->sources[i].text);
    fal_free(d->sources);
    fal_free(d->names);
    *d = (fal_train_data){0};
}

static uint64_t bytes_of(const fal_documents *d) {
    return (uint64_t)d->n_tokens * (sizeof *d->tokens + sizeof *d->parts)
           + (uint64_t)d->count * sizeof *d->items;
}

uint64_t fal_train_data_bytes(const fal_train_data *d) {
    return bytes_of(&d->documents) + bytes_of(&d->validation_documents);
}
