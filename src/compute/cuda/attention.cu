/* Causal attention within packed sequences: a block per tile of query rows and head; the softmax is made while the cells
 * go by, so that memory grows with the number of rows only. */
#include "compute/cuda/attention_tile.cuh"

/* Joined over the 16 threads that share rows. */
static __device__ float largest_of_row(float x) {
    for (int distance = SIDE / 2; distance > 0; distance /= 2)
        x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, distance));
    return x;
}

static __device__ float sum_of_row(float x) {
    for (int distance = SIDE / 2; distance > 0; distance /= 2)
        x += __shfl_xor_sync(0xffffffffu, x, distance);
    return x;
}

/* Products become scores; what a row does not see is minus infinity. distance: from the tile's first row to the first
 * cell. */
static __device__ void score(float patch[PATCH][PATCH], int distance, float scale, float slope) {
    for (int i = 0; i < PATCH; i++)
        for (int j = 0; j < PATCH; j++) {
            int back = PATCH * patch_y() + i - distance - (patch_x() + SIDE * j);
            patch[i][j] = back >= 0 ? fmaf(scale, patch[i][j], -slope * (float)back) : -INFINITY;
        }
}

/* What is known of a thread's rows so far. */
template <int D> struct rows_so_far {
    float largest[PATCH], total[PATCH], result[PATCH][D / SIDE];
};

/* Takes in a patch of scores, which becomes exp(score - largest). */
template <int D> static __device__ void join(rows_so_far<D> *rows, float patch[PATCH][PATCH]) {
    for (int i = 0; i < PATCH; i++) {
        float largest = patch[i][0], total = 0.0f;
        for (int j = 1; j < PATCH; j++)
            largest = fmaxf(largest, patch[i][j]);
        largest = fmaxf(rows->largest[i], largest_of_row(largest));
        float factor = expf(rows->largest[i] - largest);
        for (int j = 0; j < PATCH; j++) {
            patch[i][j] = expf(patch[i][j] - largest);
            total += patch[i][j];
        }
        rows->total[i] = fmaf(rows->total[i], factor, sum_of_row(total));
        rows->largest[i] = largest;
        for (int k = 0; k < D / SIDE; k++)
            rows->result[i][k] *= factor;
    }
}

template <int D>
static __device__ void finish(fal_view out, fal_view log_sums, const rows_so_far<D> *rows,
                              fal_tile tile, int head, int head_dim) {
    float inverse[PATCH];
    for (int i = 0; i < PATCH; i++) {
        int64_t row = tile.first + PATCH * patch_y() + i;
        inverse[i] = 1.0f / rows->total[i];
        if (patch_x() == 0 && row < tile.end)
            log_sums.data[row * log_sums.stride + head] = rows->largest[i] + logf(rows->total[i]);
    }
    write_rows<D>(out, rows->result, inverse, tile.first, tile.end, (int64_t)head * head_dim,
                  head_dim);
}

/* Tiles of a sequence begin at multiples of TILE from its first row, those of rows and those of cells, so that every row
 * sees the first cell of each tile of cells that is visited. */
template <int D>
static __global__ void __launch_bounds__(THREADS)
    attend(fal_view out, fal_view log_sums, fal_view query, fal_view key, fal_view value,
           fal_heads heads, bool has_fours) {
    extern __shared__ float shared[];
    float *queries = shared, *keys = queries + ROWS_SIZE<D>, *values = keys + ROWS_SIZE<D>,
          *scores = values + ROWS_SIZE<D>;
    fal_tile tile = heads.tiles[blockIdx.x];
    int head = (int)blockIdx.y, n = heads.head_dim;
    int64_t kv_column = (int64_t)(head / (heads.n_heads / heads.n_kv_heads)) * n;
    float slope = heads.alibi_slopes ? heads.alibi_slopes[head] : 0.0f;
    rows_so_far<D> rows = {};
    for (int i = 0; i < PATCH; i++)
        rows.largest[i] = -INFINITY;
    load_rows<D>(queries, query, tile.first, tile.end, (int64_t)head * n, n, has_fours);
    for (int cell = tile.sequence_first; cell < tile.end; cell += TILE) {
        float patch[PATCH][PATCH];
        __syncthreads(); /* everybody is done with the last cells */
        load_rows<D>(keys, key, cell, tile.end, kv_column, n, has_fours);
        load_rows<D>(values, value, cell, tile.end, kv_column, n, has_fours);
        __syncthreads();
        multiply_rows<D>(patch, queries, keys);
        score(patch, cell - tile.first, heads.scale, slope);
        join<D>(&rows, patch);
        write_patch(scores, patch);
        __syncwarp();
        add_product<D>(rows.result, scores, values);
    }
    finish<D>(out, log_sums, &rows, tile, head, n);
}

template <int D>
static cudaError_t launch(cudaStream_t s, fal_view out, fal_view log_sums, fal_view query,
                          fal_view key, fal_view value, fal_heads heads) {
    bool has_fours = heads_have_fours(query, heads.head_dim)
                     && heads_have_fours(key, heads.head_dim)
                     && heads_have_fours(value, heads.head_dim);
    return launch_with_memory(attend<D>, dim3((unsigned)heads.n_tiles, (unsigned)heads.n_heads),
                              3 * ROWS_SIZE<D> + SCORES_SIZE, s, out, log_sums, query, key, value,
                              heads, has_fours);
}

cudaError_t fal_launch_attention(cudaStream_t s, fal_view out, fal_view log_sums, fal_view query,
                                 fal_view key, fal_view value, fal_heads heads) {
    if (heads.n_tiles == 0) return cudaSuccess;
    if (heads.head_dim <= 32) return launch<32>(s, out, log_sums, query, key, value, heads);
    if (heads.head_dim <= 64) return launch<64>(s, out, log_sums, query, key, value, heads);
    return launch<128>(s, out, log_sums, query, key, value, heads);
}
