/* Body of weights.h: the list as a table, words of shapes into numbers, {L} into a layer. */
#include "model/weights.h"

#include <stdio.h>
#include <string.h>

typedef enum extent {
    ONE,
    N_VOCAB,
    N_CONTEXT,
    D_MODEL,
    QKV_ROWS,
    HEADS,
    D_FF
} extent;

static const struct {
    const char *gguf;
    extent rows, columns;
} weights[] = {

#define FAL_WEIGHT(id, gguf, rows, columns) {gguf, rows, columns},
#include "model/weights.def"
#undef FAL_WEIGHT
};

static int64_t extent_of(extent e, const fal_params *p) {
    switch (e) {
    case ONE: return 1;
    case N_VOCAB: return p->n_vocab;
    case N_CONTEXT: return p->n_context;
    case D_MODEL: return p->d_model;
    case QKV_ROWS: return fal_params_qkv_rows(p);
    case HEADS: return (int64_t)p->n_heads * p->head_dim;
    case D_FF: return p->d_ff;
    }
    return 0;
}

bool fal_weight_spec_applies(const fal_weight_spec *spec, const fal_params *p) {
    return (spec->needs & ~p->features) == 0 && (spec->without & p->features) == 0;
}

bool fal_weight_is_per_layer(fal_weight_id id) {
    return strstr(weights[id].gguf, "{L}") != NULL;
}

static bool is_of_layer(const fal_weight_walk *w, int row) {
    return row >= 0 && row < w->n_specs && fal_weight_is_per_layer(w->specs[row].id);
}

const fal_weight_spec *fal_weight_next(fal_weight_walk *w, int *layer) {
    while (w->at < w->n_specs) {
        int row = w->at++;
        *layer = is_of_layer(w, row) ? w->layer : 0;
        bool is_layer_done = is_of_layer(w, row) && !is_of_layer(w, w->at);
        if (is_layer_done && ++w->layer < w->params->n_layers) {
            while (is_of_layer(w, w->at - 1))
                w->at--;
        }
        if (fal_weight_spec_applies(&w->specs[row], w->params)) return &w->specs[row];
    }
    return NULL;
}

bool fal_weight_is_vector(fal_weight_id id) {
    return weights[id].rows == ONE;
}

void fal_weight_shape(fal_weight_id id, const fal_params *p, int64_t *n_rows, int64_t *n_cols) {
    *n_rows = extent_of(weights[id].rows, p);
    *n_cols = extent_of(weights[id].columns, p);
}

fal_status fal_weight_check_shape(fal_weight_id id, const fal_params *p, const char *tensor,
                                  int n_dims, const int64_t *shape, fal_error *err) {
    int64_t n_rows, n_cols;
    fal_weight_shape(id, p, &n_rows, &n_cols);
    bool is_vector = fal_weight_is_vector(id);
    if (is_vector ? n_dims == 1 && shape[0] == n_cols
                  : n_dims == 2 && shape[0] == n_rows && shape[1] == n_cols)
        return FAL_OK;
    char found[96] = "";
    size_t used = 0;
    for (int i = 0; i < n_dims && used < sizeof found; i++) {
        int n = snprintf(found + used, sizeof found - used, "%s%lld", i ? ", " : "",
                         (long long)shape[i]);
        used += n > 0 ? (size_t)n : 0;
    }
    if (is_vector)
        return fal_fail(err, FAL_E_FORMAT, "tensor '%s': shape [%s], [%lld] is needed", tensor,
                        found, (long long)n_cols);
    return fal_fail(err, FAL_E_FORMAT, "tensor '%s': shape [%s], [%lld, %lld] is needed", tensor,
                    found, (long long)n_rows, (long long)n_cols);
}

static void fill_layer(const char *pattern, int layer, char out[FAL_WEIGHT_NAME_SIZE]) {
    const char *hole = strstr(pattern, "{L}");
    if (!hole) {
        snprintf(out, FAL_WEIGHT_NAME_SIZE, "%s", pattern);
        return;
    }
    snprintf(out, FAL_WEIGHT_NAME_SIZE, "%.*s%d%s", (int)(hole - pattern), pattern, layer,
             hole + 3);
}

void fal_weight_gguf_name(fal_weight_id id, int layer, char out[FAL_WEIGHT_NAME_SIZE]) {
    fill_layer(weights[id].gguf, layer, out);
}

void fal_weight_hf_name(const fal_weight_spec *spec, int layer, char out[FAL_WEIGHT_NAME_SIZE]) {
    fill_layer(spec->hf, layer, out);
}

/* In a checkpoint each kv head has its Q heads, K and V together; in the file come all Q heads, then all K, then all V. */
int64_t fal_qkv_row_in_hf(const fal_params *p, int64_t row) {
    int64_t head = row / p->head_dim, within = row % p->head_dim;
    int64_t per_group = p->n_heads / p->n_kv_heads, group, place;
    if (head < p->n_heads) {
        group = head / per_group;
        place = head % per_group;
    } else if (head < p->n_heads + p->n_kv_heads) {
        group = head - p->n_heads;
        place = per_group;
    } else {
        group = head - p->n_heads - p->n_kv_heads;
        place = per_group + 1;
    }
    return (group * (per_group + 2) + place) * p->head_dim + within;
}

int64_t fal_qkv_row_in_gguf(const fal_params *p, int64_t row) {
    int64_t head = row / p->head_dim, within = row % p->head_dim;
    int64_t per_group = p->n_heads / p->n_kv_heads;
    int64_t group = head / (per_group + 2), place = head % (per_group + 2);
    int64_t found = group * per_group + place;
    if (place == per_group) found = p->n_heads + group;
    if (place == per_group + 1) found = p->n_heads + p->n_kv_heads + group;
    return found * p->head_dim + within;
}
