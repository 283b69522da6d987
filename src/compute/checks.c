/* Body of checks.h for the operations of inference: shapes, types and bounds. It looks at no tensor's data; embed's row
 * numbers are the exception. */
#include "compute/checks.h"

#include "compute/cells.h"
#include "compute/checks_private.h"

#include <inttypes.h>

bool fal_require_rows(fal_queue *q, const char *operation, const char *what, fal_tensor t,
                      fal_status status) {
    int block = t.type->weights_per_block;
    if (t.n_rows < 0 || t.n_cols <= 0) {
        fal_queue_fail(q, status, operation, "%s: [%" PRId64 ", %" PRId64 "] is no shape", what,
                       t.n_rows, t.n_cols);
        return false;
    }
    if (t.n_cols % block != 0) {
        fal_queue_fail(q, status, operation,
                       "%s are %s with %" PRId64 " columns, not a multiple of %d", what,
                       t.type->name, t.n_cols, block);
        return false;
    }
    size_t bytes;
    fal_error error;
    if (fal_type_row_bytes(t.type, t.n_cols, &bytes, &error) != FAL_OK) {
        fal_queue_fail(q, status, operation, "%s: %.200s", what, error.message);
        return false;
    }
    if (t.n_rows > 1 && t.row_bytes < bytes) {
        fal_queue_fail(q, status, operation, "%s: rows of %zu bytes lie %zu bytes apart", what,
                       bytes, t.row_bytes);
        return false;
    }
    return true;
}

bool fal_require_f32(fal_queue *q, const char *operation, const char *what, fal_tensor t,
                     fal_status status) {
    if (!fal_tensor_is_given(t)) {
        fal_queue_fail(q, status, operation, "%s missing", what);
        return false;
    }
    if (t.type->gguf_id != FAL_TYPE_F32) {
        fal_queue_fail(q, status, operation, "%s of type %s, must be f32", what, t.type->name);
        return false;
    }
    return fal_require_rows(q, operation, what, t, status);
}

bool fal_require_matrix(fal_queue *q, const char *operation, const char *what, fal_tensor t,
                        int64_t n_rows, int64_t n_cols, fal_status status) {
    if (!fal_require_f32(q, operation, what, t, status)) return false;
    if (t.n_rows == n_rows && t.n_cols == n_cols) return true;
    fal_queue_fail(q, status, operation,
                   "%s of shape [%" PRId64 ", %" PRId64 "], must be [%" PRId64 ", %" PRId64 "]",
                   what, t.n_rows, t.n_cols, n_rows, n_cols);
    return false;
}

bool fal_require_alike(fal_queue *q, const char *operation, fal_tensor y, fal_tensor x) {
    return fal_require_f32(q, operation, "input", x, FAL_E_BUG)
           && fal_require_matrix(q, operation, "output", y, x.n_rows, x.n_cols, FAL_E_BUG);
}

/* Weights of any type that files hold. */
static bool are_weights(fal_queue *q, const char *operation, fal_tensor w) {
    if (!fal_tensor_is_given(w)) {
        fal_queue_fail(q, FAL_E_FORMAT, operation, "weights missing");
        return false;
    }
    if (!w.type->in_files || !w.type->decode) {
        fal_queue_fail(q, FAL_E_FORMAT, operation, "weights of type %s, which is none of weights",
                       w.type->name);
        return false;
    }
    return fal_require_rows(q, operation, "weights", w, FAL_E_FORMAT);
}

bool fal_require_heads(fal_queue *q, const char *operation, int n_heads, int n_kv_heads,
                       int head_dim) {
    if (n_heads >= 1 && n_kv_heads >= 1 && n_heads % n_kv_heads == 0 && head_dim >= 2
        && head_dim % 2 == 0)
        return true;
    fal_queue_fail(q, FAL_E_BUG, operation,
                   "%d heads on %d kv heads of dimension %d (whole groups, even dimension)",
                   n_heads, n_kv_heads, head_dim);
    return false;
}

bool fal_require_row_numbers(fal_queue *q, const char *operation, const int32_t *rows, int64_t n,
                             int64_t n_rows) {
    for (int64_t i = 0; rows && i < n; i++) {
        if (rows[i] >= 0 && rows[i] < n_rows) continue;
        fal_queue_fail(q, FAL_E_BUG, operation, "row %" PRId32 " of a table of %" PRId64 " rows",
                       rows[i], n_rows);
        return false;
    }
    return true;
}

