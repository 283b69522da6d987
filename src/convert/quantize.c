/* Body of quantize.h: a piece of rows is decoded by all threads, then encoded and written for each output in turn. Memory
 * is that of one piece, whatever the model's size. */
#include "compute/cpu/quantize.h"

#include "base/alloc.h"
#include "base/thread.h"
#include "convert/output.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum {
    PIECE_WEIGHTS = 1 << 23
};

/* The least that rounds to infinity in f16. */
static const float BEYOND_F16 = 65520;

typedef struct quantization {
    fal_source *source;
    const fal_quantize_options *options;
    fal_quantize_output *outputs;
    size_t n_outputs;
    fal_output_set *sets; /* [n_outputs] */
    fal_pool *pool;
    float *values; /* of one piece */
    char *encoded;
    size_t piece_capacity; /* weights that values and encoded have room for */
    int64_t n_done, n_total;
} quantization;

/* The rows at hand; threads take some of them each. */
typedef struct piece {
    const quantization *q;
    int tensor;
    int64_t first, n_rows, n_cols;
    const fal_type *type;    /* to encode to */
    const float *importance; /* [n_cols]; NULL: none */
    size_t row_bytes;
    bool is_quantized, is_narrowed; /* by any output: to blocks; from a wider type to f16 */
    atomic_int status;              /* the first failure of any thread */
    atomic_llong bad_position;      /* lowest position of a weight that is refused; -1: none */
} piece;

static bool is_refused(const piece *p, float weight) {
    if (!isfinite(weight)) return p->is_quantized;
    return p->is_narrowed && fabsf(weight) >= BEYOND_F16;
}

static void decode_rows(void *argument, int64_t begin, int64_t end) {
    piece *p = argument;
    const fal_source *s = p->q->source;
    float *values = p->q->values + begin * p->n_cols;
    fal_status status =
        s->kind->read_rows(s->state, p->tensor, p->first + begin, end - begin, values, NULL);
    if (status != FAL_OK) atomic_store(&p->status, (int)status);
    for (int64_t i = 0; i < (end - begin) * p->n_cols; i++) {
        if (fabsf(values[i]) < BEYOND_F16 || !is_refused(p, values[i])) continue;
        long long at = (long long)((p->first + begin) * p->n_cols + i),
                  seen = atomic_load(&p->bad_position);
        while ((seen < 0 || at < seen)
               && !atomic_compare_exchange_weak(&p->bad_position, &seen, at)) {
        }
        return;
    }
}

static void encode_rows(void *argument, int64_t begin, int64_t end) {
    const piece *p = argument;
    for (int64_t row = begin; row < end; row++) {
        fal_cpu_encode(
            p->type, p->q->values + row * p->n_cols, p->type->is_quantized ? p->importance : NULL,
            p->q->encoded + (size_t)row * p->row_bytes, p->n_cols / p->type->weights_per_block);
    }
}

static fal_status make_room(quantization *q, size_t n_weights, fal_error *err) {
    if (n_weights <= q->piece_capacity) return FAL_OK;
    fal_free(q->values);
    fal_free(q->encoded);
    q->piece_capacity = 0;
    q->values = fal_alloc_aligned(n_weights, sizeof *q->values);
    q->encoded = fal_alloc_aligned(n_weights, sizeof *q->values);
    if (!q->values || !q->encoded) return fal_fail_memory(err, 2 * n_weights * sizeof *q->values);
    q->piece_capacity = n_weights;
    return FAL_OK;
}

static void note_uses(piece *p) {
    const fal_type *source = p->q->source->tensors[p->tensor].source;
    for (size_t i = 0; i < p->q->n_outputs; i++) {
        const fal_type *used = p->q->sets[i].report.entries[p->tensor].used;
        p->is_quantized |= used->is_quantized;
        p->is_narrowed |= used->gguf_id == FAL_TYPE_F16 && source != used;
    }
}

static fal_status read_piece(quantization *q, piece *p, fal_error *err) {
    const char *name = q->source->tensors[p->tensor].name;
    int64_t rows_at_once = p->n_rows / (fal_pool_size(q->pool) * 4) + 1;
    fal_pool_for(q->pool, p->n_rows, rows_at_once, decode_rows, p);
    fal_status status = (fal_status)atomic_load(&p->status);
    if (status != FAL_OK)
        return fal_fail(err, status, "tensor '%s': %s", name, fal_status_words(status));
    long long bad = atomic_load(&p->bad_position);
    if (bad < 0) return FAL_OK;
    long long row = bad / (long long)p->n_cols, column = bad % (long long)p->n_cols;
    float value = q->values[bad - (long long)(p->first * p->n_cols)];
    if (!isfinite(value))
        return fal_fail(err, FAL_E_FORMAT,
                        "tensor '%s': the weight in row %lld, column %lld is not finite", name, row,
                        column);
    return fal_fail(err, FAL_E_FORMAT,
                    "tensor '%s': the weight in row %lld, column %lld is %g, f16 holds less than "
                    "65520; bf16 and f32 hold it",
                    name, row, column, (double)value);
}

