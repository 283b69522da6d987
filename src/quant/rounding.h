/* What the encoders share besides their searches: rounding to codes and to f16, the bounds of weights, extremes. All in
 * f32 and in a fixed order, so that the same weights give the same bytes everywhere. */
#ifndef FAL_QUANT_ROUNDING_H
#define FAL_QUANT_ROUNDING_H

#include "base/half.h"

#include <stdbool.h>
#include <stdint.h>

/* Weights are bounded to this magnitude, which no type of the list exceeds. */
#define FAL_WEIGHT_BOUND 0x1p28f

/* The f16 NaN that stands as the scale of a block with a weight that is not finite. */
#define FAL_F16_NAN 0x7e00u

/* x rounded to nearest even and bounded to low .. high; low for a NaN. |low|, |high| < 2^22. */
static inline int fal_code_nearest(float x, int low, int high) {
    if (!(x > (float)low)) return low;
    if (x >= (float)high) return high;
    /* Adding 1.5 * 2^23 leaves the rounded integer in the low bits of the mantissa. */
    return (int)(fal_bits_from_f32(x + 12582912.0f) & 0x7fffffu) - 0x400000;
}

/* As fal_f16_from_f32, but a finite value stays finite: a scale of infinity would make every weight NaN. */
static inline uint16_t fal_f16_scale(float value) {
    if (value > 65504.0f && value <= 3.4028235e38f) return 0x7bffu;
    if (value < -65504.0f && value >= -3.4028235e38f) return 0xfbffu;
    return fal_f16_from_f32(value);
}

static inline float fal_inverse(float value) {
    return value != 0.0f ? 1.0f / value : 0.0f;
}

/* Copies n weights, bounded to +-2^28 (what no type of the list exceeds), which keeps squares and sums finite.
 * False: some weight is not finite. */
bool fal_weights_bound(const float *weights, int n, float *bounded);

/* The weight with the largest magnitude, with its sign; the first one on ties. */
float fal_signed_extreme(const float *x, int n);

/* Largest magnitude / 127 of n activations; NaN (0x7fc00000) when some is not finite. */
float fal_activation_scale(const float *x, int n);

#endif
