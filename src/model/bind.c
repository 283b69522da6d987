/* Finds each weight of the architecture's table in the file. Matrices stay where they are mapped; vectors (norms and
 * biases, a few MB at most) are copied as aligned f32, whatever type they have. */
#include "base/alloc.h"
#include "model/model_private.h"

#include <stdint.h>

enum {
    NEEDED_ALIGNMENT = 4
};

static fal_status check_tensor(const fal_model *m, fal_weight_id id, const fal_gguf_tensor *t,
                               fal_error *err) {
    FAL_TRY(fal_weight_check_shape(id, &m->params, t->name, t->n_dims, t->shape, err));
    const fal_type *type = fal_type_by_id(t->type_id);
    if (!type || !type->in_files)
        return fal_fail(err, FAL_E_UNSUPPORTED,
                        "tensor '%s' has type %s, which cannot be computed with", t->name,
                        t->type_name);
    if (!t->data) return fal_fail(err, FAL_E_FORMAT, "tensor '%s' has no data", t->name);
    if (!fal_weight_is_vector(id) && (uintptr_t)t->data % NEEDED_ALIGNMENT != 0)
        return fal_fail(err, FAL_E_UNSUPPORTED,
                        "tensor '%s' lies at offset %llu, a multiple of %d is needed", t->name,
                        (unsigned long long)t->offset, NEEDED_ALIGNMENT);
    return FAL_OK;
}

static size_t padded(size_t n_floats) {
    return (n_floats + 15) / 16 * 16;
}

/* Calls visit for each weight that the model has; layer is n_layers for those outside the layers. */
typedef fal_status visit_function(fal_model *m, const fal_weight_spec *spec, int layer, void *user,
                                  fal_error *err);

static fal_status visit_weights(fal_model *m, visit_function *visit, void *user, fal_error *err) {
    for (int i = 0; i < m->arch->n_weights; i++) {
        const fal_weight_spec *spec = &m->arch->weights[i];
        if (!fal_weight_spec_applies(spec, &m->params)) continue;
        int first = fal_weight_is_per_layer(spec->id) ? 0 : m->params.n_layers;
        int last = fal_weight_is_per_layer(spec->id) ? m->params.n_layers : first + 1;
        for (int layer = first; layer < last; layer++)
            FAL_TRY(visit(m, spec, layer, user, err));
    }
    return FAL_OK;
}

static fal_status count_vector(fal_model *m, const fal_weight_spec *spec, int layer, void *user,
                               fal_error *err) {
    (void)layer, (void)err;
    size_t *n_floats = user;
    int64_t n_rows, n_cols;
    fal_weight_shape(spec->id, &m->params, &n_rows, &n_cols);
    if (fal_weight_is_vector(spec->id)) *n_floats += padded((size_t)n_cols);
    return FAL_OK;
}

static fal_status bind(fal_model *m, const fal_weight_spec *spec, int layer, void *user,
                       fal_error *err) {
    float **next_vector = user;
    char name[FAL_WEIGHT_NAME_SIZE];
    fal_weight_gguf_name(spec->id, layer, name);
    const fal_gguf_tensor *found = fal_gguf_tensor_find(m->file, name);
    if (!found && (spec->flags & FAL_WEIGHT_OPTIONAL)) return FAL_OK;
    if (!found) return fal_fail(err, FAL_E_FORMAT, "tensor '%s' is missing", name);
    int64_t n_rows, n_cols;
    fal_weight_shape(spec->id, &m->params, &n_rows, &n_cols);
    bool is_vector = fal_weight_is_vector(spec->id);
    FAL_TRY(check_tensor(m, spec->id, found, err));
    const fal_type *type = fal_type_by_id(found->type_id);
    fal_tensor t = {.type = type, .n_rows = n_rows, .n_cols = n_cols};
    FAL_TRY(fal_type_row_bytes(type, n_cols, &t.row_bytes, err));
    if (is_vector) {
        type->decode(found->data, *next_vector, n_cols / type->weights_per_block);
        t.type = fal_type_by_id(FAL_TYPE_F32);
        t.row_bytes = (size_t)n_cols * sizeof(float);
        t.data = *next_vector;
        *next_vector += padded((size_t)n_cols);
    } else {
        t.data = (void *)(uintptr_t)found->data;
    }
    m->weights[layer * FAL_WEIGHT_COUNT + (int)spec->id] = t;
    m->info.n_parameters += n_rows * n_cols;
    m->info.weight_bytes += found->bytes;
    return FAL_OK;
}

fal_status fal_model_bind_weights(fal_model *m, fal_error *err) {
    /* A file that claims more layers than it has tensors is refused before anything is sized by that claim. */
    if (m->params.n_layers > fal_gguf_tensor_count(m->file))
        return fal_fail(err, FAL_E_FORMAT, "%d layers are announced, but there are only %d tensors",
                        m->params.n_layers, fal_gguf_tensor_count(m->file));
    m->weights = fal_alloc((size_t)(m->params.n_layers + 1) * FAL_WEIGHT_COUNT, sizeof *m->weights);
    if (!m->weights) return fal_fail_memory(err, 0);
    size_t n_floats = 0;
    FAL_TRY(visit_weights(m, count_vector, &n_floats, err));
    if (n_floats * sizeof(float) > fal_gguf_file_bytes(m->file) * 4 + 4096)
        return fal_fail(err, FAL_E_FORMAT,
                        "norms and biases of %zu numbers do not fit a file of %llu bytes", n_floats,
                        (unsigned long long)fal_gguf_file_bytes(m->file));
    float *vectors = fal_alloc_aligned(n_floats, sizeof *vectors);
    if (!vectors) return fal_fail_memory(err, n_floats * sizeof *vectors);
    m->vectors = (char *)vectors;
    return visit_weights(m, bind, &vectors, err);
}