static fal_status write_piece(quantization *q, piece *p, fal_error *err) {
    const char *name = q->source->tensors[p->tensor].name;
    int64_t rows_at_once = p->n_rows / (fal_pool_size(q->pool) * 8) + 1;
    for (size_t i = 0; i < q->n_outputs; i++) {
        p->type = q->sets[i].report.entries[p->tensor].used;
        FAL_TRY(fal_type_row_bytes(p->type, p->n_cols, &p->row_bytes, err));
        fal_pool_for(q->pool, p->n_rows, rows_at_once, encode_rows, p);
        FAL_TRY(fal_gguf_write_data(q->sets[i].writers[q->sets[i].part_of[p->tensor]], q->encoded,
                                    (size_t)p->n_rows * p->row_bytes, err));
        q->n_done += p->n_rows * p->n_cols;
        if (q->options->on_progress
            && !q->options->on_progress(q->options->user, name, q->n_done, q->n_total))
            return fal_fail(err, FAL_E_CANCELLED, "cancelled at tensor '%s'", name);
    }
    return FAL_OK;
}

static fal_status write_tensor(quantization *q, int tensor, fal_error *err) {
    const fal_plan_tensor *t = &q->source->tensors[tensor];
    int64_t n_rows = fal_plan_tensor_rows(t), n_cols = fal_plan_tensor_columns(t);
    int64_t at_once = n_cols > 0 ? PIECE_WEIGHTS / n_cols : 1;
    if (at_once < 1) at_once = 1;
    if (at_once > n_rows) at_once = n_rows;
    FAL_TRY(make_room(q, (size_t)(at_once * n_cols), err));
    for (int64_t first = 0; first < n_rows; first += at_once) {
        fal_find_importance *find = q->options->find_importance;
        piece p = {.q = q,
                   .importance = find ? find(q->options->importance, t->name, n_cols) : NULL,
                   .tensor = tensor,
                   .first = first,
                   .n_rows = n_rows - first < at_once ? n_rows - first : at_once,
                   .n_cols = n_cols,
                   .status = FAL_OK,
                   .bad_position = -1};
        note_uses(&p);
        FAL_TRY(read_piece(q, &p, err));
        FAL_TRY(write_piece(q, &p, err));
        q->source->kind->forget_rows(q->source->state, tensor, first, p.n_rows);
    }
    return FAL_OK;
}

static fal_status quantize(quantization *q, fal_error *err) {
    q->sets = fal_alloc(q->n_outputs, sizeof *q->sets);
    if (!q->sets) return fal_fail_memory(err, 0);
    FAL_TRY(fal_pool_open(&q->pool, q->options->n_threads, err));
    for (size_t i = 0; i < q->n_outputs; i++)
        FAL_TRY(fal_output_set_open(&q->sets[i], q->source, &q->outputs[i], q->options, err));
    for (size_t i = 0; i < q->n_outputs; i++)
        FAL_TRY(fal_output_set_begin(&q->sets[i], q->outputs[i].path, err));
    for (int i = 0; i < q->source->n_tensors; i++) {
        const fal_plan_tensor *t = &q->source->tensors[i];
        q->n_total += fal_plan_tensor_rows(t) * fal_plan_tensor_columns(t) * (int64_t)q->n_outputs;
    }
    for (int i = 0; i < q->source->n_tensors; i++)
        FAL_TRY(write_tensor(q, i, err));
    for (size_t i = 0; i < q->n_outputs; i++)
        FAL_TRY(fal_output_set_commit(&q->sets[i], err));
    return FAL_OK;
}

fal_status fal_quantize_write(fal_source *source, fal_quantize_output *outputs, size_t n_outputs,
                              const fal_quantize_options *options, fal_error *err) {
    static const fal_quantize_options defaults;
    quantization q = {.source = source,
                      .options = options ? options : &defaults,
                      .outputs = outputs,
                      .n_outputs = n_outputs};
    fal_status status = quantize(&q, err);
    for (size_t i = 0; q.sets && i < n_outputs; i++)
        fal_output_set_release(&q.sets[i]);
    fal_free(q.sets);
    fal_pool_close(q.pool);
    fal_free(q.encoded);
    fal_free(q.values);
    return status;
}
