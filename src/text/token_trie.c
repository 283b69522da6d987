/* Body of token_trie.h: sorts the tokens, then a node for each byte that a token has beyond the one before it. */
#include "text/token_trie.h"

#include "base/alloc.h"
#include "base/fail.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_TOKEN_BYTES = 255
};

typedef struct token_text {
    const char *bytes;
    size_t length;
    int32_t id;
} token_text;

static int by_bytes(const void *a, const void *b) {
    const token_text *x = a, *y = b;
    size_t shorter = x->length < y->length ? x->length : y->length;
    int order = memcmp(x->bytes, y->bytes, shorter);
    if (order) return order;
    if (x->length != y->length) return x->length < y->length ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* How many bytes two neighbours begin with alike. */
static size_t shared_bytes(const token_text *a, const token_text *b) {
    size_t n = 0;
    while (n < a->length && n < b->length && a->bytes[n] == b->bytes[n])
        n++;
    return n;
}

static size_t count_nodes(const token_text *texts, size_t count) {
    size_t n = 1;
    for (size_t i = 0; i < count; i++)
        n += texts[i].length - (i ? shared_bytes(&texts[i - 1], &texts[i]) : 0);
    return n;
}

static bool allocate(fal_token_trie *trie) {
    trie->skip = fal_alloc(trie->n_nodes, sizeof *trie->skip);
    trie->first_token = fal_alloc(trie->n_nodes + 1, sizeof *trie->first_token);
    trie->byte = fal_alloc(trie->n_nodes, 1);
    trie->depth = fal_alloc(trie->n_nodes, 1);
    trie->height = fal_alloc(trie->n_nodes, 1);
    trie->below = fal_alloc(trie->n_nodes, sizeof *trie->below);
    trie->tokens = fal_alloc(trie->n_tokens, sizeof *trie->tokens);
    return trie->skip && trie->first_token && trie->byte && trie->depth && trie->height
           && trie->below && trie->tokens;
}

static void note_byte(uint64_t below[2], uint8_t byte) {
    if (byte < 128)
        below[byte / 64] |= (uint64_t)1 << byte % 64;
    else
        below[0] |= 1;
}

/* Closes the nodes of the path that are deeper than depth: all below them is there. */
static void close_nodes(fal_token_trie *trie, int32_t *path, size_t *path_length, size_t depth,
                        size_t n_nodes) {
    while (*path_length > depth) {
        int32_t node = path[*path_length], parent = path[*path_length - 1];
        trie->skip[node] = (int32_t)n_nodes;
        trie->below[parent][0] |= trie->below[node][0];
        trie->below[parent][1] |= trie->below[node][1];
        note_byte(trie->below[parent], trie->byte[node]);
        if (trie->height[parent] <= trie->height[node])
            trie->height[parent] = (uint8_t)(trie->height[node] + 1);
        (*path_length)--;
    }
}

static void fill(fal_token_trie *trie, const token_text *texts) {
    int32_t path[MAX_TOKEN_BYTES + 1] = {0}; /* nodes by depth */
    size_t path_length = 0, n = 1;
    for (size_t i = 0; i < trie->n_tokens; i++) {
        size_t shared = i ? shared_bytes(&texts[i - 1], &texts[i]) : 0;
        close_nodes(trie, path, &path_length, shared, n);
        while (path_length < texts[i].length) {
            trie->byte[n] = (uint8_t)texts[i].bytes[path_length];
            trie->depth[n] = (uint8_t)++path_length;
            trie->first_token[n] = (int32_t)i;
            path[path_length] = (int32_t)n++;
        }
        trie->tokens[i] = texts[i].id;
        if (texts[i].length > trie->max_depth) trie->max_depth = texts[i].length;
    }
    close_nodes(trie, path, &path_length, 0, n);
    trie->skip[0] = (int32_t)n;
    trie->first_token[n] = (int32_t)trie->n_tokens;
}

static fal_status collect(fal_token_trie *trie, const fal_tokenizer *t, token_text *texts,
                          fal_error *err) {
    for (int32_t id = 0; id < trie->n_vocab; id++) {
        token_text text = {.id = id};
        text.bytes = fal_tokenizer_piece(t, id, &text.length);
        if (fal_tokenizer_is_end(t, id)) {
            trie->ends[trie->n_ends++] = id;
        } else if (!fal_tokenizer_is_control(t, id) && text.length
                   && text.length <= MAX_TOKEN_BYTES) {
            texts[trie->n_tokens++] = text;
        }
    }
    if (trie->n_tokens) qsort(texts, trie->n_tokens, sizeof *texts, by_bytes);
    trie->n_nodes = count_nodes(texts, trie->n_tokens);
    if (!allocate(trie)) return fal_fail_memory(err, trie->n_nodes * sizeof *trie->below);
    fill(trie, texts);
    return FAL_OK;
}

fal_status fal_token_trie_open(fal_token_trie **out, const fal_tokenizer *t, fal_error *err) {
    *out = NULL;
    fal_token_trie *trie = fal_alloc(1, sizeof *trie);
    if (!trie) return fal_fail_memory(err, sizeof *trie);
    trie->n_vocab = fal_tokenizer_n_vocab(t);
    trie->ends = fal_alloc((size_t)trie->n_vocab, sizeof *trie->ends);
    token_text *texts = fal_alloc((size_t)trie->n_vocab, sizeof *texts);
    fal_status status =
        trie->ends && texts ? collect(trie, t, texts, err) : fal_fail_memory(err, 0);
    fal_free(texts);
    if (status == FAL_OK)
        *out = trie;
    else
        fal_token_trie_close(trie);
    return status;
}

void fal_token_trie_close(fal_token_trie *trie) {
    if (!trie) return;
    fal_free(trie->skip);
    fal_free(trie->first_token);
    fal_free(trie->byte);
    fal_free(trie->depth);
    fal_free(trie->height);
    fal_free(trie->below);
    fal_free(trie->tokens);
    fal_free(trie->ends);
    fal_free(trie);
}
