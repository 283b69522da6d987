/* Attention of queries over one span of cells with NEON.
 *
 * Cells pass in tiles: a tile's keys are turned and its values copied as f32, once for all queries. Scores and sums are
 * then products of small matrices, a few queries by a few vectors in registers. Every number is added up in one lane, in
 * the order of dimensions or cells, so that the cut into blocks of queries never shows in a result. Only arrays whose loops
 * are unrolled live in registers. */
#include "base/half.h"
#include "compute/cpu/arm_neon/exp_neon.h"
#include "compute/cpu/kernels.h"
#include "quant/q8_0.h"

#include <math.h>

#define ATTEND_INLINE static inline __attribute__((always_inline))

enum {
    TILE = FAL_ATTEND_TILE,
    ROWS = 6, /* queries of a block */
    VECTORS =
        24 /* sums of a block that stay in registers, beside keys or values and queries or weights */
};

typedef struct attend_tile {
    int first, n_cells; /* within the span */
    float *keys;        /* [head_dim, TILE]; zero behind n_cells */
    float *values;      /* [n_cells, sums_stride]; zero behind head_dim */
    float *weights;     /* [ROWS, TILE]: scores of a block of queries, then their weights */
} attend_tile;

/* Numbers of a head's row as f32: i is a multiple of 4 where four are loaded. The kernels differ in nothing else. */
typedef struct cell_format {
    float32x4_t (*load_four)(const char *row, int i);
    float (*load_one)(const char *row, int i);
    int numbers_per_block;
    size_t bytes_per_block;
} cell_format;

ATTEND_INLINE float32x4_t load_four_f32(const char *row, int i) {
    return vld1q_f32((const float *)(const void *)row + i);
}

ATTEND_INLINE float load_one_f32(const char *row, int i) {
    float value;
    memcpy(&value, row + (size_t)i * sizeof value, sizeof value);
    return value;
}

ATTEND_INLINE float32x4_t load_four_f16(const char *row, int i) {
    uint16_t halves[LANES];
    memcpy(halves, row + (size_t)i * sizeof *halves, sizeof halves);
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(halves)));
}

ATTEND_INLINE float load_one_f16(const char *row, int i) {
    uint16_t half;
    memcpy(&half, row + (size_t)i * sizeof half, sizeof half);
    return fal_f32_from_f16(half);
}

ATTEND_INLINE float32x4_t load_four_q8_0(const char *row, int i) {
    const char *block = row + (size_t)(i / 32) * sizeof(struct fal_q8_0);
    uint32_t codes;
    memcpy(&codes, block + offsetof(struct fal_q8_0, q) + i % 32, sizeof codes);
    int16x8_t wide = vmovl_s8(vreinterpret_s8_u32(vdup_n_u32(codes)));
    return vmulq_n_f32(vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide))), load_one_f16(block, 0));
}

ATTEND_INLINE float load_one_q8_0(const char *row, int i) {
    struct fal_q8_0 block;
    memcpy(&block, row + (size_t)(i / 32) * sizeof block, sizeof block);
    return fal_q8_0_weight(&block, i % 32);
}

/* Rows into columns. */
ATTEND_INLINE void transpose_four(float32x4_t *r) {
    float64x2_t even[2], odd[2];
    for (int i = 0; i < 2; i++) {
        even[i] = vreinterpretq_f64_f32(vtrn1q_f32(r[2 * i], r[2 * i + 1]));
        odd[i] = vreinterpretq_f64_f32(vtrn2q_f32(r[2 * i], r[2 * i + 1]));
    }
    r[0] = vreinterpretq_f32_f64(vtrn1q_f64(even[0], even[1]));
    r[1] = vreinterpretq_f32_f64(vtrn1q_f64(odd[0], odd[1]));
    r[2] = vreinterpretq_f32_f64(vtrn2q_f64(even[0], even[1]));
    r[3] = vreinterpretq_f32_f64(vtrn2q_f64(odd[0], odd[1]));
}

ATTEND_INLINE void load_keys(const fal_attend_span *s, const attend_tile *tile,
                             const cell_format format) {
    for (int cell = 0; cell < TILE; cell += LANES) {
        int n = tile->n_cells - cell;
        const char *keys = (const char *)s->keys + (size_t)(tile->first + cell) * s->key_bytes;
        int i = 0;
        for (; i + LANES <= s->head_dim; i += LANES) {
            float32x4_t rows[LANES];
            for (int row = 0; row < LANES; row++) {
                const char *from = keys + (size_t)row * s->key_bytes;
                rows[row] = row < n ? format.load_four(from, i) : vdupq_n_f32(0.0f);
            }
            transpose_four(rows);
            for (int row = 0; row < LANES; row++)
                vst1q_f32(tile->keys + (int64_t)(i + row) * TILE + cell, rows[row]);
        }
        for (; i < s->head_dim; i++) {
            for (int row = 0; row < LANES; row++) {
                const char *from = keys + (size_t)row * s->key_bytes;
                tile->keys[(int64_t)i * TILE + cell + row] =
                    row < n ? format.load_one(from, i) : 0.0f;
            }
        }
    }
}

