/* What the results of the experiment on context extension say of claims, and whether they may say anything. A claim is
 * confirmed or refuted only where the 95 % interval over seeds says so, and never by results that do not pass the gate. */
#ifndef FAL_PUBLISH_EXTENSION_CLAIMS_H
#define FAL_PUBLISH_EXTENSION_CLAIMS_H

#include "publish/extension_results.h"

typedef enum fal_verdict {
    FAL_VERDICT_UNDECIDED,
    FAL_VERDICT_CONFIRMED,
    FAL_VERDICT_REFUTED
} fal_verdict;

/* "undecided", "confirmed", "refuted". */
const char *fal_verdict_name(fal_verdict verdict);

/* One claim, asked of the results. */
typedef struct fal_claim_result {
    const char *claim, *source; /* static */
    fal_verdict verdict;
    char evidence[512]; /* the numbers: means of differences with their intervals */
} fal_claim_result;

/* Rows of extension_claims.def. */
enum {
#define FAL_EXTENSION_CLAIM(...) +1
    FAL_CLAIM_COUNT = 0
#include "publish/extension_claims.def"
#undef FAL_EXTENSION_CLAIM
};

/* Judges the claim at index, 0 to FAL_CLAIM_COUNT - 1. seeds: whole results, one object each. */
fal_claim_result fal_extension_judge(const json_t *seeds, int index);
/* The same with yarn-matched in yarn's place; false: the claim does not speak of YaRN. */
bool fal_extension_judge_matched(const json_t *seeds, int index, fal_claim_result *out);

/* Whether the text asks for a long context at all, measured by losses beyond the trained context with no fine-tuning: without
 * extension the model must be worse than with the best method, and one trained at the long context, where a seed has one,
 * better than all. */
typedef struct fal_extension_gate {
    double none, best; /* means over seeds */
    const char *best_arm;
    double long_model,
        best_beside; /* NaN: no seed has one; the latter of the compared arms in the same seed */
    bool is_passed;
} fal_extension_gate;

/* By how much the model without extension must be worse. */
#define FAL_EXTENSION_GATE_GAP 0.05

/* seeds as above. */
fal_extension_gate fal_extension_gate_of(const json_t *seeds);

#endif
