/* What the attention kernels share. A block of 16 x 16 threads works on tiles of 64 rows in shared memory; thread (x, y)
 * owns a patch of 4 x 4 scores, rows 4 y + i and cells x + 16 j, and of each result the rows 4 y + i and D / 16 columns.
 * Head dimensions are filled up with zeros to D, 32, 64 or 128. */
#ifndef FAL_COMPUTE_CUDA_ATTENTION_TILE_CUH
#define FAL_COMPUTE_CUDA_ATTENTION_TILE_CUH

#include "compute/cuda/launch.h"

enum {
    TILE = FAL_TILE_ROWS,
    SIDE = 16,
    PATCH = 4,
    THREADS = SIDE * SIDE,
    PAD = 4, /* floats behind each row, so that rows begin in different banks */
    SCORE_STRIDE = TILE + PAD
};

static_assert(SIDE * PATCH == TILE, "patches cover the tile");

/* Floats of a tile of rows of D, and of scores. */
template <int D> static constexpr int ROW_STRIDE = D + PAD;
template <int D> static constexpr int ROWS_SIZE = TILE *ROW_STRIDE<D>;
static constexpr int SCORES_SIZE = TILE * SCORE_STRIDE;

static __device__ int patch_x() {
    return (int)threadIdx.x % SIDE;
}

static __device__ int patch_y() {
    return (int)threadIdx.x / SIDE;
}

/* Which columns of a result a thread owns: fours that lie 64 apart; pairs if D is 32. */
template <int D> static __device__ int column_of(int k) {
    if (D < 64) return patch_x() * 2 + k;
    return k / 4 * 64 + patch_x() * 4 + k % 4;
}

/* Rows [first, end) of a head whose columns begin at `column`, zeros behind the last row and the last column. */
template <int D>
static __device__ void load_rows(float *to, fal_view from, int64_t first, int64_t end,
                                 int64_t column, int head_dim, bool has_fours) {
    for (int i = (int)threadIdx.x; i < TILE * D / 4; i += THREADS) {
        int row = i / (D / 4), c = i % (D / 4) * 4;
        float4 four = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        const float *at = from.data + (first + row) * from.stride + column + c;
        if (first + row < end) {
            if (has_fours && c < head_dim) {
                four = *(const float4 *)at;
            } else if (!has_fours) {
                if (c < head_dim) four.x = at[0];
                if (c + 1 < head_dim) four.y = at[1];
                if (c + 2 < head_dim) four.z = at[2];
                if (c + 3 < head_dim) four.w = at[3];
            }
        }
        *(float4 *)(to + row * ROW_STRIDE<D> + c) = four;
    }
}

/* patch[i][j] = row 4 y + i of a times row x + 16 j of b. */
template <int D>
static __device__ void multiply_rows(float patch[PATCH][PATCH], const float *a, const float *b) {
    for (int i = 0; i < PATCH; i++)
        for (int j = 0; j < PATCH; j++)
            patch[i][j] = 0.0f;
#pragma unroll 4
    for (int k = 0; k < D; k += 4) {
        float4 left[PATCH], right[PATCH];
        for (int i = 0; i < PATCH; i++) {
            left[i] = *(const float4 *)(a + (PATCH * patch_y() + i) * ROW_STRIDE<D> + k);
            right[i] = *(const float4 *)(b + (patch_x() + SIDE * i) * ROW_STRIDE<D> + k);
        }
        for (int i = 0; i < PATCH; i++)
            for (int j = 0; j < PATCH; j++) {
                float sum = fmaf(left[i].x, right[j].x, patch[i][j]);
                sum = fmaf(left[i].y, right[j].y, sum);
                sum = fmaf(left[i].z, right[j].z, sum);
                patch[i][j] = fmaf(left[i].w, right[j].w, sum);
            }
    }
}

