/* The column of operations as a struct made from the list, and what operations are called on. */
#ifndef FAL_COMPUTE_OPS_H
#define FAL_COMPUTE_OPS_H

#include "compute/tensor.h"

#include <stdbool.h>

typedef struct fal_queue fal_queue;

/* Tokens of one timeline within a step: rows [first_token, first_token + n_tokens) of the step's activations stand at
 * positions position, position + 1, ... of the timeline and see the cells 0 to their own position. */
typedef struct fal_segment {
    fal_tensor keys,
        values; /* [n_context, n_kv_heads * head_dim] of a cell type: this layer's cells */
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

/* Sequences packed one behind the other in the rows of a training step; sequence i has the rows starts[i] to
 * starts[i + 1]. Attention is causal and stays inside each. */
typedef struct fal_packing {
    const int64_t *starts; /* [n_sequences + 1], ascending from 0 to the number of rows */
    int64_t n_sequences;
    int n_heads, n_kv_heads, head_dim; /* query head h reads kv head h / (n_heads / n_kv_heads) */
    float scale;                       /* of the products: 1 / sqrt(head_dim) */
    const float *alibi_slopes; /* [n_heads]: slope * (key position - query position) is added after
                                  scaling; NULL: none */
} fal_packing;

/* Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2019. */
typedef struct fal_adamw {
    double learning_rate, beta1, beta2, epsilon;
    double weight_decay;   /* w loses learning_rate * weight_decay of itself */
    double gradient_scale; /* applied to dw first: the clip coefficient */
    int64_t step;          /* from 1: for the correction of the moments' bias */
} fal_adamw;

typedef struct fal_ops {
#define FAL_OP(name, parameters, meaning) void(*name) parameters;
#include "compute/ops.def"
#undef FAL_OP
} fal_ops;

#endif
