/* Low-rank adapters beside linear layers: which layers have them, and how they become part of the weight.
 *
 * Source: Hu et al., LoRA, arXiv:2106.09685. */
#include "model/adapter.h"
#include "model/trainable_private.h"

bool fal_lora_adapts(fal_weight_id id) {
    return id == FAL_WEIGHT_ATTN_QKV || id == FAL_WEIGHT_ATTN_OUTPUT || id == FAL_WEIGHT_FFN_UP
           || id == FAL_WEIGHT_FFN_DOWN;
}

float fal_lora_scale(const fal_trainable *t) {
    return (float)(t->lora.alpha / t->lora.rank);
}

void fal_lora_add_row(double *sums, int64_t n_cols, const float *a, const float *b_row,
                      int64_t rank, float scale) {
    for (int64_t k = 0; k < rank; k++) {
        double factor = (double)scale * (double)b_row[k];
        const float *direction = a + k * n_cols;
        for (int64_t i = 0; i < n_cols; i++)
            sums[i] += factor * (double)direction[i];
    }
}

void fal_lora_fold_row(const fal_trainable *t, const fal_trainable_weight *w, int64_t row,
                       float *out, double *sums) {
    const fal_trainable_weight *a =
        fal_trainable_weight_of(t, w->id, w->layer, FAL_TRAINABLE_LORA_A);
    const fal_trainable_weight *b =
        fal_trainable_weight_of(t, w->id, w->layer, FAL_TRAINABLE_LORA_B);
    const float *value = fal_tensor_f32_row(w->value, row);
    for (int64_t i = 0; i < w->n_cols; i++)
        sums[i] = (double)value[i];
    if (a && b)
        fal_lora_add_row(sums, w->n_cols, fal_tensor_f32_row(a->value, 0),
                         fal_tensor_f32_row(b->value, row), a->n_rows, fal_lora_scale(t));
    for (int64_t i = 0; i < w->n_cols; i++)
        out[i] = (float)sums[i];
}
