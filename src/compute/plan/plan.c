/* The plan column: each operation is its check and nothing else. */
#include "compute/plan/plan.h"

#include "compute/checks.h"

static void plan_embed(fal_queue *q, fal_tensor y, fal_tensor table, const int32_t *rows) {
    (void)fal_check_embed(q, y, table, rows);
}

static void plan_linear(fal_queue *q, fal_tensor y, fal_tensor x, fal_tensor w, fal_tensor bias) {
    (void)fal_check_linear(q, y, x, w, bias);
}

static void plan_layer_norm(fal_queue *q, fal_tensor y, fal_tensor x, fal_tensor weight,
                            fal_tensor bias, float epsilon) {
    (void)fal_check_layer_norm(q, y, x, weight, bias, epsilon);
}

static void plan_add(fal_queue *q, fal_tensor y, fal_tensor a, fal_tensor b) {
    (void)fal_check_add(q, y, a, b);
}

static void plan_gelu_erf(fal_queue *q, fal_tensor y, fal_tensor x) {
    (void)fal_check_gelu_erf(q, y, x);
}

static void plan_gelu_tanh(fal_queue *q, fal_tensor y, fal_tensor x) {
    (void)fal_check_gelu_tanh(q, y, x);
}

static void plan_rope_table(fal_queue *q, fal_tensor table, const int32_t *positions,
                            const double *frequency, double gain) {
    (void)fal_check_rope_table(q, table, positions, frequency, gain);
}

static void plan_rope(fal_queue *q, fal_tensor x, fal_tensor table, int n_heads) {
    (void)fal_check_rope(q, x, table, n_heads);
}

static void plan_store(fal_queue *q, const fal_attention *a, fal_tensor keys, fal_tensor values) {
    (void)fal_check_store(q, a, keys, values);
}

static void plan_attention(fal_queue *q, fal_tensor out, fal_tensor query, const fal_attention *a) {
    (void)fal_check_attention(q, out, query, a);
}

static void plan_product(fal_queue *q, fal_tensor y, fal_tensor a, bool a_is_transposed,
                         fal_tensor b, bool b_is_transposed, bool is_added) {
    (void)fal_check_product(q, y, a, a_is_transposed, b, b_is_transposed, is_added);
}

static void plan_add_bias(fal_queue *q, fal_tensor y, fal_tensor bias) {
    (void)fal_check_add_bias(q, y, bias);
}

static void plan_scale(fal_queue *q, fal_tensor x, float factor) {
    (void)fal_check_scale(q, x, factor);
}

static void plan_packed_attention(fal_queue *q, fal_tensor out, fal_tensor log_sums,
                                  fal_tensor query, fal_tensor key, fal_tensor value,
                                  const fal_packing *p) {
    (void)fal_check_packed_attention(q, out, log_sums, query, key, value, p);
}

static void plan_packed_attention_gradient(fal_queue *q, fal_tensor dquery, fal_tensor dkey,
                                           fal_tensor dvalue, fal_tensor dout, fal_tensor out,
                                           fal_tensor log_sums, fal_tensor query, fal_tensor key,
                                           fal_tensor value, const fal_packing *p) {
    (void)fal_check_packed_attention_gradient(q, dquery, dkey, dvalue, dout, out, log_sums, query,
                                              key, value, p);
}

static void plan_rope_gradient(fal_queue *q, fal_tensor dx, fal_tensor table, int n_heads) {
    (void)fal_check_rope_gradient(q, dx, table, n_heads);
}

static void plan_layer_norm_gradient(fal_queue *q, fal_tensor dx, fal_tensor dweight,
                                     fal_tensor dbias, fal_tensor dy, fal_tensor x,
                                     fal_tensor weight, float epsilon) {
    (void)fal_check_layer_norm_gradient(q, dx, dweight, dbias, dy, x, weight, epsilon);
}

static void plan_gelu_erf_gradient(fal_queue *q, fal_tensor dx, fal_tensor dy, fal_tensor x) {
    (void)fal_check_gelu_erf_gradient(q, dx, dy, x);
}

static void plan_gelu_tanh_gradient(fal_queue *q, fal_tensor dx, fal_tensor dy, fal_tensor x) {
    (void)fal_check_gelu_tanh_gradient(q, dx, dy, x);
}

static void plan_bias_gradient(fal_queue *q, fal_tensor dbias, fal_tensor dy) {
    (void)fal_check_bias_gradient(q, dbias, dy);
}

static void plan_embed_gradient(fal_queue *q, fal_tensor dtable, fal_tensor dy,
                                const int32_t *rows) {
    (void)fal_check_embed_gradient(q, dtable, dy, rows);
}

static void plan_cross_entropy(fal_queue *q, fal_tensor dlogits, float *nll, fal_tensor logits,
                               const int32_t *targets, const float *weights, double scale,
                               double z_loss) {
    (void)fal_check_cross_entropy(q, dlogits, nll, logits, targets, weights, scale, z_loss);
}

static void plan_square_sum(fal_queue *q, double *sum, fal_tensor x) {
    (void)fal_check_square_sum(q, sum, x);
}

static void plan_adamw(fal_queue *q, fal_tensor w, fal_tensor m, fal_tensor v, fal_tensor dw,
                       const fal_adamw *how) {
    (void)fal_check_adamw(q, w, m, v, dw, how);
}

const fal_ops fal_plan_ops = {
#define FAL_OP(name, parameters, meaning) .name = plan_##name,
#include "compute/ops.def"
#undef FAL_OP
};
