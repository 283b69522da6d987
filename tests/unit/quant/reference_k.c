/* The reference quantizers of blocks of 256; see reference.h. */
#include "unit/quant/reference.h"

#include <math.h>
#include <string.h>

static double mean_square(const float *x, int n) {
    double sum = 0.0;
    for (int i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sum / n;
}

/* Weights of errors with importance: q * sqrt(sigma2 + x^2). */
static void weigh(const float *x, const float *importance, double sigma2, float *w) {
    for (int i = 0; i < 256; i++)
        w[i] = (float)((double)importance[i] * sqrt(sigma2 + (double)x[i] * (double)x[i]));
}

/* How a type with minima is searched without importance. */
typedef struct minima {
    const char *type;
    int width, largest_code, largest_multiple;
    double first;
    int n_steps;
    bool absolute_error;
} minima;

/* Sums of the weights of each sub-block. */
static void sum_weights(const float *w, int width, float *sums) {
    for (int j = 0; j < 256 / width; j++) {
        double sum = 0.0;
        for (int l = 0; l < width; l++)
            sum += (double)w[j * width + l];
        sums[j] = (float)sum;
    }
}

static void minima_multiples(const minima *m, const float *found, const float *w, bool is_weighted,
                             int *multiples, double *factor) {
    float sums[16];
    int n = 256 / m->width;
    if (is_weighted) {
        sum_weights(w, m->width, sums);
        *factor = reference_positive(found, sums, n, m->largest_multiple, multiples);
        return;
    }
    double most = fmax(0.0, (double)reference_extreme(found, n));
    *factor = most / m->largest_multiple;
    for (int j = 0; j < n; j++)
        multiples[j] =
            most > 0.0 ? reference_nearest((double)found[j] / *factor, 0, m->largest_multiple) : 0;
}

static void with_minima(const minima *m, const float *x, const float *importance, float *decoded) {
    float w[256], scales[16], minimums[16];
    int codes[256], s[16], t[16], n = 256 / m->width;
    double d, dmin, sigma2 = mean_square(x, 256) * (m->width == 16 ? 1.0 : 2.0);
    if (importance) weigh(x, importance, sigma2, w);
    for (int j = 0; j < n; j++) {
        const float *y = x + j * m->width;
        double average = m->width == 16 ? 0.0 : sqrt(mean_square(y, m->width)), minimum;
        for (int l = 0; l < m->width && !importance; l++)
            w[j * m->width + l] = (float)(average + fabs((double)y[l]));
        scales[j] = (float)reference_scale_min(
            y, w + j * m->width, m->width, m->largest_code, importance ? -0.9 : m->first,
            importance ? 0.05 : 0.1, importance ? 36 : m->n_steps,
            importance ? false : m->absolute_error, codes + j * m->width, &minimum);
        minimums[j] = (float)minimum;
    }
    minima_multiples(m, scales, w, importance != NULL, s, &d);
    minima_multiples(m, minimums, w, importance != NULL, t, &dmin);
    for (int i = 0; i < 256; i++) {
        int j = i / m->width;
        double scale = reference_f16(d) * s[j], minimum = reference_f16(dmin) * t[j];
        if (scale != 0.0)
            codes[i] = reference_nearest(((double)x[i] + minimum) / scale, 0, m->largest_code);
        decoded[i] = (float)(scale * codes[i] - minimum);
    }
}

/* q3_k and q6_k: scales to multiples -largest .. largest - 1. */
static void with_scales(bool is_q6, const float *x, const float *importance, float *decoded) {
    int half = is_q6 ? 32 : 4, largest = is_q6 ? 128 : 32, codes[256], s[16] = {0};
    float w[256], scales[16], sums[16];
    double d = 0.0;
    if (importance && !is_q6) weigh(x, importance, 2.0 * mean_square(x, 256), w);
    for (int i = 0; i < 256 && (is_q6 || !importance); i++)
        w[i] = importance ? importance[i] : x[i] * x[i];
    for (int j = 0; j < 16; j++) {
        bool is_plain = !is_q6 && !importance;
        scales[j] = (float)(is_plain ? reference_passes(x + 16 * j, 16, half, codes + 16 * j)
                                     : reference_symmetric(x + 16 * j, w + 16 * j, 16, half,
                                                           codes + 16 * j));
    }
    double extreme = (double)reference_extreme(scales, 16);
    if (!is_q6 && importance) {
        sum_weights(w, 16, sums);
        d = reference_symmetric(scales, sums, 16, largest, s);
    } else if (fabs(extreme) >= 1e-15) {
        d = extreme / -largest;
        for (int j = 0; j < 16; j++)
            s[j] = reference_nearest((double)scales[j] / d, -largest, largest - 1);
    }
    for (int i = 0; i < 256; i++) {
        double scale = reference_f16(d) * s[i / 16];
        if (scale != 0.0) codes[i] = reference_nearest((double)x[i] / scale, -half, half - 1);
        decoded[i] = (float)(scale * codes[i]);
    }
}

bool reference_k(const char *type, const float *x, const float *importance, int n, float *decoded) {
    static const minima with[] = {
        {"q2_k", 16, 3,  15, -0.5, 15, true },
        {"q4_k", 32, 15, 63, -1.0, 20, false},
        {"q5_k", 32, 31, 63, -0.5, 15, false},
    };
    for (int b = 0; b < n / 256; b++, x += 256, decoded += 256) {
        const float *q = importance ? importance + 256 * b : NULL;
        const minima *m = NULL;
        for (int k = 0; k < 3; k++)
            if (strcmp(type, with[k].type) == 0) m = &with[k];
        if (m)
            with_minima(m, x, q, decoded);
        else if (strcmp(type, "q3_k") == 0 || strcmp(type, "q6_k") == 0)
            with_scales(type[1] == '6', x, q, decoded);
        else
            return false;
    }
    return true;
}
