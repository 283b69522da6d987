/* Finding the block that weights were decoded from: see grid.h.
 *
 * Each sub-block gives candidates for its scale: what makes all its weights whole steps. A factor must be an f16 of
 * which every sub-block has a whole multiple among its candidates. Then the same for minima. What is found is decoded
 * and compared, so that a chance match does no harm. */
#include "quant/grid.h"

#include "quant/rounding.h"

#include <math.h>
#include <string.h>

enum {
    MAX_SUB_BLOCKS = 16,
    MAX_CANDIDATES = 128,
    MAX_ATTEMPTS = 16 /* factors that seem to fit and give other weights */
};

#define ROUNDING 0x1p-23 /* of a weight, relative, and a margin */

typedef struct candidates {
    bool is_free; /* every scale will do: the weights are equal */
    int n;
    double value[MAX_CANDIDATES];
    int scale[MAX_CANDIDATES]; /* candidates for a minimum: the multiple that goes with it */
    double slack;              /* how far a multiple may be off, by the rounding of weights */
} candidates;

typedef struct grid {
    const float *x;
    int n_sub, width;
    const fal_grid_codes *codes;
    int low, high;
    bool has_minimum;
    candidates scales[MAX_SUB_BLOCKS], minima[MAX_SUB_BLOCKS];
} grid;

static void clear(candidates *c) {
    c->is_free = false;
    c->n = 0;
    c->slack = 0.0;
}

static double nearest(double x) {
    return (double)(int64_t)(x + (x < 0.0 ? -0.5 : 0.5));
}

static void add(candidates *c, double value, int scale) {
    if (c->n == MAX_CANDIDATES) return;
    c->value[c->n] = value;
    c->scale[c->n++] = scale;
}

/* Whether every (x - low) / step is whole, to 1 in 256. */
static bool is_even(const float *x, int n, double low, double step) {
    for (int i = 0; i < n; i++) {
        double t = ((double)x[i] - low) / step;
        if (fabs(t - nearest(t)) > 1.0 / 256.0) return false;
    }
    return true;
}

/* Scales of weights that may have a minimum: their range in n steps, n as small as can be, and its divisions. */
static bool add_ranges(const float *x, int width, const fal_grid_codes *codes, candidates *c) {
    double low = (double)x[0], high = (double)x[0];
    for (int i = 1; i < width; i++) {
        low = fmin(low, (double)x[i]);
        high = fmax(high, (double)x[i]);
    }
    if (high == low && high > 0.0) low = 0.0;
    c->is_free = high == low;
    if (c->is_free) return true;
    int n = 1, steps = codes->high - codes->low;
    while (n <= steps && !is_even(x, width, low, (high - low) / n))
        n++;
    for (int k = n; k <= steps; k += n)
        add(c, (high - low) / k, 0);
    c->slack = (fabs(high) + fabs(low)) / n * ROUNDING;
    return n <= steps;
}

/* Whether x / scale are values of codes. */
static bool has_codes(const float *x, int width, const fal_grid_codes *codes, double scale) {
    for (int i = 0; i < width; i++) {
        double t = (double)x[i] / scale;
        bool is_found = false;
        if (!codes->table) {
            is_found = fabs(t - nearest(t)) <= 1.0 / 256.0 && nearest(t) >= codes->low
                       && nearest(t) <= codes->high;
        }
        for (int k = 0; codes->table && k <= codes->high && !is_found; k++)
            is_found = fabs(t - codes->table[k]) <= 1.0 / 256.0;
        if (!is_found) return false;
    }
    return true;
}

/* Scales of weights without a minimum: the extreme is some code's value. */
static bool add_divisions(const float *x, int width, const fal_grid_codes *codes, candidates *c) {
    double extreme = (double)fal_signed_extreme(x, width);
    c->is_free = extreme == 0.0;
    for (int k = codes->low; k <= codes->high && !c->is_free; k++) {
        int value = codes->table ? codes->table[k] : k;
        if (value != 0 && has_codes(x, width, codes, extreme / value)) add(c, extreme / value, 0);
    }
    c->slack = fabs(extreme) * 0x1p-40; /* products of few bits are exact */
    return c->is_free || c->n > 0;
}

