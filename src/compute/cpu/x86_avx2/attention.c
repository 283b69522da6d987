/* Attention of queries over one span of cells with AVX2.
 *
 * Cells pass in tiles: a tile's keys are turned and its values copied as f32, once for all queries. Scores and sums are
 * then products of small matrices, a few queries by a few vectors in registers. Every number is added up in one lane, in
 * the order of dimensions or cells, so that the cut into blocks of queries never shows in a result. */
#include "base/half.h"
#include "compute/cpu/kernels.h"
#include "compute/cpu/x86_avx2/exp_avx2.h"
#include "quant/q8_0.h"

#include <math.h>
#include <string.h>

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum {
    TILE = FAL_ATTEND_TILE,
    ROWS = 6 /* queries of a block: 6 rows of 2 vectors leave registers for the operands */
};

typedef struct attend_tile {
    int first, n_cells; /* within the span */
    float *keys;        /* [head_dim, TILE]; zero behind n_cells */
    float *values;      /* [n_cells, sums_stride]; zero behind head_dim */
    float *weights;     /* [ROWS, TILE]: scores of a block of queries, then their weights */
} attend_tile;

/* Numbers of a head's row as f32: i is a multiple of 8 where eight are loaded. The kernels differ in nothing else. */
typedef struct cell_format {
    __m256 (*load_eight)(const char *row, int i);
    float (*load_one)(const char *row, int i);
    int numbers_per_block;
    size_t bytes_per_block;
} cell_format;

ALWAYS_INLINE __m256 load_eight_f32(const char *row, int i) {
    return _mm256_loadu_ps((const float *)(const void *)row + i);
}

ALWAYS_INLINE float load_one_f32(const char *row, int i) {
    float value;
    memcpy(&value, row + (size_t)i * sizeof value, sizeof value);
    return value;
}

ALWAYS_INLINE __m256 load_eight_f16(const char *row, int i) {
    const void *numbers = row + (size_t)i * sizeof(uint16_t);
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)numbers));
}

ALWAYS_INLINE float load_one_f16(const char *row, int i) {
    uint16_t half;
    memcpy(&half, row + (size_t)i * sizeof half, sizeof half);
    return fal_f32_from_f16(half);
}

ALWAYS_INLINE __m256 load_eight_q8_0(const char *row, int i) {
    const char *block = row + (size_t)(i / 32) * sizeof(struct fal_q8_0);
    const void *codes = block + offsetof(struct fal_q8_0, q) + i % 32;
    uint16_t d;
    memcpy(&d, block, sizeof d);
    __m256 scale = _mm256_broadcastss_ps(_mm_cvtph_ps(_mm_cvtsi32_si128(d)));
    __m128i eight = _mm_loadl_epi64((const __m128i *)codes);
    return _mm256_mul_ps(scale, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(eight)));
}

ALWAYS_INLINE float load_one_q8_0(const char *row, int i) {
    struct fal_q8_0 block;
    memcpy(&block, row + (size_t)(i / 32) * sizeof block, sizeof block);
    return fal_q8_0_weight(&block, i % 32);
}

static inline void transpose_eight(__m256 *r) {
    __m256 a[8], b[8];
    for (int i = 0; i < 4; i++) {
        a[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        a[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        const __m256 *from = a + 4 * i;
        b[4 * i] = _mm256_shuffle_ps(from[0], from[2], _MM_SHUFFLE(1, 0, 1, 0));
        b[4 * i + 1] = _mm256_shuffle_ps(from[0], from[2], _MM_SHUFFLE(3, 2, 3, 2));
        b[4 * i + 2] = _mm256_shuffle_ps(from[1], from[3], _MM_SHUFFLE(1, 0, 1, 0));
        b[4 * i + 3] = _mm256_shuffle_ps(from[1], from[3], _MM_SHUFFLE(3, 2, 3, 2));
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x20);
        r[i + 4] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x31);
    }
}

ALWAYS_INLINE void load_keys(const fal_attend_span *s, const attend_tile *tile,
                             const cell_format format) {
    for (int cell = 0; cell < TILE; cell += 8) {
        int n = tile->n_cells - cell;
        const char *keys = (const char *)s->keys + (size_t)(tile->first + cell) * s->key_bytes;
        int i = 0;
        for (; i + 8 <= s->head_dim; i += 8) {
            __m256 rows[8];
            for (int row = 0; row < 8; row++) {
                const char *from = keys + (size_t)row * s->key_bytes;
                rows[row] = row < n ? format.load_eight(from, i) : _mm256_setzero_ps();
            }
            transpose_eight(rows);
            for (int row = 0; row < 8; row++)
                _mm256_store_ps(tile->keys + (int64_t)(i + row) * TILE + cell, rows[row]);
        }
        for (; i < s->head_dim; i++) {
            for (int row = 0; row < 8; row++) {
                const char *from = keys + (size_t)row * s->key_bytes;
                tile->keys[(int64_t)i * TILE + cell + row] =
                    row < n ? format.load_one(from, i) : 0.0f;
            }
        }
    }
}

