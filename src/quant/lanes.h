/* Eight f32 side by side: what the searches of the encoders are written with. A lane belongs to one sub-block, so that
 * no sum goes across lanes and the bits do not depend on how lanes are computed.
 *
 * This is the plain meaning. A kernel set may put its own vectors in its place: a header with the same names and this
 * include guard, included before the searches. */
#ifndef FAL_QUANT_LANES_H
#define FAL_QUANT_LANES_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LANES_INLINE static inline

enum {
    LANES = 8
};

typedef struct lanes {
    float v[LANES];
} lanes;

/* One truth for each lane. */
typedef struct lane_mask {
    int32_t v[LANES]; /* -1 or 0 */
} lane_mask;

#define LANES_MAP(expression)           \
    do {                                \
        lanes result_;                  \
        for (int j = 0; j < LANES; j++) \
            result_.v[j] = expression;  \
        return result_;                 \
    } while (0)

#define LANES_MASK(expression)                    \
    do {                                          \
        lane_mask result_;                        \
        for (int j = 0; j < LANES; j++)           \
            result_.v[j] = (expression) ? -1 : 0; \
        return result_;                           \
    } while (0)

LANES_INLINE lanes lanes_set(float value) {
    LANES_MAP(value);
}

LANES_INLINE lanes lanes_load(const float *x) {
    LANES_MAP(x[j]);
}

LANES_INLINE void lanes_store(float *x, lanes a) {
    for (int j = 0; j < LANES; j++)
        x[j] = a.v[j];
}

LANES_INLINE lanes lanes_add(lanes a, lanes b) {
    LANES_MAP(a.v[j] + b.v[j]);
}

LANES_INLINE lanes lanes_sub(lanes a, lanes b) {
    LANES_MAP(a.v[j] - b.v[j]);
}

LANES_INLINE lanes lanes_mul(lanes a, lanes b) {
    LANES_MAP(a.v[j] * b.v[j]);
}

LANES_INLINE lanes lanes_div(lanes a, lanes b) {
    LANES_MAP(a.v[j] / b.v[j]);
}

LANES_INLINE lanes lanes_sqrt(lanes a) {
    LANES_MAP(sqrtf(a.v[j]));
}

LANES_INLINE lanes lanes_abs(lanes a) {
    LANES_MAP(fabsf(a.v[j]));
}

/* b where either is a NaN. */
LANES_INLINE lanes lanes_min(lanes a, lanes b) {
    LANES_MAP(a.v[j] < b.v[j] ? a.v[j] : b.v[j]);
}

LANES_INLINE lanes lanes_max(lanes a, lanes b) {
    LANES_MAP(a.v[j] > b.v[j] ? a.v[j] : b.v[j]);
}

/* To the nearest whole number, to even on ties, for magnitudes below 2^22: the sum has no room for a fraction. */
LANES_INLINE lanes lanes_round(lanes a) {
    LANES_MAP((a.v[j] + 12582912.0f) - 12582912.0f);
}

LANES_INLINE lane_mask lanes_less(lanes a, lanes b) {
    LANES_MASK(a.v[j] < b.v[j]);
}

LANES_INLINE lane_mask lanes_both(lane_mask a, lane_mask b) {
    LANES_MASK(a.v[j] && b.v[j]);
}

/* a where the mask holds, else b. */
LANES_INLINE lanes lanes_select(lane_mask mask, lanes a, lanes b) {
    LANES_MAP(mask.v[j] ? a.v[j] : b.v[j]);
}

/* out[i] lane j = rows[j * stride + i], i < 8. */
LANES_INLINE void lanes_transpose(const float *rows, ptrdiff_t stride, lanes *out) {
    for (int i = 0; i < LANES; i++)
        for (int j = 0; j < LANES; j++)
            out[i].v[j] = rows[j * stride + i];
}

/* Whole numbers -128 .. 127 as bytes: bytes[j * stride + i] = a[i] lane j, i < 8. */
LANES_INLINE void lanes_store_bytes(const lanes *a, ptrdiff_t stride, int8_t *bytes) {
    for (int i = 0; i < LANES; i++)
        for (int j = 0; j < LANES; j++)
            bytes[j * stride + i] = (int8_t)a[i].v[j];
}

#endif
