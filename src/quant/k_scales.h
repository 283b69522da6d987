/* The twelve bytes in which q4_k and q5_k keep eight scales and eight minima of six bits. */
#ifndef FAL_QUANT_K_SCALES_H
#define FAL_QUANT_K_SCALES_H

#include "quant/host_device.h"

/* The scale of sub-block j (0 .. 7), 0 .. 63. */
static inline FAL_HOST_DEVICE int fal_k_scale(const uint8_t *scales, int j) {
    if (j < 4) return scales[j] & 63;
    return (scales[j + 4] & 15) | (scales[j - 4] >> 6) << 4;
}

/* The minimum of sub-block j (0 .. 7), 0 .. 63. */
static inline FAL_HOST_DEVICE int fal_k_min(const uint8_t *scales, int j) {
    if (j < 4) return scales[j + 4] & 63;
    return scales[j + 4] >> 4 | (scales[j] >> 6) << 4;
}

struct fal_scale_min_search;

/* Searches scales and minima of a block of 256 weights, eight times 32, and packs them with their f16 factors.
 *   codes   out [256], as found with the scales before rounding
 *   packed  out [12]; d, dmin out f16 */
void fal_k_scales_encode(const struct fal_scale_min_search *search, const float *x, int *codes,
                         uint8_t *packed, uint16_t *d, uint16_t *dmin);

#endif
