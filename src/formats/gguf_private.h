/* What an open GGUF file consists of. Shared by gguf_read.c (one part), gguf_open.c (whole sets) and gguf_values.c. */
#ifndef FAL_FORMATS_GGUF_PRIVATE_H
#define FAL_FORMATS_GGUF_PRIVATE_H

#include <falconer/gguf.h>

#include "base/file.h"
#include "base/string_map.h"

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

/* Bytes of one element; 0 for strings, arrays and numbers that name no type. */
size_t fal_gguf_element_bytes(uint32_t type);

#endif
