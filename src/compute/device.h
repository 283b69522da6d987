/* What computes: a device, and queues on which operations are called. Backends are rows in backends.c. */
#ifndef FAL_COMPUTE_DEVICE_H
#define FAL_COMPUTE_DEVICE_H

#include "compute/ops.h"

typedef struct fal_device fal_device;

/* One backend: how its devices come and go, and its column of operations. */
typedef struct fal_backend {
    const char *name; /* "cpu" */
    const char *meaning;
    fal_status (*open)(fal_device *device, int n_threads, fal_error *err);
    void (*close)(fal_device *device);
    /* The name of what runs the inner loops ("avx2"); static. */
    const char *(*kernel_set)(const fal_device *device);
    fal_status (*queue_open)(fal_queue *q, fal_error *err);
    void (*queue_close)(fal_queue *q);
    /* Whether linear takes weights of this type; NULL: all that files may hold. */
    bool (*can_multiply)(const fal_device *device, const fal_type *type);
    /* Memory that both the operations and the host can reach; NULL: all of the host's memory is. Fails: MEMORY. */
    fal_status (*memory_take)(void **out, fal_device *device, size_t bytes, fal_error *err);
    void (*memory_give)(void *memory, fal_device *device);
    /* Waits for the operations called so far, and keeps their failure in the queue; NULL: they are done when they
     * return. */
    void (*queue_wait)(fal_queue *q);
    /* Rows that keep it busy: callers that go over rows in pieces, to save memory, take about as many. */
    int64_t piece_rows;
    const fal_ops *ops;
} fal_backend;

struct fal_device {
    const fal_backend *backend;
    int n_threads;
    void *state; /* the backend's own */
};

/* Told of a product with weights w before it is computed: x [n_tokens, w.n_cols] f32 are its activations. Both are
 * borrowed for the call. */
typedef void fal_on_linear(void *user, fal_tensor w, fal_tensor x);

/* A queue belongs to one thread at a time. Calls are executed in order. The first failure is kept; later operations do
 * nothing. */
struct fal_queue {
    const fal_ops *ops;
    fal_device *device; /* NULL for the plan column */
    void *state; /* the backend's own; of the plan column, the device whose abilities are checked */
    fal_error error;          /* error.status is OK while nothing failed */
    int layer;                /* label for messages; -1: outside the layers */
    fal_on_linear *on_linear; /* NULL: nobody wants to know; the plan column tells nobody */
    void *on_linear_user;
};

int fal_backend_count(void);
const fal_backend *fal_backend_at(int index);

/* name NULL: "cpu". n_threads 0: the usable cores. Fails: NOT_FOUND (no such backend, naming those there are),
 * ARGUMENT, MEMORY. */
fal_status fal_device_open(fal_device **out, const char *name, int n_threads, fal_error *err);
void fal_device_close(fal_device *device);

/* Whether tensors on device lie in memory of its own, not in the process's; device NULL: they do not. */
static inline bool fal_device_has_memory(const fal_device *device) {
    return device && device->backend->memory_take;
}

/* Memory for the tensors of operations on device, aligned to 64 bytes, not zeroed; device NULL: the host's. The host may
 * touch it while no operation is under way: after fal_queue_wait. Give it back before the device is closed. Fails: MEMORY. */
fal_status fal_memory_take(void **out, fal_device *device, size_t bytes, fal_error *err);
void fal_memory_give(void *memory, fal_device *device);

/* A queue of its own on device, which must outlive it. Operations on queues of one device are executed in the order of
 * their calls. Fails: MEMORY. */
fal_status fal_queue_open(fal_queue **out, fal_device *device, fal_error *err);
void fal_queue_close(fal_queue *q);

/* The plan column: computes nothing, checks every shape and type. device tells whose abilities are checked. */
fal_status fal_queue_open_plan(fal_queue **out, fal_device *device, fal_error *err);

/* Waits for everything called so far; returns (and clears) the first failure. Until then tensors must stay as they are,
 * and plain arrays that operations write are not valid; plain arrays that they read may change as soon as they return. */
fal_status fal_queue_wait(fal_queue *q, fal_error *err);

/* For backends: keeps a failure with the operation's name if it is the first. */
__attribute__((format(printf, 4, 5))) void fal_queue_fail(fal_queue *q, fal_status status,
                                                          const char *operation, const char *format,
                                                          ...);

static inline bool fal_queue_has_failed(const fal_queue *q) {
    return q->error.status != FAL_OK;
}

#endif
