/* Keys and values into the cells of each segment: tokens among threads. */
#include "compute/checks.h"
#include "compute/cpu/cpu.h"

#include <string.h>

typedef struct store_work {
    const fal_segment *segment;
    fal_tensor keys, values;
    fal_to_f16_kernel *to_f16;
    fal_quantize_kernel *quantize; /* NULL: cells of f16 or f32 */
} store_work;

static void store_row(const store_work *work, fal_tensor cells, int64_t cell, const float *row) {
    void *out = (char *)cells.data + (size_t)cell * cells.row_bytes;
    if (work->quantize)
        work->quantize(row, NULL, out, cells.n_cols / cells.type->weights_per_block);
    else if (cells.type->gguf_id == FAL_TYPE_F16)
        work->to_f16(row, out, cells.n_cols);
    else
        memcpy(out, row, (size_t)cells.n_cols * sizeof *row);
}

static void store_tokens(void *argument, int64_t begin, int64_t end) {
    const store_work *work = argument;
    const fal_segment *s = work->segment;
    for (int64_t t = begin; t < end; t++) {
        int64_t token = s->first_token + t, cell = s->position + t;
        store_row(work, s->keys, cell, fal_tensor_f32_row(work->keys, token));
        store_row(work, s->values, cell, fal_tensor_f32_row(work->values, token));
    }
}

void fal_cpu_store(fal_queue *q, const fal_attention *a, fal_tensor keys, fal_tensor values) {
    if (!fal_check_store(q, a, keys, values)) return;
    for (int i = 0; i < a->n_segments; i++) {
        const fal_type *type = a->segments[i].keys.type;
        store_work work = {
            &a->segments[i], keys, values, fal_cpu_kernels(q)->f16_from_f32,
            type->is_quantized ? fal_kernel_set_quantizer(fal_cpu_kernels(q), type->name) : NULL};
        fal_pool_for(fal_cpu_pool(q), a->segments[i].n_tokens, 16, store_tokens, &work);
    }
}
