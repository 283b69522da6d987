/* Writes a safetensors file: a header that lists the tensors, then their data in the header's order. */
#ifndef FAL_FORMATS_SAFETENSORS_WRITE_H
#define FAL_FORMATS_SAFETENSORS_WRITE_H

#include "base/fail.h"
#include "quant/type.h"

typedef struct fal_safetensors_writer fal_safetensors_writer;

/* Fails: MEMORY. Nothing is written before fal_safetensors_begin. */
fal_status fal_safetensors_writer_open(fal_safetensors_writer **out, fal_error *err);
/* NULL is fine. An output that was begun and not committed is discarded. */
void fal_safetensors_writer_close(fal_safetensors_writer *w);

/* Adds a text to "__metadata__" (Hugging Face writes "format": "pt"). Fails: FORMAT (no UTF-8, a repeated key), MEMORY. */
fal_status fal_safetensors_set_text(fal_safetensors_writer *w, const char *key, const char *text,
                                    fal_error *err);

/* Announces a tensor of type f32, f16 or bf16; shape [n_dims] outermost first. The name is copied.
 * Fails: FORMAT (shape, a repeated name or one that is no line of UTF-8), UNSUPPORTED (another type), LIMIT, MEMORY. */
fal_status fal_safetensors_add(fal_safetensors_writer *w, const char *name, const fal_type *type,
                               int n_dims, const int64_t *shape, fal_error *err);

/* Bytes of all data announced so far, without the header. */
uint64_t fal_safetensors_data_bytes(const fal_safetensors_writer *w);

/* Opens path for atomic writing and writes the header. No set or add after this. Fails: IO, MEMORY, LIMIT. */
fal_status fal_safetensors_begin(fal_safetensors_writer *w, const char *path, fal_error *err);

/* Appends data, tensor behind tensor, in pieces of any size. Fails: IO, BUG (more bytes than announced). */
fal_status fal_safetensors_write(fal_safetensors_writer *w, const void *data, size_t bytes,
                                 fal_error *err);

/* All data must be there (else BUG). Syncs and renames: path is whole or untouched. */
fal_status fal_safetensors_commit(fal_safetensors_writer *w, fal_error *err);

#endif
