/* The cpu device: its threads, its kernel set for this processor, and the scratch memory of its queues. */
#include "compute/cpu/cpu.h"

#include "base/alloc.h"

static void close_device(fal_device *device) {
    fal_cpu_state *state = device->state;
    if (!state) return;
    fal_pool_close(state->pool);
    fal_free(state);
    device->state = NULL;
}

static fal_status open_device(fal_device *device, int n_threads, fal_error *err) {
    fal_cpu_state *state = fal_alloc(1, sizeof *state);
    if (!state) return fal_fail_memory(err, sizeof *state);
    device->state = state;
    state->kernels = fal_kernel_set_for(fal_cpu_level_get());
    fal_status status = fal_pool_open(&state->pool, n_threads, err);
    if (status != FAL_OK) {
        close_device(device);
        return status;
    }
    device->n_threads = fal_pool_size(state->pool);
    return FAL_OK;
}

static const char *name_kernels(const fal_device *device) {
    return ((const fal_cpu_state *)device->state)->kernels->name;
}

static bool can_multiply(const fal_device *device, const fal_type *type) {
    const fal_cpu_state *state = device->state;
    return fal_kernel_set_matmul(state->kernels, type->name) != NULL;
}

static fal_status open_queue(fal_queue *q, fal_error *err) {
    q->state = fal_alloc(1, sizeof(fal_cpu_queue));
    return q->state ? FAL_OK : fal_fail_memory(err, sizeof(fal_cpu_queue));
}

static void close_queue(fal_queue *q) {
    fal_cpu_queue *own = q->state;
    for (int slot = 0; slot < FAL_CPU_SCRATCH_COUNT; slot++)
        fal_free(own->scratch[slot]);
    fal_free(own);
}

void *fal_cpu_scratch(fal_queue *q, int slot, size_t bytes) {
    fal_cpu_queue *own = q->state;
    if (own->scratch_bytes[slot] >= bytes && own->scratch[slot]) return own->scratch[slot];
    fal_free(own->scratch[slot]);
    own->scratch_bytes[slot] = 0;
    own->scratch[slot] = fal_alloc_aligned(bytes, 1);
    if (own->scratch[slot])
        own->scratch_bytes[slot] = bytes;
    else
        fal_queue_fail(q, FAL_E_MEMORY, "scratch", "out of memory: %zu bytes wanted", bytes);
    return own->scratch[slot];
}

static const fal_ops cpu_ops = {
#define FAL_OP(name, parameters, meaning) .name = fal_cpu_##name,
#include "compute/ops.def"
#undef FAL_OP
};

const fal_backend fal_backend_cpu = {
    .name = "cpu",
    .meaning = "the processor's cores, with the best kernels for its instructions",
    .open = open_device,
    .close = close_device,
    .kernel_set = name_kernels,
    .queue_open = open_queue,
    .queue_close = close_queue,
    .can_multiply = can_multiply,
    .piece_rows = 256,
    .ops = &cpu_ops,
};
