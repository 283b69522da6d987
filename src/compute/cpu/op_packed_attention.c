/* Attention over packed sequences and its gradient on the cpu, by tiles of 64 keys and 64 queries counted from a sequence's
 * beginning. Scores exist for one tile at a time: the way back makes them again from the log sums, so that memory grows with
 * the length of a sequence, never with its square.
 *
 * In a tile a key's scores lie side by side (transposed), so that softmax runs over vectors of queries. Which thread does
 * what depends on their number; in which order a number of the result adds up does not. */
#include "compute/checks.h"
#include "compute/cpu/cpu.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

enum {
    TILE = 64,   /* keys or queries */
    CORNER = 16, /* of a tile on the diagonal: what lies wholly above it is left out */
    LANES = 8    /* rows of scores are computed in whole vectors */
};

/* Rows [first, first + n) of a sequence that begins at row `start` and ends before row `end`. */
typedef struct block {
    int64_t start, end, first;
    int n;
} block;

typedef struct packed_work {
    fal_tensor out, log_sums, query, key, value;
    fal_tensor dout, dquery, dkey, dvalue; /* of the gradient */
    const fal_packing *p;
    const fal_kernel_set *kernels;
    block *blocks; /* [n_blocks] */
    int64_t n_blocks, n_items;
    float *threads; /* [n_threads, thread_numbers] */
    int64_t thread_numbers;
    float *
        parts; /* [n_tokens, 2, n_heads * head_dim]: dkey and dvalue of each head; NULL: there is one per kv head */
    atomic_llong next;
} packed_work;

/* One head: its number and columns, and the memory of the thread that works on it. */
typedef struct head_work {
    const packed_work *work;
    int head;
    int64_t column, kv_column;
    float slope;
    float *query, *dout;                 /* [head_dim, TILE] transposed */
    float *scores, *gradients;           /* [TILE, TILE] */
    float *largest, *total, *correction; /* [TILE] */
    float *dkey, *dvalue;                /* [TILE, head_dim] */
    float *log_sums, *means;             /* [longest sequence, rounded up to whole tiles] */
} head_work;

static int64_t rounded_up(int64_t n, int64_t unit) {
    return (n + unit - 1) / unit * unit;
}

/* ---- the work ---- */

static int64_t longest_of(const fal_packing *p) {
    int64_t longest = 0;
    for (int64_t i = 0; i < p->n_sequences; i++) {
        int64_t n = p->starts[i + 1] - p->starts[i];
        if (n > longest) longest = n;
    }
    return longest;
}

static int64_t numbers_of_thread(const fal_packing *p) {
    return 4 * (int64_t)p->head_dim * TILE + 2 * TILE * TILE + 3 * TILE
           + 2 * rounded_up(longest_of(p), TILE);
}

static head_work head_at(const packed_work *work, int head, int thread) {
    const fal_packing *p = work->p;
    int kv_head = head / (p->n_heads / p->n_kv_heads);
    int64_t panel = (int64_t)p->head_dim * TILE;
    float *memory = work->threads + thread * work->thread_numbers;
    head_work h = {.work = work,
                   .head = head,
                   .column = (int64_t)head * p->head_dim,
                   .kv_column = (int64_t)kv_head * p->head_dim,
                   .slope = p->alibi_slopes ? p->alibi_slopes[head] : 0.0f,
                   .query = memory,
                   .dout = memory + panel,
                   .dkey = memory + 2 * panel,
                   .dvalue = memory + 3 * panel};
    h.scores = memory + 4 * panel;
    h.gradients = h.scores + TILE * TILE;
    h.largest = h.gradients + TILE * TILE;
    h.total = h.largest + TILE;
    h.correction = h.total + TILE;
    h.log_sums = h.correction + TILE;
    h.means = h.log_sums + rounded_up(longest_of(p), TILE);
    return h;
}

