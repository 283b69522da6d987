/* Attention over spans of cells, and the joining of two spans' parts, against softmax in double precision. */
#include "kernelcheck.h"
#include "quant/type.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_QUERIES = 19,
    MAX_DIM = 128,
    MAX_CELLS = FAL_ATTEND_SPAN
};

/* The arguments of one call in plain arrays, and its results. */
struct span {
    const fal_type *type;                  /* of the cells */
    int head_dim, n_queries, n_cells, gap; /* gap: blocks of 32 bytes between the cells' rows */
    bool has_slope;
    float scale;
    float query[MAX_QUERIES * MAX_DIM];
    float keys[MAX_CELLS * MAX_DIM], values[MAX_CELLS * MAX_DIM];
    int n_visible[MAX_QUERIES], distance[MAX_QUERIES];
    float slope[MAX_QUERIES];
};

struct part {
    float sums[MAX_QUERIES * MAX_DIM], largest[MAX_QUERIES], total[MAX_QUERIES];
};

static size_t head_bytes(const struct span *s) {
    return (size_t)(s->head_dim / s->type->weights_per_block) * (size_t)s->type->bytes_per_block;
}

static size_t row_bytes(const struct span *s) {
    return head_bytes(s) + (size_t)s->gap * 32;
}

/* As the cache keeps it: rows of blocks with gaps that no kernel may rely on. */
static fal_guarded cells_of(const struct span *s, const float *numbers, fal_placement placement) {
    size_t bytes = (size_t)(s->n_cells - 1) * row_bytes(s) + head_bytes(s);
    fal_guarded g = fal_guarded_open(bytes, placement);
    memset(g.data, 0xff, bytes); /* not a number in f16 and f32 */
    for (int cell = 0; cell < s->n_cells; cell++)
        s->type->encode(numbers + cell * s->head_dim, NULL, g.data + (size_t)cell * row_bytes(s),
                        s->head_dim / s->type->weights_per_block);
    return g;
}

/* Replaces numbers by what cells of the type hold of them. */
static void round_to_cells(const struct span *s, float *numbers) {
    for (int cell = 0; cell < s->n_cells; cell++) {
        float *row = numbers + cell * s->head_dim;
        _Alignas(4) unsigned char blocks[MAX_DIM * sizeof(float)];
        int64_t n_blocks = s->head_dim / s->type->weights_per_block;
        s->type->encode(row, NULL, blocks, n_blocks);
        s->type->decode(blocks, row, n_blocks);
    }
}

static fal_guarded copy(const void *bytes, size_t n, fal_placement placement) {
    fal_guarded g = fal_guarded_open(n, placement);
    memcpy(g.data, bytes, n);
    return g;
}

/* Queries [first, first + n) of s. */
static void run(fal_kernelcheck *c, const struct span *s, int first, int n, fal_placement placement,
                struct part *out) {
    fal_attend_kernel *kernel;
    kernelcheck_find(c, c->set, &kernel);
    size_t dim = (size_t)s->head_dim, count = (size_t)n;
    int64_t stride = FAL_ATTEND_PADDED(s->head_dim);
    size_t scratch_floats = (size_t)FAL_ATTEND_SCRATCH(s->head_dim);
    float *scratch = aligned_alloc(64, (scratch_floats * sizeof(float) + 63) / 64 * 64);
    if (!scratch) exit(1);
    fal_guarded keys = cells_of(s, s->keys, placement);
    fal_guarded values = cells_of(s, s->values, placement);
    fal_guarded query =
        copy(s->query + (size_t)first * dim, count * dim * sizeof(float), placement);
    fal_guarded visible = copy(s->n_visible + first, count * sizeof(int), placement);
    fal_guarded distance = copy(s->distance + first, count * sizeof(int), placement);
    fal_guarded slope = copy(s->slope + first, count * sizeof(float), placement);
    fal_guarded sums = fal_guarded_open(count * (size_t)stride * sizeof(float), placement);
    fal_guarded largest = fal_guarded_open(count * sizeof(float), placement);
    fal_guarded total = fal_guarded_open(count * sizeof(float), placement);
    fal_attend_span call = {.keys = keys.data,
                            .values = values.data,
                            .key_bytes = row_bytes(s),
                            .value_bytes = row_bytes(s),
                            .head_dim = s->head_dim,
                            .n_queries = n,
                            .n_cells = s->n_cells,
                            .query = (const float *)(void *)query.data,
                            .n_visible = (const int *)(void *)visible.data,
                            .scale = s->scale,
                            .slope = s->has_slope ? (const float *)(void *)slope.data : NULL,
                            .distance = (const int *)(void *)distance.data,
                            .sums = (float *)(void *)sums.data,
                            .sums_stride = stride,
                            .largest = (float *)(void *)largest.data,
                            .total = (float *)(void *)total.data,
                            .scratch = scratch};
    kernel(&call);
    for (int q = 0; q < n; q++) {
        memcpy(out->sums + q * MAX_DIM, call.sums + q * stride, dim * sizeof(float));
        out->largest[q] = call.largest[q];
        out->total[q] = call.total[q];
    }
    fal_guarded *all[] = {&keys,  &values, &query,   &visible, &distance,
                          &slope, &sums,   &largest, &total};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        kernelcheck_margins(c, all[i], "an argument");
        fal_guarded_close(all[i]);
    }
    free(scratch);
}

