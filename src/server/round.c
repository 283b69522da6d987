/* One round of the computing thread: what is cancelled or late ends, answers get places, one step is computed. */
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/fail.h"
#include "server/engine_private.h"

#include <string.h>

/* Seconds that a consumer may take without losing its place to somebody else. */
static const double pause_before_parking = 0.5;

/* ---- the end ---- */

void fal_engine_leave_place(fal_engine *e, fal_job_answer *a) {
    if (!a->place) return;
    fal_places_give(e->places, a->place);
    a->place = NULL;
    a->job->n_placed--;
}

static size_t n_held(const fal_engine *e) {
    return (size_t)(fal_places_count(e->places) - fal_places_n_idle(e->places));
}

static void count_end(fal_engine *e, const fal_job *job, fal_status status) {
    pthread_mutex_lock(&e->lock);
    if (!job->is_admitted) e->n_unplaced--;
    uint64_t *counter = status == FAL_OK            ? &e->state.jobs_done
                        : status == FAL_E_CANCELLED ? &e->state.jobs_cancelled
                                                    : &e->state.jobs_failed;
    ++*counter;
    pthread_mutex_unlock(&e->lock);
}

void fal_engine_end_job(fal_engine *e, fal_job *job, const fal_error *failure) {
    for (int i = 0; i < job->n_answers; i++)
        fal_engine_leave_place(e, &job->answers[i]);
    fal_job_list_remove(&e->waiting, job);
    fal_job_list_remove(&e->running, job);
    count_end(e, job, failure ? failure->status : FAL_OK);
    fal_job_end(job, failure ? failure->status : FAL_OK, failure);
    /* Only now: who waits for the end of all jobs finds their last events. */
    pthread_mutex_lock(&e->lock);
    e->n_jobs--;
    e->state.n_running = n_held(e);
    pthread_cond_broadcast(&e->ended);
    pthread_mutex_unlock(&e->lock);
}

bool fal_job_pauses(fal_job *job, double now) {
    bool is_full = fal_job_is_full(job);
    if (!is_full) job->paused_at = 0;
    if (is_full && job->paused_at == 0) job->paused_at = now;
    return is_full;
}

static bool is_late(const fal_job *job, double now) {
    return job->how.max_seconds > 0 && now - job->started_at > job->how.max_seconds;
}

/* Whether something was said that can stand. */
static bool can_be_cut(const fal_job *job) {
    return job->is_prompt_done && !fal_job_has_no_answer(job)
           && !atomic_load_explicit(&job->is_cancelled, memory_order_relaxed);
}

/* Why the job must not go on; OK: it may. */
static fal_status judge_job(const fal_engine *e, fal_job *job, double now, fal_error *err) {
    if (atomic_load_explicit(&job->is_cancelled, memory_order_relaxed))
        return fal_fail(err, FAL_E_CANCELLED, "cancelled");
    if (is_late(job, now))
        return fal_fail(err, FAL_E_CANCELLED, "nothing could be said within %g seconds",
                        job->how.max_seconds);
    if (job->paused_at > 0 && fal_job_pauses(job, now) && now - job->paused_at > e->how.max_pause_s)
        return fal_fail(err, FAL_E_CANCELLED, "nobody took the answer for %d seconds",
                        e->how.max_pause_s);
    return FAL_OK;
}

/* What is cancelled, late, or waits for its consumer for too long. */
static void end_hopeless(fal_engine *e, const fal_job_list *list, double now) {
    for (fal_job *job = list->first, *next; job; job = next) {
        fal_error failure;
        next = job->next;
        if (is_late(job, now) && can_be_cut(job))
            fal_engine_cut_job(e, job);
        else if (judge_job(e, job, now, &failure) != FAL_OK)
            fal_engine_end_job(e, job, &failure);
    }
}

/* ---- places ---- */

/* Whether an answer of the job could use a place. */
static bool can_use_place(fal_job *job, double now) {
    if (!job->is_admitted) return !job->is_fetching;
    return job->is_prompt_done && !fal_job_pauses(job, now);
}

/* The job whose next answer is to get a place: of those that can use one, the one that holds fewest, then the oldest. So
 * nobody waits for all the answers of somebody else. */
