/* The facts about each weight: its names, its shape, and which variants have it. Loader, converter, planner and inspect
 * walk the same tables. */
#ifndef FAL_MODEL_WEIGHTS_H
#define FAL_MODEL_WEIGHTS_H

#include "compute/tensor.h"
#include "model/params.h"

typedef enum fal_weight_id {
#define FAL_WEIGHT(id, gguf, rows, columns) FAL_WEIGHT_##id,
#include "model/weights.def"
#undef FAL_WEIGHT
    FAL_WEIGHT_COUNT
} fal_weight_id;

enum {
    FAL_WEIGHT_NAME_SIZE = 128
};

typedef enum fal_weight_flag {
    FAL_WEIGHT_OPTIONAL = 1, /* may be missing in a file */
    FAL_WEIGHT_QKV =
        2, /* Hugging Face groups the rows by kv head: its Q heads, K, V; GGUF has all Q, all K, all V */
    FAL_WEIGHT_KEEP_F32 = 4,      /* stays f32 on conversion */
    FAL_WEIGHT_USUALLY_STORED = 8 /* optional, but published checkpoints hold it */
} fal_weight_flag;

/* One row of an architecture's table: a weight exists if the model has all features in `needs` and none in `without`. */
typedef struct fal_weight_spec {
    fal_weight_id id;
    const char *hf; /* "transformer.h.{L}.self_attention.query_key_value.weight" */
    unsigned needs, without;
    unsigned flags; /* fal_weight_flag bits */
} fal_weight_spec;

/* Whether a model with these parameters has the weight. */
bool fal_weight_spec_applies(const fal_weight_spec *spec, const fal_params *p);
/* Whether its name holds {L}. */
bool fal_weight_is_per_layer(fal_weight_id id);

/* Walks the weights of a table that a model with these parameters has, in the order of files: the rows as they stand, those
 * of the layers, which stand together, once for each layer. The first three are given, the rest is zero at first. */
typedef struct fal_weight_walk {
    const fal_weight_spec *specs;
    int n_specs;
    const fal_params *params;
    int at, layer; /* the next ones */
} fal_weight_walk;

/* *layer is 0 outside the layers. NULL: there are no more. */
const fal_weight_spec *fal_weight_next(fal_weight_walk *w, int *layer);

/* Shape in words resolved: n_rows is 1 for vectors. */
void fal_weight_shape(fal_weight_id id, const fal_params *p, int64_t *n_rows, int64_t *n_cols);
bool fal_weight_is_vector(fal_weight_id id);

/* Whether a tensor found in a file has the weight's shape [outermost first]. Fails: FORMAT, naming tensor and both shapes. */
fal_status fal_weight_check_shape(fal_weight_id id, const fal_params *p, const char *tensor,
                                  int n_dims, const int64_t *shape, fal_error *err);

/* "blk.3.attn_qkv.weight"; layer is ignored for weights outside the layers. */
void fal_weight_gguf_name(fal_weight_id id, int layer, char out[FAL_WEIGHT_NAME_SIZE]);
void fal_weight_hf_name(const fal_weight_spec *spec, int layer, char out[FAL_WEIGHT_NAME_SIZE]);

/* Rows of weights with FAL_WEIGHT_QKV: where row `row` of GGUF's order lies in Hugging Face's, and the other way round. */
int64_t fal_qkv_row_in_hf(const fal_params *p, int64_t row);
int64_t fal_qkv_row_in_gguf(const fal_params *p, int64_t row);

#endif
