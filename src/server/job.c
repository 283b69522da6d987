/* Body of job.h: options are checked and copied, events pass from the threads that compute to the consumer through two
 * buffers that change roles, so that nothing is allocated per token and a slow consumer costs bounded memory. */
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/fail.h"
#include "server/engine_private.h"
#include "server/job_private.h"
#include "text/grammar.h"

#include <string.h>

enum {
    FULL_BYTES = 65536, /* of waiting records: then the job pauses */
    ALIGNMENT = 8,
    TOLD_TOGETHER = 64 /* jobs */
};

/* ---- start ---- */

static fal_status check_prompt(const fal_engine *e, const fal_job_options *o, fal_error *err) {
    int n_vocab = fal_model_info_get(fal_engine_model(e))->n_vocab;
    if (o->n_prompt == 0) return fal_fail(err, FAL_E_ARGUMENT, "the prompt has no tokens");
    for (size_t i = 0; i < o->n_prompt; i++) {
        if (o->prompt[i] < 0 || o->prompt[i] >= n_vocab)
            return fal_fail(err, FAL_E_ARGUMENT,
                            "token %zu of the prompt is %d, between 0 and %d is possible", i,
                            o->prompt[i], n_vocab - 1);
    }
    size_t n_context = fal_engine_n_context(e);
    if (o->n_prompt > n_context && !o->truncate)
        return fal_fail(err, FAL_E_LIMIT, "the prompt has %zu tokens, but the context holds %zu",
                        o->n_prompt, n_context);
    return FAL_OK;
}

static fal_status check_options(const fal_job_options *o, fal_error *err) {
    if (o->n_answers < 0 || o->n_answers > FAL_JOB_MAX_ANSWERS)
        return fal_fail(err, FAL_E_ARGUMENT, "answers: %d, between 1 and %d are possible",
                        o->n_answers, FAL_JOB_MAX_ANSWERS);
    if (o->n_top < 0 || o->n_top > FAL_JOB_MAX_TOP)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "most probable tokens: %d, between 0 and %d are possible", o->n_top,
                        FAL_JOB_MAX_TOP);
    if (o->max_new_tokens < 0)
        return fal_fail(err, FAL_E_ARGUMENT, "max_new_tokens: %d, at least 0 is needed",
                        o->max_new_tokens);
    if (!(o->max_seconds >= 0))
        return fal_fail(err, FAL_E_ARGUMENT, "max_seconds: %g, at least 0 is needed",
                        o->max_seconds);
    for (size_t i = 0; o->stop && o->stop[i]; i++) {
        if (o->stop[i][0] == '\0')
            return fal_fail(err, FAL_E_ARGUMENT, "stop word %zu is empty", i + 1);
    }
    return fal_sampling_check(&o->sampling, err);
}

/* Tokens at the beginning of the prompt that go, so that an answer has the room that was asked for, or a quarter of the
 * context; at most half of it. */
static size_t count_dropped(const fal_engine *e, const fal_job_options *o) {
    size_t n_context = fal_engine_n_context(e);
    if (o->n_prompt <= n_context || o->wants_embedding || o->wants_no_answer)
        return o->n_prompt <= n_context ? 0 : o->n_prompt - n_context;
    size_t room = o->max_new_tokens > 0 ? (size_t)o->max_new_tokens : n_context / 4;
    if (room > n_context / 2) room = n_context / 2;
    return o->n_prompt - (n_context - room);
}

static fal_status copy_prompt(fal_job *job, const fal_job_options *o, fal_error *err) {
    job->n_dropped = count_dropped(job->engine, o);
    job->n_prompt = o->n_prompt - job->n_dropped;
    job->prompt = fal_alloc(job->n_prompt, sizeof *job->prompt);
    if (!job->prompt) return fal_fail_memory(err, job->n_prompt * sizeof *job->prompt);
    memcpy(job->prompt, o->prompt + job->n_dropped, job->n_prompt * sizeof *job->prompt);
    job->how.prompt = job->prompt;
    job->how.n_prompt = job->n_prompt;
    return FAL_OK;
}

