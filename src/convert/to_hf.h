/* A model into a Hugging Face folder: the way back of convert.h. */
#ifndef FAL_CONVERT_TO_HF_H
#define FAL_CONVERT_TO_HF_H

#include "convert/convert.h"
#include "convert/source.h"

/* Zero means default. */
typedef struct fal_to_hf_options {
    const char *type; /* "f32", "f16", "bf16" of all tensors; NULL: the matrices' own */
    uint64_t
        shard_bytes; /* most bytes of tensors in one file, unless one alone is larger; 0: 5e9 */
    fal_rope_form rope_form; /* how config.json says the context method */
    bool
        replaces; /* a checkpoint that is in the folder already may be lost; other files never are */
    int n_threads; /* 0: the usable cores */
    fal_on_convert *on_progress;
    void *user;
    fal_log log; /* what was noticed */
} fal_to_hf_options;

/* Writes config.json, generation_config.json, the vocabulary's files and model.safetensors, or shards with their index.
 * Tensors have the names and the row order of Hugging Face; all have one type, as that library wants it. The folder
 * appears whole or not at all; memory is that of some rows, whatever the model's size.
 *
 *   options  NULL: all defaults
 *   Fails: ARGUMENT (a folder that is there, a quantized source without a type), UNSUPPORTED (a model for which config.json
 *   has no words), FORMAT (a tensor that is missing or has another shape than the metadata say, a weight beyond f16), IO, MEMORY, CANCELLED.
 *   The bits written do not depend on n_threads. */
fal_status fal_write_hf_folder(fal_source *source, const char *directory,
                               const fal_to_hf_options *options, fal_error *err);

#endif
