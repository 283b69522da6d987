/* Looks at every scale and every weight of a file. */
#ifndef FAL_PUBLISH_SCAN_H
#define FAL_PUBLISH_SCAN_H

#include <falconer/gguf.h>

#include "base/file_range.h"

typedef struct fal_scanned {
    int64_t n_not_finite; /* scales, or weights of unquantized types */
    int64_t first;        /* the first such weight, counted through the tensor; -1: none */
    uint64_t zero_bytes;  /* in pieces of 64 KiB that are nothing but zeros */
} fal_scanned;

/* Scans the data of all tensors of f. The results do not depend on n_threads.
 *
 *   out       [tensors of f]
 *   *n_bytes  how much was looked at: tensors of types without a row are left out
 *   Fails: MEMORY, ARGUMENT (n_threads), CANCELLED. */
fal_status fal_scan_file(const fal_gguf *f, int n_threads, const fal_copy_progress *progress,
                         fal_scanned *out, uint64_t *n_bytes, fal_error *err);

#endif
