/* Attention and the cells it reads: softmax over the cells 0 to the token's own position, two plain passes. */
#include "base/alloc.h"
#include "compute/checks.h"
#include "compute/ref/ref.h"

#include <math.h>

static void store_row(fal_tensor cells, int64_t cell, const float *row) {
    char *out = (char *)cells.data + (size_t)cell * cells.row_bytes;
    cells.type->encode(row, NULL, out, cells.n_cols / cells.type->weights_per_block);
}

void fal_ref_store(fal_queue *q, const fal_attention *a, fal_tensor keys, fal_tensor values) {
    if (!fal_check_store(q, a, keys, values)) return;
    for (int i = 0; i < a->n_segments; i++) {
        const fal_segment *s = &a->segments[i];
        for (int64_t t = 0; t < s->n_tokens; t++) {
            store_row(s->keys, s->position + t, fal_tensor_f32_row(keys, s->first_token + t));
            store_row(s->values, s->position + t, fal_tensor_f32_row(values, s->first_token + t));
        }
    }
}

/* numbers [head_dim] of one kv head, which begins at a block. */
static void decode_head(const fal_attention *a, fal_tensor cells, int64_t cell, int kv_head,
                        float *numbers) {
    int64_t per_head = a->head_dim / cells.type->weights_per_block;
    const char *row = (const char *)cells.data + (size_t)cell * cells.row_bytes;
    size_t begin = (size_t)(kv_head * per_head) * (size_t)cells.type->bytes_per_block;
    cells.type->decode(row + begin, numbers, per_head);
}

/* Where one query works. */
typedef struct workplace {
    double *scores; /* [n_cells] of the segment, then the weights of its cells */
    double *sums;   /* [head_dim] */
    float *numbers; /* [head_dim] of one cell */
} workplace;

static void attend(const fal_attention *a, const fal_segment *s, int64_t position, int head,
                   const float *query, float *out, const workplace *w) {
    int kv_head = head / (a->n_heads / a->n_kv_heads);
    double *scores = w->scores, *sums = w->sums;
    double largest = -(double)INFINITY, total = 0.0;
    for (int64_t cell = 0; cell <= position; cell++) {
        double product = 0.0;
        decode_head(a, s->keys, cell, kv_head, w->numbers);
        for (int i = 0; i < a->head_dim; i++)
            product += (double)query[i] * (double)w->numbers[i];
        scores[cell] = product * (double)a->scale;
        if (a->alibi_slopes) scores[cell] += (double)a->alibi_slopes[head] * (double)cell;
        if (scores[cell] > largest) largest = scores[cell];
    }
    for (int i = 0; i < a->head_dim; i++)
        sums[i] = 0.0;
    for (int64_t cell = 0; cell <= position; cell++) {
        double weight = exp(scores[cell] - largest);
        total += weight;
        decode_head(a, s->values, cell, kv_head, w->numbers);
        for (int i = 0; i < a->head_dim; i++)
            sums[i] += weight * (double)w->numbers[i];
    }
    for (int i = 0; i < a->head_dim; i++)
        out[i] = (float)(sums[i] / total);
}

void fal_ref_attention(fal_queue *q, fal_tensor out, fal_tensor query, const fal_attention *a) {
    if (!fal_check_attention(q, out, query, a)) return;
    for (int i = 0; i < a->n_segments; i++) {
        const fal_segment *s = &a->segments[i];
        size_t n_scores = (size_t)(s->position + s->n_tokens);
        double *scores = fal_alloc(n_scores + 2 * (size_t)a->head_dim, sizeof *scores);
        if (!scores) {
            fal_queue_fail(q, FAL_E_MEMORY, "attention", "out of memory");
            return;
        }
        double *sums = scores + n_scores;
        workplace place = {scores, sums, (float *)(void *)(sums + a->head_dim)};
        for (int64_t t = 0; t < s->n_tokens; t++) {
            for (int head = 0; head < a->n_heads; head++) {
                const float *from = fal_tensor_f32_row(query, s->first_token + t);
                float *to = fal_tensor_f32_row(out, s->first_token + t);
                int64_t column = (int64_t)head * a->head_dim;
                attend(a, s, s->position + t, head, from + column, to + column, &place);
            }
        }
        fal_free(scores);
    }
}
