/* Repairs what doctor finds, as far as metadata goes. */
#ifndef FAL_PUBLISH_REPAIR_H
#define FAL_PUBLISH_REPAIR_H

#include "formats/gguf_edit.h"
#include "publish/doctor.h"

typedef struct fal_repaired {
    bool was_undone;  /* the header of a repair that was cut short was put back first */
    int n_edits;      /* 0: there was nothing to repair */
    bool is_beside;   /* the file, or the one at out_path, was written anew */
    fal_copy_way way; /* of its data */
} fal_repaired;

/* Repairs the file at path (any part of a split set).
 *
 *   out_path  where the repaired file goes; NULL: in place where the header fits, else a new file takes the name.
 *             Without anything to repair it is not written.
 *   progress  of copying the data
 *   Fails: as fal_gguf_edit; ARGUMENT (out_path with a split set). */
fal_status fal_doctor_repair(const char *path, const char *out_path,
                             const fal_copy_progress *progress, fal_repaired *out, fal_error *err);

#endif
