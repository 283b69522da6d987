/* Body of <falconer/sampling.h>. Candidates are sorted by probability, equal ones by id, and every filter cuts the sorted
 * list, so a draw depends on nothing but logits, options, seed and the processor's kernels. The list is never made: weights
 * of the whole vocabulary are a row, what a filter cuts weighs nothing any more, and only candidates near a cut or a draw
 * are sorted. To sort all would cost more than a small model's step. All sums are in double.
 *
 * Sources: transformers, generation/logits_process.py; typical sampling, arXiv:2202.00666; min-p, arXiv:2407.01082. */
#include <falconer/sampling.h>

#include "base/alloc.h"
#include "base/fail.h"
#include "base/random.h"
#include "compute/cpu/exponentials.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    WIDTH = 16 /* tokens looked at together: loops of this length become vectors */
};

typedef struct candidate {
    double key;   /* what keep_typical sorts by */
    float depth;  /* what its logit lies below the best one, in temperatures: 0 or negative */
    float weight; /* probability up to a common factor: 1 for the best */
    int32_t id;
} candidate;

struct fal_sampler {
    fal_sampling how;
    fal_random random;
    int n_vocab, n_padded; /* n_padded: and what makes whole groups of it */
    int *n_seen;           /* [n_vocab] */
    int32_t *seen;         /* [n_distinct] the ids of which there are some; room is for n_vocab */
    int n_distinct;
    double *biases; /* [n_vocab]; NULL: none */
    /* Of one draw, [n_padded]. What may not be drawn is infinitely deep and weighs nothing. */
    float *depths, *weights;
    double sum;      /* of the weights */
    candidate *some; /* [n_vocab] those that are looked at more closely */
};

static const double largest_bias =
    1e30; /* beside which a logit is nothing, and far from what f32 holds */

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
        if (!(how->biases[i].value <= largest_bias))
            return fal_fail(err, FAL_E_ARGUMENT, "bias of token %d: %g, at most %g is possible",
                            how->biases[i].id, how->biases[i].value, largest_bias);
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
    s->seen = fal_alloc((size_t)n_vocab, sizeof *s->seen);
    s->n_padded = (n_vocab + WIDTH - 1) / WIDTH * WIDTH;
    s->depths = fal_alloc((size_t)s->n_padded, sizeof *s->depths);
    s->weights = fal_alloc((size_t)s->n_padded, sizeof *s->weights);
    s->some = fal_alloc((size_t)n_vocab, sizeof *s->some);
    if (!s->n_seen || !s->seen || !s->depths || !s->weights || !s->some) {
        fal_sampler_close(s);
        return fal_fail_memory(err, (size_t)n_vocab * sizeof *s->some);
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
    fal_free(s->some);
    fal_free(s->weights);
    fal_free(s->depths);
    fal_free(s->seen);
    fal_free(s->n_seen);
    fal_free(s);
}

void fal_sampler_accept(fal_sampler *s, int32_t token) {
    if (token < 0 || token >= s->n_vocab) return;
    if (s->n_seen[token]++ == 0) s->seen[s->n_distinct++] = token;
}

/* ---- the whole vocabulary ---- */

static double penalised(const fal_sampler *s, double x, int32_t id) {
    double repetition = s->how.repetition_penalty;
    if (repetition > 0) x = x > 0 ? x / repetition : x * repetition;
    return x - s->how.presence_penalty - s->n_seen[id] * s->how.frequency_penalty;
}

static void copy_group(float *to, const float *from) {
    for (int k = 0; k < WIDTH; k++)
        to[k] = from[k] > -INFINITY ? from[k] : -INFINITY;
}

/* Logits after biases and penalties to depths, minus infinity for what is not allowed. NaN counts as that, so that a damaged
 * model cannot make the order undefined. False: nothing is allowed. */
static bool take_logits(fal_sampler *s, const float *logits, const uint32_t *allowed) {
    float *x = s->depths;
    bool is_any = !allowed;
    int n_whole = s->n_vocab / WIDTH * WIDTH;
    for (int i = 0; i < n_whole; i += WIDTH)
        copy_group(x + i, logits + i);
    for (int id = n_whole; id < s->n_padded; id++)
        x[id] = id < s->n_vocab && !isnan(logits[id]) ? logits[id] : -INFINITY;
    for (int id = 0; s->biases && id < s->n_vocab; id++) {
        double sum = (double)x[id] + s->biases[id];
        x[id] = isnan(sum) ? -INFINITY : (float)sum;
    }
    for (int i = 0; i < s->n_distinct; i++)
        x[s->seen[i]] = (float)penalised(s, (double)x[s->seen[i]], s->seen[i]);
    for (int id = 0; allowed && id < s->n_vocab; id++) {
        bool is_allowed = allowed[id / 32] >> id % 32 & 1;
        is_any = is_any || is_allowed;
        if (!is_allowed) x[id] = -INFINITY;
    }
    return is_any;
}

