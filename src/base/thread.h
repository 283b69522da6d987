/* A pool that runs one loop on all its threads. POSIX body in thread_posix.c. */
#ifndef FAL_BASE_THREAD_H
#define FAL_BASE_THREAD_H

#include "base/fail.h"

#include <stdint.h>

typedef struct fal_pool fal_pool;

/* Does the part of the work that belongs to thread `thread` of `n_threads`. */
typedef void fal_pool_task(void *argument, int thread, int n_threads);

/* n_threads counts the calling thread; 0: fal_usable_cores(). Fails: ARGUMENT (over 1024), MEMORY, IO. */
fal_status fal_pool_open(fal_pool **out, int n_threads, fal_error *err);
void fal_pool_close(fal_pool *pool);
int fal_pool_size(const fal_pool *pool);

/* Runs task on every thread, the caller's included, and returns when all are done. Waiting spins for a bounded time
 * (tens of microseconds), then sleeps, so that a busy neighbour does not make it collapse. Callers from several threads take turns; a task must not call this
 * on its own pool. */
void fal_pool_run(fal_pool *pool, fal_pool_task *task, void *argument);

/* Cuts [0, n) into chunks taken by whichever thread is free; results must not depend on who takes which.
 * body(argument, begin, end) is called with chunks of at most `chunk` items. */
typedef void fal_range_task(void *argument, int64_t begin, int64_t end);
void fal_pool_for(fal_pool *pool, int64_t n, int64_t chunk, fal_range_task *body, void *argument);

#endif
