/* A folder that appears whole or not at all: filled under another name beside its own, then renamed. Body in
 * folder_output_posix.c. */
#ifndef FAL_BASE_FOLDER_OUTPUT_H
#define FAL_BASE_FOLDER_OUTPUT_H

#include "base/fail.h"

#include <stdbool.h>

typedef struct fal_folder_output fal_folder_output;

/* Whether a file of this name may be lost when the folder that holds it is replaced. */
typedef bool fal_may_replace(const char *name);

/* Makes "<path>.partial-<pid>-<n>" beside path. The folder that holds path must exist.
 *
 *   may_replace  asked for every name in a folder that is at path already; NULL: nothing may be there
 *   Fails: ARGUMENT (something is at path that may not be lost, naming it), IO, MEMORY. */
fal_status fal_folder_output_open(fal_folder_output **out, const char *path,
                                  fal_may_replace *may_replace, fal_error *err);

/* The folder to write into until then; borrowed until commit or discard. It holds files only. */
const char *fal_folder_output_path(const fal_folder_output *o);

/* Gives the folder its name; what had the name goes. Closes o in any case; on failure what was written is removed, and
 * what was at path is there still. Fails: as open. */
fal_status fal_folder_output_commit(fal_folder_output *o, fal_error *err);

/* Closes o and removes what was written; NULL is fine. */
void fal_folder_output_discard(fal_folder_output *o);

#endif
