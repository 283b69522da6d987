/* Attention of packed sequences and its gradient on the cpu: heads of sequences among threads. Scores are never kept: the
 * backward pass makes them again from the log sums. Scratch grows with the length of a sequence, not with its square. */
#include "compute/checks.h"
#include "compute/cpu/cpu.h"

#include <math.h>
#include <string.h>

typedef struct packed_work {
    fal_tensor out, log_sums, query, key, value;
    fal_tensor dout, dquery, dkey, dvalue; /* of the gradient */
    const fal_packing *p;
    float *threads; /* [n_threads, longest sequence]: scores of one query */
    int64_t longest;
    int n_items_per_sequence;
} packed_work;

static float dot(const float *a, const float *b, int n) {
    float sum = 0.0f;
    for (int i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static float score_of(const packed_work *work, int64_t at, int64_t cell, int head, int kv_head) {
    const fal_packing *p = work->p;
    float s =
        p->scale
        * dot(fal_tensor_f32_row(work->query, at) + (int64_t)head * p->head_dim,
              fal_tensor_f32_row(work->key, cell) + (int64_t)kv_head * p->head_dim, p->head_dim);
    return p->alibi_slopes ? s + p->alibi_slopes[head] * (float)(cell - at) : s;
}

static void attend(const packed_work *work, int64_t first, int64_t at, int head, float *scores) {
    const fal_packing *p = work->p;
    int kv_head = head / (p->n_heads / p->n_kv_heads);
    float largest = -INFINITY, total = 0.0f;
    float *out = fal_tensor_f32_row(work->out, at) + (int64_t)head * p->head_dim;
    for (int64_t cell = first; cell <= at; cell++) {
        scores[cell - first] = score_of(work, at, cell, head, kv_head);
        largest = fmaxf(largest, scores[cell - first]);
    }
    memset(out, 0, (size_t)p->head_dim * sizeof *out);
    for (int64_t cell = first; cell <= at; cell++) {
        const float *value = fal_tensor_f32_row(work->value, cell) + (int64_t)kv_head * p->head_dim;
        float share = expf(scores[cell - first] - largest);
        total += share;
        for (int i = 0; i < p->head_dim; i++)
            out[i] += share * value[i];
    }
    for (int i = 0; i < p->head_dim; i++)
        out[i] /= total;
    fal_tensor_f32_row(work->log_sums, at)[head] = largest + logf(total);
}

/* Items: sequence by head. */
static void attend_items(void *argument, int64_t begin, int64_t end) {
    const packed_work *work = argument;
    for (int64_t item = begin; item < end; item++) {
        const int64_t *starts = work->p->starts + item / work->p->n_heads;
        int head = (int)(item % work->p->n_heads);
        for (int64_t at = starts[0]; at < starts[1]; at++)
            attend(work, starts[0], at, head, work->threads + item * work->longest);
    }
}

static int64_t longest_of(const fal_packing *p) {
    int64_t longest = 1;
    for (int64_t i = 0; i < p->n_sequences; i++) {
        int64_t n = p->starts[i + 1] - p->starts[i];
        if (n > longest) longest = n;
    }
    return longest;
}

void fal_cpu_packed_attention(fal_queue *q, fal_tensor out, fal_tensor log_sums, fal_tensor query,
                              fal_tensor key, fal_tensor value, const fal_packing *p) {
    if (!fal_check_packed_attention(q, out, log_sums, query, key, value, p)) return;
    packed_work work = {.out = out,
                        .log_sums = log_sums,
                        .query = query,
                        .key = key,
                        .value = value,
                        .p = p,
                        .longest = longest_of(p)};
    int64_t n_items = p->n_sequences * p->n_heads;
    work.threads = fal_cpu_scratch(q, FAL_CPU_SCRATCH_THREADS,
                                   (size_t)(n_items * work.longest + 1) * sizeof(float));
    if (!work.threads) return;
    fal_pool_for(fal_cpu_pool(q), n_items, 1, attend_items, &work);
}

static void add_gradients(const packed_work *work, int64_t first, int64_t at, int head) {
    const fal_packing *p = work->p;
    int kv_head = head / (p->n_heads / p->n_kv_heads), n = p->head_dim;
    int64_t column = (int64_t)head * n, kv_column = (int64_t)kv_head * n;
    const float *query = fal_tensor_f32_row(work->query, at) + column,
                *dout = fal_tensor_f32_row(work->dout, at) + column;
    float *dquery = fal_tensor_f32_row(work->dquery, at) + column;
    float mean = dot(dout, fal_tensor_f32_row(work->out, at) + column, n),
          log_sum = fal_tensor_f32_row(work->log_sums, at)[head];
    memset(dquery, 0, (size_t)n * sizeof *dquery);
    for (int64_t cell = first; cell <= at; cell++) {
        const float *key = fal_tensor_f32_row(work->key, cell) + kv_column;
        float *dkey = fal_tensor_f32_row(work->dkey, cell) + kv_column,
              *dvalue = fal_tensor_f32_row(work->dvalue, cell) + kv_column;
        float share = expf(score_of(work, at, cell, head, kv_head) - log_sum);
        float dscore = p->scale * share
                       * (dot(dout, fal_tensor_f32_row(work->value, cell) + kv_column, n) - mean);
        for (int i = 0; i < n; i++) {
            dquery[i] += dscore * key[i];
            dkey[i] += dscore * query[i];
            dvalue[i] += share * dout[i];
        }
    }
}

/* Items: sequence by kv head. */
static void differentiate_items(void *argument, int64_t begin, int64_t end) {
    const packed_work *work = argument;
    const fal_packing *p = work->p;
    int heads = p->n_heads / p->n_kv_heads;
    for (int64_t item = begin; item < end; item++) {
        const int64_t *starts = p->starts + item / p->n_kv_heads;
        int kv_head = (int)(item % p->n_kv_heads);
        for (int64_t at = starts[0]; at < starts[1]; at++) {
            size_t bytes = (size_t)p->head_dim * sizeof(float);
            memset(fal_tensor_f32_row(work->dkey, at) + (int64_t)kv_head * p->head_dim, 0, bytes);
            memset(fal_tensor_f32_row(work->dvalue, at) + (int64_t)kv_head * p->head_dim, 0, bytes);
        }
        for (int head = kv_head * heads; head < (kv_head + 1) * heads; head++) {
            for (int64_t at = starts[0]; at < starts[1]; at++)
                add_gradients(work, starts[0], at, head);
        }
    }
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
    fal_pool_for(fal_cpu_pool(q), p->n_sequences * p->n_kv_heads, 1, differentiate_items, &work);
}
