/* Weights that are already what some block stands for: finding that block again, so that encoding what was decoded loses
 * nothing. A search for the least error would find a grid near the former one, but not always the same. */
#ifndef FAL_QUANT_GRID_H
#define FAL_QUANT_GRID_H

#include "quant/k_fit.h"

#include <stdbool.h>

/* x is the values that codes stand for, times a scale: even steps or a table. */
typedef struct fal_grid_codes {
    int low, high;       /* codes */
    const int8_t *table; /* [high + 1] from code 0 on; NULL: a code is its own value */
} fal_grid_codes;

/* Finds a block of n_sub sub-blocks of `width` weights that decodes to x exactly, fit being
 *   x = d * scale * value of the code - dmin * minimum, scales in low .. high; minima in 0 .. high if has_minimum.
 * n_sub 1 with low = high = 1 is a block of one scale; its minimum has any sign: x = d * value + dmin.
 * False: x is none such, which takes little time to see for most x. x [n_sub * width] finite. */
bool fal_grid_find(const float *x, int n_sub, int width, const fal_grid_codes *codes, int low,
                   int high, bool has_minimum, fal_k_fit *fit);

#endif
