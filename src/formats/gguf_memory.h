/* GGUF files and memory: the beginning of one that already lies there; pages of a mapped one that are not needed any more.
 * Whole files in memory: fal_gguf_open_memory of <falconer/gguf.h>. */
#ifndef FAL_FORMATS_GGUF_MEMORY_H
#define FAL_FORMATS_GGUF_MEMORY_H

#include <falconer/gguf.h>

/* As fal_gguf_open_memory, for the beginning of a file of file_bytes, which must hold the whole header; messages name no
 * file. Tensors that reach beyond it have no data. */
fal_status fal_gguf_open_header(fal_gguf **out, const void *data, size_t length,
                                uint64_t file_bytes, fal_error *err);

/* Lets the system take back the pages of a tensor of f; they are read again when needed. Nothing happens to a file that was
 * opened from memory. */
void fal_gguf_forget(const fal_gguf *f, const fal_gguf_tensor *tensor);

#endif
