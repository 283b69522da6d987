/* Any bytes as a YAML document: read or refused with one line; what is read is walked with its aliases unfolded. */
#include "formats/yaml_document.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

volatile unsigned fal_fuzz_sum;

/* Opening has bounded how much this is. */
static void walk(const yaml_document_t *document, const yaml_node_t *node, int depth) {
    fal_slice text = fal_yaml_text(node);
    fal_fuzz_sum += touch(text.data, text.length);
    if (depth > 64) abort();
    if (node->type == YAML_SEQUENCE_NODE) {
        for (const yaml_node_item_t *i = node->data.sequence.items.start;
             i < node->data.sequence.items.top; i++)
            walk(document, fal_yaml_node(document, *i), depth + 1);
    }
    if (node->type != YAML_MAPPING_NODE) return;
    for (const yaml_node_pair_t *p = node->data.mapping.pairs.start;
         p < node->data.mapping.pairs.top; p++) {
        walk(document, fal_yaml_node(document, p->key), depth + 1);
        walk(document, fal_yaml_node(document, p->value), depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    const fal_yaml_origin origin = {"file", "", 1};
    const fal_slice text = {length ? (const char *)data : "", length};
    yaml_document_t document;
    fal_error err = {0};
    if (fal_yaml_load(&document, text, &origin, &err) != FAL_OK) {
        if (!err.message[0] || strchr(err.message, '\n')) abort();
        return 0;
    }
    const yaml_node_t *root = fal_yaml_root(&document);
    if (root) walk(&document, root, 0);
    yaml_document_delete(&document);
    return 0;
}
