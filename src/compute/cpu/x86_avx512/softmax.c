/* Softmax over tiles of scores and its gradient with AVX-512: sixteen queries at a time, all their keys, so that what
 * belongs to a query stays in registers. Queries come in eights, so the last sixteen may be a masked half. */
#include "compute/cpu/kernels.h"
#include "compute/cpu/x86_avx512/exp_avx512.h"
#include "compute/cpu/x86_avx512/lanes.h"

#include <math.h>

/* Keys [0, n_all) are visible to all queries of a vector, [n_all, n_some) to some of them, the rest to none. */
typedef struct visible {
    int n_all, n_some;
} visible;

static int between(int n, int most) {
    return n < 0 ? 0 : n < most ? n : most;
}

static visible visible_to(int query, int offset, int n_keys) {
    return (visible){between(query + offset + 1, n_keys), between(query + offset + LANES, n_keys)};
}

/* Sixteen queries: which there are, and their positions counted from the tile's first key. */
typedef struct queries {
    __mmask16 lanes;
    __m512 positions, scale, slope;
} queries;

static inline queries queries_from(int query, int n_queries, int offset, float scale, float slope) {
    const __m512 steps = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return (queries){lanes_left((n_queries + 7) / 8 * 8 - query),
                     _mm512_add_ps(steps, _mm512_set1_ps((float)(query + offset))),
                     _mm512_set1_ps(scale), _mm512_set1_ps(slope)};
}

/* Lanes whose query sees the key. */
static inline __mmask16 sees(const queries *q, int key) {
    return _mm512_cmp_ps_mask(q->positions, _mm512_set1_ps((float)key), _CMP_GE_OQ);
}

static inline __m512 score_of(const queries *q, const float *product, int key) {
    __m512 distance = _mm512_sub_ps(_mm512_set1_ps((float)key), q->positions);
    __m512 score = _mm512_mul_ps(_mm512_maskz_loadu_ps(q->lanes, product), q->scale);
    return _mm512_fmadd_ps(q->slope, distance, score);
}

static void softmax_lanes(const fal_softmax_tile *t, int query) {
    const queries q = queries_from(query, t->n_queries, t->offset, t->scale, t->slope);
    visible v = visible_to(query, t->offset, t->n_keys);
    float *scores = t->scores + query;
    __m512 before = _mm512_maskz_loadu_ps(q.lanes, t->largest + query), largest = before;
    for (int key = 0; key < v.n_all; key++)
        largest = _mm512_max_ps(score_of(&q, scores + key * t->stride, key), largest);
    for (int key = v.n_all; key < v.n_some; key++) {
        __m512 score = score_of(&q, scores + key * t->stride, key);
        largest = _mm512_mask_max_ps(largest, sees(&q, key), score, largest);
    }
    __m512 correction = exp_nonpositive(_mm512_sub_ps(before, largest));
    __m512 total = _mm512_mul_ps(_mm512_maskz_loadu_ps(q.lanes, t->total + query), correction);
    for (int key = 0; key < v.n_some; key++) {
        float *at = scores + key * t->stride;
        __m512 weight = exp_nonpositive(_mm512_sub_ps(score_of(&q, at, key), largest));
        if (key >= v.n_all) weight = _mm512_maskz_mov_ps(sees(&q, key), weight);
        total = _mm512_add_ps(total, weight);
        _mm512_mask_storeu_ps(at, q.lanes, weight);
    }
    for (int key = v.n_some; key < t->n_keys; key++)
        _mm512_mask_storeu_ps(scores + key * t->stride, q.lanes, _mm512_setzero_ps());
    _mm512_mask_storeu_ps(t->largest + query, q.lanes, largest);
    _mm512_mask_storeu_ps(t->total + query, q.lanes, total);
    _mm512_mask_storeu_ps(t->correction + query, q.lanes, correction);
}

void fal_softmax_tile_avx512(const fal_softmax_tile *t) {
    for (int query = 0; query < t->n_queries; query += LANES)
        softmax_lanes(t, query);
}

static inline void differentiate(const queries *q, __m512 log_sums, __m512 means, float *score,
                                 float *gradient, int key, __mmask16 seen) {
    __m512 x = _mm512_sub_ps(score_of(q, score, key), log_sums);
    __m512 weight = exp_nonpositive(_mm512_min_ps(_mm512_setzero_ps(), x));
    weight = _mm512_maskz_mov_ps(seen, weight);
    __m512 distance = _mm512_maskz_sub_ps(seen, _mm512_maskz_loadu_ps(q->lanes, gradient), means);
    _mm512_mask_storeu_ps(score, q->lanes, weight);
    _mm512_mask_storeu_ps(gradient, q->lanes,
                          _mm512_mul_ps(_mm512_mul_ps(weight, q->scale), distance));
}

void fal_softmax_gradient_tile_avx512(const fal_softmax_gradient_tile *t) {
    for (int query = 0; query < t->n_queries; query += LANES) {
        const queries q = queries_from(query, t->n_queries, t->offset, t->scale, t->slope);
        __m512 log_sums = _mm512_maskz_loadu_ps(q.lanes, t->log_sums + query);
        __m512 means = _mm512_maskz_loadu_ps(q.lanes, t->means + query);
        visible v = visible_to(query, t->offset, t->n_keys);
        float *scores = t->scores + query, *gradients = t->gradients + query;
        for (int key = 0; key < v.n_some; key++)
            differentiate(&q, log_sums, means, scores + key * t->stride,
                          gradients + key * t->stride, key,
                          key < v.n_all ? (__mmask16)0xffff : sees(&q, key));
        for (int key = v.n_some; key < t->n_keys; key++) {
            _mm512_mask_storeu_ps(scores + key * t->stride, q.lanes, _mm512_setzero_ps());
            _mm512_mask_storeu_ps(gradients + key * t->stride, q.lanes, _mm512_setzero_ps());
        }
    }
}
