/* What is computed element by element: one kernel for all, four floats at a time where the rows allow it. */
#include "compute/cuda/grid.cuh"
#include "compute/cuda/launch.h"

enum {
    THREADS = 256,
    MAX_GRID = 65535 /* of rows and of columns */
};

/* W floats that are read and written together. */
template <int W> struct numbers { float at[W]; };

template <int W> static __device__ numbers<W> load(const float *from) {
    numbers<W> n;
    if (W == 4) {
        float4 four = *(const float4 *)from;
        n.at[0] = four.x, n.at[1 % W] = four.y, n.at[2 % W] = four.z, n.at[3 % W] = four.w;
    } else {
        n.at[0] = *from;
    }
    return n;
}

template <int W> static __device__ void store(float *to, numbers<W> n) {
    if (W == 4) {
        *(float4 *)to = make_float4(n.at[0], n.at[1 % W], n.at[2 % W], n.at[3 % W]);
    } else {
        *to = n.at[0];
    }
}

/* y = f(a, b); rows of b that lie 0 apart are one row for all; b without data counts as 0. */
template <class F, int W>
static __global__ void map_elements(F f, fal_view y, fal_view a, fal_view b) {
    int64_t n_vectors = y.n_cols / W;
    int64_t first_row = (int64_t)blockIdx.y * blockDim.y + threadIdx.y;
    for (int64_t row = first_row; row < y.n_rows; row += (int64_t)gridDim.y * blockDim.y) {
        for (int64_t i = first_index(); i < n_vectors; i += index_step()) {
            numbers<W> x = load<W>(a.data + row * a.stride + i * W), other = {};
            if (b.data) other = load<W>(b.data + row * b.stride + i * W);
            for (int k = 0; k < W; k++)
                x.at[k] = f.of(x.at[k], other.at[k]);
            store<W>(y.data + row * y.stride + i * W, x);
        }
    }
}

/* Whether each row begins at a multiple of 16 bytes and holds whole fours. */
static bool has_fours(fal_view v) {
    return v.n_cols % 4 == 0 && v.stride % 4 == 0 && (uintptr_t)v.data % 16 == 0;
}

template <class F>
static cudaError_t launch(cudaStream_t s, F f, fal_view y, fal_view a, fal_view b) {
    if (y.n_rows == 0) return cudaSuccess;
    bool is_wide = has_fours(y) && has_fours(a) && (!b.data || has_fours(b));
    int64_t n_vectors = is_wide ? y.n_cols / 4 : y.n_cols;
    unsigned width = 1;
    while (width < THREADS && width < n_vectors)
        width *= 2;
    unsigned height = THREADS / width;
    dim3 grid(blocks_for(n_vectors, width, MAX_GRID), blocks_for(y.n_rows, height, MAX_GRID)),
        block(width, height);
    if (is_wide) {
        map_elements<F, 4><<<grid, block, 0, s>>>(f, y, a, b);
    } else {
        map_elements<F, 1><<<grid, block, 0, s>>>(f, y, a, b);
    }
    return cudaGetLastError();
}

/* ---- sums ---- */

struct sum {
    __device__ float of(float a, float b) const {
        return a + b;
    }
};

struct multiple {
    float factor;

    __device__ float of(float a, float) const {
        return factor == 0.0f ? 0.0f : a * factor;
    }
};

cudaError_t fal_launch_add(cudaStream_t s, fal_view y, fal_view a, fal_view b) {
    return launch(s, sum{}, y, a, b);
}

cudaError_t fal_launch_add_bias(cudaStream_t s, fal_view y, fal_view bias) {
    bias.stride = 0;
    return launch(s, sum{}, y, y, bias);
}

cudaError_t fal_launch_sum_parts(cudaStream_t s, fal_view y, fal_view parts, int n_parts) {
    int64_t n_rows = y.n_rows;
    cudaError_t error = cudaSuccess;
    parts.n_rows = n_rows;
    for (int part = 1; part < n_parts && error == cudaSuccess; part++) {
        fal_view next = parts;
        next.data += part * n_rows * parts.stride;
        error = launch(s, sum{}, y, part == 1 ? parts : y, next);
    }
    return error;
}

cudaError_t fal_launch_scale(cudaStream_t s, fal_view x, float factor) {
    return launch(s, multiple{factor}, x, x, fal_view{});
}

/* ---- gelu ---- */

static const float SQRT_HALF = 0.70710678118654752f,                /* of the normal distribution */
    DENSITY_AT_0 = 0.39894228040143268f;                            /* 1 / sqrt(2 pi) */
static const float INNER = 0.79788456080286536f, CUBIC = 0.044715f; /* INNER: sqrt(2 / pi) */

/* The normal distribution's share below x. */
static __device__ float share_below(float x) {
    return 0.5f * erfcf(-x * SQRT_HALF);
}

/* (1 + tanh(z)) / 2 */
static __device__ float tanh_share(float z) {
    return 1.0f / (1.0f + expf(-2.0f * z));
}

struct gelu_erf {
    __device__ float of(float x, float) const {
        return x * share_below(x);
    }
};

struct gelu_tanh {
    __device__ float of(float x, float) const {
        return x * tanh_share(INNER * (x + CUBIC * x * x * x));
    }
};

struct gelu_erf_slope {
    __device__ float of(float dy, float x) const {
        return dy * (share_below(x) + x * DENSITY_AT_0 * expf(-0.5f * x * x));
    }
};

/* The slope of tanh_share is 2 tanh_share(z) tanh_share(-z). */
struct gelu_tanh_slope {
    __device__ float of(float dy, float x) const {
        float z = INNER * (x + CUBIC * x * x * x);
        float share = tanh_share(z), slope = 2.0f * share * tanh_share(-z);
        return dy * (share + x * slope * INNER * (1.0f + 3.0f * CUBIC * x * x));
    }
};

cudaError_t fal_launch_gelu_erf(cudaStream_t s, fal_view y, fal_view x) {
    return launch(s, gelu_erf{}, y, x, fal_view{});
}

cudaError_t fal_launch_gelu_tanh(cudaStream_t s, fal_view y, fal_view x) {
    return launch(s, gelu_tanh{}, y, x, fal_view{});
}

cudaError_t fal_launch_gelu_erf_gradient(cudaStream_t s, fal_view dx, fal_view dy, fal_view x) {
    return launch(s, gelu_erf_slope{}, dx, dy, x);
}

cudaError_t fal_launch_gelu_tanh_gradient(cudaStream_t s, fal_view dx, fal_view dy, fal_view x) {
    return launch(s, gelu_tanh_slope{}, dx, dy, x);
}