/* Cuts all sequences into blocks of queries and takes the threads' memory. False: memory is short. */
static bool open_work(fal_queue *q, packed_work *work) {
    const fal_packing *p = work->p;
    size_t most = (size_t)(work->query.n_rows / TILE + p->n_sequences + 1);
    work->blocks = fal_cpu_scratch(q, FAL_CPU_SCRATCH_SEGMENTS, most * sizeof *work->blocks);
    if (!work->blocks) return false;
    for (int64_t i = 0; i < p->n_sequences; i++) {
        for (int64_t first = p->starts[i]; first < p->starts[i + 1]; first += TILE) {
            int64_t rest = p->starts[i + 1] - first;
            work->blocks[work->n_blocks++] = (block){.start = p->starts[i],
                                                     .end = p->starts[i + 1],
                                                     .first = first,
                                                     .n = rest < TILE ? (int)rest : TILE};
        }
    }
    size_t n_threads = (size_t)fal_pool_size(fal_cpu_pool(q));
    work->thread_numbers = numbers_of_thread(p);
    work->threads = fal_cpu_scratch(q, FAL_CPU_SCRATCH_THREADS,
                                    n_threads * (size_t)work->thread_numbers * sizeof(float));
    work->kernels = fal_cpu_kernels(q);
    return work->threads != NULL;
}

static bool take_item(packed_work *work, int64_t *item) {
    *item = atomic_fetch_add_explicit(&work->next, 1, memory_order_relaxed);
    return *item < work->n_items;
}

/* ---- products of tiles ---- */

static int64_t stride_of(fal_tensor t) {
    return (int64_t)(t.row_bytes / sizeof(float));
}

/* rows [n, head_dim] as columns; what is missing to TILE of them is 0. */
static void transpose(const head_work *h, float *to, fal_tensor from, int64_t first, int n) {
    int head_dim = h->work->p->head_dim;
    if (n < TILE) memset(to, 0, (size_t)head_dim * TILE * sizeof *to);
    h->work->kernels->transpose(to, TILE, fal_tensor_f32_row(from, first) + h->column,
                                stride_of(from), n, head_dim);
}

/* to[key, query] = rows of keys [n_keys, head_dim] times columns [head_dim, n_queries]. */
static void multiply_keys(const head_work *h, float *to, fal_tensor rows, int64_t first, int n_keys,
                          const float *columns, int n_queries, bool is_diagonal) {
    int step = is_diagonal ? CORNER : n_keys, width = (int)rounded_up(n_queries, LANES);
    for (int key = 0; key < n_keys; key += step) {
        int before = is_diagonal ? key : 0;
        h->work->kernels->multiply_tile(
            &(fal_tile){.a = fal_tensor_f32_row(rows, first + key) + h->kv_column,
                        .a_row = stride_of(rows),
                        .a_column = 1,
                        .b = columns + before,
                        .b_stride = TILE,
                        .y = to + key * TILE + before,
                        .y_stride = TILE,
                        .n_rows = n_keys - key < step ? n_keys - key : step,
                        .n_cols = width - before,
                        .n_terms = h->work->p->head_dim});
    }
}

/* to[query] (+)= sum over keys of weights[key, query] * rows[key]. */
static void gather_keys(const head_work *h, float *to, int64_t to_stride, bool is_added,
                        const float *weights, fal_tensor rows, int64_t first, int n_keys,
                        int n_queries, bool is_diagonal) {
    int step = is_diagonal ? CORNER : n_queries;
    for (int query = 0; query < n_queries; query += step) {
        int seen = is_diagonal && query + step < n_keys ? query + step : n_keys;
        h->work->kernels->multiply_tile(
            &(fal_tile){.a = weights + query,
                        .a_row = 1,
                        .a_column = TILE,
                        .b = fal_tensor_f32_row(rows, first) + h->kv_column,
                        .b_stride = stride_of(rows),
                        .y = to + query * to_stride,
                        .y_stride = to_stride,
                        .n_rows = n_queries - query < step ? n_queries - query : step,
                        .n_cols = h->work->p->head_dim,
                        .n_terms = seen,
                        .is_added = is_added});
    }
}