/* The candidate that is a multiple of factor; -1: none. */
static int find_candidate(const candidates *c, double factor, int low, int high) {
    for (int i = 0; i < c->n; i++) {
        double k = nearest(c->value[i] / factor);
        if (k >= low && k <= high && fabs(c->value[i] - k * factor) <= c->slack) return i;
    }
    return -1;
}

static bool all_have_multiples(const candidates *c, int n_sub, double factor, int low, int high) {
    for (int j = 0; j < n_sub; j++)
        if (!c[j].is_free && find_candidate(&c[j], factor, low, high) < 0) return false;
    return true;
}

/* The candidate that is zero, a multiple of everything; -1: none. */
static int find_zero(const candidates *c) {
    for (int i = 0; i < c->n; i++)
        if (fabs(c->value[i]) <= c->slack) return i;
    return -1;
}

/* Where a search for factors stands: candidates times multiples times signs. */
typedef struct cursor {
    int n_tried;
    bool is_done;
} cursor;

/* The sub-block that leaves the fewest factors; NULL: any factor will do. */
static const candidates *find_anchor(const candidates *c, int n_sub) {
    const candidates *anchor = NULL;
    for (int j = 0; j < n_sub; j++) {
        if (c[j].is_free || find_zero(&c[j]) >= 0) continue;
        if (!anchor || c[j].n < anchor->n) anchor = &c[j];
    }
    return anchor;
}

/* The next f16 of which all have multiples; 0, once, where none is needed. False: there is none. */
static bool next_factor(const candidates *c, int n_sub, int low, int high, cursor *at,
                        uint16_t *half) {
    const candidates *anchor = find_anchor(c, n_sub);
    *half = 0;
    if (!anchor) {
        bool is_first = !at->is_done;
        at->is_done = true;
        return is_first;
    }
    int largest = high > -low ? high : -low, n_tries = anchor->n * largest * 2;
    for (; at->n_tried < n_tries; at->n_tried++) {
        int k = largest - at->n_tried / 2 % largest;
        double value = anchor->value[at->n_tried / 2 / largest];
        if (at->n_tried % 2) k = -k;
        if (k < low || k > high) continue;
        *half = fal_f16_from_f32((float)(value / k));
        double factor = (double)fal_f32_from_f16(*half);
        if (factor == 0.0 || !isfinite(factor) || fabs(value - k * factor) > anchor->slack)
            continue;
        if (!all_have_multiples(c, n_sub, factor, low, high)) continue;
        at->n_tried++;
        return true;
    }
    return false;
}

/* Minima that go with the scales that are multiples of d. */
static void add_minima(const grid *g, int j, double d, const candidates *scales, candidates *c) {
    const float *x = g->x + j * g->width;
    double low = (double)x[0];
    for (int i = 0; i < g->width; i++)
        low = fmin(low, (double)x[i]);
    double sign = g->n_sub == 1 ? -1.0 : 1.0;
    c->slack = fabs(low) * ROUNDING;
    if (scales->is_free) {
        add(c, sign * -low, g->low > 0 ? g->low : 0);
        return;
    }
    for (int i = 0; i < scales->n; i++) {
        int k = (int)nearest(scales->value[i] / d);
        if (k < g->low || k > g->high || fabs(scales->value[i] - k * d) > scales->slack) continue;
        for (int code = 0; code <= g->codes->high; code++) {
            double minimum = d * k * code - low;
            if (minimum >= -c->slack || g->n_sub == 1) add(c, sign * minimum, k);
        }
    }
}

