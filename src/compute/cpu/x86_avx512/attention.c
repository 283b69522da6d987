/* Attention of queries over one span of cells with AVX-512.
 *
 * Cells pass in tiles: a tile's keys are turned and its values copied as f32, once for all queries. Scores and sums are
 * then products of small matrices, a few queries by four vectors in registers. Every number is added up in one lane, in
 * the order of dimensions or cells, so that the cut into blocks of queries never shows in a result. */
#include "base/half.h"
#include "compute/cpu/kernels.h"
#include "compute/cpu/x86_avx512/exp_avx512.h"
#include "compute/cpu/x86_avx512/lanes.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum {
    TILE = FAL_ATTEND_TILE,
    VECTORS = TILE / LANES,
    ROWS = 6, /* queries of a block: 24 sums leave registers for the operands */
    FEW_ROWS =
        4 /* so few that storing what is turned and converted would cost more than their products */
};

typedef struct attend_tile {
    int first, n_cells; /* within the span */
    float *keys;        /* [head_dim, TILE]; zero behind n_cells */
    float *values;      /* [n_cells, sums_stride]; zero behind head_dim */
    float *weights;     /* [ROWS, TILE]: scores of a block of queries, then their weights */
} attend_tile;

static inline __m256 load_eight(const char *numbers, bool is_half) {
    if (is_half) return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)numbers));
    return _mm256_loadu_ps((const float *)(const void *)numbers);
}

static inline __m512 load_sixteen(const char *numbers, bool is_half) {
    if (!is_half) return _mm512_loadu_ps(numbers);
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)numbers));
}

/* Those that `left` names, zeros elsewhere. */
static inline __m512 load_some(const char *numbers, bool is_half, __mmask16 left) {
    if (is_half) return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(left, numbers));
    return _mm512_maskz_loadu_ps(left, numbers);
}

static inline float load_one(const char *number, bool is_half) {
    if (!is_half) {
        float value;
        memcpy(&value, number, sizeof value);
        return value;
    }
    uint16_t half;
    memcpy(&half, number, sizeof half);
    return fal_f32_from_f16(half);
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

/* Sixteen numbers of two cells, one behind the other. */
static inline __m512i load_pair(const char *cell, const char *other) {
    __m512i first = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(const void *)cell));
    return _mm512_inserti64x4(first, _mm256_loadu_si256((const __m256i *)(const void *)other), 1);
}

/* In each quarter, row r of eight 16-bit numbers becomes column r. */
INLINE void transpose_quarters(__m512i *r) {
    __m512i a[8], b[8];
    for (int i = 0; i < 4; i++) {
        a[2 * i] = _mm512_unpacklo_epi16(r[2 * i], r[2 * i + 1]);
        a[2 * i + 1] = _mm512_unpackhi_epi16(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 2; k++) {
            b[4 * i + 2 * k] = _mm512_unpacklo_epi32(a[4 * i + k], a[4 * i + k + 2]);
            b[4 * i + 2 * k + 1] = _mm512_unpackhi_epi32(a[4 * i + k], a[4 * i + k + 2]);
        }
    }
    for (int i = 0; i < 4; i++) {
        r[2 * i] = _mm512_unpacklo_epi64(b[i], b[i + 4]);
        r[2 * i + 1] = _mm512_unpackhi_epi64(b[i], b[i + 4]);
    }
}

/* Turns sixteen cells' numbers i .. i + 15 while they are halves: that moves half as much as turning them as f32. */
INLINE void load_sixteen_keys(const fal_attend_span *s, const attend_tile *tile, int cell, int i) {
    const char *keys = (const char *)s->keys + (size_t)(tile->first + cell) * s->key_bytes
                       + (size_t)i * sizeof(uint16_t);
    __m512i rows[8];
    for (int row = 0; row < 8; row++)
        rows[row] =
            load_pair(keys + (size_t)row * s->key_bytes, keys + (size_t)(row + 8) * s->key_bytes);
    transpose_quarters(rows);
    for (int row = 0; row < 8; row++) {
        float *to = tile->keys + (int64_t)(i + row) * TILE + cell;
        __m512i pair = _mm512_shuffle_i64x2(rows[row], rows[row], _MM_SHUFFLE(3, 1, 2, 0));
        _mm512_store_ps(to, _mm512_cvtph_ps(_mm512_castsi512_si256(pair)));
        _mm512_store_ps(to + 8 * TILE, _mm512_cvtph_ps(_mm512_extracti64x4_epi64(pair, 1)));
    }
}

