/* The card of the unquantized model: read, made harmless, and taken along with the files that it shows. */
#ifndef FAL_PUBLISH_ORIGINAL_H
#define FAL_PUBLISH_ORIGINAL_H

#include <falconer/log.h>

#include "publish/front_matter.h"

/* Zero-initialise; release accepts zero. */
typedef struct fal_original {
    fal_front_matter *front; /* NULL: none that can be read */
    char *body;              /* clean text behind it; NULL: no card */
} fal_original;

/* Reads the card at path; one that is not there gives nothing. Front matter that cannot be read is said in log and left
 * out; of a card over 1 MiB the beginning is kept. Fails: IO, ARGUMENT (no regular file), MEMORY. */
fal_status fal_original_read(fal_original *out, const char *path, const fal_log *log,
                             fal_error *err);
void fal_original_release(fal_original *original);

/* Copies the files beside the original card that its links and thumbnail name into directory, and points links to files
 * that are not there at the hub's page of base_model, if there is one. Only files inside `from` of at most 16 MiB are
 * copied, and none over a file of the set. Fails: IO, MEMORY. */
fal_status fal_original_bring_files(fal_original *original, const char *from, const char *directory,
                                    const char *base_model, fal_error *err);

/* Copies one file. Fails: NOT_FOUND, IO, MEMORY. */
fal_status fal_copy_file(const char *from, const char *to, fal_error *err);

/* The name of a model by its path: the folder's or file's name without ".gguf" and type, of a hub's cache the name there;
 * only letters, digits and "._-". Owned by the caller (fal_free); NULL when memory is short. */
char *fal_model_name_of(const char *path);

/* The last part of a path, with "-" for all but letters, digits and "._-". Owned by the caller; NULL when memory is short. */
char *fal_file_name_of(const char *path);

/* "owner/name" where the path lies in a hub's cache (models--owner--name), else NULL. Owned by the caller. */
char *fal_hub_name_of(const char *path);

#endif
