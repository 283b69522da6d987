/* Body of front_matter.h. Nodes are copied into a document of their own, so that styles stay as they were written: the
 * language no is not made a boolean. */
#include "publish/front_matter.h"

#include "base/alloc.h"
#include "formats/yaml_document.h"

#include <string.h>

struct fal_front_matter {
    yaml_document_t document;
    yaml_node_t *root; /* a mapping; NULL: empty */
};

/* ---- finding ---- */

/* The line at `at` without its newline; *next behind it. */
static fal_slice line_at(fal_slice text, size_t at, size_t *next) {
    const char *newline = memchr(text.data + at, '\n', text.length - at);
    size_t end = newline ? (size_t)(newline - text.data) : text.length;
    *next = newline ? end + 1 : end;
    if (end > at && text.data[end - 1] == '\r') end--;
    return (fal_slice){text.data + at, end - at};
}

static bool is_mark(fal_slice line) {
    while (line.length > 3
           && (line.data[line.length - 1] == ' ' || line.data[line.length - 1] == '\t'))
        line.length--;
    return fal_slice_equals(line, "---");
}

fal_front_matter_place fal_front_matter_split(fal_slice text, fal_slice *yaml, fal_slice *body) {
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    size_t begin = 0, next = 0;
    if (text.length >= 3 && memcmp(text.data, byte_order_mark, 3) == 0) begin = 3;
    *body = (fal_slice){text.data + begin, text.length - begin};
    *yaml = (fal_slice){text.data + begin, 0};
    if (begin == text.length) return FAL_FRONT_MATTER_ABSENT;
    if (!is_mark(line_at(text, begin, &next))) return FAL_FRONT_MATTER_ABSENT;
    for (size_t first = next, at = next; at < text.length; at = next) {
        if (!is_mark(line_at(text, at, &next))) continue;
        *yaml = (fal_slice){text.data + first, at - first};
        *body = (fal_slice){text.data + next, text.length - next};
        return FAL_FRONT_MATTER_WHOLE;
    }
    return FAL_FRONT_MATTER_UNCLOSED;
}

/* ---- reading ---- */

static yaml_node_t *node_at(const fal_front_matter *f, int id) {
    return fal_yaml_node(&f->document, id);
}

/* Lines count from the card's top, where "---" is line 1. */
fal_status fal_front_matter_open(fal_front_matter **out, fal_slice yaml, const char *name,
                                 fal_error *err) {
    const fal_yaml_origin origin = {name, "front matter: ", 2};
    *out = NULL;
    fal_front_matter *f = fal_alloc(1, sizeof *f);
    if (!f) return fal_fail_memory(err, sizeof *f);
    fal_status status = fal_yaml_load(&f->document, yaml, &origin, err);
    if (status != FAL_OK) {
        fal_free(f);
        return status;
    }
    f->root = fal_yaml_root(&f->document);
    *out = f;
    return FAL_OK;
}

void fal_front_matter_close(fal_front_matter *f) {
    if (!f) return;
    yaml_document_delete(&f->document);
    fal_free(f);
}

static const yaml_node_t *find(const fal_front_matter *f, const char *key) {
    if (!f || !f->root) return NULL;
    for (const yaml_node_pair_t *p = f->root->data.mapping.pairs.start;
         p < f->root->data.mapping.pairs.top; p++) {
        if (fal_slice_equals(fal_yaml_text(node_at(f, p->key)), key)) return node_at(f, p->value);
    }
    return NULL;
}

fal_slice fal_front_matter_text(const fal_front_matter *f, const char *key, size_t index) {
    const yaml_node_t *node = find(f, key);
    if (!node || node->type != YAML_SEQUENCE_NODE) return fal_yaml_text(index == 0 ? node : NULL);
    size_t count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    return fal_yaml_text(index < count ? node_at(f, node->data.sequence.items.start[index]) : NULL);
}

/* ---- writing ---- */

typedef struct writing {
    const fal_front_matter *from;
    yaml_document_t to;
    int root;
    bool failed; /* memory is short */
} writing;

static int add_scalar(writing *w, fal_slice text, yaml_scalar_style_t style) {
    int id = yaml_document_add_scalar(&w->to, NULL, (const yaml_char_t *)text.data,
                                      (int)text.length, style);
    w->failed |= id == 0;
    return id;
}

static int copy_scalar(writing *w, const yaml_node_t *node) {
    return add_scalar(w, fal_yaml_text(node), node->data.scalar.style);
}

static int copy_node(writing *w, int id);

static int copy_sequence(writing *w, const yaml_node_t *node) {
    int list = yaml_document_add_sequence(&w->to, NULL, node->data.sequence.style);
    w->failed |= list == 0;
    for (const yaml_node_item_t *i = node->data.sequence.items.start;
         i < node->data.sequence.items.top && !w->failed; i++) {
        int item = copy_node(w, *i);
        if (item && !yaml_document_append_sequence_item(&w->to, list, item)) w->failed = true;
    }
    return list;
}

static int copy_mapping(writing *w, const yaml_node_t *node) {
    int map = yaml_document_add_mapping(&w->to, NULL, node->data.mapping.style);
    w->failed |= map == 0;
    for (const yaml_node_pair_t *p = node->data.mapping.pairs.start;
         p < node->data.mapping.pairs.top && !w->failed; p++) {
        int key = copy_node(w, p->key), value = copy_node(w, p->value);
        if (key && value && !yaml_document_append_mapping_pair(&w->to, map, key, value))
            w->failed = true;
    }
    return map;
}