bool fal_check_embed(fal_queue *q, fal_tensor y, fal_tensor table, const int32_t *rows) {
    if (fal_queue_has_failed(q) || !are_weights(q, "embed", table)) return false;
    if (!fal_require_f32(q, "embed", "output", y, FAL_E_BUG)) return false;
    if (table.n_cols != y.n_cols) {
        fal_queue_fail(q, FAL_E_FORMAT, "embed",
                       "weights of shape [%" PRId64 ", %" PRId64 "], must have %" PRId64 " columns",
                       table.n_rows, table.n_cols, y.n_cols);
        return false;
    }
    return fal_require_row_numbers(q, "embed", rows, y.n_rows, table.n_rows);
}

bool fal_check_linear(fal_queue *q, fal_tensor y, fal_tensor x, fal_tensor w, fal_tensor bias) {
    if (fal_queue_has_failed(q)) return false;
    if (!fal_require_f32(q, "linear", "input", x, FAL_E_BUG)
        || !fal_require_f32(q, "linear", "output", y, FAL_E_BUG) || !are_weights(q, "linear", w))
        return false;
    if (y.n_rows != x.n_rows) {
        fal_queue_fail(q, FAL_E_BUG, "linear",
                       "%" PRId64 " rows of output for %" PRId64 " rows of input", y.n_rows,
                       x.n_rows);
        return false;
    }
    if (w.n_cols != x.n_cols || w.n_rows != y.n_cols) {
        fal_queue_fail(q, FAL_E_FORMAT, "linear",
                       "weights of shape [%" PRId64 ", %" PRId64 "], must be [%" PRId64 ", %" PRId64
                       "]",
                       w.n_rows, w.n_cols, y.n_cols, x.n_cols);
        return false;
    }
    const fal_device *device = q->device ? q->device : q->state;
    if (device && device->backend->can_multiply && !device->backend->can_multiply(device, w.type)) {
        fal_queue_fail(q, FAL_E_UNSUPPORTED, "linear", "weights of type %s on the %s device",
                       w.type->name, device->backend->name);
        return false;
    }
    return !fal_tensor_is_given(bias)
           || fal_require_matrix(q, "linear", "bias", bias, 1, w.n_rows, FAL_E_FORMAT);
}

bool fal_check_layer_norm(fal_queue *q, fal_tensor y, fal_tensor x, fal_tensor weight,
                          fal_tensor bias, float epsilon) {
    if (fal_queue_has_failed(q) || !fal_require_alike(q, "layer_norm", y, x)) return false;
    if (!(epsilon >= 0.0f && epsilon <= 1.0f)) {
        fal_queue_fail(q, FAL_E_FORMAT, "layer_norm", "epsilon of %g, between 0 and 1 is possible",
                       (double)epsilon);
        return false;
    }
    if (!fal_require_matrix(q, "layer_norm", "weight", weight, 1, x.n_cols, FAL_E_FORMAT))
        return false;
    return !fal_tensor_is_given(bias)
           || fal_require_matrix(q, "layer_norm", "bias", bias, 1, x.n_cols, FAL_E_FORMAT);
}

bool fal_check_add(fal_queue *q, fal_tensor y, fal_tensor a, fal_tensor b) {
    return !fal_queue_has_failed(q) && fal_require_alike(q, "add", y, a)
           && fal_require_matrix(q, "add", "second input", b, a.n_rows, a.n_cols, FAL_E_BUG);
}

bool fal_check_gelu_erf(fal_queue *q, fal_tensor y, fal_tensor x) {
    return !fal_queue_has_failed(q) && fal_require_alike(q, "gelu_erf", y, x);
}

bool fal_check_gelu_tanh(fal_queue *q, fal_tensor y, fal_tensor x) {
    return !fal_queue_has_failed(q) && fal_require_alike(q, "gelu_tanh", y, x);
}

bool fal_check_rope_table(fal_queue *q, fal_tensor table, const int32_t *positions,
                          const double *frequency, double gain) {
    (void)positions, (void)frequency, (void)gain;
    if (fal_queue_has_failed(q) || !fal_require_f32(q, "rope_table", "table", table, FAL_E_BUG))
        return false;
    if (table.n_cols % 2 == 0) return true;
    fal_queue_fail(q, FAL_E_BUG, "rope_table", "%" PRId64 " columns, must be even", table.n_cols);
    return false;
}

