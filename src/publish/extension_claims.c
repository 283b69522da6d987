/* The claims of the model card about context extension, each with the numbers that speak for or against it. A claim is
 * confirmed or refuted only where the 95 % interval over seeds says so. */
#include "publish/extension_results.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Two-sided 95 % quantiles of Student's t for 1, 2, ... degrees of freedom. */
static const double quantiles[] = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262,
                                   2.228,  2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101,
                                   2.093,  2.086, 2.080, 2.074, 2.069, 2.064, 2.060};

fal_interval fal_interval_of(const double *values, int n) {
    double mean = 0, squares = 0;
    for (int i = 0; i < n; i++)
        mean += values[i] / (double)n;
    for (int i = 0; i < n; i++)
        squares += (values[i] - mean) * (values[i] - mean);
    if (n < 2) return (fal_interval){n ? mean : (double)NAN, -(double)INFINITY, (double)INFINITY};
    int n_quantiles = sizeof quantiles / sizeof quantiles[0];
    double t = n - 1 <= n_quantiles ? quantiles[n - 2] : 1.96;
    double half = t * sqrt(squares / (double)(n - 1) / (double)n);
    return (fal_interval){mean, mean - half, mean + half};
}

/* Of one arm minus another, by seed. */
static fal_interval difference(const json_t *seeds, fal_extension_number *number, const char *arm,
                               const char *other) {
    double values[FAL_MAX_SEEDS];
    int n = (int)json_array_size(seeds);
    if (n > FAL_MAX_SEEDS) n = FAL_MAX_SEEDS;
    for (int i = 0; i < n; i++) {
        const json_t *seed = json_array_get(seeds, (size_t)i);
        values[i] = number(seed, arm) - number(seed, other);
    }
    return fal_interval_of(values, n);
}

/* Whether what is claimed to be below zero is. */
static fal_verdict judge_below(fal_interval i, double bound) {
    if (i.high < bound) return FAL_VERDICT_CONFIRMED;
    if (i.low > bound) return FAL_VERDICT_REFUTED;
    return FAL_VERDICT_UNDECIDED;
}

/* All must hold; one that is refuted refutes all. */
static fal_verdict both(fal_verdict a, fal_verdict b) {
    if (a == FAL_VERDICT_REFUTED || b == FAL_VERDICT_REFUTED) return FAL_VERDICT_REFUTED;
    if (a == FAL_VERDICT_CONFIRMED && b == FAL_VERDICT_CONFIRMED) return FAL_VERDICT_CONFIRMED;
    return FAL_VERDICT_UNDECIDED;
}

static void add_evidence(fal_claim_result *c, const char *what, fal_interval i) {
    size_t used = strlen(c->evidence);
    snprintf(c->evidence + used, sizeof c->evidence - used, "%s%s %+.4f [%+.4f, %+.4f]",
             used ? "; " : "", what, i.mean, i.low, i.high);
}

/* That one arm's number lies below those of each of the others. */
static void judge_least(const json_t *seeds, fal_extension_number *number, const char *arm,
                        const char *const *others, fal_claim_result *c) {
    char what[64];
    c->verdict = FAL_VERDICT_CONFIRMED;
    for (; *others; others++) {
        fal_interval i = difference(seeds, number, arm, *others);
        c->verdict = both(c->verdict, judge_below(i, 0));
        snprintf(what, sizeof what, "%s - %s", arm, *others);
        add_evidence(c, what, i);
    }
}

/* That it lies above each of them. */
static void judge_most(const json_t *seeds, fal_extension_number *number, const char *arm,
                       const char *const *others, fal_claim_result *c) {
    char what[64];
    c->verdict = FAL_VERDICT_CONFIRMED;
    for (; *others; others++) {
        fal_interval i = difference(seeds, number, *others, arm);
        c->verdict = both(c->verdict, judge_below(i, 0));
        snprintf(what, sizeof what, "%s - %s", *others, arm);
        add_evidence(c, what, i);
    }
}

