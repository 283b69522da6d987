/* The options of drawing tokens, shared by run and chat, and by chat's /set. */
#ifndef FAL_CLI_SAMPLING_OPTIONS_H
#define FAL_CLI_SAMPLING_OPTIONS_H

#include <falconer/sampling.h>

#include "cli/options.h"

/* Rows that store into a fal_sampling. */
extern const fal_option fal_sampling_option_rows[];

/* The format's stop words (format may be NULL) and those asked for. The NULL-terminated array is owned by the caller, the
 * words are borrowed. Fails: MEMORY. */
fal_status fal_stop_words_collect(const char ***out, const fal_chat_format *format,
                                  const fal_texts *asked_for, fal_error *err);

#endif