/* to[key] (+)= sum over queries of weights[key, query] * rows[query]; to is [n_keys, head_dim], dense. */
static void gather_queries(const head_work *h, float *to, bool is_added, const float *weights,
                           fal_tensor rows, int64_t first, int n_keys, int n_queries,
                           bool is_diagonal) {
    int step = is_diagonal ? CORNER : n_keys, head_dim = h->work->p->head_dim;
    for (int key = 0; key < n_keys; key += step) {
        int before = is_diagonal ? key : 0;
        h->work->kernels->multiply_tile(
            &(fal_tile){.a = weights + key * TILE + before,
                        .a_row = TILE,
                        .a_column = 1,
                        .b = fal_tensor_f32_row(rows, first + before) + h->column,
                        .b_stride = stride_of(rows),
                        .y = to + (int64_t)key * head_dim,
                        .y_stride = head_dim,
                        .n_rows = n_keys - key < step ? n_keys - key : step,
                        .n_cols = head_dim,
                        .n_terms = n_queries - before,
                        .is_added = is_added});
    }
}

/* ---- forward ---- */

/* A block of queries by all keys that it sees. */
static void attend(const head_work *h, const block *b) {
    const packed_work *work = h->work;
    const fal_kernel_set *kernels = work->kernels;
    int head_dim = work->p->head_dim;
    float *out = fal_tensor_f32_row(work->out, b->first) + h->column;
    int64_t out_stride = stride_of(work->out);
    transpose(h, h->query, work->query, b->first, b->n);
    for (int i = 0; i < TILE; i++) {
        h->largest[i] = -INFINITY;
        h->total[i] = 0.0f;
    }
    for (int64_t key = b->start; key <= b->first; key += TILE) {
        bool is_diagonal = key == b->first;
        int n_keys = is_diagonal ? b->n : TILE;
        multiply_keys(h, h->scores, work->key, key, n_keys, h->query, b->n, is_diagonal);
        kernels->softmax_tile(&(fal_softmax_tile){.scores = h->scores,
                                                  .stride = TILE,
                                                  .n_keys = n_keys,
                                                  .n_queries = b->n,
                                                  .offset = (int)(b->first - key),
                                                  .scale = work->p->scale,
                                                  .slope = h->slope,
                                                  .largest = h->largest,
                                                  .total = h->total,
                                                  .correction = h->correction});
        for (int i = 0; key > b->start && i < b->n; i++) {
            if (h->correction[i] != 1.0f)
                kernels->scale_row(out + i * out_stride, out + i * out_stride, h->correction[i],
                                   head_dim);
        }
        gather_keys(h, out, out_stride, key > b->start, h->scores, work->value, key, n_keys, b->n,
                    is_diagonal);
    }
    for (int i = 0; i < b->n; i++) {
        kernels->scale_row(out + i * out_stride, out + i * out_stride, 1.0f / h->total[i],
                           head_dim);
        fal_tensor_f32_row(work->log_sums, b->first + i)[h->head] =
            h->largest[i] + logf(h->total[i]);
    }
}

/* Items: blocks by heads, those with most keys first. */
static void attend_items(void *argument, int thread, int n_threads) {
    (void)n_threads;
    packed_work *work = argument;
    int64_t item;
    while (take_item(work, &item)) {
        head_work h = head_at(work, (int)(item % work->p->n_heads), thread);
        attend(&h, &work->blocks[work->n_blocks - 1 - item / work->p->n_heads]);
    }
}

void fal_cpu_packed_attention(fal_queue *q, fal_tensor out, fal_tensor log_sums, fal_tensor query,
                              fal_tensor key, fal_tensor value, const fal_packing *p) {
    if (!fal_check_packed_attention(q, out, log_sums, query, key, value, p)) return;
    packed_work work = {
        .out = out, .log_sums = log_sums, .query = query, .key = key, .value = value, .p = p};
    if (!open_work(q, &work)) return;
    work.n_items = work.n_blocks * p->n_heads;
    fal_pool_run(fal_cpu_pool(q), attend_items, &work);
}

