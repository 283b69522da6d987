/* Body of grammar.h, the part that opens and closes. */
#include "text/grammar.h"

#include "base/fail.h"

fal_status fal_grammar_open(fal_grammar **out, const char *gbnf, size_t length, fal_error *err) {
    (void)gbnf;
    (void)length;
    *out = NULL;
    return fal_fail(err, FAL_E_UNSUPPORTED, "grammars are not enforced yet");
}

fal_status fal_grammar_open_schema(fal_grammar **out, const char *json_schema, size_t length,
                                   fal_error *err) {
    (void)json_schema;
    (void)length;
    *out = NULL;
    return fal_fail(err, FAL_E_UNSUPPORTED, "schemas are not enforced yet");
}

void fal_grammar_close(fal_grammar *g) {
    (void)g;
}

fal_status fal_grammar_state_open(fal_grammar_state **out, const fal_grammar *g,
                                  const fal_tokenizer *t, fal_error *err) {
    (void)g;
    (void)t;
    *out = NULL;
    return fal_fail(err, FAL_E_UNSUPPORTED, "grammars are not enforced yet");
}

void fal_grammar_state_close(fal_grammar_state *s) {
    (void)s;
}

fal_status fal_grammar_allowed(fal_grammar_state *s, uint32_t *bits, size_t n_vocab,
                               fal_error *err) {
    (void)s;
    (void)bits;
    (void)n_vocab;
    return fal_fail(err, FAL_E_UNSUPPORTED, "grammars are not enforced yet");
}

fal_status fal_grammar_accept(fal_grammar_state *s, int32_t token, fal_error *err) {
    (void)s;
    (void)token;
    return fal_fail(err, FAL_E_UNSUPPORTED, "grammars are not enforced yet");
}

bool fal_grammar_is_complete(const fal_grammar_state *s) {
    (void)s;
    return false;
}

bool fal_grammar_may_end(const fal_grammar_state *s) {
    (void)s;
    return false;
}
