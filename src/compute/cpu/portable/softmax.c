/* Softmax over tiles of scores and its gradient in plain C. A key's scores lie side by side, so that loops over queries can
 * be vectorised. */
#include "compute/cpu/kernels.h"
#include "compute/cpu/portable/exp.h"

#include <math.h>

/* The first query that sees key j; those behind it do, too. */
static int first_query(int key, int offset, int n_queries) {
    int first = key - offset;
    return first < 0 ? 0 : first < n_queries ? first : n_queries;
}

static inline float score_of(const fal_softmax_tile *t, int key, int query) {
    float distance = (float)(key - query - t->offset);
    return t->scores[key * t->stride + query] * t->scale + t->slope * distance;
}

void fal_softmax_tile_portable(const fal_softmax_tile *t) {
    for (int i = 0; i < t->n_queries; i++)
        t->correction[i] = t->largest[i];
    for (int key = 0; key < t->n_keys; key++) {
        for (int i = first_query(key, t->offset, t->n_queries); i < t->n_queries; i++) {
            float score = score_of(t, key, i);
            t->largest[i] = score > t->largest[i] ? score : t->largest[i];
        }
    }
    for (int i = 0; i < t->n_queries; i++) {
        t->correction[i] = exp_nonpositive(t->correction[i] - t->largest[i]);
        t->total[i] *= t->correction[i];
    }
    for (int key = 0; key < t->n_keys; key++) {
        int first = first_query(key, t->offset, t->n_queries);
        float *weights = t->scores + key * t->stride;
        for (int i = 0; i < first; i++)
            weights[i] = 0.0f;
        for (int i = first; i < t->n_queries; i++) {
            weights[i] = exp_nonpositive(score_of(t, key, i) - t->largest[i]);
            t->total[i] += weights[i];
        }
    }
}

void fal_softmax_gradient_tile_portable(const fal_softmax_gradient_tile *t) {
    for (int key = 0; key < t->n_keys; key++) {
        int first = first_query(key, t->offset, t->n_queries);
        float *weights = t->scores + key * t->stride, *gradients = t->gradients + key * t->stride;
        for (int i = 0; i < first; i++)
            weights[i] = gradients[i] = 0.0f;
        for (int i = first; i < t->n_queries; i++) {
            float distance = (float)(key - i - t->offset);
            float x = weights[i] * t->scale + t->slope * distance - t->log_sums[i];
            weights[i] = exp_nonpositive(x > 0.0f ? 0.0f : x);
            gradients[i] = weights[i] * t->scale * (gradients[i] - t->means[i]);
        }
    }
}
