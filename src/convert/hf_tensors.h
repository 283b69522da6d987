/* The tensors of a Hugging Face folder in the making, for this folder's own files: which there are, and their data. */
#ifndef FAL_CONVERT_HF_TENSORS_H
#define FAL_CONVERT_HF_TENSORS_H

#include "convert/to_hf.h"

/* One tensor of the folder. */
typedef struct fal_hf_tensor {
    char name[FAL_WEIGHT_NAME_SIZE];
    int source; /* its index there */
    bool is_regrouped;
    int shard; /* from 0 */
} fal_hf_tensor;

/* Zero-initialise. */
typedef struct fal_hf_tensors {
    fal_source *source;
    fal_source_model model;
    const fal_type *type;
    fal_hf_tensor *items; /* in the order of the architecture's table: embeddings, layers, head */
    int count, n_shards;
    uint64_t bytes; /* of all data */
} fal_hf_tensors;

/* Lists the tensors that the model must have, in shards of at most shard_bytes; released by the caller in any case.
 * Fails: FORMAT (a tensor is missing or has another shape), LIMIT, MEMORY. */
fal_status fal_hf_tensors_list(fal_hf_tensors *out, fal_source *source,
                               const fal_source_model *model, const fal_type *type,
                               uint64_t shard_bytes, fal_error *err);
void fal_hf_tensors_release(fal_hf_tensors *tensors);

/* Writes the files with tensors and, if there are several, their index. Fails: IO, MEMORY, CANCELLED. */
fal_status fal_hf_tensors_write(const fal_hf_tensors *tensors, const char *directory,
                                const fal_to_hf_options *options, fal_error *err);

/* Whether two tensors of the source hold the same numbers. Fails: as their reading, MEMORY. */
fal_status fal_source_is_equal(const fal_source *s, int tensor, int other, bool *out,
                               fal_error *err);

#endif