/* Those from `cell` on, a multiple of 8. */
static inline void load_keys_from(const fal_attend_span *s, const attend_tile *tile,
                                  const bool is_half, int cell) {
    size_t bytes = is_half ? sizeof(uint16_t) : sizeof(float);
    for (; cell < TILE; cell += 8) {
        int n = tile->n_cells - cell;
        const char *keys = (const char *)s->keys + (size_t)(tile->first + cell) * s->key_bytes;
        int i = 0;
        for (; i + 8 <= s->head_dim; i += 8) {
            __m256 rows[8];
            for (int row = 0; row < 8; row++) {
                const char *from = keys + (size_t)row * s->key_bytes + (size_t)i * bytes;
                rows[row] = row < n ? load_eight(from, is_half) : _mm256_setzero_ps();
            }
            transpose_eight(rows);
            for (int row = 0; row < 8; row++)
                _mm256_store_ps(tile->keys + (int64_t)(i + row) * TILE + cell, rows[row]);
        }
        for (; i < s->head_dim; i++) {
            for (int row = 0; row < 8; row++) {
                const char *from = keys + (size_t)row * s->key_bytes + (size_t)i * bytes;
                tile->keys[(int64_t)i * TILE + cell + row] =
                    row < n ? load_one(from, is_half) : 0.0f;
            }
        }
    }
}

static inline void load_keys(const fal_attend_span *s, const attend_tile *tile,
                             const bool is_half) {
    int cell = 0;
    if (is_half && s->head_dim % LANES == 0) {
        for (; cell + LANES <= tile->n_cells; cell += LANES) {
            for (int i = 0; i < s->head_dim; i += LANES)
                load_sixteen_keys(s, tile, cell, i);
        }
    }
    load_keys_from(s, tile, is_half, cell);
}

