/* The column of operations as a struct made from the list, and what operations are called on. */
#ifndef FAL_COMPUTE_OPS_H
#define FAL_COMPUTE_OPS_H

#include "compute/tensor.h"

typedef struct fal_queue fal_queue;

/* Tokens of one timeline within a step: rows [first_token, first_token + n_tokens) of the step's activations stand at
 * positions position, position + 1, ... of the timeline and see the cells 0 to their own position. */
typedef struct fal_segment {
    fal_tensor keys, values; /* [n_context, n_kv_heads * head_dim] f16 or f32: this layer's cells */
    int64_t first_token, n_tokens;
    int64_t position;
} fal_segment;

typedef struct fal_attention {
    const fal_segment *segments;
    int n_segments;
    int n_heads, n_kv_heads, head_dim; /* query head h reads kv head h / (n_heads / n_kv_heads) */
    float scale;                       /* of the products: 1 / sqrt(head_dim) */
    const float
        *alibi_slopes; /* [n_heads]: slope * key position is added after scaling; NULL: none */
} fal_attention;

typedef struct fal_ops {
#define FAL_OP(name, parameters, meaning) void(*name) parameters;
#include "compute/ops.def"
#undef FAL_OP
} fal_ops;

#endif
