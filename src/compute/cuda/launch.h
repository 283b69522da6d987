/* What the kernels offer to C. A launcher puts its work on the stream and returns at once; it answers with the error of
 * the launch. Memory is the device's. Numbers are added in an order that the shapes alone decide. */
#ifndef FAL_COMPUTE_CUDA_LAUNCH_H
#define FAL_COMPUTE_CUDA_LAUNCH_H

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Row r begins at data + r * stride, in floats. */
typedef struct fal_view {
    float *data;
    int64_t n_rows, n_cols, stride;
} fal_view;

/* elementwise.cu: shapes are alike; the output may be an input. */
cudaError_t fal_launch_add(cudaStream_t s, fal_view y, fal_view a, fal_view b);
cudaError_t fal_launch_add_bias(cudaStream_t s, fal_view y, fal_view bias);
/* y = sum of the n_parts blocks of y.n_rows rows that lie one behind the other in parts. */
cudaError_t fal_launch_sum_parts(cudaStream_t s, fal_view y, fal_view parts, int n_parts);
cudaError_t fal_launch_scale(cudaStream_t s, fal_view x, float factor);
cudaError_t fal_launch_gelu_erf(cudaStream_t s, fal_view y, fal_view x);
cudaError_t fal_launch_gelu_tanh(cudaStream_t s, fal_view y, fal_view x);
cudaError_t fal_launch_gelu_erf_gradient(cudaStream_t s, fal_view dx, fal_view dy, fal_view x);
cudaError_t fal_launch_gelu_tanh_gradient(cudaStream_t s, fal_view dx, fal_view dy, fal_view x);

/* rope.cu: positions [n_rows], frequency [n_cols / 2]; is_inverse turns backwards. */
cudaError_t fal_launch_rope_table(cudaStream_t s, fal_view table, const int32_t *positions,
                                  const double *frequency, double gain);
cudaError_t fal_launch_rope(cudaStream_t s, fal_view x, fal_view table, int n_heads,
                            bool is_inverse);

/* norm.cu: bias NULL: none. */
cudaError_t fal_launch_layer_norm(cudaStream_t s, fal_view y, fal_view x, const float *weight,
                                  const float *bias, float epsilon);
/* dx += ; moments [n_rows, 2] out: each row's mean and the inverse of its deviation. */
cudaError_t fal_launch_layer_norm_gradient(cudaStream_t s, fal_view dx, fal_view dy, fal_view x,
                                           const float *weight, float epsilon, float *moments);
/* sum [n_cols] += sums of dy's columns; product [n_cols] += those of dy * (x - mean) / deviation by moments. Either may be
 * NULL; without product x and moments are not looked at. partial: fal_column_sums_floats of scratch. */
cudaError_t fal_launch_column_sums(cudaStream_t s, float *sum, float *product, fal_view dy,
                                   fal_view x, const float *moments, float *partial);
size_t fal_column_sums_floats(int64_t n_rows, int64_t n_cols);

/* embed.cu */

/* Rows of a gradient that belong to one row of the table. Tokens [first, first + n) of an order are added; the sum goes to
 * the table's row, or, with slot >= 0, to that row of scratch. */
typedef struct fal_embed_piece {
    int32_t row, first, n, slot;
} fal_embed_piece;

cudaError_t fal_launch_embed(cudaStream_t s, fal_view y, fal_view table, const int32_t *rows);
/* order [n_tokens]; rows of scratch lie dy.n_cols apart. */
cudaError_t fal_launch_embed_pieces(cudaStream_t s, fal_view dtable, fal_view dy,
                                    const int32_t *order, const fal_embed_piece *pieces,
                                    int64_t n_pieces, float *scratch);
/* Sums of slots: piece.first and n count them. */
cudaError_t fal_launch_embed_slots(cudaStream_t s, fal_view dtable, const fal_embed_piece *sums,
                                   int64_t n_sums, const float *scratch);

/* loss.cu */
cudaError_t fal_launch_cross_entropy(cudaStream_t s, fal_view dlogits, float *nll, fal_view logits,
                                     const int32_t *targets, const float *weights, double scale,
                                     double z_loss);

/* step.cu */

enum {
    FAL_SQUARE_SUM_BLOCKS = 256
};

/* What adamw multiplies by: all that does not depend on the element. */
typedef struct fal_adamw_factors {
    double beta1, beta2, epsilon, gradient_scale;
    double correction1, correction2; /* 1 - beta^step */
    double learning_rate, weight_decay;
} fal_adamw_factors;

/* *sum out; partial [FAL_SQUARE_SUM_BLOCKS] is scratch. */
cudaError_t fal_launch_square_sum(cudaStream_t s, double *sum, fal_view x, double *partial);
cudaError_t fal_launch_adamw(cudaStream_t s, fal_view w, fal_view m, fal_view v, fal_view dw,
                             fal_adamw_factors factors);

/* attention.cu, attention_gradient.cu */
enum {
    FAL_TILE_ROWS = 64,
    FAL_MAX_HEAD_DIM = 128
};

/* Up to FAL_TILE_ROWS rows [first, end) of the sequence [sequence_first, sequence_end). */
typedef struct fal_tile {
    int32_t first, end, sequence_first, sequence_end;
} fal_tile;

/* Heads lie side by side in the columns. */
typedef struct fal_heads {
    const fal_tile *tiles; /* [n_tiles], together all rows */
    int64_t n_tiles;
    int n_heads, n_kv_heads, head_dim;
    float scale;
    const float *alibi_slopes; /* [n_heads]; NULL: none */
} fal_heads;

cudaError_t fal_launch_attention(cudaStream_t s, fal_view out, fal_view log_sums, fal_view query,
                                 fal_view key, fal_view value, fal_heads heads);
/* means [n_rows, n_heads] out: of each head's dout * out, summed over the head. */
cudaError_t fal_launch_attention_means(cudaStream_t s, float *means, fal_view dout, fal_view out,
                                       fal_heads heads);

/* What both gradient kernels read. */
typedef struct fal_attention_inputs {
    fal_view dout, log_sums, query, key, value;
    const float *means; /* [n_rows, n_heads] */
} fal_attention_inputs;

cudaError_t fal_launch_attention_dquery(cudaStream_t s, fal_view dquery, fal_attention_inputs in,
                                        fal_heads heads);
/* The query heads of each kv head are dealt to n_parts, a divisor of their number; part p writes rows p * n_rows on. */
cudaError_t fal_launch_attention_dkey(cudaStream_t s, fal_view dkey, fal_view dvalue,
                                      fal_attention_inputs in, fal_heads heads, int n_parts);

#ifdef __cplusplus
}
#endif

#endif
