/* How far one answer is in its grammar. Says which tokens may come next, byte by byte:
 * tokens that end within a character are allowed where the character is. Work and memory are bounded: a grammar that
 * would take more is refused, never waited for. */
#ifndef FAL_TEXT_GRAMMAR_H
#define FAL_TEXT_GRAMMAR_H

#include <falconer/grammar.h>
#include <falconer/tokenizer.h>

/* How far one answer is. Belongs to one thread at a time. */
typedef struct fal_grammar_state fal_grammar_state;

/* One holder more: each closes it, the last one releases it. Any thread that holds it. */
void fal_grammar_hold(const fal_grammar *g);

/* At the beginning of an answer. g and t must outlive it. Fails: MEMORY. */
FAL_MUST_CHECK fal_status fal_grammar_state_open(fal_grammar_state **out, const fal_grammar *g,
                                                 const fal_tokenizer *t, fal_error *err);
void fal_grammar_state_close(fal_grammar_state *s);

/* Which tokens may come next: bit i % 32 of bits[i / 32]. End tokens may where the text may end; other control tokens
 * never.
 *
 *   bits   out, n_vocab bits in whole words; n_vocab is at least the tokenizer's, what is above it is not allowed
 *   Fails: UNSUPPORTED (no token of the vocabulary goes on), LIMIT (too many ways at once), MEMORY. */
FAL_MUST_CHECK fal_status fal_grammar_allowed(fal_grammar_state *s, uint32_t *bits, size_t n_vocab,
                                              fal_error *err);

/* Goes on by a token. On failure nothing has changed. Fails: ARGUMENT (not allowed here), LIMIT, MEMORY. */
FAL_MUST_CHECK fal_status fal_grammar_accept(fal_grammar_state *s, int32_t token, fal_error *err);

/* Nothing more may follow: the answer is over even without an end token. */
bool fal_grammar_is_complete(const fal_grammar_state *s);

/* The text may end here. */
bool fal_grammar_may_end(const fal_grammar_state *s);

#endif
