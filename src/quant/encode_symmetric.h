/* Encoding of q3_k, q6_k, iq4_xs: x ~ scale * value for each sub-block, scales being whole multiples of one number; the
 * search serves q4_0, q5_0, iq4_nl too. A search per sub-block, then scales rounded together with the values. Packing
 * belongs to the types. Eight sub-blocks at a time; the lanes are those of the including file. */
#ifndef FAL_QUANT_ENCODE_SYMMETRIC_H
#define FAL_QUANT_ENCODE_SYMMETRIC_H

#include "quant/grid.h"
#include "quant/iq4_nl.h"
#include "quant/super_block.h"

#include <string.h>

/* Values are -largest .. largest - 1, or those of the uneven table. Tries divide the extreme by first + k * step. Then
 * the values of what was found are improved. */
typedef struct symmetric_search {
    int largest;
    bool has_table;
    float first, step;
    int n_tries, n_improvements;
    bool both_signs; /* divisors of both signs */
} symmetric_search;

enum {
    SYMMETRIC_REFITS = 2,
    SYMMETRIC_REACH = 2 /* multiples tried on either side */
};

/* The value of the uneven table that is nearest to x: each middle between neighbours that x reaches adds a step. */
LANES_INLINE lanes nearest_in_table(lanes x) {
    static const int8_t values[16] = FAL_IQ4_VALUES;
    lanes value = lanes_set((float)values[0]);
    for (int k = 0; k < 15; k++) {
        lane_mask is_below = lanes_less(x, lanes_set(0.5f * (float)(values[k] + values[k + 1])));
        lanes step = lanes_set((float)(values[k + 1] - values[k]));
        value = lanes_add(value, lanes_select(is_below, lanes_set(0.0f), step));
    }
    return value;
}

LANES_INLINE lanes nearest_value(const symmetric_search *search, lanes x, lanes inverse) {
    lanes t = lanes_mul(x, inverse);
    if (search->has_table) return nearest_in_table(t);
    lanes low = lanes_set(-(float)search->largest), high = lanes_set((float)search->largest - 1.0f);
    return lanes_round(lanes_min(lanes_max(t, low), high));
}

/* Least squares of x ~ scale * code for the codes of x * inverse; keeps it where it is the best so far. */
LANES_INLINE void keep_better_scale(const symmetric_search *search, const lanes *x, const lanes *w,
                                    int width, lanes inverse, lanes *scale, lanes *best) {
    lanes xl = lanes_set(0.0f), l2 = xl;
    for (int i = 0; i < width; i++) {
        lanes l = nearest_value(search, x[i], inverse), wl = lanes_mul(w[i], l);
        xl = lanes_add(xl, lanes_mul(wl, x[i]));
        l2 = lanes_add(l2, lanes_mul(wl, l));
    }
    lanes found = lanes_div(xl, l2), gain = lanes_mul(found, xl);
    lane_mask is_better = lanes_less(*best, gain);
    *scale = lanes_select(is_better, found, *scale);
    *best = lanes_select(is_better, gain, *best);
}

/* The weight of largest magnitude, with its sign. */
LANES_INLINE lanes lanes_extreme(const lanes *x, int width) {
    lanes extreme = lanes_set(0.0f);
    for (int i = 0; i < width; i++) {
        lane_mask is_larger = lanes_less(lanes_abs(extreme), lanes_abs(x[i]));
        extreme = lanes_select(is_larger, x[i], extreme);
    }
    return extreme;
}

LANES_INLINE lanes lanes_inverse(lanes a) {
    const lanes zero = lanes_set(0.0f);
    return lanes_select(lanes_less(zero, lanes_abs(a)), lanes_div(lanes_set(1.0f), a), zero);
}

/* The scales of one group; 0 for sub-blocks of zeros. */
LANES_INLINE lanes search_symmetric(const symmetric_search *search, const lanes *x, const lanes *w,
                                    int width) {
    lanes inverse = lanes_inverse(lanes_extreme(x, width));
    lanes scale = lanes_set(0.0f), best = scale;
    for (int k = 0; k < search->n_tries; k++) {
        lanes divisor = lanes_set(search->first + search->step * (float)k);
        lanes tried = lanes_mul(inverse, divisor);
        keep_better_scale(search, x, w, width, lanes_sub(lanes_set(0.0f), tried), &scale, &best);
        if (search->both_signs) keep_better_scale(search, x, w, width, tried, &scale, &best);
    }
    for (int k = 0; k < search->n_improvements; k++)
        keep_better_scale(search, x, w, width, lanes_inverse(scale), &scale, &best);
    return scale;
}

/* The shape of a type without minima. Multiples are -largest_multiple .. largest_multiple - 1. */
typedef struct symmetric_shape {
    int width, largest_multiple;
    symmetric_search search;
    error_weights weights;
} symmetric_shape;

/* Scales as they are looked for, then as multiples of d; by sub-block. */
typedef struct symmetric_fit {
    float scale[16];
    uint16_t half_d; /* f16 */
    float d;         /* its value in the block's unit */
    float error;
} symmetric_fit;

LANES_INLINE void set_symmetric_factor(const super_block *b, symmetric_fit *fit, float d) {
    fit->half_d = fal_f16_scale(d * b->unit);
    fit->d = fal_f32_from_f16(fit->half_d) * b->inverse_unit;
}

/* Weighted squared error of the nearest codes for a scale. */
LANES_INLINE lanes symmetric_error(const symmetric_search *search, const lanes *x, const lanes *w,
                                   int width, lanes scale) {
    lanes error = lanes_set(0.0f), inverse = lanes_inverse(scale);
    for (int i = 0; i < width; i++) {
        lanes l = nearest_value(search, x[i], inverse);
        lanes e = lanes_sub(lanes_mul(scale, l), x[i]);
        error = lanes_add(error, lanes_mul(lanes_mul(w[i], e), e));
    }
    return error;
}

