/* 256 weights (a K block, or eight blocks of 32) as the searches see them: a lane per sub-block, brought to a magnitude
 * near one, with the weight that each error has. Used by encode_*.h; the lanes are those of the including file. */
#ifndef FAL_QUANT_SUPER_BLOCK_H
#define FAL_QUANT_SUPER_BLOCK_H

#include "quant/k_fit.h"
#include "quant/lanes.h"
#include "quant/rounding.h"

#include <string.h>

/* How an error counts. With importance q: q * sqrt(sigma * mean x^2 + x^2), or q alone for sigma 0. */
typedef struct error_weights {
    float average, own,
        square; /* without importance: average * r + own * |x| + square * x^2 / r, r^2 = mean x^2 */
    float sigma;
} error_weights;

/* n_groups of 8 sub-blocks of `width` weights: 1 of 32 or 2 of 16. */
typedef struct super_block {
    int width, n_groups;
    float unit, inverse_unit; /* powers of two: weight = x * unit */
    lanes x[32], w[32];       /* group g from g * width on */
} super_block;

/* What is smaller than this vanishes in every type: no scale of f16 reaches it. */
#define SUPER_BLOCK_LEAST 0x1p-40f

/* Sum over the lanes, in their order. */
LANES_INLINE float lanes_sum(lanes a) {
    float v[LANES], sum = 0.0f;
    lanes_store(v, a);
    for (int j = 0; j < LANES; j++)
        sum += v[j];
    return sum;
}

LANES_INLINE float lanes_largest(lanes a) {
    float v[LANES], largest = 0.0f;
    lanes_store(v, a);
    for (int j = 0; j < LANES; j++)
        largest = v[j] > largest ? v[j] : largest;
    return largest;
}

LANES_INLINE void super_block_transpose(const super_block *b, const float *from, lanes *to) {
    for (int i = 0; i < 32; i += 8) {
        int group = i / b->width, first = i % b->width;
        lanes_transpose(from + group * b->width * LANES + first, b->width, to + i);
    }
}

/* Weights to x, and the unit. False: there is nothing to search, for weights vanish or are not finite; out is the whole
 * answer then. */
LANES_INLINE bool super_block_load(super_block *b, int width, const float *weights,
                                   fal_k_fit *out) {
    memset(out, 0, sizeof *out);
    b->width = width;
    b->n_groups = 32 / width;
    super_block_transpose(b, weights, b->x);
    lanes largest = lanes_set(0.0f), faults = lanes_set(0.0f);
    for (int i = 0; i < 32; i++) {
        faults = lanes_add(faults, lanes_mul(b->x[i], lanes_set(0.0f)));
        b->x[i] = lanes_max(lanes_min(b->x[i], lanes_set(FAL_WEIGHT_BOUND)),
                            lanes_set(-FAL_WEIGHT_BOUND));
        largest = lanes_max(lanes_abs(b->x[i]), largest);
    }
    if (!(lanes_sum(faults) == 0.0f)) {
        out->d = FAL_F16_NAN;
        return false;
    }
    float most = lanes_largest(largest);
    if (most < SUPER_BLOCK_LEAST) return false;
    b->unit = fal_f32_from_bits(fal_bits_from_f32(most) & 0x7f800000u);
    b->inverse_unit = 1.0f / b->unit;
    for (int i = 0; i < 32; i++)
        b->x[i] = lanes_mul(b->x[i], lanes_set(b->inverse_unit));
    return true;
}

/* Sum of squares of each sub-block of a group. */
LANES_INLINE lanes sum_squares(const super_block *b, int group) {
    lanes sum = lanes_set(0.0f);
    for (int i = group * b->width; i < (group + 1) * b->width; i++)
        sum = lanes_add(sum, lanes_mul(b->x[i], b->x[i]));
    return sum;
}

LANES_INLINE void weigh_by_size(super_block *b, const error_weights *e) {
    for (int group = 0; group < b->n_groups; group++) {
        lanes mean = lanes_mul(sum_squares(b, group), lanes_set(1.0f / (float)b->width));
        lanes root = lanes_sqrt(mean), average = lanes_mul(root, lanes_set(e->average));
        lane_mask has_size = lanes_less(lanes_set(0.0f), root);
        lanes per_square =
            lanes_select(has_size, lanes_div(lanes_set(e->square), root), lanes_set(0.0f));
        for (int i = group * b->width; i < (group + 1) * b->width; i++) {
            lanes own = lanes_mul(lanes_abs(b->x[i]), lanes_set(e->own));
            lanes square = lanes_mul(lanes_mul(b->x[i], b->x[i]), per_square);
            b->w[i] = lanes_add(lanes_add(average, own), square);
        }
    }
}

/* False: no importance above zero. What has none keeps a millionth of the largest, so that it is encoded all the same. */
LANES_INLINE bool load_importance(super_block *b, const float *importance) {
    super_block_transpose(b, importance, b->w);
    lanes largest = lanes_set(0.0f);
    for (int i = 0; i < 32; i++) {
        b->w[i] = lanes_min(lanes_max(b->w[i], lanes_set(0.0f)), lanes_set(0x1p100f));
        largest = lanes_max(b->w[i], largest);
    }
    float most = lanes_largest(largest);
    if (!(most > 0x1p-100f)) return false;
    lanes inverse = lanes_set(1.0f / most);
    for (int i = 0; i < 32; i++)
        b->w[i] = lanes_max(lanes_mul(b->w[i], inverse), lanes_set(0x1p-20f));
    return true;
}

/* The weights of errors. is_one: sub-blocks are one block, which shares the mean of squares. */
LANES_INLINE void super_block_weigh(super_block *b, const error_weights *e, const float *importance,
                                    bool is_one) {
    if (!importance || !load_importance(b, importance)) {
        weigh_by_size(b, e);
        return;
    }
    if (e->sigma == 0.0f) return;
    lanes sigma2[2];
    float sum = 0.0f;
    for (int group = 0; group < b->n_groups; group++) {
        sigma2[group] = sum_squares(b, group);
        sum += lanes_sum(sigma2[group]);
    }
    for (int i = 0; i < 32; i++) {
        lanes mean = is_one ? lanes_set(sum * (e->sigma / 256.0f))
                            : lanes_mul(sigma2[i / b->width], lanes_set(e->sigma / 32.0f));
        lanes size = lanes_sqrt(lanes_add(mean, lanes_mul(b->x[i], b->x[i])));
        b->w[i] = lanes_mul(b->w[i], size);
    }
}

#endif