static fal_job *choose_job(const fal_engine *e, double now) {
    fal_job *best = NULL;
    for (fal_job *job = e->waiting.first; job; job = job->next) {
        bool is_better = !best || job->n_placed < best->n_placed;
        if (is_better && can_use_place(job, now)) best = job;
    }
    return best;
}

static fal_job_answer *unplaced_answer(fal_job *job) {
    for (int i = 0; i < job->n_answers; i++) {
        fal_job_answer *a = &job->answers[i];
        if (!a->place && !a->is_over) return a;
    }
    return NULL;
}

/* The last token of a prompt is always computed: its logits are needed. What looks at each token computes all, the first
 * time. */
static size_t most_reused(const fal_engine *e, const fal_job_answer *a) {
    bool is_all_needed = !a->job->is_prompt_done && fal_job_looks_at_prompt(a->job);
    if (is_all_needed || !e->shares) return 0;
    return a->pending >= 0 ? a->n_feed : a->n_feed - 1;
}

/* Whether the job waits for a timeline from disk. */
static bool must_fetch(fal_engine *e, fal_job *job) {
    size_t most = most_reused(e, &job->answers[0]);
    if (!e->shelf || job->is_prompt_done || most == 0) return false;
    const fal_beginning wanted = {job->how.keyholder, job->prompt, most};
    size_t n_known = fal_places_n_known(e->places, &wanted);
    fal_fetch fetch = fal_shelf_fetch(e->shelf, &wanted, n_known, !job->has_fetched);
    job->is_fetching = fetch != FAL_FETCH_NOTHING;
    if (fetch != FAL_FETCH_WAITS) job->has_fetched = true;
    return job->is_fetching;
}

static fal_status make_rows(fal_engine *e, fal_job *job, fal_error *err) {
    if (!fal_job_looks_at_prompt(job) || job->rows) return FAL_OK;
    size_t width = job->how.wants_embedding ? e->d_model : e->n_vocab;
    job->rows = fal_alloc(FAL_JOB_ROWS * width, sizeof *job->rows);
    job->hidden_sum = fal_alloc(e->d_model, sizeof *job->hidden_sum);
    if (!job->rows || !job->hidden_sum)
        return fal_fail_memory(err, FAL_JOB_ROWS * width * sizeof *job->rows);
    return FAL_OK;
}

static fal_status open_answer(fal_engine *e, fal_job_answer *a, fal_error *err) {
    FAL_TRY(make_rows(e, a->job, err));
    if (a->answer || fal_job_has_no_answer(a->job)) return FAL_OK;
    FAL_TRY(fal_answer_open(&a->answer, e->model, &a->how, a->job->how.grammar, err));
    fal_answer_follow(a->answer, a->job->prompt, a->job->n_prompt);
    return FAL_OK;
}

/* place NULL: there is none. */
static fal_status take_place(fal_engine *e, fal_job_answer *a, fal_place **place, fal_error *err) {
    *place = NULL;
    FAL_TRY(open_answer(e, a, err));
    const fal_place_request request = {
        .holder = a,
        .group = a->job,
        .wanted = {a->job->how.keyholder, a->feed, most_reused(e, a)}
    };
    fal_status status = fal_places_take(place, e->places, &request, err);
    /* Memory for one place more may come when others are over. */
    bool others_run = n_held(e) > 0;
    if (status == FAL_E_MEMORY && others_run) return FAL_OK;
    if (status != FAL_OK || !*place) return status;
    a->place = *place;
    a->n_fed = fal_session_count((*place)->session);
    a->job->n_placed++;
    return FAL_OK;
}

static void admit(fal_engine *e, fal_job *job, const fal_job_answer *a, double now) {
    if (job->is_admitted) return;
    job->is_admitted = true;
    job->n_cached = a->n_fed;
    pthread_mutex_lock(&e->lock);
    e->n_unplaced--;
    job->queue_seconds = now - job->started_at;
    fal_histogram_add(&e->state.queue_seconds, job->queue_seconds);
    *(a->n_fed > 0 ? &e->state.cache_hits : &e->state.cache_misses) += 1;
    *(a->place->is_from_disk ? &e->state.tokens_from_disk : &e->state.tokens_from_memory) +=
        a->n_fed;
    pthread_mutex_unlock(&e->lock);
}

