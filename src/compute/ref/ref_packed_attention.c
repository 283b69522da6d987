/* Causal attention within packed sequences, and its gradient: with p = softmax(s) and o = p v, the gradient of a score is
 * p * (dout . v - dout . out). */
#include "base/alloc.h"
#include "compute/checks.h"
#include "compute/ref/ref.h"

#include <math.h>

/* One query head of one sequence: its first row and its columns in queries and in keys. */
typedef struct place {
    int64_t first;
    int head;
    int64_t column, kv_column;
} place;

static double dot(fal_tensor a, int64_t a_row, int64_t a_column, fal_tensor b, int64_t b_row,
                  int64_t b_column, int n) {
    double sum = 0.0;
    for (int i = 0; i < n; i++)
        sum += (double)fal_tensor_f32_row(a, a_row)[a_column + i]
               * (double)fal_tensor_f32_row(b, b_row)[b_column + i];
    return sum;
}

/* Of row `at` looking at row `cell`. */
static double score(const fal_packing *p, const place *h, fal_tensor query, fal_tensor key,
                    int64_t at, int64_t cell) {
    double s = (double)p->scale * dot(query, at, h->column, key, cell, h->kv_column, p->head_dim);
    if (p->alibi_slopes) s += (double)p->alibi_slopes[h->head] * (double)(cell - at);
    return s;
}

/* scores [at - h->first + 1] is room for those of the row. */
static void attend(const fal_packing *p, const place *h, fal_tensor out, fal_tensor log_sums,
                   fal_tensor query, fal_tensor key, fal_tensor value, int64_t at, double *scores) {
    double largest = -(double)INFINITY, total = 0.0;
    int64_t n = at - h->first + 1;
    for (int64_t i = 0; i < n; i++) {
        scores[i] = score(p, h, query, key, at, h->first + i);
        largest = fmax(largest, scores[i]);
    }
    for (int64_t i = 0; i < n; i++) {
        scores[i] = exp(scores[i] - largest);
        total += scores[i];
    }
    fal_tensor_f32_row(log_sums, at)[h->head] = (float)(largest + log(total));
    for (int column = 0; column < p->head_dim; column++) {
        double sum = 0.0;
        for (int64_t i = 0; i < n; i++)
            sum +=
                scores[i] * (double)fal_tensor_f32_row(value, h->first + i)[h->kv_column + column];
        fal_tensor_f32_row(out, at)[h->column + column] = (float)(sum / total);
    }
}

static place place_of(const fal_packing *p, int64_t sequence, int head) {
    int kv_head = head / (p->n_heads / p->n_kv_heads);
    return (place){.first = p->starts[sequence],
                   .head = head,
                   .column = (int64_t)head * p->head_dim,
                   .kv_column = (int64_t)kv_head * p->head_dim};
}

void fal_ref_packed_attention(fal_queue *q, fal_tensor out, fal_tensor log_sums, fal_tensor query,
                              fal_tensor key, fal_tensor value, const fal_packing *p) {
    if (!fal_check_packed_attention(q, out, log_sums, query, key, value, p)) return;
    double *scores = fal_alloc((size_t)query.n_rows + 1, sizeof *scores);
    if (!scores) {
        fal_queue_fail(q, FAL_E_MEMORY, "packed_attention", "out of memory");
        return;
    }
    for (int64_t s = 0; s < p->n_sequences; s++) {
        for (int head = 0; head < p->n_heads; head++) {
            place h = place_of(p, s, head);
            for (int64_t at = p->starts[s]; at < p->starts[s + 1]; at++)
                attend(p, &h, out, log_sums, query, key, value, at, scores);
        }
    }
    fal_free(scores);
}

/* Sums of the gradients, in double: [n_tokens, columns]. */
typedef struct sums {
    double *query, *key, *value;
    int64_t n_cols, kv_cols;
} sums;

static void add_gradients(const fal_packing *p, const place *h, const sums *to, fal_tensor dout,
                          fal_tensor out, fal_tensor log_sums, fal_tensor query, fal_tensor key,
                          fal_tensor value, int64_t at) {
    int n = p->head_dim;
    double log_sum = (double)fal_tensor_f32_row(log_sums, at)[h->head];
    double mean = dot(dout, at, h->column, out, at, h->column, n);
    for (int64_t cell = h->first; cell <= at; cell++) {
        double share = exp(score(p, h, query, key, at, cell) - log_sum);
        double dscore = share * (dot(dout, at, h->column, value, cell, h->kv_column, n) - mean)
                        * (double)p->scale;
        for (int i = 0; i < n; i++) {
            int64_t of_query = at * to->n_cols + h->column + i,
                    of_cell = cell * to->kv_cols + h->kv_column + i;
            to->query[of_query] += dscore * (double)fal_tensor_f32_row(key, cell)[h->kv_column + i];
            to->key[of_cell] += dscore * (double)fal_tensor_f32_row(query, at)[h->column + i];
            to->value[of_cell] += share * (double)fal_tensor_f32_row(dout, at)[h->column + i];
        }
    }
}

static void round_to(fal_tensor y, const double *numbers) {
    for (int64_t row = 0; row < y.n_rows; row++) {
        for (int64_t i = 0; i < y.n_cols; i++)
            fal_tensor_f32_row(y, row)[i] = (float)numbers[row * y.n_cols + i];
    }
}

void fal_ref_packed_attention_gradient(fal_queue *q, fal_tensor dquery, fal_tensor dkey,
                                       fal_tensor dvalue, fal_tensor dout, fal_tensor out,
                                       fal_tensor log_sums, fal_tensor query, fal_tensor key,
                                       fal_tensor value, const fal_packing *p) {
    if (!fal_check_packed_attention_gradient(q, dquery, dkey, dvalue, dout, out, log_sums, query,
                                             key, value, p))
        return;
    size_t n = (size_t)query.n_rows;
    sums to = {.n_cols = query.n_cols, .kv_cols = key.n_cols};
    double *numbers = fal_alloc(n + 1, (size_t)(to.n_cols + 2 * to.kv_cols) * sizeof *numbers);
    if (!numbers) {
        fal_queue_fail(q, FAL_E_MEMORY, "packed_attention_gradient", "out of memory");
        return;
    }
    to.query = numbers;
    to.key = to.query + n * (size_t)to.n_cols;
    to.value = to.key + n * (size_t)to.kv_cols;
    for (int64_t s = 0; s < p->n_sequences; s++) {
        for (int head = 0; head < p->n_heads; head++) {
            place h = place_of(p, s, head);
            for (int64_t at = p->starts[s]; at < p->starts[s + 1]; at++)
                add_gradients(p, &h, &to, dout, out, log_sums, query, key, value, at);
        }
    }
    round_to(dquery, to.query);
    round_to(dkey, to.key);
    round_to(dvalue, to.value);
    fal_free(numbers);
}
