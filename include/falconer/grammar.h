/* What answers have to look like: a grammar in GBNF, or a JSON schema. Enforced token by token. */
#ifndef FALCONER_GRAMMAR_H
#define FALCONER_GRAMMAR_H

#include <falconer/error.h>

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Immutable, may be shared by answers and threads. */
typedef struct fal_grammar fal_grammar;

/* Reads a grammar as users of GBNF write it (docs/grammars.md); the text is not needed afterwards.
 *
 *   out    owned by the caller; NULL on failure
 *   Fails: FORMAT (with line and column; an undefined rule, left recursion: named), UNSUPPORTED, LIMIT, MEMORY. */
FAL_API FAL_MUST_CHECK fal_status fal_grammar_open(fal_grammar **out, const char *gbnf,
                                                   size_t length, fal_error *err);

/* The grammar of the JSON documents that a JSON schema admits. Fails: FORMAT (no JSON, no schema), UNSUPPORTED (a keyword
 * that cannot be enforced, named with its place), LIMIT, MEMORY. */
FAL_API FAL_MUST_CHECK fal_status fal_grammar_open_schema(fal_grammar **out, const char *schema,
                                                          size_t length, fal_error *err);
FAL_API void fal_grammar_close(fal_grammar *g);

#ifdef __cplusplus
}
#endif
#endif