/* Whether fit decodes to x. */
static bool is_exact(const grid *g, const fal_k_fit *fit) {
    float d = fal_f32_from_f16(fit->d), dmin = fal_f32_from_f16(fit->dmin);
    for (int i = 0; i < g->n_sub * g->width; i++) {
        int j = i / g->width, code = fit->codes[i];
        float scale = d * (float)fit->scales[j], minimum = dmin * (float)fit->minima[j];
        float value = scale * (float)(g->codes->table ? g->codes->table[code] : code);
        if ((g->n_sub == 1 ? value + minimum : value - minimum) != g->x[i]) return false;
    }
    return true;
}

/* Multiples and codes once the factors are known; whether they decode to x. */
static bool fill(const grid *g, fal_k_fit *fit) {
    double d = (double)fal_f32_from_f16(fit->d), dmin = (double)fal_f32_from_f16(fit->dmin);
    for (int j = 0; j < g->n_sub; j++) {
        int scale = g->low > 0 ? g->low : 0, minimum = 0;
        if (g->has_minimum) {
            const candidates *c = &g->minima[j];
            int at = dmin != 0.0 ? find_candidate(c, dmin, 0, g->high) : find_zero(c);
            if (at >= 0) scale = c->scale[at];
            if (at >= 0 && dmin != 0.0) minimum = (int)nearest(c->value[at] / dmin);
        } else if (!g->scales[j].is_free) {
            int at = find_candidate(&g->scales[j], d, g->low, g->high);
            if (at >= 0) scale = (int)nearest(g->scales[j].value[at] / d);
        }
        fit->scales[j] = (int8_t)scale;
        fit->minima[j] = (int8_t)minimum;
        double step = d * scale, low = g->n_sub == 1 ? dmin * -minimum : dmin * minimum;
        for (int i = j * g->width; i < (j + 1) * g->width; i++) {
            double t = step != 0.0 ? ((double)g->x[i] + low) / step : 0.0;
            int code = g->codes->low;
            if (!g->codes->table) code = (int)fmin(fmax(nearest(t), -128.0), 127.0);
            for (int k = 0; g->codes->table && k <= g->codes->high; k++)
                if (fabs(t - g->codes->table[k]) < 0.5) code = k;
            if (code < g->codes->low) code = g->codes->low;
            fit->codes[i] = (int8_t)(code > g->codes->high ? g->codes->high : code);
        }
    }
    return is_exact(g, fit);
}

/* The minima that go with fit's d, and the rest. */
static bool find_minima(grid *g, fal_k_fit *fit) {
    cursor at = {0};
    for (int j = 0; j < g->n_sub; j++) {
        clear(&g->minima[j]);
        add_minima(g, j, (double)fal_f32_from_f16(fit->d), &g->scales[j], &g->minima[j]);
    }
    for (int k = 0; k < MAX_ATTEMPTS; k++) {
        if (!next_factor(g->minima, g->n_sub, g->low, g->high, &at, &fit->dmin)) return false;
        if (fill(g, fit)) return true;
    }
    return false;
}

bool fal_grid_find(const float *x, int n_sub, int width, const fal_grid_codes *codes, int low,
                   int high, bool has_minimum, fal_k_fit *fit) {
    grid g; /* large, and mostly not looked at */
    g.x = x;
    g.n_sub = n_sub;
    g.width = width;
    g.codes = codes;
    g.low = low;
    g.high = high;
    g.has_minimum = has_minimum;
    for (int j = 0; j < n_sub; j++) {
        bool (*add_scales)(const float *, int, const fal_grid_codes *, candidates *) =
            has_minimum ? add_ranges : add_divisions;
        clear(&g.scales[j]);
        if (!add_scales(x + j * width, width, codes, &g.scales[j])) return false;
    }
    memset(fit, 0, sizeof *fit);
    cursor at = {0};
    for (int k = 0; k < MAX_ATTEMPTS; k++) {
        if (!next_factor(g.scales, n_sub, low, high, &at, &fit->d)) return false;
        if (has_minimum ? find_minima(&g, fit) : fill(&g, fit)) return true;
    }
    return false;
}