static fal_status copy_stop(fal_job *job, const fal_job_options *o, fal_error *err) {
    size_t count = 0, bytes = 0;
    if (!o->stop) return FAL_OK;
    for (; o->stop[count]; count++)
        bytes += strlen(o->stop[count]) + 1;
    job->stop = fal_alloc(count + 1, sizeof *job->stop);
    job->stop_text = fal_alloc(bytes, 1);
    if (!job->stop || !job->stop_text) return fal_fail_memory(err, bytes);
    char *to = job->stop_text;
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(o->stop[i]) + 1;
        job->stop[i] = memcpy(to, o->stop[i], length);
        to += length;
    }
    job->how.stop = job->stop;
    return FAL_OK;
}

static fal_status copy_biases(fal_job *job, const fal_job_options *o, fal_error *err) {
    size_t n = o->sampling.n_biases;
    int n_vocab = fal_model_info_get(fal_engine_model(job->engine))->n_vocab;
    if (n == 0) return FAL_OK;
    for (size_t i = 0; i < n; i++) {
        int32_t id = o->sampling.biases[i].id;
        if (id < 0 || id >= n_vocab)
            return fal_fail(err, FAL_E_ARGUMENT,
                            "bias %zu is of token %d, between 0 and %d is possible", i, id,
                            n_vocab - 1);
    }
    job->biases = fal_alloc(n, sizeof *job->biases);
    if (!job->biases) return fal_fail_memory(err, n * sizeof *job->biases);
    memcpy(job->biases, o->sampling.biases, n * sizeof *job->biases);
    job->how.sampling.biases = job->biases;
    return FAL_OK;
}

static fal_status make_room(fal_job *job, fal_error *err) {
    size_t d_model = (size_t)fal_model_info_get(fal_engine_model(job->engine))->d_model;
    size_t n = job->n_prompt, n_top = (size_t)job->how.n_top;
    bool has_memory = true;
    if (job->how.wants_embedding) {
        job->embedding = fal_alloc(d_model, sizeof *job->embedding);
        has_memory = job->embedding;
    }
    if (job->how.wants_prompt_log_probabilities) {
        job->prompt_log_probabilities = fal_alloc(n, sizeof(double));
        job->prompt_top_values = fal_alloc(n * n_top, sizeof(double));
        job->prompt_top_ids = fal_alloc(n * n_top, sizeof(int32_t));
        has_memory = has_memory && job->prompt_log_probabilities && job->prompt_top_values
                     && job->prompt_top_ids;
    }
    return has_memory ? FAL_OK : fal_fail_memory(err, n * (n_top + 1) * sizeof(double));
}

static fal_status make_answers(fal_job *job, const fal_job_options *o, fal_error *err) {
    int n = o->n_answers == 0 || fal_job_has_no_answer(job) ? 1 : o->n_answers;
    job->n_answers = n;
    job->answers = fal_alloc((size_t)n, sizeof *job->answers);
    if (!job->answers) return fal_fail_memory(err, (size_t)n * sizeof *job->answers);
    for (int i = 0; i < n; i++) {
        job->answers[i] = (fal_job_answer){
            .job = job,
            .index = i,
            .feed = job->prompt,
            .n_feed = job->n_prompt,
            .pending = -1,
            .how = {.sampling = job->how.sampling,
                    .stream = (uint64_t)i,
                    .max_new_tokens = o->max_new_tokens,
                    .stop = job->how.stop,
                    .ignore_end = o->ignore_end,
                    .penalise_prompt = o->penalise_prompt,
                    .show_control = o->show_control,
                    .want_log_probability = o->wants_log_probabilities}
        };
    }
    return FAL_OK;
}

static void free_job(fal_job *job) {
    for (int i = 0; job->answers && i < job->n_answers; i++) {
        fal_answer_close(job->answers[i].answer);
        fal_free(job->answers[i].parked);
    }
    /* Its answers followed it until here. */
    fal_grammar_close((fal_grammar *)(uintptr_t)job->how.grammar);
    pthread_cond_destroy(&job->called_back);
    pthread_mutex_destroy(&job->events_lock);
    fal_free(job->answers);
    fal_free(job->rows);
    fal_free(job->hidden_sum);
    fal_free(job->embedding);
    fal_free(job->prompt_top_ids);
    fal_free(job->prompt_top_values);
    fal_free(job->prompt_log_probabilities);
    fal_free(job->biases);
    fal_free(job->stop);
    fal_free(job->stop_text);
    fal_free(job->prompt);
    fal_free(job->written.bytes);
    fal_free(job->taken.bytes);
    fal_free(job);
}