/* One query in double. The weights' relative error is the scores' absolute one, plus that of the exponential. */
static void compare_query(fal_kernelcheck *c, const struct span *s, int q,
                          const struct part *part) {
    const double epsilon = (double)FLT_EPSILON;
    double scores[MAX_CELLS], largest = (double)-INFINITY, total = 0.0, error = 0.0;
    int n = s->n_visible[q];
    for (int cell = 0; cell < n; cell++) {
        double score = 0.0, magnitude = 0.0;
        for (int i = 0; i < s->head_dim; i++) {
            double term =
                (double)s->query[q * s->head_dim + i] * (double)s->keys[cell * s->head_dim + i];
            score += term;
            magnitude += fabs(term);
        }
        double shift = s->has_slope ? (double)s->slope[q] * (double)(cell - s->distance[q]) : 0.0;
        scores[cell] = score * (double)s->scale + shift;
        double worst =
            (magnitude * (double)s->scale * (s->head_dim + 2) + 3.0 * fabs(shift)) * epsilon;
        error = fmax(error, worst);
        largest = fmax(largest, scores[cell]);
    }
    if (!kernelcheck_is_near((double)part->largest[q], largest, error))
        kernelcheck_fail(c, "query %d: largest score %g, not %g", q, (double)part->largest[q],
                         largest);
    for (int cell = 0; cell < n; cell++) {
        total += exp(scores[cell] - largest);
    }
    /* Of a weight: its score's and the largest score's error, the exponential, and one rounding for each sum. */
    double relative = 2.0 * error + (n + 64.0) * epsilon;
    if (!kernelcheck_is_near((double)part->total[q], total, relative * total))
        kernelcheck_fail(c, "query %d: total %.9g, not %.9g", q, (double)part->total[q], total);
    for (int i = 0; i < s->head_dim; i++) {
        double sum = 0.0, magnitude = 0.0, actual = (double)part->sums[q * MAX_DIM + i];
        for (int cell = 0; cell < n; cell++) {
            double term = exp(scores[cell] - largest) * (double)s->values[cell * s->head_dim + i];
            sum += term;
            magnitude += fabs(term);
        }
        if (!kernelcheck_is_near(actual, sum, relative * magnitude + 1e-30))
            kernelcheck_fail(c, "query %d, sum %d: %.9g, not %.9g within %.3g", q, i, actual, sum,
                             relative * magnitude);
    }
}

static void fill(fal_kernelcheck *c, struct span *s, fal_inputs inputs) {
    int n_cells = s->n_cells, n_queries = s->n_queries;
    kernelcheck_fill(c, inputs, s->keys, (int64_t)n_cells * s->head_dim);
    kernelcheck_fill(c, FAL_INPUT_NOISE, s->values, (int64_t)n_cells * s->head_dim);
    round_to_cells(s, s->keys);
    round_to_cells(s, s->values);
    kernelcheck_fill(c, FAL_INPUT_NOISE, s->query, (int64_t)n_queries * s->head_dim);
    s->scale = 1.0f / sqrtf((float)s->head_dim);
    for (int q = 0; q < n_queries; q++) {
        int seen = n_cells - n_queries + 1 + q;
        s->n_visible[q] = seen < 0 ? 0 : seen;
        s->distance[q] = seen - 1;
        s->slope[q] = ldexpf(1.0f, -(q % 8)) * s->scale;
    }
}

/* A query's part has the same bits whatever queries stand beside it. */
static void check_alone(fal_kernelcheck *c, const struct span *s, const struct part *all) {
    struct part alone;
    for (int q = 0; q < s->n_queries; q++) {
        run(c, s, q, 1, q % 2 ? FAL_AT_START : FAL_AT_END, &alone);
        bool same =
            memcmp(&alone.largest[0], &all->largest[q], sizeof(float)) == 0
            && memcmp(&alone.total[0], &all->total[q], sizeof(float)) == 0
            && memcmp(alone.sums, all->sums + q * MAX_DIM, (size_t)s->head_dim * sizeof(float))
                   == 0;
        if (!same) kernelcheck_fail(c, "query %d has other bits alone", q);
    }
}

