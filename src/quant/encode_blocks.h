/* Rows of blocks of 32 by search: with importance, and iq4_nl always. A lane is a block, so that eight are searched side
 * by side without knowing of each other. The lanes are those of the including file. */
#ifndef FAL_QUANT_ENCODE_BLOCKS_H
#define FAL_QUANT_ENCODE_BLOCKS_H

#include "quant/block_fit.h"
#include "quant/encode_scale_min.h"
#include "quant/encode_symmetric.h"
#include "quant/iq4_nl.h"
#include "quant/q4_0.h"
#include "quant/q4_1.h"
#include "quant/q5_0.h"
#include "quant/q5_1.h"

/* How a type is searched: with a minimum of any sign, or without. */
typedef struct block_shape {
    bool has_minimum;
    scale_min_search range;
    symmetric_search scale;
    error_weights weights;
} block_shape;

/* Up to eight blocks: lanes beyond n and those that need no search hold zeros. */
typedef struct block_lanes {
    super_block b;
    float unit[LANES], inverse_unit[LANES];
    bool is_done[LANES];
} block_lanes;

/* Copies block j, brought to a magnitude near one. True: it is done, as it vanishes, is not finite or was a block. */
LANES_INLINE bool load_block(const block_shape *shape, const float *weights, float *x, float *unit,
                             fal_block_fit *fit) {
    static const int8_t values[16] = FAL_IQ4_VALUES;
    float bounded[32];
    fal_k_fit found;
    memset(fit, 0, sizeof *fit);
    *unit = 1.0f;
    fit->d = FAL_F16_NAN;
    if (!fal_weights_bound(weights, 32, bounded)) return true;
    fit->d = 0;
    float most = fabsf(fal_signed_extreme(bounded, 32));
    fal_grid_codes codes = {-shape->scale.largest, shape->scale.largest - 1, NULL};
    if (shape->has_minimum) codes = (fal_grid_codes){0, shape->range.largest_code, NULL};
    if (shape->scale.has_table) codes = (fal_grid_codes){0, 15, values};
    if (fal_grid_find(bounded, 1, 32, &codes, 1, 1, shape->has_minimum, &found)) {
        fit->d = found.d;
        fit->m = found.dmin;
        memcpy(fit->codes, found.codes, sizeof fit->codes);
        return true;
    }
    if (most < SUPER_BLOCK_LEAST) {
        memset(fit->codes, shape->scale.has_table ? fal_iq4_code(0.0f) : 0, sizeof fit->codes);
        return true;
    }
    *unit = fal_f32_from_bits(fal_bits_from_f32(most) & 0x7f800000u);
    for (int i = 0; i < 32; i++)
        x[i] = bounded[i] * (1.0f / *unit);
    return false;
}

/* Importance of one block with its largest one brought to one; all ones where there is none. */
LANES_INLINE void load_block_importance(const float *importance, float *q) {
    float most = 0.0f;
    for (int i = 0; i < 32; i++)
        most = importance[i] > most ? importance[i] : most;
    bool is_usable = most > 0x1p-100f && most < 0x1p100f;
    for (int i = 0; i < 32; i++)
        q[i] = is_usable ? importance[i] / most : 1.0f;
}

LANES_INLINE void load_blocks(const block_shape *shape, const float *weights,
                              const float *importance, int n, block_lanes *l, fal_block_fit *fits) {
    float x[256] = {0}, q[256];
    for (int j = 0; j < LANES; j++) {
        l->is_done[j] = true;
        l->unit[j] = 1.0f;
        if (j < n)
            l->is_done[j] = load_block(shape, weights + 32 * j, x + 32 * j, &l->unit[j], &fits[j]);
        l->inverse_unit[j] = 1.0f / l->unit[j];
        for (int i = 0; i < 32; i++)
            q[32 * j + i] = 1.0f;
        if (j < n && importance) load_block_importance(importance + 32 * j, q + 32 * j);
    }
    l->b.width = 32;
    l->b.n_groups = 1;
    super_block_transpose(&l->b, x, l->b.x);
    super_block_weigh(&l->b, &shape->weights, importance ? q : NULL, false);
}

/* Values as a block stores them: f16, in the units of the lanes. */
LANES_INLINE lanes store_halves(const block_lanes *l, lanes a, uint16_t *halves) {
    float v[LANES];
    lanes_store(v, a);
    for (int j = 0; j < LANES; j++) {
        halves[j] = fal_f16_scale(v[j] * l->unit[j]);
        v[j] = fal_f32_from_f16(halves[j]) * l->inverse_unit[j];
    }
    return lanes_load(v);
}

