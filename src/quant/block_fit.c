/* Blocks of 32 without importance: the scale follows from the extremes, and codes are the nearest ones to the scale as
 * it is stored. */
#include "quant/block_fit.h"

#include "quant/grid.h"
#include "quant/rounding.h"

#include <math.h>
#include <string.h>

/* Whether weights that a block stood for might not lead back to it by their extremes: the scale has few bits, or the
 * minimum has few bits beside it. */
static bool is_coarse(uint16_t d, float minimum) {
    return (d & 0x7c00u) == 0 || fabsf(minimum) >= 256.0f * fabsf(fal_f32_from_f16(d));
}

/* The former block, if x is what one stood for. */
static bool find_block(const float *x, const fal_grid_codes *codes, bool has_minimum,
                       fal_block_fit *fit) {
    fal_k_fit found;
    if (!fal_grid_find(x, 1, 32, codes, 1, 1, has_minimum, &found)) return false;
    fit->d = found.d;
    fit->m = found.dmin;
    memcpy(fit->codes, found.codes, sizeof fit->codes);
    return true;
}

void fal_block_fit_scale(const float *x, int largest, fal_block_fit *fit) {
    float bounded[32];
    memset(fit, 0, sizeof *fit);
    fit->d = FAL_F16_NAN;
    if (!fal_weights_bound(x, 32, bounded)) return;
    fit->d = fal_f16_scale(fal_signed_extreme(bounded, 32) / -(float)largest);
    fal_grid_codes codes = {-largest, largest - 1, NULL};
    if (is_coarse(fit->d, 0.0f) && find_block(bounded, &codes, false, fit)) return;
    float inverse = fal_inverse(fal_f32_from_f16(fit->d));
    for (int j = 0; j < 32; j++)
        fit->codes[j] = (int8_t)fal_code_nearest(bounded[j] * inverse, -largest, largest - 1);
}

void fal_block_fit_range(const float *x, int largest, fal_block_fit *fit) {
    float bounded[32];
    memset(fit, 0, sizeof *fit);
    fit->d = FAL_F16_NAN;
    if (!fal_weights_bound(x, 32, bounded)) return;
    float low = bounded[0], high = bounded[0];
    for (int j = 1; j < 32; j++) {
        low = bounded[j] < low ? bounded[j] : low;
        high = bounded[j] > high ? bounded[j] : high;
    }
    fit->d = fal_f16_scale((high - low) / (float)largest);
    fit->m = fal_f16_scale(low);
    float minimum = fal_f32_from_f16(fit->m);
    fal_grid_codes codes = {0, largest, NULL};
    if (is_coarse(fit->d, minimum) && find_block(bounded, &codes, true, fit)) return;
    float inverse = fal_inverse(fal_f32_from_f16(fit->d));
    for (int j = 0; j < 32; j++)
        fit->codes[j] = (int8_t)fal_code_nearest((bounded[j] - minimum) * inverse, 0, largest);
}
