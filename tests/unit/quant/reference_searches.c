/* The searches of the reference quantizers; see reference.h. */
#include "base/half.h"
#include "unit/quant/reference.h"

#include <math.h>
#include <string.h>

int reference_nearest(double x, int low, int high) {
    double nearest = nearbyint(x);
    return nearest < (double)low ? low : nearest > (double)high ? high : (int)nearest;
}

double reference_f16(double value) {
    return (double)fal_f32_from_f16(fal_f16_from_f32((float)value));
}

float reference_extreme(const float *x, int n) {
    float extreme = 0.0f;
    for (int i = 0; i < n; i++)
        if (fabsf(x[i]) > fabsf(extreme)) extreme = x[i];
    return extreme;
}

static double fit_error(const float *x, const float *w, int n, const int *codes, double scale,
                        double low, bool absolute_error) {
    double error = 0.0;
    for (int i = 0; i < n; i++) {
        double e = scale * codes[i] + low - (double)x[i];
        error += (double)w[i] * (absolute_error ? fabs(e) : e * e);
    }
    return error;
}

/* Least squares of x ~ scale * code + low with low <= 0. False: the codes do not vary. */
static bool fit(const float *x, const float *w, int n, const int *codes, double *scale,
                double *low) {
    double sw = 0.0, sx = 0.0, sl = 0.0, sl2 = 0.0, sxl = 0.0;
    for (int i = 0; i < n; i++) {
        double v = (double)w[i], l = codes[i];
        sw += v;
        sx += v * (double)x[i];
        sl += v * l;
        sl2 += v * l * l;
        sxl += v * l * (double)x[i];
    }
    double determinant = sw * sl2 - sl * sl;
    if (!(determinant > 0.0)) return false;
    *scale = (sw * sxl - sx * sl) / determinant;
    *low = (sl2 * sx - sl * sxl) / determinant;
    if (*low > 0.0) {
        *low = 0.0;
        *scale = sxl / sl2;
    }
    return true;
}

double reference_scale_min(const float *x, const float *w, int n, int largest, double first,
                           double step, int n_steps, bool absolute_error, int *codes,
                           double *minimum) {
    double low = 0.0, high = (double)x[0];
    for (int i = 0; i < n; i++) {
        low = fmin(low, (double)x[i]);
        high = fmax(high, (double)x[i]);
        codes[i] = 0;
    }
    *minimum = -low;
    if (high == low) return 0.0;
    double scale = (high - low) / largest, best_low = low;
    for (int i = 0; i < n; i++)
        codes[i] = reference_nearest(((double)x[i] - low) / scale, 0, largest);
    double best = fit_error(x, w, n, codes, scale, low, absolute_error);
    for (int k = 0; k <= n_steps; k++) {
        int tried[32];
        double inverse = (first + step * k + largest) / (high - low), try_scale, try_low;
        for (int i = 0; i < n; i++)
            tried[i] = reference_nearest(inverse * ((double)x[i] - low), 0, largest);
        if (!fit(x, w, n, tried, &try_scale, &try_low)) continue;
        double error = fit_error(x, w, n, tried, try_scale, try_low, absolute_error);
        if (!(error < best)) continue;
        memcpy(codes, tried, sizeof *codes * (size_t)n);
        best = error;
        scale = try_scale;
        best_low = try_low;
    }
    *minimum = -best_low;
    return scale;
}

static void sums(const float *x, const float *w, int n, const int *codes, double *sxl,
                 double *sl2) {
    *sxl = *sl2 = 0.0;
    for (int i = 0; i < n; i++) {
        *sxl += (double)w[i] * (double)x[i] * codes[i];
        *sl2 += (double)w[i] * codes[i] * codes[i];
    }
}

double reference_symmetric(const float *x, const float *w, int n, int largest, int *codes) {
    double extreme = (double)reference_extreme(x, n), best = -1.0, scale = 0.0;
    memset(codes, 0, sizeof *codes * (size_t)n);
    if (fabs(extreme) < 1e-15) return 0.0;
    /* The plain try first: of equal ones the first counts. */
    for (int k = 0; k < 19; k++) {
        int tried[32], offset = k == 0 ? 0 : k <= 9 ? k - 10 : k - 9;
        double inverse = -(largest + 0.1 * offset) / extreme, sxl, sl2;
        for (int i = 0; i < n; i++)
            tried[i] = reference_nearest(inverse * (double)x[i], -largest, largest - 1);
        sums(x, w, n, tried, &sxl, &sl2);
        if (!(sl2 > 0.0) || !(sxl * sxl > best * sl2)) continue;
        memcpy(codes, tried, sizeof *codes * (size_t)n);
        best = sxl * sxl / sl2;
        scale = sxl / sl2;
    }
    return scale;
}

/* Moves codes alone while that helps. */
static double move_codes(const float *x, const float *w, int n, int low, int high, int *codes) {
    double sxl, sl2;
    sums(x, w, n, codes, &sxl, &sl2);
    for (int pass = 0; pass < 5; pass++) {
        int n_moved = 0;
        for (int i = 0; i < n; i++) {
            double v = (double)w[i], xl = sxl - v * (double)x[i] * codes[i];
            double l2 = sl2 - v * codes[i] * codes[i];
            if (!(xl > 0.0) || !(l2 > 0.0)) continue;
            int code = reference_nearest((double)x[i] * l2 / xl, low, high);
            if (code == codes[i]) continue;
            xl += v * (double)x[i] * code;
            l2 += v * code * code;
            if (!(l2 > 0.0) || !(xl * xl * sl2 > sxl * sxl * l2)) continue;
            codes[i] = code;
            sxl = xl;
            sl2 = l2;
            n_moved++;
        }
        if (n_moved == 0) break;
    }
    return sl2 > 0.0 ? sxl / sl2 : 0.0;
}

double reference_passes(const float *x, int n, int largest, int *codes) {
    double extreme = (double)reference_extreme(x, n);
    float w[32];
    memset(codes, 0, sizeof *codes * (size_t)n);
    if (fabs(extreme) < 1e-15) return 0.0;
    for (int i = 0; i < n; i++) {
        w[i] = x[i] * x[i];
        codes[i] = reference_nearest(-largest / extreme * (double)x[i], -largest, largest - 1);
    }
    return move_codes(x, w, n, -largest, largest - 1, codes);
}

double reference_positive(const float *x, const float *w, int n, int largest, int *codes) {
    double most = 0.0, best = HUGE_VAL, best_inverse = 0.0;
    for (int i = 0; i < n; i++)
        most = fmax(most, (double)x[i]);
    memset(codes, 0, sizeof *codes * (size_t)n);
    if (most < 1e-15) return 0.0;
    for (int k = 0; k < 9; k++) {
        int offset = k == 0 ? 0 : k <= 4 ? k - 5 : k - 4;
        double inverse = (largest + 0.1 * offset) / most, error = 0.0;
        for (int i = 0; i < n; i++) {
            double e =
                (double)x[i] - reference_nearest(inverse * (double)x[i], 0, largest) / inverse;
            error += (double)w[i] * e * e;
        }
        if (!(error < best)) continue;
        best = error;
        best_inverse = inverse;
    }
    for (int i = 0; i < n; i++)
        codes[i] = reference_nearest(best_inverse * (double)x[i], 0, largest);
    return move_codes(x, w, n, 0, largest, codes);
}
