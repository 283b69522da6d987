/* Numbers of one arm in one seed's results. A number that is not there is NaN, which no verdict survives. */
#ifndef FAL_PUBLISH_EXTENSION_RESULTS_H
#define FAL_PUBLISH_EXTENSION_RESULTS_H

#include "publish/extension_report.h"

enum {
    FAL_MAX_SEEDS = 32
};

typedef double fal_extension_number(const json_t *seed, const char *arm);

double fal_extension_norm(const json_t *seed,
                          const char *arm); /* mean over batches, before any step */
double fal_extension_first_loss(const json_t *seed,
                                const char *arm); /* before, beyond the trained context */
double fal_extension_final_loss(const json_t *seed, const char *arm); /* after, likewise */
double fal_extension_early_loss(const json_t *seed,
                                const char *arm); /* of the first tenth of the steps */
double fal_extension_late_loss(const json_t *seed, const char *arm); /* of the last fifth */
double fal_extension_short_loss(const json_t *seed,
                                const char *arm); /* after, of documents that fit */

/* The score after fine-tuning: each subtask (four tasks at three lengths) counted from chance to all right, then their
 * mean, in percent. */
double fal_extension_score(const json_t *seed, const char *arm);
/* Likewise before any fine-tuning. */
double fal_extension_first_score(const json_t *seed, const char *arm);
/* As the model card has it: each subtask from the worst to the best of the compared arms (all but none). */
double fal_extension_relative_score(const json_t *seed, const char *arm);

/* Right answers of one subtask, 0 to 1. when: "before", "after". */
double fal_extension_subtask(const json_t *seed, const char *arm, const char *when,
                             const char *task, int length);

#endif