/* ---- backward ---- */

/* What the way back needs of each query of a sequence: its log sum and the product of dout and out. */
static void prepare_queries(const head_work *h, const block *b) {
    const packed_work *work = h->work;
    int64_t n = b->end - b->start;
    for (int64_t i = 0; i < n; i++) {
        int64_t row = b->start + i;
        h->log_sums[i] = fal_tensor_f32_row(work->log_sums, row)[h->head];
        h->means[i] = work->kernels->dot_row(fal_tensor_f32_row(work->dout, row) + h->column,
                                             fal_tensor_f32_row(work->out, row) + h->column,
                                             work->p->head_dim);
    }
    for (int64_t i = n; i < rounded_up(n, TILE); i++)
        h->log_sums[i] = h->means[i] = 0.0f;
}

/* A block of keys by a block of queries: adds to h->dkey, h->dvalue and to dquery. */
static void differentiate_tile(const head_work *h, const block *b, int64_t first, int n_queries) {
    const packed_work *work = h->work;
    bool is_diagonal = first == b->first, is_added = !is_diagonal;
    int64_t at = first - b->start;
    transpose(h, h->query, work->query, first, n_queries);
    transpose(h, h->dout, work->dout, first, n_queries);
    multiply_keys(h, h->scores, work->key, b->first, b->n, h->query, n_queries, is_diagonal);
    multiply_keys(h, h->gradients, work->value, b->first, b->n, h->dout, n_queries, is_diagonal);
    work->kernels->softmax_gradient_tile(
        &(fal_softmax_gradient_tile){.scores = h->scores,
                                     .gradients = h->gradients,
                                     .stride = TILE,
                                     .n_keys = b->n,
                                     .n_queries = n_queries,
                                     .offset = (int)(first - b->first),
                                     .scale = work->p->scale,
                                     .slope = h->slope,
                                     .log_sums = h->log_sums + at,
                                     .means = h->means + at});
    gather_queries(h, h->dvalue, is_added, h->scores, work->dout, first, b->n, n_queries,
                   is_diagonal);
    gather_queries(h, h->dkey, is_added, h->gradients, work->query, first, b->n, n_queries,
                   is_diagonal);
    gather_keys(h, fal_tensor_f32_row(work->dquery, first) + h->column, stride_of(work->dquery),
                b->first > b->start, h->gradients, work->key, b->first, b->n, n_queries,
                is_diagonal);
}

/* Puts the gradient of a block's keys or values into `to`, or adds it. */
static void put_keys(const head_work *h, const block *b, float *to, int64_t stride, bool is_added,
                     const float *from) {
    int head_dim = h->work->p->head_dim;
    for (int i = 0; i < b->n; i++) {
        float *row = to + i * stride;
        if (is_added)
            h->work->kernels->add_row(row, row, from + (int64_t)i * head_dim, head_dim);
        else
            memcpy(row, from + (int64_t)i * head_dim, (size_t)head_dim * sizeof *row);
    }
}

/* A block of keys by all queries that see it. */
static void differentiate_keys(const head_work *h, const block *b) {
    const packed_work *work = h->work;
    const fal_packing *p = work->p;
    for (int64_t first = b->first; first < b->end; first += TILE) {
        int64_t rest = b->end - first;
        differentiate_tile(h, b, first, rest < TILE ? (int)rest : TILE);
    }
    if (work->parts) {
        int64_t width = (int64_t)p->n_heads * p->head_dim;
        float *part = work->parts + b->first * 2 * width + h->column;
        put_keys(h, b, part, 2 * width, false, h->dkey);
        put_keys(h, b, part + width, 2 * width, false, h->dvalue);
        return;
    }
    bool is_added = h->head % (p->n_heads / p->n_kv_heads) != 0;
    put_keys(h, b, fal_tensor_f32_row(work->dkey, b->first) + h->kv_column, stride_of(work->dkey),
             is_added, h->dkey);
    put_keys(h, b, fal_tensor_f32_row(work->dvalue, b->first) + h->kv_column,
             stride_of(work->dvalue), is_added, h->dvalue);
}

