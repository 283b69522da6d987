/* Softmax over tiles of scores and its gradient with NEON: four queries at a time, all their keys, so that what belongs to a
 * query stays in registers. */
#include "compute/cpu/arm_neon/exp_neon.h"
#include "compute/cpu/kernels.h"

#include <math.h>

/* Keys [0, n_all) are visible to all four queries from `query` on, [n_all, n_some) to some of them, the rest to none. */
typedef struct visible {
    int n_all, n_some;
} visible;

static int between(int n, int most) {
    return n < 0 ? 0 : n < most ? n : most;
}

static visible visible_to(int query, int offset, int n_keys) {
    return (visible){between(query + offset + 1, n_keys), between(query + offset + LANES, n_keys)};
}

/* Lanes whose query sees the key. */
static inline uint32x4_t sees(float32x4_t positions, int key) {
    return vcgeq_f32(positions, vdupq_n_f32((float)key));
}

/* Positions of four queries, counted from the tile's first key. */
static inline float32x4_t positions_of(int query, int offset) {
    static const float lanes[LANES] = {0.0f, 1.0f, 2.0f, 3.0f};
    return vaddq_f32(vld1q_f32(lanes), vdupq_n_f32((float)(query + offset)));
}

/* scale * product + slope * (key - position) */
static inline float32x4_t score_of(const float *product, float scale, float slope,
                                   float32x4_t positions, int key) {
    float32x4_t distance = vsubq_f32(vdupq_n_f32((float)key), positions);
    float32x4_t scaled = vmulq_n_f32(vld1q_f32(product), scale);
    return vfmaq_n_f32(scaled, distance, slope);
}

static void softmax_four(const fal_softmax_tile *t, int query) {
    const float32x4_t nothing = vdupq_n_f32(-INFINITY), positions = positions_of(query, t->offset);
    visible v = visible_to(query, t->offset, t->n_keys);
    float *scores = t->scores + query;
    float32x4_t before = vld1q_f32(t->largest + query), largest = before;
    for (int key = 0; key < v.n_some; key++) {
        float32x4_t score = score_of(scores + key * t->stride, t->scale, t->slope, positions, key);
        if (key >= v.n_all) score = vbslq_f32(sees(positions, key), score, nothing);
        largest = vmaxnmq_f32(largest, score); /* a score that is no number does not count */
    }
    float32x4_t correction = exp_nonpositive(vsubq_f32(before, largest));
    float32x4_t total = vmulq_f32(vld1q_f32(t->total + query), correction);
    for (int key = 0; key < v.n_some; key++) {
        float *at = scores + key * t->stride;
        float32x4_t score = score_of(at, t->scale, t->slope, positions, key);
        float32x4_t weight = exp_nonpositive(vsubq_f32(score, largest));
        if (key >= v.n_all) weight = kept(weight, sees(positions, key));
        total = vaddq_f32(total, weight);
        vst1q_f32(at, weight);
    }
    for (int key = v.n_some; key < t->n_keys; key++)
        vst1q_f32(scores + key * t->stride, vdupq_n_f32(0.0f));
    vst1q_f32(t->largest + query, largest);
    vst1q_f32(t->total + query, total);
    vst1q_f32(t->correction + query, correction);
}

void fal_softmax_tile_neon(const fal_softmax_tile *t) {
    for (int query = 0; query < t->n_queries; query += LANES)
        softmax_four(t, query);
}

/* What gradients need of four queries. */
typedef struct four {
    float scale, slope;
    float32x4_t positions, log_sums, means;
} four;

static inline void differentiate(const four *f, float *score, float *gradient, int key,
                                 uint32x4_t mask) {
    float32x4_t x = vsubq_f32(score_of(score, f->scale, f->slope, f->positions, key), f->log_sums);
    float32x4_t weight = kept(exp_nonpositive(vminq_f32(vdupq_n_f32(0.0f), x)), mask);
    float32x4_t distance = kept(vsubq_f32(vld1q_f32(gradient), f->means), mask);
    vst1q_f32(score, weight);
    vst1q_f32(gradient, vmulq_f32(vmulq_n_f32(weight, f->scale), distance));
}

void fal_softmax_gradient_tile_neon(const fal_softmax_gradient_tile *t) {
    for (int query = 0; query < t->n_queries; query += LANES) {
        four f = {t->scale, t->slope, positions_of(query, t->offset),
                  vld1q_f32(t->log_sums + query), vld1q_f32(t->means + query)};
        visible v = visible_to(query, t->offset, t->n_keys);
        float *scores = t->scores + query, *gradients = t->gradients + query;
        for (int key = 0; key < v.n_some; key++)
            differentiate(&f, scores + key * t->stride, gradients + key * t->stride, key,
                          key < v.n_all ? vdupq_n_u32(UINT32_MAX) : sees(f.positions, key));
        for (int key = v.n_some; key < t->n_keys; key++) {
            vst1q_f32(scores + key * t->stride, vdupq_n_f32(0.0f));
            vst1q_f32(gradients + key * t->stride, vdupq_n_f32(0.0f));
        }
    }
}