ATTEND_INLINE void load_values(const fal_attend_span *s, const attend_tile *tile,
                               const cell_format format) {
    for (int cell = 0; cell < tile->n_cells; cell++) {
        const char *from = (const char *)s->values + (size_t)(tile->first + cell) * s->value_bytes;
        float *to = tile->values + cell * s->sums_stride;
        int i = 0;
        for (; i + LANES <= s->head_dim; i += LANES)
            vst1q_f32(to + i, format.load_four(from, i));
        for (; i < s->head_dim; i++)
            to[i] = format.load_one(from, i);
        for (; i < s->sums_stride; i++)
            to[i] = 0.0f;
    }
}

/* Cells of one kv head lie far apart, which the processor's own prefetching does not follow. */
ATTEND_INLINE void prefetch_cells(const void *cells, size_t cell_bytes, int begin, int end,
                                  size_t row_bytes) {
    for (int cell = begin; cell < end; cell++) {
        const char *row = (const char *)cells + (size_t)cell * cell_bytes;
        for (size_t i = 0; i < row_bytes; i += 64)
            __builtin_prefetch(row + i);
    }
}

/* scores [n_rows, TILE] from column `cell` on: products of queries and keys, n_rows by 4 * n_vectors. */
ATTEND_INLINE void score_block(const int n_rows, const int n_vectors, const float *query,
                               int head_dim, const float *keys, float *scores) {
    float32x4_t sums[VECTORS];
#pragma GCC unroll 24
    for (int j = 0; j < n_rows * n_vectors; j++)
        sums[j] = vdupq_n_f32(0.0f);
    for (int i = 0; i < head_dim; i++) {
        const float *from = keys + (int64_t)i * TILE;
#pragma GCC unroll 24
        for (int row = 0; row < n_rows; row++) {
            float number = query[(int64_t)row * head_dim + i];
            float32x4_t *sum = sums + row * n_vectors;
#pragma GCC unroll 24
            for (int v = 0; v < n_vectors; v++)
                sum[v] = vfmaq_n_f32(sum[v], vld1q_f32(from + LANES * v), number);
        }
    }
#pragma GCC unroll 24
    for (int row = 0; row < n_rows; row++) {
#pragma GCC unroll 24
        for (int v = 0; v < n_vectors; v++)
            vst1q_f32(scores + row * TILE + LANES * v, sums[row * n_vectors + v]);
    }
}

ATTEND_INLINE void score_rows(const int n_rows, const int n_vectors, const float *query,
                              int head_dim, const attend_tile *tile, int n_cells) {
    for (int cell = 0; cell < n_cells; cell += LANES * n_vectors)
        score_block(n_rows, n_vectors, query, head_dim, tile->keys + cell, tile->weights + cell);
}

/* The first n_cells scores of a block of queries, at least. */
static void score(const fal_attend_span *s, const attend_tile *tile, int q, int n_rows,
                  int n_cells) {
    const float *query = s->query + (int64_t)q * s->head_dim;
    switch (n_rows) {
    case 1: score_rows(1, 16, query, s->head_dim, tile, n_cells); break;
    case 2: score_rows(2, 8, query, s->head_dim, tile, n_cells); break;
    case 3: score_rows(3, 8, query, s->head_dim, tile, n_cells); break;
    case 4: score_rows(4, 4, query, s->head_dim, tile, n_cells); break;
    case 5: score_rows(5, 4, query, s->head_dim, tile, n_cells); break;
    default: score_rows(6, 4, query, s->head_dim, tile, n_cells); break;
    }
}

/* Scales the first n scores of one query, adds what distance costs, and puts -infinity behind them up to a whole vector.
 * Returns the largest. */
