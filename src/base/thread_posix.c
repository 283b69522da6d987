/* Body of thread.h with POSIX threads. Workers wait for the next run by spinning for a bounded time and then sleeping on
 * a condition; the caller waits for the workers in the same way. */
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/thread.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

enum {
    MAX_THREADS = 1024,
    SPINS = 4000
};

typedef struct worker {
    fal_pool *pool;
    int index;
    pthread_t thread;
} worker;

struct fal_pool {
    int n_threads, n_started;
    worker *workers; /* [n_threads - 1] */
    fal_pool_task *task;
    void *argument;
    atomic_uint run;    /* number of the current run; a change starts the workers */
    atomic_int pending; /* workers that have not finished it */
    atomic_bool closing;
    pthread_mutex_t running; /* held by the caller whose run this is */
    pthread_mutex_t lock;    /* protects sleeping on both conditions */
    pthread_cond_t started, finished;
};

/* Release and acquire on `run` order the writes of task and argument before the workers' reads. */
static unsigned wait_for_run(fal_pool *pool, unsigned seen) {
    for (int i = 0; i < SPINS; i++) {
        unsigned run = atomic_load_explicit(&pool->run, memory_order_acquire);
        if (run != seen) return run;
        fal_spin_pause();
    }
    pthread_mutex_lock(&pool->lock);
    unsigned run;
    while ((run = atomic_load_explicit(&pool->run, memory_order_acquire)) == seen)
        pthread_cond_wait(&pool->started, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    return run;
}

static void *work(void *argument) {
    worker *self = argument;
    fal_pool *pool = self->pool;
    unsigned seen = 0;
    for (;;) {
        seen = wait_for_run(pool, seen);
        if (atomic_load_explicit(&pool->closing, memory_order_relaxed)) return NULL;
        pool->task(pool->argument, self->index, pool->n_threads);
        if (atomic_fetch_sub_explicit(&pool->pending, 1, memory_order_acq_rel) == 1) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->finished);
            pthread_mutex_unlock(&pool->lock);
        }
    }
}

static void start_run(fal_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add_explicit(&pool->run, 1, memory_order_release);
    pthread_cond_broadcast(&pool->started);
    pthread_mutex_unlock(&pool->lock);
}

/* Signals belong to the program's own threads: a handler that runs on a worker meets data it does not expect. */
static int start_worker(worker *w) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int number = pthread_create(&w->thread, NULL, work, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return number;
}

fal_status fal_pool_open(fal_pool **out, int n_threads, fal_error *err) {
    *out = NULL;
    if (n_threads == 0) n_threads = fal_usable_cores();
    if (n_threads < 1 || n_threads > MAX_THREADS)
        return fal_fail(err, FAL_E_ARGUMENT, "threads: %d, between 1 and %d are possible",
                        n_threads, MAX_THREADS);
    fal_pool *pool = fal_alloc(1, sizeof *pool);
    worker *workers = fal_alloc((size_t)n_threads, sizeof *workers);
    if (!pool || !workers) {
        fal_free(pool);
        fal_free(workers);
        return fal_fail_memory(err, sizeof *pool);
    }
    pool->workers = workers;
    pool->n_threads = n_threads;
    pthread_mutex_init(&pool->running, NULL);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->started, NULL);
    pthread_cond_init(&pool->finished, NULL);
    for (int i = 0; i < n_threads - 1; i++) {
        workers[i] = (worker){.pool = pool, .index = i + 1};
        int number = start_worker(&workers[i]);
        if (number != 0) {
            fal_pool_close(pool);
            return fal_fail(err, FAL_E_IO, "cannot start thread %d of %d: %s", i + 2, n_threads,
                            strerror(number));
        }
        pool->n_started++;
    }
    *out = pool;
    return FAL_OK;
}

void fal_pool_close(fal_pool *pool) {
    if (!pool) return;
    atomic_store_explicit(&pool->closing, true, memory_order_relaxed);
    start_run(pool);
    for (int i = 0; i < pool->n_started; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->finished);
    pthread_cond_destroy(&pool->started);
    pthread_mutex_destroy(&pool->lock);
    pthread_mutex_destroy(&pool->running);
    fal_free(pool->workers);
    fal_free(pool);
}

int fal_pool_size(const fal_pool *pool) {
    return pool->n_threads;
}

static void wait_for_workers(fal_pool *pool) {
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&pool->pending, memory_order_acquire) == 0) return;
        fal_spin_pause();
    }
    pthread_mutex_lock(&pool->lock);
    while (atomic_load_explicit(&pool->pending, memory_order_acquire) != 0)
        pthread_cond_wait(&pool->finished, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

void fal_pool_run(fal_pool *pool, fal_pool_task *task, void *argument) {
    if (pool->n_threads == 1) {
        task(argument, 0, 1);
        return;
    }
    pthread_mutex_lock(&pool->running);
    pool->task = task;
    pool->argument = argument;
    atomic_store_explicit(&pool->pending, pool->n_threads - 1, memory_order_relaxed);
    start_run(pool);
    task(argument, 0, pool->n_threads);
    wait_for_workers(pool);
    pthread_mutex_unlock(&pool->running);
}

typedef struct range_run {
    atomic_llong next;
    int64_t n, chunk;
    fal_range_task *body;
    void *argument;
} range_run;

static void take_chunks(void *argument, int thread, int n_threads) {
    (void)thread, (void)n_threads;
    range_run *run = argument;
    for (;;) {
        int64_t begin = atomic_fetch_add_explicit(&run->next, run->chunk, memory_order_relaxed);
        if (begin >= run->n) return;
        int64_t end = run->n - begin < run->chunk ? run->n : begin + run->chunk;
        run->body(run->argument, begin, end);
    }
}

void fal_pool_for(fal_pool *pool, int64_t n, int64_t chunk, fal_range_task *body, void *argument) {
    if (n <= 0) return;
    if (chunk < 1) chunk = 1;
    if (n <= chunk) {
        body(argument, 0, n);
        return;
    }
    range_run run = {.n = n, .chunk = chunk, .body = body, .argument = argument};
    fal_pool_run(pool, take_chunks, &run);
}