/* 0 after a failure. Aliases are unfolded; opening has bounded what comes of them. */
static int copy_node(writing *w, int id) {
    const yaml_node_t *node = node_at(w->from, id);
    if (w->failed) return 0;
    if (node->type == YAML_SEQUENCE_NODE) return copy_sequence(w, node);
    if (node->type == YAML_MAPPING_NODE) return copy_mapping(w, node);
    return copy_scalar(w, node);
}

static void set_pair(writing *w, fal_slice key, int value) {
    if (w->failed || !value) return;
    int name = add_scalar(w, key, YAML_ANY_SCALAR_STYLE);
    if (name && !yaml_document_append_mapping_pair(&w->to, w->root, name, value)) w->failed = true;
}

static bool holds(const yaml_node_t *list, const fal_front_matter *f, const char *text) {
    if (!list) return false;
    if (list->type != YAML_SEQUENCE_NODE) return fal_slice_equals(fal_yaml_text(list), text);
    for (const yaml_node_item_t *i = list->data.sequence.items.start;
         i < list->data.sequence.items.top; i++) {
        if (fal_slice_equals(fal_yaml_text(node_at(f, *i)), text)) return true;
    }
    return false;
}

/* `before` (NULL: none) as a list, and behind it those values that it lacks. */
static int extended(writing *w, const yaml_node_t *before, const char *const *values) {
    int list;
    if (before && before->type == YAML_SEQUENCE_NODE) {
        list = copy_sequence(w, before);
    } else {
        list = yaml_document_add_sequence(&w->to, NULL, YAML_BLOCK_SEQUENCE_STYLE);
        int first =
            before && fal_yaml_text(before).length > 0 && list > 0 ? copy_scalar(w, before) : 0;
        if (first && !yaml_document_append_sequence_item(&w->to, list, first)) w->failed = true;
    }
    w->failed |= list == 0;
    for (; *values && !w->failed; values++) {
        if (holds(before, w->from, *values)) continue;
        int item = add_scalar(w, fal_slice_of(*values), YAML_ANY_SCALAR_STYLE);
        if (item && !yaml_document_append_sequence_item(&w->to, list, item)) w->failed = true;
    }
    return list;
}

static int value_of(writing *w, const fal_key_edit *edit) {
    if (edit->is_list) return extended(w, NULL, edit->values);
    return add_scalar(w, fal_slice_of(edit->values[0]), YAML_ANY_SCALAR_STYLE);
}

static bool has_values(const fal_key_edit *edit) {
    return edit->values && edit->values[0];
}

static void copy_pair(writing *w, const yaml_node_pair_t *pair, const fal_key_edit *edits) {
    fal_slice key = fal_yaml_text(node_at(w->from, pair->key));
    const yaml_node_t *value = node_at(w->from, pair->value);
    const fal_key_edit *edit = edits;
    while (edit->key && !fal_slice_equals(key, edit->key))
        edit++;
    if (edit->key && edit->change == FAL_KEY_REMOVE) return;
    if (edit->key && has_values(edit) && edit->change == FAL_KEY_REPLACE) {
        set_pair(w, key, value_of(w, edit));
    } else if (edit->key && has_values(edit) && edit->change == FAL_KEY_EXTEND) {
        set_pair(w, key, extended(w, value, edit->values));
    } else {
        set_pair(w, key, copy_node(w, pair->value));
    }
}

static int append_bytes(void *user, unsigned char *bytes, size_t length) {
    fal_string_append(user, (const char *)bytes, length);
    return 1;
}

/* Takes the document. */
static bool emit(fal_string_builder *out, yaml_document_t *document) {
    yaml_emitter_t emitter;
    if (!yaml_emitter_initialize(&emitter)) {
        yaml_document_delete(document);
        return false;
    }
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_width(&emitter, -1);
    yaml_emitter_set_output(&emitter, append_bytes, out);
    bool good = yaml_emitter_dump(&emitter, document) && yaml_emitter_close(&emitter);
    yaml_emitter_delete(&emitter);
    return good;
}

static void build(writing *w, const fal_key_edit *edits) {
    w->root = yaml_document_add_mapping(&w->to, NULL, YAML_BLOCK_MAPPING_STYLE);
    w->failed |= w->root == 0;
    const yaml_node_t *root = w->from ? w->from->root : NULL;
    for (const yaml_node_pair_t *p = root ? root->data.mapping.pairs.start : NULL;
         root && p < root->data.mapping.pairs.top; p++)
        copy_pair(w, p, edits);
    for (const fal_key_edit *e = edits; e->key; e++) {
        if (e->change != FAL_KEY_REMOVE && has_values(e) && !find(w->from, e->key))
            set_pair(w, fal_slice_of(e->key), value_of(w, e));
    }
}

fal_status fal_front_matter_write(fal_string_builder *out, const fal_front_matter *original,
                                  const fal_key_edit *edits, fal_error *err) {
    writing w = {.from = original};
    if (!yaml_document_initialize(&w.to, NULL, NULL, NULL, 1, 1)) return fal_fail_memory(err, 0);
    build(&w, edits);
    if (w.failed) {
        yaml_document_delete(&w.to);
        return fal_fail_memory(err, 0);
    }
    fal_string_append_text(out, "---\n");
    if (!emit(out, &w.to)) return fal_fail_memory(err, 0);
    fal_string_append_text(out, "---\n");
    return fal_string_status(out, err);
}
