/* Body of yaml_document.h. */
#include "formats/yaml_document.h"

#include <string.h>

enum {
    MAX_BYTES = 256 << 10,
    MAX_DEPTH = 64,
    MAX_NODES = 100000
};

yaml_node_t *fal_yaml_node(const yaml_document_t *document, int id) {
    return document->nodes.start + id - 1;
}

yaml_node_t *fal_yaml_root(const yaml_document_t *document) {
    return document->nodes.top > document->nodes.start ? document->nodes.start : NULL;
}

fal_slice fal_yaml_text(const yaml_node_t *node) {
    if (!node || node->type != YAML_SCALAR_NODE) return (fal_slice){"", 0};
    return (fal_slice){(const char *)node->data.scalar.value, node->data.scalar.length};
}

size_t fal_yaml_line(const yaml_node_t *node, const fal_yaml_origin *origin) {
    return node->start_mark.line + origin->first_line;
}

/* Whether a tab is among what the line begins with, which YAML forbids and its parser does not call by name. */
static bool is_indented_by_tab(fal_slice text, size_t line) {
    const char *at = text.data, *end = text.data + text.length;
    for (; line > 0 && at < end; line--) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        at = newline ? newline + 1 : end;
    }
    while (at < end && *at == ' ')
        at++;
    return at < end && *at == '\t';
}

static fal_status fail_parsing(const yaml_parser_t *parser, fal_slice text,
                               const fal_yaml_origin *origin, fal_error *err) {
    if (parser->error == YAML_MEMORY_ERROR) return fal_fail_memory(err, 0);
    const char *problem = parser->problem ? parser->problem : "it is no YAML";
    if (is_indented_by_tab(text, parser->problem_mark.line))
        problem = "a tab; YAML indents by spaces only";
    if (parser->error == YAML_READER_ERROR)
        return fal_fail(err, FAL_E_FORMAT, "%s: %s%s", origin->name, origin->what, problem);
    return fal_fail(err, FAL_E_FORMAT, "%s:%zu: %s%s", origin->name,
                    parser->problem_mark.line + origin->first_line, origin->what, problem);
}

static bool are_equal(fal_slice a, fal_slice b) {
    return a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

static fal_status check_root(const yaml_document_t *document, const fal_yaml_origin *origin,
                             fal_error *err) {
    const yaml_node_t *root = fal_yaml_root(document);
    if (root->type != YAML_MAPPING_NODE)
        return fal_fail(err, FAL_E_FORMAT, "%s: %sit is no list of keys and values", origin->name,
                        origin->what);
    const yaml_node_pair_t *first = root->data.mapping.pairs.start;
    for (const yaml_node_pair_t *p = first; p < root->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = fal_yaml_node(document, p->key);
        size_t line = fal_yaml_line(key, origin);
        if (key->type != YAML_SCALAR_NODE)
            return fal_fail(err, FAL_E_FORMAT, "%s:%zu: %sa key that is no text", origin->name,
                            line, origin->what);
        for (const yaml_node_pair_t *q = first; q < p; q++) {
            if (are_equal(fal_yaml_text(key), fal_yaml_text(fal_yaml_node(document, q->key))))
                return fal_fail(err, FAL_E_FORMAT, "%s:%zu: %s'%.60s' is given twice", origin->name,
                                line, origin->what, (const char *)key->data.scalar.value);
        }
    }
    return FAL_OK;
}

/* Values are handed on as strings of C: a zero in one would cut it short without a word. */
static fal_status check_scalars(const yaml_document_t *document, const fal_yaml_origin *origin,
                                fal_error *err) {
    for (const yaml_node_t *node = document->nodes.start; node < document->nodes.top; node++) {
        if (node->type != YAML_SCALAR_NODE) continue;
        fal_slice text = fal_yaml_text(node);
        if (memchr(text.data, '\0', text.length))
            return fal_fail(err, FAL_E_FORMAT, "%s:%zu: %s'%.60s' has a zero byte behind it",
                            origin->name, fal_yaml_line(node, origin), origin->what, text.data);
    }
    return FAL_OK;
}

/* Counts nodes with aliases unfolded; stops beyond a bound, where *n is MAX_NODES + 1. */
static void count_nodes(const yaml_document_t *document, int id, int depth, int *n) {
    const yaml_node_t *node = fal_yaml_node(document, id);
    *n = depth > MAX_DEPTH ? MAX_NODES + 1 : *n + 1;
    if (*n > MAX_NODES || node->type == YAML_SCALAR_NODE) return;
    if (node->type == YAML_SEQUENCE_NODE) {
        for (const yaml_node_item_t *i = node->data.sequence.items.start;
             i < node->data.sequence.items.top && *n <= MAX_NODES; i++)
            count_nodes(document, *i, depth + 1, n);
        return;
    }
    for (const yaml_node_pair_t *p = node->data.mapping.pairs.start;
         p < node->data.mapping.pairs.top && *n <= MAX_NODES; p++) {
        count_nodes(document, p->key, depth + 1, n);
        if (*n <= MAX_NODES) count_nodes(document, p->value, depth + 1, n);
    }
}

/* That the first document is well-formed and the only one. */
static fal_status check(const yaml_document_t *document, yaml_parser_t *parser, fal_slice text,
                        const fal_yaml_origin *origin, fal_error *err) {
    yaml_document_t second;
    int n_nodes = 0;
    if (!fal_yaml_root(document)) return FAL_OK;
    FAL_TRY(check_scalars(document, origin, err));
    FAL_TRY(check_root(document, origin, err));
    count_nodes(document, 1, 0, &n_nodes);
    if (n_nodes > MAX_NODES)
        return fal_fail(err, FAL_E_LIMIT, "%s: %smore than %d values or %d levels", origin->name,
                        origin->what, MAX_NODES, MAX_DEPTH);
    if (!yaml_parser_load(parser, &second)) return fail_parsing(parser, text, origin, err);
    bool has_second = fal_yaml_root(&second) != NULL;
    yaml_document_delete(&second);
    if (!has_second) return FAL_OK;
    return fal_fail(err, FAL_E_FORMAT, "%s: %smore than one document", origin->name, origin->what);
}

fal_status fal_yaml_load(yaml_document_t *out, fal_slice text, const fal_yaml_origin *origin,
                         fal_error *err) {
    yaml_parser_t parser;
    if (text.length > MAX_BYTES)
        return fal_fail(err, FAL_E_LIMIT, "%s: %s%zu bytes, at most %d", origin->name, origin->what,
                        text.length, MAX_BYTES);
    if (!yaml_parser_initialize(&parser)) return fal_fail_memory(err, 0);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.data, text.length);
    fal_status status = FAL_OK;
    if (!yaml_parser_load(&parser, out)) {
        status = fail_parsing(&parser, text, origin, err);
    } else {
        status = check(out, &parser, text, origin, err);
        if (status != FAL_OK) yaml_document_delete(out);
    }
    yaml_parser_delete(&parser);
    return status;
}
