/* Changes the metadata of a GGUF file. Tensor data is never touched: the header is replaced where it is, or a new file gets
 * a new header and the same data, cloned where the file system can. */
#ifndef FAL_FORMATS_GGUF_EDIT_H
#define FAL_FORMATS_GGUF_EDIT_H

#include "base/file_range.h"
#include "formats/gguf_write.h"

typedef struct fal_gguf_edit_options {
    const char *out_path;       /* where the changed file goes; NULL: it replaces the file */
    bool in_place, beside;      /* what is allowed; neither: both, in place preferred */
    fal_copy_progress progress; /* of copying beside */
} fal_gguf_edit_options;

typedef struct fal_gguf_edited {
    bool was_in_place;
    fal_copy_way way; /* of the data, when not in place */
    uint64_t header_bytes;
} fal_gguf_edited;

/* Changes the file at path: keys of `changes` take the place of those of the same name or are added, keys of `removed`
 * [NULL-terminated; NULL: none] go. Of a split set, path must be the part whose keys are meant.
 *
 * In place: when the header fits in front of the data. Old and new header are first saved in "<path>.header-backup" and
 * synced; it is removed at the end. Else a new file is written beside and renamed.
 * What is left between header and data is filled by the key falconer.pad, so that later edits fit in place.
 *
 *   options  NULL: all defaults
 *   edited   may be NULL
 *   Fails: NOT_FOUND, IO, FORMAT (the file), ARGUMENT (a backup is there; it does not fit in place and must), MEMORY,
 *   CANCELLED. The file is then as before, unless the message names the backup. */
fal_status fal_gguf_edit(const char *path, const fal_gguf_writer *changes,
                         const char *const *removed, const fal_gguf_edit_options *options,
                         fal_gguf_edited *edited, fal_error *err);

/* Whether an edit in place of the file at path was cut short and left its backup. */
bool fal_gguf_edit_was_cut_short(const char *path);

/* Puts back the header from the backup and removes it. *recovered: whether there was one.
 * Fails: IO, FORMAT (a damaged backup, or one of another file, which is left alone), MEMORY. */
fal_status fal_gguf_edit_recover(const char *path, bool *recovered, fal_error *err);

/* Path of the part of f that holds the metadata; borrowed. *n_parts: of how many. */
const char *fal_gguf_first_part(const fal_gguf *f, int *n_parts);

#endif
