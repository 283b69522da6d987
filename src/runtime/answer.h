/* An answer in the making: tokens drawn from logits become text, until something ends it. Computes nothing, so that one
 * loop over a session and a server's shared steps follow the same rules. */
#ifndef FAL_RUNTIME_ANSWER_H
#define FAL_RUNTIME_ANSWER_H

#include <falconer/generate.h>

#include "text/grammar.h"

typedef struct fal_answer fal_answer;

/* how and grammar are borrowed until close.
 *
 *   grammar  what the answer has to look like; NULL: anything may be said
 *   Fails: ARGUMENT (an option), MEMORY. */
fal_status fal_answer_open(fal_answer **out, const fal_model *model,
                           const fal_generate_options *how, const fal_grammar *grammar,
                           fal_error *err);
void fal_answer_close(fal_answer *a);

/* Tells the penalties of the timeline that the answer follows, if they are to count it. */
void fal_answer_follow(fal_answer *a, const int32_t *tokens, size_t count);

/* Draws the next token and says what can be shown of the answer.
 *
 *   logits    [n_vocab] f32, unchanged
 *   has_room  whether the timeline can take the token
 *   piece     its text is borrowed until the next call
 *   Fails: MEMORY; of a grammar: UNSUPPORTED (the vocabulary cannot go on), LIMIT. */
fal_status fal_answer_draw(fal_answer *a, const float *logits, bool has_room, fal_piece *piece,
                           fal_error *err);

/* Whether nothing more is to be drawn. */
bool fal_answer_is_over(const fal_answer *a);

/* Whether the token just drawn belongs into the timeline: end tokens do not, nor what has no room. */
bool fal_answer_is_kept(const fal_answer *a);

/* Ends the answer; the reason is that somebody wants no more of it. */
void fal_answer_cancel(fal_answer *a);

/* Ends the answer as if it had its most tokens: what was said stands. */
void fal_answer_cut(fal_answer *a);

/* After the last draw: what was held back comes out (token -1), and may turn out to be a stop word. */
void fal_answer_finish(fal_answer *a, fal_piece *piece);

/* How it ended; borrowed. */
const fal_generate_result *fal_answer_result(const fal_answer *a);

#endif
