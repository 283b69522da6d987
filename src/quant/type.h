/* A number type is a row: its layout's sizes, how its blocks become floats, and what activations become before a
 * dot product with it. */
#ifndef FAL_QUANT_TYPE_H
#define FAL_QUANT_TYPE_H

#include "base/fail.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct fal_type {
    const char *name; /* "q4_k" */
    uint32_t gguf_id;
    int weights_per_block, bytes_per_block;
    bool is_quantized; /* false for f32, f16, bf16 */
    bool in_files;     /* false for formats of activations only */
    /* blocks [n_blocks], aligned as their struct (4 bytes always do) -> weights [n_blocks * weights_per_block] f32,
     * bit-exact to the published layout. */
    void (*decode)(const void *blocks, float *weights, int64_t n_blocks);
    /* weights [n_blocks * weights_per_block]; importance NULL or of the same shape: how much an error of each weight
     * counts, of any scale; what is not above zero counts next to nothing. A block depends on its own weights and
     * importance only, and what a block decodes to encodes to the same values. A block with a weight that is not finite
     * decodes to NaN throughout; where the scale would be below what f16 holds, to zeros. */
    void (*encode)(const float *weights, const float *importance, void *blocks, int64_t n_blocks);
    const struct fal_type *partner; /* what activations become in a dot product */
    const char *meaning;
} fal_type;

enum {
    FAL_TYPE_F32 = 0,
    FAL_TYPE_F16 = 1,
    FAL_TYPE_Q8_0 = 8,
    FAL_TYPE_BF16 = 30
}; /* the ids that code outside the list may name */

/* NULL: no such type. Names compare without case. Types of activations are found too: who reads a file asks in_files. */
const fal_type *fal_type_by_name(const char *name);
const fal_type *fal_type_by_id(uint32_t gguf_id);

/* The name of any id that files may hold, also of types that have no row here ("iq2_xxs"); NULL: nobody's id. */
const char *fal_type_name_of_id(uint32_t gguf_id);

/* All rows in the list's order; NULL beyond it. */
int fal_type_count(void);
const fal_type *fal_type_at(int index);

/* Bytes of a row of n_weights. Fails: FORMAT (not a multiple of the block), LIMIT (overflow). */
fal_status fal_type_row_bytes(const fal_type *type, int64_t n_weights, size_t *out, fal_error *err);

#endif