void check_fal_attend_kernel(fal_kernelcheck *c) {
    static const int dims[] = {2, 8, 24, 48, 64, 80, 128};
    static const int cells[] = {1, 2, 7, 8, 63, 64, 65, 200, MAX_CELLS};
    static const int queries[] = {1, 2, 3, 4, 5, 8, MAX_QUERIES};
    static struct span s;
    static struct part part;
    s.type = fal_type_by_name(c->kernel + strlen("attend_"));
    for (int turn = 0; turn < 7 * 9 * 7; turn += c->is_brief ? 5 : 1) {
        fal_inputs inputs = turn % 11 == 3 ? FAL_INPUT_SPIKES : FAL_INPUT_NOISE;
        s.head_dim = dims[turn % 7];
        if (s.head_dim % s.type->weights_per_block != 0) s.head_dim = s.type->weights_per_block;
        s.n_cells = cells[turn / 7 % 9];
        s.n_queries = queries[turn / 63];
        s.gap = turn % 3;
        s.has_slope = turn % 2 != 0;
        kernelcheck_case(c, "%d queries of %d over %d cells, %s%s", s.n_queries, s.head_dim,
                         s.n_cells, kernelcheck_input_name(inputs), s.has_slope ? ", slope" : "");
        fill(c, &s, inputs);
        run(c, &s, 0, s.n_queries, turn % 2 ? FAL_AT_START : FAL_AT_END, &part);
        for (int q = 0; q < s.n_queries; q++) {
            compare_query(c, &s, q, &part);
        }
        if (turn % 3 == 0) check_alone(c, &s, &part);
    }
}

void check_fal_attend_join_kernel(fal_kernelcheck *c) {
    static const float tops[] = {-INFINITY, -3.0f, 0.0f, 2.5f, 90.0f};
    fal_attend_join_kernel *kernel;
    float a[MAX_DIM], b[MAX_DIM];
    kernelcheck_find(c, c->set, &kernel);
    for (int turn = 0; turn < 25 * 4; turn++) {
        int n = FAL_ATTEND_PAD << turn / 25 % 4;
        float top = tops[turn % 5], more_top = tops[turn / 5 % 5];
        float total = isinf(top) ? 0.0f : 3.5f, more_total = isinf(more_top) ? 0.0f : 1.25f;
        kernelcheck_case(c, "%d sums, largest %g and %g", n, (double)top, (double)more_top);
        kernelcheck_fill(c, FAL_INPUT_NOISE, a, n);
        kernelcheck_fill(c, FAL_INPUT_NOISE, b, n);
        for (int i = 0; i < n; i++) {
            if (total == 0.0f) a[i] = 0.0f;
            if (more_total == 0.0f) b[i] = 0.0f;
        }
        fal_guarded sums = copy(a, (size_t)n * sizeof *a, FAL_AT_END);
        fal_guarded more = copy(b, (size_t)n * sizeof *b, FAL_AT_END);
        float largest = top, joined = total;
        kernel((float *)(void *)sums.data, &largest, &joined, (const float *)(void *)more.data,
               more_top, more_total, n);
        double highest = fmax((double)top, (double)more_top);
        double factor = total == 0.0f ? 0.0 : exp((double)top - highest);
        double more_factor = more_total == 0.0f ? 0.0 : exp((double)more_top - highest);
        double expected = (double)total * factor + (double)more_total * more_factor;
        if ((double)largest != highest) kernelcheck_fail(c, "largest %g", (double)largest);
        if (!kernelcheck_is_near((double)joined, expected, 1e-6 * expected))
            kernelcheck_fail(c, "total %.9g, not %.9g", (double)joined, expected);
        for (int i = 0; i < n; i++) {
            double first = (double)a[i] * factor, second = (double)b[i] * more_factor;
            float actual;
            memcpy(&actual, sums.data + (size_t)i * sizeof actual, sizeof actual);
            if (!kernelcheck_is_near((double)actual, first + second,
                                     1e-6 * (fabs(first) + fabs(second)) + 1e-30))
                kernelcheck_fail(c, "sum %d: %.9g, not %.9g", i, (double)actual, first + second);
        }
        kernelcheck_margins(c, &sums, "sums");
        fal_guarded_close(&sums);
        fal_guarded_close(&more);
    }
}
