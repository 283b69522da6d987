/* Body of <falconer/sampling.h>. Candidates are sorted by probability, equal ones by id, and every filter cuts the sorted
 * list, so a draw depends on nothing but logits, options and seed; no more of the list is sorted than a draw looks at. All
 * sums are in double.
 *
 * Sources: transformers, generation/logits_process.py; typical sampling, arXiv:2202.00666; min-p, arXiv:2407.01082. */
#include <falconer/sampling.h>

#include "base/alloc.h"
#include "base/fail.h"
#include "base/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    LAST_STEP = 255 /* of a quarter of a nat each, which divide candidates by weight */
};

typedef struct candidate {
    double logit, weight; /* weight: probability up to a common factor; or a sorting key */
    int32_t id;
} candidate;

struct fal_sampler {
    fal_sampling how;
    fal_random random;
    int n_vocab;
    int *n_seen;           /* [n_vocab] */
    double *biases;        /* [n_vocab]; NULL: none */
    candidate *candidates; /* [n_vocab] */
};

typedef struct bound {
    const char *name;
    double value, low, high;
} bound;

fal_status fal_sampling_check(const fal_sampling *how, fal_error *err) {
    const bound bounds[] = {
        {"temperature",        how->temperature,        0,    100},
        {"top_k",              how->top_k,              0,    1e9},
        {"top_p",              how->top_p,              0,    1  },
        {"min_p",              how->min_p,              0,    1  },
        {"typical_p",          how->typical_p,          0,    1  },
        {"repetition_penalty", how->repetition_penalty, 0,    100},
        {"presence_penalty",   how->presence_penalty,   -100, 100},
        {"frequency_penalty",  how->frequency_penalty,  -100, 100},
    };
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        const bound *b = &bounds[i];
        if (!(b->value >= b->low && b->value <= b->high))
            return fal_fail(err, FAL_E_ARGUMENT, "%s: %g, between %g and %g is possible", b->name,
                            b->value, b->low, b->high);
    }
    for (size_t i = 0; i < how->n_biases; i++) {
        if (!(how->biases[i].value < HUGE_VAL))
            return fal_fail(err, FAL_E_ARGUMENT, "bias of token %d: %g, a number is needed",
                            how->biases[i].id, how->biases[i].value);
    }
    return FAL_OK;
}

/* Only here the vocabulary is known, so only here ids are checked. */
static fal_status spread_biases(fal_sampler *s, fal_error *err) {
    const fal_token_bias *biases = s->how.biases;
    size_t n_biases = s->how.n_biases;
    s->how.biases = NULL;
    s->how.n_biases = 0;
    if (n_biases == 0) return FAL_OK;
    s->biases = fal_alloc((size_t)s->n_vocab, sizeof *s->biases);
    if (!s->biases) return fal_fail_memory(err, (size_t)s->n_vocab * sizeof *s->biases);
    for (size_t i = 0; i < n_biases; i++) {
        if (biases[i].id < 0 || biases[i].id >= s->n_vocab)
            return fal_fail(err, FAL_E_ARGUMENT,
                            "bias of token %d: the vocabulary has 0 to %d only", biases[i].id,
                            s->n_vocab - 1);
        s->biases[biases[i].id] += biases[i].value;
    }
    return FAL_OK;
}

fal_status fal_sampler_open(fal_sampler **out, const fal_sampling *how, int n_vocab,
                            uint64_t stream, fal_error *err) {
    *out = NULL;
    FAL_TRY(fal_sampling_check(how, err));
    fal_sampler *s = fal_alloc(1, sizeof *s);
    if (!s) return fal_fail_memory(err, sizeof *s);
    s->how = *how;
    s->random = fal_random_seeded(how->seed, stream);
    s->n_vocab = n_vocab;
    s->n_seen = fal_alloc((size_t)n_vocab, sizeof *s->n_seen);
    s->candidates = fal_alloc((size_t)n_vocab, sizeof *s->candidates);
    if (!s->n_seen || !s->candidates) {
        fal_sampler_close(s);
        return fal_fail_memory(err, (size_t)n_vocab * sizeof *s->candidates);
    }
    fal_status status = spread_biases(s, err);
    if (status != FAL_OK) {
        fal_sampler_close(s);
        return status;
    }
    *out = s;
    return FAL_OK;
}

void fal_sampler_close(fal_sampler *s) {
    if (!s) return;
    fal_free(s->biases);
    fal_free(s->candidates);
    fal_free(s->n_seen);
    fal_free(s);
}

void fal_sampler_accept(fal_sampler *s, int32_t token) {
    if (token >= 0 && token < s->n_vocab) s->n_seen[token]++;
}

static double penalised(const fal_sampler *s, float logit, int32_t id) {
    double x = (double)logit + (s->biases ? s->biases[id] : 0);
    int n = s->n_seen[id];
    if (n == 0) return x;
    double repetition = s->how.repetition_penalty;
    if (repetition > 0) x = x > 0 ? x / repetition : x * repetition;
    return x - s->how.presence_penalty - n * s->how.frequency_penalty;
}

