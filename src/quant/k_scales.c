/* The scales of q4_k and q5_k: found, rounded to six bits, packed. */
#include "quant/k_scales.h"

#include "quant/scale_search.h"

#include <math.h>

/* Packs eight scales and minima of 0 .. 63 into twelve bytes. */
static void pack(uint8_t *packed, const int *scales, const int *minima) {
    for (int j = 0; j < 4; j++) {
        packed[j] = (uint8_t)(scales[j] | (scales[j + 4] >> 4) << 6);
        packed[j + 4] = (uint8_t)(minima[j] | (minima[j + 4] >> 4) << 6);
        packed[j + 8] = (uint8_t)((scales[j + 4] & 15) | (minima[j + 4] & 15) << 4);
    }
}

static float search_sub_block(const fal_scale_min_search *search, const float *x, int *codes,
                              float *minimum) {
    float importance[32], sum = 0.0f;
    for (int l = 0; l < 32; l++) {
        sum += x[l] * x[l];
    }
    float average = sqrtf(sum / 32.0f);
    for (int l = 0; l < 32; l++) {
        importance[l] = average + fabsf(x[l]);
    }
    return fal_search_scale_min(search, x, importance, codes, minimum);
}

void fal_k_scales_encode(const fal_scale_min_search *search, const float *x, int *codes,
                         uint8_t *packed, uint16_t *d, uint16_t *dmin) {
    float scales[8], minima[8], largest_scale = 0.0f, largest_minimum = 0.0f;
    for (int j = 0; j < 8; j++) {
        scales[j] = search_sub_block(search, x + 32 * j, codes + 32 * j, &minima[j]);
        if (scales[j] > largest_scale) largest_scale = scales[j];
        if (minima[j] > largest_minimum) largest_minimum = minima[j];
    }
    float inverse_scale = largest_scale > 0.0f ? 63.0f / largest_scale : 0.0f;
    float inverse_minimum = largest_minimum > 0.0f ? 63.0f / largest_minimum : 0.0f;
    int scale_codes[8], minimum_codes[8];
    for (int j = 0; j < 8; j++) {
        scale_codes[j] = fal_code_nearest(inverse_scale * scales[j], 0, 63);
        minimum_codes[j] = fal_code_nearest(inverse_minimum * minima[j], 0, 63);
    }
    pack(packed, scale_codes, minimum_codes);
    *d = fal_f16_scale(largest_scale / 63.0f);
    *dmin = fal_f16_scale(largest_minimum / 63.0f);
}
