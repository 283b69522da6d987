/* base/thread.h: every thread runs once, sums over any cut, ten thousand small runs, more threads than cores, several
 * callers, opening that fails. */
#include "base/alloc.h"
#include "base/thread.h"
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum {
    MOST_THREADS = 8
};

typedef struct visits {
    int n_threads;
    atomic_int seen[64];
    atomic_int wrong;
} visits;

static void visit(void *argument, int thread, int n_threads) {
    visits *v = argument;
    if (n_threads != v->n_threads || thread < 0 || thread >= n_threads) {
        atomic_fetch_add(&v->wrong, 1);
        return;
    }
    atomic_fetch_add(&v->seen[thread], 1);
}

static void every_thread_runs_exactly_once(void **state) {
    (void)state;
    for (int n = 1; n <= MOST_THREADS; n++) {
        fal_pool *pool;
        fal_error err = {0};
        CHECK_OK(fal_pool_open(&pool, n, &err), &err);
        assert_int_equal(fal_pool_size(pool), n);
        visits v = {.n_threads = n};
        for (int run = 1; run <= 50; run++) {
            fal_pool_run(pool, visit, &v);
            for (int i = 0; i < n; i++)
                assert_int_equal(atomic_load(&v.seen[i]), run);
        }
        assert_int_equal(atomic_load(&v.wrong), 0);
        fal_pool_close(pool);
    }
}

typedef struct marks {
    int64_t n, chunk;
    unsigned char *count; /* [n] */
    atomic_llong sum;
    atomic_int wrong;
} marks;

static void mark(void *argument, int64_t begin, int64_t end) {
    marks *m = argument;
    if (begin < 0 || begin >= end || end > m->n || end - begin > m->chunk)
        atomic_fetch_add(&m->wrong, 1);
    long long sum = 0;
    for (int64_t i = begin; i < end; i++) {
        m->count
            [i]++; /* a second visitor of i would be seen by its count and by the thread sanitizer */
        sum += i;
    }
    atomic_fetch_add(&m->sum, sum);
}

static void ranges_are_covered_once(void **state) {
    (void)state;
    static const int64_t sizes[] = {0, 1, 2, 7, 64, 1000, 4097};
    static const int64_t chunks[] = {1, 3, 64, 5000};
    for (int n = 1; n <= MOST_THREADS; n++) {
        fal_pool *pool;
        CHECK_OK(fal_pool_open(&pool, n, NULL), NULL);
        for (int i = 0; i < 28; i++) {
            marks m = {.n = sizes[i / 4], .chunk = chunks[i % 4]};
            m.count = fal_alloc((size_t)m.n, 1);
            fal_pool_for(pool, m.n, m.chunk, mark, &m);
            for (int64_t j = 0; j < m.n; j++)
                assert_int_equal(m.count[j], 1);
            assert_int_equal(atomic_load(&m.sum), m.n * (m.n - 1) / 2);
            assert_int_equal(atomic_load(&m.wrong), 0);
            fal_free(m.count);
        }
        fal_pool_close(pool);
    }
}

static void odd_ranges_do_nothing_or_run_whole(void **state) {
    (void)state;
    fal_pool *pool;
    CHECK_OK(fal_pool_open(&pool, 3, NULL), NULL);
    marks m = {.n = 5, .chunk = 1, .count = fal_alloc(5, 1)};
    fal_pool_for(pool, -3, 1, mark, &m);
    assert_int_equal(m.count[0], 0);
    fal_pool_for(pool, 5, 0, mark, &m); /* a chunk below one counts as one */
    fal_pool_for(pool, 5, -7, mark, &m);
    for (int i = 0; i < 5; i++)
        assert_int_equal(m.count[i], 2);
    assert_int_equal(atomic_load(&m.wrong), 0);
    fal_free(m.count);
    fal_pool_close(pool);
}

typedef struct plain_sums {
    long long part[64];
} plain_sums;

static void add_one(void *argument, int thread, int n_threads) {
    (void)n_threads;
    ((plain_sums *)argument)->part[thread]++; /* not atomic: the run's end must publish it */
}

/* Also far more threads than cores, where a pool that only spins would take minutes. */
static void ten_thousand_small_runs(void **state) {
    (void)state;
    static const int sizes[] = {1, 2, 4, 32};
    for (int i = 0; i < 4; i++) {
        int n_runs = sizes[i] > 4 ? 100 : sizes[i] > 2 ? 2000 : 10000;
        fal_pool *pool;
        CHECK_OK(fal_pool_open(&pool, sizes[i], NULL), NULL);
        plain_sums sums = {{0}};
        for (int run = 0; run < n_runs; run++) {
            fal_pool_run(pool, add_one, &sums);
            for (int t = 0; t < sizes[i]; t++)
                assert_int_equal(sums.part[t], run + 1);
        }
        fal_pool_close(pool);
    }
}

typedef struct caller {
    fal_pool *pool;
    plain_sums sums;
} caller;

static void *call_often(void *argument) {
    caller *c = argument;
    for (int run = 0; run < 300; run++)
        fal_pool_run(c->pool, add_one, &c->sums);
    return NULL;
}

static void callers_take_turns(void **state) {
    (void)state;
    fal_pool *pool;
    CHECK_OK(fal_pool_open(&pool, 3, NULL), NULL);
    caller callers[3];
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        callers[i] = (caller){.pool = pool};
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        for (int t = 0; t < 3; t++)
            assert_int_equal(callers[i].sums.part[t], 300);
    }
    fal_pool_close(pool);
}

static void impossible_pools_are_refused(void **state) {
    (void)state;
    fal_pool *pool = (fal_pool *)(uintptr_t)1;
    fal_error err = {0};
    CHECK_STATUS(fal_pool_open(&pool, -1, &err), FAL_E_ARGUMENT, &err, "-1");
    assert_null(pool);
    CHECK_STATUS(fal_pool_open(&pool, 1025, &err), FAL_E_ARGUMENT, &err, "1024");
    long before = fal_alloc_live();
    for (int n = 1; n <= 2; n++) {
        fal_alloc_fail_at(n);
        CHECK_STATUS(fal_pool_open(&pool, 2, &err), FAL_E_MEMORY, &err, "memory");
    }
    fal_alloc_fail_at(0);
    CHECK_OK(fal_pool_open(&pool, 0, &err), &err);
    assert_true(fal_pool_size(pool) >= 1);
    fal_pool_close(pool);
    fal_pool_close(NULL);
    assert_int_equal(fal_alloc_live(), before);
}

static void opening_and_closing_without_a_run(void **state) {
    (void)state;
    for (int i = 0; i < 100; i++) {
        fal_pool *pool;
        CHECK_OK(fal_pool_open(&pool, 1 + i % 6, NULL), NULL);
        fal_pool_close(pool);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_thread_runs_exactly_once),
        cmocka_unit_test(ranges_are_covered_once),
        cmocka_unit_test(odd_ranges_do_nothing_or_run_whole),
        cmocka_unit_test(ten_thousand_small_runs),
        cmocka_unit_test(callers_take_turns),
        cmocka_unit_test(impossible_pools_are_refused),
        cmocka_unit_test(opening_and_closing_without_a_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
