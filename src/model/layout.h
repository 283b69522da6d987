/* Layouts: which features a fresh model of given sizes has. Rows are layouts.def's. */
#ifndef FAL_MODEL_LAYOUT_H
#define FAL_MODEL_LAYOUT_H

#include "model/arch.h"

typedef struct fal_layout fal_layout;

/* Zero means default. */
typedef struct fal_layout_sizes {
    int n_layers, d_model, n_heads, n_vocab, n_context;
    int n_kv_heads;   /* 0: 1, or as many as heads, as the layout has it; to be said for groups */
    int d_ff;         /* 0: 4 * d_model */
    double rope_base; /* 0: 10000 */
    bool has_untied_head;
} fal_layout_sizes;

/* Rows of the list; NULL past the end, or for no such name. */
const fal_layout *fal_layout_at(int index);
const fal_layout *fal_layout_by_name(const char *name);

/* Facts of a row; static. */
const char *fal_layout_name(const fal_layout *layout);
const char *fal_layout_meaning(const fal_layout *layout);
const fal_arch *fal_layout_arch(const fal_layout *layout);

/* Fails: ARGUMENT (kv heads that the layout does not have), FORMAT (as fal_params_check). */
fal_status fal_layout_params(const fal_layout *layout, const fal_layout_sizes *sizes,
                             fal_params *out, fal_error *err);

#endif
