/* A step of training: the sum of squares of a gradient, and AdamW. Both in double: they wait for memory, not for
 * arithmetic. */
#include "compute/cuda/grid.cuh"
#include "compute/cuda/launch.h"

enum {
    THREADS = 256,
    MAX_GRID = 4096
};

/* Rows that touch each other are one long row. */
static fal_view joined(fal_view v) {
    if (v.stride != v.n_cols && v.n_rows != 1) return v;
    return fal_view{v.data, 1, v.n_rows * v.n_cols, v.n_rows * v.n_cols};
}

static bool are_joinable(fal_view a, fal_view b) {
    return joined(a).n_rows == joined(b).n_rows;
}

/* The block's sum to its first thread; parts [THREADS] is shared. */
static __device__ double sum_of_block(double x, double *parts) {
    parts[threadIdx.x] = x;
    __syncthreads();
    for (unsigned half = THREADS / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) parts[threadIdx.x] += parts[threadIdx.x + half];
        __syncthreads();
    }
    return parts[0];
}

static __global__ void add_squares(double *partial, fal_view x) {
    __shared__ double parts[THREADS];
    double sum = 0.0;
    for (int64_t row = 0; row < x.n_rows; row++) {
        for (int64_t i = first_index(); i < x.n_cols; i += index_step()) {
            double number = (double)x.data[row * x.stride + i];
            sum = fma(number, number, sum);
        }
    }
    sum = sum_of_block(sum, parts);
    if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

static __global__ void add_parts(double *to, const double *partial) {
    __shared__ double parts[THREADS];
    double sum = 0.0;
    for (unsigned i = threadIdx.x; i < FAL_SQUARE_SUM_BLOCKS; i += THREADS)
        sum += partial[i];
    sum = sum_of_block(sum, parts);
    if (threadIdx.x == 0) *to = sum;
}

cudaError_t fal_launch_square_sum(cudaStream_t s, double *sum, fal_view x, double *partial) {
    add_squares<<<FAL_SQUARE_SUM_BLOCKS, THREADS, 0, s>>>(partial, joined(x));
    add_parts<<<1, THREADS, 0, s>>>(sum, partial);
    return cudaGetLastError();
}

static __global__ void step_weights(fal_view w, fal_view m, fal_view v, fal_view dw,
                                    fal_adamw_factors f) {
    for (int64_t row = 0; row < w.n_rows; row++) {
        for (int64_t i = first_index(); i < w.n_cols; i += index_step()) {
            float *weight = w.data + row * w.stride + i, *first = m.data + row * m.stride + i,
                  *second = v.data + row * v.stride + i;
            double g = (double)dw.data[row * dw.stride + i] * f.gradient_scale;
            double mean = f.beta1 * (double)*first + (1.0 - f.beta1) * g;
            double square = f.beta2 * (double)*second + (1.0 - f.beta2) * g * g;
            double step = mean / f.correction1 / (sqrt(square / f.correction2) + f.epsilon);
            double current = (double)*weight;
            *weight = (float)(current - f.learning_rate * (step + f.weight_decay * current));
            *first = (float)mean;
            *second = (float)square;
        }
    }
}

cudaError_t fal_launch_adamw(cudaStream_t s, fal_view w, fal_view m, fal_view v, fal_view dw,
                             fal_adamw_factors factors) {
    if (w.n_rows == 0) return cudaSuccess;
    if (are_joinable(w, m) && are_joinable(w, v) && are_joinable(w, dw)) {
        w = joined(w), m = joined(m), v = joined(v), dw = joined(dw);
    }
    step_weights<<<blocks_for(w.n_cols, THREADS, MAX_GRID), THREADS, 0, s>>>(w, m, v, dw, factors);
    return cudaGetLastError();
}
