/* Rows of a table, and its gradient: tokens are put in the order of their rows here, and cut into pieces that are added
 * side by side. */
#include "compute/checks.h"
#include "compute/cuda/cuda.h"

enum {
    PIECE_TOKENS = 32
};

void fal_cuda_embed(fal_queue *q, fal_tensor y, fal_tensor table, const int32_t *rows) {
    if (!fal_check_embed(q, y, table, rows)) return;
    if (table.type->gguf_id != FAL_TYPE_F32) {
        fal_queue_fail(q, FAL_E_UNSUPPORTED, "embed", "weights of type %s on the cuda device",
                       table.type->name);
        return;
    }
    const int32_t *at = fal_cuda_send(q, "embed", rows, (size_t)y.n_rows * sizeof *rows);
    if (!at) return;
    (void)fal_cuda_succeeded(
        q, "embed",
        fal_launch_embed(fal_cuda_stream(q), fal_cuda_view(y), fal_cuda_view(table), at));
}

/* How tokens are added to the rows of a table. All arrays lie in one block, which pieces begin. */
typedef struct schedule {
    int32_t *begins;         /* [n_table_rows + 1] where each row's tokens begin in order */
    int32_t *order;          /* [n_tokens] tokens, by row and then as they come */
    fal_embed_piece *pieces; /* [n_pieces] */
    fal_embed_piece *sums;   /* [n_sums] of rows with several pieces */
    int64_t n_pieces, n_sums;
    int32_t n_slots;
} schedule;

static void order_tokens(schedule *s, const int32_t *rows, int64_t n_tokens, int64_t n_table_rows) {
    for (int64_t token = 0; token < n_tokens; token++)
        s->begins[rows[token] + 1]++;
    for (int64_t row = 0; row < n_table_rows; row++)
        s->begins[row + 1] += s->begins[row];
    for (int64_t token = 0; token < n_tokens; token++)
        s->order[s->begins[rows[token]]++] = (int32_t)token;
    for (int64_t row = n_table_rows; row > 0; row--)
        s->begins[row] = s->begins[row - 1];
    s->begins[0] = 0;
}

static void cut_row(schedule *s, int32_t row) {
    int32_t begin = s->begins[row], end = s->begins[row + 1];
    bool is_cut = end - begin > PIECE_TOKENS;
    if (is_cut)
        s->sums[s->n_sums++] = (fal_embed_piece){
            .row = row, .first = s->n_slots, .n = (end - begin + PIECE_TOKENS - 1) / PIECE_TOKENS};
    for (int32_t first = begin; first < end; first += PIECE_TOKENS) {
        int32_t n = end - first < PIECE_TOKENS ? end - first : PIECE_TOKENS;
        s->pieces[s->n_pieces++] = (fal_embed_piece){
            .row = row, .first = first, .n = n, .slot = is_cut ? s->n_slots++ : -1};
    }
}

/* In the host's scratch. Fails in the queue: LIMIT, MEMORY. */
static bool make_schedule(schedule *s, fal_queue *q, const int32_t *rows, int64_t n_tokens,
                          int64_t n_table_rows) {
    if (n_tokens >= INT32_MAX || n_table_rows >= INT32_MAX) {
        fal_queue_fail(q, FAL_E_LIMIT, "embed_gradient", "%lld tokens of %lld rows, at most %d",
                       (long long)n_tokens, (long long)n_table_rows, INT32_MAX - 1);
        return false;
    }
    size_t n = (size_t)n_tokens;
    size_t piece_bytes = 2 * n * sizeof *s->pieces, order_bytes = n * sizeof *s->order;
    size_t begin_bytes = ((size_t)n_table_rows + 1) * sizeof *s->begins;
    char *block =
        fal_cuda_host_scratch(q, "embed_gradient", piece_bytes + order_bytes + begin_bytes);
    if (!block) return false;
    *s = (schedule){.pieces = (fal_embed_piece *)(void *)block,
                    .order = (int32_t *)(void *)(block + piece_bytes),
                    .begins = (int32_t *)(void *)(block + piece_bytes + order_bytes)};
    s->sums = s->pieces + n;
    order_tokens(s, rows, n_tokens, n_table_rows);
    for (int32_t row = 0; row < (int32_t)n_table_rows; row++)
        cut_row(s, row);
    return true;
}

static void add_pieces(fal_queue *q, const schedule *s, fal_view dtable, fal_view dy) {
    static const char operation[] = "embed_gradient";
    const int32_t *order =
        fal_cuda_send(q, operation, s->order, (size_t)dy.n_rows * sizeof *s->order);
    const fal_embed_piece *pieces =
        fal_cuda_send(q, operation, s->pieces, (size_t)s->n_pieces * sizeof *s->pieces);
    const fal_embed_piece *sums =
        fal_cuda_send(q, operation, s->sums, (size_t)s->n_sums * sizeof *s->sums);
    float *slots =
        fal_cuda_scratch(q, operation, (size_t)s->n_slots * (size_t)dy.n_cols * sizeof *slots);
    if (!order || !pieces || !sums || !slots) return;
    cudaError_t error =
        fal_launch_embed_pieces(fal_cuda_stream(q), dtable, dy, order, pieces, s->n_pieces, slots);
    if (error == cudaSuccess)
        error = fal_launch_embed_slots(fal_cuda_stream(q), dtable, sums, s->n_sums, slots);
    (void)fal_cuda_succeeded(q, operation, error);
}

void fal_cuda_embed_gradient(fal_queue *q, fal_tensor dtable, fal_tensor dy, const int32_t *rows) {
    schedule s;
    if (!fal_check_embed_gradient(q, dtable, dy, rows) || dy.n_rows == 0) return;
    if (!make_schedule(&s, q, rows, dy.n_rows, dtable.n_rows)) return;
    add_pieces(q, &s, fal_cuda_view(dtable), fal_cuda_view(dy));
}
