/* Body of engine.h: the queue, the life of the computing thread, and how the engine stands. What a round does is
 * round.c's work. */
#include "server/engine.h"

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/fail.h"
#include "model/forward.h"
#include "server/engine_private.h"

#include <signal.h>
#include <string.h>
#include <time.h>

enum {
    MOST_PARALLEL = 64,
    MAX_PARALLEL = 4096,
    DEFAULT_WAITING = 256,
    DEFAULT_BATCH = 512,
    DEFAULT_PAUSE_S = 60,
    DEFAULT_STEP_S = 60,
    MOST_CACHE_BYTES = 1 << 30,
    LOOKS_PER_SECOND = 4 /* at paused jobs and bounds of time, when nothing else happens */
};

static const uint64_t default_disk_bytes = (uint64_t)4 << 30;

/* ---- lists ---- */

void fal_job_list_add(fal_job_list *list, fal_job *job) {
    if (!list->first) list->end = &list->first;
    job->next = NULL;
    *list->end = job;
    list->end = &job->next;
}

void fal_job_list_remove(fal_job_list *list, fal_job *job) {
    fal_job **at = &list->first;
    while (*at && *at != job)
        at = &(*at)->next;
    if (!*at) return;
    *at = job->next;
    if (!job->next) list->end = at;
    job->next = NULL;
}

/* ---- the computing thread ---- */

static void take_arrived(fal_engine *e) {
    while (e->arrived.first) {
        fal_job *job = e->arrived.first;
        fal_job_list_remove(&e->arrived, job);
        fal_job_list_add(&e->waiting, job);
    }
    e->is_woken = false;
}

static void sleep_locked(fal_engine *e) {
    if (e->n_jobs == 0) {
        pthread_cond_wait(&e->work, &e->lock);
        return;
    }
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += 1000000000 / LOOKS_PER_SECOND;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&e->work, &e->lock, &until);
}

static void end_all(fal_engine *e) {
    for (fal_job_list *list = &e->waiting; list; list = list == &e->waiting ? &e->running : NULL) {
        while (list->first) {
            fal_error failure;
            fal_fail(&failure, FAL_E_CANCELLED, "the server is shutting down");
            fal_engine_end_job(e, list->first, &failure);
        }
    }
}

static void *compute(void *argument) {
    fal_engine *e = argument;
    bool is_busy = false;
    for (;;) {
        pthread_mutex_lock(&e->lock);
        e->is_asleep = !is_busy;
        e->last_sign_at = fal_seconds();
        if (!is_busy && !e->is_woken && !e->is_closing) sleep_locked(e);
        e->is_asleep = false;
        e->last_sign_at = fal_seconds();
        take_arrived(e);
        bool is_closing = e->is_closing;
        pthread_mutex_unlock(&e->lock);
        if (is_closing) break;
        is_busy = fal_engine_round(e);
    }
    end_all(e);
    return NULL;
}

/* Signals belong to the program's own threads. */
static fal_status start_thread(fal_engine *e, fal_error *err) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int number = pthread_create(&e->thread, NULL, compute, e);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (number != 0)
        return fal_fail(err, FAL_E_IO, "cannot start the computing thread: %s", strerror(number));
    e->has_thread = true;
    return FAL_OK;
}

/* ---- open and close ---- */

static fal_status check_option(const char *name, int value, int most, fal_error *err) {
    if (value < 0 || value > most)
        return fal_fail(err, FAL_E_ARGUMENT, "%s: %d, between 1 and %d is possible", name, value,
                        most);
    return FAL_OK;
}

/* As many whole contexts as half of the free memory holds. */
static int choose_parallel(const fal_engine *e) {
    uint64_t each = fal_model_kv_bytes(e->model, (int)e->n_context, e->how.kv_type);
    uint64_t n = each ? fal_available_memory() / 2 / each : MOST_PARALLEL;
    return n < 1 ? 1 : n > MOST_PARALLEL ? MOST_PARALLEL : (int)n;
}

static size_t find_longest_token(const fal_model *model) {
    const fal_tokenizer *t = fal_model_tokenizer(model);
    size_t longest = 1;
    for (int32_t id = 0; id < fal_tokenizer_n_vocab(t); id++) {
        size_t length = 0;
        if (fal_tokenizer_piece(t, id, &length) && length > longest) longest = length;
    }
    return longest;
}

