/* Body of grammar.h: a grammar is its automaton; a state of it is where the answer's bytes have led. */
#include "text/grammar.h"

#include "base/alloc.h"
#include "base/string_builder.h"
#include "text/grammar_automaton.h"
#include "text/grammar_follower.h"
#include "text/grammar_mask.h"
#include "text/json_schema.h"
#include "text/quote.h"
#include "text/token_trie.h"

#include <stdatomic.h>
#include <string.h>

struct fal_grammar {
    fal_automaton automaton;
    atomic_int n_holders;
};

fal_status fal_grammar_open(fal_grammar **out, const char *gbnf, size_t length, fal_error *err) {
    fal_grammar_rules rules;
    *out = NULL;
    FAL_TRY(fal_grammar_parse(&rules, gbnf, length, err));
    fal_grammar *g = fal_alloc(1, sizeof *g);
    fal_status status =
        g ? fal_automaton_make(&g->automaton, &rules, err) : fal_fail_memory(err, sizeof *g);
    fal_grammar_rules_release(&rules);
    if (status != FAL_OK) {
        fal_free(g);
        return status;
    }
    atomic_init(&g->n_holders, 1);
    *out = g;
    return FAL_OK;
}

void fal_grammar_hold(const fal_grammar *g) {
    fal_grammar *held = (fal_grammar *)(uintptr_t)g;
    /* Whoever adds a holder is one: nothing need be ordered. */
    atomic_fetch_add_explicit(&held->n_holders, 1, memory_order_relaxed);
}

fal_status fal_grammar_open_schema(fal_grammar **out, const char *json_schema, size_t length,
                                   fal_error *err) {
    fal_string_builder gbnf = {0};
    *out = NULL;
    fal_status status = fal_json_schema_to_gbnf(&gbnf, json_schema, length, err);
    bool gbnf_is_made = status == FAL_OK;
    if (gbnf_is_made) status = fal_grammar_open(out, gbnf.text, gbnf.length, err);
    fal_string_release(&gbnf);
    /* A grammar that was made of a schema is well formed: all that it can be refused for is beginning with itself. */
    if (status == FAL_E_FORMAT && gbnf_is_made)
        return fal_fail(err, FAL_E_FORMAT,
                        "schema: a '$ref' leads back to itself with nothing between");
    return status;
}

void fal_grammar_close(fal_grammar *g) {
    /* The last one sees all that the others have done. */
    if (!g || atomic_fetch_sub_explicit(&g->n_holders, 1, memory_order_acq_rel) > 1) return;
    fal_automaton_release(&g->automaton);
    fal_free(g);
}

/* ---- states ---- */

struct fal_grammar_state {
    const fal_tokenizer *tokenizer;
    const fal_token_trie *trie;
    fal_follower follower;
    fal_grammar_masks masks;
    int32_t set;
    bool has_ended; /* by an end token */
};

fal_status fal_grammar_state_open(fal_grammar_state **out, const fal_grammar *g,
                                  const fal_tokenizer *t, fal_error *err) {
    fal_status status;
    *out = NULL;
    fal_grammar_state *s = fal_alloc(1, sizeof *s);
    if (!s) return fal_fail_memory(err, sizeof *s);
    s->tokenizer = t;
    FAL_TRY_OUT(fal_tokenizer_trie(t, &s->trie, err));
    FAL_TRY_OUT(fal_follower_open(&s->follower, &g->automaton, err));
    FAL_TRY_OUT(fal_grammar_masks_open(&s->masks, &s->follower, s->trie, err));
    FAL_TRY_OUT(fal_follower_begin(&s->follower, &s->set, err));
    *out = s;
    return FAL_OK;
out:
    fal_grammar_state_close(s);
    return status;
}

void fal_grammar_state_close(fal_grammar_state *s) {
    if (!s) return;
    if (s->masks.follower) fal_grammar_masks_release(&s->masks);
    fal_follower_release(&s->follower);
    fal_free(s);
}

bool fal_grammar_may_end(const fal_grammar_state *s) {
    return s->has_ended || s->follower.sets[s->set].text_may_end;
}

bool fal_grammar_is_complete(const fal_grammar_state *s) {
    return s->has_ended || !s->follower.sets[s->set].has_bytes;
}

fal_status fal_grammar_allowed(fal_grammar_state *s, uint32_t *bits, size_t n_vocab,
                               fal_error *err) {
    size_t n_words = (n_vocab + 31) / 32;
    const uint32_t *mask;
    uint32_t any = 0;
    if (n_vocab < (size_t)s->trie->n_vocab)
        return fal_fail(err, FAL_E_ARGUMENT, "%zu bits for the allowed tokens, %d are needed",
                        n_vocab, s->trie->n_vocab);
    s->follower.work = 0;
    memset(bits, 0, n_words * sizeof *bits);
    if (!s->has_ended) {
        FAL_TRY(fal_grammar_mask(&s->masks, s->set, &mask, err));
        memcpy(bits, mask, s->masks.n_words * sizeof *bits);
    }
    for (size_t i = 0; i < s->trie->n_ends && fal_grammar_may_end(s); i++)
        bits[s->trie->ends[i] / 32] |= 1u << s->trie->ends[i] % 32;
    for (size_t i = 0; i < n_words && !any; i++)
        any = bits[i];
    if (any) return FAL_OK;
    return fal_fail(err, FAL_E_UNSUPPORTED,
                    "the grammar goes on with bytes that no token of the vocabulary has");
}

static fal_status not_allowed(const fal_grammar_state *s, int32_t token, fal_error *err) {
    fal_slice piece = {0};
    piece.data = fal_tokenizer_piece(s->tokenizer, token, &piece.length);
    if (!piece.data)
        return fal_fail(err, FAL_E_ARGUMENT, "token %d: the vocabulary has 0 to %d only", token,
                        s->trie->n_vocab - 1);
    return fal_fail(err, FAL_E_ARGUMENT, "token %d '%s' is not what the grammar allows here", token,
                    fal_quote(piece).text);
}

fal_status fal_grammar_accept(fal_grammar_state *s, int32_t token, fal_error *err) {
    const fal_tokenizer *t = s->tokenizer;
    size_t length;
    const char *piece = fal_tokenizer_piece(t, token, &length);
    if (fal_tokenizer_is_end(t, token)) {
        if (!fal_grammar_may_end(s)) return not_allowed(s, token, err);
        s->has_ended = true;
        return FAL_OK;
    }
    if (!piece || fal_tokenizer_is_control(t, token) || s->has_ended)
        return not_allowed(s, token, err);
    s->follower.work = 0;
    FAL_TRY(fal_follower_tidy(&s->follower, &s->set, err));
    int32_t set = s->set;
    for (size_t i = 0; i < length && set != FAL_NOWHERE; i++) {
        int byte_class = s->follower.automaton->class_of[(uint8_t)piece[i]];
        FAL_TRY(fal_follower_step(&s->follower, set, byte_class, &set, err));
    }
    if (set == FAL_NOWHERE) return not_allowed(s, token, err);
    s->set = set;
    return FAL_OK;
}
