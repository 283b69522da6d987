/* Body of step.h. Scratch is handed out from one block, 64-byte aligned, in the same order on every queue, so that the plan
 * measures exactly what a real step uses. */
#include "model/step.h"

#include "model/model_private.h"

#include <math.h>

enum {
    ALIGNMENT = 64
};

fal_tensor fal_step_scratch(fal_step *s, int64_t n_rows, int64_t n_cols) {
    size_t row_bytes = ((size_t)n_cols * sizeof(float) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    size_t bytes = (size_t)n_rows * row_bytes;
    fal_tensor t = {.type = fal_type_by_id(FAL_TYPE_F32),
                    .n_rows = n_rows,
                    .n_cols = n_cols,
                    .row_bytes = row_bytes};
    if (s->scratch) {
        if (bytes > s->scratch_bytes - s->scratch_used) {
            fal_queue_fail(s->queue, FAL_E_BUG, "scratch", "%zu bytes wanted, %zu of %zu are used",
                           bytes, s->scratch_used, s->scratch_bytes);
            return t;
        }
        t.data = s->scratch + s->scratch_used;
    }
    s->scratch_used += bytes;
    return t;
}

static fal_tensor layer_cells(const fal_cache *cache, const char *base, const fal_params *p,
                              int layer) {
    int64_t n_cols = (int64_t)p->n_kv_heads * p->head_dim;
    size_t row_bytes =
        (size_t)(n_cols / cache->type->weights_per_block) * (size_t)cache->type->bytes_per_block;
    fal_tensor t = {
        .type = cache->type, .n_rows = cache->n_context, .n_cols = n_cols, .row_bytes = row_bytes};
    if (base)
        t.data = (char *)(uintptr_t)base + (size_t)layer * (size_t)cache->n_context * row_bytes;
    return t;
}

fal_attention fal_step_attention(fal_step *s, const fal_model *m, int layer, bool wanted_only) {
    const fal_params *p = &m->params;
    int64_t first_wanted = 0;
    int n_segments = 0;
    for (int i = 0; i < s->n_parts; i++) {
        const fal_step_part *part = &s->parts[i];
        int64_t n = wanted_only ? part->n_wanted : part->n_tokens;
        if (n == 0) continue;
        s->segments[n_segments++] =
            (fal_segment){.keys = layer_cells(part->cache, part->cache->keys, p, layer),
                          .values = layer_cells(part->cache, part->cache->values, p, layer),
                          .first_token = wanted_only ? first_wanted : part->first_token,
                          .n_tokens = n,
                          .position = part->position + part->n_tokens - n};
        first_wanted += n;
    }
    return (fal_attention){.segments = s->segments,
                           .n_segments = n_segments,
                           .n_heads = p->n_heads,
                           .n_kv_heads = p->n_kv_heads,
                           .head_dim = p->head_dim,
                           .scale = (float)(1 / sqrt((double)p->head_dim)),
                           .alibi_slopes = m->alibi_slopes};
}

fal_tensor fal_step_rope_table(fal_step *s, const fal_model *m) {
    if (!fal_params_has(&m->params, FAL_FEATURE_ROPE)) return FAL_NONE;
    fal_tensor table = fal_step_scratch(s, s->n_tokens, m->params.head_dim);
    for (int i = 0; i < s->n_parts; i++) {
        const fal_step_part *part = &s->parts[i];
        s->queue->ops->rope_table(
            s->queue, fal_tensor_rows(table, part->first_token, part->n_tokens),
            s->positions ? s->positions + part->first_token : NULL, part->frequency, part->gain);
    }
    return table;
}
