/* Operations on each number by itself: pieces of rows among threads. Pieces end at fixed columns. */
#include "compute/checks.h"
#include "compute/cpu/cpu.h"

#include <math.h>

enum {
    PIECE = 4096, /* columns of a piece */
    CHUNK = 4     /* pieces a thread takes at once, when there are many */
};

typedef struct elementwise_work {
    fal_tensor y, a, b;
    int64_t pieces_per_row;
    fal_add_kernel *add;
    fal_map_kernel *map;
    void (*change)(float *y, const float *a, const float *b, float factor, int64_t n);
    float factor; /* of change */
} elementwise_work;

static void do_pieces(void *argument, int64_t begin, int64_t end) {
    const elementwise_work *work = argument;
    for (int64_t piece = begin; piece < end; piece++) {
        int64_t token = piece / work->pieces_per_row;
        int64_t first = piece % work->pieces_per_row * PIECE;
        int64_t n = work->y.n_cols - first < PIECE ? work->y.n_cols - first : PIECE;
        float *y = fal_tensor_f32_row(work->y, token) + first;
        const float *a = fal_tensor_f32_row(work->a, token) + first;
        if (work->change)
            work->change(y, a, fal_tensor_f32_row(work->b, work->b.n_rows > 1 ? token : 0) + first,
                         work->factor, n);
        else if (work->map)
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

static void add_bias_row(float *y, const float *a, const float *b, float factor, int64_t n) {
    (void)factor;
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] + b[i];
}

void fal_cpu_add_bias(fal_queue *q, fal_tensor y, fal_tensor bias) {
    if (!fal_check_add_bias(q, y, bias)) return;
    elementwise_work work = {.y = y, .a = y, .b = bias, .change = add_bias_row};
    run(q, &work);
}

static void scale_row(float *y, const float *a, const float *b, float factor, int64_t n) {
    (void)b;
    for (int64_t i = 0; i < n; i++)
        y[i] = factor == 0.0f ? 0.0f : factor * a[i];
}

void fal_cpu_scale(fal_queue *q, fal_tensor x, float factor) {
    if (!fal_check_scale(q, x, factor)) return;
    elementwise_work work = {.y = x, .a = x, .b = x, .change = scale_row, .factor = factor};
    run(q, &work);
}

static void gelu_erf_gradient_row(float *dx, const float *dy, const float *x, float factor,
                                  int64_t n) {
    (void)factor;
    for (int64_t i = 0; i < n; i++) {
        float share = 0.5f * erfcf(-0.70710678f * x[i]);
        float density = 0.39894228f * expf(-0.5f * x[i] * x[i]);
        dx[i] = dy[i] * (share + x[i] * density);
    }
}

static void gelu_tanh_gradient_row(float *dx, const float *dy, const float *x, float factor,
                                   int64_t n) {
    (void)factor;
    const float inner = 0.79788456f, cubic = 0.044715f;
    for (int64_t i = 0; i < n; i++) {
        float z = inner * (x[i] + cubic * x[i] * x[i] * x[i]);
        float share = 1.0f / (1.0f + expf(-2.0f * z)), rest = 1.0f / (1.0f + expf(2.0f * z));
        float slope = inner * (1.0f + 3.0f * cubic * x[i] * x[i]);
        dx[i] = dy[i] * (share + x[i] * 2.0f * share * rest * slope);
    }
}

void fal_cpu_gelu_erf_gradient(fal_queue *q, fal_tensor dx, fal_tensor dy, fal_tensor x) {
    if (!fal_check_gelu_erf_gradient(q, dx, dy, x)) return;
    elementwise_work work = {.y = dx, .a = dy, .b = x, .change = gelu_erf_gradient_row};
    run(q, &work);
}

void fal_cpu_gelu_tanh_gradient(fal_queue *q, fal_tensor dx, fal_tensor dy, fal_tensor x) {
    if (!fal_check_gelu_tanh_gradient(q, dx, dy, x)) return;
    elementwise_work work = {.y = dx, .a = dy, .b = x, .change = gelu_tanh_gradient_row};
    run(q, &work);
}
