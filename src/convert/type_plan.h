/* Which tensor gets which type: mixes, recipes, fallback, and the honest report of it. Knows shapes and names, no data. */
#ifndef FAL_CONVERT_TYPE_PLAN_H
#define FAL_CONVERT_TYPE_PLAN_H

#include "quant/type.h"

typedef struct fal_mix {
    const char *name;   /* "Q4_K_M" */
    uint32_t file_type; /* general.file_type */
    const char *type;   /* of whatever no rule names: "q4_k" */
    const char *meaning;
} fal_mix;

int fal_mix_count(void);
const fal_mix *fal_mix_at(int index);
const fal_mix *fal_mix_by_name(const char *name); /* without case; NULL: no such mix */

typedef enum fal_recipe {
    FAL_RECIPE_CURRENT,
    FAL_RECIPE_2023
} fal_recipe;

/* What kind of tensor it is, for rules and reports. */
typedef enum fal_tensor_class {
    FAL_CLASS_KEEP, /* norms, biases and other vectors: never quantized */
    FAL_CLASS_TOKEN_EMBD,
    FAL_CLASS_POSITION_EMBD,
    FAL_CLASS_ATTN_QKV,
    FAL_CLASS_ATTN_OUTPUT,
    FAL_CLASS_FFN_UP,
    FAL_CLASS_FFN_DOWN,
    FAL_CLASS_OUTPUT,
    FAL_CLASS_OTHER,
    FAL_CLASS_COUNT
} fal_tensor_class;

/* "ffn_down"; static. */
const char *fal_tensor_class_name(fal_tensor_class class);

typedef struct fal_plan_tensor {
    const char *name; /* as in GGUF files */
    const fal_type *source;
    int n_dims;
    int64_t shape[4]; /* outermost first */
} fal_plan_tensor;

/* A user's wish for tensors whose name the pattern finds (a PCRE2 regular expression). */
typedef struct fal_type_wish {
    const char *pattern;
    const fal_type *type;
} fal_type_wish;

typedef struct fal_type_plan_options {
    const fal_mix *mix;
    fal_recipe recipe;
    const char *architecture;
    int n_layers;
    bool has_importance;
    const fal_type *output_type, *embedding_type; /* NULL: by the recipe */
    const fal_type_wish *wishes;
    size_t n_wishes;
} fal_type_plan_options;

typedef struct fal_plan_entry {
    fal_tensor_class class;
    const fal_type *wanted; /* by mix, rules and wishes */
    const fal_type
        *used; /* after the fallback for widths that the wanted type's blocks don't divide */
    uint64_t bytes;
} fal_plan_entry;

/* Fills entries [n_tensors]. Fails: ARGUMENT (a bad pattern, or one that no matrix has), LIMIT (sizes overflow), MEMORY. */
fal_status fal_type_plan_make(fal_plan_entry *entries, const fal_plan_tensor *tensors,
                              size_t n_tensors, const fal_type_plan_options *options,
                              fal_error *err);

/* What a plan amounts to. Shares are of the tensors that are quantized at all. */
typedef struct fal_plan_summary {
    uint64_t bytes;        /* of all data, each tensor padded to 32 */
    uint64_t wanted_bytes; /* had every width been divisible */
    int64_t n_parameters, n_matrix_parameters, n_k_parameters, n_fallback_parameters;
    int n_matrices, n_k_tensors, n_fallback_tensors;
} fal_plan_summary;

/* Adds up a plan: entries and tensors [n_tensors], as made above. */
void fal_type_plan_summarise(fal_plan_summary *out, const fal_plan_entry *entries,
                             const fal_plan_tensor *tensors, size_t n_tensors);

/* True for q2_k to q6_k. */
bool fal_type_is_k(const fal_type *type);

#endif
