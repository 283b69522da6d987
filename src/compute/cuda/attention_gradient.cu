/* The gradient of attention, in two passes that add in a fixed order: a block per tile of query rows for dquery, one per
 * tile of cells for dkey and dvalue. Shares are computed again from the log sums.
 *
 * With share = exp(score - log_sum): dvalue = sum of share * dout, dscore = share * (dout . value - dout . out). */
#include "compute/cuda/attention_tile.cuh"
#include "compute/cuda/grid.cuh"

/* A thread per row and head. It adds in the order of multiply_rows, so that a row that sees nothing but itself has no
 * gradient at all. */
static __global__ void mean_heads(float *means, fal_view dout, fal_view out, fal_heads heads) {
    int64_t at = first_index(), row = at / heads.n_heads, head = at % heads.n_heads;
    if (row >= out.n_rows) return;
    const float *a = dout.data + row * dout.stride + head * heads.head_dim;
    const float *b = out.data + row * out.stride + head * heads.head_dim;
    float sum = 0.0f;
    for (int i = 0; i < heads.head_dim; i++)
        sum = fmaf(a[i], b[i], sum);
    means[at] = sum;
}

cudaError_t fal_launch_attention_means(cudaStream_t s, float *means, fal_view dout, fal_view out,
                                       fal_heads heads) {
    if (out.n_rows == 0) return cudaSuccess;
    unsigned n_blocks = blocks_for(out.n_rows * heads.n_heads, THREADS, INT32_MAX);
    mean_heads<<<n_blocks, THREADS, 0, s>>>(means, dout, out, heads);
    return cudaGetLastError();
}

/* Of a thread's rows: what the forward pass left of them. Rows from `end` on get nothing. */
struct row_facts {
    float log_sum[PATCH], mean[PATCH];
};

static __device__ row_facts read_facts(const fal_attention_inputs *in, int64_t first, int64_t end,
                                       int head, int n_heads) {
    row_facts facts = {};
    for (int i = 0; i < PATCH; i++) {
        int64_t row = first + PATCH * patch_y() + i;
        if (row >= end) continue;
        facts.log_sum[i] = in->log_sums.data[row * in->log_sums.stride + head];
        facts.mean[i] = in->means[row * n_heads + head];
    }
    return facts;
}

/* From products query . key and dout . value to shares and gradients of scores. first, end: rows; cell: the tile's first;
 * rows from end on and cells that a row does not see count nothing. */
static __device__ void differentiate(float share[PATCH][PATCH], float dscore[PATCH][PATCH],
                                     const row_facts *facts, int first, int end, int cell,
                                     float scale, float slope) {
    for (int i = 0; i < PATCH; i++) {
        int row = first + PATCH * patch_y() + i;
        for (int j = 0; j < PATCH; j++) {
            int back = row - (cell + patch_x() + SIDE * j);
            float score = fmaf(scale, share[i][j], -slope * (float)back);
            bool is_seen = back >= 0 && row < end;
            share[i][j] = is_seen ? expf(score - facts->log_sum[i]) : 0.0f;
            dscore[i][j] = is_seen ? share[i][j] * (dscore[i][j] - facts->mean[i]) : 0.0f;
        }
    }
}

/* ---- dquery ---- */

template <int D>
static __global__ void __launch_bounds__(THREADS)
    query_gradient(fal_view dquery, fal_attention_inputs in, fal_heads heads, bool has_fours) {
    extern __shared__ float shared[];
    float *queries = shared, *douts = queries + ROWS_SIZE<D>, *keys = douts + ROWS_SIZE<D>,
          *values = keys + ROWS_SIZE<D>, *scores = values + ROWS_SIZE<D>;
    fal_tile tile = heads.tiles[blockIdx.x];
    int head = (int)blockIdx.y, n = heads.head_dim;
    int64_t column = (int64_t)head * n,
            kv_column = (int64_t)(head / (heads.n_heads / heads.n_kv_heads)) * n;
    float slope = heads.alibi_slopes ? heads.alibi_slopes[head] : 0.0f;
    float result[PATCH][D / SIDE] = {};
    row_facts facts = read_facts(&in, tile.first, tile.end, head, heads.n_heads);
    load_rows<D>(queries, in.query, tile.first, tile.end, column, n, has_fours);
    load_rows<D>(douts, in.dout, tile.first, tile.end, column, n, has_fours);
    for (int cell = tile.sequence_first; cell < tile.end; cell += TILE) {
        float share[PATCH][PATCH], dscore[PATCH][PATCH];
        __syncthreads(); /* everybody is done with the last cells */
        load_rows<D>(keys, in.key, cell, tile.end, kv_column, n, has_fours);
        load_rows<D>(values, in.value, cell, tile.end, kv_column, n, has_fours);
        __syncthreads();
        multiply_rows<D>(share, queries, keys);
        multiply_rows<D>(dscore, douts, values);
        differentiate(share, dscore, &facts, tile.first, tile.end, cell, heads.scale, slope);
        write_patch(scores, dscore);
        __syncwarp();
        add_product<D>(result, scores, keys);
    }
    const float factor[PATCH] = {heads.scale, heads.scale, heads.scale, heads.scale};
    write_rows<D>(dquery, result, factor, tile.first, tile.end, column, n);
}