static float finish_scores(const fal_attend_span *s, const attend_tile *tile, int q, int n,
                           float *scores) {
    static const float steps[LANES] = {0.0f, 1.0f, 2.0f, 3.0f};
    const float32x4_t lowest = vdupq_n_f32(-INFINITY), visible = vdupq_n_f32((float)n);
    float32x4_t top = lowest;
    for (int i = 0; i < n; i += LANES) {
        float32x4_t v = vmulq_n_f32(vld1q_f32(scores + i), s->scale);
        if (s->slope) {
            float32x4_t start = vdupq_n_f32((float)(tile->first + i - s->distance[q]));
            v = vfmaq_n_f32(v, vaddq_f32(start, vld1q_f32(steps)), s->slope[q]);
        }
        float32x4_t index = vaddq_f32(vdupq_n_f32((float)i), vld1q_f32(steps));
        v = vbslq_f32(vcltq_f32(index, visible), v, lowest);
        vst1q_f32(scores + i, v);
        top = vmaxnmq_f32(top, v); /* a score that is no number does not count */
    }
    return vmaxnmvq_f32(top);
}

/* Turns the scores of one query into weights, of which the first n count. Returns what earlier sums are multiplied by. */
static float weigh(const fal_attend_span *s, const attend_tile *tile, int q, int n,
                   float *weights) {
    float before = s->largest[q], largest = finish_scores(s, tile, q, n, weights);
    largest = before > largest ? before : largest;
    s->largest[q] = largest;
    if (largest == -INFINITY) largest = 0.0f; /* no weight at all: infinities are not subtracted */
    float factor = 1.0f;
    if (before != largest)
        factor = vgetq_lane_f32(exp_nonpositive(vdupq_n_f32(before - largest)), 0);
    float32x4_t sum = vdupq_n_f32(0.0f), subtrahend = vdupq_n_f32(largest);
    for (int i = 0; i < n; i += LANES) {
        float32x4_t v = exp_nonpositive(vsubq_f32(vld1q_f32(weights + i), subtrahend));
        vst1q_f32(weights + i, v);
        sum = vaddq_f32(sum, v);
    }
    s->total[q] = s->total[q] * factor + vaddvq_f32(sum);
    return factor;
}

/* sums = sums * factor + weights . values over cells [begin, end), n_rows by 4 * n_vectors. */
ATTEND_INLINE void sum_block(const int n_rows, const int n_vectors, const float *weights,
                             const float *factors, const float *values, int64_t stride, float *sums,
                             int begin, int end) {
    float32x4_t block[VECTORS];
#pragma GCC unroll 24
    for (int row = 0; row < n_rows; row++) {
#pragma GCC unroll 24
        for (int v = 0; v < n_vectors; v++)
            block[row * n_vectors + v] =
                vmulq_n_f32(vld1q_f32(sums + row * stride + LANES * v), factors[row]);
    }
    for (int cell = begin; cell < end; cell++) {
        const float *from = values + cell * stride;
#pragma GCC unroll 24
        for (int row = 0; row < n_rows; row++) {
            float weight = weights[row * TILE + cell];
            float32x4_t *sum = block + row * n_vectors;
#pragma GCC unroll 24
            for (int v = 0; v < n_vectors; v++)
                sum[v] = vfmaq_n_f32(sum[v], vld1q_f32(from + LANES * v), weight);
        }
    }
#pragma GCC unroll 24
    for (int row = 0; row < n_rows; row++) {
#pragma GCC unroll 24
        for (int v = 0; v < n_vectors; v++)
            vst1q_f32(sums + row * stride + LANES * v, block[row * n_vectors + v]);
    }
}

ATTEND_INLINE void sum_rows(const int n_rows, const int n_vectors, const attend_tile *tile, int row,
                            const float *factors, int64_t stride, float *sums, int begin, int end) {
    const float *weights = tile->weights + row * TILE;
    for (int64_t i = 0; i < stride; i += LANES * n_vectors)
        sum_block(n_rows, n_vectors, weights, factors, tile->values + i, stride, sums + i, begin,
                  end);
}

static void sum_one_row(const attend_tile *tile, int row, const float *factor, int64_t stride,
                        float *sums, int begin, int end) {
    if (stride % 64 == 0)
        sum_rows(1, 16, tile, row, factor, stride, sums, begin, end);
    else
        sum_rows(1, 4, tile, row, factor, stride, sums, begin, end);
}

static void sum_up(const attend_tile *tile, int n_rows, const float *factors, int64_t stride,
                   float *sums, int n) {
    switch (n_rows) {
    case 1: sum_one_row(tile, 0, factors, stride, sums, 0, n); break;
    case 2: sum_rows(2, 4, tile, 0, factors, stride, sums, 0, n); break;
    case 3: sum_rows(3, 4, tile, 0, factors, stride, sums, 0, n); break;
    case 4: sum_rows(4, 4, tile, 0, factors, stride, sums, 0, n); break;
    case 5: sum_rows(5, 4, tile, 0, factors, stride, sums, 0, n); break;
    default: sum_rows(6, 4, tile, 0, factors, stride, sums, 0, n); break;
    }
}

