/* Devices and queues: opening, closing, and keeping the first failure. What they compute on is the backends' matter. */
#include "compute/device.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/string_builder.h"
#include "compute/plan/plan.h"

#include <stdarg.h>
#include <stdio.h>

static fal_status fail_backend_name(const char *name, fal_error *err) {
    fal_string_builder names = {0};
    for (int i = 0; i < fal_backend_count(); i++)
        fal_string_append_format(&names, "%s%s", i ? ", " : "", fal_backend_at(i)->name);
    fal_status status = fal_fail(err, FAL_E_NOT_FOUND, "no device is called '%s'; there are: %s",
                                 name, names.text ? names.text : "");
    fal_string_release(&names);
    return status;
}

fal_status fal_device_open(fal_device **out, const char *name, int n_threads, fal_error *err) {
    *out = NULL;
    const fal_backend *backend = name ? NULL : fal_backend_at(0);
    for (int i = 0; !backend && i < fal_backend_count(); i++) {
        if (fal_slice_equals(fal_slice_of(name), fal_backend_at(i)->name))
            backend = fal_backend_at(i);
    }
    if (!backend) return fail_backend_name(name, err);
    if (n_threads < 0)
        return fal_fail(err, FAL_E_ARGUMENT, "threads: %d, at least 1 (0: as many as cores)",
                        n_threads);
    fal_device *device = fal_alloc(1, sizeof *device);
    if (!device) return fal_fail_memory(err, sizeof *device);
    device->backend = backend;
    fal_status status = backend->open(device, n_threads, err);
    if (status != FAL_OK) {
        fal_free(device);
        return status;
    }
    *out = device;
    return FAL_OK;
}

void fal_device_close(fal_device *device) {
    if (!device) return;
    device->backend->close(device);
    fal_free(device);
}

fal_status fal_memory_take(void **out, fal_device *device, size_t bytes, fal_error *err) {
    if (device && device->backend->memory_take)
        return device->backend->memory_take(out, device, bytes, err);
    *out = fal_alloc_aligned(bytes, 1);
    return *out ? FAL_OK : fal_fail_memory(err, bytes);
}

void fal_memory_give(void *memory, fal_device *device) {
    if (device && device->backend->memory_give) {
        device->backend->memory_give(memory, device);
    } else {
        fal_free(memory);
    }
}

fal_status fal_queue_open(fal_queue **out, fal_device *device, fal_error *err) {
    *out = NULL;
    fal_queue *q = fal_alloc(1, sizeof *q);
    if (!q) return fal_fail_memory(err, sizeof *q);
    q->ops = device->backend->ops;
    q->device = device;
    q->layer = -1;
    fal_status status = device->backend->queue_open(q, err);
    if (status != FAL_OK) {
        fal_free(q);
        return status;
    }
    *out = q;
    return FAL_OK;
}

fal_status fal_queue_open_plan(fal_queue **out, fal_device *device, fal_error *err) {
    *out = NULL;
    fal_queue *q = fal_alloc(1, sizeof *q);
    if (!q) return fal_fail_memory(err, sizeof *q);
    q->ops = &fal_plan_ops;
    q->state = device;
    q->layer = -1;
    *out = q;
    return FAL_OK;
}

void fal_queue_close(fal_queue *q) {
    if (!q) return;
    if (q->device) q->device->backend->queue_close(q);
    fal_free(q);
}

fal_status fal_queue_wait(fal_queue *q, fal_error *err) {
    if (q->device && q->device->backend->queue_wait) q->device->backend->queue_wait(q);
    fal_status status = q->error.status;
    if (status == FAL_OK) return FAL_OK;
    if (err) *err = q->error;
    q->error.status = FAL_OK;
    return status;
}

void fal_queue_fail(fal_queue *q, fal_status status, const char *operation, const char *format,
                    ...) {
    if (fal_queue_has_failed(q)) return;
    char message[sizeof q->error.message - 100];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    char label[32] = "";
    if (q->layer >= 0) snprintf(label, sizeof label, "layer %d, ", q->layer);
    fal_fail(&q->error, status, "%s%s: %s", label, operation, message);
}