static bool inputs_have_fours(const fal_attention_inputs *in, int head_dim) {
    return heads_have_fours(in->dout, head_dim) && heads_have_fours(in->query, head_dim)
           && heads_have_fours(in->key, head_dim) && heads_have_fours(in->value, head_dim);
}

template <int D>
static cudaError_t launch_dquery(cudaStream_t s, fal_view dquery, fal_attention_inputs in,
                                 fal_heads heads) {
    return launch_with_memory(query_gradient<D>,
                              dim3((unsigned)heads.n_tiles, (unsigned)heads.n_heads),
                              4 * ROWS_SIZE<D> + SCORES_SIZE, s, dquery, in, heads,
                              inputs_have_fours(&in, heads.head_dim));
}

cudaError_t fal_launch_attention_dquery(cudaStream_t s, fal_view dquery, fal_attention_inputs in,
                                        fal_heads heads) {
    if (heads.n_tiles == 0) return cudaSuccess;
    if (heads.head_dim <= 32) return launch_dquery<32>(s, dquery, in, heads);
    if (heads.head_dim <= 64) return launch_dquery<64>(s, dquery, in, heads);
    return launch_dquery<128>(s, dquery, in, heads);
}

/* ---- dkey and dvalue ---- */

/* Block (tile, kv head, part of the query heads that read it). Tiles at the end of the list have the most rows behind
 * them and come first. */
template <int D>
static __global__ void __launch_bounds__(THREADS)
    key_gradient(fal_view dkey, fal_view dvalue, fal_attention_inputs in, fal_heads heads,
                 bool has_fours) {
    extern __shared__ float shared[];
    float *keys = shared, *values = keys + ROWS_SIZE<D>, *queries = values + ROWS_SIZE<D>,
          *douts = queries + ROWS_SIZE<D>, *shares = douts + ROWS_SIZE<D>,
          *dscores = shares + SCORES_SIZE;
    fal_tile tile = heads.tiles[gridDim.x - 1 - blockIdx.x];
    int n = heads.head_dim, n_part = heads.n_heads / heads.n_kv_heads / (int)gridDim.z;
    int first_head = (int)(blockIdx.y * gridDim.z + blockIdx.z) * n_part;
    int64_t kv_column = (int64_t)blockIdx.y * n;
    float of_keys[PATCH][D / SIDE] = {}, of_values[PATCH][D / SIDE] = {};
    load_rows<D>(keys, in.key, tile.first, tile.end, kv_column, n, has_fours);
    load_rows<D>(values, in.value, tile.first, tile.end, kv_column, n, has_fours);
    for (int head = first_head; head < first_head + n_part; head++) {
        float slope = heads.alibi_slopes ? heads.alibi_slopes[head] : 0.0f;
        for (int row = tile.first; row < tile.sequence_end; row += TILE) {
            float share[PATCH][PATCH], dscore[PATCH][PATCH];
            row_facts facts = read_facts(&in, row, tile.sequence_end, head, heads.n_heads);
            __syncthreads(); /* everybody is done with the last rows and scores */
            load_rows<D>(queries, in.query, row, tile.sequence_end, (int64_t)head * n, n,
                         has_fours);
            load_rows<D>(douts, in.dout, row, tile.sequence_end, (int64_t)head * n, n, has_fours);
            __syncthreads();
            multiply_rows<D>(share, queries, keys);
            multiply_rows<D>(dscore, douts, values);
            differentiate(share, dscore, &facts, row, tile.sequence_end, tile.first, heads.scale,
                          slope);
            write_patch(shares, share);
            write_patch(dscores, dscore);
            __syncthreads();
            add_transposed_product<D>(of_values, shares, douts);
            add_transposed_product<D>(of_keys, dscores, queries);
        }
    }
    const float scales[PATCH] = {heads.scale, heads.scale, heads.scale, heads.scale},
                ones[PATCH] = {1.0f, 1.0f, 1.0f, 1.0f};
    int64_t part_row = (int64_t)blockIdx.z * in.key.n_rows;
    write_rows<D>(dkey, of_keys, scales, part_row + tile.first, part_row + tile.end, kv_column, n);
    write_rows<D>(dvalue, of_values, ones, part_row + tile.first, part_row + tile.end, kv_column,
                  n);
}

template <int D>
static cudaError_t launch_dkey(cudaStream_t s, fal_view dkey, fal_view dvalue,
                               fal_attention_inputs in, fal_heads heads, int n_parts) {
    dim3 grid((unsigned)heads.n_tiles, (unsigned)heads.n_kv_heads, (unsigned)n_parts);
    return launch_with_memory(key_gradient<D>, grid, 4 * ROWS_SIZE<D> + 2 * SCORES_SIZE, s, dkey,
                              dvalue, in, heads, inputs_have_fours(&in, heads.head_dim));
}

cudaError_t fal_launch_attention_dkey(cudaStream_t s, fal_view dkey, fal_view dvalue,
                                      fal_attention_inputs in, fal_heads heads, int n_parts) {
    if (heads.n_tiles == 0) return cudaSuccess;
    if (heads.head_dim <= 32) return launch_dkey<32>(s, dkey, dvalue, in, heads, n_parts);
    if (heads.head_dim <= 64) return launch_dkey<64>(s, dkey, dvalue, in, heads, n_parts);
    return launch_dkey<128>(s, dkey, dvalue, in, heads, n_parts);
}
