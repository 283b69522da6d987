/* The list that the readers of checkpoint files fill. Shared by checkpoint.c, safetensors.c and torch_file.c. */
#ifndef FAL_FORMATS_CHECKPOINT_LIST_H
#define FAL_FORMATS_CHECKPOINT_LIST_H

#include "base/bytes.h"
#include "base/string_map.h"
#include "formats/checkpoint.h"

/* A tensor as listed. Those of other types than f32, f16 and bf16 are known by name and file only. */
typedef struct fal_checkpoint_row {
    fal_checkpoint_tensor face;
    char *name; /* owned */
    void *copy; /* owned; where the file holds the data unaligned */
    bool is_skipped;
} fal_checkpoint_row;

/* Zero-initialise. */
typedef struct fal_checkpoint_list {
    fal_checkpoint_row *rows;
    size_t count, capacity;
    fal_string_map *map; /* name -> row */
} fal_checkpoint_list;

/* Names stand in messages, so they must be text of one line. Fails: FORMAT. */
fal_status fal_checkpoint_check_name(fal_slice name, fal_error *err);

/* Adds a tensor; name is copied and replaces tensor->name. tensor->type NULL: a skipped one.
 * The name must have been checked, the shape against tensor->bytes, the bytes against the file.
 * Fails: FORMAT (a name that is there already), MEMORY. */
fal_status fal_checkpoint_list_add(fal_checkpoint_list *list, fal_slice name,
                                   const fal_checkpoint_tensor *tensor, fal_error *err);
/* NULL: absent. Finds skipped ones too. */
const fal_checkpoint_row *fal_checkpoint_list_find(const fal_checkpoint_list *list, fal_slice name);
void fal_checkpoint_list_release(fal_checkpoint_list *list);

/* How many numbers a shape holds; extents may be 0. False: a negative extent, or the product overflows. */
bool fal_checkpoint_count_numbers(const int64_t *shape, int n_dims, int64_t *out);

#endif
