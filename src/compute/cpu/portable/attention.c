/* Attention of queries over one span of cells in plain C.
 *
 * Cells pass in tiles: a tile's keys are turned, so that a loop over cells meets neighbours, and both keys and values
 * become f32 once for all queries. The softmax is carried from tile to tile by its largest score. */
#include "base/half.h"
#include "compute/cpu/kernels.h"
#include "compute/cpu/portable/exp.h"
#include "quant/q8_0.h"

#include <math.h>
#include <string.h>

enum {
    TILE = FAL_ATTEND_TILE
};

typedef struct attend_tile {
    int first, n_cells; /* within the span */
    float *keys;        /* [head_dim, TILE]; zero behind n_cells */
    float *values;      /* [n_cells, sums_stride]; zero behind head_dim */
} attend_tile;

static float f16_at(const char *row, int i) {
    uint16_t half;
    memcpy(&half, row + (size_t)i * sizeof half, sizeof half);
    return fal_f32_from_f16(half);
}

static float q8_0_at(const char *row, int i) {
    struct fal_q8_0 block;
    memcpy(&block, row + (size_t)(i / 32) * sizeof block, sizeof block);
    return fal_q8_0_weight(&block, i % 32);
}

static float f32_at(const char *row, int i) {
    float value;
    memcpy(&value, row + (size_t)i * sizeof value, sizeof value);
    return value;
}

static inline void load_tile(const fal_attend_span *s, const attend_tile *tile,
                             float (*at)(const char *row, int i)) {
    for (int i = 0; i < s->head_dim; i++)
        memset(tile->keys + (int64_t)i * TILE, 0, TILE * sizeof *tile->keys);
    for (int cell = 0; cell < tile->n_cells; cell++) {
        size_t index = (size_t)(tile->first + cell);
        const char *key = (const char *)s->keys + index * s->key_bytes;
        const char *value = (const char *)s->values + index * s->value_bytes;
        float *values = tile->values + cell * s->sums_stride;
        for (int i = 0; i < s->head_dim; i++) {
            tile->keys[(int64_t)i * TILE + cell] = at(key, i);
            values[i] = at(value, i);
        }
        for (int64_t i = s->head_dim; i < s->sums_stride; i++)
            values[i] = 0.0f;
    }
}

/* scores [TILE]; of cells behind the visible ones they are computed and not used. */
static void score(const fal_attend_span *s, const attend_tile *tile, int q, float *scores) {
    const float *query = s->query + (int64_t)q * s->head_dim;
    float products[TILE] = {0.0f};
    for (int i = 0; i < s->head_dim; i++) {
        const float *keys = tile->keys + (int64_t)i * TILE;
        for (int cell = 0; cell < TILE; cell++)
            products[cell] += query[i] * keys[cell];
    }
    float slope = s->slope ? s->slope[q] : 0.0f;
    for (int cell = 0; cell < TILE; cell++) {
        scores[cell] = products[cell] * s->scale;
        if (s->slope) scores[cell] += slope * (float)(tile->first + cell - s->distance[q]);
    }
}

/* One query over the first n cells of a tile, n at least 1. */
static void attend_query(const fal_attend_span *s, const attend_tile *tile, int q, int n) {
    float scores[TILE];
    score(s, tile, q, scores);
    float before = s->largest[q], largest = before;
    for (int cell = 0; cell < n; cell++)
        largest = scores[cell] > largest ? scores[cell] : largest;
    bool is_empty =
        largest == -INFINITY; /* no weight at all; the difference of infinities is never taken */
    if (is_empty) largest = 0.0f;
    for (int cell = 0; cell < TILE; cell++)
        scores[cell] = exp_nonpositive(scores[cell] - largest);
    float total = 0.0f;
    for (int cell = 0; cell < n; cell++)
        total += scores[cell];
    float factor = exp_nonpositive(before - largest);
    s->largest[q] = is_empty ? before : largest;
    s->total[q] = s->total[q] * factor + total;
    float *sums = s->sums + q * s->sums_stride;
    for (int64_t i = 0; i < s->sums_stride; i++)
        sums[i] *= factor;
    for (int cell = 0; cell < n; cell++) {
        const float *values = tile->values + cell * s->sums_stride;
        for (int64_t i = 0; i < s->sums_stride; i++)
            sums[i] += scores[cell] * values[i];
    }
}

static inline void attend(const fal_attend_span *s, float (*at)(const char *row, int i)) {
    memset(s->sums, 0, (size_t)(s->n_queries * s->sums_stride) * sizeof *s->sums);
    for (int q = 0; q < s->n_queries; q++) {
        s->largest[q] = -INFINITY;
        s->total[q] = 0.0f;
    }
    attend_tile tile = {.keys = s->scratch, .values = s->scratch + (int64_t)TILE * s->head_dim};
    for (; tile.first < s->n_cells; tile.first += TILE) {
        tile.n_cells = s->n_cells - tile.first < TILE ? s->n_cells - tile.first : TILE;
        load_tile(s, &tile, at);
        for (int q = 0; q < s->n_queries; q++) {
            int n = s->n_visible[q] - tile.first;
            if (n > 0) attend_query(s, &tile, q, n < tile.n_cells ? n : tile.n_cells);
        }
    }
}

void fal_attend_f16_portable(const fal_attend_span *span) {
    attend(span, f16_at);
}

void fal_attend_q8_0_portable(const fal_attend_span *span) {
    attend(span, q8_0_at);
}

void fal_attend_f32_portable(const fal_attend_span *span) {
    attend(span, f32_at);
}

void fal_attend_join_portable(float *sums, float *largest, float *total, const float *more_sums,
                              float more_largest, float more_total, int64_t n) {
    if (more_largest == -INFINITY && more_total == 0.0f) return;
    float top = *largest > more_largest ? *largest : more_largest;
    float factor = exp_nonpositive(*largest - top), more = exp_nonpositive(more_largest - top);
    for (int64_t i = 0; i < n; i++)
        sums[i] = sums[i] * factor + more_sums[i] * more;
    *total = *total * factor + more_total * more;
    *largest = top;
}
