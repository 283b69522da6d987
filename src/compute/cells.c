/* Body of cells.h. */
#include "compute/cells.h"

static const char *const names[] = {
#define FAL_CELL_TYPE(name, meaning) #name,
#include "compute/cell_types.def"
#undef FAL_CELL_TYPE
};

static const char all_names[] =
#define FAL_CELL_TYPE(name, meaning) " " #name
#include "compute/cell_types.def"
#undef FAL_CELL_TYPE
    ;

enum {
    N_TYPES = sizeof names / sizeof names[0]
};

const fal_type *fal_cell_type_at(int index) {
    return index >= 0 && index < N_TYPES ? fal_type_by_name(names[index]) : NULL;
}

fal_status fal_cell_type_find(const fal_type **out, const char *name, int head_dim,
                              fal_error *err) {
    const fal_type *wanted = fal_type_by_name(name);
    int index = 0;
    *out = NULL;
    while (fal_cell_type_at(index) && fal_cell_type_at(index) != wanted)
        index++;
    if (!fal_cell_type_at(index))
        return fal_fail(err, FAL_E_ARGUMENT, "kv type '%s': not one of%s", name, all_names);
    if (head_dim % wanted->weights_per_block != 0)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "kv type '%s': heads of %d numbers, not a multiple of %d", name, head_dim,
                        wanted->weights_per_block);
    *out = wanted;
    return FAL_OK;
}
