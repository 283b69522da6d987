/* The tensors of a Hugging Face folder, whatever files they lie in: safetensors or PyTorch .bin, one file or an index
 * with shards. Files are mapped; nothing in them is ever executed. */
#ifndef FAL_FORMATS_CHECKPOINT_H
#define FAL_FORMATS_CHECKPOINT_H

#include "quant/type.h"

typedef struct fal_checkpoint fal_checkpoint;

typedef struct fal_checkpoint_tensor {
    const char *name;     /* terminated; borrowed */
    const fal_type *type; /* f32, f16 or bf16 */
    int n_dims;           /* 0 to 4 */
    int64_t shape[4];     /* outermost first; unused entries are 1 */
    const void *data;     /* contiguous, row-major; borrowed until close */
    uint64_t bytes;
    const char *file; /* the file's name, for messages */
    bool is_mapped;   /* data lies in a mapped file */
} fal_checkpoint_tensor;

/* Opens the tensors of directory. Looks for model.safetensors.index.json, model.safetensors,
 * pytorch_model.bin.index.json, pytorch_model.bin, in this order.
 * Tensors of other types than f32, f16 and bf16 are left out.
 * Fails: NOT_FOUND (none of them), IO, FORMAT (damaged, naming file and thing), UNSUPPORTED (what a PyTorch file
 * may hold beyond plain tensors), MEMORY. */
fal_status fal_checkpoint_open(fal_checkpoint **out, const char *directory, fal_error *err);
void fal_checkpoint_close(fal_checkpoint *c);

int fal_checkpoint_count(const fal_checkpoint *c);
const fal_checkpoint_tensor *fal_checkpoint_at(const fal_checkpoint *c, int index);
const fal_checkpoint_tensor *fal_checkpoint_find(const fal_checkpoint *c,
                                                 const char *name); /* NULL: absent */

#endif
