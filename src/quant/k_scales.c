/* The scales of q4_k and q5_k into their bytes. */
#include "quant/k_scales.h"

void fal_k_scales_pack(const int8_t *scales, const int8_t *minima, uint8_t *packed) {
    for (int j = 0; j < 4; j++) {
        packed[j] = (uint8_t)(scales[j] | (scales[j + 4] >> 4) << 6);
        packed[j + 4] = (uint8_t)(minima[j] | (minima[j + 4] >> 4) << 6);
        packed[j + 8] = (uint8_t)((scales[j + 4] & 15) | (minima[j + 4] & 15) << 4);
    }
}