static fal_status fill_job(fal_job *job, const fal_job_options *o, fal_error *err) {
    FAL_TRY(copy_prompt(job, o, err));
    FAL_TRY(copy_stop(job, o, err));
    FAL_TRY(copy_biases(job, o, err));
    FAL_TRY(make_answers(job, o, err));
    FAL_TRY(make_room(job, err));
    return fal_engine_enqueue(job->engine, job, err);
}

fal_status fal_job_start(fal_job **out, fal_engine *e, const fal_job_options *o, fal_error *err) {
    *out = NULL;
    FAL_TRY(check_options(o, err));
    FAL_TRY(check_prompt(e, o, err));
    fal_job *job = fal_alloc(1, sizeof *job);
    if (!job) return fal_fail_memory(err, sizeof *job);
    pthread_mutex_init(&job->events_lock, NULL);
    pthread_cond_init(&job->called_back, NULL);
    job->engine = e;
    job->how = *o;
    job->how.stop = NULL;
    if (o->grammar) fal_grammar_hold(o->grammar);
    job->started_at = fal_seconds();
    /* The consumer may be woken before this function has returned. */
    *out = job;
    fal_status status = fill_job(job, o, err);
    if (status == FAL_OK) return FAL_OK;
    *out = NULL;
    free_job(job);
    return status;
}

/* ---- events, on the threads that compute ---- */

