/* The searches that the encoders share: see scale_search.h. */
#include "quant/scale_search.h"

#include <math.h>
#include <string.h>

#define BOUND     0x1p28f
#define MAX_CODES 32

bool fal_weights_bound(const float *weights, int n, float *bounded) {
    bool finite = true;
    for (int i = 0; i < n; i++) {
        float x = weights[i];
        if ((fal_bits_from_f32(x) & 0x7f800000u) == 0x7f800000u) finite = false;
        bounded[i] = x > BOUND ? BOUND : x < -BOUND ? -BOUND : x;
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

float fal_largest_scale(const float *scales, int n) {
    return fal_signed_extreme(scales, n);
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

/* The weighted error of scale * code + minimum against x. */
static float fit_error(const fal_scale_min_search *search, const float *x, const float *importance,
                       const int *codes, float scale, float minimum) {
    float error = 0.0f;
    for (int i = 0; i < search->n; i++) {
        float difference = scale * (float)codes[i] + minimum - x[i];
        difference = search->absolute_error ? fabsf(difference) : difference * difference;
        error += importance[i] * difference;
    }
    return error;
}

/* Weighted least squares of x ~ scale * code + minimum with minimum <= 0. False: codes do not vary. */
static bool fit(int n, const float *x, const float *importance, const int *codes, float sum_w,
                float sum_x, float *scale, float *minimum) {
    float sum_l = 0.0f, sum_l2 = 0.0f, sum_xl = 0.0f;
    for (int i = 0; i < n; i++) {
        float l = (float)codes[i], w = importance[i];
        sum_l += w * l;
        sum_l2 += w * l * l;
        sum_xl += w * l * x[i];
    }
    float determinant = sum_w * sum_l2 - sum_l * sum_l;
    if (!(determinant > 0.0f)) return false;
    *scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
    *minimum = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
    if (*minimum > 0.0f) {
        *minimum = 0.0f;
        *scale = sum_xl / sum_l2;
    }
    return true;
}

static void scale_codes(const float *x, int n, float inverse, float minimum, int largest_code,
                        int *codes) {
    for (int i = 0; i < n; i++) {
        codes[i] = fal_code_nearest(inverse * (x[i] - minimum), 0, largest_code);
    }
}

float fal_search_scale_min(const fal_scale_min_search *search, const float *x,
                           const float *importance, int *codes, float *minimum) {
    int n = search->n, tried[MAX_CODES];
    float low = x[0], high = x[0], sum_w = importance[0], sum_x = importance[0] * x[0];
    for (int i = 1; i < n; i++) {
        if (x[i] < low) low = x[i];
        if (x[i] > high) high = x[i];
        sum_w += importance[i];
        sum_x += importance[i] * x[i];
    }
    if (low > 0.0f) low = 0.0f;
    if (high == low) {
        memset(codes, 0, (size_t)n * sizeof *codes);
        *minimum = -low;
        return 0.0f;
    }
    float range = high - low, best_low = low;
    float inverse = (float)search->largest_code / range;
    float scale = 1.0f / inverse;
    scale_codes(x, n, inverse, low, search->largest_code, codes);
    float best = fit_error(search, x, importance, codes, scale, low);
    for (int k = 0; k <= search->n_steps; k++) {
        float try_scale, try_low;
        inverse = (search->first + search->step * (float)k + (float)search->largest_code) / range;
        scale_codes(x, n, inverse, low, search->largest_code, tried);
        if (!fit(n, x, importance, tried, sum_w, sum_x, &try_scale, &try_low)) continue;
        float error = fit_error(search, x, importance, tried, try_scale, try_low);
        if (error < best) {
            memcpy(codes, tried, (size_t)n * sizeof *codes);
            best = error;
            scale = try_scale;
            best_low = try_low;
        }
    }
    *minimum = -best_low;
    return scale;
}

/* A block of zeros: scale 0, and codes that are stored as zero. */
static float zero_codes(int n, int largest, int *codes) {
    for (int i = 0; i < n; i++) {
        codes[i] = -largest;
    }
    return 0.0f;
}

/* Codes of x * inverse, and the sums of least squares x ~ scale * code with weights x^2. */
static void symmetric_codes(const float *x, int n, int largest, float inverse, int *codes,
                            float *sum_xl, float *sum_l2) {
    *sum_xl = 0.0f;
    *sum_l2 = 0.0f;
    for (int i = 0; i < n; i++) {
        codes[i] = fal_code_nearest(inverse * x[i], -largest, largest - 1);
        float l = (float)codes[i], w = x[i] * x[i];
        *sum_xl += w * x[i] * l;
        *sum_l2 += w * l * l;
    }
}

float fal_search_symmetric(const float *x, int n, int largest, int *codes) {
    int tried[MAX_CODES];
    float sum_xl, sum_l2, extreme = fal_signed_extreme(x, n);
    if (fabsf(extreme) < FAL_SCALE_EPSILON) return zero_codes(n, largest, codes);
    symmetric_codes(x, n, largest, -(float)largest / extreme, codes, &sum_xl, &sum_l2);
    float scale = sum_l2 != 0.0f ? sum_xl / sum_l2 : 0.0f;
    float best = scale * sum_xl;
    for (int k = -9; k <= 9; k++) {
        if (k == 0) continue;
        float inverse = -((float)largest + 0.1f * (float)k) / extreme;
        symmetric_codes(x, n, largest, inverse, tried, &sum_xl, &sum_l2);
        if (sum_l2 > 0.0f && sum_xl * sum_xl > best * sum_l2) {
            memcpy(codes, tried, (size_t)n * sizeof *codes);
            scale = sum_xl / sum_l2;
            best = scale * sum_xl;
        }
    }
    return scale;
}

/* Moves each code alone where that lowers the error; true if any moved. */
static bool improve_codes(const float *x, int n, int largest, int *codes, float *sum_xl,
                          float *sum_l2) {
    bool moved = false;
    for (int i = 0; i < n; i++) {
        float w = x[i] * x[i], l = (float)codes[i];
        float rest_xl = *sum_xl - w * x[i] * l;
        if (!(rest_xl > 0.0f)) continue;
        float rest_l2 = *sum_l2 - w * l * l;
        int code = fal_code_nearest(x[i] * rest_l2 / rest_xl, -largest, largest - 1);
        if (code == codes[i]) continue;
        l = (float)code;
        rest_xl += w * x[i] * l;
        rest_l2 += w * l * l;
        if (rest_l2 > 0.0f && rest_xl * rest_xl * *sum_l2 > *sum_xl * *sum_xl * rest_l2) {
            codes[i] = code;
            *sum_xl = rest_xl;
            *sum_l2 = rest_l2;
            moved = true;
        }
    }
    return moved;
}

float fal_search_symmetric_passes(const float *x, int n, int largest, int *codes) {
    float sum_xl, sum_l2, extreme = fal_signed_extreme(x, n);
    if (fabsf(extreme) < FAL_SCALE_EPSILON) return zero_codes(n, largest, codes);
    symmetric_codes(x, n, largest, -(float)largest / extreme, codes, &sum_xl, &sum_l2);
    for (int pass = 0; pass < 5; pass++) {
        if (!improve_codes(x, n, largest, codes, &sum_xl, &sum_l2)) break;
    }
    return sum_l2 > 0.0f ? sum_xl / sum_l2 : 0.0f;
}
