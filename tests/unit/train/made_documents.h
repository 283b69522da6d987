/* Documents of given lengths with tokens that tell where they are from. */
#ifndef FAL_TESTS_MADE_DOCUMENTS_H
#define FAL_TESTS_MADE_DOCUMENTS_H

#include "base/hash.h"
#include "base/random.h"
#include "check.h"
#include "train/documents.h"

#include <stdlib.h>

/* Appends a document of n tokens: its number * 1000 + place, all of them counting as text. */
static inline void add_document(fal_documents *d, int32_t source, int64_t n) {
    int32_t *tokens = malloc((size_t)n * sizeof *tokens);
    uint8_t *parts = malloc((size_t)n);
    assert_true(tokens && parts);
    for (int64_t i = 0; i < n; i++) {
        tokens[i] = (int32_t)(d->count * 1000 + i % 1000);
        parts[i] = FAL_LOSS_TEXT;
    }
    fal_error err = {0};
    uint64_t hash = fal_hash_add((uint64_t)d->count, (uint64_t)n);
    CHECK_OK(fal_documents_append(d, tokens, parts, n, source, d->count + 1, hash, &err), &err);
    free(tokens);
    free(parts);
}

/* A length as conversations have them: log-normal, with a median and most of what is possible. */
static inline int64_t chat_length(fal_random *random, double median, double most) {
    double n = median * exp(0.9 * fal_random_normal(random));
    return (int64_t)(n < 4 ? 4 : n > most ? most : n);
}

#endif
