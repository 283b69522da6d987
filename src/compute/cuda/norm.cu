/* Layer norm and its gradient: a warp per row; sums over rows in two stages whose order the number of rows decides. */
#include "compute/cuda/grid.cuh"
#include "compute/cuda/launch.h"

enum {
    WARP = 32,
    ROWS_PER_BLOCK = 8, /* one warp each */
    MAX_GRID = 1 << 20,
    CHUNK_ROWS = 256, /* that one block of the first stage adds */
    LANES = 8,        /* threads of that block per column */
    SUM_LANES = 32    /* the same of the second stage */
};

/* The same for all lanes, added in a fixed order. */
static __device__ float sum_of_warp(float x) {
    for (int distance = WARP / 2; distance > 0; distance /= 2)
        x += __shfl_xor_sync(0xffffffffu, x, distance);
    return x;
}

/* Mean of a row and the inverse of its deviation, to all lanes of the warp. */
static __device__ float2 moments_of(const float *row, int64_t n_cols, float epsilon) {
    float sum = 0.0f, squares = 0.0f;
    for (int64_t i = threadIdx.x; i < n_cols; i += WARP)
        sum += row[i];
    float mean = sum_of_warp(sum) / (float)n_cols;
    for (int64_t i = threadIdx.x; i < n_cols; i += WARP)
        squares = fmaf(row[i] - mean, row[i] - mean, squares);
    return make_float2(mean, 1.0f / sqrtf(sum_of_warp(squares) / (float)n_cols + epsilon));
}

static __global__ void normalize(fal_view y, fal_view x, const float *weight, const float *bias,
                                 float epsilon) {
    int64_t first = (int64_t)blockIdx.x * ROWS_PER_BLOCK + threadIdx.y;
    for (int64_t r = first; r < x.n_rows; r += (int64_t)gridDim.x * ROWS_PER_BLOCK) {
        const float *in = x.data + r * x.stride;
        float *out = y.data + r * y.stride;
        float2 moments = moments_of(in, x.n_cols, epsilon);
        for (int64_t i = threadIdx.x; i < x.n_cols; i += WARP) {
            float unit = (in[i] - moments.x) * moments.y;
            out[i] = fmaf(unit, weight[i], bias ? bias[i] : 0.0f);
        }
    }
}

cudaError_t fal_launch_layer_norm(cudaStream_t s, fal_view y, fal_view x, const float *weight,
                                  const float *bias, float epsilon) {
    if (x.n_rows == 0) return cudaSuccess;
    normalize<<<blocks_for(x.n_rows, ROWS_PER_BLOCK, MAX_GRID), dim3(WARP, ROWS_PER_BLOCK), 0, s>>>(
        y, x, weight, bias, epsilon);
    return cudaGetLastError();
}

/* With unit u and g = dy * weight: dx += (g - mean(g) - u * mean(g * u)) / deviation. */
static __global__ void add_norm_gradient(fal_view dx, fal_view dy, fal_view x, const float *weight,
                                         float epsilon, float *moments) {
    int64_t first = (int64_t)blockIdx.x * ROWS_PER_BLOCK + threadIdx.y;
    for (int64_t r = first; r < x.n_rows; r += (int64_t)gridDim.x * ROWS_PER_BLOCK) {
        const float *in = x.data + r * x.stride, *gradient = dy.data + r * dy.stride;
        float *out = dx.data + r * dx.stride;
        float2 of_row = moments_of(in, x.n_cols, epsilon);
        float sum = 0.0f, product = 0.0f;
        for (int64_t i = threadIdx.x; i < x.n_cols; i += WARP) {
            float g = gradient[i] * weight[i];
            sum += g;
            product = fmaf(g, (in[i] - of_row.x) * of_row.y, product);
        }
        float mean = sum_of_warp(sum) / (float)x.n_cols;
        float mean_product = sum_of_warp(product) / (float)x.n_cols;
        for (int64_t i = threadIdx.x; i < x.n_cols; i += WARP) {
            float g = gradient[i] * weight[i], unit = (in[i] - of_row.x) * of_row.y;
            out[i] = fmaf(g - mean - unit * mean_product, of_row.y, out[i]);
        }
        if (threadIdx.x == 0) {
            moments[2 * r] = of_row.x;
            moments[2 * r + 1] = of_row.y;
        }
    }
}

