/* Results of the experiment on context extension as numbers: of one arm in one seed, and over seeds. A number that is not
 * there is NaN, which no verdict survives. */
#ifndef FAL_PUBLISH_EXTENSION_RESULTS_H
#define FAL_PUBLISH_EXTENSION_RESULTS_H

#include "eval/context_extension.h"

enum {
    FAL_MAX_SEEDS = 32
};

/* Whether these are whole results of this preset. Fails: FORMAT, naming what is missing or of other settings. */
fal_status fal_extension_results_check(const fal_extension_preset *preset, const json_t *seed,
                                       fal_error *err);

/* A mean with its 95 % confidence interval, by Student's t. One value gives an interval without bounds. */
typedef struct fal_interval {
    double mean, low, high;
} fal_interval;

/* Of n independent values, n at least 1. */
fal_interval fal_interval_of(const double *values, int n);

/* A number of one arm in one seed's results. */
typedef double fal_extension_number(const json_t *seed, const char *arm);

/* Loss beyond the trained context of the model that was trained at the long one; NaN in seeds that have none. */
double fal_extension_long_model_loss(const json_t *seed);
/* Norm of the first gradient: mean over batches. */
double fal_extension_norm(const json_t *seed, const char *arm);
/* Loss beyond the trained context with no fine-tuning, and after it. */
double fal_extension_first_loss(const json_t *seed, const char *arm);
double fal_extension_final_loss(const json_t *seed, const char *arm);
/* Likewise of answers alone. */
double fal_extension_first_answers(const json_t *seed, const char *arm);
double fal_extension_final_answers(const json_t *seed, const char *arm);
/* Training loss: of the first step, which is that before any update; of the first tenth of the steps; of the second; of
 * the last fifth. */
double fal_extension_start_loss(const json_t *seed, const char *arm);
double fal_extension_early_loss(const json_t *seed, const char *arm);
double fal_extension_passing_loss(const json_t *seed, const char *arm);
double fal_extension_late_loss(const json_t *seed, const char *arm);
/* Loss of documents that fit the trained context, after fine-tuning. */
double fal_extension_short_loss(const json_t *seed, const char *arm);

/* Right answers of one subtask, 0 to 1. when: "before", "after" fine-tuning. */
double fal_extension_subtask(const json_t *seed, const char *arm, const char *when,
                             const char *task, int length);
/* Its mean over seeds. */
double fal_extension_subtask_mean(const json_t *seeds, const char *arm, const char *when,
                                  const char *task, int length);

/* Scores in percent. Each subtask, four tasks at three lengths, is counted from chance (0) to all right (100); their mean
 * after and before fine-tuning, and after it at the trained context alone. */
double fal_extension_score(const json_t *seed, const char *arm);
double fal_extension_first_score(const json_t *seed, const char *arm);
double fal_extension_short_score(const json_t *seed, const char *arm);
/* Each subtask counted from the worst (0) to the best (100) of the compared arms; one half where these do not differ. */
double fal_extension_relative_score(const json_t *seed, const char *arm);

/* Over all seeds: the mean, with the interval of its distance from the mean of the compared arms in the same seed. What a
 * seed does to all arms alike is taken out. */
fal_interval fal_extension_over_seeds(const json_t *seeds, fal_extension_number *number,
                                      const char *arm);
/* Of one arm minus another in the same seed. */
fal_interval fal_extension_difference(const json_t *seeds, fal_extension_number *number,
                                      const char *arm, const char *other);

#endif
