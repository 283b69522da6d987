/* The inner kernels: their signatures, and a set of them as a struct made from the list.
 *
 * Kernels see memory only: no queue, no thread, no failure. They write exactly the elements named and read to the end of
 * the last block of a row, never beyond. */
#ifndef FAL_COMPUTE_CPU_KERNELS_H
#define FAL_COMPUTE_CPU_KERNELS_H

#include "base/cpu.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One product: y[t * y_stride + r] = sum over k of w[r, k] * x[t, k].
 *   w  n_rows rows of n_cols weights, row r at w + r * w_row_bytes, of any alignment
 *   x  n_tokens rows of n_cols activations in the partner of w's type, row t at x + t * x_row_bytes, aligned to 4
 *   n_cols is a multiple of both types' blocks; y_stride counts floats. */
typedef struct fal_product {
    const void *w;
    size_t w_row_bytes;
    int64_t n_rows;
    const void *x;
    size_t x_row_bytes;
    int64_t n_tokens;
    int64_t n_cols;
    float *y;
    int64_t y_stride;
} fal_product;

typedef void fal_matmul_kernel(const fal_product *p);

/* x [n] -> blocks; n is a multiple of the block. */
typedef void fal_encode_kernel(const float *x, void *blocks, int64_t n);

/* weights [n_blocks * weights of a block] -> blocks; importance NULL or of the same shape. */
typedef void fal_quantize_kernel(const float *weights, const float *importance, void *blocks,
                                 int64_t n_blocks);

/* y [n] from x [n]; y may be x; bias may be NULL. */
typedef void fal_layer_norm_kernel(float *y, const float *x, const float *weight, const float *bias,
                                   int64_t n, float epsilon);

/* y may be a or b. */
typedef void fal_add_kernel(float *y, const float *a, const float *b, int64_t n);

/* y may be x. */
typedef void fal_map_kernel(float *y, const float *x, int64_t n);

/* Rotates x [n_heads, head_dim] in place; table [head_dim]: cosines of the pairs (i, i + head_dim / 2), then sines. */
typedef void fal_rope_kernel(float *x, const float *table, int n_heads, int head_dim);

/* y [n] in the bits of f16, rounded to nearest even. */
typedef void fal_to_f16_kernel(const float *x, uint16_t *y, int64_t n);

/* Attention of some queries of one kv head over one span of cells. Spans begin at multiples of FAL_ATTEND_SPAN, so that
 * how a timeline is cut into spans depends on cell numbers alone; their parts are joined in ascending order. */
enum {
    FAL_ATTEND_SPAN = 256
};

typedef struct fal_attend_span {
    const void *keys,
        *values; /* the span's first cell of this kv head; [n_cells, head_dim] of the kernel's type */
    size_t key_bytes, value_bytes; /* from one cell to the next */
    int head_dim, n_queries;
    int n_cells;        /* 1 to FAL_ATTEND_SPAN: cells that may be read */
    const float *query; /* [n_queries, head_dim], dense */
    const int *
        n_visible; /* [n_queries], 0 to n_cells, not descending: query i sees the first n_visible[i] cells */
    float scale; /* of the products */
    const float *
        slope; /* [n_queries]: slope[i] * (cell - distance[i]) is added after scaling; NULL: none */
    const int *distance; /* [n_queries]: the query's position minus the span's first cell */
    float *
        sums; /* out [n_queries, sums_stride]: sum over cells of weight * value; padding may be written */
    int64_t sums_stride; /* head_dim rounded up to a multiple of FAL_ATTEND_PAD */
    float *largest;      /* out [n_queries]: largest score m; -infinity where nothing is visible */
    float *total;        /* out [n_queries]: sum over cells of weight = exp(score - m) */
    float *scratch;      /* FAL_ATTEND_SCRATCH(head_dim) floats, aligned to 64 bytes */
} fal_attend_span;

enum {
    FAL_ATTEND_PAD = 16,
    FAL_ATTEND_TILE = 64,
    FAL_ATTEND_ROWS = 8
};

#define FAL_ATTEND_PADDED(head_dim) \
    (((int64_t)(head_dim) + FAL_ATTEND_PAD - 1) / FAL_ATTEND_PAD * FAL_ATTEND_PAD)
#define FAL_ATTEND_SCRATCH(head_dim) \
    (FAL_ATTEND_TILE * (2 * FAL_ATTEND_PADDED(head_dim) + FAL_ATTEND_ROWS))

typedef void fal_attend_kernel(const fal_attend_span *span);

/* Joins the part of a later span into that of the earlier ones: sums [n], largest and total of one query. */
typedef void fal_attend_join_kernel(float *sums, float *largest, float *total,
                                    const float *more_sums, float more_largest, float more_total,
                                    int64_t n);

/* One small product: y[i, j] = sum over k of a[i, k] * b[k, j], added to y with is_added. Each sum begins at 0 and adds up
 * in ascending k in one chain, whatever the number of rows and columns.
 *   a  element [i, k] at a + i * a_row + k * a_column
 *   b  row k at b + k * b_stride, columns dense
 *   y  row i at y + i * y_stride, columns dense */
typedef struct fal_tile {
    const float *a;
    int64_t a_row, a_column;
    const float *b;
    int64_t b_stride;
    float *y;
    int64_t y_stride;
    int n_rows, n_cols, n_terms;
    bool is_added;
} fal_tile;

