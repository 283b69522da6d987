/* What is wrong with a GGUF file for its family: findings, one or more per row of checks.def. Repairs are repair.h's. */
#ifndef FAL_PUBLISH_DOCTOR_H
#define FAL_PUBLISH_DOCTOR_H

#include "base/file_range.h"

typedef enum fal_severity {
    FAL_SEVERITY_NOTE,    /* nothing is wrong */
    FAL_SEVERITY_WARNING, /* runs, but not everywhere as it should */
    FAL_SEVERITY_ERROR    /* does not run, or runs wrongly */
} fal_severity;

/* A row of checks.def. */
typedef struct fal_check {
    const char *name;
    fal_severity severity;
    const char *meaning; /* why it matters */
} fal_check;

int fal_check_count(void);
const fal_check *fal_check_at(int index);
const char *fal_severity_name(fal_severity severity); /* "warning" */

typedef struct fal_finding {
    const fal_check *check;
    fal_severity severity; /* the check's, or less */
    bool is_repairable;    /* by changing metadata */
    char text[400];        /* what is wrong, in one line; may hold bytes of the file */
} fal_finding;

/* Zero-initialise. */
typedef struct fal_diagnosis {
    fal_finding *findings; /* in the order of checks.def */
    size_t count, capacity;
    uint64_t scanned_bytes;
} fal_diagnosis;

/* Zero means default. */
typedef struct fal_doctor_options {
    bool quick;                 /* do not look at the weights */
    int n_threads;              /* 0: the usable cores */
    fal_copy_progress progress; /* bytes of weights looked at */
} fal_doctor_options;

/* Looks at the file at path (any part of a split set). That a file cannot be read is a finding, not a failure.
 *
 *   out      released by the caller in any case
 *   options  NULL: all defaults
 *   Fails: NOT_FOUND (no such file), ARGUMENT (no regular file), IO, MEMORY, CANCELLED. */
fal_status fal_doctor_examine(fal_diagnosis *out, const char *path,
                              const fal_doctor_options *options, fal_error *err);
void fal_diagnosis_release(fal_diagnosis *d);

/* True without findings other than notes. */
bool fal_diagnosis_is_healthy(const fal_diagnosis *d);

#endif