static int visible_in_tile(const fal_attend_span *s, const attend_tile *tile, int q) {
    int n = s->n_visible[q] - tile->first;
    return n < tile->n_cells ? n : tile->n_cells;
}

/* Up to ROWS queries, each of which sees at least one cell of the tile; later ones see no fewer. */
static void attend_block(const fal_attend_span *s, const attend_tile *tile, int q, int n_rows) {
    static const float one = 1.0f;
    float factors[ROWS];
    int n_least = visible_in_tile(s, tile, q);
    score(s, tile, q, n_rows, visible_in_tile(s, tile, q + n_rows - 1));
    for (int row = 0; row < n_rows; row++)
        factors[row] =
            weigh(s, tile, q + row, visible_in_tile(s, tile, q + row), tile->weights + row * TILE);
    float *sums = s->sums + q * s->sums_stride;
    sum_up(tile, n_rows, factors, s->sums_stride, sums, n_least);
    for (int row = 0; row < n_rows; row++) {
        int n = visible_in_tile(s, tile, q + row);
        if (n > n_least)
            sum_one_row(tile, row, &one, s->sums_stride, sums + row * s->sums_stride, n_least, n);
    }
}

ATTEND_INLINE void attend(const fal_attend_span *s, const cell_format format) {
    memset(s->sums, 0, (size_t)(s->n_queries * s->sums_stride) * sizeof *s->sums);
    for (int q = 0; q < s->n_queries; q++) {
        s->largest[q] = -INFINITY;
        s->total[q] = 0.0f;
    }
    attend_tile tile = {.keys = s->scratch};
    tile.values = tile.keys + (int64_t)TILE * s->head_dim;
    tile.weights = tile.values + TILE * s->sums_stride;
    size_t row_bytes = (size_t)(s->head_dim / format.numbers_per_block) * format.bytes_per_block;
    int q = 0;
    for (; tile.first < s->n_cells; tile.first += TILE) {
        tile.n_cells = s->n_cells - tile.first < TILE ? s->n_cells - tile.first : TILE;
        while (q < s->n_queries && s->n_visible[q] <= tile.first)
            q++;
        if (q == s->n_queries) return;
        int end = tile.first + tile.n_cells;
        int next_end = end + TILE < s->n_cells ? end + TILE : s->n_cells;
        if (tile.first == 0) prefetch_cells(s->keys, s->key_bytes, 0, end, row_bytes);
        prefetch_cells(s->values, s->value_bytes, tile.first, end, row_bytes);
        load_keys(s, &tile, format);
        prefetch_cells(s->keys, s->key_bytes, end, next_end, row_bytes);
        load_values(s, &tile, format);
        for (int block = q; block < s->n_queries; block += ROWS) {
            int n_rows = s->n_queries - block < ROWS ? s->n_queries - block : ROWS;
            attend_block(s, &tile, block, n_rows);
        }
    }
}

void fal_attend_f16_neon(const fal_attend_span *span) {
    attend(span, (cell_format){load_four_f16, load_one_f16, 1, sizeof(uint16_t)});
}

void fal_attend_q8_0_neon(const fal_attend_span *span) {
    attend(span, (cell_format){load_four_q8_0, load_one_q8_0, 32, sizeof(struct fal_q8_0)});
}

void fal_attend_f32_neon(const fal_attend_span *span) {
    attend(span, (cell_format){load_four_f32, load_one_f32, 1, sizeof(float)});
}

void fal_attend_join_neon(float *sums, float *largest, float *total, const float *more_sums,
                          float more_largest, float more_total, int64_t n) {
    if (more_largest == -INFINITY && more_total == 0.0f) return;
    float top = *largest > more_largest ? *largest : more_largest;
    const float differences[LANES] = {*largest - top, more_largest - top, 0.0f, 0.0f};
    float factors[LANES];
    vst1q_f32(factors, exp_nonpositive(vld1q_f32(differences)));
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        float32x4_t added = vmulq_n_f32(vld1q_f32(more_sums + i), factors[1]);
        vst1q_f32(sums + i, vfmaq_n_f32(added, vld1q_f32(sums + i), factors[0]));
    }
    for (; i < n; i++)
        sums[i] = fmaf(sums[i], factors[0], more_sums[i] * factors[1]);
    *total = *total * factors[0] + more_total * factors[1];
    *largest = top;
}
