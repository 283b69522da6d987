/* Softmax over tiles of scores and its gradient with AVX2: eight queries at a time, all their keys, so that what belongs to
 * a query stays in registers. */
#include "compute/cpu/kernels.h"
#include "compute/cpu/x86_avx2/exp_avx2.h"

#include <math.h>

enum {
    LANES = 8
};

/* Keys [0, n_all) are visible to all eight queries from `query` on, [n_all, n_some) to some of them, the rest to none. */
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
static inline __m256 sees(__m256 positions, float key) {
    return _mm256_cmp_ps(positions, _mm256_set1_ps(key), _CMP_GE_OQ);
}

/* Positions of eight queries, counted from the tile's first key. */
static inline __m256 positions_of(int query, int offset) {
    const __m256 lanes = _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_add_ps(lanes, _mm256_set1_ps((float)(query + offset)));
}

static inline __m256 score_of(const float *product, __m256 scale, __m256 slope, __m256 positions,
                              int key) {
    __m256 distance = _mm256_sub_ps(_mm256_set1_ps((float)key), positions);
    return _mm256_fmadd_ps(slope, distance, _mm256_mul_ps(_mm256_loadu_ps(product), scale));
}

static void softmax_eight(const fal_softmax_tile *t, int query) {
    const __m256 scale = _mm256_set1_ps(t->scale), slope = _mm256_set1_ps(t->slope),
                 nothing = _mm256_set1_ps(-INFINITY), positions = positions_of(query, t->offset);
    visible v = visible_to(query, t->offset, t->n_keys);
    float *scores = t->scores + query;
    __m256 before = _mm256_loadu_ps(t->largest + query), largest = before;
    for (int key = 0; key < v.n_all; key++)
        largest = _mm256_max_ps(score_of(scores + key * t->stride, scale, slope, positions, key),
                                largest);
    for (int key = v.n_all; key < v.n_some; key++) {
        __m256 score = score_of(scores + key * t->stride, scale, slope, positions, key);
        largest =
            _mm256_max_ps(_mm256_blendv_ps(nothing, score, sees(positions, (float)key)), largest);
    }
    __m256 correction = exp_nonpositive(_mm256_sub_ps(before, largest));
    __m256 total = _mm256_mul_ps(_mm256_loadu_ps(t->total + query), correction);
    for (int key = 0; key < v.n_all; key++) {
        float *at = scores + key * t->stride;
        __m256 weight =
            exp_nonpositive(_mm256_sub_ps(score_of(at, scale, slope, positions, key), largest));
        total = _mm256_add_ps(total, weight);
        _mm256_storeu_ps(at, weight);
    }
    for (int key = v.n_all; key < v.n_some; key++) {
        float *at = scores + key * t->stride;
        __m256 weight =
            exp_nonpositive(_mm256_sub_ps(score_of(at, scale, slope, positions, key), largest));
        weight = _mm256_and_ps(weight, sees(positions, (float)key));
        total = _mm256_add_ps(total, weight);
        _mm256_storeu_ps(at, weight);
    }
    for (int key = v.n_some; key < t->n_keys; key++)
        _mm256_storeu_ps(scores + key * t->stride, _mm256_setzero_ps());
    _mm256_storeu_ps(t->largest + query, largest);
    _mm256_storeu_ps(t->total + query, total);
    _mm256_storeu_ps(t->correction + query, correction);
}

void fal_softmax_tile_avx2(const fal_softmax_tile *t) {
    for (int query = 0; query < t->n_queries; query += LANES)
        softmax_eight(t, query);
}

/* What gradients need of eight queries. */
typedef struct eight {
    __m256 scale, slope, positions, log_sums, means;
} eight;

static inline void differentiate(const eight *e, float *score, float *gradient, int key,
                                 __m256 mask) {
    __m256 x = _mm256_sub_ps(score_of(score, e->scale, e->slope, e->positions, key), e->log_sums);
    __m256 weight = exp_nonpositive(_mm256_min_ps(_mm256_setzero_ps(), x));
    weight = _mm256_and_ps(weight, mask);
    __m256 distance = _mm256_sub_ps(_mm256_loadu_ps(gradient), e->means);
    distance = _mm256_and_ps(distance, mask);
    _mm256_storeu_ps(score, weight);
    _mm256_storeu_ps(gradient, _mm256_mul_ps(_mm256_mul_ps(weight, e->scale), distance));
}

void fal_softmax_gradient_tile_avx2(const fal_softmax_gradient_tile *t) {
    const __m256 all = _mm256_castsi256_ps(_mm256_set1_epi32(-1));
    for (int query = 0; query < t->n_queries; query += LANES) {
        eight e = {_mm256_set1_ps(t->scale), _mm256_set1_ps(t->slope),
                   positions_of(query, t->offset), _mm256_loadu_ps(t->log_sums + query),
                   _mm256_loadu_ps(t->means + query)};
        visible v = visible_to(query, t->offset, t->n_keys);
        float *scores = t->scores + query, *gradients = t->gradients + query;
        for (int key = 0; key < v.n_all; key++)
            differentiate(&e, scores + key * t->stride, gradients + key * t->stride, key, all);
        for (int key = v.n_all; key < v.n_some; key++)
            differentiate(&e, scores + key * t->stride, gradients + key * t->stride, key,
                          sees(e.positions, (float)key));
        for (int key = v.n_some; key < t->n_keys; key++) {
            _mm256_storeu_ps(scores + key * t->stride, _mm256_setzero_ps());
            _mm256_storeu_ps(gradients + key * t->stride, _mm256_setzero_ps());
        }
    }
}
