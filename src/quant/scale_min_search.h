/* The search for x ~ scale * code + low for a sub-block, which q2_k, q4_k, q5_k and, with importance, q4_1 and q5_1 share.
 * Eight sub-blocks at a time; the lanes are those of the including file. */
#ifndef FAL_QUANT_SCALE_MIN_SEARCH_H
#define FAL_QUANT_SCALE_MIN_SEARCH_H

#include "quant/lanes.h"

/* What a search tries: divisors of the range from first on by step, then improve times the codes of what was found. */
typedef struct scale_min_search {
    int largest_code;
    float first, step;
    int n_tries, n_improvements;
    bool is_negative; /* minima are subtracted: x reaches down to zero at least */
} scale_min_search;

typedef struct scale_min_sums {
    lanes w, x, l, l2, xl;
} scale_min_sums;

LANES_INLINE void sum_codes(const lanes *x, const lanes *w, int width, lanes inverse, lanes low,
                            lanes most, scale_min_sums *s) {
    s->l = s->l2 = s->xl = lanes_set(0.0f);
    for (int i = 0; i < width; i++) {
        lanes l = lanes_mul(lanes_sub(x[i], low), inverse);
        l = lanes_round(lanes_min(lanes_max(l, lanes_set(0.0f)), most));
        lanes wl = lanes_mul(w[i], l);
        s->l = lanes_add(s->l, wl);
        s->l2 = lanes_add(s->l2, lanes_mul(wl, l));
        s->xl = lanes_add(s->xl, lanes_mul(wl, x[i]));
    }
}

/* Least squares of x ~ scale * code + low for the sums of some codes; keeps it where it is the best so far. */
LANES_INLINE void keep_better_fit(const scale_min_sums *s, bool is_negative, lanes *scale,
                                  lanes *low, lanes *best) {
    const lanes zero = lanes_set(0.0f);
    lanes determinant = lanes_sub(lanes_mul(s->w, s->l2), lanes_mul(s->l, s->l));
    lanes a = lanes_div(lanes_sub(lanes_mul(s->w, s->xl), lanes_mul(s->x, s->l)), determinant);
    lanes m = lanes_div(lanes_sub(lanes_mul(s->l2, s->x), lanes_mul(s->l, s->xl)), determinant);
    if (is_negative) {
        lane_mask is_above = lanes_less(zero, m);
        m = lanes_select(is_above, zero, m);
        a = lanes_select(is_above, lanes_div(s->xl, s->l2), a);
    }
    lanes gain = lanes_add(lanes_mul(a, s->xl), lanes_mul(m, s->x));
    lane_mask is_determined =
        lanes_less(lanes_mul(lanes_set(1e-5f), lanes_mul(s->w, s->l2)), determinant);
    lane_mask is_better = lanes_both(is_determined, lanes_less(*best, gain));
    *scale = lanes_select(is_better, a, *scale);
    *low = lanes_select(is_better, m, *low);
    *best = lanes_select(is_better, gain, *best);
}

/* x ~ scale * code + low, for the sub-blocks of one group; scale 0 where all are equal. */
LANES_INLINE void search_scale_min(const scale_min_search *search, const lanes *x, const lanes *w,
                                   int width, lanes *scale, lanes *low) {
    const lanes zero = lanes_set(0.0f), most = lanes_set((float)search->largest_code);
    scale_min_sums s = {.w = zero, .x = zero};
    lanes least = search->is_negative ? zero : x[0], largest = x[0];
    for (int i = 0; i < width; i++) {
        least = lanes_min(least, x[i]);
        largest = lanes_max(largest, x[i]);
        s.w = lanes_add(s.w, w[i]);
        s.x = lanes_add(s.x, lanes_mul(w[i], x[i]));
    }
    lanes range = lanes_sub(largest, least), best = lanes_set(-1e30f);
    lane_mask is_wide = lanes_less(zero, range);
    lanes inverse_range = lanes_select(is_wide, lanes_div(lanes_set(1.0f), range), zero);
    /* Where the codes do not vary, as in equal weights, nothing is fitted. */
    *scale = lanes_div(range, most);
    *low = least;
    for (int k = 0; k < search->n_tries; k++) {
        float divisor = search->first + search->step * (float)k;
        lanes inverse = lanes_mul(inverse_range, lanes_set(divisor));
        sum_codes(x, w, width, inverse, least, most, &s);
        keep_better_fit(&s, search->is_negative, scale, low, &best);
    }
    for (int k = 0; k < search->n_improvements; k++) {
        lane_mask has_scale = lanes_less(zero, *scale);
        lanes inverse = lanes_select(has_scale, lanes_div(lanes_set(1.0f), *scale), zero);
        sum_codes(x, w, width, inverse, *low, most, &s);
        keep_better_fit(&s, search->is_negative, scale, low, &best);
    }
}

#endif