cudaError_t fal_launch_layer_norm_gradient(cudaStream_t s, fal_view dx, fal_view dy, fal_view x,
                                           const float *weight, float epsilon, float *moments) {
    if (x.n_rows == 0) return cudaSuccess;
    add_norm_gradient<<<blocks_for(x.n_rows, ROWS_PER_BLOCK, MAX_GRID), dim3(WARP, ROWS_PER_BLOCK),
                        0, s>>>(dx, dy, x, weight, epsilon, moments);
    return cudaGetLastError();
}

/* ---- sums of columns ---- */

static int64_t chunks_of(int64_t n_rows) {
    return (n_rows + CHUNK_ROWS - 1) / CHUNK_ROWS;
}

size_t fal_column_sums_floats(int64_t n_rows, int64_t n_cols) {
    return 2 * (size_t)chunks_of(n_rows) * (size_t)n_cols;
}

/* Block (column tile, chunk): the chunk's sums into partial [2][n_chunks][n_cols]. moments NULL: only those of dy. */
static __global__ void add_chunks(float *partial, fal_view dy, fal_view x, const float *moments) {
    __shared__ float sums[LANES][WARP], products[LANES][WARP];
    int64_t column = (int64_t)blockIdx.x * WARP + threadIdx.x;
    int64_t begin = (int64_t)blockIdx.y * CHUNK_ROWS, end = begin + CHUNK_ROWS;
    int lane = (int)threadIdx.y;
    float sum = 0.0f, product = 0.0f;
    if (end > dy.n_rows) end = dy.n_rows;
    for (int64_t r = begin + lane; r < end && column < dy.n_cols; r += LANES) {
        float g = dy.data[r * dy.stride + column];
        sum += g;
        if (!moments) continue;
        float unit = (x.data[r * x.stride + column] - moments[2 * r]) * moments[2 * r + 1];
        product = fmaf(g, unit, product);
    }
    sums[lane][threadIdx.x] = sum;
    products[lane][threadIdx.x] = product;
    __syncthreads();
    if (lane != 0 || column >= dy.n_cols) return;
    for (int k = 1; k < LANES; k++) {
        sum += sums[k][threadIdx.x];
        product += products[k][threadIdx.x];
    }
    partial[blockIdx.y * dy.n_cols + column] = sum;
    if (moments) partial[(gridDim.y + (int64_t)blockIdx.y) * dy.n_cols + column] = product;
}

/* to [n_cols] += sums of the rows of partial [n_chunks][n_cols]. */
static __global__ void add_partial(float *to, const float *partial, int64_t n_chunks,
                                   int64_t n_cols) {
    __shared__ float sums[SUM_LANES][WARP + 1];
    int64_t column = (int64_t)blockIdx.x * WARP + threadIdx.x;
    int lane = (int)threadIdx.y;
    float sum = 0.0f;
    for (int64_t k = lane; k < n_chunks && column < n_cols; k += SUM_LANES)
        sum += partial[k * n_cols + column];
    sums[lane][threadIdx.x] = sum;
    __syncthreads();
    for (int half = SUM_LANES / 2; half > 0; half /= 2) {
        if (lane < half) sums[lane][threadIdx.x] += sums[lane + half][threadIdx.x];
        __syncthreads();
    }
    if (lane == 0 && column < n_cols) to[column] += sums[0][threadIdx.x];
}

cudaError_t fal_launch_column_sums(cudaStream_t s, float *sum, float *product, fal_view dy,
                                   fal_view x, const float *moments, float *partial) {
    int64_t n_chunks = chunks_of(dy.n_rows);
    if (n_chunks == 0 || (!sum && !product)) return cudaSuccess;
    unsigned n_tiles = (unsigned)((dy.n_cols + WARP - 1) / WARP);
    add_chunks<<<dim3(n_tiles, (unsigned)n_chunks), dim3(WARP, LANES), 0, s>>>(
        partial, dy, x, product ? moments : NULL);
    if (sum)
        add_partial<<<n_tiles, dim3(WARP, SUM_LANES), 0, s>>>(sum, partial, n_chunks, dy.n_cols);
    if (product)
        add_partial<<<n_tiles, dim3(WARP, SUM_LANES), 0, s>>>(
            product, partial + n_chunks * dy.n_cols, n_chunks, dy.n_cols);
    return cudaGetLastError();
}
