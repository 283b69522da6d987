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

/* Packs eight scales and eight minima of 0 .. 63 into packed [12]. */
void fal_k_scales_pack(const int8_t *scales, const int8_t *minima, uint8_t *packed);

#endif
