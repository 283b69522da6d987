/* Rows of training: every set against double precision, in place and beside, with tails of every length. */
#include "kernelcheck.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_N = 261
};

static const int sizes[] = {1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 64, 71, 100, 256, MAX_N};

enum {
    N_SIZES = sizeof sizes / sizeof sizes[0]
};

static float *floats_of(const fal_guarded *g) {
    return (float *)(void *)g->data;
}

/* A row of its own that ends at, or begins behind, an unreadable page. */
static fal_guarded copy_row(const float *x, int64_t n, int turn) {
    fal_guarded g = fal_guarded_open((size_t)n * sizeof *x, turn % 2 ? FAL_AT_START : FAL_AT_END);
    memcpy(g.data, x, g.bytes);
    return g;
}

static void expect(fal_kernelcheck *c, int64_t i, float actual, double expected, double bound) {
    if (!kernelcheck_is_near((double)actual, expected, bound))
        kernelcheck_fail(c, "number %lld: %.9g, not %.9g within %.3g", (long long)i, (double)actual,
                         expected, bound);
}

void check_fal_scale_kernel(fal_kernelcheck *c) {
    fal_scale_kernel *kernel;
    float x[MAX_N];
    kernelcheck_find(c, c->set, &kernel);
    for (int turn = 0; turn < 2 * N_SIZES; turn++) {
        int n = sizes[turn / 2];
        kernelcheck_case(c, "%d numbers", n);
        kernelcheck_fill(c, FAL_INPUT_NOISE, x, n);
        fal_guarded in = copy_row(x, n, turn), y = copy_row(x, n, turn);
        kernel(floats_of(&y), floats_of(&in), 0.3f, n);
        kernel(floats_of(&in), floats_of(&in), 0.3f, n);
        if (memcmp(in.data, y.data, y.bytes) != 0) kernelcheck_fail(c, "other bits in place");
        for (int i = 0; i < n; i++)
            expect(c, i, floats_of(&y)[i], (double)(0.3f * x[i]), 0.0);
        kernelcheck_margins(c, &y, "the result");
        fal_guarded_close(&in);
        fal_guarded_close(&y);
    }
}

void check_fal_dot_kernel(fal_kernelcheck *c) {
    fal_dot_kernel *kernel;
    float x[2][MAX_N];
    kernelcheck_find(c, c->set, &kernel);
    for (int turn = 0; turn < 2 * N_SIZES; turn++) {
        int n = sizes[turn / 2];
        double sum = 0.0, size = 0.0;
        kernelcheck_case(c, "%d numbers", n);
        kernelcheck_fill(c, FAL_INPUT_NOISE, x[0], n);
        kernelcheck_fill(c, FAL_INPUT_SPIKES, x[1], n);
        for (int i = 0; i < n; i++) {
            sum += (double)x[0][i] * (double)x[1][i];
            size += fabs((double)x[0][i] * (double)x[1][i]);
        }
        fal_guarded a = copy_row(x[0], n, turn), b = copy_row(x[1], n, turn);
        expect(c, 0, kernel(floats_of(&a), floats_of(&b), n), sum,
               (double)FLT_EPSILON * size * (4.0 + n / 16.0));
        fal_guarded_close(&a);
        fal_guarded_close(&b);
    }
}

void check_fal_square_sum_kernel(fal_kernelcheck *c) {
    fal_square_sum_kernel *kernel;
    float x[MAX_N];
    kernelcheck_find(c, c->set, &kernel);
    for (int turn = 0; turn < 2 * N_SIZES; turn++) {
        int n = sizes[turn / 2];
        double sum = 0.0;
        kernelcheck_case(c, "%d numbers", n);
        kernelcheck_fill(c, FAL_INPUT_SPIKES, x, n);
        for (int i = 0; i < n; i++)
            sum += (double)x[i] * (double)x[i];
        fal_guarded in = copy_row(x, n, turn);
        double found = kernel(floats_of(&in), n);
        if (!kernelcheck_is_near(found, sum, n * DBL_EPSILON * sum))
            kernelcheck_fail(c, "%.17g, not %.17g", found, sum);
        fal_guarded_close(&in);
    }
}

static double gelu_slope(bool is_tanh, double x) {
    const double pi = acos(-1.0);
    if (!is_tanh) return erfc(-x * sqrt(0.5)) / 2.0 + x * exp(-x * x / 2.0) / sqrt(2.0 * pi);
    double inner = 2.0 * sqrt(2.0 / pi), g = inner * (x + 0.044715 * x * x * x);
    double share = 1.0 / (1.0 + exp(-g)), rest = 1.0 / (1.0 + exp(g));
    return share + x * share * rest * inner * (1.0 + 3.0 * 0.044715 * x * x);
}

