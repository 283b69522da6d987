/* falconer-bench-operations: times the operations that training spends its time in, products and attention, alone on a
 * device, and prints a line of JSON for each. */
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/random.h"
#include "compute/device.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double SECONDS = 0.06; /* each is repeated for, at least */

enum {
    MOST_TOKENS = 1 << 20
};

typedef struct bench {
    fal_device *device;
    fal_queue *queue;
    int64_t n_tokens;
} bench;

/* y[rows, columns] = or += a product over `inner`; a size of 0 is n_tokens. */
typedef struct product_case {
    const char *what;
    int64_t rows, columns, inner;
    bool a_is_transposed, b_is_transposed;
} product_case;

static const product_case products[] = {
    {"qkv",             0,    768,  256,  false, true },
    {"up",              0,    1024, 256,  false, true },
    {"down",            0,    256,  1024, false, true },
    {"output",          0,    256,  256,  false, true },
    {"gradient of x",   0,    256,  1024, false, false},
    {"gradient of w",   1024, 256,  0,    true,  false},
    {"head",            4096, 2048, 256,  false, true },
    {"up, 512",         0,    2048, 512,  false, true },
    {"gradient of 512", 2048, 512,  0,    true,  false}
};

typedef struct attention_case {
    int length, n_heads, n_kv_heads, head_dim;
} attention_case;

static const attention_case attentions[] = {
    {512,  4, 4, 64},
    {2048, 4, 4, 64},
    {2048, 4, 1, 64},
    {2048, 8, 2, 64}
};

enum {
    N_PRODUCTS = sizeof products / sizeof products[0],
    N_ATTENTIONS = sizeof attentions / sizeof attentions[0]
};

/* ---- matrices ---- */

static fal_status take(fal_tensor *out, const bench *b, int64_t n_rows, int64_t n_cols,
                       fal_error *err) {
    void *memory;
    size_t row_bytes = (size_t)n_cols * sizeof(float);
    *out = FAL_NONE;
    FAL_TRY(fal_memory_take(&memory, b->device, (size_t)n_rows * row_bytes, err));
    fal_random random = fal_random_seeded(1, (uint64_t)n_cols);
    float *numbers = memory;
    for (int64_t i = 0; i < n_rows * n_cols; i++)
        numbers[i] = (float)fal_random_u64(&random) * 0x1p-64f - 0.5f;
    *out = (fal_tensor){.data = memory,
                        .type = fal_type_by_id(FAL_TYPE_F32),
                        .n_rows = n_rows,
                        .n_cols = n_cols,
                        .row_bytes = row_bytes};
    return FAL_OK;
}

/* ---- timing ---- */

typedef void operation(const bench *b, const void *arguments);

/* The first call does not count. */
static fal_status time_calls(const bench *b, operation *call, const void *arguments,
                             double *seconds, fal_error *err) {
    int n_calls = 0;
    call(b, arguments);
    FAL_TRY(fal_queue_wait(b->queue, err));
    double begin = fal_seconds();
    do {
        for (int i = 0; i < 4; i++, n_calls++)
            call(b, arguments);
        FAL_TRY(fal_queue_wait(b->queue, err));
        *seconds = (fal_seconds() - begin) / n_calls;
    } while (fal_seconds() - begin < SECONDS);
    return FAL_OK;
}

static void print_line(const bench *b, const char *what, const char *shape, double seconds,
                       double flops) {
    printf("{\"device\": \"%s\", \"operation\": \"%s\", \"shape\": \"%s\", "
           "\"milliseconds\": %.3f, \"gflop_per_second\": %.1f}\n",
           b->device->backend->kernel_set(b->device), what, shape, seconds * 1e3,
           flops / seconds * 1e-9);
    fflush(stdout);
}

/* ---- products ---- */

typedef struct product_call {
    fal_tensor y, a, b;
    const product_case *how;
} product_call;

static void multiply(const bench *b, const void *arguments) {
    const product_call *c = arguments;
    b->queue->ops->product(b->queue, c->y, c->a, c->how->a_is_transposed, c->b,
                           c->how->b_is_transposed, c->how->a_is_transposed);
}

static fal_status measure_product(const bench *b, const product_case *how, fal_error *err) {
    int64_t m = how->rows ? how->rows : b->n_tokens, n = how->columns,
            k = how->inner ? how->inner : b->n_tokens;
    product_call c = {.how = how};
    double seconds = 0;
    char shape[80];
    fal_status status = FAL_OK;
    FAL_TRY_OUT(take(&c.a, b, how->a_is_transposed ? k : m, how->a_is_transposed ? m : k, err));
    FAL_TRY_OUT(take(&c.b, b, how->b_is_transposed ? n : k, how->b_is_transposed ? k : n, err));
    FAL_TRY_OUT(take(&c.y, b, m, n, err));
    FAL_TRY_OUT(time_calls(b, multiply, &c, &seconds, err));
    snprintf(shape, sizeof shape, "%s: %lld x %lld, over %lld", how->what, (long long)m,
             (long long)n, (long long)k);
    print_line(b, "product", shape, seconds, 2.0 * (double)m * (double)n * (double)k);
out:
    fal_memory_give(c.a.data, b->device);
    fal_memory_give(c.b.data, b->device);
    fal_memory_give(c.y.data, b->device);
    return status;
}

/* ---- attention ---- */

typedef struct attention_call {
    fal_tensor qkv, dqkv, out, dout, log_sums;
    int64_t *starts;
    fal_packing packing;
} attention_call;

