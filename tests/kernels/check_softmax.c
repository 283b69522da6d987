/* Softmax over tiles of scores and its gradient: every set against double precision, on and off the diagonal, joined to
 * earlier tiles; nothing that is not visible matters. */
#include "kernelcheck.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST = 40, /* keys or queries */
    WHOLE = 40 /* queries rounded up to whole vectors */
};

typedef struct softmax_case {
    int n_keys, n_queries, offset, stride;
    float scale, slope;
    fal_guarded scores, gradients;
    float before[MOST * (WHOLE + 3)], gradients_before[MOST * (WHOLE + 3)];
} softmax_case;

static float *floats_of(const fal_guarded *g) {
    return (float *)(void *)g->data;
}

static int whole(int n) {
    return (n + 7) / 8 * 8;
}

/* Products that no query may see are no numbers. */
static void fill_scores(fal_kernelcheck *c, softmax_case *s, fal_guarded *g, float *before) {
    int64_t n = (int64_t)(s->n_keys - 1) * s->stride + whole(s->n_queries);
    *g = fal_guarded_open((size_t)n * sizeof(float), FAL_AT_END);
    kernelcheck_fill(c, FAL_INPUT_NOISE, floats_of(g), n);
    for (int key = 0; key < s->n_keys; key++) {
        for (int i = 0; i < whole(s->n_queries); i++) {
            if (key > i + s->offset) floats_of(g)[key * s->stride + i] = NAN;
        }
    }
    memcpy(before, g->data, g->bytes);
}

static void open_case(fal_kernelcheck *c, softmax_case *s, int turn) {
    const int keys[] = {1, 2, 8, 17, 40}, queries[] = {1, 3, 8, 13, 16, 40};
    *s = (softmax_case){.n_keys = keys[turn % 5],
                        .n_queries = queries[turn / 5 % 6],
                        .scale = turn % 4 == 3 ? 30.0f : 0.7f,
                        .slope = turn % 3 == 0 ? 0.25f : 0.0f};
    s->offset = turn % 2 ? s->n_keys + turn % 7 : 0;
    s->stride = whole(s->n_queries) + turn % 3;
    kernelcheck_case(c, "%d keys, %d queries, offset %d, slope %g", s->n_keys, s->n_queries,
                     s->offset, (double)s->slope);
    fill_scores(c, s, &s->scores, s->before);
    fill_scores(c, s, &s->gradients, s->gradients_before);
}

static void close_case(fal_kernelcheck *c, softmax_case *s) {
    kernelcheck_margins(c, &s->scores, "the scores");
    kernelcheck_margins(c, &s->gradients, "the gradients");
    fal_guarded_close(&s->scores);
    fal_guarded_close(&s->gradients);
}

static double score_at(const softmax_case *s, int key, int i) {
    return (double)s->before[key * s->stride + i] * (double)s->scale
           + (double)s->slope * (double)(key - i - s->offset);
}