static inline void load_values(const fal_attend_span *s, const attend_tile *tile,
                               const bool is_half) {
    size_t bytes = is_half ? sizeof(uint16_t) : sizeof(float);
    const int whole = s->head_dim / LANES * LANES;
    const __mmask16 left = lanes_left(s->head_dim - whole);
    for (int cell = 0; cell < tile->n_cells; cell++) {
        const char *from = (const char *)s->values + (size_t)(tile->first + cell) * s->value_bytes;
        float *to = tile->values + cell * s->sums_stride;
        for (int i = 0; i < whole; i += LANES)
            _mm512_store_ps(to + i, load_sixteen(from + (size_t)i * bytes, is_half));
        if (left)
            _mm512_store_ps(to + whole, load_some(from + (size_t)whole * bytes, is_half, left));
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

/* scores [n_rows, TILE]: products of queries and keys. */
INLINE void score_rows(const int n_rows, const float *query, int head_dim,
                       const attend_tile *tile) {
    __m512 sums[ROWS][VECTORS];
    for (int row = 0; row < n_rows; row++) {
        for (int v = 0; v < VECTORS; v++)
            sums[row][v] = _mm512_setzero_ps();
    }
    for (int i = 0; i < head_dim; i++) {
        const float *from = tile->keys + (int64_t)i * TILE;
        __m512 keys[VECTORS];
        for (int v = 0; v < VECTORS; v++)
            keys[v] = _mm512_load_ps(from + LANES * v);
        for (int row = 0; row < n_rows; row++) {
            __m512 number = _mm512_set1_ps(query[(int64_t)row * head_dim + i]);
            for (int v = 0; v < VECTORS; v++)
                sums[row][v] = _mm512_fmadd_ps(number, keys[v], sums[row][v]);
        }
    }
    for (int row = 0; row < n_rows; row++) {
        for (int v = 0; v < VECTORS; v++)
            _mm512_store_ps(tile->weights + row * TILE + LANES * v, sums[row][v]);
    }
}

/* Sixteen numbers of one cell of the tile; zeros behind the last. */
INLINE const char *key_at(const fal_attend_span *s, const attend_tile *tile, int cell, int i) {
    static const uint16_t zeros[LANES];
    if (cell >= tile->n_cells) return (const char *)zeros;
    return (const char *)s->keys + (size_t)(tile->first + cell) * s->key_bytes
           + (size_t)i * sizeof(uint16_t);
}

/* As score_rows, of halves, which are turned on their way: [n_rows, TILE] as far as there are cells. */
INLINE void score_halves(const int n_rows, const float *query, const fal_attend_span *s,
                         const attend_tile *tile) {
    for (int cell = 0; cell < tile->n_cells; cell += LANES) {
        __m512 sums[FEW_ROWS];
        for (int row = 0; row < n_rows; row++)
            sums[row] = _mm512_setzero_ps();
        for (int i = 0; i < s->head_dim; i += LANES) {
            __m512i r[8];
            for (int k = 0; k < 8; k++)
                r[k] = load_pair(key_at(s, tile, cell + k, i), key_at(s, tile, cell + k + 8, i));
            transpose_quarters(r);
            for (int k = 0; k < LANES; k++) {
                __m512i pair = _mm512_shuffle_i64x2(r[k % 8], r[k % 8], _MM_SHUFFLE(3, 1, 2, 0));
                __m512 keys = _mm512_cvtph_ps(k < 8 ? _mm512_castsi512_si256(pair)
                                                    : _mm512_extracti64x4_epi64(pair, 1));
                for (int row = 0; row < n_rows; row++)
                    sums[row] = _mm512_fmadd_ps(
                        _mm512_set1_ps(query[(int64_t)row * s->head_dim + i + k]), keys, sums[row]);
            }
        }
        for (int row = 0; row < n_rows; row++)
            _mm512_store_ps(tile->weights + row * TILE + cell, sums[row]);
    }
}

static void score_few(const fal_attend_span *s, const attend_tile *tile, int q, int n_rows) {
    const float *query = s->query + (int64_t)q * s->head_dim;
    switch (n_rows) {
    case 1: score_halves(1, query, s, tile); break;
    case 2: score_halves(2, query, s, tile); break;
    case 3: score_halves(3, query, s, tile); break;
    default: score_halves(4, query, s, tile); break;
    }
}

static void score(const fal_attend_span *s, const attend_tile *tile, int q, int n_rows) {
    const float *query = s->query + (int64_t)q * s->head_dim;
    switch (n_rows) {
    case 1: score_rows(1, query, s->head_dim, tile); break;
    case 2: score_rows(2, query, s->head_dim, tile); break;
    case 3: score_rows(3, query, s->head_dim, tile); break;
    case 4: score_rows(4, query, s->head_dim, tile); break;
    case 5: score_rows(5, query, s->head_dim, tile); break;
    default: score_rows(6, query, s->head_dim, tile); break;
    }
}

/* Turns the scores of one query into weights, of which the first n count. Returns what earlier sums are multiplied by. */
static float weigh(const fal_attend_span *s, const attend_tile *tile, int q, int n,
                   float *weights) {
    const __m512 steps = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512 scale = _mm512_set1_ps(s->scale);
    const __m512 slope = _mm512_set1_ps(s->slope ? s->slope[q] : 0.0f);
    __m512 top = _mm512_set1_ps(-INFINITY);
    for (int i = 0; i < n; i += LANES) {
        __mmask16 visible = lanes_left(n - i);
        __m512 v = _mm512_mul_ps(_mm512_load_ps(weights + i), scale);
        if (s->slope) {
            __m512 start = _mm512_set1_ps((float)(tile->first + i - s->distance[q]));
            v = _mm512_fmadd_ps(slope, _mm512_add_ps(start, steps), v);
        }
        _mm512_store_ps(weights + i, v);
        top = _mm512_mask_max_ps(top, visible, top, v);
    }
    float before = s->largest[q], largest = largest_lane(top);
    largest = before > largest ? before : largest;
    s->largest[q] = largest;
    if (largest == -INFINITY) largest = 0.0f; /* no weight at all: infinities are not subtracted */
    float factor = 1.0f;
    if (before != largest)
        factor = _mm512_cvtss_f32(exp_nonpositive(_mm512_set1_ps(before - largest)));
    __m512 sum = _mm512_setzero_ps(), subtrahend = _mm512_set1_ps(largest);
    for (int i = 0; i < n; i += LANES) {
        __m512 v = exp_nonpositive(_mm512_sub_ps(_mm512_load_ps(weights + i), subtrahend));
        v = _mm512_maskz_mov_ps(lanes_left(n - i), v);
        _mm512_store_ps(weights + i, v);
        sum = _mm512_add_ps(sum, v);
    }
    s->total[q] = s->total[q] * factor + sum_lanes(sum);
    return factor;
}

/* Where the values of a tile's cells are: converted, or as they lie in the cache. */
typedef struct tile_values {
    const char *at; /* of its first cell */
    size_t cell_bytes;
} tile_values;

/* sums = sums * factor + weights . values over cells [begin, end), n_rows by 16 * n_vectors; values from dimension i on. */
INLINE void sum_block(const int n_rows, const int n_vectors, const bool is_half,
                      const float *weights, const float *factors, const tile_values *values,
                      int64_t i, int64_t stride, float *sums, int begin, int end) {
    const size_t bytes = is_half ? sizeof(uint16_t) : sizeof(float);
    __m512 block[ROWS][VECTORS];
    for (int row = 0; row < n_rows; row++) {
        __m512 factor = _mm512_set1_ps(factors[row]);
        for (int v = 0; v < n_vectors; v++)
            block[row][v] =
                _mm512_mul_ps(_mm512_loadu_ps(sums + row * stride + i + LANES * v), factor);
    }
    for (int cell = begin; cell < end; cell++) {
        const char *from = values->at + (size_t)cell * values->cell_bytes + (size_t)i * bytes;
        __m512 numbers[VECTORS];
        for (int v = 0; v < n_vectors; v++)
            numbers[v] = load_sixteen(from + (size_t)(LANES * v) * bytes, is_half);
        for (int row = 0; row < n_rows; row++) {
            __m512 weight = _mm512_set1_ps(weights[row * TILE + cell]);
            for (int v = 0; v < n_vectors; v++)
                block[row][v] = _mm512_fmadd_ps(weight, numbers[v], block[row][v]);
        }
    }
    for (int row = 0; row < n_rows; row++) {
        for (int v = 0; v < n_vectors; v++)
            _mm512_storeu_ps(sums + row * stride + i + LANES * v, block[row][v]);
    }
}

INLINE void sum_rows(const int n_rows, const bool is_half, const float *weights,
                     const tile_values *values, const float *factors, int64_t stride, float *sums,
                     int begin, int end) {
    int64_t i = 0;
    for (; i + VECTORS * LANES <= stride; i += VECTORS * LANES)
        sum_block(n_rows, VECTORS, is_half, weights, factors, values, i, stride, sums, begin, end);
    for (; i + 2 * LANES <= stride; i += 2 * LANES)
        sum_block(n_rows, 2, is_half, weights, factors, values, i, stride, sums, begin, end);
    for (; i < stride; i += LANES)
        sum_block(n_rows, 1, is_half, weights, factors, values, i, stride, sums, begin, end);
}

static tile_values converted_values(const fal_attend_span *s, const attend_tile *tile) {
    return (tile_values){(const char *)tile->values, (size_t)s->sums_stride * sizeof(float)};
}

static tile_values values_in_cache(const fal_attend_span *s, const attend_tile *tile) {
    return (tile_values){(const char *)s->values + (size_t)tile->first * s->value_bytes,
                         s->value_bytes};
}

static void sum_up(const attend_tile *tile, const tile_values *values, int n_rows,
                   const float *factors, int64_t stride, float *sums, int n) {
    const float *w = tile->weights;
    switch (n_rows) {
    case 1: sum_rows(1, false, w, values, factors, stride, sums, 0, n); break;
    case 2: sum_rows(2, false, w, values, factors, stride, sums, 0, n); break;
    case 3: sum_rows(3, false, w, values, factors, stride, sums, 0, n); break;
    case 4: sum_rows(4, false, w, values, factors, stride, sums, 0, n); break;
    case 5: sum_rows(5, false, w, values, factors, stride, sums, 0, n); break;
    default: sum_rows(6, false, w, values, factors, stride, sums, 0, n); break;
    }
}

static void sum_up_few(const attend_tile *tile, const tile_values *values, int n_rows,
                       const float *factors, int64_t stride, float *sums, int n) {
    const float *w = tile->weights;
    switch (n_rows) {
    case 1: sum_rows(1, true, w, values, factors, stride, sums, 0, n); break;
    case 2: sum_rows(2, true, w, values, factors, stride, sums, 0, n); break;
    case 3: sum_rows(3, true, w, values, factors, stride, sums, 0, n); break;
    default: sum_rows(4, true, w, values, factors, stride, sums, 0, n); break;
    }
}

/* Of cells [begin, end), which only later queries see. */
static void sum_one_row(const float *weights, const tile_values *values, bool is_half,
                        int64_t stride, float *sums, int begin, int end) {
    static const float one = 1.0f;
    if (is_half)
        sum_rows(1, true, weights, values, &one, stride, sums, begin, end);
    else
        sum_rows(1, false, weights, values, &one, stride, sums, begin, end);
}

static int visible_in_tile(const fal_attend_span *s, const attend_tile *tile, int q) {
    int n = s->n_visible[q] - tile->first;
    return n < tile->n_cells ? n : tile->n_cells;
}

/* Up to ROWS queries, each of which sees at least one cell of the tile; later ones see no fewer. in_cache: keys and values
 * were neither turned nor converted, and there are FEW_ROWS at most. */
static void attend_block(const fal_attend_span *s, const attend_tile *tile, int q, int n_rows,
                         bool in_cache) {
    float factors[ROWS];
    int n_least = visible_in_tile(s, tile, q);
    float *sums = s->sums + q * s->sums_stride;
    const tile_values values = in_cache ? values_in_cache(s, tile) : converted_values(s, tile);
    if (in_cache)
        score_few(s, tile, q, n_rows);
    else
        score(s, tile, q, n_rows);
    for (int row = 0; row < n_rows; row++)
        factors[row] =
            weigh(s, tile, q + row, visible_in_tile(s, tile, q + row), tile->weights + row * TILE);
    if (in_cache)
        sum_up_few(tile, &values, n_rows, factors, s->sums_stride, sums, n_least);
    else
        sum_up(tile, &values, n_rows, factors, s->sums_stride, sums, n_least);
    for (int row = 0; row < n_rows; row++) {
        int n = visible_in_tile(s, tile, q + row);
        if (n > n_least)
            sum_one_row(tile->weights + row * TILE, &values, in_cache, s->sums_stride,
                        sums + row * s->sums_stride, n_least, n);
    }
}

static inline void attend(const fal_attend_span *s, const bool is_half) {
    memset(s->sums, 0, (size_t)(s->n_queries * s->sums_stride) * sizeof *s->sums);
    for (int q = 0; q < s->n_queries; q++) {
        s->largest[q] = -INFINITY;
        s->total[q] = 0.0f;
    }
    attend_tile tile = {.keys = s->scratch};
    tile.values = tile.keys + (int64_t)TILE * s->head_dim;
    tile.weights = tile.values + TILE * s->sums_stride;
    size_t row_bytes = (size_t)s->head_dim * (is_half ? sizeof(uint16_t) : sizeof(float));
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
        if (is_half && s->head_dim % LANES == 0 && s->n_queries - q <= FEW_ROWS) {
            prefetch_cells(s->keys, s->key_bytes, end, next_end, row_bytes);
            attend_block(s, &tile, q, s->n_queries - q, true);
            continue;
        }
        load_keys(s, &tile, is_half);
        prefetch_cells(s->keys, s->key_bytes, end, next_end, row_bytes);
        load_values(s, &tile, is_half);
        for (int block = q; block < s->n_queries; block += ROWS) {
            int n_rows = s->n_queries - block < ROWS ? s->n_queries - block : ROWS;
            attend_block(s, &tile, block, n_rows, false);
        }
    }
}

void fal_attend_f16_avx512(const fal_attend_span *span) {
    attend(span, true);
}

void fal_attend_f32_avx512(const fal_attend_span *span) {
    attend(span, false);
}