static int compare_ids(int32_t a, int32_t b) {
    return (a > b) - (a < b);
}

static int by_logit(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->logit != y->logit) return x->logit < y->logit ? 1 : -1;
    return compare_ids(x->id, y->id);
}

static int by_weight(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->weight != y->weight) return x->weight < y->weight ? 1 : -1;
    return compare_ids(x->id, y->id);
}

static void sift_down(candidate *heap, int n, int i) {
    for (;;) {
        int worst = i, left = 2 * i + 1;
        if (left < n && by_logit(&heap[left], &heap[worst]) > 0) worst = left;
        if (left + 1 < n && by_logit(&heap[left + 1], &heap[worst]) > 0) worst = left + 1;
        if (worst == i) return;
        candidate moved = heap[i];
        heap[i] = heap[worst];
        heap[worst] = moved;
        i = worst;
    }
}

/* The k best candidates, in front: a heap of k with the worst on top. */
static int keep_best(candidate *c, int n, int k) {
    if (k <= 0 || k >= n) return n;
    for (int i = k / 2; i-- > 0;)
        sift_down(c, k, i);
    for (int i = k; i < n; i++) {
        if (by_logit(&c[i], &c[0]) < 0) {
            c[0] = c[i];
            sift_down(c, k, 0);
        }
    }
    return k;
}

/* weight = probability up to a common factor, 1 for the best. Those without any go; returns how many stay. The sum of the
 * weights goes to *sum. */
static int weigh(candidate *c, int n, double *sum) {
    int kept = 0;
    *sum = 0;
    for (int i = 0; i < n; i++) {
        candidate one = c[i];
        one.weight = exp(one.logit);
        if (one.weight == 0) continue;
        *sum += one.weight;
        c[kept++] = one;
    }
    return kept;
}

/* Which step of a quarter of a nat below the best one a candidate stands on; the last step has no end. */
static int step_of(const candidate *c) {
    double depth = -4 * c->logit;
    return depth < LAST_STEP ? (int)depth : LAST_STEP;
}

/* Sorts the best candidates to the front, so many that they weigh at least `mass`, and returns how many. To sort the whole
 * vocabulary for each token would cost more than a small model's step. */
static int sort_head(candidate *c, int n, double mass) {
    double weights[LAST_STEP + 1] = {0}, sum = 0;
    int last = 0, count = 0;
    for (int i = 0; i < n; i++)
        weights[step_of(&c[i])] += c[i].weight;
    while (last < LAST_STEP && (sum += weights[last]) <= mass)
        last++;
    for (int i = 0; i < n; i++) {
        if (step_of(&c[i]) > last) continue;
        candidate moved = c[i];
        c[i] = c[count];
        c[count++] = moved;
    }
    qsort(c, (size_t)count, sizeof *c, by_logit);
    return count;
}

/* Keeps the tokens whose surprise lies nearest to the entropy, until they weigh the share p of sum, which becomes what they
 * weigh. */
static int keep_typical(candidate *c, int n, double p, double *sum) {
    double entropy = 0, log_sum = log(*sum), mass = 0;
    int kept = 0;
    qsort(c, (size_t)n, sizeof *c, by_logit);
    for (int i = 0; i < n; i++)
        entropy += c[i].weight / *sum * (log_sum - c[i].logit);
    for (int i = 0; i < n; i++)
        c[i].weight = -fabs(log_sum - c[i].logit - entropy);
    qsort(c, (size_t)n, sizeof *c, by_weight);
    for (; kept < n && mass < p * *sum; kept++) {
        c[kept].weight = exp(c[kept].logit);
        mass += c[kept].weight;
    }
    *sum = mass;
    return kept;
}

/* Keeps the best ones until they weigh the share p of sum, which becomes what they weigh. They are sorted afterwards. */
static int keep_nucleus(candidate *c, int n, double p, double *sum) {
    double mass = 0;
    int kept = 0, n_sorted = sort_head(c, n, p * *sum);
    while (kept < n_sorted && (kept == 0 || mass < p * *sum))
        mass += c[kept++].weight;
    *sum = mass;
    return kept;
}

static int keep_above(candidate *c, int n, double min_p, double *sum) {
    int kept = 0;
    *sum = 0;
    for (int i = 0; i < n; i++) {
        candidate moved = c[i];
        if (moved.weight < min_p) continue;
        c[i] = c[kept];
        c[kept++] = moved;
        *sum += moved.weight;
    }
    return kept;
}

static bool is_allowed(const uint32_t *allowed, int32_t id) {
    return !allowed || (allowed[id / 32] >> id % 32 & 1);
}

/* Returns how many there are. NaN counts as minus infinity, so that a damaged model cannot make the order undefined. *out:
 * the best logit. */