bool fal_check_rope(fal_queue *q, fal_tensor x, fal_tensor table, int n_heads) {
    if (fal_queue_has_failed(q) || !fal_require_f32(q, "rope", "input", x, FAL_E_BUG)) return false;
    if (n_heads < 1 || x.n_cols % n_heads != 0 || x.n_cols / n_heads % 2 != 0) {
        fal_queue_fail(q, FAL_E_BUG, "rope",
                       "%" PRId64 " columns are no %d heads of an even number", x.n_cols, n_heads);
        return false;
    }
    return fal_require_matrix(q, "rope", "table", table, x.n_rows, x.n_cols / n_heads, FAL_E_BUG);
}

static bool are_cells(fal_queue *q, const char *operation, const char *what, fal_tensor cells,
                      const fal_attention *a) {
    int64_t n_cols = (int64_t)a->n_kv_heads * a->head_dim;
    if (!fal_tensor_is_given(cells)) {
        fal_queue_fail(q, FAL_E_BUG, operation, "%s missing", what);
        return false;
    }
    const fal_type *type;
    fal_error error;
    if (fal_cell_type_find(&type, cells.type->name, a->head_dim, &error) != FAL_OK) {
        fal_queue_fail(q, FAL_E_BUG, operation, "%s: %.200s", what, error.message);
        return false;
    }
    if (cells.n_cols != n_cols || cells.n_rows > INT32_MAX) {
        fal_queue_fail(q, FAL_E_BUG, operation,
                       "%s of shape [%" PRId64 ", %" PRId64 "], must have %" PRId64 " columns",
                       what, cells.n_rows, cells.n_cols, n_cols);
        return false;
    }
    return fal_require_rows(q, operation, what, cells, FAL_E_BUG);
}

static bool is_segment(fal_queue *q, const char *operation, const fal_attention *a,
                       const fal_segment *s, int64_t n_tokens) {
    if (!are_cells(q, operation, "keys in the cells", s->keys, a)
        || !are_cells(q, operation, "values in the cells", s->values, a))
        return false;
    if (s->keys.type->gguf_id != s->values.type->gguf_id || s->keys.n_rows != s->values.n_rows) {
        fal_queue_fail(q, FAL_E_BUG, operation, "keys and values in the cells differ in kind");
        return false;
    }
    if (s->first_token < 0 || s->n_tokens < 0 || s->n_tokens > n_tokens
        || s->first_token > n_tokens - s->n_tokens) {
        fal_queue_fail(q, FAL_E_BUG, operation,
                       "a segment of %" PRId64 " tokens from %" PRId64 " in a step of %" PRId64,
                       s->n_tokens, s->first_token, n_tokens);
        return false;
    }
    if (s->position < 0 || s->n_tokens > s->keys.n_rows
        || s->position > s->keys.n_rows - s->n_tokens) {
        fal_queue_fail(q, FAL_E_BUG, operation,
                       "%" PRId64 " tokens at position %" PRId64 " of %" PRId64 " cells",
                       s->n_tokens, s->position, s->keys.n_rows);
        return false;
    }
    return true;
}

static bool is_attention(fal_queue *q, const char *operation, const fal_attention *a,
                         int64_t n_tokens) {
    if (!fal_require_heads(q, operation, a->n_heads, a->n_kv_heads, a->head_dim)) return false;
    for (int i = 0; i < a->n_segments; i++) {
        if (!is_segment(q, operation, a, &a->segments[i], n_tokens)) return false;
    }
    return true;
}

bool fal_check_store(fal_queue *q, const fal_attention *a, fal_tensor keys, fal_tensor values) {
    if (fal_queue_has_failed(q) || !is_attention(q, "store", a, keys.n_rows)) return false;
    int64_t n_cols = (int64_t)a->n_kv_heads * a->head_dim;
    return fal_require_matrix(q, "store", "keys", keys, keys.n_rows, n_cols, FAL_E_BUG)
           && fal_require_matrix(q, "store", "values", values, keys.n_rows, n_cols, FAL_E_BUG);
}

bool fal_check_attention(fal_queue *q, fal_tensor out, fal_tensor query, const fal_attention *a) {
    if (fal_queue_has_failed(q) || !is_attention(q, "attention", a, query.n_rows)) return false;
    int64_t n_cols = (int64_t)a->n_heads * a->head_dim;
    return fal_require_matrix(q, "attention", "query", query, query.n_rows, n_cols, FAL_E_BUG)
           && fal_require_matrix(q, "attention", "output", out, query.n_rows, n_cols, FAL_E_BUG);
}
