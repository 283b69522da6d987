/* For test_schemas.py: reads lines of JSON from stdin, each with a schema, and answers each with a line.
 *
 *   {"schema": S, "documents": [text, ...], "samples": n, "seed": n}
 *   {"error": why the schema is refused}, or
 *   {"unreachable": [the documents that are not allowed, token by token or byte by byte], "samples": [text, ...]}
 *
 * Usage: schema_probe FOLDER_OF_A_TOKENIZER */
#include "base/alloc.h"
#include "base/random.h"
#include "base/string_builder.h"
#include "formats/tokenizer_json.h"
#include "text/grammar.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SOON = 40,  /* tokens, from which on samples hurry to their end */
    MOST = 4000 /* tokens of a sample */
};

typedef struct probe {
    const fal_tokenizer *tokenizer;
    const fal_grammar *grammar;
    int32_t bytes[256]; /* tokens of one byte; -1: none */
    uint32_t *bits;
    size_t n_vocab;
} probe;

static bool is_allowed(const probe *p, int32_t token) {
    return token >= 0 && (p->bits[token / 32] >> token % 32 & 1);
}

/* The vocabulary of a test has no tokens for some bytes. */
static bool has_all_bytes(const probe *p, const char *text) {
    for (; *text; text++) {
        if (p->bytes[(uint8_t)*text] < 0) return false;
    }
    return true;
}

/* Whether the grammar goes through all tokens, with each of them allowed before, and may end behind them. */
static bool goes_through(const probe *p, const int32_t *tokens, size_t count) {
    fal_grammar_state *s;
    bool is_good = fal_grammar_state_open(&s, p->grammar, p->tokenizer, NULL) == FAL_OK;
    for (size_t i = 0; i < count && is_good; i++) {
        is_good = fal_grammar_allowed(s, p->bits, p->n_vocab, NULL) == FAL_OK
                  && is_allowed(p, tokens[i]) && fal_grammar_accept(s, tokens[i], NULL) == FAL_OK;
    }
    is_good = is_good && fal_grammar_may_end(s);
    fal_grammar_state_close(s);
    return is_good;
}

static bool is_reachable(const probe *p, const char *text) {
    fal_tokens tokens = {0};
    size_t length = strlen(text);
    bool is_good =
        fal_tokenizer_encode(p->tokenizer, text, length, FAL_SPECIALS_AS_TEXT, &tokens, NULL, NULL)
        == FAL_OK;
    is_good = is_good && goes_through(p, tokens.ids, tokens.count);
    tokens.count = 0;
    for (size_t i = 0; i < length && is_good; i++)
        is_good = fal_tokens_append(&tokens, &p->bytes[(uint8_t)text[i]], 1, NULL) == FAL_OK;
    is_good = is_good && goes_through(p, tokens.ids, tokens.count);
    fal_tokens_release(&tokens);
    return is_good;
}

static int32_t any_allowed(const probe *p, fal_random *random) {
    int32_t n = 0, chosen = -1;
    for (int32_t token = 0; token < (int32_t)p->n_vocab; token++) {
        if (!is_allowed(p, token)) continue;
        if (fal_random_u64(random) % (uint64_t)++n == 0) chosen = token;
    }
    return chosen;
}

/* A token that tends to end things. */
static int32_t ending_token(const probe *p, fal_random *random) {
    static const char closers[] = "\"}]10nt-Z:@.";
    for (size_t i = 0; closers[i]; i++) {
        int32_t token = p->bytes[(uint8_t)closers[i]];
        if (is_allowed(p, token) && fal_random_u64(random) % 8) return token;
    }
    return any_allowed(p, random);
}

