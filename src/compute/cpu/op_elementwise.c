/* Operations on each number by itself: pieces of rows among threads. Pieces end at fixed columns. */
#include "compute/checks.h"
#include "compute/cpu/cpu.h"

#include <string.h>

enum {
    PIECE = 4096, /* columns of a piece */
    CHUNK = 4     /* whole pieces that a thread takes at once, when there are many */
};

typedef struct elementwise_work elementwise_work;

/* Columns [first, first + n) of a row. */
typedef void piece_task(const elementwise_work *work, int64_t row, int64_t first, int64_t n);

struct elementwise_work {
    fal_tensor y, a, b;
    float factor;
    const fal_kernel_set *kernels;
    fal_map_kernel *map;
    fal_gradient_kernel *gradient;
    piece_task *task;
    int64_t pieces_per_row;
};

static float *at(fal_tensor t, int64_t row, int64_t first) {
    return fal_tensor_f32_row(t, row) + first;
}

static void do_pieces(void *argument, int64_t begin, int64_t end) {
    const elementwise_work *work = argument;
    for (int64_t piece = begin; piece < end; piece++) {
        int64_t first = piece % work->pieces_per_row * PIECE;
        int64_t n = work->y.n_cols - first < PIECE ? work->y.n_cols - first : PIECE;
        work->task(work, piece / work->pieces_per_row, first, n);
    }
}

static void run(fal_queue *q, piece_task *task, elementwise_work *work) {
    work->task = task;
    work->kernels = fal_cpu_kernels(q);
    work->pieces_per_row = (work->y.n_cols + PIECE - 1) / PIECE;
    int64_t n_pieces = work->y.n_rows * work->pieces_per_row;
    fal_pool *pool = fal_cpu_pool(q);
    int64_t many = CHUNK * (work->y.n_cols < PIECE ? PIECE / work->y.n_cols : 1);
    int64_t fair = n_pieces / (2 * (int64_t)fal_pool_size(pool));
    fal_pool_for(pool, n_pieces, fair < many ? fair : many, do_pieces, work);
}

static void add_piece(const elementwise_work *work, int64_t row, int64_t first, int64_t n) {
    work->kernels->add_row(at(work->y, row, first), at(work->a, row, first),
                           at(work->b, row, first), n);
}

void fal_cpu_add(fal_queue *q, fal_tensor y, fal_tensor a, fal_tensor b) {
    if (!fal_check_add(q, y, a, b)) return;
    run(q, add_piece, &(elementwise_work){.y = y, .a = a, .b = b});
}

static void add_bias_piece(const elementwise_work *work, int64_t row, int64_t first, int64_t n) {
    float *y = at(work->y, row, first);
    work->kernels->add_row(y, y, at(work->b, 0, first), n);
}

void fal_cpu_add_bias(fal_queue *q, fal_tensor y, fal_tensor bias) {
    if (!fal_check_add_bias(q, y, bias)) return;
    run(q, add_bias_piece, &(elementwise_work){.y = y, .b = bias});
}

static void scale_piece(const elementwise_work *work, int64_t row, int64_t first, int64_t n) {
    float *y = at(work->y, row, first);
    if (work->factor == 0.0f)
        memset(y, 0, (size_t)n * sizeof *y);
    else
        work->kernels->scale_row(y, y, work->factor, n);
}

void fal_cpu_scale(fal_queue *q, fal_tensor x, float factor) {
    if (!fal_check_scale(q, x, factor)) return;
    run(q, scale_piece, &(elementwise_work){.y = x, .factor = factor});
}

static void map_piece(const elementwise_work *work, int64_t row, int64_t first, int64_t n) {
    work->map(at(work->y, row, first), at(work->a, row, first), n);
}

void fal_cpu_gelu_erf(fal_queue *q, fal_tensor y, fal_tensor x) {
    if (!fal_check_gelu_erf(q, y, x)) return;
    run(q, map_piece, &(elementwise_work){.y = y, .a = x, .map = fal_cpu_kernels(q)->gelu_erf_row});
}

void fal_cpu_gelu_tanh(fal_queue *q, fal_tensor y, fal_tensor x) {
    if (!fal_check_gelu_tanh(q, y, x)) return;
    run(q, map_piece,
        &(elementwise_work){.y = y, .a = x, .map = fal_cpu_kernels(q)->gelu_tanh_row});
}

static void gradient_piece(const elementwise_work *work, int64_t row, int64_t first, int64_t n) {
    work->gradient(at(work->y, row, first), at(work->a, row, first), at(work->b, row, first), n);
}

void fal_cpu_gelu_erf_gradient(fal_queue *q, fal_tensor dx, fal_tensor dy, fal_tensor x) {
    if (!fal_check_gelu_erf_gradient(q, dx, dy, x)) return;
    fal_gradient_kernel *kernel = fal_cpu_kernels(q)->gelu_erf_gradient_row;
    run(q, gradient_piece, &(elementwise_work){.y = dx, .a = dy, .b = x, .gradient = kernel});
}

void fal_cpu_gelu_tanh_gradient(fal_queue *q, fal_tensor dx, fal_tensor dy, fal_tensor x) {
    if (!fal_check_gelu_tanh_gradient(q, dx, dy, x)) return;
    fal_gradient_kernel *kernel = fal_cpu_kernels(q)->gelu_tanh_gradient_row;
    run(q, gradient_piece, &(elementwise_work){.y = dx, .a = dy, .b = x, .gradient = kernel});
}
