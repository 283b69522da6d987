/* Rows of activations: every set against double precision, in place and beside, with tails of every length. */
#include "base/half.h"
#include "kernelcheck.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_N = 1029
};

static const int sizes[] = {1,  2,  3,  4,  5,  6,  7,   8,   9,   15,  16,
                            17, 23, 31, 32, 33, 63, 100, 255, 256, 512, MAX_N};

enum {
    N_SIZES = sizeof sizes / sizeof sizes[0]
};

static fal_placement placement_of(int i) {
    return i % 2 ? FAL_AT_START : FAL_AT_END;
}

static fal_guarded copy_floats(const float *x, int64_t n, fal_placement placement) {
    fal_guarded g = fal_guarded_open((size_t)n * sizeof *x, placement);
    memcpy(g.data, x, g.bytes);
    return g;
}

static float *floats_of(const fal_guarded *g) {
    return (float *)(void *)g->data;
}

static void expect(fal_kernelcheck *c, int64_t i, float actual, double expected, double bound) {
    if (!kernelcheck_is_near((double)actual, expected, bound))
        kernelcheck_fail(c, "number %lld: %.9g, not %.9g within %.3g", (long long)i, (double)actual,
                         expected, bound);
}

/* A row that is the same whether its result goes elsewhere or in its place. */
static void expect_same(fal_kernelcheck *c, const fal_guarded *in_place,
                        const fal_guarded *beside) {
    if (memcmp(in_place->data, beside->data, beside->bytes) != 0)
        kernelcheck_fail(c, "other bits in place");
    kernelcheck_margins(c, in_place, "the row");
    kernelcheck_margins(c, beside, "the result");
}

static void check_norm(fal_kernelcheck *c, fal_inputs inputs, int n, bool has_bias, int turn) {
    const float epsilon = 1e-5f;
    fal_layer_norm_kernel *kernel;
    float x[MAX_N], weight[MAX_N], bias[MAX_N];
    kernelcheck_find(c, c->set, &kernel);
    kernelcheck_case(c, "%s, %d numbers%s", kernelcheck_input_name(inputs), n,
                     has_bias ? ", bias" : "");
    kernelcheck_fill(c, inputs, x, n);
    kernelcheck_fill(c, FAL_INPUT_NOISE, weight, n);
    kernelcheck_fill(c, FAL_INPUT_NOISE, bias, n);
    fal_guarded in = copy_floats(x, n, placement_of(turn));
    fal_guarded w = copy_floats(weight, n, placement_of(turn));
    fal_guarded b = copy_floats(bias, n, placement_of(turn));
    fal_guarded y = fal_guarded_open((size_t)n * sizeof *x, placement_of(turn));
    const float *given = has_bias ? floats_of(&b) : NULL;
    kernel(floats_of(&y), floats_of(&in), floats_of(&w), given, n, epsilon);
    kernel(floats_of(&in), floats_of(&in), floats_of(&w), given, n, epsilon);
    expect_same(c, &in, &y);
    double mean = 0.0, variance = 0.0, most = 0.0;
    for (int i = 0; i < n; i++) {
        mean += (double)x[i];
        most = fmax(most, fabs((double)x[i]));
    }
    mean /= n;
    for (int i = 0; i < n; i++) {
        variance += ((double)x[i] - mean) * ((double)x[i] - mean) / n;
    }
    double deviation = sqrt(variance + (double)epsilon);
    for (int i = 0; i < n; i++) {
        double unit = ((double)x[i] - mean) / deviation;
        double shift = has_bias ? (double)bias[i] : 0.0;
        double terms = fabs(unit * (double)weight[i]) + fabs(shift);
        /* Three roundings to f32, and in double one for each number of the mean. */
        double bound = 3.0 * (double)FLT_EPSILON * terms
                       + n * DBL_EPSILON * most / deviation * fabs((double)weight[i])
                       + (double)FLT_TRUE_MIN;
        expect(c, i, floats_of(&y)[i], unit * (double)weight[i] + shift, bound);
    }
    fal_guarded_close(&in);
    fal_guarded_close(&w);
    fal_guarded_close(&b);
    fal_guarded_close(&y);
}

