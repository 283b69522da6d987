/* Rows taken from a table of any type: tokens among threads. */
#include "compute/checks.h"
#include "compute/cpu/cpu.h"

typedef struct embed_work {
    fal_tensor y, table;
    const int32_t *rows;
} embed_work;

static void embed_tokens(void *argument, int64_t begin, int64_t end) {
    const embed_work *work = argument;
    fal_tensor table = work->table;
    int64_t n_blocks = table.n_cols / table.type->weights_per_block;
    for (int64_t token = begin; token < end; token++) {
        const char *blocks = (const char *)table.data + (size_t)work->rows[token] * table.row_bytes;
        table.type->decode(blocks, fal_tensor_f32_row(work->y, token), n_blocks);
    }
}

void fal_cpu_embed(fal_queue *q, fal_tensor y, fal_tensor table, const int32_t *rows) {
    if (!fal_check_embed(q, y, table, rows)) return;
    embed_work work = {y, table, rows};
    fal_pool_for(fal_cpu_pool(q), y.n_rows, 8, embed_tokens, &work);
}
