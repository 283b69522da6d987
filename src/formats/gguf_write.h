/* Writes a GGUF file, version 3: metadata and tensor directory first, then data in the directory's order. */
#ifndef FAL_FORMATS_GGUF_WRITE_H
#define FAL_FORMATS_GGUF_WRITE_H

#include <falconer/gguf.h>

#include "base/bytes.h"
#include "base/string_builder.h"
#include "quant/type.h"

typedef struct fal_gguf_writer fal_gguf_writer;

/* Fails: MEMORY. Nothing is written before fal_gguf_writer_begin. */
fal_status fal_gguf_writer_open(fal_gguf_writer **out, fal_error *err);
/* NULL is fine. An output that was begun and not committed is discarded. */
void fal_gguf_writer_close(fal_gguf_writer *w);

/* Metadata, in the order of the calls. A failure (MEMORY, a repeated key) is remembered until begin. Keys and values are
 * copied. */
void fal_gguf_set_u32(fal_gguf_writer *w, const char *key, uint32_t value);
void fal_gguf_set_u16(fal_gguf_writer *w, const char *key, uint16_t value);
void fal_gguf_set_i32(fal_gguf_writer *w, const char *key, int32_t value);
void fal_gguf_set_u64(fal_gguf_writer *w, const char *key, uint64_t value);
void fal_gguf_set_f32(fal_gguf_writer *w, const char *key, float value);
void fal_gguf_set_bool(fal_gguf_writer *w, const char *key, bool value);
void fal_gguf_set_string(fal_gguf_writer *w, const char *key, const char *text, size_t length);
void fal_gguf_set_strings(fal_gguf_writer *w, const char *key, const fal_slice *texts,
                          size_t count);
void fal_gguf_set_i32s(fal_gguf_writer *w, const char *key, const int32_t *values, size_t count);
void fal_gguf_set_f32s(fal_gguf_writer *w, const char *key, const float *values, size_t count);
/* Copies a value of any kind from another file. */
void fal_gguf_set_value(fal_gguf_writer *w, const fal_gguf *from, const fal_gguf_value *value);

/* The metadata set so far, as the bytes it becomes, and how many keys that are; valid until the next set. Fails as begin. */
fal_status fal_gguf_writer_values(const fal_gguf_writer *w, fal_slice *bytes, size_t *n_keys,
                                  fal_error *err);

/* Announces a tensor; shape outermost first. Fails: FORMAT (shape against the type's block, a repeated or too long
 * name), MEMORY. */
fal_status fal_gguf_add_tensor(fal_gguf_writer *w, const char *name, const fal_type *type,
                               int n_dims, const int64_t *shape, fal_error *err);

/* Bytes of the whole file as announced so far. */
fal_status fal_gguf_writer_file_bytes(const fal_gguf_writer *w, uint64_t *out, fal_error *err);

/* Appends the header as begin writes it, without the padding behind it. Fails as begin. */
fal_status fal_gguf_writer_header(const fal_gguf_writer *w, fal_string_builder *out,
                                  fal_error *err);

/* Opens "<path>" for atomic writing and writes the header. No set or add after this. */
fal_status fal_gguf_writer_begin(fal_gguf_writer *w, const char *path, fal_error *err);

/* Appends data of the next tensor in the directory's order; may be called several times per tensor. Padding between
 * tensors is added by itself. Fails: IO, BUG (more bytes than announced). */
fal_status fal_gguf_write_data(fal_gguf_writer *w, const void *data, size_t bytes, fal_error *err);

/* All data must be there (else BUG). Syncs and renames: path is whole or untouched. */
fal_status fal_gguf_writer_commit(fal_gguf_writer *w, fal_error *err);

#endif
