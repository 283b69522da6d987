/* Body of config_file.h. */
#include "cli/config_file.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/string_builder.h"
#include "cli/command.h"
#include "cli/nearest.h"
#include "formats/yaml_document.h"

#include <stdio.h>
#include <string.h>

enum {
    MAX_BYTES = 1 << 20,
    NAME_SIZE = 64,
    LABEL_SIZE = 400
};

struct fal_config_file {
    const fal_parsed *parsed;
    fal_yaml_origin origin;
    yaml_document_t document;
    bool is_loaded;
    char **texts; /* made of mappings */
    size_t n_texts, capacity;
};

/* One key under way. */
typedef struct entry {
    const fal_option *option;
    void *base;             /* of the group's values */
    bool is_given;          /* on the command line */
    char label[LABEL_SIZE]; /* "train.yaml:3: learning-rate" */
} entry;

/* ---- texts of mappings ---- */

static fal_status keep_text(fal_config_file *c, fal_string_builder *b, const char **out,
                            fal_error *err) {
    char *text = fal_string_take(b);
    if (!text || !fal_grow((void **)&c->texts, &c->capacity, c->n_texts + 1, sizeof *c->texts)) {
        fal_free(text);
        return fal_fail_memory(err, 0);
    }
    *out = c->texts[c->n_texts++] = text;
    return FAL_OK;
}

static void append_slice(fal_string_builder *b, fal_slice text) {
    fal_string_append(b, text.data, text.length);
}

static fal_status check_scalar(const entry *e, const yaml_node_t *node, fal_error *err) {
    if (node->type == YAML_SCALAR_NODE && node->data.scalar.length > 0) return FAL_OK;
    return fal_fail(err, FAL_E_ARGUMENT, "%s: %s", e->label,
                    node->type == YAML_SCALAR_NODE ? "a value is missing"
                                                   : "one value is needed, not several");
}

static const yaml_node_t *find_path(const fal_config_file *c, const yaml_node_t *mapping) {
    for (const yaml_node_pair_t *p = mapping->data.mapping.pairs.start;
         p < mapping->data.mapping.pairs.top; p++) {
        if (fal_slice_equals(fal_yaml_text(fal_yaml_node(&c->document, p->key)), "path"))
            return fal_yaml_node(&c->document, p->value);
    }
    return NULL;
}

static fal_status store(const entry *e, const char *text, fal_error *err) {
    return e->is_given ? FAL_OK : fal_option_store(e->option, e->base, e->label, text, err);
}

/* {path: PATH, key: value} as PATH,key=value; {key: value} as key=value, unless the value is to begin with a path. */
static fal_status store_mapping(fal_config_file *c, const entry *e, const yaml_node_t *mapping,
                                fal_error *err) {
    const yaml_node_t *path = find_path(c, mapping);
    fal_string_builder b = {0};
    const char *text = NULL;
    fal_status status = FAL_OK;
    if (!path && strncmp(e->option->value, "PATH", 4) == 0)
        return fal_fail(err, FAL_E_ARGUMENT, "%s: the key path is missing", e->label);
    if (path) FAL_TRY_OUT(check_scalar(e, path, err));
    if (path) append_slice(&b, fal_yaml_text(path));
    for (const yaml_node_pair_t *p = mapping->data.mapping.pairs.start;
         p < mapping->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = fal_yaml_node(&c->document, p->key);
        const yaml_node_t *value = fal_yaml_node(&c->document, p->value);
        if (value == path) continue;
        FAL_TRY_OUT(check_scalar(e, key, err));
        FAL_TRY_OUT(check_scalar(e, value, err));
        if (path) fal_string_append_text(&b, ",");
        append_slice(&b, fal_yaml_text(key));
        fal_string_append_text(&b, "=");
        append_slice(&b, fal_yaml_text(value));
        if (path) continue;
        FAL_TRY_OUT(keep_text(c, &b, &text, err));
        FAL_TRY_OUT(store(e, text, err));
    }
    if (path) {
        FAL_TRY_OUT(keep_text(c, &b, &text, err));
        FAL_TRY_OUT(store(e, text, err));
    }
out:
    fal_string_release(&b);
    return status;
}

/* ---- keys and values ---- */

static fal_status store_flag(const entry *e, const char *text, fal_error *err) {
    static const char *const yes[] = {"true", "yes", "on"}, *const no[] = {"false", "no", "off"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (strcmp(text, yes[i]) == 0) return store(e, text, err);
        if (strcmp(text, no[i]) == 0) return FAL_OK;
    }
    return fal_fail(err, FAL_E_ARGUMENT, "%s '%.200s': not true or false", e->label, text);
}

static fal_status store_item(fal_config_file *c, const entry *e, const yaml_node_t *node,
                             fal_error *err) {
    if (node->type == YAML_MAPPING_NODE) return store_mapping(c, e, node, err);
    FAL_TRY(check_scalar(e, node, err));
    return store(e, (const char *)node->data.scalar.value, err);
}

