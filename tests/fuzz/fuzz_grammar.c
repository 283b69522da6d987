/* Any bytes as a grammar in GBNF; what is read is followed by the bytes of the grammar itself, and masks are asked for. */
#include "base/alloc.h"
#include "base/utf8.h"
#include "fuzz.h"
#include "text/byte_map.h"
#include "text/grammar.h"
#include "text/vocabulary.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_STEPS = 200
};

/* A vocabulary of all bytes, kept for all calls. */
static const fal_tokenizer *vocabulary(void) {
    static fal_tokenizer *t;
    static char texts[256][4];
    if (t) return t;
    fal_vocabulary v = {.n_tokens = 256,
                        .bos = -1,
                        .eos = 0,
                        .eot = -1,
                        .unknown = -1,
                        .padding = -1,
                        .pretokenizer = "gpt-2"};
    v.tokens = fal_alloc(v.n_tokens, sizeof *v.tokens);
    v.types = fal_alloc(v.n_tokens, sizeof *v.types);
    v.merges = fal_alloc(1, sizeof *v.merges);
    for (int byte = 0; byte < 256; byte++) {
        int length = fal_utf8_encode(fal_byte_character((uint8_t)byte), texts[byte]);
        v.tokens[byte] = (fal_slice){texts[byte], (size_t)length};
        v.types[byte] = FAL_TOKEN_NORMAL;
    }
    if (fal_tokenizer_from_vocabulary(&t, &v, NULL) != FAL_OK) abort();
    return t;
}

/* What a mask allows must be accepted, and nothing else. */
static void follow(fal_grammar_state *s, const uint8_t *data, size_t size) {
    uint32_t bits[8];
    for (size_t i = 0; i < size && i < MAX_STEPS && !fal_grammar_is_complete(s); i++) {
        fal_status status = fal_grammar_allowed(s, bits, 256, NULL);
        if (status != FAL_OK) return;
        int32_t token = data[i];
        /* Mostly an allowed one, from the data's byte on. */
        for (int n = 0; n < 256 && !(bits[token / 32] >> token % 32 & 1); n++)
            token = (token + 1) % 256;
        if (token == 0) return;
        status = fal_grammar_accept(s, token, NULL);
        if (status == FAL_E_ARGUMENT) abort();
        if (status != FAL_OK) return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fal_grammar *g = NULL;
    fal_grammar_state *s = NULL;
    fal_error err = {0};
    fal_status status = fal_grammar_open(&g, (const char *)data, size, &err);
    if (status == FAL_OK) status = fal_grammar_state_open(&s, g, vocabulary(), &err);
    if (status == FAL_OK) follow(s, data, size);
    if (status != FAL_OK && (!err.message[0] || strchr(err.message, '\n'))) abort();
    fal_grammar_state_close(s);
    fal_grammar_close(g);
    return 0;
}