static int fill_candidates(fal_sampler *s, const float *logits, const uint32_t *allowed,
                           double *out) {
    double top = -HUGE_VAL;
    int n = 0;
    for (int32_t id = 0; id < s->n_vocab; id++) {
        if (!is_allowed(allowed, id)) continue;
        double x = penalised(s, logits[id], id);
        if (isnan(x)) x = -HUGE_VAL;
        if (x > top) top = x;
        s->candidates[n++] = (candidate){.logit = x, .id = id};
    }
    *out = top;
    if (!isfinite(top)) return n;
    /* Relative to the best one, so that no temperature is too small for the division. */
    for (int i = 0; i < n; i++)
        s->candidates[i].logit = (s->candidates[i].logit - top) / s->how.temperature;
    return n;
}

/* The first of the best; -1: none is allowed. */
static int32_t most_probable(const fal_sampler *s, const float *logits, const uint32_t *allowed) {
    int32_t best = -1;
    double top = -HUGE_VAL;
    for (int32_t id = 0; id < s->n_vocab; id++) {
        if (!is_allowed(allowed, id)) continue;
        double x = penalised(s, logits[id], id);
        if (best >= 0 && !(x > top)) continue;
        best = id;
        top = isnan(x) ? -HUGE_VAL : x;
    }
    return best;
}

int32_t fal_sampler_draw_allowed(fal_sampler *s, const float *logits, const uint32_t *allowed) {
    candidate *c = s->candidates;
    double top, sum;
    if (s->how.temperature == 0) return most_probable(s, logits, allowed);
    int n = fill_candidates(s, logits, allowed, &top);
    if (n == 0) return -1;
    if (!isfinite(top)) return most_probable(s, logits, allowed);
    n = weigh(c, keep_best(c, n, s->how.top_k), &sum);
    if (s->how.top_p > 0 && s->how.top_p < 1) n = keep_nucleus(c, n, s->how.top_p, &sum);
    if (s->how.min_p > 0) n = keep_above(c, n, s->how.min_p, &sum);
    if (s->how.typical_p > 0 && s->how.typical_p < 1)
        n = keep_typical(c, n, s->how.typical_p, &sum);
    double wanted = sum * fal_random_unit(&s->random), mass = 0;
    n = sort_head(c, n, wanted);
    for (int i = 0; i < n - 1; i++) {
        mass += c[i].weight;
        if (wanted < mass) return c[i].id;
    }
    return c[n - 1].id;
}

int32_t fal_sampler_draw(fal_sampler *s, const float *logits) {
    return fal_sampler_draw_allowed(s, logits, NULL);
}

/* ---- probabilities ---- */

/* What a logit is above the logarithm of its probability, in two parts: the sum is lost where top is huge. */
typedef struct log_scale {
    double top, log_sum;
} log_scale;

static log_scale scale_of(const float *logits, size_t n_vocab) {
    double top = -HUGE_VAL, sum = 0;
    for (size_t i = 0; i < n_vocab; i++)
        top = (double)logits[i] > top ? (double)logits[i] : top;
    for (size_t i = 0; i < n_vocab; i++)
        sum += exp((double)logits[i] - top);
    return (log_scale){top, log(sum)};
}

double fal_log_probability(const float *logits, size_t n_vocab, int32_t token) {
    log_scale scale = scale_of(logits, n_vocab);
    return (double)logits[token] - scale.top - scale.log_sum;
}

/* Whether a stands behind b; NaN behind everything. */
static bool is_behind(const float *logits, int32_t a, int32_t b) {
    float x = isnan(logits[a]) ? -INFINITY : logits[a],
          y = isnan(logits[b]) ? -INFINITY : logits[b];
    return x != y ? x < y : a > b;
}

/* Puts id where it belongs in a heap of n with the hindmost on top, beginning at i. */
static void settle(const float *logits, int32_t *heap, size_t n, size_t i, int32_t id) {
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && is_behind(logits, heap[child + 1], heap[child])) child++;
        if (!is_behind(logits, heap[child], id)) break;
        heap[i] = heap[child];
    }
    heap[i] = id;
}

size_t fal_top_log_probabilities(const float *logits, size_t n_vocab, size_t k, int32_t *ids,
                                 double *values) {
    if (k > n_vocab) k = n_vocab;
    if (k == 0) return 0;
    for (size_t i = 0; i < k; i++)
        ids[i] = (int32_t)i;
    for (size_t i = k / 2; i-- > 0;)
        settle(logits, ids, k, i, ids[i]);
    for (size_t i = k; i < n_vocab; i++) {
        if (is_behind(logits, ids[0], (int32_t)i)) settle(logits, ids, k, 0, (int32_t)i);
    }
    for (size_t n = k; n-- > 1;) {
        int32_t hindmost = ids[0];
        settle(logits, ids, n, 0, ids[n]);
        ids[n] = hindmost;
    }
    log_scale scale = scale_of(logits, n_vocab);
    for (size_t i = 0; i < k; i++)
        values[i] = (double)logits[ids[i]] - scale.top - scale.log_sum;
    return k;
}