/* Items: sequences, found by their first block, by heads or by kv heads with all their heads. */
static void differentiate_items(void *argument, int thread, int n_threads) {
    (void)n_threads;
    packed_work *work = argument;
    const fal_packing *p = work->p;
    int per_sequence = work->parts ? p->n_heads : p->n_kv_heads;
    int heads = p->n_heads / per_sequence;
    int64_t item;
    while (take_item(work, &item)) {
        const block *first = &work->blocks[item / per_sequence];
        if (first->first != first->start) continue;
        for (int i = 0; i < heads; i++) {
            head_work h = head_at(work, (int)(item % per_sequence) * heads + i, thread);
            prepare_queries(&h, first);
            for (const block *b = first; b->first < b->end; b++) {
                differentiate_keys(&h, b);
                if (b->first + b->n == b->end) break;
            }
        }
    }
}

/* Sums the heads' parts in ascending order, as they are summed where there are none. */
static void join_parts(void *argument, int64_t begin, int64_t end) {
    const packed_work *work = argument;
    const fal_packing *p = work->p;
    int heads = p->n_heads / p->n_kv_heads;
    int64_t width = (int64_t)p->n_heads * p->head_dim;
    size_t bytes = (size_t)p->head_dim * sizeof(float);
    for (int64_t row = begin; row < end; row++) {
        for (int half = 0; half < 2; half++) {
            float *to = fal_tensor_f32_row(half ? work->dvalue : work->dkey, row);
            const float *from = work->parts + (2 * row + half) * width;
            for (int head = 0; head < p->n_heads; head++) {
                float *at = to + (int64_t)(head / heads) * p->head_dim;
                const float *part = from + (int64_t)head * p->head_dim;
                if (head % heads == 0)
                    memcpy(at, part, bytes);
                else
                    work->kernels->add_row(at, at, part, p->head_dim);
            }
        }
    }
}

/* Heads that share keys and values are items of their own only where there would be too few items. False: memory is short. */
static bool take_parts(fal_queue *q, packed_work *work) {
    const fal_packing *p = work->p;
    if (p->n_heads == p->n_kv_heads
        || p->n_sequences * p->n_kv_heads >= 2 * fal_pool_size(fal_cpu_pool(q))
        || fal_pool_size(fal_cpu_pool(q)) == 1)
        return true;
    work->parts = fal_cpu_scratch(q, FAL_CPU_SCRATCH_PARTS,
                                  (size_t)work->query.n_rows * 2 * (size_t)p->n_heads
                                      * (size_t)p->head_dim * sizeof *work->parts);
    return work->parts != NULL;
}

void fal_cpu_packed_attention_gradient(fal_queue *q, fal_tensor dquery, fal_tensor dkey,
                                       fal_tensor dvalue, fal_tensor dout, fal_tensor out,
                                       fal_tensor log_sums, fal_tensor query, fal_tensor key,
                                       fal_tensor value, const fal_packing *p) {
    if (!fal_check_packed_attention_gradient(q, dquery, dkey, dvalue, dout, out, log_sums, query,
                                             key, value, p))
        return;
    packed_work work = {.out = out,
                        .log_sums = log_sums,
                        .query = query,
                        .key = key,
                        .value = value,
                        .dout = dout,
                        .dquery = dquery,
                        .dkey = dkey,
                        .dvalue = dvalue,
                        .p = p};
    if (query.n_rows == 0 || !open_work(q, &work) || !take_parts(q, &work)) return;
    work.n_items = work.n_blocks * (work.parts ? p->n_heads : p->n_kv_heads);
    fal_pool_run(fal_cpu_pool(q), differentiate_items, &work);
    if (work.parts) fal_pool_for(fal_cpu_pool(q), query.n_rows, 16, join_parts, &work);
}
