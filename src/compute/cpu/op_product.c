/* product on the cpu: blocks of the result among threads. A thread packs its columns of B into panels that stay in the
 * nearest cache while rows of A pass by.
 *
 * How the result is cut depends on threads, what a number of it becomes does not: terms are summed in spans of DEPTH, each
 * in one chain of the kernel, and the spans are added in ascending order. */
#include "compute/checks.h"
#include "compute/cpu/cpu.h"

#include <stdatomic.h>
#include <string.h>

enum {
    DEPTH = 256,        /* terms of a span: a panel of B is 16 KiB */
    MOST_COLUMNS = 512, /* packed at once: 512 KiB of B, fetched a panel at a time */
    ROWS = 96,          /* of A that pass by at once: 96 KiB */
    LEAST_ROWS = 48,    /* of a block: below, packing costs more than an idle thread */
    LEAST_COLUMNS = 32,
    BLOCKS_PER_THREAD = 4, /* wanted, so that no thread waits long for another */
    PANEL = FAL_TILE_COLUMNS
};

/* A factor in memory: element [row, k] of A or [k, column] of B. */
typedef struct factor {
    const float *numbers;
    int64_t stride; /* from one row of the tensor to the next */
    bool is_transposed;
} factor;

typedef struct product_work {
    factor a, b;
    float *y;
    int64_t y_stride;
    bool is_added;
    int64_t m, n, n_terms;
    int64_t rows_per_block, columns_per_block, n_row_blocks, n_blocks;
    const fal_kernel_set *kernels;
    float *threads;             /* [n_threads, packed_b + packed_a] */
    int64_t packed_b, packed_a; /* numbers of a thread's packed columns of B and rows of A */
    atomic_llong next;
} product_work;

/* Rows [first, first + n) and terms of a span. */
typedef struct range {
    int64_t first, n;
} range;

static range range_at(int64_t first, int64_t most, int64_t end) {
    return (range){first, end - first < most ? end - first : most};
}

/* Rows of terms into panels of `width` columns behind each other; what the last one lacks is left out. width is a constant
 * where this is called, so that whole panels are copied without a call. */
static inline void pack(float *packed, const float *from, int64_t stride, int64_t n_terms,
                        int64_t n_columns, int64_t width) {
    int64_t n_whole = n_columns / width, rest = n_columns % width;
    for (int64_t k = 0; k < n_terms; k++, from += stride) {
        float *to = packed + k * width;
        for (int64_t i = 0; i < n_whole; i++, to += n_terms * width)
            memcpy(to, from + i * width, (size_t)width * sizeof *to);
        if (rest > 0) memcpy(to, from + n_whole * width, (size_t)rest * sizeof *to);
    }
}

static void pack_b(const product_work *work, range columns, range terms, float *packed) {
    const factor *b = &work->b;
    if (!b->is_transposed) {
        pack(packed, b->numbers + terms.first * b->stride + columns.first, b->stride, terms.n,
             columns.n, PANEL);
        return;
    }
    for (int64_t i = 0; i < columns.n; i += PANEL)
        work->kernels->transpose(packed + i * terms.n, PANEL,
                                 b->numbers + (columns.first + i) * b->stride + terms.first,
                                 b->stride, range_at(i, PANEL, columns.n).n, terms.n);
}

/* Of a transposed A. */
static void pack_a(const product_work *work, range rows, range terms, float *packed) {
    const factor *a = &work->a;
    pack(packed, a->numbers + terms.first * a->stride + rows.first, a->stride, terms.n, rows.n,
         FAL_TILE_ROWS);
}

/* A few rows by the packed columns. */
static void multiply(const product_work *work, range rows, range columns, range terms,
                     const float *packed_b, float *packed_a) {
    bool is_packed = work->a.is_transposed;
    int64_t step = is_packed ? FAL_TILE_ROWS : rows.n;
    if (is_packed) pack_a(work, rows, terms, packed_a);
    for (int64_t j = 0; j < columns.n; j += PANEL) {
        range panel = range_at(columns.first + j, PANEL, columns.first + columns.n);
        for (int64_t i = 0; i < rows.n; i += step) {
            range some = range_at(rows.first + i, step, rows.first + rows.n);
            const float *a = is_packed
                                 ? packed_a + i * terms.n
                                 : work->a.numbers + some.first * work->a.stride + terms.first;
            work->kernels->multiply_tile(
                &(fal_tile){.a = a,
                            .a_row = is_packed ? 1 : work->a.stride,
                            .a_column = is_packed ? FAL_TILE_ROWS : 1,
                            .b = packed_b + j * terms.n,
                            .b_stride = PANEL,
                            .y = work->y + some.first * work->y_stride + panel.first,
                            .y_stride = work->y_stride,
                            .n_rows = (int)some.n,
                            .n_cols = (int)panel.n,
                            .n_terms = (int)terms.n,
                            .is_added = work->is_added || terms.first > 0});
        }
    }
}

