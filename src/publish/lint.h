/* Checks a published folder: whether the card is true to the files, and the files to themselves. */
#ifndef FAL_PUBLISH_LINT_H
#define FAL_PUBLISH_LINT_H

#include "base/digest.h"
#include "base/folder.h"

/* Zero means default. */
typedef struct fal_lint_options {
    bool skip_digests; /* don't read whole files for their SHA-256 */
    fal_on_digest *on_bytes;
    void *user;
} fal_lint_options;

/* Appends a line to findings for each thing that is wrong: the card's front matter, its links and images, its table of
 * files against their sizes and types, SHA256SUMS against the files, files that cannot be read or that no list names.
 *
 *   findings  released by the caller in any case
 *   Fails: NOT_FOUND (the folder), ARGUMENT (no folder), IO, CANCELLED, MEMORY. */
fal_status fal_lint_folder(fal_names *findings, const char *directory,
                           const fal_lint_options *options, fal_error *err);

#endif
