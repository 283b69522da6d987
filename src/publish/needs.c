/* Body of needs.h. */
#include "publish/needs.h"

#include "compute/cells.h"
#include "model/forward.h"

enum {
    BATCH = 512 /* a session's own choice */
};

/* The program itself, the tokenizer, the norms as f32 and the like. */
static const uint64_t PROGRAM_BYTES = UINT64_C(48) << 20;

fal_status fal_needs_of(fal_needs *out, const fal_model *model, const char *kv_type,
                        fal_error *err) {
    const fal_model_info *info = fal_model_info_get(model);
    size_t scratch = 0;
    int batch = info->n_context < BATCH ? info->n_context : BATCH;
    const fal_type *type = fal_model_default_kv_type(model);
    if (kv_type)
        FAL_TRY(fal_cell_type_find(&type, kv_type, fal_model_params(model)->head_dim, err));
    FAL_TRY(fal_model_plan(model, batch, batch, type, &scratch, err));
    out->weight_bytes = info->weight_bytes;
    out->cache_bytes_per_token = fal_model_kv_bytes(model, 1, type->name) + sizeof(int32_t);
    out->working_bytes = PROGRAM_BYTES + scratch + (uint64_t)info->n_vocab * sizeof(float)
                         + (uint64_t)batch * 2 * sizeof(int32_t);
    return FAL_OK;
}
