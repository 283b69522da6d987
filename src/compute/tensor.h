/* A view of a matrix: address, type, sizes, stride. Owns nothing. */
#ifndef FAL_COMPUTE_TENSOR_H
#define FAL_COMPUTE_TENSOR_H

#include "quant/type.h"

#include <stddef.h>
#include <stdint.h>

/* Row r begins at data + r * row_bytes. Rows of weights may end anywhere in a mapped file: read to the end of the last
 * block only. data is NULL while planning. */
typedef struct fal_tensor {
    void *data;
    const fal_type *type;
    int64_t n_rows, n_cols;
    size_t row_bytes;
} fal_tensor;

#define FAL_NONE ((fal_tensor){0})

/* True for a tensor that is not FAL_NONE. */
static inline bool fal_tensor_is_given(fal_tensor t) {
    return t.type != NULL;
}

static inline float *fal_tensor_f32_row(fal_tensor t, int64_t row) {
    return (float *)(void *)((char *)t.data + (size_t)row * t.row_bytes);
}

/* Columns [first, first + n) of an f32 tensor: a view with the same rows. */
static inline fal_tensor fal_tensor_columns(fal_tensor t, int64_t first, int64_t n) {
    if (t.data) t.data = (char *)t.data + (size_t)first * sizeof(float);
    t.n_cols = n;
    return t;
}

/* Rows [first, first + n). */
static inline fal_tensor fal_tensor_rows(fal_tensor t, int64_t first, int64_t n) {
    if (t.data) t.data = (char *)t.data + (size_t)first * t.row_bytes;
    t.n_rows = n;
    return t;
}

#endif
