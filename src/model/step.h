/* What a forward pass is handed: tokens, positions, a view of the caches, scratch memory and the rows that are wanted.
 * A step on a plan queue computes nothing and measures the scratch. */
#ifndef FAL_MODEL_STEP_H
#define FAL_MODEL_STEP_H

#include <falconer/model.h>

#include "compute/device.h"
#include "model/weights.h"

/* The caches of one timeline: keys and values of all layers. Owned by the session. */
typedef struct fal_cache {
    const fal_type *type; /* of cell_types.def */
    int64_t n_context;
    char *keys, *values; /* [n_layers, n_context, n_kv_heads * head_dim] */
} fal_cache;

/* Tokens of one timeline in this step. Its last n_wanted tokens go through the last layer; of the others only the cells
 * are filled. */
typedef struct fal_step_part {
    const fal_cache *cache;
    int64_t first_token, n_tokens, n_wanted;
    int64_t position;        /* of the first token */
    const double *frequency; /* [head_dim / 2]; NULL without rope */
    double gain;
} fal_step_part;

typedef struct fal_step {
    fal_queue *queue;
    int64_t n_tokens, n_wanted; /* sums over the parts */
    const int32_t *tokens;      /* [n_tokens] */
    const int32_t *positions;   /* [n_tokens] */
    const int32_t *wanted;      /* [n_wanted] rows of the step */
    const fal_step_part *parts;
    int n_parts;
    fal_segment *segments; /* [n_parts], filled by fal_step_attention */
    char *scratch;         /* NULL on a plan queue */
    size_t scratch_bytes, scratch_used;
    /* Out: the final norm's output of the wanted rows, [n_wanted, d_model] f32 in scratch. */
    fal_tensor hidden;
} fal_step;

/* f32 memory [n_rows, n_cols] that lives until the step ends. On a plan queue only counted. */
fal_tensor fal_step_scratch(fal_step *s, int64_t n_rows, int64_t n_cols);

/* The attention over layer's cells by all tokens of the step, or by the wanted ones only; parts that want none are left
 * out then. Valid until the next call. */
fal_attention fal_step_attention(fal_step *s, const fal_model *m, int layer, bool wanted_only);

/* Cosines and sines of all tokens' positions, [n_tokens, head_dim]; FAL_NONE without rope. */
fal_tensor fal_step_rope_table(fal_step *s, const fal_model *m);

#endif
