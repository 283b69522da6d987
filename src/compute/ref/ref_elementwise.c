/* Operations on each number by itself. */
#include "compute/checks.h"
#include "compute/ref/ref.h"

#include <math.h>

void fal_ref_add(fal_queue *q, fal_tensor y, fal_tensor a, fal_tensor b) {
    if (!fal_check_add(q, y, a, b)) return;
    for (int64_t token = 0; token < y.n_rows; token++) {
        for (int64_t i = 0; i < y.n_cols; i++)
            fal_tensor_f32_row(y, token)[i] =
                fal_tensor_f32_row(a, token)[i] + fal_tensor_f32_row(b, token)[i];
    }
}

static double gelu_erf(double x) {
    return x * erfc(-x / sqrt(2.0)) / 2.0; /* erfc(-z) is 1 + erf(z) without cancellation */
}

static double gelu_tanh(double x) {
    const double pi = 3.14159265358979323846;
    double z = sqrt(2.0 / pi) * (x + 0.044715 * x * x * x);
    return x
           / (1.0
              + exp(-2.0 * z)); /* (1 + tanh(z)) / 2 is 1 / (1 + exp(-2 z)), without cancellation */
}

static void map(fal_tensor y, fal_tensor x, double (*function)(double)) {
    for (int64_t token = 0; token < y.n_rows; token++) {
        for (int64_t i = 0; i < y.n_cols; i++)
            fal_tensor_f32_row(y, token)[i] =
                (float)function((double)fal_tensor_f32_row(x, token)[i]);
    }
}

void fal_ref_gelu_erf(fal_queue *q, fal_tensor y, fal_tensor x) {
    if (fal_check_gelu_erf(q, y, x)) map(y, x, gelu_erf);
}

void fal_ref_gelu_tanh(fal_queue *q, fal_tensor y, fal_tensor x) {
    if (fal_check_gelu_tanh(q, y, x)) map(y, x, gelu_tanh);
}

/* The normal distribution's share below x, plus x times its density. */
static double gelu_erf_slope(double x) {
    const double pi = 3.14159265358979323846;
    return erfc(-x / sqrt(2.0)) / 2.0 + x * exp(-x * x / 2.0) / sqrt(2.0 * pi);
}

static double gelu_tanh_slope(double x) {
    const double pi = 3.14159265358979323846;
    double inner = sqrt(2.0 / pi), z = inner * (x + 0.044715 * x * x * x);
    double share = 1.0 / (1.0 + exp(-2.0 * z)); /* (1 + tanh(z)) / 2, whose slope is */
    double rest = 1.0 / (1.0 + exp(2.0 * z));   /* 2 * share * (1 - share) */
    return share + x * 2.0 * share * rest * inner * (1.0 + 3.0 * 0.044715 * x * x);
}

static void map_gradient(fal_tensor dx, fal_tensor dy, fal_tensor x, double (*slope)(double)) {
    for (int64_t token = 0; token < x.n_rows; token++) {
        for (int64_t i = 0; i < x.n_cols; i++)
            fal_tensor_f32_row(dx, token)[i] =
                (float)((double)fal_tensor_f32_row(dy, token)[i]
                        * slope((double)fal_tensor_f32_row(x, token)[i]));
    }
}

void fal_ref_gelu_erf_gradient(fal_queue *q, fal_tensor dx, fal_tensor dy, fal_tensor x) {
    if (fal_check_gelu_erf_gradient(q, dx, dy, x)) map_gradient(dx, dy, x, gelu_erf_slope);
}

void fal_ref_gelu_tanh_gradient(fal_queue *q, fal_tensor dx, fal_tensor dy, fal_tensor x) {
    if (fal_check_gelu_tanh_gradient(q, dx, dy, x)) map_gradient(dx, dy, x, gelu_tanh_slope);
}