/* *has_ended false: it would have gone on. */
static fal_status draw(const probe *p, fal_random *random, fal_string_builder *out, bool *has_ended,
                       fal_error *err) {
    fal_grammar_state *s;
    fal_status status = fal_grammar_state_open(&s, p->grammar, p->tokenizer, err);
    for (size_t i = 0; status == FAL_OK && i < MOST && !fal_grammar_is_complete(s); i++) {
        if (fal_grammar_may_end(s) && (i > SOON || fal_random_u64(random) % 4 == 0)) break;
        status = fal_grammar_allowed(s, p->bits, p->n_vocab, err);
        if (status != FAL_OK) break;
        bool hurries = i > SOON || fal_random_u64(random) % 3 == 0;
        int32_t token = hurries ? ending_token(p, random) : any_allowed(p, random);
        size_t length;
        const char *piece = fal_tokenizer_piece(p->tokenizer, token, &length);
        if (fal_tokenizer_is_end(p->tokenizer, token)) break;
        fal_string_append(out, piece, length);
        status = fal_grammar_accept(s, token, err);
    }
    *has_ended = status == FAL_OK && fal_grammar_may_end(s);
    fal_grammar_state_close(s);
    return status;
}

static json_t *answer(probe *p, const json_t *request) {
    fal_error err = {0};
    fal_grammar *g = NULL;
    json_t *unreachable = json_array(), *samples = json_array();
    char *schema = json_dumps(json_object_get(request, "schema"), JSON_ENCODE_ANY);
    fal_status status = fal_grammar_open_schema(&g, schema, strlen(schema), &err);
    free(schema);
    p->grammar = g;
    const json_t *documents = json_object_get(request, "documents");
    for (size_t i = 0; status == FAL_OK && i < json_array_size(documents); i++) {
        json_t *text = json_array_get(documents, i);
        if (has_all_bytes(p, json_string_value(text)) && !is_reachable(p, json_string_value(text)))
            json_array_append(unreachable, text);
    }
    fal_random random =
        fal_random_seeded((uint64_t)json_integer_value(json_object_get(request, "seed")), 0);
    json_int_t n = json_integer_value(json_object_get(request, "samples"));
    for (json_int_t i = 0; status == FAL_OK && i < n; i++) {
        fal_string_builder text = {0};
        bool has_ended = false;
        status = draw(p, &random, &text, &has_ended, &err);
        if (has_ended)
            json_array_append_new(samples, json_stringn(text.text ? text.text : "", text.length));
        fal_string_release(&text);
    }
    fal_grammar_close(g);
    if (status == FAL_OK)
        return json_pack("{s:o,s:o}", "unreachable", unreachable, "samples", samples);
    json_decref(unreachable);
    json_decref(samples);
    return json_pack("{s:s}", "error", err.message);
}

static bool open_vocabulary(probe *p, const char *folder, fal_tokenizer **out) {
    fal_error err = {0};
    fal_vocabulary v = {0};
    fal_status status = fal_tokenizer_json_read(&v, folder, 0, &err);
    if (status == FAL_OK) status = fal_tokenizer_from_vocabulary(out, &v, &err);
    if (status != FAL_OK) {
        fprintf(stderr, "%s\n", err.message);
        return false;
    }
    p->tokenizer = *out;
    p->n_vocab = (size_t)fal_tokenizer_n_vocab(*out);
    p->bits = fal_alloc((p->n_vocab + 31) / 32, sizeof *p->bits);
    for (int i = 0; i < 256; i++)
        p->bytes[i] = -1;
    for (int32_t token = 0; token < (int32_t)p->n_vocab; token++) {
        size_t length;
        const char *piece = fal_tokenizer_piece(*out, token, &length);
        if (length == 1 && !fal_tokenizer_is_control(*out, token))
            p->bytes[(uint8_t)*piece] = token;
    }
    return p->bits != NULL;
}

int main(int argc, char **argv) {
    probe p = {0};
    fal_tokenizer *t;
    static char line[1 << 20];
    if (argc != 2 || !open_vocabulary(&p, argv[1], &t)) return 2;
    while (fgets(line, sizeof line, stdin)) {
        json_error_t error;
        json_t *request = json_loads(line, 0, &error);
        json_t *response = request ? answer(&p, request) : json_pack("{s:s}", "error", error.text);
        char *text = json_dumps(response, JSON_COMPACT);
        puts(text);
        free(text);
        json_decref(response);
        json_decref(request);
    }
    fal_free(p.bits);
    fal_tokenizer_close(t);
    return 0;
}