/* That arm begins below other, and that its lead is smaller at the end. */
static void judge_lead(const json_t *seeds, const char *arm, const char *other,
                       fal_claim_result *c) {
    double shrinking[FAL_MAX_SEEDS];
    int n = (int)json_array_size(seeds);
    if (n > FAL_MAX_SEEDS) n = FAL_MAX_SEEDS;
    for (int i = 0; i < n; i++) {
        const json_t *seed = json_array_get(seeds, (size_t)i);
        double early = fal_extension_early_loss(seed, arm) - fal_extension_early_loss(seed, other);
        double late = fal_extension_late_loss(seed, arm) - fal_extension_late_loss(seed, other);
        shrinking[i] = early - late; /* below zero: the lead was larger at the beginning */
    }
    fal_interval lead = difference(seeds, fal_extension_early_loss, arm, other),
                 change = fal_interval_of(shrinking, n);
    c->verdict = both(judge_below(lead, 0), judge_below(change, 0));
    add_evidence(c, "first tenth", lead);
    add_evidence(c, "first tenth less last fifth", change);
}

/* A ratio of at most 0.8 counts as substantial. */
static void judge_norms(const json_t *seeds, const char *arm, const char *other,
                        fal_claim_result *c) {
    const double most = 0.8;
    double logs[FAL_MAX_SEEDS];
    int n = (int)json_array_size(seeds);
    if (n > FAL_MAX_SEEDS) n = FAL_MAX_SEEDS;
    for (int i = 0; i < n; i++) {
        const json_t *seed = json_array_get(seeds, (size_t)i);
        logs[i] = log(fal_extension_norm(seed, arm) / fal_extension_norm(seed, other));
    }
    fal_interval ratio = fal_interval_of(logs, n);
    c->verdict = judge_below(ratio, log(most));
    snprintf(c->evidence, sizeof c->evidence, "ratio %.3f [%.3f, %.3f], %.1f was asked",
             exp(ratio.mean), exp(ratio.low), exp(ratio.high), most);
}

int fal_extension_judge(const json_t *seeds, fal_claim_result claims[FAL_MAX_CLAIMS]) {
    static const char *const all_others[] = {"pi",         "ntk",      "ntk-by-parts",
                                             "ntk-margin", "ntk-yarn", NULL};
    static const char *const ntk_kin[] = {"ntk", "ntk-margin", "ntk-yarn", NULL};
    static const char *const rivals[] = {"yarn", "ntk", "ntk-margin", NULL};
    static const char *const older[] = {"pi", "ntk-by-parts", "yarn", NULL};
    fal_claim_result *c = claims;
    memset(claims, 0, FAL_MAX_CLAIMS * sizeof *claims);
    c->claim = "YaRN is best before any fine-tuning (loss at four times the context)";
    judge_least(seeds, fal_extension_first_loss, "yarn", all_others, c++);
    c->claim = "All others pass YaRN during fine-tuning (loss of the last fifth)";
    judge_most(seeds, fal_extension_late_loss, "yarn", all_others, c++);
    c->claim = "Of the older methods NTK is the most successful one at training time";
    judge_least(seeds, fal_extension_late_loss, "ntk", older, c++);
    c->claim = "NTK-YaRN begins below NTK-Margin, and its lead shrinks";
    judge_lead(seeds, "ntk-yarn", "ntk-margin", c++);
    c->claim = "NTK-Margin begins below NTK, and its lead shrinks";
    judge_lead(seeds, "ntk-margin", "ntk", c++);
    c->claim = "Scaling queries and keys substantially reduces the first gradient norm "
               "(NTK-YaRN to NTK-Margin)";
    judge_norms(seeds, "ntk-yarn", "ntk-margin", c++);
    c->claim = "On the long benchmark YaRN clearly lags behind";
    judge_least(seeds, fal_extension_score, "yarn", ntk_kin, c++);
    c->claim = "On the long benchmark NTK-YaRN wins";
    judge_most(seeds, fal_extension_score, "ntk-yarn", rivals, c++);
    c->claim = "What fits the short context does not suffer (NTK-YaRN to no extension, loss)";
    fal_interval cost = difference(seeds, fal_extension_short_loss, "ntk-yarn", "none");
    c->verdict = judge_below(cost, 0.01); /* nats: what is taken for no loss */
    add_evidence(c, "ntk-yarn - none", cost);
    return (int)(c + 1 - claims);
}
