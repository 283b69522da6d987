/* Settings that published files are known to have lost, and how to tell such a file. */
#ifndef FAL_MODEL_RESTORE_H
#define FAL_MODEL_RESTORE_H

#include <falconer/tokenizer.h>

#include "model/params.h"

/* Puts back what the file f with parameters p lost, and says in one line what and why; *note is "" if nothing.
 *   t     NULL: the file has no vocabulary
 *   path  the file's name takes part in recognising it */
void fal_restore_settings(fal_params *p, const fal_gguf *f, const fal_tokenizer *t,
                          const char *path, char *note, size_t note_size);

#endif
