/* Which number types the cells of a cache of keys and values may have. */
#ifndef FAL_COMPUTE_CELLS_H
#define FAL_COMPUTE_CELLS_H

#include "quant/type.h"

/* The rows of cell_types.def in their order; NULL beyond them. */
const fal_type *fal_cell_type_at(int index);

/* The type of cells of this name, for heads of head_dim numbers; head_dim 0: whatever they are.
 * Fails: ARGUMENT (no type of cells, or heads that are not whole blocks of it). */
fal_status fal_cell_type_find(const fal_type **out, const char *name, int head_dim, fal_error *err);

#endif
