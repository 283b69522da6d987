/* The state of a set in the making, between the files that make it: publish.c goes through the steps, publish_measuring.c
 * finds numbers, publish_papers.c writes what stands beside the files. */
#ifndef FAL_PUBLISH_PUBLISHING_PRIVATE_H
#define FAL_PUBLISH_PUBLISHING_PRIVATE_H

#include "base/digest.h"
#include "convert/quantize.h"
#include "formats/importance.h"
#include "publish/original.h"
#include "publish/publish.h"

#include <stdatomic.h>

typedef struct publishing {
    const fal_publish_options *options;
    fal_set *set;
    fal_source *source;
    fal_quantize_output *outputs; /* [n_files] */
    char **paths;                 /* [n_files] */
    fal_original original;
    char *template_text, *hub_name, *thumbnail;
    const char *base_model;
    size_t template_length;
    char *reference_path; /* NULL: not needed so far */
    fal_importance importance;
    char importance_digest[FAL_SHA256_HEX]; /* of the text it is computed from */
    char what[64];                          /* the step */
    atomic_ullong bytes_done;
    atomic_flag is_reporting; /* digests come from several threads */
    uint64_t bytes_total;
} publishing;

/* ---- publish.c ---- */

/* One line for the person, made as by printf. */
__attribute__((format(printf, 3, 4))) void fal_publishing_say(const publishing *p,
                                                              fal_log_level level,
                                                              const char *format, ...);

/* Tells how far the step p->what is; false cancels. */
bool fal_publishing_report(publishing *p, uint64_t n_done, uint64_t n_total);

/* For making files of the set, or of its reference. */
fal_quantize_options fal_publishing_quantize_options(publishing *p);

/* A copy without what could do harm in a terminal or a card; owned by the caller (fal_free). */
char *fal_publishing_clean_copy(const char *text);

/* ---- publish_measuring.c ---- */

/* That the texts fill a window: before hours of work, not behind them. Fails: LIMIT, ARGUMENT (no tokenizer), IO. */
fal_status fal_publishing_check_texts(const publishing *p, fal_error *err);

/* Fills p->importance from the calibration text. */
fal_status fal_publishing_calibrate(publishing *p, fal_error *err);

/* What the first file says about all of them: context, memory, conversation format. */
fal_status fal_publishing_read_facts(publishing *p, fal_error *err);

/* Sizes and SHA-256 of all files. */
fal_status fal_publishing_digest(publishing *p, fal_error *err);

/* Quality and cost of all files on p->options->text, where there is one; each is saved when it is known. */
fal_status fal_publishing_measure(publishing *p, fal_error *err);

/* Removes the reference that was made for the time being, also one that a run left which was killed. */
void fal_publishing_remove_reference(const publishing *p);

/* ---- publish_papers.c ---- */

/* Writes a text file of the set. */
fal_status fal_publishing_write_text(const publishing *p, const char *name,
                                     const fal_string_builder *text, fal_error *err);

/* The plot, SHA256SUMS, and README.md with the files that it shows. */
fal_status fal_publishing_write_papers(publishing *p, fal_error *err);

#endif
