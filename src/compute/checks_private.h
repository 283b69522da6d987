/* What the checks of operations demand of single tensors, for this folder's own files. Each keeps the failure in the queue
 * and returns false; `what` names the tensor in the message. Data is never looked at. */
#ifndef FAL_COMPUTE_CHECKS_PRIVATE_H
#define FAL_COMPUTE_CHECKS_PRIVATE_H

#include "compute/device.h"

/* Rows are long enough for their columns, and columns fill whole blocks. */
bool fal_require_rows(fal_queue *q, const char *operation, const char *what, fal_tensor t,
                      fal_status status);

/* Given, and f32. */
bool fal_require_f32(fal_queue *q, const char *operation, const char *what, fal_tensor t,
                     fal_status status);

/* f32 [n_rows, n_cols]. */
bool fal_require_matrix(fal_queue *q, const char *operation, const char *what, fal_tensor t,
                        int64_t n_rows, int64_t n_cols, fal_status status);

/* f32 activations of equal shapes: y, x. */
bool fal_require_alike(fal_queue *q, const char *operation, fal_tensor y, fal_tensor x);

/* Whole groups of heads of an even dimension. */
bool fal_require_heads(fal_queue *q, const char *operation, int n_heads, int n_kv_heads,
                       int head_dim);

/* rows [n] are numbers of rows of a table of n_rows; NULL passes. */
bool fal_require_row_numbers(fal_queue *q, const char *operation, const int32_t *rows, int64_t n,
                             int64_t n_rows);

#endif
