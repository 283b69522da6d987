/* What the checks of operations share: devices of both kernel sets, matrices filled with random numbers, and the
 * comparison of a column with ref. A program includes it once. */
#ifndef FAL_TESTS_UNIT_COMPUTE_OPCHECK_H
#define FAL_TESTS_UNIT_COMPUTE_OPCHECK_H

#include "base/alloc.h"
#include "base/half.h"
#include "base/random.h"
#include "check.h"
#include "compute/cpu/cpu.h"
#include "test_device.h"

#include <math.h>
#include <string.h>

/* A queue on a device of its own. */
typedef struct opened {
    fal_device *device;
    fal_queue *q;
} opened;

static inline opened open_ref(void) {
    opened o;
    fal_error err;
    assert_int_equal(fal_device_open(&o.device, "ref", 0, &err), FAL_OK);
    assert_int_equal(fal_queue_open(&o.q, o.device, &err), FAL_OK);
    return o;
}

/* The cpu device with the kernels of a level, whatever FALCONER_CPU says. */
static inline opened open_cpu(fal_cpu_level level, int n_threads) {
    opened o;
    fal_error err;
    assert_int_equal(fal_device_open(&o.device, "cpu", n_threads, &err), FAL_OK);
    ((fal_cpu_state *)o.device->state)->kernels = fal_kernel_set_for(level);
    assert_int_equal(fal_queue_open(&o.q, o.device, &err), FAL_OK);
    return o;
}

static inline void close_opened(opened o) {
    fal_error err = {0};
    if (fal_queue_wait(o.q, &err) != FAL_OK) fail_msg("%s", err.message);
    fal_queue_close(o.q);
    fal_device_close(o.device);
}

/* The levels that can run here: portable, and what the processor has; none if another device is to be tested. */
static inline int n_levels(void) {
    return test_device() ? 0 : (int)fal_cpu_level_get() + 1;
}

static const int thread_counts[] = {1, 2, 3, 7};

enum {
    N_THREAD_COUNTS = sizeof thread_counts / sizeof thread_counts[0]
};

/* Rows lie `gap` bytes further apart than they must; everything is zero. */
static inline fal_tensor matrix_with_gap(const char *type_name, int64_t n_rows, int64_t n_cols,
                                         size_t gap) {
    const fal_type *type = fal_type_by_name(type_name);
    assert_non_null(type);
    size_t row_bytes;
    fal_error err;
    assert_int_equal(fal_type_row_bytes(type, n_cols, &row_bytes, &err), FAL_OK);
    row_bytes += gap;
    void *data = fal_alloc((size_t)n_rows + 1, row_bytes);
    assert_non_null(data);
    return (fal_tensor){data, type, n_rows, n_cols, row_bytes};
}

static inline fal_tensor matrix(const char *type_name, int64_t n_rows, int64_t n_cols) {
    return matrix_with_gap(type_name, n_rows, n_cols, 0);
}

static inline void release(fal_tensor t) {
    fal_free(t.data);
}

static inline void *row_of(fal_tensor t, int64_t row) {
    return (char *)t.data + (size_t)row * t.row_bytes;
}

static inline void fill(fal_tensor t, fal_random *random, double scale) {
    float *numbers = fal_alloc((size_t)t.n_cols, sizeof *numbers);
    assert_non_null(numbers);
    for (int64_t row = 0; row < t.n_rows; row++) {
        for (int64_t i = 0; i < t.n_cols; i++)
            numbers[i] = (float)(scale * fal_random_normal(random));
        t.type->encode(numbers, NULL, row_of(t, row), t.n_cols / t.type->weights_per_block);
    }
    fal_free(numbers);
}

static inline fal_tensor random_matrix(const char *type_name, int64_t n_rows, int64_t n_cols,
                                       fal_random *random) {
    fal_tensor t = matrix(type_name, n_rows, n_cols);
    fill(t, random, 1.0);
    return t;
}

static inline fal_tensor copy_of(fal_tensor t) {
    fal_tensor copy = t;
    copy.data = fal_alloc((size_t)t.n_rows + 1, t.row_bytes);
    assert_non_null(copy.data);
    memcpy(copy.data, t.data, ((size_t)t.n_rows + 1) * t.row_bytes);
    return copy;
}

static inline void check_same_bits(fal_tensor a, fal_tensor b, const char *what) {
    size_t bytes;
    fal_error err;
    assert_int_equal(fal_type_row_bytes(a.type, a.n_cols, &bytes, &err), FAL_OK);
    assert_int_equal(a.n_rows, b.n_rows);
    for (int64_t row = 0; row < a.n_rows; row++) {
        if (memcmp(row_of(a, row), row_of(b, row), bytes) != 0)
            fail_msg("%s: row %lld differs", what, (long long)row);
    }
}

static inline void check_no_failure(fal_queue *q) {
    fal_error err = {0};
    if (fal_queue_wait(q, &err) != FAL_OK) fail_msg("%s", err.message);
}

#endif