static void check_softmax(fal_kernelcheck *c, int turn) {
    softmax_case s;
    fal_softmax_tile_kernel *kernel;
    float largest[WHOLE], total[WHOLE], correction[WHOLE];
    bool is_first = turn % 3 != 1;
    kernelcheck_find(c, c->set, &kernel);
    open_case(c, &s, turn);
    for (int i = 0; i < WHOLE; i++) {
        largest[i] = is_first ? -INFINITY : (float)(i % 5) - 2.0f;
        total[i] = is_first ? 0.0f : 1.5f;
    }
    kernel(&(fal_softmax_tile){floats_of(&s.scores), s.stride, s.n_keys, s.n_queries, s.offset,
                               s.scale, s.slope, largest, total, correction});
    for (int i = 0; i < s.n_queries; i++) {
        double before = is_first ? -(double)INFINITY : (double)(i % 5) - 2.0, most = before;
        for (int key = 0; key < s.n_keys && key <= i + s.offset; key++)
            most = fmax(most, score_at(&s, key, i));
        double sum = is_first ? 0.0 : 1.5 * exp(before - most),
               bound = 8.0 * (double)FLT_EPSILON * (2.0 + fabs(most) + fabs(before));
        if (is_first) bound = 8.0 * (double)FLT_EPSILON * (2.0 + 4.0 * fabs(most));
        for (int key = 0; key < s.n_keys; key++) {
            float found = floats_of(&s.scores)[key * s.stride + i];
            double weight = key <= i + s.offset ? exp(score_at(&s, key, i) - most) : 0.0;
            sum += weight;
            double off = bound * (1.0 + 2.0 * fabs(most)) * weight + 1e-37;
            if (!kernelcheck_is_near((double)found, weight, off))
                kernelcheck_fail(c, "weight [%d, %d] is %.9g, not %.9g", key, i, (double)found,
                                 weight);
        }
        if (!kernelcheck_is_near((double)largest[i], most, bound))
            kernelcheck_fail(c, "the largest of %d is %.9g, not %.9g", i, (double)largest[i], most);
        if (!kernelcheck_is_near((double)total[i], sum, 30.0 * bound * sum))
            kernelcheck_fail(c, "the total of %d is %.9g, not %.9g", i, (double)total[i], sum);
        double wanted = is_first ? 0.0 : exp(before - most);
        if (!kernelcheck_is_near((double)correction[i], wanted, 4.0 * bound * wanted + 1e-37))
            kernelcheck_fail(c, "the correction of %d is %.9g, not %.9g", i, (double)correction[i],
                             wanted);
    }
    close_case(c, &s);
}

void check_fal_softmax_tile_kernel(fal_kernelcheck *c) {
    for (int turn = 0; turn < 240; turn++)
        check_softmax(c, turn);
}

static void check_gradient(fal_kernelcheck *c, int turn) {
    softmax_case s;
    fal_softmax_gradient_tile_kernel *kernel;
    float log_sums[WHOLE], means[WHOLE];
    kernelcheck_find(c, c->set, &kernel);
    open_case(c, &s, turn);
    for (int i = 0; i < WHOLE; i++) {
        log_sums[i] = 4.0f * s.scale + 0.125f * (float)i;
        means[i] = (float)(i % 7) - 3.0f;
    }
    kernel(&(fal_softmax_gradient_tile){floats_of(&s.scores), floats_of(&s.gradients), s.stride,
                                        s.n_keys, s.n_queries, s.offset, s.scale, s.slope, log_sums,
                                        means});
    for (int i = 0; i < s.n_queries; i++) {
        for (int key = 0; key < s.n_keys; key++) {
            int64_t at = key * s.stride + i;
            bool is_seen = key <= i + s.offset;
            double x = is_seen ? score_at(&s, key, i) - (double)log_sums[i] : 0.0;
            double weight = is_seen ? exp(fmin(x, 0.0)) : 0.0;
            double distance = is_seen ? (double)s.gradients_before[at] - (double)means[i] : 0.0;
            double off = (double)FLT_EPSILON * (8.0 + 3.0 * fabs(x) + 3.0 * (double)log_sums[i]);
            if (!kernelcheck_is_near((double)floats_of(&s.scores)[at], weight,
                                     off * weight + 1e-37))
                kernelcheck_fail(c, "weight [%d, %d] is %.9g, not %.9g", key, i,
                                 (double)floats_of(&s.scores)[at], weight);
            double wanted = weight * (double)s.scale * distance;
            double size = weight * (double)s.scale * (fabs(distance) + 4.0);
            if (!kernelcheck_is_near((double)floats_of(&s.gradients)[at], wanted,
                                     off * size + 1e-35))
                kernelcheck_fail(c, "gradient [%d, %d] is %.9g, not %.9g", key, i,
                                 (double)floats_of(&s.gradients)[at], wanted);
        }
    }
    close_case(c, &s);
}

void check_fal_softmax_gradient_tile_kernel(fal_kernelcheck *c) {
    for (int turn = 0; turn < 240; turn++)
        check_gradient(c, turn);
}
