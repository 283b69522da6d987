/* Rows of a table, and the gradient of the table: tokens of the same row are added in their order, in pieces that op_embed.c
 * cuts. */
#include "compute/cuda/launch.h"

enum {
    THREADS = 128
};

static unsigned column_tiles(int64_t n_cols) {
    return (unsigned)((n_cols + THREADS - 1) / THREADS);
}

static __global__ void gather(fal_view y, fal_view table, const int32_t *rows) {
    int64_t token = blockIdx.x, column = (int64_t)blockIdx.y * THREADS + threadIdx.x;
    if (column < y.n_cols)
        y.data[token * y.stride + column] = table.data[rows[token] * table.stride + column];
}

cudaError_t fal_launch_embed(cudaStream_t s, fal_view y, fal_view table, const int32_t *rows) {
    if (y.n_rows == 0) return cudaSuccess;
    gather<<<dim3((unsigned)y.n_rows, column_tiles(y.n_cols)), THREADS, 0, s>>>(y, table, rows);
    return cudaGetLastError();
}

static __global__ void add_piece(fal_view dtable, fal_view dy, const int32_t *order,
                                 const fal_embed_piece *pieces, float *scratch) {
    fal_embed_piece piece = pieces[blockIdx.x];
    int64_t column = (int64_t)blockIdx.y * THREADS + threadIdx.x;
    if (column >= dy.n_cols) return;
    float *to = piece.slot >= 0 ? scratch + piece.slot * dy.n_cols + column
                                : dtable.data + piece.row * dtable.stride + column;
    float sum = piece.slot >= 0 ? 0.0f : *to;
    for (int32_t k = piece.first; k < piece.first + piece.n; k++)
        sum += dy.data[order[k] * dy.stride + column];
    *to = sum;
}

cudaError_t fal_launch_embed_pieces(cudaStream_t s, fal_view dtable, fal_view dy,
                                    const int32_t *order, const fal_embed_piece *pieces,
                                    int64_t n_pieces, float *scratch) {
    if (n_pieces == 0) return cudaSuccess;
    add_piece<<<dim3((unsigned)n_pieces, column_tiles(dy.n_cols)), THREADS, 0, s>>>(
        dtable, dy, order, pieces, scratch);
    return cudaGetLastError();
}

static __global__ void add_slots(fal_view dtable, const fal_embed_piece *sums,
                                 const float *scratch) {
    fal_embed_piece piece = sums[blockIdx.x];
    int64_t column = (int64_t)blockIdx.y * THREADS + threadIdx.x;
    if (column >= dtable.n_cols) return;
    float sum = 0.0f;
    for (int32_t k = piece.first; k < piece.first + piece.n; k++)
        sum += scratch[k * dtable.n_cols + column];
    dtable.data[piece.row * dtable.stride + column] += sum;
}

cudaError_t fal_launch_embed_slots(cudaStream_t s, fal_view dtable, const fal_embed_piece *sums,
                                   int64_t n_sums, const float *scratch) {
    if (n_sums == 0) return cudaSuccess;
    add_slots<<<dim3((unsigned)n_sums, column_tiles(dtable.n_cols)), THREADS, 0, s>>>(dtable, sums,
                                                                                      scratch);
    return cudaGetLastError();
}