/* Replaces the scales by the whole multiples of d near them that give the least error with the nearest codes. */
LANES_INLINE void choose_symmetric(const super_block *b, const symmetric_shape *shape,
                                   symmetric_fit *fit) {
    const lanes low = lanes_set(-(float)shape->largest_multiple);
    const lanes high = lanes_set((float)shape->largest_multiple - 1.0f);
    const lanes d = lanes_set(fit->d), inverse_d = lanes_set(fal_inverse(fit->d));
    fit->error = 0.0f;
    for (int group = 0; group < b->n_groups; group++) {
        const lanes *x = b->x + group * b->width, *w = b->w + group * b->width;
        lanes wanted = lanes_load(fit->scale + LANES * group);
        lanes s0 = lanes_round(lanes_min(lanes_max(lanes_mul(wanted, inverse_d), low), high));
        lanes best = lanes_set(1e30f), best_scale = lanes_set(0.0f);
        for (int k = -SYMMETRIC_REACH; k <= SYMMETRIC_REACH; k++) {
            lanes s = lanes_min(lanes_max(lanes_add(s0, lanes_set((float)k)), low), high);
            lanes error = symmetric_error(&shape->search, x, w, b->width, lanes_mul(s, d));
            lane_mask is_better = lanes_less(error, best);
            best = lanes_select(is_better, error, best);
            best_scale = lanes_select(is_better, s, best_scale);
        }
        lanes_store(fit->scale + LANES * group, best_scale);
        fit->error += lanes_sum(best);
    }
}

LANES_INLINE void symmetric_codes(const super_block *b, const symmetric_shape *shape,
                                  const symmetric_fit *fit, int group, lanes *codes) {
    lanes scale = lanes_mul(lanes_load(fit->scale + LANES * group), lanes_set(fit->d));
    lanes inverse = lanes_inverse(scale);
    for (int i = 0; i < b->width; i++)
        codes[i] = nearest_value(&shape->search, b->x[group * b->width + i], inverse);
}

/* d by least squares for the chosen multiples and their codes; 0: all are zero. */
LANES_INLINE float refit_symmetric(const super_block *b, const symmetric_shape *shape,
                                   const symmetric_fit *fit) {
    lanes ss = lanes_set(0.0f), sx = ss;
    for (int group = 0; group < b->n_groups; group++) {
        lanes codes[32], scale = lanes_load(fit->scale + LANES * group);
        symmetric_codes(b, shape, fit, group, codes);
        for (int i = 0; i < b->width; i++) {
            lanes s = lanes_mul(scale, codes[i]), ws = lanes_mul(b->w[group * b->width + i], s);
            ss = lanes_add(ss, lanes_mul(ws, s));
            sx = lanes_add(sx, lanes_mul(ws, b->x[group * b->width + i]));
        }
    }
    float power = lanes_sum(ss);
    return power > 0.0f ? lanes_sum(sx) / power : 0.0f;
}

LANES_INLINE void fit_symmetric(const super_block *b, const symmetric_shape *shape,
                                symmetric_fit *fit) {
    for (int group = 0; group < b->n_groups; group++) {
        lanes scale = search_symmetric(&shape->search, b->x + group * b->width,
                                       b->w + group * b->width, b->width);
        lanes_store(fit->scale + LANES * group, scale);
    }
    float extreme = fal_signed_extreme(fit->scale, LANES * b->n_groups);
    set_symmetric_factor(b, fit, extreme / -(float)shape->largest_multiple);
    choose_symmetric(b, shape, fit);
    for (int k = 0; k < SYMMETRIC_REFITS; k++) {
        symmetric_fit other = *fit;
        float d = refit_symmetric(b, shape, fit);
        for (int j = 0; j < LANES * b->n_groups; j++)
            other.scale[j] = fit->scale[j] * fit->d;
        set_symmetric_factor(b, &other, d);
        choose_symmetric(b, shape, &other);
        if (!(other.error < fit->error)) return;
        *fit = other;
    }
}

LANES_INLINE void encode_symmetric(const symmetric_shape *shape, const float *weights,
                                   const float *importance, fal_k_fit *out) {
    static const int8_t values[16] = FAL_IQ4_VALUES;
    super_block b;
    symmetric_fit fit;
    int largest = shape->search.largest, multiple = shape->largest_multiple;
    if (!super_block_load(&b, shape->width, weights, out)) return;
    fal_grid_codes codes = {-largest, largest - 1, NULL};
    if (shape->search.has_table) codes = (fal_grid_codes){0, 15, values};
    if (fal_grid_find(weights, 256 / b.width, b.width, &codes, -multiple, multiple - 1, false, out))
        return;
    memset(out, 0, sizeof *out);
    super_block_weigh(&b, &shape->weights, importance, true);
    fit_symmetric(&b, shape, &fit);
    out->d = fit.half_d;
    for (int j = 0; j < LANES * b.n_groups; j++)
        out->scales[j] = (int8_t)fit.scale[j];
    for (int group = 0; group < b.n_groups; group++) {
        lanes found[32];
        symmetric_codes(&b, shape, &fit, group, found);
        for (int i = 0; i < b.width; i += 8)
            lanes_store_bytes(found + i, b.width, out->codes + group * b.width * LANES + i);
    }
    for (int i = 0; i < 256 && shape->search.has_table; i++)
        out->codes[i] = (int8_t)fal_iq4_code((float)out->codes[i]);
}

#endif
