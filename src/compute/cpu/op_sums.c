/* Sums over tokens and over whole tensors. They add in an order that shapes alone fix: columns are cut among threads, or
 * parts of a fixed size are summed apart and then one after the other. */
#include "compute/checks.h"
#include "compute/cpu/cpu.h"

enum {
    COLUMNS = 64,  /* that a thread takes at once: whole lines of memory */
    PART = 1 << 14 /* numbers of a partial sum of squares */
};

typedef struct column_work {
    fal_tensor to, from;
    const int32_t *rows; /* NULL: all go to row 0 */
    fal_add_kernel *add;
} column_work;

/* to[rows[token]] += from[token] for a range of blocks of columns. */
static void add_columns(void *argument, int64_t begin, int64_t end) {
    const column_work *work = argument;
    int64_t first = begin * COLUMNS, last = end * COLUMNS;
    if (last > work->from.n_cols) last = work->from.n_cols;
    for (int64_t token = 0; token < work->from.n_rows; token++) {
        float *to = fal_tensor_f32_row(work->to, work->rows ? work->rows[token] : 0) + first;
        work->add(to, to, fal_tensor_f32_row(work->from, token) + first, last - first);
    }
}

static void run_columns(fal_queue *q, column_work *work) {
    work->add = fal_cpu_kernels(q)->add_row;
    fal_pool_for(fal_cpu_pool(q), (work->from.n_cols + COLUMNS - 1) / COLUMNS, 1, add_columns,
                 work);
}

void fal_cpu_bias_gradient(fal_queue *q, fal_tensor dbias, fal_tensor dy) {
    if (!fal_check_bias_gradient(q, dbias, dy)) return;
    run_columns(q, &(column_work){.to = dbias, .from = dy});
}

void fal_cpu_embed_gradient(fal_queue *q, fal_tensor dtable, fal_tensor dy, const int32_t *rows) {
    if (!fal_check_embed_gradient(q, dtable, dy, rows)) return;
    run_columns(q, &(column_work){.to = dtable, .from = dy, .rows = rows});
}

typedef struct square_work {
    fal_tensor x;
    int64_t parts_per_row;
    double *sums; /* [n_rows * parts_per_row] */
    fal_square_sum_kernel *kernel;
} square_work;

static void sum_parts(void *argument, int64_t begin, int64_t end) {
    const square_work *work = argument;
    for (int64_t part = begin; part < end; part++) {
        const float *row = fal_tensor_f32_row(work->x, part / work->parts_per_row);
        int64_t first = part % work->parts_per_row * PART;
        int64_t rest = work->x.n_cols - first;
        work->sums[part] = work->kernel(row + first, rest < PART ? rest : PART);
    }
}

void fal_cpu_square_sum(fal_queue *q, double *sum, fal_tensor x) {
    if (!fal_check_square_sum(q, sum, x)) return;
    square_work work = {.x = x,
                        .parts_per_row = (x.n_cols + PART - 1) / PART,
                        .kernel = fal_cpu_kernels(q)->square_sum_row};
    int64_t n_parts = x.n_rows * work.parts_per_row;
    work.sums =
        fal_cpu_scratch(q, FAL_CPU_SCRATCH_PARTS, (size_t)(n_parts + 1) * sizeof *work.sums);
    if (!work.sums) return;
    fal_pool_for(fal_cpu_pool(q), n_parts, 1 + PART / x.n_cols, sum_parts, &work);
    *sum = 0.0;
    for (int64_t part = 0; part < n_parts; part++)
        *sum += work.sums[part];
}