static fal_status resolve_options(fal_engine *e, fal_error *err) {
    fal_engine_options *o = &e->how;
    const fal_model_info *info = fal_model_info_get(e->model);
    FAL_TRY(check_option("answers at once", o->n_parallel, MAX_PARALLEL, err));
    FAL_TRY(check_option("waiting jobs", o->n_waiting, 1000000, err));
    FAL_TRY(check_option("batch", o->n_batch, 65536, err));
    FAL_TRY(check_option("seconds of a pause", o->max_pause_s, 1000000, err));
    FAL_TRY(check_option("seconds of a step", o->max_step_s, 1000000, err));
    if (o->n_context < 0)
        return fal_fail(err, FAL_E_ARGUMENT, "context of %d tokens, at least 1 is needed",
                        o->n_context);
    e->n_context = (size_t)(o->n_context ? o->n_context : info->n_context);
    e->n_vocab = (size_t)info->n_vocab;
    e->d_model = (size_t)info->d_model;
    e->longest_token = find_longest_token(e->model);
    /* With a dynamic context method the cells of a beginning depend on what followed it. */
    e->shares = !fal_model_has_dynamic_rope(e->model);
    if (!o->n_waiting) o->n_waiting = DEFAULT_WAITING;
    if (!o->n_batch) o->n_batch = DEFAULT_BATCH;
    if (!o->max_pause_s) o->max_pause_s = DEFAULT_PAUSE_S;
    if (!o->max_step_s) o->max_step_s = DEFAULT_STEP_S;
    if (!o->n_parallel) o->n_parallel = choose_parallel(e);
    if (o->n_batch < o->n_parallel) o->n_batch = o->n_parallel;
    return FAL_OK;
}

static fal_status make_arrays(fal_engine *e, fal_error *err) {
    size_t n = (size_t)e->how.n_parallel;
    e->parts = fal_alloc(n, sizeof *e->parts);
    e->partners = fal_alloc(n, sizeof(fal_job_answer *));
    e->feeding = fal_alloc(n, sizeof(fal_job_answer *));
    e->drawing = fal_alloc(n, sizeof(fal_job_answer *));
    e->told = fal_alloc(n, sizeof(fal_job *));
    return e->parts && e->partners && e->feeding && e->drawing && e->told
               ? FAL_OK
               : fal_fail_memory(err, n * sizeof *e->parts);
}

static void wake(void *engine) {
    fal_engine_wake(engine);
}

static fal_status open_shelf(fal_engine *e, fal_error *err) {
    if (e->how.without_cache || !e->shares) return FAL_OK;
    uint64_t bytes = e->how.cache_bytes, eighth = fal_available_memory() / 8;
    if (!bytes) bytes = eighth < MOST_CACHE_BYTES ? eighth : MOST_CACHE_BYTES;
    const fal_shelf_options o = {.batch = e->batch,
                                 .kv_type = e->how.kv_type,
                                 .memory_bytes = bytes,
                                 .folder = e->how.cache_dir,
                                 .disk_bytes =
                                     e->how.disk_bytes ? e->how.disk_bytes : default_disk_bytes,
                                 .log = e->how.log,
                                 .on_news = wake,
                                 .user = e};
    FAL_TRY(fal_shelf_open(&e->shelf, &o, fal_places_at(e->places, 0)->session, err));
    fal_places_use(e->places, e->shelf);
    return FAL_OK;
}

static fal_status copy_kv_type(fal_engine *e, fal_error *err) {
    const char *name = e->how.kv_type;
    if (!name) return FAL_OK;
    e->how.kv_type = e->kv_type = fal_copy_string(name, strlen(name));
    return e->kv_type ? FAL_OK : fal_fail_memory(err, strlen(name));
}

static fal_status open_parts(fal_engine *e, fal_error *err) {
    FAL_TRY(resolve_options(e, err));
    e->state.n_parallel = (size_t)e->how.n_parallel;
    e->state.max_waiting = (size_t)e->how.n_waiting;
    FAL_TRY(make_arrays(e, err));
    FAL_TRY(fal_batch_open(&e->batch, e->model, e->how.n_batch, err));
    const fal_places_options o = {.batch = e->batch,
                                  .n_places = e->how.n_parallel,
                                  .n_context = (int)e->n_context,
                                  .kv_type = e->how.kv_type};
    FAL_TRY(fal_places_open(&e->places, &o, err));
    FAL_TRY(open_shelf(e, err));
    fal_engine_publish(e);
    return start_thread(e, err);
}

static void init_locks(fal_engine *e) {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->work, &monotonic);
    pthread_cond_init(&e->ended, NULL);
    pthread_condattr_destroy(&monotonic);
}

