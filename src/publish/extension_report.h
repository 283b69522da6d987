/* What an experiment on context extension has shown: statistics over seeds, the two figures of the model card, and a verdict
 * on each of its claims. */
#ifndef FAL_PUBLISH_EXTENSION_REPORT_H
#define FAL_PUBLISH_EXTENSION_REPORT_H

#include "eval/context_extension.h"

/* A mean of paired differences with its 95 % confidence interval, by Student's t over the seeds. One seed gives an interval
 * without bounds. */
typedef struct fal_interval {
    double mean, low, high;
} fal_interval;

/* Of n independent values, n at least 1. */
fal_interval fal_interval_of(const double *values, int n);

/* What an interval says of a claim. */
typedef enum fal_verdict {
    FAL_VERDICT_UNDECIDED,
    FAL_VERDICT_CONFIRMED,
    FAL_VERDICT_REFUTED
} fal_verdict;

/* One claim of the model card, asked of the results. */
typedef struct fal_claim_result {
    const char *claim; /* static */
    fal_verdict verdict;
    char evidence[512]; /* the numbers */
} fal_claim_result;

enum {
    FAL_MAX_CLAIMS = 12
};

/* seeds: what fal_extension_run gave, one object per seed. Returns how many claims there are. */
int fal_extension_judge(const json_t *seeds, fal_claim_result claims[FAL_MAX_CLAIMS]);

/* Writes README.md, curves.svg, scores.svg and their TSV files into folder, which is there. command: how to repeat it;
 * seconds: what it took.
 *
 *   *has_figures  false where gnuplot is missing; the report says so then
 *   Fails: IO, MEMORY, FORMAT (results that are not of fal_extension_run). */
fal_status fal_extension_write_report(const fal_extension_preset *preset, const json_t *seeds,
                                      const char *folder, const char *command, double seconds,
                                      bool *has_figures, fal_error *err);

#endif
