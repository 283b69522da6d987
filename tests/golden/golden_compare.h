/* Compares an opened model with what a golden result says. Fails the running test by itself. */
#ifndef FAL_TESTS_GOLDEN_COMPARE_H
#define FAL_TESTS_GOLDEN_COMPARE_H

#include <falconer/session.h>

#include "golden/golden_files.h"

/* How far results may lie from the reference. */
typedef struct golden_bounds {
    double logits; /* of the largest expected magnitude */
    double nll;
    double logprob;        /* of each token */
    bool is_greedy_judged; /* the greedy continuation must be equal */
} golden_bounds;

/* The prompt becomes the ids expected. */
void golden_compare_ids(const fal_model *model, const golden_result *expected);

/* Feeds the ids, then continues greedily. kv_type NULL: the default. */
void golden_compare_result(fal_model *model, const golden_result *expected, const char *kv_type,
                           const golden_bounds *bounds);

/* What the model says about itself; keys that `settings` does not hold are not judged. */
void golden_compare_settings(const fal_model *model, const json_t *settings);

/* The id with the largest logit; the first of equals. */
int32_t golden_best(const float *logits, size_t n_vocab);

#endif
