/* Vocabularies for the tests of text: made of lists in a test, or read from a folder of tests/golden. */
#ifndef FAL_TESTS_TEXT_FIXTURES_H
#define FAL_TESTS_TEXT_FIXTURES_H

#include "base/alloc.h"
#include "base/utf8.h"
#include "check.h"
#include "formats/tokenizer_json.h"
#include "text/byte_map.h"
#include "text/vocabulary.h"

#include <stdio.h>
#include <stdlib.h>

/* One token beyond the 256 of the single bytes, which have the ids 0 to 255. */
typedef struct extra_token {
    const char *text;
    int32_t type;
} extra_token;

/* A vocabulary of all bytes, then `extras`, with merges. Both lists end with NULL, and must outlive the vocabulary. */
static inline fal_vocabulary vocabulary_of(const extra_token *extras, const char *const *merges) {
    fal_vocabulary v = {
        .bos = -1, .eos = -1, .eot = -1, .unknown = -1, .padding = -1, .pretokenizer = "gpt-2"};
    size_t n_extras = 0;
    while (extras && extras[n_extras].text)
        n_extras++;
    while (merges && merges[v.n_merges])
        v.n_merges++;
    v.n_tokens = 256 + n_extras;
    v.tokens = fal_alloc(v.n_tokens, sizeof *v.tokens);
    v.types = fal_alloc(v.n_tokens, sizeof *v.types);
    v.merges = fal_alloc(v.n_merges, sizeof *v.merges);
    assert_true(v.tokens && v.types && v.merges);
    static char byte_texts[256][4];
    for (int byte = 0; byte < 256; byte++) {
        int length = fal_utf8_encode(fal_byte_character((uint8_t)byte), byte_texts[byte]);
        v.tokens[byte] = (fal_slice){byte_texts[byte], (size_t)length};
        v.types[byte] = FAL_TOKEN_NORMAL;
    }
    for (size_t i = 0; i < n_extras; i++) {
        v.tokens[256 + i] = fal_slice_of(extras[i].text);
        v.types[256 + i] = extras[i].type;
    }
    for (size_t i = 0; i < v.n_merges; i++)
        v.merges[i] = fal_slice_of(merges[i]);
    return v;
}

/* Opens the tokenizer of a vocabulary that must be right. */
static inline fal_tokenizer *tokenizer_of(fal_vocabulary v) {
    fal_error err = {0};
    fal_tokenizer *t = NULL;
    CHECK_OK(fal_tokenizer_from_vocabulary(&t, &v, &err), &err);
    return t;
}

/* The tokenizer of a Hugging Face folder. */
static inline fal_tokenizer *tokenizer_in(const char *folder) {
    fal_error err = {0};
    fal_vocabulary v = {0};
    CHECK_OK(fal_tokenizer_json_read(&v, folder, 0, &err), &err);
    return tokenizer_of(v);
}

/* Encodes and compares; expected ends with -1. */
static inline void check_ids(const fal_tokenizer *t, const char *text, size_t length,
                             fal_specials specials, const int32_t *expected) {
    fal_error err = {0};
    fal_tokens tokens = {0};
    CHECK_OK(fal_tokenizer_encode(t, text, length, specials, &tokens, NULL, &err), &err);
    size_t n = 0;
    while (expected[n] >= 0)
        n++;
    bool same =
        tokens.count == n && (n == 0 || memcmp(tokens.ids, expected, n * sizeof *expected) == 0);
    if (!same) {
        print_error("'%.*s' gives", (int)length, text);
        for (size_t i = 0; i < tokens.count; i++)
            print_error(" %d", tokens.ids[i]);
        print_error("\n");
    }
    fal_tokens_release(&tokens);
    assert_true(same);
}

#define CHECK_IDS(t, text, specials, ...) \
    check_ids(t, text, strlen(text), specials, (const int32_t[]){__VA_ARGS__, -1})

/* The bytes of all pieces of ids together, terminated; freed by the caller (free). */
static inline char *decode(const fal_tokenizer *t, const fal_tokens *tokens, size_t *length) {
    *length = 0;
    char *out = malloc(tokens->count * 512 + 1);
    assert_non_null(out);
    for (size_t i = 0; i < tokens->count; i++) {
        size_t n;
        const char *piece = fal_tokenizer_piece(t, tokens->ids[i], &n);
        assert_non_null(piece);
        assert_true(n <= 512);
        memcpy(out + *length, piece, n);
        *length += n;
    }
    out[*length] = '\0';
    return out;
}

#endif
