/* Importance matrices: for each matrix of a model the mean square of each column of its input. Both forms that
 * llama.cpp has had: the classic one of its own (.dat) and GGUF. */
#ifndef FAL_FORMATS_IMPORTANCE_H
#define FAL_FORMATS_IMPORTANCE_H

#include "base/bytes.h"

typedef struct fal_importance_entry {
    char *name;          /* of the matrix, "blk.0.attn_qkv.weight" */
    float *mean_squares; /* [n_values], finite and not negative */
    int64_t n_values;    /* columns; for a stack of experts, experts * columns */
    int64_t n_chunks;    /* pieces of text that were seen; at least 1 */
    int64_t n_tokens;    /* rows of input that were seen; 0 where the file does not tell */
} fal_importance_entry;

/* Zero-initialise. Entries are in the order of their names, each name once. */
typedef struct fal_importance {
    fal_importance_entry *entries;
    size_t count, capacity;
    int64_t n_chunks;   /* 0 where the file does not tell */
    int64_t chunk_size; /* tokens; 0 where the file does not tell */
    char *dataset;      /* the text's name; NULL where the file does not tell */
} fal_importance;

void fal_importance_release(fal_importance *importance);

/* Reads a file of either form, told apart by content.
 *
 *   out    zero-initialised; released by the caller after success, empty after failure
 *   Fails: NOT_FOUND, IO, FORMAT (damaged, another kind of GGUF, a value that is negative or not finite), MEMORY.
 *   Source: ggml-org/llama.cpp, tools/imatrix/imatrix.cpp and common/imatrix-loader.cpp. */
fal_status fal_importance_read(fal_importance *out, const char *path, fal_error *err);

/* As fal_importance_read, for a file that lies in memory. */
fal_status fal_importance_parse(fal_importance *out, const void *data, size_t length,
                                fal_error *err);

/* Writes GGUF if path ends in ".gguf", else the classic form; path is whole or untouched. Fails: LIMIT (a number that
 * the form has no room for), ARGUMENT (no entries), IO, MEMORY. */
fal_status fal_importance_write(const fal_importance *importance, const char *path, fal_error *err);

/* Adds a copy of the entry's name and values, keeping the order. Fails: ARGUMENT (the name is there already), MEMORY. */
fal_status fal_importance_add(fal_importance *importance, const fal_importance_entry *entry,
                              fal_error *err);

/* Copies name. Fails: MEMORY. */
fal_status fal_importance_set_dataset(fal_importance *importance, const char *name, size_t length,
                                      fal_error *err);

/* NULL: no such name. */
const fal_importance_entry *fal_importance_entry_find(const fal_importance *importance,
                                                      const char *name);

/* The values [n_columns] of the matrix; NULL: no such name, or one with another number of values. Borrowed. */
const float *fal_importance_find(const fal_importance *importance, const char *name,
                                 int64_t n_columns);

#endif
