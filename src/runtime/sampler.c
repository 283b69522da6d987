/* Body of <falconer/sampling.h>. Candidates are sorted by probability, equal ones by id; every filter cuts the sorted list,
 * so a draw depends on nothing but logits, options and seed. All sums are in double.
 *
 * Sources: transformers, generation/logits_process.py; typical sampling, arXiv:2202.00666; min-p, arXiv:2407.01082. */
#include <falconer/sampling.h>

#include "base/alloc.h"
#include "base/fail.h"
#include "base/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct candidate {
    double logit, weight; /* weight: probability up to a common factor; or a sorting key */
    int32_t id;
} candidate;

struct fal_sampler {
    fal_sampling how;
    fal_random random;
    int n_vocab;
    int *n_seen;           /* [n_vocab] */
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
    *out = s;
    return FAL_OK;
}

void fal_sampler_close(fal_sampler *s) {
    if (!s) return;
    fal_free(s->candidates);
    fal_free(s->n_seen);
    fal_free(s);
}

void fal_sampler_accept(fal_sampler *s, int32_t token) {
    if (token >= 0 && token < s->n_vocab) s->n_seen[token]++;
}

static double penalised(const fal_sampler *s, float logit, int32_t id) {
    double x = (double)logit;
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

/* The k best candidates, sorted, in front: a heap of k with the worst on top. Sorting a whole vocabulary for each token
 * would cost more than a small model's step. */
static int keep_best(candidate *c, int n, int k) {
    if (k <= 0 || k >= n) {
        qsort(c, (size_t)n, sizeof *c, by_logit);
        return n;
    }
    for (int i = k / 2; i-- > 0;)
        sift_down(c, k, i);
    for (int i = k; i < n; i++) {
        if (by_logit(&c[i], &c[0]) < 0) {
            c[0] = c[i];
            sift_down(c, k, 0);
        }
    }
    qsort(c, (size_t)k, sizeof *c, by_logit);
    return k;
}

/* weight = probability among the n candidates, which are sorted by logit. */
static void normalise(candidate *c, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++) {
        c[i].weight = exp(c[i].logit - c[0].logit);
        sum += c[i].weight;
    }
    for (int i = 0; i < n; i++)
        c[i].weight /= sum;
}

/* Keeps the tokens whose surprise lies nearest to the entropy, until they hold the mass p. */
static int keep_typical(candidate *c, int n, double p) {
    normalise(c, n);
    double entropy = 0;
    for (int i = 0; i < n; i++) {
        if (c[i].weight > 0) entropy -= c[i].weight * log(c[i].weight);
    }
    double top = c[0].logit, log_sum = -log(c[0].weight);
    for (int i = 0; i < n; i++)
        c[i].weight = -fabs(top - c[i].logit + log_sum - entropy);
    qsort(c, (size_t)n, sizeof *c, by_weight);
    double mass = 0;
    int kept = 0;
    while (kept < n && mass < p) {
        mass += exp(c[kept].logit - top - log_sum);
        kept++;
    }
    qsort(c, (size_t)kept, sizeof *c, by_logit);
    return kept;
}

static int keep_nucleus(candidate *c, int n, double p) {
    normalise(c, n);
    double mass = 0;
    int kept = 0;
    while (kept < n && (kept == 0 || mass < p))
        mass += c[kept++].weight;
    return kept;
}

static int keep_above(candidate *c, int n, double min_p) {
    int kept = 1;
    while (kept < n && exp(c[kept].logit - c[0].logit) >= min_p)
        kept++;
    return kept;
}

/* NaN counts as minus infinity, so that a damaged model cannot make the order undefined. */
static void fill_candidates(fal_sampler *s, const float *logits) {
    double top = -HUGE_VAL;
    for (int32_t id = 0; id < s->n_vocab; id++) {
        double x = penalised(s, logits[id], id);
        if (isnan(x)) x = -HUGE_VAL;
        if (x > top) top = x;
        s->candidates[id] = (candidate){.logit = x, .id = id};
    }
    if (s->how.temperature == 0 || !isfinite(top)) return;
    /* Relative to the best one, so that no temperature is too small for the division. */
    for (int32_t id = 0; id < s->n_vocab; id++)
        s->candidates[id].logit = (s->candidates[id].logit - top) / s->how.temperature;
}

static int32_t most_probable(const candidate *c, int n) {
    int best = 0;
    for (int i = 1; i < n; i++) {
        if (c[i].logit > c[best].logit) best = i;
    }
    return c[best].id;
}

int32_t fal_sampler_draw(fal_sampler *s, const float *logits) {
    candidate *c = s->candidates;
    fill_candidates(s, logits);
    if (s->how.temperature == 0) return most_probable(c, s->n_vocab);
    int n = keep_best(c, s->n_vocab, s->how.top_k);
    if (!isfinite(c[0].logit)) return c[0].id;
    if (s->how.top_p > 0 && s->how.top_p < 1) n = keep_nucleus(c, n, s->how.top_p);
    if (s->how.min_p > 0) n = keep_above(c, n, s->how.min_p);
    if (s->how.typical_p > 0 && s->how.typical_p < 1) n = keep_typical(c, n, s->how.typical_p);
    normalise(c, n);
    double u = fal_random_unit(&s->random), mass = 0;
    for (int i = 0; i < n - 1; i++) {
        mass += c[i].weight;
        if (u < mass) return c[i].id;
    }
    return c[n - 1].id;
}

double fal_log_probability(const float *logits, size_t n_vocab, int32_t token) {
    double top = -HUGE_VAL, sum = 0;
    for (size_t i = 0; i < n_vocab; i++)
        top = (double)logits[i] > top ? (double)logits[i] : top;
    for (size_t i = 0; i < n_vocab; i++)
        sum += exp((double)logits[i] - top);
    return (double)logits[token] - top - log(sum);
}