fal_status fal_engine_open(fal_engine **out, fal_model *model, const fal_engine_options *options,
                           fal_error *err) {
    *out = NULL;
    fal_engine *e = fal_alloc(1, sizeof *e);
    if (!e) return fal_fail_memory(err, sizeof *e);
    e->model = model;
    if (options) e->how = *options;
    init_locks(e);
    fal_status status = copy_kv_type(e, err);
    if (status == FAL_OK) status = open_parts(e, err);
    if (status != FAL_OK) {
        fal_engine_close(e);
        return status;
    }
    *out = e;
    return FAL_OK;
}

void fal_engine_refuse(fal_engine *e) {
    pthread_mutex_lock(&e->lock);
    e->is_refusing = true;
    pthread_mutex_unlock(&e->lock);
}

void fal_engine_drain(fal_engine *e) {
    fal_engine_refuse(e);
    pthread_mutex_lock(&e->lock);
    while (e->n_jobs > 0)
        pthread_cond_wait(&e->ended, &e->lock);
    pthread_mutex_unlock(&e->lock);
}

void fal_engine_close(fal_engine *e) {
    if (!e) return;
    pthread_mutex_lock(&e->lock);
    e->is_refusing = e->is_closing = true;
    pthread_cond_signal(&e->work);
    pthread_mutex_unlock(&e->lock);
    if (e->has_thread) pthread_join(e->thread, NULL);
    fal_places_close(e->places);
    fal_shelf_close(e->shelf);
    fal_batch_close(e->batch);
    fal_free(e->kv_type);
    fal_free(e->told);
    fal_free(e->drawing);
    fal_free(e->feeding);
    fal_free(e->partners);
    fal_free(e->parts);
    pthread_cond_destroy(&e->ended);
    pthread_cond_destroy(&e->work);
    pthread_mutex_destroy(&e->lock);
    fal_free(e);
}

fal_model *fal_engine_model(const fal_engine *e) {
    return e->model;
}

size_t fal_engine_n_context(const fal_engine *e) {
    return e->n_context;
}

size_t fal_engine_longest_token(const fal_engine *e) {
    return e->longest_token;
}

/* ---- the queue ---- */

static void wake_locked(fal_engine *e) {
    if (!e->is_woken) e->woken_at = fal_seconds();
    e->is_woken = true;
    pthread_cond_signal(&e->work);
}

static fal_status enqueue_locked(fal_engine *e, fal_job *job, fal_error *err) {
    if (e->is_refusing)
        return fal_fail(err, FAL_E_CANCELLED, "the server is shutting down and takes no more work");
    size_t most = e->state.n_parallel + e->state.max_waiting;
    /* The second bounds those that have lost their place because nobody takes their events. */
    if (e->state.n_running + e->n_unplaced >= most || e->n_jobs >= most) {
        e->state.jobs_refused++;
        return fal_fail(err, FAL_E_BUSY,
                        "the queue is full: %zu requests are under way, %zu of them wait, at most "
                        "%zu may; the server's --queue says how many",
                        e->n_jobs, e->n_unplaced, e->state.max_waiting);
    }
    fal_job_list_add(&e->arrived, job);
    e->n_jobs++;
    e->n_unplaced++;
    e->state.jobs_started++;
    wake_locked(e);
    return FAL_OK;
}

fal_status fal_engine_enqueue(fal_engine *e, fal_job *job, fal_error *err) {
    pthread_mutex_lock(&e->lock);
    fal_status status = enqueue_locked(e, job, err);
    pthread_mutex_unlock(&e->lock);
    return status;
}

void fal_engine_wake(fal_engine *e) {
    pthread_mutex_lock(&e->lock);
    wake_locked(e);
    pthread_mutex_unlock(&e->lock);
}

/* ---- how it stands ---- */

static double age_locked(const fal_engine *e, double now) {
    if (e->n_jobs == 0 || (e->is_asleep && !e->is_woken)) return 0;
    double since = e->is_asleep ? e->woken_at : e->last_sign_at;
    return now > since ? now - since : 0;
}

void fal_engine_state_get(fal_engine *e, fal_engine_state *out) {
    pthread_mutex_lock(&e->lock);
    *out = e->state;
    out->step_age = age_locked(e, fal_seconds());
    out->is_stuck = out->step_age > e->how.max_step_s;
    out->is_draining = e->is_refusing;
    out->n_waiting = e->n_unplaced;
    pthread_mutex_unlock(&e->lock);
}
