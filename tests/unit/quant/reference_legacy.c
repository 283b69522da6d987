/* The reference quantizers of blocks of 32, and of the uneven table; see reference.h. */
#include "unit/quant/reference.h"

#include <math.h>
#include <string.h>

static const int table[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                              1,    13,   25,  38,  53,  69,  89,  113};

static int cut(double x, int high) {
    return x < 0.0 ? 0 : x > high ? high : (int)x;
}

/* q4_0 and q5_0: codes 0 .. 2 * half - 1. */
static void one_scale(const float *x, const float *w, int half, float *decoded) {
    int codes[32];
    double scale = (double)reference_extreme(x, 32) / -half;
    if (w) {
        scale = reference_symmetric(x, w, 32, half, codes);
    } else {
        for (int i = 0; i < 32; i++) {
            double t = scale != 0.0 ? (double)x[i] / scale : 0.0;
            codes[i] = cut(t + half + 0.5, 2 * half - 1) - half;
        }
    }
    for (int i = 0; i < 32; i++)
        decoded[i] = (float)(reference_f16(scale) * codes[i]);
}

/* q4_1 and q5_1. */
static void scale_and_minimum(const float *x, const float *w, int largest, float *decoded) {
    int codes[32];
    double low = (double)x[0], high = (double)x[0], scale;
    for (int i = 1; i < 32; i++) {
        low = fmin(low, (double)x[i]);
        high = fmax(high, (double)x[i]);
    }
    if (w) {
        scale = reference_scale_min(x, w, 32, largest, -0.9, 0.05, 36, false, codes, &low);
        low = -low;
    } else {
        scale = (high - low) / largest;
        for (int i = 0; i < 32; i++) {
            double t = scale != 0.0 ? ((double)x[i] - low) / scale : 0.0;
            codes[i] = cut(t + 0.5, largest);
        }
    }
    for (int i = 0; i < 32; i++)
        decoded[i] = (float)(reference_f16(scale) * codes[i] + reference_f16(low));
}

static void eight_bits(const float *x, float *decoded) {
    double scale = fabs((double)reference_extreme(x, 32)) / 127.0;
    for (int i = 0; i < 32; i++) {
        double t = scale != 0.0 ? round((double)x[i] / scale) : 0.0;
        decoded[i] = (float)(reference_f16(scale) * t);
    }
}

static int nearest_in_table(double x) {
    int nearest = 0;
    for (int code = 1; code < 16; code++)
        if (fabs(x - table[code]) <= fabs(x - table[nearest])) nearest = code;
    return nearest;
}

/* Scale of 32 weights for the table. */
static double table_scale(const float *x, const float *w) {
    double extreme = (double)reference_extreme(x, 32), best = -1.0, scale = 0.0;
    if (fabs(extreme) < 1e-15) return 0.0;
    for (int k = -8; k <= 7; k++) {
        /* The first try mirrors the table. */
        double inverse = (k == -8 ? -table[0] : k + table[0]) / extreme;
        double sxv = 0.0, sv2 = 0.0;
        for (int i = 0; i < 32; i++) {
            double v = table[nearest_in_table(inverse * (double)x[i])];
            sxv += (double)w[i] * v * (double)x[i];
            sv2 += (double)w[i] * v * v;
        }
        if (!(sv2 > 0.0) || !(sxv * sxv > best * sv2)) continue;
        best = sxv * sxv / sv2;
        scale = sxv / sv2;
    }
    return scale;
}

static void decode_table(const float *x, double code_scale, double scale, float *decoded) {
    for (int i = 0; i < 32; i++) {
        double t = code_scale != 0.0 ? (double)x[i] / code_scale : 0.0;
        decoded[i] = (float)(scale * table[nearest_in_table(t)]);
    }
}

/* Weights of errors of n weights: x^2, or with importance q * sqrt(sigma2 + x^2). */
static void weigh_table(const float *x, const float *importance, int n, float *w) {
    double sum = 0.0;
    for (int i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    for (int i = 0; i < n; i++) {
        double x2 = (double)x[i] * (double)x[i];
        w[i] = (float)(importance ? (double)importance[i] * sqrt(2.0 * sum / n + x2) : x2);
    }
}

static void table_32(const float *x, const float *importance, float *decoded) {
    float w[32];
    weigh_table(x, importance, 32, w);
    double scale = table_scale(x, w);
    decode_table(x, scale, reference_f16(scale), decoded);
}

static void table_256(const float *x, const float *importance, float *decoded) {
    float w[256], scales[8];
    weigh_table(x, importance, 256, w);
    for (int j = 0; j < 8; j++)
        scales[j] = (float)table_scale(x + 32 * j, w + 32 * j);
    double d = (double)reference_extreme(scales, 8) / -32.0;
    for (int j = 0; j < 8; j++) {
        int multiple = d != 0.0 ? reference_nearest((double)scales[j] / d, -32, 31) : 0;
        decode_table(x + 32 * j, d * multiple, reference_f16(d) * multiple, decoded + 32 * j);
    }
}

bool reference_legacy(const char *type, const float *x, const float *importance, int n,
                      float *decoded) {
    double sum = 0.0;
    for (int i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    for (int b = 0; b < n / 32; b++, x += 32, decoded += 32) {
        float w[32], *weights = importance ? w : NULL;
        const float *q = importance ? importance + 32 * b : NULL;
        for (int i = 0; q && i < 32; i++)
            w[i] = (float)((double)q[i] * sqrt(sum / n + (double)x[i] * (double)x[i]));
        if (strcmp(type, "q4_0") == 0)
            one_scale(x, weights, 8, decoded);
        else if (strcmp(type, "q5_0") == 0)
            one_scale(x, weights, 16, decoded);
        else if (strcmp(type, "q4_1") == 0)
            scale_and_minimum(x, weights, 15, decoded);
        else if (strcmp(type, "q5_1") == 0)
            scale_and_minimum(x, weights, 31, decoded);
        else if (strcmp(type, "q8_0") == 0)
            eight_bits(x, decoded);
        else if (strcmp(type, "iq4_nl") == 0)
            table_32(x, q, decoded);
        else if (strcmp(type, "iq4_xs") == 0 && b % 8 == 0)
            table_256(x, q, decoded);
        else if (strcmp(type, "iq4_xs") != 0)
            return false;
    }
    return true;
}

bool reference_round_trip(const char *type, const float *weights, const float *importance, int n,
                          float *decoded) {
    return reference_legacy(type, weights, importance, n, decoded)
           || reference_k(type, weights, importance, n, decoded);
}
