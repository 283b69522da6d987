/* Products by decoded units, one for each block of weights: what both families of quantized types do alike. A few units of a
 * row are decoded, then used by every token; the sums of a row and token are added up in the order of its blocks. */
#ifndef FAL_COMPUTE_CPU_PORTABLE_UNITS_H
#define FAL_COMPUTE_CPU_PORTABLE_UNITS_H

#include "compute/cpu/kernels.h"

/* Block to unit. */
typedef void fal_decode_unit(const uint8_t *bytes, void *unit);

/* acc and the products of n units with n blocks of activations. */
typedef float fal_add_units(float acc, const void *units, const void *x, int64_t n,
                            bool has_minimum);

typedef struct fal_units {
    int columns; /* of a block */
    int most;    /* units decoded at a time */
    size_t block_bytes, unit_bytes, x_bytes;
    fal_decode_unit *decode;
    fal_add_units *add;
    bool has_minimum;
} fal_units;

/* units: memory of kind->most of them. */
static inline void fal_multiply_units(const fal_product *p, const fal_units *kind, void *units) {
    int64_t n_blocks = p->n_cols / kind->columns;
    for (int64_t row = 0; row < p->n_rows; row++) {
        const uint8_t *w = (const uint8_t *)p->w + (size_t)row * p->w_row_bytes;
        for (int64_t token = 0; token < p->n_tokens; token++)
            p->y[token * p->y_stride + row] = 0.0f;
        for (int64_t first = 0; first < n_blocks; first += kind->most) {
            int64_t n = n_blocks - first < kind->most ? n_blocks - first : kind->most;
            for (int64_t i = 0; i < n; i++)
                kind->decode(w + (size_t)(first + i) * kind->block_bytes,
                             (char *)units + (size_t)i * kind->unit_bytes);
            for (int64_t token = 0; token < p->n_tokens; token++) {
                const char *x = (const char *)p->x + (size_t)token * p->x_row_bytes;
                float *y = &p->y[token * p->y_stride + row];
                *y = kind->add(*y, units, x + (size_t)first * kind->x_bytes, n, kind->has_minimum);
            }
        }
    }
}

#endif
