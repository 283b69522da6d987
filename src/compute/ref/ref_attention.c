/* Attention and the cells it reads: softmax over the cells 0 to the token's own position, two plain passes. */
#include "base/alloc.h"
#include "base/half.h"
#include "compute/checks.h"
#include "compute/ref/ref.h"

#include <math.h>
#include <string.h>

static void store_row(fal_tensor cells, int64_t cell, const float *row) {
    char *out = (char *)cells.data + (size_t)cell * cells.row_bytes;
    for (int64_t i = 0; i < cells.n_cols; i++) {
        uint16_t half = fal_f16_from_f32(row[i]);
        if (cells.type->gguf_id == FAL_TYPE_F16)
            memcpy(out + (size_t)i * sizeof half, &half, sizeof half);
        else
            memcpy(out + (size_t)i * sizeof *row, &row[i], sizeof *row);
    }
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

static double cell_at(fal_tensor cells, int64_t cell, int64_t column) {
    const char *row = (const char *)cells.data + (size_t)cell * cells.row_bytes;
    if (cells.type->gguf_id == FAL_TYPE_F16) {
        uint16_t half;
        memcpy(&half, row + (size_t)column * sizeof half, sizeof half);
        return (double)fal_f32_from_f16(half);
    }
    float value;
    memcpy(&value, row + (size_t)column * sizeof value, sizeof value);
    return (double)value;
}

/* scores [position + 1] is room for the weights of the cells; sums [head_dim]. */
static void attend(const fal_attention *a, const fal_segment *s, int64_t position, int head,
                   const float *query, float *out, double *scores, double *sums) {
    int64_t column = (int64_t)(head / (a->n_heads / a->n_kv_heads)) * a->head_dim;
    double largest = -(double)INFINITY, total = 0.0;
    for (int64_t cell = 0; cell <= position; cell++) {
        double product = 0.0;
        for (int i = 0; i < a->head_dim; i++)
            product += (double)query[i] * cell_at(s->keys, cell, column + i);
        scores[cell] = product * (double)a->scale;
        if (a->alibi_slopes) scores[cell] += (double)a->alibi_slopes[head] * (double)cell;
        if (scores[cell] > largest) largest = scores[cell];
    }
    for (int i = 0; i < a->head_dim; i++)
        sums[i] = 0.0;
    for (int64_t cell = 0; cell <= position; cell++) {
        double weight = exp(scores[cell] - largest);
        total += weight;
        for (int i = 0; i < a->head_dim; i++)
            sums[i] += weight * cell_at(s->values, cell, column + i);
    }
    for (int i = 0; i < a->head_dim; i++)
        out[i] = (float)(sums[i] / total);
}

void fal_ref_attention(fal_queue *q, fal_tensor out, fal_tensor query, const fal_attention *a) {
    if (!fal_check_attention(q, out, query, a)) return;
    for (int i = 0; i < a->n_segments; i++) {
        const fal_segment *s = &a->segments[i];
        size_t n_scores = (size_t)(s->position + s->n_tokens);
        double *scores = fal_alloc(n_scores + (size_t)a->head_dim, sizeof *scores);
        if (!scores) {
            fal_queue_fail(q, FAL_E_MEMORY, "attention", "out of memory");
            return;
        }
        for (int64_t t = 0; t < s->n_tokens; t++) {
            for (int head = 0; head < a->n_heads; head++) {
                const float *from = fal_tensor_f32_row(query, s->first_token + t);
                float *to = fal_tensor_f32_row(out, s->first_token + t);
                int64_t column = (int64_t)head * a->head_dim;
                attend(a, s, s->position + t, head, from + column, to + column, scores,
                       scores + n_scores);
            }
        }
        fal_free(scores);
    }
}
