/* The inner kernels: their signatures, and a set of them as a struct made from the list.
 *
 * Kernels see memory only: no queue, no thread, no failure. They write exactly the elements named and read to the end of
 * the last block of a row, never beyond. No address needs an alignment. */
#ifndef FAL_COMPUTE_CPU_KERNELS_H
#define FAL_COMPUTE_CPU_KERNELS_H

#include "base/cpu.h"

#include <stddef.h>
#include <stdint.h>

/* y[t * y_stride + r] = sum over k of w[r, k] * x[t, k].
 *   w  n_rows rows of n_cols weights, row r at w + r * w_row_bytes
 *   x  n_tokens rows of n_cols activations in the partner of w's type, row t at x + t * x_row_bytes
 *   n_cols is a multiple of both types' blocks; y_stride counts floats. */
typedef void fal_matmul_kernel(const void *w, size_t w_row_bytes, int64_t n_rows, const void *x, size_t x_row_bytes,
                               int64_t n_tokens, int64_t n_cols, float *y, int64_t y_stride);

/* x [n] -> blocks; n is a multiple of the block. */
typedef void fal_encode_kernel(const float *x, void *blocks, int64_t n);

/* y [n] from x [n]; y may be x; bias may be NULL. */
typedef void fal_layer_norm_kernel(float *y, const float *x, const float *weight, const float *bias, int64_t n,
                                   float epsilon);

/* y may be a or b. */
typedef void fal_add_kernel(float *y, const float *a, const float *b, int64_t n);

/* y may be x. */
typedef void fal_map_kernel(float *y, const float *x, int64_t n);

/* Rotates x [n_heads, head_dim] in place; table [head_dim]: cosines of the pairs (i, i + head_dim / 2), then sines. */
typedef void fal_rope_kernel(float *x, const float *table, int n_heads, int head_dim);

/* y [n] in the bits of f16, rounded to nearest even. */
typedef void fal_to_f16_kernel(const float *x, uint16_t *y, int64_t n);

/* out [n_queries, head_dim] = softmax(scale * query . key + slope * position) . values, for the queries of one kv head.
 *   keys, values  cells of this kv head: cell c at base + c * cell_bytes, head_dim numbers each
 *   query q sees the cells [0, n_cells[q])
 *   slopes        [n_queries]: slope * cell is added after scaling; NULL: none
 *   scratch       at least the largest n_cells floats */
typedef void fal_attend_kernel(float *out, size_t out_row_bytes, const float *query, size_t query_row_bytes,
                               int n_queries, int head_dim, const void *keys, const void *values, size_t cell_bytes,
                               const int64_t *n_cells, float scale, const float *slopes, float *scratch);

typedef struct fal_kernel_set {
    const char *name; /* of the highest set it draws on: "avx2" */
#define FAL_KERNEL(name, signature, meaning) signature *name;
#include "compute/cpu/kernels.def"
#undef FAL_KERNEL
} fal_kernel_set;

/* Complete: what a level lacks comes from the next lower one. Static; never NULL. */
const fal_kernel_set *fal_kernel_set_for(fal_cpu_level level);

#endif
