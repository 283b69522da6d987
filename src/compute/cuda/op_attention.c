/* Attention within packed sequences: the tiles of each sequence are listed here. */
#include "compute/checks.h"
#include "compute/cuda/cuda.h"

enum {
    WANTED_BLOCKS =
        1024 /* of the gradient of keys: enough to fill a device, whatever device it is */
};

static int64_t count_tiles(const fal_packing *p) {
    int64_t n = 0;
    for (int64_t i = 0; i < p->n_sequences; i++)
        n += (p->starts[i + 1] - p->starts[i] + FAL_TILE_ROWS - 1) / FAL_TILE_ROWS;
    return n;
}

/* A sequence's last tile first: it has the most cells to look at. */
static void list_tiles(fal_tile *tiles, const fal_packing *p) {
    for (int64_t i = 0; i < p->n_sequences; i++) {
        int64_t begin = p->starts[i], end = p->starts[i + 1];
        int64_t n = (end - begin + FAL_TILE_ROWS - 1) / FAL_TILE_ROWS;
        for (int64_t k = n - 1; k >= 0; k--) {
            int64_t first = begin + k * FAL_TILE_ROWS;
            *tiles++ = (fal_tile){
                .first = (int32_t)first,
                .end = (int32_t)(end - first < FAL_TILE_ROWS ? end : first + FAL_TILE_ROWS),
                .sequence_first = (int32_t)begin,
                .sequence_end = (int32_t)end};
        }
    }
}

static bool are_heads_possible(fal_queue *q, const char *operation, const fal_packing *p,
                               int64_t n_tokens) {
    if (p->head_dim > FAL_MAX_HEAD_DIM) {
        fal_queue_fail(q, FAL_E_UNSUPPORTED, operation,
                       "heads of dimension %d on the cuda device, at most %d", p->head_dim,
                       FAL_MAX_HEAD_DIM);
        return false;
    }
    if (n_tokens > INT32_MAX / 2 || p->n_heads > UINT16_MAX) {
        fal_queue_fail(q, FAL_E_LIMIT, operation, "%lld tokens of %d heads, at most %d of %d",
                       (long long)n_tokens, p->n_heads, INT32_MAX / 2, UINT16_MAX);
        return false;
    }
    return true;
}

static bool send_heads(fal_heads *heads, fal_queue *q, const char *operation, const fal_packing *p,
                       int64_t n_tokens) {
    if (!are_heads_possible(q, operation, p, n_tokens)) return false;
    *heads = (fal_heads){.n_tiles = count_tiles(p),
                         .n_heads = p->n_heads,
                         .n_kv_heads = p->n_kv_heads,
                         .head_dim = p->head_dim,
                         .scale = p->scale};
    size_t tile_bytes = (size_t)heads->n_tiles * sizeof *heads->tiles;
    fal_tile *tiles = fal_cuda_host_scratch(q, operation, tile_bytes);
    if (!tiles) return false;
    list_tiles(tiles, p);
    heads->tiles = fal_cuda_send(q, operation, tiles, tile_bytes);
    if (p->alibi_slopes)
        heads->alibi_slopes = fal_cuda_send(q, operation, p->alibi_slopes,
                                            (size_t)p->n_heads * sizeof *p->alibi_slopes);
    return heads->tiles && (heads->alibi_slopes || !p->alibi_slopes);
}

void fal_cuda_packed_attention(fal_queue *q, fal_tensor out, fal_tensor log_sums, fal_tensor query,
                               fal_tensor key, fal_tensor value, const fal_packing *p) {
    static const char operation[] = "packed_attention";
    fal_heads heads;
    if (!fal_check_packed_attention(q, out, log_sums, query, key, value, p)
        || !send_heads(&heads, q, operation, p, query.n_rows))
        return;
    (void)fal_cuda_succeeded(q, operation,
                             fal_launch_attention(fal_cuda_stream(q), fal_cuda_view(out),
                                                  fal_cuda_view(log_sums), fal_cuda_view(query),
                                                  fal_cuda_view(key), fal_cuda_view(value), heads));
}

/* ---- the gradient ---- */

/* How many parts the query heads of a kv head are dealt to: as few as give the device enough to do. */
static int parts_for(const fal_heads *heads) {
    int n_group = heads->n_heads / heads->n_kv_heads, n_parts = 1;
    while (n_parts < n_group && heads->n_tiles * heads->n_kv_heads * n_parts < WANTED_BLOCKS) {
        n_parts++;
        while (n_group % n_parts != 0)
            n_parts++;
    }
    return n_parts;
}

/* Gradients of keys and values: at once, or in parts that are added in their order. */
static cudaError_t add_up_keys(cudaStream_t s, fal_view dkey, fal_view dvalue,
                               fal_attention_inputs in, fal_heads heads, int n_parts,
                               float *scratch) {
    if (n_parts == 1) return fal_launch_attention_dkey(s, dkey, dvalue, in, heads, 1);
    fal_view keys = {scratch, dkey.n_rows, dkey.n_cols, dkey.n_cols}, values = keys;
    values.data += n_parts * dkey.n_rows * dkey.n_cols;
    cudaError_t error = fal_launch_attention_dkey(s, keys, values, in, heads, n_parts);
    if (error == cudaSuccess) error = fal_launch_sum_parts(s, dkey, keys, n_parts);
    if (error == cudaSuccess) error = fal_launch_sum_parts(s, dvalue, values, n_parts);
    return error;
}

void fal_cuda_packed_attention_gradient(fal_queue *q, fal_tensor dquery, fal_tensor dkey,
                                        fal_tensor dvalue, fal_tensor dout, fal_tensor out,
                                        fal_tensor log_sums, fal_tensor query, fal_tensor key,
                                        fal_tensor value, const fal_packing *p) {
    static const char operation[] = "packed_attention_gradient";
    fal_heads heads;
    if (!fal_check_packed_attention_gradient(q, dquery, dkey, dvalue, dout, out, log_sums, query,
                                             key, value, p)
        || !send_heads(&heads, q, operation, p, query.n_rows))
        return;
    int n_parts = parts_for(&heads);
    size_t n_means = (size_t)query.n_rows * (size_t)p->n_heads;
    size_t n_partial =
        n_parts == 1 ? 0 : 2 * (size_t)n_parts * (size_t)key.n_rows * (size_t)key.n_cols;
    float *scratch = fal_cuda_scratch(q, operation, (n_partial + n_means) * sizeof *scratch);
    if (!scratch) return;
    float *means = scratch + n_partial;
    fal_attention_inputs in = {.dout = fal_cuda_view(dout),
                               .log_sums = fal_cuda_view(log_sums),
                               .query = fal_cuda_view(query),
                               .key = fal_cuda_view(key),
                               .value = fal_cuda_view(value),
                               .means = means};
    cudaStream_t s = fal_cuda_stream(q);
    cudaError_t error = fal_launch_attention_means(s, means, in.dout, fal_cuda_view(out), heads);
    if (error == cudaSuccess)
        error = fal_launch_attention_dquery(s, fal_cuda_view(dquery), in, heads);
    if (error == cudaSuccess)
        error =
            add_up_keys(s, fal_cuda_view(dkey), fal_cuda_view(dvalue), in, heads, n_parts, scratch);
    (void)fal_cuda_succeeded(q, operation, error);
}