static fal_status store_value(fal_config_file *c, const entry *e, const yaml_node_t *node,
                              fal_error *err) {
    if (e->option->kind != FAL_OPTION_LIST) {
        FAL_TRY(check_scalar(e, node, err));
        const char *text = (const char *)node->data.scalar.value;
        return e->option->kind == FAL_OPTION_FLAG ? store_flag(e, text, err) : store(e, text, err);
    }
    if (node->type != YAML_SEQUENCE_NODE) return store_item(c, e, node, err);
    for (const yaml_node_item_t *i = node->data.sequence.items.start;
         i < node->data.sequence.items.top; i++)
        FAL_TRY(store_item(c, e, fal_yaml_node(&c->document, *i), err));
    return FAL_OK;
}

static bool is_name_of(const fal_option *option, const char *name) {
    size_t length = strlen(option->name);
    if (strncmp(option->name, name, length) != 0) return false;
    return !name[length] || (option->kind == FAL_OPTION_LIST && strcmp(name + length, "s") == 0);
}

static fal_status fail_unknown(const fal_config_file *c, const char *name, size_t line,
                               fal_error *err) {
    const fal_option_group *groups = c->parsed->row->command->groups;
    fal_nearest nearest = {.word = name};
    const fal_option *o;
    for (int i = 0; (o = fal_option_at(groups, i, NULL)); i++)
        fal_nearest_offer(&nearest, o->name);
    if (!nearest.best)
        return fal_fail(err, FAL_E_ARGUMENT, "%s:%zu: unknown key '%s'; see falconer %s --help",
                        c->origin.name, line, name, c->parsed->row->name);
    return fal_fail(err, FAL_E_ARGUMENT, "%s:%zu: unknown key '%s'; nearest: %s", c->origin.name,
                    line, name, nearest.best);
}

/* A key as options are spelt. */
static void read_name(const yaml_node_t *key, char name[NAME_SIZE]) {
    snprintf(name, NAME_SIZE, "%s", (const char *)key->data.scalar.value);
    for (char *at = name; *at; at++)
        if (*at == '_') *at = '-';
}

/* The same key spelt in two ways is given twice; equal spellings are refused when the document is loaded. */
static fal_status check_earlier(const fal_config_file *c, const yaml_node_pair_t *pair,
                                const char *name, size_t line, fal_error *err) {
    const yaml_node_t *root = fal_yaml_root(&c->document);
    for (const yaml_node_pair_t *p = root->data.mapping.pairs.start; p < pair; p++) {
        char earlier[NAME_SIZE];
        read_name(fal_yaml_node(&c->document, p->key), earlier);
        if (strcmp(earlier, name) == 0)
            return fal_fail(err, FAL_E_ARGUMENT, "%s:%zu: '%s' is given twice", c->origin.name,
                            line, name);
    }
    return FAL_OK;
}

static fal_status store_pair(fal_config_file *c, const yaml_node_pair_t *pair, fal_error *err) {
    const fal_option_group *groups = c->parsed->row->command->groups;
    const yaml_node_t *key = fal_yaml_node(&c->document, pair->key);
    size_t line = fal_yaml_line(key, &c->origin), offset;
    char name[NAME_SIZE];
    entry e = {0};
    read_name(key, name);
    FAL_TRY(check_earlier(c, pair, name, line, err));
    int index = 0;
    while ((e.option = fal_option_at(groups, index, &offset)) && !is_name_of(e.option, name))
        index++;
    if (!e.option) return fail_unknown(c, name, line, err);
    e.base = (char *)c->parsed->values + offset;
    e.is_given = c->parsed->given[index];
    snprintf(e.label, sizeof e.label, "%.300s:%zu: %s", c->origin.name, line, name);
    return store_value(c, &e, fal_yaml_node(&c->document, pair->value), err);
}

/* ---- opening ---- */

static fal_status load(fal_config_file *c, const char *path, fal_error *err) {
    char *text;
    size_t length;
    FAL_TRY(fal_file_read(&text, &length, path, MAX_BYTES, err));
    fal_status status = fal_yaml_load(&c->document, (fal_slice){text, length}, &c->origin, err);
    c->is_loaded = status == FAL_OK;
    fal_free(text);
    if (status != FAL_OK) return status;
    const yaml_node_t *root = fal_yaml_root(&c->document);
    if (!root) return FAL_OK;
    for (const yaml_node_pair_t *p = root->data.mapping.pairs.start;
         p < root->data.mapping.pairs.top; p++)
        FAL_TRY(store_pair(c, p, err));
    return FAL_OK;
}

fal_status fal_config_file_open(fal_config_file **out, const char *path, const fal_parsed *parsed,
                                fal_error *err) {
    *out = NULL;
    fal_config_file *c = fal_alloc(1, sizeof *c);
    if (!c) return fal_fail_memory(err, sizeof *c);
    c->parsed = parsed;
    c->origin = (fal_yaml_origin){path, "", 1};
    fal_status status = load(c, path, err);
    if (status != FAL_OK) {
        fal_config_file_close(c);
        return status;
    }
    *out = c;
    return FAL_OK;
}

void fal_config_file_close(fal_config_file *c) {
    if (!c) return;
    for (size_t i = 0; i < c->n_texts; i++)
        fal_free(c->texts[i]);
    fal_free(c->texts);
    if (c->is_loaded) yaml_document_delete(&c->document);
    fal_free(c);
}
