/* YAML text as libyaml's tree: one document, bounded, a list of keys and values in which no key is given twice. Nodes are
 * libyaml's own, so that whoever writes text anew can keep their styles. */
#ifndef FAL_FORMATS_YAML_DOCUMENT_H
#define FAL_FORMATS_YAML_DOCUMENT_H

#include "base/bytes.h"

#include <yaml.h>

/* Where a text comes from, for messages. */
typedef struct fal_yaml_origin {
    const char *name; /* of the file */
    const char
        *what; /* what the text is called in front of a problem, such as "front matter: "; or "" */
    size_t first_line; /* of the text in its file, from 1 */
} fal_yaml_origin;

/* out is deleted by the caller (yaml_document_delete) on success. A document without a root is empty.
 * Fails: FORMAT (no YAML, no mapping, a key given twice, several documents), LIMIT (over 256 KiB, 100000 values or 64 levels
 * with aliases unfolded), MEMORY. */
fal_status fal_yaml_load(yaml_document_t *out, fal_slice text, const fal_yaml_origin *origin,
                         fal_error *err);

/* NULL: the document is empty. */
yaml_node_t *fal_yaml_root(const yaml_document_t *document);

/* The node that an id of a pair or an item stands for. */
yaml_node_t *fal_yaml_node(const yaml_document_t *document, int id);

/* The text of a scalar; an empty slice for NULL and anything else. */
fal_slice fal_yaml_text(const yaml_node_t *node);

/* The line of a node in its file. */
size_t fal_yaml_line(const yaml_node_t *node, const fal_yaml_origin *origin);

#endif
