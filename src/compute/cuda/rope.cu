/* Rotary positions: pair (i, i + head_dim / 2) of a head is turned by the table's cosine and sine of the token. */
#include "compute/cuda/grid.cuh"
#include "compute/cuda/launch.h"

enum {
    THREADS = 256,
    MAX_GRID = 1 << 20
};

static __global__ void fill_table(fal_view table, const int32_t *positions, const double *frequency,
                                  double gain) {
    int64_t half = table.n_cols / 2, n = table.n_rows * half;
    for (int64_t at = first_index(); at < n; at += index_step()) {
        int64_t token = at / half, i = at % half;
        double sine, cosine;
        sincos((double)positions[token] * frequency[i], &sine, &cosine);
        float *row = table.data + token * table.stride;
        row[i] = (float)(cosine * gain);
        row[half + i] = (float)(sine * gain);
    }
}

cudaError_t fal_launch_rope_table(cudaStream_t s, fal_view table, const int32_t *positions,
                                  const double *frequency, double gain) {
    if (table.n_rows == 0) return cudaSuccess;
    fill_table<<<blocks_for(table.n_rows * table.n_cols / 2, THREADS, MAX_GRID), THREADS, 0, s>>>(
        table, positions, frequency, gain);
    return cudaGetLastError();
}

/* sign: of the sine; -1 turns backwards. */
static __global__ void turn(fal_view x, fal_view table, int n_heads, float sign) {
    int64_t half = table.n_cols / 2, n_pairs = n_heads * half, n = x.n_rows * n_pairs;
    for (int64_t at = first_index(); at < n; at += index_step()) {
        int64_t token = at / n_pairs, pair = at % n_pairs, i = pair % half;
        const float *angle = table.data + token * table.stride;
        float *first = x.data + token * x.stride + pair / half * table.n_cols + i;
        float cosine = angle[i], sine = sign * angle[half + i];
        float a = first[0], b = first[half];
        first[0] = a * cosine - b * sine;
        first[half] = b * cosine + a * sine;
    }
}

cudaError_t fal_launch_rope(cudaStream_t s, fal_view x, fal_view table, int n_heads,
                            bool is_inverse) {
    if (x.n_rows == 0) return cudaSuccess;
    turn<<<blocks_for(x.n_rows * x.n_cols / 2, THREADS, MAX_GRID), THREADS, 0, s>>>(
        x, table, n_heads, is_inverse ? -1.0f : 1.0f);
    return cudaGetLastError();
}
