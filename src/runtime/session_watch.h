/* What folders above may ask of a session besides its public face: to watch its products, to feed a known length in
 * parts, and to hold the memory of a whole context. */
#ifndef FAL_RUNTIME_SESSION_WATCH_H
#define FAL_RUNTIME_SESSION_WATCH_H

#include <falconer/session.h>

#include "compute/device.h"

/* Called for each product with weights in each step from here on. NULL: none. */
void fal_session_on_linear(fal_session *s, fal_on_linear *function, void *user);

/* From here on dynamic methods choose their frequencies for a timeline of at least this many tokens, so that a text
 * of this length gives the same in several feeds as in one. 0: for what has been fed. */
void fal_session_expect(fal_session *s, size_t n_tokens);

/* Empties the timeline and writes to all of its cache, so that the system backs what a timeline over the whole context
 * would use. */
void fal_session_occupy(fal_session *s);

#endif
