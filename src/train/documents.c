/* Body of documents.h. */
#include "train/documents.h"

#include "base/alloc.h"

#include <string.h>

/* Room for n_tokens tokens and one document more; the two arrays of tokens grow together. */
static bool make_room(fal_documents *d, int64_t n_tokens) {
    size_t needed, tokens = (size_t)d->token_capacity, parts = tokens, items = (size_t)d->capacity;
    if (!fal_add_size((size_t)d->n_tokens, (size_t)n_tokens, &needed)) return false;
    if (!fal_grow((void **)&d->tokens, &tokens, needed, sizeof *d->tokens)) return false;
    if (!fal_grow((void **)&d->parts, &parts, needed, sizeof *d->parts)) return false;
    d->token_capacity = (int64_t)parts;
    if (!fal_grow((void **)&d->items, &items, (size_t)d->count + 1, sizeof *d->items)) return false;
    d->capacity = (int64_t)items;
    return true;
}

fal_status fal_documents_append(fal_documents *d, const int32_t *tokens, const uint8_t *parts,
                                int64_t n_tokens, int32_t source, int64_t record, uint64_t hash,
                                fal_error *err) {
    if (n_tokens < 1 || n_tokens > INT32_MAX)
        return fal_fail(err, FAL_E_LIMIT, "a document of %lld tokens, 1 to %d are possible",
                        (long long)n_tokens, INT32_MAX);
    if (!make_room(d, n_tokens)) return fal_fail_memory(err, (size_t)n_tokens * 5);
    memcpy(d->tokens + d->n_tokens, tokens, (size_t)n_tokens * sizeof *tokens);
    memcpy(d->parts + d->n_tokens, parts, (size_t)n_tokens);
    d->parts[d->n_tokens] = FAL_LOSS_NONE;
    d->items[d->count++] = (fal_document){.first_token = d->n_tokens,
                                          .n_tokens = (int32_t)n_tokens,
                                          .source = source,
                                          .record = record,
                                          .hash = hash};
    d->n_tokens += n_tokens;
    return FAL_OK;
}

void fal_documents_release(fal_documents *d) {
    fal_free(d->tokens);
    fal_free(d->parts);
    fal_free(d->items);
    *d = (fal_documents){0};
}
