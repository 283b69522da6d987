/* Reads a GGUF file: its metadata and its tensor directory. The file is mapped, never copied.
 * Versions 1 to 3, little endian; big-endian files are refused by name. Every length and offset is checked
 * against the file before it is used. */
#ifndef FALCONER_GGUF_H
#define FALCONER_GGUF_H

#include <falconer/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fal_gguf fal_gguf;

typedef enum fal_gguf_value_type {
    FAL_GGUF_U8 = 0,
    FAL_GGUF_I8 = 1,
    FAL_GGUF_U16 = 2,
    FAL_GGUF_I16 = 3,
    FAL_GGUF_U32 = 4,
    FAL_GGUF_I32 = 5,
    FAL_GGUF_F32 = 6,
    FAL_GGUF_BOOL = 7,
    FAL_GGUF_STRING = 8,
    FAL_GGUF_ARRAY = 9,
    FAL_GGUF_U64 = 10,
    FAL_GGUF_I64 = 11,
    FAL_GGUF_F64 = 12
} fal_gguf_value_type;

/* Bytes that live in the mapped file; not terminated by zero. */
typedef struct fal_gguf_string {
    const char *data;
    size_t length;
} fal_gguf_string;

/* One metadata value. For arrays, element_type and count tell what it holds. */
typedef struct fal_gguf_value {
    const char *key; /* terminated; borrowed from the file */
    fal_gguf_value_type type;
    fal_gguf_value_type element_type; /* of an array; equals type otherwise */
    uint64_t count;                   /* of an array; 1 otherwise */
} fal_gguf_value;

/* One row of the tensor directory. Shapes are outermost first, as in PyTorch. */
typedef struct fal_gguf_tensor {
    const char *name;      /* terminated; borrowed from the file */
    int n_dims;            /* 1 to 4 */
    int64_t shape[4];      /* outermost first; unused entries are 1 */
    uint32_t type_id;      /* GGUF's number of the type */
    const char *type_name; /* "q4_k"; "type 99" where nobody has a name for it */
    const void *data;      /* in the mapped file, borrowed; NULL when the type's size is unknown */
    uint64_t bytes;        /* 0 when the type's size is unknown */
    uint64_t offset;       /* of the data, from the start of the file */
} fal_gguf_tensor;

/* Opens the GGUF file at path; of a split set (name-00001-of-00009.gguf) all the parts, of which any may be named.
 *
 *   out    owned by the caller; NULL on failure
 *   Fails: NOT_FOUND (no such file), IO (cannot read), FORMAT (not a valid GGUF), UNSUPPORTED (version, byte order,
 *   type), MEMORY. */
FAL_API FAL_MUST_CHECK fal_status fal_gguf_open(fal_gguf **out, const char *path, fal_error *err);

/* As fal_gguf_open, for one file that lies in memory and is no part of a split set.
 *
 *   data  [length bytes] borrowed until fal_gguf_close; aligned to 64 bytes where weights are computed with
 *   name  stands for the file's path; copied */
FAL_API FAL_MUST_CHECK fal_status fal_gguf_open_memory(fal_gguf **out, const void *data,
                                                       size_t length, const char *name,
                                                       fal_error *err);

FAL_API void fal_gguf_close(fal_gguf *f);

/* Facts about the file itself. */
FAL_API const char *fal_gguf_path(const fal_gguf *f);
FAL_API uint32_t fal_gguf_version(const fal_gguf *f);
FAL_API uint64_t fal_gguf_file_bytes(const fal_gguf *f); /* of all parts */
FAL_API uint32_t fal_gguf_alignment(const fal_gguf *f);

FAL_API int fal_gguf_value_count(const fal_gguf *f);
/* Borrowed from f. */
FAL_API const fal_gguf_value *fal_gguf_value_at(const fal_gguf *f, int index);
/* NULL: no such key. */
FAL_API const fal_gguf_value *fal_gguf_find(const fal_gguf *f, const char *key);

/* Element i of a value (0 for a scalar), converted: numbers widen freely, and narrow only where the value fits.
 * A bool is 0 or 1 as i64, and nothing as f64. False: another kind of type, out of range, or an index beyond the count. */
FAL_API bool fal_gguf_value_i64(const fal_gguf *f, const fal_gguf_value *v, uint64_t i,
                                int64_t *out);
FAL_API bool fal_gguf_value_f64(const fal_gguf *f, const fal_gguf_value *v, uint64_t i,
                                double *out);
FAL_API bool fal_gguf_value_string(const fal_gguf *f, const fal_gguf_value *v, uint64_t i,
                                   fal_gguf_string *out);

/* A scalar that may be there. False: absent (or of another kind); *out is untouched. */
FAL_API bool fal_gguf_find_u32(const fal_gguf *f, const char *key, uint32_t *out);
FAL_API bool fal_gguf_find_f32(const fal_gguf *f, const char *key, float *out);
FAL_API bool fal_gguf_find_bool(const fal_gguf *f, const char *key, bool *out);
FAL_API bool fal_gguf_find_string(const fal_gguf *f, const char *key, fal_gguf_string *out);

/* A scalar that must be there. Fails: FORMAT (absent, or of another kind), naming file and key. */
FAL_API FAL_MUST_CHECK fal_status fal_gguf_get_u32(const fal_gguf *f, const char *key,
                                                   uint32_t *out, fal_error *err);
FAL_API FAL_MUST_CHECK fal_status fal_gguf_get_f32(const fal_gguf *f, const char *key, float *out,
                                                   fal_error *err);
FAL_API FAL_MUST_CHECK fal_status fal_gguf_get_string(const fal_gguf *f, const char *key,
                                                      fal_gguf_string *out, fal_error *err);

FAL_API int fal_gguf_tensor_count(const fal_gguf *f);
/* Borrowed from f. */
FAL_API const fal_gguf_tensor *fal_gguf_tensor_at(const fal_gguf *f, int index);
/* NULL: no such tensor. */
FAL_API const fal_gguf_tensor *fal_gguf_tensor_find(const fal_gguf *f, const char *name);

#ifdef __cplusplus
}
#endif
#endif
