/* The searches for scales and codes that the encoders share, and the preparation of a block for them. Packing codes into
 * bytes belongs to the types. All arithmetic is f32, in the order of the reference encoders, so that the same weights
 * give the same bytes everywhere. */
#ifndef FAL_QUANT_SCALE_SEARCH_H
#define FAL_QUANT_SCALE_SEARCH_H

#include "base/half.h"

#include <stdbool.h>
#include <stdint.h>

/* A block whose largest magnitude is below this counts as zero. */
#define FAL_SCALE_EPSILON 1e-15f

/* The f16 NaN that stands as the scale of a block with a weight that is not finite. */
#define FAL_F16_NAN 0x7e00u

/* x rounded to nearest even and bounded to low .. high; low for a NaN. |low|, |high| < 2^22. */
static inline int fal_code_nearest(float x, int low, int high) {
    if (!(x > (float)low)) return low;
    if (x >= (float)high) return high;
    /* Adding 1.5 * 2^23 leaves the rounded integer in the low bits of the mantissa. */
    return (int)(fal_bits_from_f32(x + 12582912.0f) & 0x7fffffu) - 0x400000;
}

/* x cut to an integer and bounded to low .. high; low for a NaN. */
static inline int fal_code_cut(float x, int low, int high) {
    if (!(x > (float)low)) return low;
    return x >= (float)high ? high : (int)x;
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

/* What a search for scale and minimum tries. */
typedef struct fal_scale_min_search {
    int n;               /* weights, at most 32 */
    int largest_code;    /* codes are 0 .. largest_code */
    float first, step;   /* try k divides the range by largest_code + first + k * step */
    int n_steps;         /* tries 0 .. n_steps */
    bool absolute_error; /* else squared */
} fal_scale_min_search;

/* Finds x ~ scale * code - minimum with minimum >= 0 and the smallest weighted error found.
 *   x, importance  [n]; importance > 0
 *   codes          out [n]
 * Returns the scale (>= 0). */
float fal_search_scale_min(const fal_scale_min_search *search, const float *x,
                           const float *importance, int *codes, float *minimum);

/* Finds x ~ scale * code with codes -largest .. largest - 1 by 19 tries around the extreme, weights x^2.
 *   codes  out [n], n <= 32. Returns the scale, of either sign; 0 for a block of zeros. */
float fal_search_symmetric(const float *x, int n, int largest, int *codes);

/* The same by one try and up to five passes over the codes, each moved alone while that lowers the error. */
float fal_search_symmetric_passes(const float *x, int n, int largest, int *codes);

/* The value of largest magnitude among n scales; 0 when all are 0. */
float fal_largest_scale(const float *scales, int n);

#endif