void check_fal_gradient_kernel(fal_kernelcheck *c) {
    fal_gradient_kernel *kernel;
    float x[MAX_N], dy[MAX_N];
    bool is_tanh = strcmp(c->kernel, "gelu_tanh_gradient_row") == 0;
    kernelcheck_find(c, c->set, &kernel);
    if (!is_tanh && strcmp(c->kernel, "gelu_erf_gradient_row") != 0) {
        kernelcheck_fail(c, "kernelcheck does not know this function");
        return;
    }
    for (int turn = 0; turn < N_SIZES * FAL_INPUTS; turn++) {
        int n = sizes[turn / FAL_INPUTS];
        fal_inputs inputs = (fal_inputs)(turn % FAL_INPUTS);
        kernelcheck_case(c, "%s, %d numbers", kernelcheck_input_name(inputs), n);
        kernelcheck_fill(c, inputs, x, n);
        kernelcheck_fill(c, FAL_INPUT_NOISE, dy, n);
        for (int i = 0; inputs == FAL_INPUT_NOISE && i < n; i++)
            x[i] *= 3.0f;
        fal_guarded at = copy_row(x, n, turn), in_place = copy_row(dy, n, turn),
                    in = copy_row(dy, n, turn), y = copy_row(dy, n, turn);
        kernel(floats_of(&y), floats_of(&in), floats_of(&at), n);
        kernel(floats_of(&in_place), floats_of(&in_place), floats_of(&at), n);
        if (memcmp(in_place.data, y.data, y.bytes) != 0) kernelcheck_fail(c, "other bits in place");
        for (int i = 0; i < n; i++)
            expect(c, i, floats_of(&y)[i], (double)dy[i] * gelu_slope(is_tanh, (double)x[i]),
                   16.0 * (double)FLT_EPSILON * fabs((double)dy[i]));
        kernelcheck_margins(c, &y, "the result");
        fal_guarded_close(&at);
        fal_guarded_close(&in_place);
        fal_guarded_close(&in);
        fal_guarded_close(&y);
    }
}

/* Three results, to which is added, from three inputs. */
static void check_norm_gradient(fal_kernelcheck *c, fal_inputs inputs, int n, int turn) {
    fal_layer_norm_gradient_kernel *kernel;
    float x[6][MAX_N]; /* dx, dweight, dbias, dy, x, weight */
    const float epsilon = 1e-5f;
    fal_guarded g[6];
    kernelcheck_find(c, c->set, &kernel);
    kernelcheck_case(c, "%s, %d numbers", kernelcheck_input_name(inputs), n);
    for (int k = 0; k < 6; k++) {
        kernelcheck_fill(c, k == 4 ? inputs : FAL_INPUT_NOISE, x[k], n);
        g[k] = copy_row(x[k], n, turn);
    }
    kernel(floats_of(&g[0]), floats_of(&g[1]), floats_of(&g[2]), floats_of(&g[3]), floats_of(&g[4]),
           floats_of(&g[5]), n, epsilon);
    double mean = 0.0, variance = 0.0, mean_g = 0.0, mean_gu = 0.0;
    for (int i = 0; i < n; i++)
        mean += (double)x[4][i] / n;
    for (int i = 0; i < n; i++)
        variance += ((double)x[4][i] - mean) * ((double)x[4][i] - mean) / n;
    double deviation = sqrt(variance + (double)epsilon), size = 0.0;
    for (int i = 0; i < n; i++) {
        double u = ((double)x[4][i] - mean) / deviation, d = (double)x[3][i] * (double)x[5][i];
        mean_g += d / n;
        mean_gu += d * u / n;
        size = fmax(size, fabs(d) * (1.0 + u * u));
    }
    for (int i = 0; i < n; i++) {
        double u = ((double)x[4][i] - mean) / deviation, d = (double)x[3][i] * (double)x[5][i];
        double bound = 8.0 * (double)FLT_EPSILON, dy = (double)x[3][i];
        expect(c, i, floats_of(&g[0])[i], (double)x[0][i] + (d - mean_g - u * mean_gu) / deviation,
               bound * (fabs((double)x[0][i]) + size * (1.0 + fabs(u)) / deviation));
        expect(c, i, floats_of(&g[1])[i], (double)x[1][i] + dy * u,
               bound * (fabs((double)x[1][i]) + fabs(dy) * (fabs(u) + 1e-3)));
        expect(c, i, floats_of(&g[2])[i], (double)(x[2][i] + x[3][i]), 0.0);
    }
    for (int k = 0; k < 6; k++) {
        kernelcheck_margins(c, &g[k], "a row");
        fal_guarded_close(&g[k]);
    }
}