/* One scale: the search's, and the one that fits its values best; the better one as stored. */
LANES_INLINE void fit_block_scales(const block_shape *shape, const block_lanes *l, uint16_t *d,
                                   lanes *values) {
    const symmetric_search *search = &shape->scale;
    const super_block *b = &l->b;
    lanes scale = search_symmetric(search, b->x, b->w, 32);
    lanes stored = store_halves(l, scale, d), best = lanes_set(-1.0f), refit = stored;
    keep_better_scale(search, b->x, b->w, 32, lanes_inverse(stored), &refit, &best);
    uint16_t other[LANES];
    lanes other_stored = store_halves(l, refit, other);
    lanes error = symmetric_error(search, b->x, b->w, 32, stored);
    lanes other_error = symmetric_error(search, b->x, b->w, 32, other_stored);
    lane_mask is_better = lanes_less(other_error, error);
    stored = lanes_select(is_better, other_stored, stored);
    store_halves(l, stored, d);
    lanes inverse = lanes_inverse(stored);
    for (int i = 0; i < 32; i++)
        values[i] = nearest_value(search, b->x[i], inverse);
}

/* Scale and minimum; the scale is positive or 0. */
LANES_INLINE void fit_block_ranges(const block_shape *shape, const block_lanes *l, uint16_t *d,
                                   uint16_t *m, lanes *values) {
    const super_block *b = &l->b;
    const lanes zero = lanes_set(0.0f), most = lanes_set((float)shape->range.largest_code);
    lanes scale, low;
    search_scale_min(&shape->range, b->x, b->w, 32, &scale, &low);
    scale = store_halves(l, scale, d);
    low = store_halves(l, low, m);
    lanes inverse = lanes_inverse(scale);
    for (int i = 0; i < 32; i++) {
        lanes code = lanes_mul(lanes_sub(b->x[i], low), inverse);
        values[i] = lanes_round(lanes_min(lanes_max(code, zero), most));
    }
}

/* n blocks, at most eight. */
LANES_INLINE void encode_blocks(const block_shape *shape, const float *weights,
                                const float *importance, int n, fal_block_fit *fits) {
    block_lanes l;
    lanes values[32];
    uint16_t d[LANES], m[LANES] = {0};
    int8_t bytes[256];
    load_blocks(shape, weights, importance, n, &l, fits);
    if (shape->has_minimum)
        fit_block_ranges(shape, &l, d, m, values);
    else
        fit_block_scales(shape, &l, d, values);
    for (int i = 0; i < 32; i += 8)
        lanes_store_bytes(values + i, 32, bytes + i);
    for (int j = 0; j < n; j++) {
        if (l.is_done[j]) continue;
        fits[j].d = d[j];
        fits[j].m = m[j];
        for (int i = 0; i < 32; i++) {
            int8_t value = bytes[32 * j + i];
            fits[j].codes[i] = shape->scale.has_table ? (int8_t)fal_iq4_code((float)value) : value;
        }
    }
}

#define FAL_ENCODE_BLOCKS(type, shape)                                                  \
    LANES_INLINE void search_rows_##type(const float *weights, const float *importance, \
                                         void *blocks, int64_t n_blocks) {              \
        struct fal_##type *block = blocks;                                              \
        for (int64_t b = 0; b < n_blocks; b += LANES) {                                 \
            fal_block_fit fits[LANES];                                                  \
            int n = n_blocks - b < LANES ? (int)(n_blocks - b) : LANES;                 \
            const float *q = importance ? importance + 32 * b : NULL;                   \
            encode_blocks(&shape, weights + 32 * b, q, n, fits);                        \
            for (int j = 0; j < n; j++)                                                 \
                fal_##type##_pack(&fits[j], &block[b + j]);                             \
        }                                                                               \
    }

static const block_shape shape_q4_0 = {
    .scale = {8,  false, 6.5f, 0.1f, 25, 2, true},
      .weights = {1.0f, 0.0f,  1.0f,      1.0f      }
};
static const block_shape shape_q5_0 = {
    .scale = {16, false, 14.5f, 0.1f, 25, 2, true},
      .weights = {1.0f, 0.0f,  1.0f,       1.0f       }
};
static const block_shape shape_q4_1 = {
    .has_minimum = true,
    .range = {15,     13.8f, 0.1f, 24, 2, false},
    .weights = {1.0f, 1.0f,      0.0f,       1.0f    }
};
static const block_shape shape_q5_1 = {
    .has_minimum = true,
    .range = {31,     29.5f, 0.125f, 24, 2, false},
    .weights = {1.0f, 1.0f,      0.0f,         1.0f      }
};
static const block_shape shape_iq4_nl = {
    .scale = {0,  true, 120.0f, 1.0f, 15, 2, true},
      .weights = {1.0f, 0.5f, 0.25f,       2.0f       }
};

FAL_ENCODE_BLOCKS(q4_0, shape_q4_0)
FAL_ENCODE_BLOCKS(q4_1, shape_q4_1)
FAL_ENCODE_BLOCKS(q5_0, shape_q5_0)
FAL_ENCODE_BLOCKS(q5_1, shape_q5_1)
FAL_ENCODE_BLOCKS(iq4_nl, shape_iq4_nl)

#endif
