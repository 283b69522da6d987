/* What computes answers: a thread with those of the model's device, on which jobs of many clients share steps. Knows no
 * HTTP. An answer is that of fal_generate alone, bit for bit, whatever else is computed beside it. */
#ifndef FAL_SERVER_ENGINE_H
#define FAL_SERVER_ENGINE_H

#include <falconer/log.h>

#include "server/histogram.h"
#include "server/job.h"

/* Zero means default. */
typedef struct fal_engine_options {
    int n_parallel; /* most answers computed at once; 0: what memory has room for, at most 64 */
    int n_waiting;  /* most jobs that wait beyond these; 0: 256 */
    int n_context;  /* most tokens of prompt and answer; 0: the model's */
    int n_batch;    /* most tokens of one step; 0: 512, fewer while a step would take long */
    const char *kv_type; /* as in fal_session_options */
    bool without_cache;  /* nothing computed for one job serves another */
    uint64_t
        cache_bytes; /* memory for timelines that no answer holds; 0: an eighth of the free memory, at most 1 GiB */
    const char
        *cache_dir;      /* folder where timelines outlast the memory and the process; NULL: none */
    uint64_t disk_bytes; /* most bytes in that folder; 0: 4 GiB */
    int max_pause_s;     /* a job whose events nobody takes for so long fails; 0: 60 */
    int max_step_s;      /* a step that takes longer makes the engine stuck; 0: 60 */
    fal_log log;         /* called on the engine's threads */
} fal_engine_options;

/* Starts the computing thread.
 *
 *   out      owned by the caller; NULL on failure
 *   model    must outlive the engine
 *   options  NULL: all defaults
 *   Fails: ARGUMENT, LIMIT (as fal_session_open), BUSY (another process works in cache_dir), IO, MEMORY. */
FAL_MUST_CHECK fal_status fal_engine_open(fal_engine **out, fal_model *model,
                                          const fal_engine_options *options, fal_error *err);

/* No job is taken from here on; returns when all have ended, those that wait included. Their events stay to be taken. Any
 * thread but one that a job's end waits for. */
void fal_engine_drain(fal_engine *e);

/* Takes no job from here on; what runs and waits goes on. Returns at once; fal_engine_state tells when all is over. */
void fal_engine_refuse(fal_engine *e);

/* Cancels what runs, writes what is worth it to cache_dir, ends the thread. NULL is fine. */
void fal_engine_close(fal_engine *e);

/* The model; borrowed. */
fal_model *fal_engine_model(const fal_engine *e);

/* Most tokens of prompt and answer together. */
size_t fal_engine_n_context(const fal_engine *e);

/* Bytes of the longest token: a text of more than these for each token of the context does not fit. */
size_t fal_engine_longest_token(const fal_engine *e);

/* How it stands. Counters begin at 0 with the engine and never fall. */
typedef struct fal_engine_state {
    double
        step_age; /* seconds since the last sign of life while there is work; 0: nothing is to be done */
    bool is_stuck; /* that is more than max_step_s */
    bool is_draining;
    size_t n_parallel, n_running;                  /* answers: places, and places taken */
    size_t n_paused;                               /* answers that wait for their consumer */
    size_t n_waiting, max_waiting;                 /* jobs that no place was found for yet */
    size_t n_cached_timelines, n_stored_timelines; /* kept in memory, and on disk */
    uint64_t cached_bytes, stored_bytes;
    uint64_t jobs_started, jobs_done, jobs_cancelled, jobs_failed,
        jobs_refused;                              /* refused: the queue was full */
    uint64_t prompt_tokens;                        /* of jobs whose prompt is computed */
    uint64_t tokens_from_memory, tokens_from_disk; /* of these, not computed again */
    uint64_t tokens_drawn;
    uint64_t
        steps; /* each thread's with its own answers, where a small model's are divided among threads */
    uint64_t cache_hits,
        cache_misses;            /* jobs that found some of their prompt computed, or nothing */
    fal_histogram queue_seconds; /* from start to a place */
    fal_histogram first_token_seconds; /* from start to the first token of a job */
    fal_histogram next_token_seconds;  /* between tokens of one answer */
    fal_histogram step_seconds;
} fal_engine_state;

/* Any thread; never waits for a step. */
void fal_engine_state_get(fal_engine *e, fal_engine_state *out);

#endif
