/* Stop words over a stream of bytes: hands out what can be shown, and holds back what may become a stop word or a
 * character that is not yet whole. What comes out never depends on how the stream was cut into pieces. */
#ifndef FAL_TEXT_STOP_H
#define FAL_TEXT_STOP_H

#include "base/bytes.h"

typedef struct fal_stop fal_stop;

/* words: NULL-terminated list, borrowed until close; NULL: none. Fails: ARGUMENT (an empty word), MEMORY. */
fal_status fal_stop_open(fal_stop **out, const char *const *words, fal_error *err);
void fal_stop_close(fal_stop *s);

/* Adds bytes to the stream. After a word was hit they are ignored. Fails: MEMORY. */
fal_status fal_stop_feed(fal_stop *s, const char *bytes, size_t length, fal_error *err);

/* The end of the stream: decides what was held back. A word that was waiting to become a longer one counts as hit. */
void fal_stop_flush(fal_stop *s);

/* What can be shown and was not taken yet: whole UTF-8, except where the stream itself is not. Borrowed until the next
 * feed or close. After a hit: the text in front of the word. */
fal_slice fal_stop_take(fal_stop *s);

/* The word that was hit, as it stands in the list; NULL: none so far. The one that begins earliest wins, the longest if
 * several begin there. */
const char *fal_stop_word(const fal_stop *s);

#endif
