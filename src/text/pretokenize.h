/* Splits text into the pieces that byte-pair merging works on, by the rules of pretokenizers.def. */
#ifndef FAL_TEXT_PRETOKENIZE_H
#define FAL_TEXT_PRETOKENIZE_H

#include <falconer/error.h>

#include "base/bytes.h"

typedef struct fal_pretokenizer fal_pretokenizer;

/* The rule's own name for a name that a file gives it ("refact" is "starcoder"); NULL: no such rule. */
const char *fal_pretokenizer_name_of(fal_slice name);

/* Compiles a rule. Shared between threads afterwards.
 * Fails: UNSUPPORTED (no rule of this name), MEMORY, BUG (an expression that PCRE2 refuses). */
fal_status fal_pretokenizer_open(fal_pretokenizer **out, const char *name, fal_error *err);
void fal_pretokenizer_close(fal_pretokenizer *p);

/* Takes one piece, never empty. Any status but OK ends the splitting. */
typedef fal_status fal_on_split(void *user, const char *bytes, size_t length, fal_error *err);

/* Hands out the pieces of text in order; together they are text. Text between bytes that are not valid UTF-8 is split as
 * if it stood alone, and each such byte is a piece of its own. Time is linear in length.
 * Fails: as on_piece, MEMORY. */
fal_status fal_pretokenize(const fal_pretokenizer *p, const char *text, size_t length,
                           fal_on_split *on_piece, void *user, fal_error *err);

#endif
