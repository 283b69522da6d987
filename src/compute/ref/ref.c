/* The ref device: one thread, no state. */
#include "compute/ref/ref.h"

static fal_status open_device(fal_device *device, int n_threads, fal_error *err) {
    (void)n_threads, (void)err;
    device->n_threads = 1;
    return FAL_OK;
}

static void close_device(fal_device *device) {
    (void)device;
}

static const char *name_kernels(const fal_device *device) {
    (void)device;
    return "scalar";
}

static fal_status open_queue(fal_queue *q, fal_error *err) {
    (void)q, (void)err;
    return FAL_OK;
}

static void close_queue(fal_queue *q) {
    (void)q;
}

static const fal_ops ref_ops = {
#define FAL_OP(name, parameters, meaning) .name = fal_ref_##name,
#include "compute/ops.def"
#undef FAL_OP
};

const fal_backend fal_backend_ref = {
    .name = "ref",
    .meaning = "scalar code in double precision: slow, what all else is compared with",
    .open = open_device,
    .close = close_device,
    .kernel_set = name_kernels,
    .queue_open = open_queue,
    .queue_close = close_queue,
    .piece_rows = 256,
    .ops = &ref_ops,
};