static float largest_of(const float *x, int n_padded) {
    float tops[WIDTH], top = -INFINITY;
    for (int k = 0; k < WIDTH; k++)
        tops[k] = -INFINITY;
    for (int i = 0; i < n_padded; i += WIDTH) {
        for (int k = 0; k < WIDTH; k++)
            tops[k] = x[i + k] > tops[k] ? x[i + k] : tops[k];
    }
    for (int k = 0; k < WIDTH; k++)
        top = tops[k] > top ? tops[k] : top;
    return top;
}

/* The first of the best that are allowed. */
static int32_t most_probable(const fal_sampler *s, float top, const uint32_t *allowed) {
    int32_t id = 0;
    while (s->depths[id] != top || (allowed && !(allowed[id / 32] >> id % 32 & 1)))
        id++;
    return id;
}

/* Logits to depths and weights. */
static void weigh(fal_sampler *s, float top) {
    /* However small the temperature, what is as good as the best one stays so. */
    double inverse = 1 / s->how.temperature;
    const float factor = inverse < 1e30 ? (float)inverse : 1e30f;
    float largest;
    for (int i = 0; i < s->n_padded; i += WIDTH) {
        for (int k = 0; k < WIDTH; k++)
            s->depths[i + k] = (s->depths[i + k] - top) * factor;
    }
    fal_cpu_exponentials(s->weights, s->depths, s->n_padded, &largest, &s->sum);
}

/* ---- the best of them ---- */

static int compare_ids(int32_t a, int32_t b) {
    return (a > b) - (a < b);
}

static int by_depth(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->depth != y->depth) return x->depth < y->depth ? 1 : -1;
    return compare_ids(x->id, y->id);
}

static int by_key(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? 1 : -1;
    return compare_ids(x->id, y->id);
}

/* Whether one of a group lies in (low, high]. */
static bool has_some(const float *depths, float low, float high) {
    int found = 0;
    for (int k = 0; k < WIDTH; k++)
        found |= (depths[k] > low) & (depths[k] <= high);
    return found;
}

/* Puts into `some` what lies in (low, high] and weighs anything; returns how many. */
static int list_between(fal_sampler *s, float low, float high) {
    int n = 0;
    for (int first = 0; first < s->n_padded; first += WIDTH) {
        if (!has_some(s->depths + first, low, high)) continue;
        for (int id = first; id < first + WIDTH; id++) {
            if (s->depths[id] > low && s->depths[id] <= high && s->weights[id] > 0)
                s->some[n++] = (candidate){
                    .depth = s->depths[id], .weight = s->weights[id], .id = (int32_t)id};
        }
    }
    return n;
}

/* How far down the sorted list something goes. */
typedef struct reach {
    bool counts; /* candidates; else their weight is added up */
    bool passes; /* the amount is not only reached but passed */
    double amount;
} reach;

static double measure(const reach *r, const candidate *c, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += r->counts ? 1 : (double)c[i].weight;
    return sum;
}

static bool is_reached(const reach *r, double amount) {
    return r->passes ? amount > r->amount : amount >= r->amount;
}

/* Brings those above `depth` to the front; returns how many. */
static int part(candidate *c, int n, float depth) {
    int n_above = 0;
    for (int i = 0; i < n; i++) {
        candidate moved = c[i];
        if (!(moved.depth > depth)) continue;
        c[i] = c[n_above];
        c[n_above++] = moved;
    }
    return n_above;
}

/* The candidate of n that reaches it; the last one, if sums were rounded so that none does. */
static candidate find_among(candidate *c, int n, const reach *r, double before) {
    enum {
        FEW = 64
    };

    while (n > FEW) {
        float low = c[0].depth, high = c[0].depth;
        for (int i = 1; i < n; i++) {
            low = c[i].depth < low ? c[i].depth : low;
            high = c[i].depth > high ? c[i].depth : high;
        }
        if (low == high) break;
        float middle = low + (high - low) / 2;
        int n_above = part(c, n, middle < high ? middle : low);
        double above = measure(r, c, n_above);
        if (is_reached(r, before + above)) {
            n = n_above;
        } else {
            before += above;
            c += n_above;
            n -= n_above;
        }
    }
    qsort(c, (size_t)n, sizeof *c, by_depth);
    int last = 0;
    while (last < n - 1 && !is_reached(r, before += measure(r, &c[last], 1)))
        last++;
    return c[last];
}