static void give_places(fal_engine *e, double now) {
    fal_job *job;
    while (fal_places_n_idle(e->places) > 0 && (job = choose_job(e, now))) {
        fal_error failure;
        fal_place *place;
        if (must_fetch(e, job)) continue;
        fal_job_answer *a = unplaced_answer(job);
        if (take_place(e, a, &place, &failure) != FAL_OK) {
            fal_engine_end_job(e, job, &failure);
            continue;
        }
        if (!place) return;
        admit(e, job, a, now);
        if (!unplaced_answer(job)) {
            fal_job_list_remove(&e->waiting, job);
            fal_job_list_add(&e->running, job);
        }
    }
}

/* ---- parking ---- */

/* The answer that has waited for its consumer for longest, and for a while; NULL: none. */
static fal_job_answer *find_paused(fal_engine *e, double now) {
    fal_job_answer *longest = NULL;
    for (int i = 0; i < fal_places_count(e->places); i++) {
        fal_job_answer *a = fal_places_at(e->places, i)->holder;
        if (!a || a->job->paused_at == 0 || now - a->job->paused_at < pause_before_parking)
            continue;
        if (!longest || a->job->paused_at < longest->job->paused_at) longest = a;
    }
    return longest;
}

/* Takes the place of an answer away. What was drawn is noted, so that it can go on in any place, later; most of that will
 * not have to be computed again. False: memory is short. */
static bool park(fal_engine *e, fal_job_answer *a) {
    const fal_session *s = a->place->session;
    size_t count = fal_session_count(s);
    if (a->pending >= 0 && count > a->n_feed) {
        int32_t *tokens = fal_alloc(count, sizeof *tokens);
        if (!tokens) return false;
        memcpy(tokens, fal_session_tokens(s), count * sizeof *tokens);
        fal_free(a->parked);
        a->feed = a->parked = tokens;
        a->n_feed = count;
    }
    fal_job_list_remove(&e->running, a->job);
    fal_job_list_remove(&e->waiting, a->job);
    fal_job_list_add(&e->waiting, a->job);
    fal_engine_leave_place(e, a);
    return true;
}

/* While others wait for a place, none is held by who waits for a consumer. (With a dynamic context method an answer cannot
 * be gone on from in one feed to the same bits.) */
static void park_paused(fal_engine *e, double now) {
    while (e->shares && fal_places_n_idle(e->places) == 0 && choose_job(e, now)) {
        fal_job_answer *a = find_paused(e, now);
        if (!a || !park(e, a)) return;
        give_places(e, now);
    }
}

/* ---- a round ---- */

static void collect(fal_engine *e) {
    if (!e->shelf) return;
    fal_shelf_collect(e->shelf);
    /* Who waits for the disk looks again. */
    for (fal_job *job = e->waiting.first; job; job = job->next)
        job->is_fetching = false;
}

void fal_engine_publish(fal_engine *e) {
    fal_shelf_state shelf = {0};
    size_t n_paused = 0;
    if (e->shelf) shelf = fal_shelf_state_get(e->shelf);
    for (const fal_job *job = e->running.first; job; job = job->next)
        n_paused += job->paused_at > 0;
    for (const fal_job *job = e->waiting.first; job; job = job->next)
        n_paused += job->paused_at > 0;
    pthread_mutex_lock(&e->lock);
    e->state.n_running = n_held(e);
    e->state.n_paused = n_paused;
    e->state.n_cached_timelines = shelf.n_in_memory;
    e->state.cached_bytes = shelf.memory_bytes;
    e->state.n_stored_timelines = shelf.n_on_disk;
    e->state.stored_bytes = shelf.disk_bytes;
    pthread_mutex_unlock(&e->lock);
}

bool fal_engine_round(fal_engine *e) {
    double now = fal_seconds();
    collect(e);
    end_hopeless(e, &e->waiting, now);
    end_hopeless(e, &e->running, now);
    give_places(e, now);
    park_paused(e, now);
    fal_engine_publish(e);
    bool has_computed = fal_engine_step(e, now);
    fal_engine_publish(e);
    return has_computed;
}
