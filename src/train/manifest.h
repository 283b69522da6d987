/* manifest.json of a checkpoint: how far the run is, its settings, the digest of every tensor, and one of itself. */
#ifndef FAL_TRAIN_MANIFEST_H
#define FAL_TRAIN_MANIFEST_H

#include "base/digest.h"
#include "train/training_checkpoint.h"

typedef struct fal_manifest fal_manifest;

/* One to be filled and written. Fails: MEMORY. */
fal_status fal_manifest_open(fal_manifest **out, const fal_progress_of_run *at, fal_error *err);
/* NULL is fine. */
void fal_manifest_close(fal_manifest *m);

/* digest [FAL_SHA256_HEX] of the tensor's data. Fails: MEMORY. */
fal_status fal_manifest_add_tensor(fal_manifest *m, const char *name, const char *digest,
                                   fal_error *err);
int64_t fal_manifest_tensor_count(const fal_manifest *m);
/* NULL: no such tensor; borrowed. */
const char *fal_manifest_digest(const fal_manifest *m, const char *name);

/* Writes folder/manifest.json, which is whole or absent. Fails: IO, MEMORY. */
fal_status fal_manifest_write(const fal_manifest *m, const char *folder, fal_error *err);

/* Fails: NOT_FOUND, FORMAT (damaged, or of another version), IO, MEMORY. */
fal_status fal_manifest_read(fal_manifest **out, const char *folder, fal_progress_of_run *at,
                             fal_error *err);

#endif
