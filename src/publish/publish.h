/* One command's work: a model becomes a folder of GGUF files of several types, measured, with a card. */
#ifndef FAL_PUBLISH_PUBLISH_H
#define FAL_PUBLISH_PUBLISH_H

#include <falconer/log.h>

#include "publish/measure.h"

#include <stdbool.h>

/* How far a step is; what names it ("measuring Q4_K_M") and may be a new one with every call. False cancels. */
typedef bool fal_on_publish(void *user, const char *what, uint64_t n_done, uint64_t n_total);

/* Zero means default, NULL none. Strings are borrowed. */
typedef struct fal_publish_options {
    const char *source;    /* a Hugging Face folder or a GGUF file of full precision */
    const char *directory; /* where the set goes; made if need be */
    const fal_mix *const *mixes;
    size_t n_mixes;
    fal_recipe recipe;
    const char *text;                   /* file to measure on; NULL: nothing is measured */
    const char *calibration;            /* file for an importance matrix */
    const char *template_file;          /* NULL: the one that is built in */
    const char *card;                   /* the original card; NULL: README.md of a folder */
    const char *name;                   /* NULL: the source's */
    const char *base_model, *license;   /* NULL: what is known */
    const char *thumbnail;              /* a picture to take along */
    int n_threads, n_window, n_windows; /* of measuring */
    int n_at_once;                      /* files made in one pass over the weights; 0: 4 */
    fal_run_apart *run_apart;           /* for measuring memory; NULL: it is added up instead */
    fal_log log;
    fal_on_publish *on_progress;
    void *user;
} fal_publish_options;

/* The types that a set has where nobody says: the index-th, NULL past the end. */
const fal_mix *fal_publish_default_mix(int index);

/* Makes the set, or what of it is missing: files that are finished stay. What can be refused is refused before any weight
 * is read. out is released by the caller in any case.
 * Fails: as fal_source_open, fal_quantize_write and fal_measure_file; ARGUMENT (options), FORMAT (the template), CANCELLED. */
fal_status fal_publish(fal_set *out, const fal_publish_options *options, fal_error *err);

#endif
