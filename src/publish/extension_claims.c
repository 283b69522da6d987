/* Body of extension_claims.h. */
#include "publish/extension_claims.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    MOST_OTHERS = 8
};

typedef struct claim claim;
/* The verdict on one of the others; the numbers are added to the evidence. */
typedef fal_verdict judge_function(const claim *c, const char *other, const json_t *seeds,
                                   fal_claim_result *result);

struct claim {
    judge_function *judge;
    fal_extension_number *number;
    int digits;
    const char *arm;
    const char *others[MOST_OTHERS]; /* NULL-terminated */
    double bound;
    const char *source, *text;
};

static judge_function below, above, within, leads, shrinks;

static const claim claims[] = {
#define OTHERS(...) \
    { __VA_ARGS__, NULL }
#define FAL_EXTENSION_CLAIM(judge, number, digits, arm, others, bound, source, text) \
    {judge, fal_extension_##number, digits, arm, others, bound, source, text},
#include "publish/extension_claims.def"
#undef FAL_EXTENSION_CLAIM
#undef OTHERS
};

const char *fal_verdict_name(fal_verdict verdict) {
    static const char *const names[] = {"undecided", "confirmed", "refuted"};
    return names[verdict];
}

/* Whether what is claimed to lie below the bound does. */
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

/* Numbers that are signed are differences. */
static void add_evidence(fal_claim_result *r, const char *what, fal_interval i, int digits,
                         bool is_signed) {
    char *end = r->evidence + strlen(r->evidence);
    size_t room = sizeof r->evidence - strlen(r->evidence);
    const char *comma = r->evidence[0] ? "; " : "";
    if (is_signed && isfinite(i.low))
        snprintf(end, room, "%s%s %+.*f [%+.*f, %+.*f]", comma, what, digits, i.mean, digits, i.low,
                 digits, i.high);
    else if (is_signed)
        snprintf(end, room, "%s%s %+.*f", comma, what, digits, i.mean);
    else if (isfinite(i.low))
        snprintf(end, room, "%s%s %.*f [%.*f, %.*f]", comma, what, digits, i.mean, digits, i.low,
                 digits, i.high);
    else
        snprintf(end, room, "%s%s %.*f", comma, what, digits, i.mean);
}

/* The arm less the other, which goes into the evidence. */
static fal_interval difference(const claim *c, const char *other, const json_t *seeds,
                               fal_claim_result *result) {
    char what[64];
    fal_interval i = fal_extension_difference(seeds, c->number, c->arm, other);
    snprintf(what, sizeof what, "%s − %s", c->arm, other);
    add_evidence(result, what, i, c->digits, true);
    return i;
}

static fal_interval negative(fal_interval i) {
    return (fal_interval){-i.mean, -i.high, -i.low};
}

static fal_verdict below(const claim *c, const char *other, const json_t *seeds,
                         fal_claim_result *result) {
    return judge_below(difference(c, other, seeds, result), -c->bound);
}

static fal_verdict above(const claim *c, const char *other, const json_t *seeds,
                         fal_claim_result *result) {
    return judge_below(negative(difference(c, other, seeds, result)), c->bound);
}

static fal_verdict within(const claim *c, const char *other, const json_t *seeds,
                          fal_claim_result *result) {
    fal_interval i = difference(c, other, seeds, result);
    return both(judge_below(i, c->bound), judge_below(negative(i), c->bound));
}

/* The lead at the beginning, and by how much it exceeds that of the last fifth. */
static fal_verdict leads(const claim *c, const char *other, const json_t *seeds,
                         fal_claim_result *result) {
    double change[FAL_MAX_SEEDS];
    int n = 0;
    for (; n < FAL_MAX_SEEDS && n < (int)json_array_size(seeds); n++) {
        const json_t *seed = json_array_get(seeds, (size_t)n);
        double late = fal_extension_late_loss(seed, c->arm) - fal_extension_late_loss(seed, other);
        change[n] = c->number(seed, c->arm) - c->number(seed, other) - late;
    }
    fal_interval lead = fal_extension_difference(seeds, c->number, c->arm, other),
                 shrinking = fal_interval_of(change, n);
    add_evidence(result, "first tenth", lead, c->digits, true);
    add_evidence(result, "first tenth − last fifth", shrinking, c->digits, true);
    return both(judge_below(lead, 0), judge_below(shrinking, 0));
}

static fal_verdict shrinks(const claim *c, const char *other, const json_t *seeds,
                           fal_claim_result *result) {
    double logs[FAL_MAX_SEEDS];
    int n = 0;
    for (; n < FAL_MAX_SEEDS && n < (int)json_array_size(seeds); n++) {
        const json_t *seed = json_array_get(seeds, (size_t)n);
        logs[n] = log(c->number(seed, c->arm) / c->number(seed, other));
    }
    fal_interval i = fal_interval_of(logs, n);
    fal_interval ratio = {exp(i.mean), exp(i.low), exp(i.high)};
    if (!isfinite(i.low)) ratio.low = i.low;
    add_evidence(result, "ratio", ratio, c->digits, false);
    return judge_below(i, log(c->bound));
}

/* ---- the gate ---- */

/* The lowest mean of the compared arms. */
static double best_of(const json_t *seeds, const char **name) {
    const fal_extension_arm *arm;
    double best = (double)INFINITY;
    for (int i = 0; (arm = fal_extension_arm_at(i)) != NULL; i++) {
        if (!fal_extension_arm_is_compared(arm)) continue;
        double mean = fal_extension_over_seeds(seeds, fal_extension_first_loss, arm->name).mean;
        if (mean >= best) continue;
        best = mean;
        *name = arm->name;
    }
    return best;
}

fal_extension_gate fal_extension_gate_of(const json_t *seeds) {
    fal_extension_gate gate = {.long_model = (double)NAN, .best_beside = (double)NAN};
    gate.none = fal_extension_over_seeds(seeds, fal_extension_first_loss, "none").mean;
    gate.best = best_of(seeds, &gate.best_arm);
    bool has_long_model = false;
    for (size_t i = 0; i < json_array_size(seeds); i++) {
        json_t *seed = json_array_get(seeds, i);
        const char *name;
        if (!json_object_get(seed, "long_model")) continue;
        json_t *alone = json_pack("[O]", seed);
        has_long_model = true;
        gate.long_model = fal_extension_long_model_loss(seed);
        gate.best_beside = best_of(alone, &name);
        json_decref(alone);
    }
    gate.is_passed = gate.none - gate.best >= FAL_EXTENSION_GATE_GAP
                     && (!has_long_model || gate.long_model < gate.best_beside);
    return gate;
}

/* ---- claims ---- */

static fal_claim_result judge(const claim *c, const json_t *seeds) {
    fal_claim_result result = {
        .claim = c->text, .source = c->source, .verdict = FAL_VERDICT_CONFIRMED};
    for (const char *const *other = c->others; *other; other++)
        result.verdict = both(result.verdict, c->judge(c, *other, seeds, &result));
    if (!fal_extension_gate_of(seeds).is_passed) result.verdict = FAL_VERDICT_UNDECIDED;
    return result;
}

fal_claim_result fal_extension_judge(const json_t *seeds, int index) {
    return judge(&claims[index], seeds);
}

static bool replace_yarn(const char **arm) {
    if (strcmp(*arm, "yarn") != 0) return false;
    *arm = "yarn-matched";
    return true;
}

bool fal_extension_judge_matched(const json_t *seeds, int index, fal_claim_result *out) {
    claim matched = claims[index];
    bool is_about_yarn = replace_yarn(&matched.arm);
    for (const char **other = matched.others; *other; other++)
        is_about_yarn = replace_yarn(other) || is_about_yarn;
    *out = judge(&matched, seeds);
    return is_about_yarn;
}