/* Rows and columns that a set computes at once at best: callers who pack, pack panels of these. */
enum {
    FAL_TILE_ROWS = 6,
    FAL_TILE_COLUMNS = 16
};

typedef void fal_tile_kernel(const fal_tile *t);

/* y[column * y_stride + row] = x[row * x_stride + column]. */
typedef void fal_transpose_kernel(float *y, int64_t y_stride, const float *x, int64_t x_stride,
                                  int64_t n_rows, int64_t n_cols);

/* A tile of scores of attention over packed sequences, one row for each key. Key j is visible to query i if j <= i + offset:
 * offset is the first query's position minus the first key's. All arrays of queries, and rows of scores, hold n_queries
 * rounded up to a multiple of 8, of which the rest may be read and written. What is not visible is never looked at. */
typedef struct fal_softmax_tile {
    float *
        scores; /* [n_keys, stride] query times key; out: exp(score - largest), 0 where not visible */
    int64_t stride;
    int n_keys, n_queries, offset;
    float scale, slope; /* a score is scale * product + slope * (key's - query's position) */
    float *largest;     /* [n_queries] of the scores so far; before the first tile -infinity */
    float *total;      /* [n_queries] sum so far of exp(score - largest); before the first tile 0 */
    float *correction; /* [n_queries] out: what sums of earlier tiles are to be multiplied by */
} fal_softmax_tile;

/* Every query sees a key of this tile or of an earlier one. */
typedef void fal_softmax_tile_kernel(const fal_softmax_tile *t);

/* The same tile on the way back. */
typedef struct fal_softmax_gradient_tile {
    float *scores;    /* [n_keys, stride] query times key; out: the weights exp(score - log_sum) */
    float *gradients; /* [n_keys, stride] dout times value; out: scale * weight * (that - mean) */
    int64_t stride;
    int n_keys, n_queries, offset;
    float scale, slope;
    const float *log_sums, *means; /* [n_queries]; mean is dout times out */
} fal_softmax_gradient_tile;

typedef void fal_softmax_gradient_tile_kernel(const fal_softmax_gradient_tile *t);

/* y may be x. */
typedef void fal_scale_kernel(float *y, const float *x, float factor, int64_t n);

typedef float fal_dot_kernel(const float *a, const float *b, int64_t n);

/* dx may be dy. */
typedef void fal_gradient_kernel(float *dx, const float *dy, const float *x, int64_t n);

/* Adds to dx, dweight and dbias, all [n], what dy makes of a row x of layer_norm. */
typedef void fal_layer_norm_gradient_kernel(float *dx, float *dweight, float *dbias,
                                            const float *dy, const float *x, const float *weight,
                                            int64_t n, float epsilon);

/* y = exp(x - *largest), *total their sum; y may be x. A number that is none makes the total none. */
typedef void fal_exp_kernel(float *y, const float *x, int64_t n, float *largest, double *total);

typedef double fal_square_sum_kernel(const float *x, int64_t n);

/* g = dw * gradient_scale; m = beta1 m + rest1 g; v = beta2 v + rest2 g^2; w = decay w - rate m / (sqrt(v) root + epsilon) */
typedef struct fal_adamw_step {
    float gradient_scale, beta1, rest1, beta2, rest2;
    float rate, root, epsilon, decay;
} fal_adamw_step;

typedef void fal_adamw_kernel(float *w, float *m, float *v, const float *dw,
                              const fal_adamw_step *step, int64_t n);

typedef struct fal_kernel_set {
    const char *name; /* of the highest set it draws on: "avx2" */
#define FAL_KERNEL(name, signature, meaning) signature *name;
#include "compute/cpu/kernels.def"
#undef FAL_KERNEL
} fal_kernel_set;

/* Complete: what a level lacks comes from the next lower one. Static; never NULL. */
const fal_kernel_set *fal_kernel_set_for(fal_cpu_level level);

/* The product for weights of this type; NULL: none. */
fal_matmul_kernel *fal_kernel_set_matmul(const fal_kernel_set *set, const char *type_name);

/* What turns f32 rows into this type of activations; NULL: none, as for f32. */
fal_encode_kernel *fal_kernel_set_encoder(const fal_kernel_set *set, const char *type_name);

/* Attention over cells of this type (compute/cells.h). */
fal_attend_kernel *fal_kernel_set_attend(const fal_kernel_set *set, const char *type_name);

/* What turns weights into blocks of this type; NULL: none, as for f32. */
fal_quantize_kernel *fal_kernel_set_quantizer(const fal_kernel_set *set, const char *type_name);

/* Every kernel of every set; a set defines what it has. */
#define FAL_KERNEL(name, signature, meaning) \
    extern signature fal_##name##_portable;  \
    extern signature fal_##name##_avx2;      \
    extern signature fal_##name##_avx512;    \
    extern signature fal_##name##_neon;
#include "compute/cpu/kernels.def"
#undef FAL_KERNEL

/* The sets, one folder each; only those that the build took are defined. */
extern const fal_kernel_set fal_kernels_portable;
extern const fal_kernel_set fal_kernels_x86_avx2;
extern const fal_kernel_set fal_kernels_x86_avx512;
extern const fal_kernel_set fal_kernels_arm_neon;

#endif
