/* Encoding of q2_k, q4_k, q5_k: x ~ scale * code - minimum for each sub-block, scales and minima being whole multiples of
 * two numbers. A search per sub-block, then scales and minima rounded together with the codes. Packing belongs to
 * the types. Eight sub-blocks at a time; the lanes are those of the including file. */
#ifndef FAL_QUANT_ENCODE_SCALE_MIN_H
#define FAL_QUANT_ENCODE_SCALE_MIN_H

#include "quant/grid.h"
#include "quant/scale_min_search.h"
#include "quant/super_block.h"

#include <math.h>
#include <string.h>

/* Weighted squared error of the nearest codes for a scale and a minimum. */
LANES_INLINE lanes scale_min_error(const lanes *x, const lanes *w, int width, lanes most,
                                   lanes scale, lanes minimum) {
    const lanes zero = lanes_set(0.0f);
    lanes error = zero;
    lanes inverse = lanes_select(lanes_less(zero, scale), lanes_div(lanes_set(1.0f), scale), zero);
    for (int i = 0; i < width; i++) {
        lanes t = lanes_add(x[i], minimum);
        lanes l = lanes_mul(t, inverse);
        l = lanes_round(lanes_min(lanes_max(l, zero), most));
        lanes e = lanes_sub(lanes_mul(scale, l), t);
        error = lanes_add(error, lanes_mul(lanes_mul(w[i], e), e));
    }
    return error;
}

enum {
    SCALE_MIN_REFITS = 2
};

/* The shape of a type with minima. */
typedef struct scale_min_shape {
    int width, largest_multiple; /* of d and dmin */
    scale_min_search search;
    error_weights weights;
} scale_min_shape;

/* Scales and minima as they are looked for, then as multiples of d and dmin; by sub-block. */
typedef struct scale_min_fit {
    float scale[16], minimum[16];
    uint16_t half_d, half_dmin; /* f16 */
    float d, dmin;              /* their values in the block's unit */
    float error;
} scale_min_fit;

LANES_INLINE void set_factors(const super_block *b, scale_min_fit *fit, float d, float dmin) {
    fit->half_d = fal_f16_scale(d * b->unit);
    fit->half_dmin = fal_f16_scale(dmin * b->unit);
    fit->d = fal_f32_from_f16(fit->half_d) * b->inverse_unit;
    fit->dmin = fal_f32_from_f16(fit->half_dmin) * b->inverse_unit;
}

/* Replaces the scales and minima by the whole multiples near them that together give the least error: of all pairs up
 * to one away, with the nearest codes for each. */
LANES_INLINE void choose_multiples(const super_block *b, const scale_min_shape *shape,
                                   scale_min_fit *fit) {
    const lanes zero = lanes_set(0.0f), largest = lanes_set((float)shape->largest_multiple);
    const lanes most = lanes_set((float)shape->search.largest_code);
    const lanes d = lanes_set(fit->d), dmin = lanes_set(fit->dmin);
    const lanes inverse_d = lanes_set(fal_inverse(fit->d));
    const lanes inverse_dmin = lanes_set(fal_inverse(fit->dmin));
    fit->error = 0.0f;
    for (int group = 0; group < b->n_groups; group++) {
        const lanes *x = b->x + group * b->width, *w = b->w + group * b->width;
        float *scale = fit->scale + LANES * group, *minimum = fit->minimum + LANES * group;
        lanes s0 = lanes_round(lanes_min(lanes_mul(lanes_load(scale), inverse_d), largest));
        lanes m0 = lanes_round(lanes_min(lanes_mul(lanes_load(minimum), inverse_dmin), largest));
        lanes best = lanes_set(1e30f), best_scale = zero, best_minimum = zero;
        for (int k = 0; k < 9; k++) {
            lanes s = lanes_add(s0, lanes_set((float)(k / 3 - 1)));
            lanes m = lanes_add(m0, lanes_set((float)(k % 3 - 1)));
            s = lanes_min(lanes_max(s, zero), largest);
            m = lanes_min(lanes_max(m, zero), largest);
            lanes error =
                scale_min_error(x, w, b->width, most, lanes_mul(s, d), lanes_mul(m, dmin));
            lane_mask is_better = lanes_less(error, best);
            best = lanes_select(is_better, error, best);
            best_scale = lanes_select(is_better, s, best_scale);
            best_minimum = lanes_select(is_better, m, best_minimum);
        }
        lanes_store(scale, best_scale);
        lanes_store(minimum, best_minimum);
        fit->error += lanes_sum(best);
    }
}

/* The codes of one group for the chosen multiples. */
LANES_INLINE void scale_min_codes(const super_block *b, const scale_min_shape *shape,
                                  const scale_min_fit *fit, int group, lanes *codes) {
    const lanes zero = lanes_set(0.0f), most = lanes_set((float)shape->search.largest_code);
    lanes scale = lanes_mul(lanes_load(fit->scale + LANES * group), lanes_set(fit->d));
    lanes minimum = lanes_mul(lanes_load(fit->minimum + LANES * group), lanes_set(fit->dmin));
    lanes inverse = lanes_select(lanes_less(zero, scale), lanes_div(lanes_set(1.0f), scale), zero);
    for (int i = 0; i < b->width; i++) {
        lanes l = lanes_mul(lanes_add(b->x[group * b->width + i], minimum), inverse);
        codes[i] = lanes_round(lanes_min(lanes_max(l, zero), most));
    }
}

