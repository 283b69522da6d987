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

const fal_ops fal_plan_ops = {
#define FAL_OP(name, parameters, meaning) .name = plan_##name,
#include "compute/ops.def"
#undef FAL_OP
};
