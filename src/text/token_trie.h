/* All tokens of a vocabulary that are text, as a tree of their bytes: made once per tokenizer, on demand. */
#ifndef FAL_TEXT_TOKEN_TRIE_H
#define FAL_TEXT_TOKEN_TRIE_H

#include <falconer/tokenizer.h>

/* Nodes stand in the order of a walk: a node before its children, these by their byte. Node 0 is the root.
 * The tokens of a node and of all below it are those from its first_token to that of the node at its skip. */
typedef struct fal_token_trie {
    size_t n_nodes;
    int32_t *skip;        /* [n_nodes] the node behind all that are below it */
    int32_t *first_token; /* [n_nodes + 1] into tokens; the node's own come before those below it */
    uint8_t *byte;        /* [n_nodes] that leads to it */
    uint8_t *depth;       /* [n_nodes] bytes from the root */
    uint8_t *height;      /* [n_nodes] bytes from it to the deepest node below it */
    uint64_t (*below)
        [2]; /* [n_nodes] the bytes that occur below it: bit i: byte i; bit 0 also: one over 127 */
    int32_t *tokens; /* [n_tokens] ids, sorted by their bytes */
    size_t n_tokens;
    int32_t *ends; /* [n_ends] ids of end tokens */
    size_t n_ends;
    int32_t n_vocab;
    size_t max_depth;
} fal_token_trie;

/* Tokens of over 255 bytes are left out: no answer needs them. Fails: MEMORY. */
fal_status fal_token_trie_open(fal_token_trie **out, const fal_tokenizer *t, fal_error *err);
void fal_token_trie_close(fal_token_trie *trie);

/* That of t, borrowed from it; threads may ask at the same time. Fails: MEMORY. */
fal_status fal_tokenizer_trie(const fal_tokenizer *t, const fal_token_trie **out, fal_error *err);

#endif