/* d and dmin by least squares for the chosen multiples and their codes. False: they are not determined. */
LANES_INLINE bool refit_factors(const super_block *b, const scale_min_shape *shape,
                                const scale_min_fit *fit, float *d, float *dmin) {
    lanes ss = lanes_set(0.0f), sm = ss, mm = ss, sx = ss, mx = ss;
    for (int group = 0; group < b->n_groups; group++) {
        lanes codes[32], scale = lanes_load(fit->scale + LANES * group);
        lanes minimum = lanes_load(fit->minimum + LANES * group);
        scale_min_codes(b, shape, fit, group, codes);
        for (int i = 0; i < b->width; i++) {
            lanes x = b->x[group * b->width + i], w = b->w[group * b->width + i];
            lanes s = lanes_mul(scale, codes[i]), ws = lanes_mul(w, s), wm = lanes_mul(w, minimum);
            ss = lanes_add(ss, lanes_mul(ws, s));
            sm = lanes_add(sm, lanes_mul(ws, minimum));
            mm = lanes_add(mm, lanes_mul(wm, minimum));
            sx = lanes_add(sx, lanes_mul(ws, x));
            mx = lanes_add(mx, lanes_mul(wm, x));
        }
    }
    double a = (double)lanes_sum(ss), c = (double)lanes_sum(sm), m = (double)lanes_sum(mm);
    double p = (double)lanes_sum(sx), q = (double)lanes_sum(mx), determinant = a * m - c * c;
    if (!(a > 0.0)) return false;
    if (!(determinant > 1e-6 * a * m)) {
        *d = (float)(p / a);
        *dmin = fit->dmin;
        return m == 0.0;
    }
    *d = (float)((p * m - q * c) / determinant);
    *dmin = (float)((p * c - q * a) / determinant);
    return *d > 0.0f && *dmin >= 0.0f;
}

/* Scales, minima and factors for a block. */
LANES_INLINE void fit_scale_min(const super_block *b, const scale_min_shape *shape,
                                scale_min_fit *fit) {
    float largest_scale = 0.0f, largest_minimum = 0.0f;
    for (int group = 0; group < b->n_groups; group++) {
        lanes scale, low;
        search_scale_min(&shape->search, b->x + group * b->width, b->w + group * b->width, b->width,
                         &scale, &low);
        lanes minimum = lanes_sub(lanes_set(0.0f), low);
        lanes_store(fit->scale + LANES * group, scale);
        lanes_store(fit->minimum + LANES * group, minimum);
        largest_scale = fmaxf(largest_scale, lanes_largest(scale));
        largest_minimum = fmaxf(largest_minimum, lanes_largest(minimum));
    }
    set_factors(b, fit, largest_scale / (float)shape->largest_multiple,
                largest_minimum / (float)shape->largest_multiple);
    choose_multiples(b, shape, fit);
    for (int k = 0; k < SCALE_MIN_REFITS; k++) {
        scale_min_fit other = *fit;
        float d, dmin;
        if (!refit_factors(b, shape, fit, &d, &dmin)) return;
        for (int j = 0; j < LANES * b->n_groups; j++) {
            other.scale[j] = fit->scale[j] * fit->d;
            other.minimum[j] = fit->minimum[j] * fit->dmin;
        }
        set_factors(b, &other, d, dmin);
        choose_multiples(b, shape, &other);
        if (!(other.error < fit->error)) return;
        *fit = other;
    }
}

LANES_INLINE void encode_scale_min(const scale_min_shape *shape, const float *weights,
                                   const float *importance, fal_k_fit *out) {
    super_block b;
    scale_min_fit fit;
    if (!super_block_load(&b, shape->width, weights, out)) return;
    fal_grid_codes codes = {0, shape->search.largest_code, NULL};
    if (fal_grid_find(weights, 256 / b.width, b.width, &codes, 0, shape->largest_multiple, true,
                      out))
        return;
    memset(out, 0, sizeof *out);
    super_block_weigh(&b, &shape->weights, importance, true);
    fit_scale_min(&b, shape, &fit);
    out->d = fit.half_d;
    out->dmin = fit.half_dmin;
    for (int j = 0; j < LANES * b.n_groups; j++) {
        out->scales[j] = (int8_t)fit.scale[j];
        out->minima[j] = (int8_t)fit.minimum[j];
    }
    for (int group = 0; group < b.n_groups; group++) {
        lanes found[32];
        scale_min_codes(&b, shape, &fit, group, found);
        for (int i = 0; i < b.width; i += 8)
            lanes_store_bytes(found + i, b.width, out->codes + group * b.width * LANES + i);
    }
}

#endif
