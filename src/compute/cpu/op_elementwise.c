/* Operations on each number by itself: pieces of rows among threads. Pieces end at fixed columns. */
#include "compute/checks.h"
#include "compute/cpu/cpu.h"

enum {
    PIECE = 4096, /* columns of a piece */
    CHUNK = 4     /* pieces a thread takes at once, when there are many */
};

typedef struct elementwise_work {
    fal_tensor y, a, b;
    int64_t pieces_per_row;
    fal_add_kernel *add;
    fal_map_kernel *map;
} elementwise_work;

static void do_pieces(void *argument, int64_t begin, int64_t end) {
    const elementwise_work *work = argument;
    for (int64_t piece = begin; piece < end; piece++) {
        int64_t token = piece / work->pieces_per_row;
        int64_t first = piece % work->pieces_per_row * PIECE;
        int64_t n = work->y.n_cols - first < PIECE ? work->y.n_cols - first : PIECE;
        float *y = fal_tensor_f32_row(work->y, token) + first;
        const float *a = fal_tensor_f32_row(work->a, token) + first;
        if (work->map)
            work->map(y, a, n);
        else
            work->add(y, a, fal_tensor_f32_row(work->b, token) + first, n);
    }
}

static void run(fal_queue *q, elementwise_work *work) {
    work->pieces_per_row = (work->y.n_cols + PIECE - 1) / PIECE;
    int64_t n_pieces = work->y.n_rows * work->pieces_per_row;
    fal_pool *pool = fal_cpu_pool(q);
    int64_t chunk = n_pieces < 2 * CHUNK * fal_pool_size(pool) ? 1 : CHUNK;
    fal_pool_for(pool, n_pieces, chunk, do_pieces, work);
}

void fal_cpu_add(fal_queue *q, fal_tensor y, fal_tensor a, fal_tensor b) {
    if (!fal_check_add(q, y, a, b)) return;
    elementwise_work work = {.y = y, .a = a, .b = b, .add = fal_cpu_kernels(q)->add_row};
    run(q, &work);
}

void fal_cpu_gelu_erf(fal_queue *q, fal_tensor y, fal_tensor x) {
    if (!fal_check_gelu_erf(q, y, x)) return;
    elementwise_work work = {.y = y, .a = x, .map = fal_cpu_kernels(q)->gelu_erf_row};
    run(q, &work);
}

void fal_cpu_gelu_tanh(fal_queue *q, fal_tensor y, fal_tensor x) {
    if (!fal_check_gelu_tanh(q, y, x)) return;
    elementwise_work work = {.y = y, .a = x, .map = fal_cpu_kernels(q)->gelu_tanh_row};
    run(q, &work);
}
