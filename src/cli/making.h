/* What commands that make files of models tell while they work, in the forms that the library calls back in. */
#ifndef FAL_CLI_MAKING_H
#define FAL_CLI_MAKING_H

#include <falconer/log.h>

#include "cli/terminal.h"

typedef struct fal_making {
    fal_progress progress;
    bool is_quiet;
} fal_making;

/* Functions of progress with a fal_making as user, by bytes and by weights. Ctrl-C cancels. */
bool fal_making_on_bytes(void *user, const char *tensor, uint64_t n_done, uint64_t n_total);
bool fal_making_on_weights(void *user, const char *tensor, int64_t n_done, int64_t n_total);

/* A log whose lines, but for the finest, stand above the bar. Borrows m. */
fal_log fal_making_log(fal_making *m);

/* Whether an output is meant to be a GGUF file by its name, and not a folder. */
bool fal_is_file_name(const char *path);

#endif
