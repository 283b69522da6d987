/* Bounds, extremes and scales of blocks: see rounding.h. */
#include "quant/rounding.h"

#include <math.h>

bool fal_weights_bound(const float *weights, int n, float *bounded) {
    bool finite = true;
    for (int i = 0; i < n; i++) {
        float x = weights[i];
        if ((fal_bits_from_f32(x) & 0x7f800000u) == 0x7f800000u) finite = false;
        float below = x < FAL_WEIGHT_BOUND ? x : FAL_WEIGHT_BOUND;
        bounded[i] = below > -FAL_WEIGHT_BOUND ? below : -FAL_WEIGHT_BOUND;
    }
    return finite;
}

float fal_signed_extreme(const float *x, int n) {
    float largest = 0.0f, extreme = 0.0f;
    for (int i = 0; i < n; i++) {
        if (fabsf(x[i]) > largest) {
            largest = fabsf(x[i]);
            extreme = x[i];
        }
    }
    return extreme;
}

float fal_activation_scale(const float *x, int n) {
    uint32_t largest = 0;
    for (int i = 0; i < n; i++) {
        /* Magnitudes compare as their bits do, infinity and NaN above all. */
        uint32_t magnitude = fal_bits_from_f32(x[i]) & 0x7fffffffu;
        if (magnitude > largest) largest = magnitude;
    }
    if (largest >= 0x7f800000u) return fal_f32_from_bits(0x7fc00000u);
    return fal_f32_from_bits(largest) / 127.0f;
}
