/* What an open GGUF file consists of. What its names and shapes may be.
 * Shared by gguf_read.c (one part), gguf_open.c (whole sets), gguf_values.c and gguf_write.c. */
#ifndef FAL_FORMATS_GGUF_PRIVATE_H
#define FAL_FORMATS_GGUF_PRIVATE_H

#include <falconer/gguf.h>

#include "base/file.h"
#include "base/string_map.h"
#include "quant/type.h"

enum {
    FAL_GGUF_MAX_DIMS = 4,
    FAL_GGUF_MAX_KEY_BYTES = 65535,
    FAL_GGUF_MAX_NAME_BYTES = 63,
    FAL_GGUF_DEFAULT_ALIGNMENT = 32
};

typedef struct fal_gguf_stored_value {
    fal_gguf_value face; /* first, so that a pointer to it is a pointer to all */
    char *key;
    const char *data;          /* elements of fixed size, as in the file */
    fal_gguf_string string;    /* a scalar string */
    fal_gguf_string *elements; /* of an array of strings; owned */
} fal_gguf_stored_value;

typedef struct fal_gguf_stored_tensor {
    fal_gguf_tensor face;
    char *name;
    char *type_text; /* "type 99", where no name is known */
} fal_gguf_stored_tensor;

typedef struct fal_gguf_part {
    char *path;
    fal_mapping mapping;
    const void *data; /* of the mapping, or borrowed memory */
    size_t length;
    uint64_t file_bytes; /* of the file that data is the beginning of; 0: data is all of it */
    uint64_t data_start; /* of the tensors, from the start of the file; set by parsing */
    uint32_t version, alignment;
    uint64_t n_tensors;
    fal_gguf_stored_value *values;
    int n_values;
    fal_string_map *value_map;
    int first_tensor; /* in the directory of all parts */
} fal_gguf_part;

struct fal_gguf {
    char *path;
    fal_gguf_part *parts;
    int n_parts;
    fal_gguf_stored_tensor *tensors;
    int n_tensors;
    size_t tensor_capacity;
    fal_string_map *tensor_map;
};

/* Parses the header of part, whose data and length are set: its values into part, its tensors behind those of f.
 * On failure what was read so far stays, to be released as after success. */
fal_status fal_gguf_part_parse(fal_gguf *f, fal_gguf_part *part, fal_error *err);

/* NULL: no such key. */
const fal_gguf_stored_value *fal_gguf_part_find(const fal_gguf_part *part, const char *key);

/* FORMAT where name is empty, longer than max_bytes, no UTF-8 or holds a control character: names stand in messages. */
fal_status fal_gguf_check_name(const char *name, size_t length, size_t max_bytes, fal_error *err);

/* How many weights a shape holds. Fails: FORMAT (number of dimensions, an extent below 1, overflow). */
fal_status fal_gguf_shape_weights(int n_dims, const int64_t *shape, int64_t *out, fal_error *err);

/* Bytes of a tensor whose shape has passed fal_gguf_shape_weights. Fails: FORMAT (block, overflow). */
fal_status fal_gguf_shape_bytes(const fal_type *type, int n_dims, const int64_t *shape,
                                uint64_t *out, fal_error *err);

/* FORMAT unless a power of two of at least 8, as the format's text has it. */
fal_status fal_gguf_check_alignment(uint32_t alignment, fal_error *err);

/* Bytes of one element; 0 for strings, arrays and numbers that name no type. */
size_t fal_gguf_element_bytes(uint32_t type);

#endif
