/* One set of arguments to an operation, called on every column: the cpu's with each kernel set against ref, bit for bit over
 * numbers of threads, and nothing written behind rows that lie apart; or, if one is named, another device's against ref, bit
 * for bit twice. A program includes it once. */
#ifndef FAL_TESTS_UNIT_COMPUTE_TRIAL_H
#define FAL_TESTS_UNIT_COMPUTE_TRIAL_H

#include "opcheck.h"

/* Rows lie apart, and numbers beyond the columns must stay as they are. */
static inline fal_tensor wide_matrix(int64_t n_rows, int64_t n_cols, fal_random *random) {
    fal_tensor t = matrix_with_gap("f32", n_rows, n_cols, 24);
    memset(t.data, 0x55, (size_t)n_rows * t.row_bytes);
    fill(t, random, 1.0);
    return t;
}

static inline void check_gap(fal_tensor t, const char *what) {
    for (int64_t row = 0; row < t.n_rows; row++) {
        const unsigned char *behind = row_of(t, row);
        behind += (size_t)t.n_cols * sizeof(float);
        for (size_t i = 0; i < 24; i++)
            if (behind[i] != 0x55) fail_msg("%s: wrote behind row %lld", what, (long long)row);
    }
}

/* Root of the mean square of the difference, relative to that of what is wanted, or to 1 where that is nothing but zeros: a
 * gradient that vanishes is a difference of numbers near 1. Then the largest difference. */
static inline void check_close(fal_tensor found, fal_tensor wanted, double bound,
                               const char *what) {
    double off = 0.0, size = 0.0, most = 0.0;
    for (int64_t row = 0; row < wanted.n_rows; row++) {
        for (int64_t i = 0; i < wanted.n_cols; i++) {
            double expected = (double)fal_tensor_f32_row(wanted, row)[i];
            double difference = (double)fal_tensor_f32_row(found, row)[i] - expected;
            if (isnan(difference)) fail_msg("%s: no number in row %lld", what, (long long)row);
            off += difference * difference;
            size += expected * expected;
            most = fmax(most, fabs(difference));
        }
    }
    double n = (double)(wanted.n_rows * wanted.n_cols), scale = size > 0 ? sqrt(size / n) : 1;
    if (sqrt(off / n) > bound * scale || most > 12.0 * bound * scale)
        fail_msg("%s: off by %.3g, at most %.3g", what, sqrt(off / n) / scale, most / scale);
}

/* One set of arguments to one operation: called on each column, its results compared. */
typedef struct trial {
    const char *name;
    void (*call)(fal_queue *q, const struct trial *trial, fal_tensor *results);
    int n_results;
    fal_tensor results[4]; /* as they are before the call */
    fal_tensor inputs[6];
    const void *how;
    int number;
    double bound;
} trial;

static inline void run_trial(const trial *t, opened o, fal_tensor *results) {
    for (int i = 0; i < t->n_results; i++)
        results[i] = copy_of(t->results[i]);
    t->call(o.q, t, results);
    close_opened(o);
}

static inline void release_results(const trial *t, fal_tensor *results) {
    for (int i = 0; i < t->n_results; i++)
        release(results[i]);
}

static inline fal_tensor copy_on(fal_device *device, fal_tensor t) {
    fal_error err;
    fal_tensor copy = t;
    size_t bytes = ((size_t)t.n_rows + 1) * t.row_bytes;
    if (!t.data) return t;
    assert_int_equal(fal_memory_take(&copy.data, device, bytes, &err), FAL_OK);
    memcpy(copy.data, t.data, bytes);
    return copy;
}

/* The same on a device with memory of its own; the results are the host's. */
static inline void run_trial_there(const trial *t, opened o, fal_tensor *results) {
    trial there = *t;
    fal_tensor theirs[4];
    for (int i = 0; i < 6; i++)
        there.inputs[i] = copy_on(o.device, t->inputs[i]);
    for (int i = 0; i < t->n_results; i++)
        theirs[i] = copy_on(o.device, t->results[i]);
    t->call(o.q, &there, theirs);
    check_no_failure(o.q);
    for (int i = 0; i < t->n_results; i++) {
        results[i] = copy_of(theirs[i]);
        fal_memory_give(theirs[i].data, o.device);
    }
    for (int i = 0; i < 6; i++)
        fal_memory_give(there.inputs[i].data, o.device);
}

/* The device that is named is opened once: that takes long. */
static inline opened open_named(void) {
    static opened o;
    fal_error err;
    if (o.device) return o;
    assert_int_equal(fal_device_open(&o.device, test_device(), 0, &err), FAL_OK);
    assert_int_equal(fal_queue_open(&o.q, o.device, &err), FAL_OK);
    return o;
}

static inline void check_trial_there(const trial *t, const fal_tensor *wanted) {
    fal_tensor first[4], found[4];
    run_trial_there(t, open_named(), first);
    run_trial_there(t, open_named(), found);
    for (int i = 0; i < t->n_results; i++) {
        check_close(first[i], wanted[i], t->bound, t->name);
        check_gap(first[i], t->name);
        check_same_bits(first[i], found[i], t->name);
    }
    release_results(t, first);
    release_results(t, found);
}

static inline void check_trial(trial *t) {
    fal_tensor wanted[4], first[4], found[4];
    run_trial(t, open_ref(), wanted);
    if (test_device()) check_trial_there(t, wanted);
    for (int level = 0; level < n_levels(); level++) {
        run_trial(t, open_cpu((fal_cpu_level)level, 1), first);
        for (int i = 0; i < t->n_results; i++) {
            check_close(first[i], wanted[i], t->bound, t->name);
            check_gap(first[i], t->name);
        }
        for (int k = 1; k < N_THREAD_COUNTS; k++) {
            run_trial(t, open_cpu((fal_cpu_level)level, thread_counts[k]), found);
            for (int i = 0; i < t->n_results; i++)
                check_same_bits(first[i], found[i], t->name);
            release_results(t, found);
        }
        release_results(t, first);
    }
    release_results(t, wanted);
    release_results(t, t->results);
    for (int i = 0; i < 6; i++)
        release(t->inputs[i]);
}

#endif