ALWAYS_INLINE void load_values(const fal_attend_span *s, const attend_tile *tile,
                               const cell_format format) {
    for (int cell = 0; cell < tile->n_cells; cell++) {
        const char *from = (const char *)s->values + (size_t)(tile->first + cell) * s->value_bytes;
        float *to = tile->values + cell * s->sums_stride;
        int i = 0;
        for (; i + 8 <= s->head_dim; i += 8)
            _mm256_store_ps(to + i, format.load_eight(from, i));
        for (; i < s->head_dim; i++)
            to[i] = format.load_one(from, i);
        for (; i < s->sums_stride; i++)
            to[i] = 0.0f;
    }
}

/* Cells of one kv head lie far apart, which the processor's own prefetching does not follow. */
static inline void prefetch_cells(const void *cells, size_t cell_bytes, int begin, int end,
                                  size_t row_bytes) {
    for (int cell = begin; cell < end; cell++) {
        const char *row = (const char *)cells + (size_t)cell * cell_bytes;
        for (size_t i = 0; i < row_bytes; i += 64)
            _mm_prefetch(row + i, _MM_HINT_T0);
    }
}

/* scores [n_rows, TILE] from column `cell` on: products of queries and keys, n_rows by 8 * n_vectors. */
ALWAYS_INLINE void score_block(const int n_rows, const int n_vectors, const float *query,
                               int head_dim, const float *keys, float *scores) {
    __m256 sums[12];
    for (int j = 0; j < n_rows * n_vectors; j++)
        sums[j] = _mm256_setzero_ps();
    for (int i = 0; i < head_dim; i++) {
        const float *from = keys + (int64_t)i * TILE;
        for (int row = 0; row < n_rows; row++) {
            __m256 number = _mm256_broadcast_ss(query + (int64_t)row * head_dim + i);
            for (int v = 0; v < n_vectors; v++)
                sums[row * n_vectors + v] = _mm256_fmadd_ps(number, _mm256_load_ps(from + 8 * v),
                                                            sums[row * n_vectors + v]);
        }
    }
    for (int row = 0; row < n_rows; row++) {
        for (int v = 0; v < n_vectors; v++)
            _mm256_store_ps(scores + row * TILE + 8 * v, sums[row * n_vectors + v]);
    }
}

ALWAYS_INLINE void score_rows(const int n_rows, const int n_vectors, const float *query,
                              int head_dim, const attend_tile *tile, int n_cells) {
    for (int cell = 0; cell < n_cells; cell += 8 * n_vectors)
        score_block(n_rows, n_vectors, query, head_dim, tile->keys + cell, tile->weights + cell);
}

/* The first n_cells scores of a block of queries, at least. */
static void score(const fal_attend_span *s, const attend_tile *tile, int q, int n_rows,
                  int n_cells) {
    const float *query = s->query + (int64_t)q * s->head_dim;
    switch (n_rows) {
    case 1: score_rows(1, 8, query, s->head_dim, tile, n_cells); break;
    case 2: score_rows(2, 4, query, s->head_dim, tile, n_cells); break;
    case 3: score_rows(3, 4, query, s->head_dim, tile, n_cells); break;
    case 4: score_rows(4, 2, query, s->head_dim, tile, n_cells); break;
    case 5: score_rows(5, 2, query, s->head_dim, tile, n_cells); break;
    default: score_rows(6, 2, query, s->head_dim, tile, n_cells); break;
    }
}

/* Turns the scores of one query into weights, of which the first n count. Returns what earlier sums are multiplied by. */
static float weigh(const fal_attend_span *s, const attend_tile *tile, int q, int n,
                   float *weights) {
    const __m256 steps = _mm256_setr_ps(0.0f, 1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f, 7.0f);
    const __m256 lowest = _mm256_set1_ps(-INFINITY), scale = _mm256_set1_ps(s->scale);
    const __m256 slope = _mm256_set1_ps(s->slope ? s->slope[q] : 0.0f);
    const __m256 visible = _mm256_set1_ps((float)n);
    __m256 top = lowest;
    for (int i = 0; i < n; i += 8) {
        __m256 v = _mm256_mul_ps(_mm256_load_ps(weights + i), scale);
        if (s->slope) {
            __m256 start = _mm256_set1_ps((float)(tile->first + i - s->distance[q]));
            v = _mm256_fmadd_ps(slope, _mm256_add_ps(start, steps), v);
        }
        __m256 index = _mm256_add_ps(_mm256_set1_ps((float)i), steps);
        v = _mm256_blendv_ps(lowest, v, _mm256_cmp_ps(index, visible, _CMP_LT_OQ));
        _mm256_store_ps(weights + i, v);
        top = _mm256_max_ps(top, v);
    }
    float before = s->largest[q], largest = largest_lane(top);
    largest = before > largest ? before : largest;
    s->largest[q] = largest;
    if (largest == -INFINITY) largest = 0.0f; /* no weight at all: infinities are not subtracted */
    float factor = 1.0f;
    if (before != largest)
        factor = _mm256_cvtss_f32(exp_nonpositive(_mm256_set1_ps(before - largest)));
    __m256 sum = _mm256_setzero_ps(), subtrahend = _mm256_set1_ps(largest);
    for (int i = 0; i < n; i += 8) {
        __m256 v = exp_nonpositive(_mm256_sub_ps(_mm256_load_ps(weights + i), subtrahend));
        _mm256_store_ps(weights + i, v);
        sum = _mm256_add_ps(sum, v);
    }
    s->total[q] = s->total[q] * factor + sum_lanes(sum);
    return factor;
}