/* Query, key or value among the columns. */
static fal_tensor part(const attention_call *c, fal_tensor all, int index) {
    const fal_packing *p = &c->packing;
    int64_t heads[] = {p->n_heads, p->n_kv_heads, p->n_kv_heads}, first = 0;
    for (int i = 0; i < index; i++)
        first += heads[i];
    return fal_tensor_columns(all, first * p->head_dim, heads[index] * p->head_dim);
}

static void attend(const bench *b, const void *arguments) {
    const attention_call *c = arguments;
    b->queue->ops->packed_attention(b->queue, c->out, c->log_sums, part(c, c->qkv, 0),
                                    part(c, c->qkv, 1), part(c, c->qkv, 2), &c->packing);
}

static void attend_backwards(const bench *b, const void *arguments) {
    const attention_call *c = arguments;
    b->queue->ops->packed_attention_gradient(
        b->queue, part(c, c->dqkv, 0), part(c, c->dqkv, 1), part(c, c->dqkv, 2), c->dout, c->out,
        c->log_sums, part(c, c->qkv, 0), part(c, c->qkv, 1), part(c, c->qkv, 2), &c->packing);
}

static fal_status open_call(attention_call *c, const bench *b, const attention_case *how,
                            fal_error *err) {
    int64_t n = b->n_tokens, heads = (int64_t)how->n_heads * how->head_dim;
    int64_t n_cols = heads + 2 * (int64_t)how->n_kv_heads * how->head_dim;
    int64_t n_sequences = (n + how->length - 1) / how->length;
    c->starts = fal_alloc((size_t)n_sequences + 1, sizeof *c->starts);
    if (!c->starts) return fal_fail_memory(err, 0);
    for (int64_t i = 0; i <= n_sequences; i++)
        c->starts[i] = i * how->length < n ? i * how->length : n;
    c->packing = (fal_packing){.starts = c->starts,
                               .n_sequences = n_sequences,
                               .n_heads = how->n_heads,
                               .n_kv_heads = how->n_kv_heads,
                               .head_dim = how->head_dim,
                               .scale = (float)(1 / sqrt((double)how->head_dim))};
    FAL_TRY(take(&c->qkv, b, n, n_cols, err));
    FAL_TRY(take(&c->dqkv, b, n, n_cols, err));
    FAL_TRY(take(&c->out, b, n, heads, err));
    FAL_TRY(take(&c->dout, b, n, heads, err));
    return take(&c->log_sums, b, n, how->n_heads, err);
}

/* Causal: half of each sequence's square, in two products forward; backward in five. */
static double flops_of(const fal_packing *p) {
    double squares = 0;
    for (int64_t i = 0; i < p->n_sequences; i++)
        squares += pow((double)(p->starts[i + 1] - p->starts[i]), 2);
    return 2.0 * squares * p->n_heads * p->head_dim;
}

static fal_status measure_attention(const bench *b, const attention_case *how, fal_error *err) {
    attention_call c = {0};
    double seconds = 0;
    char shape[80];
    fal_status status = FAL_OK;
    snprintf(shape, sizeof shape, "sequences of %d, %d heads of %d, %d kv", how->length,
             how->n_heads, how->head_dim, how->n_kv_heads);
    FAL_TRY_OUT(open_call(&c, b, how, err));
    FAL_TRY_OUT(time_calls(b, attend, &c, &seconds, err));
    print_line(b, "packed_attention", shape, seconds, flops_of(&c.packing));
    FAL_TRY_OUT(time_calls(b, attend_backwards, &c, &seconds, err));
    print_line(b, "packed_attention_gradient", shape, seconds, 2.5 * flops_of(&c.packing));
out:
    fal_free(c.starts);
    fal_memory_give(c.qkv.data, b->device);
    fal_memory_give(c.dqkv.data, b->device);
    fal_memory_give(c.out.data, b->device);
    fal_memory_give(c.dout.data, b->device);
    fal_memory_give(c.log_sums.data, b->device);
    return status;
}

static fal_status measure(const bench *b, fal_error *err) {
    for (int i = 0; i < N_PRODUCTS; i++)
        FAL_TRY(measure_product(b, &products[i], err));
    for (int i = 0; i < N_ATTENTIONS; i++)
        FAL_TRY(measure_attention(b, &attentions[i], err));
    return FAL_OK;
}

/* ---- */

static bool read_option(bench *b, const char **device, const char *name, const char *value) {
    char *end;
    if (strcmp(name, "--device") == 0) {
        *device = value;
        return true;
    }
    long long number = strtoll(value, &end, 10);
    if (strcmp(name, "--tokens") != 0 || *end || number < 1 || number > MOST_TOKENS) return false;
    b->n_tokens = number;
    return true;
}

int main(int argc, char **argv) {
    bench b = {.n_tokens = 2048};
    const char *device = NULL;
    fal_error err = {0};
    for (int i = 1; i < argc; i += 2) {
        if (strcmp(argv[i], "--help") == 0) {
            puts("Usage: falconer-bench-operations [--device NAME] [--tokens N]\n"
                 "Times products and attention of training, alone, with N tokens at once (2048).");
            return 0;
        }
        if (i + 1 < argc && read_option(&b, &device, argv[i], argv[i + 1])) continue;
        fprintf(stderr, "falconer-bench-operations: '%s' is no option or value; see --help\n",
                argv[i]);
        return fal_status_exit_code(FAL_E_ARGUMENT);
    }
    fal_status status = fal_device_open(&b.device, device, 0, &err);
    if (status == FAL_OK) status = fal_queue_open(&b.queue, b.device, &err);
    if (status == FAL_OK) status = measure(&b, &err);
    if (status != FAL_OK) fprintf(stderr, "falconer-bench-operations: %s\n", err.message);
    fal_queue_close(b.queue);
    fal_device_close(b.device);
    return fal_status_exit_code(status);
}