void check_fal_layer_norm_gradient_kernel(fal_kernelcheck *c) {
    for (int i = 0; i < N_SIZES; i++) {
        for (int inputs = 0; inputs < FAL_INPUTS; inputs++)
            check_norm_gradient(c, (fal_inputs)inputs, sizes[i], i + inputs);
    }
}

void check_fal_exp_kernel(fal_kernelcheck *c) {
    fal_exp_kernel *kernel;
    float x[MAX_N];
    kernelcheck_find(c, c->set, &kernel);
    for (int turn = 0; turn < N_SIZES * FAL_INPUTS; turn++) {
        int n = sizes[turn / FAL_INPUTS];
        fal_inputs inputs = (fal_inputs)(turn % FAL_INPUTS);
        float largest, most = -INFINITY, again;
        double total, sum = 0.0, total_again;
        kernelcheck_case(c, "%s, %d numbers", kernelcheck_input_name(inputs), n);
        kernelcheck_fill(c, inputs, x, n);
        fal_guarded in = copy_row(x, n, turn), y = copy_row(x, n, turn);
        kernel(floats_of(&y), floats_of(&in), n, &largest, &total);
        kernel(floats_of(&in), floats_of(&in), n, &again, &total_again);
        if (memcmp(in.data, y.data, y.bytes) != 0 || total != total_again)
            kernelcheck_fail(c, "other bits in place");
        for (int i = 0; i < n; i++)
            most = fmaxf(most, x[i]);
        if (largest != most)
            kernelcheck_fail(c, "the largest is %g, not %g", (double)largest, (double)most);
        for (int i = 0; i < n; i++) {
            double expected = exp((double)(x[i] - most));
            sum += expected;
            expect(c, i, floats_of(&y)[i], expected, 3.0 * (double)FLT_EPSILON * expected + 2e-38);
        }
        if (!kernelcheck_is_near(total, sum, 3.0 * (double)FLT_EPSILON * sum))
            kernelcheck_fail(c, "the total is %.9g, not %.9g", total, sum);
        kernelcheck_margins(c, &y, "the result");
        fal_guarded_close(&in);
        fal_guarded_close(&y);
    }
}

void check_fal_adamw_kernel(fal_kernelcheck *c) {
    const fal_adamw_step s = {0.5f, 0.9f, 0.1f, 0.95f, 0.05f, 0.01f, 1.5f, 1e-8f, 0.999f};
    fal_adamw_kernel *kernel;
    float x[4][MAX_N];
    kernelcheck_find(c, c->set, &kernel);
    for (int turn = 0; turn < 2 * N_SIZES; turn++) {
        int n = sizes[turn / 2];
        fal_guarded g[4]; /* w, m, v, dw */
        kernelcheck_case(c, "%d numbers", n);
        for (int k = 0; k < 4; k++) {
            kernelcheck_fill(c, FAL_INPUT_NOISE, x[k], n);
            for (int i = 0; k == 2 && i < n; i++)
                x[k][i] = i % 11 == 0 ? 0.0f : x[k][i] * x[k][i];
            for (int i = 0; k == 3 && i < n; i += 11)
                x[k][i] = 0.0f;
            g[k] = copy_row(x[k], n, turn);
        }
        kernel(floats_of(&g[0]), floats_of(&g[1]), floats_of(&g[2]), floats_of(&g[3]), &s, n);
        for (int i = 0; i < n; i++) {
            double d = (double)x[3][i] * (double)s.gradient_scale, w = (double)x[0][i],
                   m = (double)s.beta1 * (double)x[1][i] + (double)s.rest1 * d,
                   v = (double)s.beta2 * (double)x[2][i] + (double)s.rest2 * d * d;
            double change = (double)s.rate * m / (sqrt(v) * (double)s.root + (double)s.epsilon);
            double m_size = fabs((double)x[1][i]) + fabs(d);
            double bound = 4.0 * (double)FLT_EPSILON;
            expect(c, i, floats_of(&g[1])[i], m, bound * m_size);
            expect(c, i, floats_of(&g[2])[i], v, bound * v);
            expect(c, i, floats_of(&g[0])[i], w * (double)s.decay - change,
                   bound * (fabs(w) + fabs(change) * (1.0 + m_size / (fabs(m) + 1e-30))));
        }
        for (int k = 0; k < 4; k++) {
            kernelcheck_margins(c, &g[k], "a row");
            fal_guarded_close(&g[k]);
        }
    }
}