void check_fal_layer_norm_kernel(fal_kernelcheck *c) {
    for (int i = 0; i < N_SIZES; i++) {
        for (int inputs = 0; inputs < FAL_INPUTS; inputs++) {
            check_norm(c, (fal_inputs)inputs, sizes[i], inputs % 2 == 0, i + inputs);
        }
    }
}

void check_fal_add_kernel(fal_kernelcheck *c) {
    fal_add_kernel *kernel;
    float a[MAX_N], b[MAX_N];
    kernelcheck_find(c, c->set, &kernel);
    for (int turn = 0; turn < N_SIZES * FAL_INPUTS; turn++) {
        int n = sizes[turn / FAL_INPUTS];
        fal_inputs inputs = (fal_inputs)(turn % FAL_INPUTS);
        kernelcheck_case(c, "%s, %d numbers", kernelcheck_input_name(inputs), n);
        kernelcheck_fill(c, inputs, a, n);
        kernelcheck_fill(c, FAL_INPUT_NOISE, b, n);
        fal_guarded first = copy_floats(a, n, placement_of(turn));
        fal_guarded second = copy_floats(b, n, placement_of(turn));
        fal_guarded y = fal_guarded_open((size_t)n * sizeof *a, placement_of(turn));
        kernel(floats_of(&y), floats_of(&first), floats_of(&second), n);
        kernel(floats_of(&first), floats_of(&first), floats_of(&second), n);
        expect_same(c, &first, &y);
        for (int i = 0; i < n; i++) {
            expect(c, i, floats_of(&y)[i], (double)(a[i] + b[i]), 0.0);
        }
        fal_guarded_close(&first);
        fal_guarded_close(&second);
        fal_guarded_close(&y);
    }
}

static double gelu(bool is_tanh, double x) {
    if (!is_tanh) return 0.5 * x * erfc(-x * sqrt(0.5));
    double inner = sqrt(2.0 / acos(-1.0)) * (x + 0.044715 * x * x * x);
    return x / (1.0 + exp(-2.0 * inner));
}

/* Numbers over the whole range where the function bends, and far beyond. */
static void fill_bends(fal_kernelcheck *c, fal_inputs inputs, float *x, int n) {
    kernelcheck_fill(c, inputs, x, n);
    if (inputs != FAL_INPUT_NOISE) return;
    for (int i = 0; i < n; i++) {
        x[i] *= 4.0f;
    }
}

void check_fal_map_kernel(fal_kernelcheck *c) {
    fal_map_kernel *kernel;
    float x[MAX_N];
    bool is_tanh = strcmp(c->kernel, "gelu_tanh_row") == 0;
    kernelcheck_find(c, c->set, &kernel);
    if (!is_tanh && strcmp(c->kernel, "gelu_erf_row") != 0) {
        kernelcheck_fail(c, "kernelcheck does not know this function");
        return;
    }
    for (int turn = 0; turn < N_SIZES * FAL_INPUTS; turn++) {
        int n = sizes[turn / FAL_INPUTS];
        fal_inputs inputs = (fal_inputs)(turn % FAL_INPUTS);
        kernelcheck_case(c, "%s, %d numbers", kernelcheck_input_name(inputs), n);
        fill_bends(c, inputs, x, n);
        fal_guarded in = copy_floats(x, n, placement_of(turn));
        fal_guarded y = fal_guarded_open((size_t)n * sizeof *x, placement_of(turn));
        kernel(floats_of(&y), floats_of(&in), n);
        kernel(floats_of(&in), floats_of(&in), n);
        expect_same(c, &in, &y);
        for (int i = 0; i < n; i++) {
            double expected = gelu(is_tanh, (double)x[i]), actual = (double)floats_of(&y)[i];
            /* A few units in the last place of the result, and of nothing where it vanishes. */
            double bound = 16.0 * (double)FLT_EPSILON * fabs(expected) + 1e-9;
            if (isnan(actual)) expected = 0.0;
            expect(c, i, floats_of(&y)[i], expected, bound);
        }
        fal_guarded_close(&in);
        fal_guarded_close(&y);
    }
}

