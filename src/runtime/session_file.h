/* What folders above may ask of saved timelines besides loading them: which tokens a file holds. */
#ifndef FAL_RUNTIME_SESSION_FILE_H
#define FAL_RUNTIME_SESSION_FILE_H

#include <falconer/session.h>

/* The tokens of the timeline saved at path, if it could be loaded into s; its cells are neither read nor checked.
 *   out    [*count], owned by the caller (fal_free)
 *   Fails: as fal_session_load. */
fal_status fal_session_file_tokens(int32_t **out, size_t *count, const char *path, fal_session *s,
                                   fal_error *err);

#endif
