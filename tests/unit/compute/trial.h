/* One set of arguments to an operation, called on every column: the cpu's with each kernel set against ref, bit for bit over
 * numbers of threads, and nothing written behind rows that lie apart. A program includes it once. */
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

/* Root of the mean square of the difference, relative to that of what is wanted; then the largest difference. */
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
    double n = (double)(wanted.n_rows * wanted.n_cols), scale = sqrt(size / n) + 1e-30;
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

static inline void check_trial(trial *t) {
    fal_tensor wanted[4], first[4], found[4];
    run_trial(t, open_ref(), wanted);
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
