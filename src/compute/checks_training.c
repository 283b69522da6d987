/* Body of checks.h for the operations of training. What is wrong here no file can ask for: BUG. Of arrays it looks at row
 * numbers, targets and the starts of sequences. */
#include "compute/checks.h"
#include "compute/checks_private.h"

#include <inttypes.h>
#include <math.h>

static bool require(fal_queue *q, const char *operation, const char *what, fal_tensor t,
                    int64_t n_rows, int64_t n_cols) {
    return fal_require_matrix(q, operation, what, t, n_rows, n_cols, FAL_E_BUG);
}

static bool is_given(fal_queue *q, const char *operation, const char *what, fal_tensor t) {
    return fal_require_f32(q, operation, what, t, FAL_E_BUG);
}

bool fal_check_product(fal_queue *q, fal_tensor y, fal_tensor a, bool a_is_transposed, fal_tensor b,
                       bool b_is_transposed, bool is_added) {
    (void)is_added;
    if (fal_queue_has_failed(q) || !is_given(q, "product", "first factor", a)
        || !is_given(q, "product", "second factor", b))
        return false;
    int64_t m = a_is_transposed ? a.n_cols : a.n_rows, k = a_is_transposed ? a.n_rows : a.n_cols,
            n = b_is_transposed ? b.n_rows : b.n_cols;
    int64_t k_of_b = b_is_transposed ? b.n_cols : b.n_rows;
    if (k_of_b != k) {
        fal_queue_fail(q, FAL_E_BUG, "product",
                       "[%" PRId64 ", %" PRId64 "] times [%" PRId64 ", %" PRId64 "]", m, k, k_of_b,
                       n);
        return false;
    }
    return require(q, "product", "output", y, m, n);
}

bool fal_check_add_bias(fal_queue *q, fal_tensor y, fal_tensor bias) {
    return !fal_queue_has_failed(q) && is_given(q, "add_bias", "output", y)
           && require(q, "add_bias", "bias", bias, 1, y.n_cols);
}

bool fal_check_scale(fal_queue *q, fal_tensor x, float factor) {
    (void)factor;
    return !fal_queue_has_failed(q) && is_given(q, "scale", "input", x);
}

/* Starts ascend from 0 to n_tokens. */
static bool are_sequences(fal_queue *q, const char *operation, const fal_packing *p,
                          int64_t n_tokens) {
    if (!fal_require_heads(q, operation, p->n_heads, p->n_kv_heads, p->head_dim)) return false;
    if (p->n_sequences < 0) {
        fal_queue_fail(q, FAL_E_BUG, operation, "%" PRId64 " sequences", p->n_sequences);
        return false;
    }
    if (!p->starts) return true;
    int64_t last = 0;
    for (int64_t i = 0; i <= p->n_sequences; i++) {
        if (p->starts[i] < last || p->starts[i] > n_tokens || (i == 0 && p->starts[i] != 0)) {
            fal_queue_fail(q, FAL_E_BUG, operation,
                           "sequence %" PRId64 " starts at %" PRId64 " of %" PRId64 " tokens", i,
                           p->starts[i], n_tokens);
            return false;
        }
        last = p->starts[i];
    }
    if (last == n_tokens) return true;
    fal_queue_fail(q, FAL_E_BUG, operation, "sequences of %" PRId64 " of %" PRId64 " tokens", last,
                   n_tokens);
    return false;
}

static bool is_packed_attention(fal_queue *q, const char *operation, fal_tensor out,
                                fal_tensor log_sums, fal_tensor query, fal_tensor key,
                                fal_tensor value, const fal_packing *p) {
    if (fal_queue_has_failed(q) || !is_given(q, operation, "query", query)
        || !are_sequences(q, operation, p, query.n_rows))
        return false;
    int64_t n = query.n_rows, n_cols = (int64_t)p->n_heads * p->head_dim,
            kv_cols = (int64_t)p->n_kv_heads * p->head_dim;
    return require(q, operation, "query", query, n, n_cols)
           && require(q, operation, "key", key, n, kv_cols)
           && require(q, operation, "value", value, n, kv_cols)
           && require(q, operation, "output", out, n, n_cols)
           && require(q, operation, "log sums", log_sums, n, p->n_heads);
}

bool fal_check_packed_attention(fal_queue *q, fal_tensor out, fal_tensor log_sums, fal_tensor query,
                                fal_tensor key, fal_tensor value, const fal_packing *p) {
    return is_packed_attention(q, "packed_attention", out, log_sums, query, key, value, p);
}

bool fal_check_packed_attention_gradient(fal_queue *q, fal_tensor dquery, fal_tensor dkey,
                                         fal_tensor dvalue, fal_tensor dout, fal_tensor out,
                                         fal_tensor log_sums, fal_tensor query, fal_tensor key,
                                         fal_tensor value, const fal_packing *p) {
    static const char operation[] = "packed_attention_gradient";
    return is_packed_attention(q, operation, out, log_sums, query, key, value, p)
           && require(q, operation, "gradient of the output", dout, out.n_rows, out.n_cols)
           && require(q, operation, "gradient of the query", dquery, query.n_rows, query.n_cols)
           && require(q, operation, "gradient of the key", dkey, key.n_rows, key.n_cols)
           && require(q, operation, "gradient of the value", dvalue, value.n_rows, value.n_cols);
}