/* The thread's columns of a row of b. */
template <int D> static __device__ void read_columns(float to[D / SIDE], const float *row) {
    if constexpr (D < 64) {
        float2 two = *(const float2 *)(row + column_of<D>(0));
        to[0] = two.x, to[1] = two.y;
    } else {
        for (int k = 0; k < D / SIDE; k += 4) {
            float4 four = *(const float4 *)(row + column_of<D>(k));
            to[k] = four.x, to[k + 1] = four.y, to[k + 2] = four.z, to[k + 3] = four.w;
        }
    }
}

static __device__ float part_of(float4 four, int k) {
    return k == 0 ? four.x : k == 1 ? four.y : k == 2 ? four.z : four.w;
}

/* result += scores [64 rows, 64 cells] times b [64 cells, D]; the scores read are those of the thread's own half warp. */
template <int D>
static __device__ void add_product(float result[PATCH][D / SIDE], const float *scores,
                                   const float *b) {
#pragma unroll 2
    for (int cell = 0; cell < TILE; cell += 4) {
        float4 left[PATCH];
        for (int i = 0; i < PATCH; i++)
            left[i] = *(const float4 *)(scores + (PATCH * patch_y() + i) * SCORE_STRIDE + cell);
        for (int k = 0; k < 4; k++) {
            float right[D / SIDE];
            read_columns<D>(right, b + (cell + k) * ROW_STRIDE<D>);
            for (int i = 0; i < PATCH; i++)
                for (int j = 0; j < D / SIDE; j++)
                    result[i][j] = fmaf(part_of(left[i], k), right[j], result[i][j]);
        }
    }
}

/* result += transposed scores [64 cells, 64 rows] times b [64 rows, D]: the result's rows are cells. */
template <int D>
static __device__ void add_transposed_product(float result[PATCH][D / SIDE], const float *scores,
                                              const float *b) {
#pragma unroll 4
    for (int row = 0; row < TILE; row++) {
        float4 left = *(const float4 *)(scores + row * SCORE_STRIDE + PATCH * patch_y());
        float right[D / SIDE];
        read_columns<D>(right, b + row * ROW_STRIDE<D>);
        for (int i = 0; i < PATCH; i++)
            for (int j = 0; j < D / SIDE; j++)
                result[i][j] = fmaf(part_of(left, i), right[j], result[i][j]);
    }
}

/* The thread's patch of scores, as it lies in the tile. */
static __device__ void write_patch(float *scores, const float patch[PATCH][PATCH]) {
    for (int i = 0; i < PATCH; i++)
        for (int j = 0; j < PATCH; j++)
            scores[(PATCH * patch_y() + i) * SCORE_STRIDE + patch_x() + SIDE * j] = patch[i][j];
}

/* The thread's part of a result, times the row's factor, to rows [first, end) of a head. */
template <int D>
static __device__ void write_rows(fal_view to, const float result[PATCH][D / SIDE],
                                  const float factor[PATCH], int64_t first, int64_t end,
                                  int64_t column, int head_dim) {
    for (int i = 0; i < PATCH; i++) {
        int64_t row = first + PATCH * patch_y() + i;
        if (row >= end) continue;
        for (int k = 0; k < D / SIDE; k++) {
            int c = column_of<D>(k);
            if (c < head_dim) to.data[row * to.stride + column + c] = result[i][k] * factor[i];
        }
    }
}

/* Whether whole fours of each head of this view can be read at once. */
static inline bool heads_have_fours(fal_view v, int head_dim) {
    return head_dim % 4 == 0 && v.stride % 4 == 0 && (uintptr_t)v.data % 16 == 0;
}

/* Lets a kernel have more shared memory than 48 KiB, and launches it. */
template <class Kernel, class... Arguments>
static cudaError_t launch_with_memory(Kernel kernel, dim3 grid, size_t floats, cudaStream_t s,
                                      Arguments... arguments) {
    int bytes = (int)(floats * sizeof(float));
    cudaError_t error =
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
    if (error != cudaSuccess) return error;
    kernel<<<grid, THREADS, (size_t)bytes, s>>>(arguments...);
    return cudaGetLastError();
}

#endif