static size_t aligned(size_t bytes) {
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static size_t payload_bytes(const fal_job_event *e) {
    size_t tops = e->kind == FAL_JOB_PIECE ? e->n_top * (sizeof(double) + sizeof(int32_t)) : 0;
    return aligned(tops + e->length);
}

/* A record is the event, then the values of its tops, their ids, its text. */
fal_status fal_job_put(fal_job *job, const fal_job_event *event, fal_error *err) {
    size_t head = aligned(sizeof *event), bytes = head + payload_bytes(event);
    pthread_mutex_lock(&job->events_lock);
    fal_job_records *r = &job->written;
    bool has_memory = fal_grow((void **)&r->bytes, &r->capacity, r->length + bytes, 1);
    if (has_memory) {
        char *to = r->bytes + r->length;
        fal_job_event timed = *event;
        timed.at = fal_seconds();
        memcpy(to, &timed, sizeof timed);
        to += head;
        if (event->kind == FAL_JOB_PIECE && event->n_top > 0) {
            memcpy(to, event->top_values, event->n_top * sizeof(double));
            to += event->n_top * sizeof(double);
            memcpy(to, event->top_ids, event->n_top * sizeof(int32_t));
            to += event->n_top * sizeof(int32_t);
        }
        if (event->length > 0) memcpy(to, event->text, event->length);
        r->length += bytes;
        job->has_news = true;
    }
    pthread_mutex_unlock(&job->events_lock);
    return has_memory ? FAL_OK : fal_fail_memory(err, bytes);
}

static size_t waiting_bytes(const fal_job *job) {
    return job->written.length + job->taken.length - job->n_read;
}

bool fal_job_is_full(fal_job *job) {
    pthread_mutex_lock(&job->events_lock);
    job->waits_for_room = !job->is_silent && waiting_bytes(job) >= FULL_BYTES;
    bool is_full = job->waits_for_room;
    pthread_mutex_unlock(&job->events_lock);
    return is_full;
}

/* Whether on_event is to be called now. Only one thread does at a time: it calls again for the others. */
static bool begin_call_locked(fal_job *job) {
    bool is_due = job->has_news && job->how.on_event && !job->is_told && !job->is_silent;
    job->calls_again = is_due && job->is_calling;
    if (job->calls_again) return false;
    job->has_news = false;
    if (!is_due) return false;
    job->is_told = job->is_calling = true;
    job->caller = pthread_self();
    return true;
}

static bool begin_call(fal_job *job) {
    pthread_mutex_lock(&job->events_lock);
    bool calls = begin_call_locked(job);
    pthread_mutex_unlock(&job->events_lock);
    return calls;
}

static void end_call(fal_job *job) {
    bool calls = true;
    while (calls) {
        pthread_mutex_lock(&job->events_lock);
        job->is_calling = false;
        pthread_cond_broadcast(&job->called_back);
        calls = job->calls_again && begin_call_locked(job);
        pthread_mutex_unlock(&job->events_lock);
        if (calls) job->how.on_event(job->how.user, false);
    }
}

static void tell_some(fal_job *const *jobs, size_t n) {
    fal_job *due[TOLD_TOGETHER];
    size_t n_due = 0;
    for (size_t i = 0; i < n; i++) {
        if (begin_call(jobs[i])) due[n_due++] = jobs[i];
    }
    for (size_t i = 0; i < n_due; i++) {
        bool more = i + 1 < n_due && due[i + 1]->how.on_event == due[i]->how.on_event;
        due[i]->how.on_event(due[i]->how.user, more);
    }
    for (size_t i = 0; i < n_due; i++)
        end_call(due[i]);
}

void fal_jobs_tell(fal_job *const *jobs, size_t n) {
    for (size_t i = 0; i < n; i += TOLD_TOGETHER)
        tell_some(jobs + i, n - i < TOLD_TOGETHER ? n - i : TOLD_TOGETHER);
}

void fal_job_end(fal_job *job, fal_status status, const fal_error *failure) {
    pthread_mutex_lock(&job->events_lock);
    job->is_over = job->has_news = true;
    job->ended_at = fal_seconds();
    job->failure.status = status;
    if (status != FAL_OK) job->failure = *failure;
    pthread_mutex_unlock(&job->events_lock);
    fal_jobs_tell(&job, 1);
    pthread_mutex_lock(&job->events_lock);
    job->is_unattached = true;
    bool is_last = job->is_released;
    pthread_mutex_unlock(&job->events_lock);
    if (is_last) free_job(job);
}

/* ---- the consumer ---- */

static void read_record(fal_job *job, fal_job_event *out) {
    const char *from = job->taken.bytes + job->n_read;
    memcpy(out, from, sizeof *out);
    job->n_read += aligned(sizeof *out) + payload_bytes(out);
    from += aligned(sizeof *out);
    if (out->kind == FAL_JOB_PIECE && out->n_top > 0) {
        out->top_values = (const double *)(const void *)from;
        from += out->n_top * sizeof(double);
        out->top_ids = (const int32_t *)(const void *)from;
        from += out->n_top * sizeof(int32_t);
    }
    if (out->length > 0) out->text = from;
}

/* The end needs no memory, so it always arrives. */
static bool read_end(fal_job *job, fal_job_event *out) {
    if (!job->is_over || job->is_last_taken) return false;
    job->is_last_taken = true;
    bool is_done = job->failure.status == FAL_OK;
    *out = (fal_job_event){.kind = is_done ? FAL_JOB_DONE : FAL_JOB_FAILED,
                           .at = job->ended_at,
                           .failure = is_done ? NULL : &job->failure};
    return true;
}

bool fal_job_take(fal_job *job, fal_job_event *out) {
    pthread_mutex_lock(&job->events_lock);
    if (job->n_read == job->taken.length && job->written.length > 0) {
        fal_job_records empty = job->taken;
        job->taken = job->written;
        empty.length = 0;
        job->written = empty;
        job->n_read = 0;
    }
    bool has_one = job->n_read < job->taken.length;
    if (has_one) {
        read_record(job, out);
    } else {
        has_one = read_end(job, out);
    }
    if (!has_one) job->is_told = false;
    /* Held while the engine is woken: it cannot end the job meanwhile, and so is there. */
    if (job->waits_for_room && !job->is_over && waiting_bytes(job) < FULL_BYTES / 2) {
        job->waits_for_room = false;
        fal_engine_wake(job->engine);
    }
    pthread_mutex_unlock(&job->events_lock);
    return has_one;
}

static void cancel_locked(fal_job *job) {
    if (job->is_over) return;
    atomic_store_explicit(&job->is_cancelled, true, memory_order_relaxed);
    fal_engine_wake(job->engine);
}

void fal_job_cancel(fal_job *job) {
    pthread_mutex_lock(&job->events_lock);
    cancel_locked(job);
    pthread_mutex_unlock(&job->events_lock);
}

void fal_job_release(fal_job *job) {
    if (!job) return;
    pthread_mutex_lock(&job->events_lock);
    job->is_silent = true;
    cancel_locked(job);
    while (job->is_calling && !pthread_equal(job->caller, pthread_self()))
        pthread_cond_wait(&job->called_back, &job->events_lock);
    /* Only now: whoever is the second to let go frees the job, and this thread has waited outside the lock. */
    job->is_released = true;
    bool is_last = job->is_unattached;
    pthread_mutex_unlock(&job->events_lock);
    if (is_last) free_job(job);
}