bool fal_check_rope_gradient(fal_queue *q, fal_tensor dx, fal_tensor table, int n_heads) {
    if (fal_queue_has_failed(q) || !is_given(q, "rope_gradient", "gradient", dx)) return false;
    if (n_heads < 1 || dx.n_cols % n_heads != 0 || dx.n_cols / n_heads % 2 != 0) {
        fal_queue_fail(q, FAL_E_BUG, "rope_gradient",
                       "%" PRId64 " columns are no %d heads of an even number", dx.n_cols, n_heads);
        return false;
    }
    return require(q, "rope_gradient", "table", table, dx.n_rows, dx.n_cols / n_heads);
}

bool fal_check_layer_norm_gradient(fal_queue *q, fal_tensor dx, fal_tensor dweight,
                                   fal_tensor dbias, fal_tensor dy, fal_tensor x, fal_tensor weight,
                                   float epsilon) {
    static const char operation[] = "layer_norm_gradient";
    if (fal_queue_has_failed(q) || !is_given(q, operation, "input", x)) return false;
    if (!(epsilon >= 0.0f && epsilon <= 1.0f)) {
        fal_queue_fail(q, FAL_E_BUG, operation, "epsilon of %g, between 0 and 1 is possible",
                       (double)epsilon);
        return false;
    }
    return require(q, operation, "gradient of the output", dy, x.n_rows, x.n_cols)
           && require(q, operation, "gradient of the input", dx, x.n_rows, x.n_cols)
           && require(q, operation, "weight", weight, 1, x.n_cols)
           && (!fal_tensor_is_given(dweight)
               || require(q, operation, "gradient of the weight", dweight, 1, x.n_cols))
           && (!fal_tensor_is_given(dbias)
               || require(q, operation, "gradient of the bias", dbias, 1, x.n_cols));
}

static bool are_three(fal_queue *q, const char *operation, fal_tensor dx, fal_tensor dy,
                      fal_tensor x) {
    return !fal_queue_has_failed(q) && is_given(q, operation, "input", x)
           && require(q, operation, "gradient of the output", dy, x.n_rows, x.n_cols)
           && require(q, operation, "gradient of the input", dx, x.n_rows, x.n_cols);
}

bool fal_check_gelu_erf_gradient(fal_queue *q, fal_tensor dx, fal_tensor dy, fal_tensor x) {
    return are_three(q, "gelu_erf_gradient", dx, dy, x);
}

bool fal_check_gelu_tanh_gradient(fal_queue *q, fal_tensor dx, fal_tensor dy, fal_tensor x) {
    return are_three(q, "gelu_tanh_gradient", dx, dy, x);
}

bool fal_check_bias_gradient(fal_queue *q, fal_tensor dbias, fal_tensor dy) {
    return !fal_queue_has_failed(q) && is_given(q, "bias_gradient", "gradient of the output", dy)
           && require(q, "bias_gradient", "gradient of the bias", dbias, 1, dy.n_cols);
}

bool fal_check_embed_gradient(fal_queue *q, fal_tensor dtable, fal_tensor dy, const int32_t *rows) {
    return !fal_queue_has_failed(q) && is_given(q, "embed_gradient", "gradient of the output", dy)
           && is_given(q, "embed_gradient", "gradient of the table", dtable)
           && require(q, "embed_gradient", "gradient of the table", dtable, dtable.n_rows,
                      dy.n_cols)
           && fal_require_row_numbers(q, "embed_gradient", rows, dy.n_rows, dtable.n_rows);
}

bool fal_check_cross_entropy(fal_queue *q, fal_tensor dlogits, float *nll, fal_tensor logits,
                             const int32_t *targets, const float *weights, double scale,
                             double z_loss) {
    (void)nll, (void)weights, (void)scale, (void)z_loss;
    if (fal_queue_has_failed(q) || !is_given(q, "cross_entropy", "logits", logits)
        || !require(q, "cross_entropy", "gradient", dlogits, logits.n_rows, logits.n_cols))
        return false;
    for (int64_t row = 0; targets && row < logits.n_rows; row++) {
        if (targets[row] >= 0 && targets[row] < logits.n_cols) continue;
        fal_queue_fail(q, FAL_E_BUG, "cross_entropy",
                       "target %" PRId32 " of a vocabulary of %" PRId64, targets[row],
                       logits.n_cols);
        return false;
    }
    return true;
}

bool fal_check_square_sum(fal_queue *q, double *sum, fal_tensor x) {
    (void)sum;
    return !fal_queue_has_failed(q) && is_given(q, "square_sum", "input", x);
}

bool fal_check_adamw(fal_queue *q, fal_tensor w, fal_tensor m, fal_tensor v, fal_tensor dw,
                     const fal_adamw *how) {
    if (fal_queue_has_failed(q) || !is_given(q, "adamw", "weights", w)
        || !require(q, "adamw", "first moment", m, w.n_rows, w.n_cols)
        || !require(q, "adamw", "second moment", v, w.n_rows, w.n_cols)
        || !require(q, "adamw", "gradient", dw, w.n_rows, w.n_cols))
        return false;
    if (how->step >= 1 && how->beta1 >= 0 && how->beta1 < 1 && how->beta2 >= 0 && how->beta2 < 1
        && how->epsilon >= 0 && isfinite(how->learning_rate) && isfinite(how->weight_decay))
        return true;
    fal_queue_fail(q, FAL_E_BUG, "adamw",
                   "step %" PRId64 ", rate %g, betas %g and %g, epsilon %g, decay %g", how->step,
                   how->learning_rate, how->beta1, how->beta2, how->epsilon, how->weight_decay);
    return false;
}
