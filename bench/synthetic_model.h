/* Makes GGUF files of real shapes with random weights: for measuring speed and memory where no trained model is. The
 * text that such a model writes is noise. */
#ifndef FAL_BENCH_SYNTHETIC_MODEL_H
#define FAL_BENCH_SYNTHETIC_MODEL_H

#include "quant/type.h"

typedef struct synthetic_shape {
    const char *name; /* "falcon-7b" */
    int d_model, d_ff, n_layers, n_heads, n_kv_heads, n_vocab;
    bool has_two_norms; /* attention and ffn are normalised apart, as in 40B and 180B */
} synthetic_shape;

/* NULL past the end. */
const synthetic_shape *synthetic_shape_at(int index);
/* NULL: no such shape. */
const synthetic_shape *synthetic_shape_by_name(const char *name);

/* The name of a recipe, which says the type of each tensor ("q4_0", "q4_k_m", ...); NULL past the end. */
const char *synthetic_recipe_at(int index);

/* Writes path: n_layers layers of the shape (0: all), types by recipe. Where a row is not a multiple of a type's block
 * the fallback of published files stands in, so Falcon-7B mixes types as its real files do, and all 32 layers of it have
 * their sizes to the byte.
 * Fails: ARGUMENT (an unknown recipe), IO, MEMORY. */
fal_status synthetic_model_write(const char *path, const synthetic_shape *shape, int n_layers,
                                 const char *recipe, fal_error *err);

#endif
