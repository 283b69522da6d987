/* The text that a command works on: from an option, a file or standard input, and as tokens. */
#ifndef FAL_CLI_PROMPT_H
#define FAL_CLI_PROMPT_H

#include <falconer/session.h>

#include "base/fail.h"

/* Text of any bytes with a zero behind them; owned (fal_free).
 *
 *   text  if not NULL, copied
 *   file  else read; NULL or "-": standard input
 *   Fails: NOT_FOUND, IO, LIMIT (over 1 GiB), MEMORY. */
fal_status fal_prompt_read(char **out, size_t *length, const char *text, const char *file,
                           fal_error *err);

/* Appends the ids of text, with a bos token in front if the vocabulary asks for one. Says on stderr how many bytes have
 * no token. */
fal_status fal_prompt_encode(const fal_tokenizer *t, const char *text, size_t length,
                             fal_specials specials, fal_tokens *out, fal_error *err);

/* Says on stderr how many bytes of text have no token, and which is the first; tokens from the first-th on are those of
 * text. */
void fal_prompt_tell_dropped(const fal_tokenizer *t, const char *text, size_t length,
                             const fal_tokens *tokens, size_t first, size_t n_dropped);

/* Feeds tokens with a progress bar for long ones; Ctrl-C cancels. */
fal_status fal_prompt_sync(fal_session *session, const fal_tokens *tokens, fal_error *err);

#endif