/* sums = sums * factor + weights . values over cells [begin, end), n_rows by 8 * n_vectors. */
ALWAYS_INLINE void sum_block(const int n_rows, const int n_vectors, const float *weights,
                             const float *factors, const float *values, int64_t stride, float *sums,
                             int begin, int end) {
    __m256 block[12];
    for (int row = 0; row < n_rows; row++) {
        __m256 factor = _mm256_broadcast_ss(factors + row);
        for (int v = 0; v < n_vectors; v++)
            block[row * n_vectors + v] =
                _mm256_mul_ps(_mm256_loadu_ps(sums + row * stride + 8 * v), factor);
    }
    for (int cell = begin; cell < end; cell++) {
        const float *from = values + cell * stride;
        for (int row = 0; row < n_rows; row++) {
            __m256 weight = _mm256_broadcast_ss(weights + row * TILE + cell);
            for (int v = 0; v < n_vectors; v++)
                block[row * n_vectors + v] = _mm256_fmadd_ps(weight, _mm256_load_ps(from + 8 * v),
                                                             block[row * n_vectors + v]);
        }
    }
    for (int row = 0; row < n_rows; row++) {
        for (int v = 0; v < n_vectors; v++)
            _mm256_storeu_ps(sums + row * stride + 8 * v, block[row * n_vectors + v]);
    }
}

ALWAYS_INLINE void sum_rows(const int n_rows, const int n_vectors, const attend_tile *tile, int row,
                            const float *factors, int64_t stride, float *sums, int begin, int end) {
    const float *weights = tile->weights + row * TILE;
    for (int64_t i = 0; i < stride; i += 8 * n_vectors)
        sum_block(n_rows, n_vectors, weights, factors, tile->values + i, stride, sums + i, begin,
                  end);
}

static void sum_one_row(const attend_tile *tile, int row, const float *factor, int64_t stride,
                        float *sums, int begin, int end) {
    if (stride % 64 == 0)
        sum_rows(1, 8, tile, row, factor, stride, sums, begin, end);
    else
        sum_rows(1, 2, tile, row, factor, stride, sums, begin, end);
}

static void sum_up(const attend_tile *tile, int n_rows, const float *factors, int64_t stride,
                   float *sums, int n) {
    switch (n_rows) {
    case 1: sum_one_row(tile, 0, factors, stride, sums, 0, n); break;
    case 2: sum_rows(2, 2, tile, 0, factors, stride, sums, 0, n); break;
    case 3: sum_rows(3, 2, tile, 0, factors, stride, sums, 0, n); break;
    case 4: sum_rows(4, 2, tile, 0, factors, stride, sums, 0, n); break;
    case 5: sum_rows(5, 2, tile, 0, factors, stride, sums, 0, n); break;
    default: sum_rows(6, 2, tile, 0, factors, stride, sums, 0, n); break;
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

ALWAYS_INLINE void attend(const fal_attend_span *s, const cell_format format) {
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

void fal_attend_f16_avx2(const fal_attend_span *span) {
    attend(span, (cell_format){load_eight_f16, load_one_f16, 1, sizeof(uint16_t)});
}

void fal_attend_q8_0_avx2(const fal_attend_span *span) {
    attend(span, (cell_format){load_eight_q8_0, load_one_q8_0, 32, sizeof(struct fal_q8_0)});
}

void fal_attend_f32_avx2(const fal_attend_span *span) {
    attend(span, (cell_format){load_eight_f32, load_one_f32, 1, sizeof(float)});
}

void fal_attend_join_avx2(float *sums, float *largest, float *total, const float *more_sums,
                          float more_largest, float more_total, int64_t n) {
    if (more_largest == -INFINITY && more_total == 0.0f) return;
    float top = *largest > more_largest ? *largest : more_largest;
    __m256 differences =
        _mm256_setr_ps(*largest - top, more_largest - top, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f);
    float factors[8];
    _mm256_storeu_ps(factors, exp_nonpositive(differences));
    __m256 factor = _mm256_set1_ps(factors[0]), more = _mm256_set1_ps(factors[1]);
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 added = _mm256_mul_ps(_mm256_loadu_ps(more_sums + i), more);
        _mm256_storeu_ps(sums + i, _mm256_fmadd_ps(_mm256_loadu_ps(sums + i), factor, added));
    }
    for (; i < n; i++)
        sums[i] = fmaf(sums[i], factors[0], more_sums[i] * factors[1]);
    *total = fmaf(*total, factors[0], more_total * factors[1]);
    *largest = top;
}