static void check_rotation(fal_kernelcheck *c, int n_heads, int head_dim, int turn) {
    fal_rope_kernel *kernel;
    int n = n_heads * head_dim, half = head_dim / 2;
    float *x = calloc((size_t)n, sizeof *x);
    float table[256];
    bool is_back = strcmp(c->kernel, "rope_gradient_row") == 0;
    if (!x) exit(1);
    kernelcheck_find(c, c->set, &kernel);
    kernelcheck_case(c, "%d heads of %d", n_heads, head_dim);
    kernelcheck_fill(c, turn % 2 ? FAL_INPUT_NOISE : FAL_INPUT_SPIKES, x, n);
    for (int i = 0; i < half; i++) {
        double angle = 10.0 * fal_random_normal(&c->random);
        table[i] = (float)cos(angle);
        table[i + half] = (float)sin(angle);
    }
    fal_guarded rows = copy_floats(x, n, placement_of(turn));
    fal_guarded angles = copy_floats(table, head_dim, placement_of(turn));
    kernel(floats_of(&rows), floats_of(&angles), n_heads, head_dim);
    for (int i = 0; i < n; i++) {
        int at = i % head_dim, pair = at % half;
        double a = (double)x[i - at + pair], b = (double)x[i - at + pair + half];
        double cosine = (double)table[pair], sine = is_back ? -1.0 : 1.0;
        sine *= (double)table[pair + half];
        double expected = at < half ? a * cosine - b * sine : b * cosine + a * sine;
        expect(c, i, floats_of(&rows)[i], expected,
               2.0 * (double)FLT_EPSILON * (fabs(a) + fabs(b)));
    }
    kernelcheck_margins(c, &rows, "x");
    fal_guarded_close(&rows);
    fal_guarded_close(&angles);
    free(x);
}

void check_fal_rope_kernel(fal_kernelcheck *c) {
    static const int dims[] = {2, 4, 6, 10, 16, 24, 48, 64, 80, 96, 128, 256};
    for (int i = 0; i < (int)(sizeof dims / sizeof dims[0]); i++) {
        for (int n_heads = 1; n_heads <= 9; n_heads += 2) {
            check_rotation(c, n_heads, dims[i], i + n_heads / 2);
        }
    }
}

void check_fal_to_f16_kernel(fal_kernelcheck *c) {
    fal_to_f16_kernel *kernel;
    float x[MAX_N];
    kernelcheck_find(c, c->set, &kernel);
    for (int turn = 0; turn < N_SIZES * 4; turn++) {
        int n = sizes[turn / 4];
        kernelcheck_case(c, "%d numbers, kind %d", n, turn % 4);
        for (int i = 0; i < n; i++) {
            uint32_t bits = (uint32_t)fal_random_u64(&c->random);
            float noise = (float)fal_random_normal(&c->random);
            x[i] = turn % 4 == 0   ? noise
                   : turn % 4 == 1 ? ldexpf(noise, (int)(bits % 48) - 28)
                   : turn % 4 == 2 ? fal_f32_from_f16((uint16_t)bits) * 1.00048828125f
                                   : fal_f32_from_bits(bits); /* any bits: infinities and NaN too */
        }
        fal_guarded in = copy_floats(x, n, placement_of(turn));
        fal_guarded y = fal_guarded_open((size_t)n * 2, placement_of(turn));
        kernel(floats_of(&in), (uint16_t *)(void *)y.data, n);
        for (int i = 0; i < n; i++) {
            uint16_t actual, expected = fal_f16_from_f32(x[i]);
            memcpy(&actual, y.data + 2 * i, sizeof actual);
            bool both_nan = isnan(x[i]) && (actual & 0x7fff) > 0x7c00;
            if (actual != expected && !both_nan)
                kernelcheck_fail(c, "%.9g: 0x%04x, not 0x%04x", (double)x[i], actual, expected);
        }
        kernelcheck_margins(c, &y, "y");
        fal_guarded_close(&in);
        fal_guarded_close(&y);
    }
}
