/* linear on the cpu: encodes the activations once for all rows of weights, then cuts the rows among the threads. The
 * products themselves are kernels. */
#include "base/alloc.h"
#include "compute/checks.h"
#include "compute/cpu/cpu.h"

/* Rows are handed out in pieces of about this many bytes of weights: large enough to stream, small enough that the last
 * ones do not keep one thread busy alone. A multiple of ROW_UNIT rows, so that kernels see whole panels. */
enum {
    PIECE_BYTES = 512 * 1024,
    ROW_UNIT = 32
};

struct encoding {
    fal_encode_kernel *encode;
    fal_tensor x;
    char *blocks;
    size_t row_bytes;
};

static void encode_tokens(void *argument, int64_t begin, int64_t end) {
    const struct encoding *e = argument;
    for (int64_t token = begin; token < end; token++) {
        e->encode(fal_tensor_f32_row(e->x, token), e->blocks + (size_t)token * e->row_bytes,
                  e->x.n_cols);
    }
}

struct work {
    fal_matmul_kernel *matmul;
    fal_product product; /* of all rows */
    const float *bias;   /* NULL: none */
};

static void multiply_rows(void *argument, int64_t begin, int64_t end) {
    const struct work *work = argument;
    fal_product p = work->product;
    p.w = (const char *)p.w + (size_t)begin * p.w_row_bytes;
    p.n_rows = end - begin;
    p.y += begin;
    work->matmul(&p);
    if (!work->bias) return;
    for (int64_t token = 0; token < p.n_tokens; token++) {
        float *y = p.y + token * p.y_stride;
        for (int64_t row = 0; row < p.n_rows; row++) {
            y[row] += work->bias[begin + row];
        }
    }
}

/* Turns the activations into what the weights want; false: memory is short, kept in the queue. */
static bool encode(fal_queue *q, fal_tensor x, const fal_type *partner, fal_product *p) {
    fal_encode_kernel *kernel = fal_kernel_set_encoder(fal_cpu_kernels(q), partner->name);
    p->x = x.data;
    p->x_row_bytes = x.row_bytes;
    if (!kernel) return true;
    size_t row_bytes =
        (size_t)(x.n_cols / partner->weights_per_block) * (size_t)partner->bytes_per_block;
    size_t bytes;
    char *blocks = NULL;
    if (!fal_multiply_size((size_t)x.n_rows, row_bytes, &bytes)) {
        fal_queue_fail(q, FAL_E_MEMORY, "linear", "%lld encoded rows of %zu bytes",
                       (long long)x.n_rows, row_bytes);
        return false;
    }
    blocks = fal_cpu_scratch(q, FAL_CPU_SCRATCH_ACTIVATIONS, bytes);
    if (!blocks) return false;
    struct encoding e = {kernel, x, blocks, row_bytes};
    if (x.n_rows == 1) {
        encode_tokens(&e, 0, 1);
    } else {
        fal_pool_for(fal_cpu_pool(q), x.n_rows, 4, encode_tokens, &e);
    }
    p->x = blocks;
    p->x_row_bytes = row_bytes;
    return true;
}

static int64_t piece_rows(const fal_product *p, int n_threads) {
    int64_t rows = (int64_t)((size_t)PIECE_BYTES / (p->w_row_bytes ? p->w_row_bytes : 1));
    int64_t fair = p->n_rows / ((int64_t)n_threads * 4);
    if (rows > fair) rows = fair;
    rows = rows / ROW_UNIT * ROW_UNIT;
    return rows < ROW_UNIT ? ROW_UNIT : rows;
}

void fal_cpu_linear(fal_queue *q, fal_tensor y, fal_tensor x, fal_tensor w, fal_tensor bias) {
    if (!fal_check_linear(q, y, x, w, bias)) return;
    if (q->on_linear) q->on_linear(q->on_linear_user, w, x);
    fal_matmul_kernel *matmul = fal_kernel_set_matmul(fal_cpu_kernels(q), w.type->name);
    if (!matmul) {
        fal_queue_fail(q, FAL_E_UNSUPPORTED, "linear", "no product with weights of type %s",
                       w.type->name);
        return;
    }
    if (x.n_rows == 0 || w.n_rows == 0) return;
    struct work work = {.matmul = matmul, .bias = bias.data};
    work.product = (fal_product){.w = w.data,
                                 .w_row_bytes = w.row_bytes,
                                 .n_rows = w.n_rows,
                                 .n_tokens = x.n_rows,
                                 .n_cols = w.n_cols,
                                 .y = y.data,
                                 .y_stride = (int64_t)(y.row_bytes / sizeof(float))};
    if (!encode(q, x, w.type->partner, &work.product)) return;
    fal_pool *pool = fal_cpu_pool(q);
    fal_pool_for(pool, w.n_rows, piece_rows(&work.product, fal_pool_size(pool)), multiply_rows,
                 &work);
}