static void multiply_block(const product_work *work, range rows, range columns, float *memory) {
    for (int64_t k = 0; k == 0 || k < work->n_terms; k += DEPTH) {
        range terms = range_at(k, DEPTH, work->n_terms);
        pack_b(work, columns, terms, memory);
        for (int64_t i = 0; i < rows.n; i += ROWS)
            multiply(work, range_at(rows.first + i, ROWS, rows.first + rows.n), columns, terms,
                     memory, memory + work->packed_b);
    }
}

static void take_blocks(void *argument, int thread, int n_threads) {
    (void)n_threads;
    product_work *work = argument;
    float *memory = work->threads + thread * (work->packed_b + work->packed_a);
    for (;;) {
        int64_t block = atomic_fetch_add_explicit(&work->next, 1, memory_order_relaxed);
        if (block >= work->n_blocks) return;
        int64_t row = block % work->n_row_blocks * work->rows_per_block,
                column = block / work->n_row_blocks * work->columns_per_block;
        multiply_block(work, range_at(row, work->rows_per_block, work->m),
                       range_at(column, work->columns_per_block, work->n), memory);
    }
}

static int64_t divide_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

/* Halves blocks until there are enough of them, the rows first: their length saves packing, but only in the beginning. */
static void cut_work(product_work *work, int n_threads) {
    int64_t rows = work->m, columns = work->n < MOST_COLUMNS ? work->n : MOST_COLUMNS;
    int64_t wanted = n_threads == 1 ? 1 : (int64_t)n_threads * BLOCKS_PER_THREAD;
    while (divide_up(work->m, rows) * divide_up(work->n, columns) < wanted) {
        if (rows >= 2 * LEAST_ROWS && (rows >= 2 * columns || columns < 2 * LEAST_COLUMNS))
            rows = divide_up(divide_up(rows, 2), FAL_TILE_ROWS) * FAL_TILE_ROWS;
        else if (columns >= 2 * LEAST_COLUMNS)
            columns = divide_up(divide_up(columns, 2), PANEL) * PANEL;
        else
            break;
    }
    work->rows_per_block = rows;
    work->columns_per_block = columns;
    work->n_row_blocks = divide_up(work->m, rows);
    work->n_blocks = work->n_row_blocks * divide_up(work->n, columns);
    int64_t depth = work->n_terms < DEPTH ? work->n_terms : DEPTH;
    work->packed_b = depth * divide_up(columns, PANEL) * PANEL;
    work->packed_a = work->a.is_transposed ? depth * ROWS : 0;
}

static factor factor_of(fal_tensor t, bool is_transposed) {
    return (factor){t.data, (int64_t)(t.row_bytes / sizeof(float)), is_transposed};
}

void fal_cpu_product(fal_queue *q, fal_tensor y, fal_tensor a, bool a_is_transposed, fal_tensor b,
                     bool b_is_transposed, bool is_added) {
    if (!fal_check_product(q, y, a, a_is_transposed, b, b_is_transposed, is_added)) return;
    if (y.n_rows == 0) return;
    fal_pool *pool = fal_cpu_pool(q);
    int n_threads = fal_pool_size(pool);
    product_work work = {.a = factor_of(a, a_is_transposed),
                         .b = factor_of(b, b_is_transposed),
                         .y = y.data,
                         .y_stride = (int64_t)(y.row_bytes / sizeof(float)),
                         .is_added = is_added,
                         .m = y.n_rows,
                         .n = y.n_cols,
                         .n_terms = a_is_transposed ? a.n_rows : a.n_cols,
                         .kernels = fal_cpu_kernels(q)};
    cut_work(&work, n_threads);
    size_t numbers = (size_t)n_threads * (size_t)(work.packed_b + work.packed_a);
    work.threads =
        fal_cpu_scratch(q, FAL_CPU_SCRATCH_THREADS, (numbers + 1) * sizeof *work.threads);
    if (!work.threads) return;
    if (work.n_blocks == 1)
        take_blocks(&work, 0, 1);
    else
        fal_pool_run(pool, take_blocks, &work);
}