/* The candidate at which the sorted list reaches it; the last one, if none does. */
static candidate find(fal_sampler *s, const reach *r) {
    static const float deepest = -100; /* nothing below weighs anything in f32 */
    double before = 0;
    float last_high = 0;
    for (float high = 0; high > deepest; high -= 1) {
        int n = list_between(s, high - 1, high);
        double here = measure(r, s->some, n);
        if (n > 0 && is_reached(r, before + here)) return find_among(s->some, n, r, before);
        if (n > 0) last_high = high;
        before += here;
    }
    const reach end = {.counts = true, .amount = HUGE_VAL};
    int n = list_between(s, last_high - 1, last_high);
    return find_among(s->some, n, &end, 0);
}

/* ---- filters ---- */

static void drop(fal_sampler *s, int id) {
    s->depths[id] = -INFINITY;
    s->weights[id] = 0;
}

static void add_up(fal_sampler *s) {
    double sums[WIDTH] = {0};
    for (int i = 0; i < s->n_padded; i += WIDTH) {
        for (int k = 0; k < WIDTH; k++)
            sums[k] += (double)s->weights[i + k];
    }
    s->sum = 0;
    for (int k = 0; k < WIDTH; k++)
        s->sum += sums[k];
}

/* What of a group lies above a depth, or on it, stays. */
static void cut_group(float *depths, float *weights, float depth) {
    for (int k = 0; k < WIDTH; k++)
        weights[k] = depths[k] >= depth ? weights[k] : 0;
    for (int k = 0; k < WIDTH; k++)
        depths[k] = depths[k] >= depth ? depths[k] : -INFINITY;
}

/* The list ends with a candidate. */
static void cut_behind(fal_sampler *s, candidate last) {
    for (int i = 0; i < s->n_padded; i += WIDTH)
        cut_group(s->depths + i, s->weights + i, last.depth);
    for (int id = last.id + 1; id < s->n_vocab; id++)
        if (s->depths[id] == last.depth) drop(s, id);
    add_up(s);
}

static void keep_best(fal_sampler *s, int k) {
    cut_behind(s, find(s, &(reach){.counts = true, .amount = k}));
}

/* The best ones until they weigh the share p of the sum. */
static void keep_nucleus(fal_sampler *s, double p) {
    cut_behind(s, find(s, &(reach){.amount = p * s->sum}));
}

static void keep_above(fal_sampler *s, double min_p) {
    for (int id = 0; id < s->n_vocab; id++)
        if ((double)s->weights[id] < min_p) drop(s, id);
    add_up(s);
}

/* The tokens whose surprise lies nearest to the entropy, until they weigh the share p of the sum. */
static void keep_typical(fal_sampler *s, double p) {
    double entropy = 0, log_sum = log(s->sum), mass = 0;
    int n = list_between(s, -HUGE_VALF, 0);
    qsort(s->some, (size_t)n, sizeof *s->some, by_depth);
    for (int i = 0; i < n; i++)
        entropy += (double)s->some[i].weight / s->sum * (log_sum - (double)s->some[i].depth);
    for (int i = 0; i < n; i++)
        s->some[i].key = -fabs(log_sum - (double)s->some[i].depth - entropy);
    qsort(s->some, (size_t)n, sizeof *s->some, by_key);
    for (int i = 0; i < n; i++) {
        if (mass >= p * s->sum) drop(s, s->some[i].id);
        mass += (double)s->some[i].weight;
    }
    add_up(s);
}

int32_t fal_sampler_draw_allowed(fal_sampler *s, const float *logits, const uint32_t *allowed) {
    const fal_sampling *how = &s->how;
    if (!take_logits(s, logits, allowed)) return -1;
    float top = largest_of(s->depths, s->n_padded);
    if (how->temperature == 0 || !isfinite(top)) return most_probable(s, top, allowed);
    weigh(s, top);
    if (how->top_k > 0 && how->top_k < s->n_vocab) keep_best(s, how->top_k);
    if (how->top_p > 0 && how->top_p < 1) keep_nucleus(s, how->top_p);
    if (how->min_p > 0) keep_above(s, how->min_p);
    if (how->typical_p > 0 && how->typical_p < 1) keep_typical(s, how->typical_p);
    double wanted = s->sum * fal_random_unit(&s->random);
    return find(s, &(reach){.passes = true, .amount = wanted}).id;
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
