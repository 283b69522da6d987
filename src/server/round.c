/* One round of the computing thread: what is cancelled or late ends, answers get places, one step is computed for all of
 * them, and what was drawn is handed out. */
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/fail.h"
#include "runtime/session_watch.h"
#include "server/engine_private.h"

#include <string.h>

/* ---- answers and their places ---- */

static void leave_place(fal_engine *e, fal_job_answer *a) {
    if (!a->place) return;
    fal_session_rewind(a->place->session, 0);
    a->place->holder = NULL;
    a->place = NULL;
    a->job->n_placed--;
    e->n_taken--;
}

/* Ends a job that stands in one of the lists, with all of its answers. */
static void end_job(fal_engine *e, fal_job *job, fal_status status, const fal_error *failure) {
    for (int i = 0; i < job->n_answers; i++)
        leave_place(e, &job->answers[i]);
    fal_job_list_remove(&e->waiting, job);
    fal_job_list_remove(&e->running, job);
    fal_engine_end_job(e, job, status, failure);
}

static void fail_job(fal_engine *e, fal_job *job, const fal_error *failure) {
    end_job(e, job, failure->status, failure);
}

/* Why the job must not go on; OK: it may. */
static fal_status judge_job(const fal_engine *e, const fal_job *job, double now, fal_error *err) {
    if (atomic_load_explicit(&job->is_cancelled, memory_order_relaxed))
        return fal_fail(err, FAL_E_CANCELLED, "cancelled");
    if (job->how.max_seconds > 0 && now - job->started_at > job->how.max_seconds)
        return fal_fail(err, FAL_E_CANCELLED, "not finished within %g seconds",
                        job->how.max_seconds);
    if (job->paused_at > 0 && now - job->paused_at > e->how.max_pause_s)
        return fal_fail(err, FAL_E_CANCELLED, "nobody took the answer for %d seconds",
                        e->how.max_pause_s);
    return FAL_OK;
}

static void end_hopeless(fal_engine *e, const fal_job_list *list, double now) {
    for (fal_job *job = list->first, *next; job; job = next) {
        fal_error failure;
        next = job->next;
        if (judge_job(e, job, now, &failure) != FAL_OK) fail_job(e, job, &failure);
    }
}

/* ---- places ---- */

static fal_place *find_idle(fal_engine *e) {
    for (int i = 0; i < e->how.n_parallel; i++) {
        if (!e->places[i].holder) return &e->places[i];
    }
    return NULL;
}

/* The job whose next answer is to get a place: of those that can use one, the one that holds fewest, then the oldest. */
static fal_job *choose_job(const fal_engine *e) {
    fal_job *best = NULL;
    for (fal_job *job = e->waiting.first; job; job = job->next) {
        bool can = !job->is_admitted || job->is_prompt_done;
        if (can && (!best || job->n_placed < best->n_placed)) best = job;
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

static fal_status open_place(fal_engine *e, fal_place *place, fal_error *err) {
    if (place->session) return FAL_OK;
    fal_session_options o = {
        .n_context = (int)e->n_context, .kv_type = e->how.kv_type, .n_batch = e->how.n_batch};
    return fal_session_open(&place->session, e->model, &o, err);
}

static fal_status take_place(fal_engine *e, fal_place *place, fal_job_answer *a, fal_error *err) {
    FAL_TRY(open_place(e, place, err));
    FAL_TRY(fal_answer_open(&a->answer, e->model, &a->how, err));
    fal_answer_follow(a->answer, a->job->prompt, a->job->n_prompt);
    fal_session_rewind(place->session, 0);
    a->n_fed = 0;
    a->place = place;
    place->holder = a;
    a->job->n_placed++;
    e->n_taken++;
    return FAL_OK;
}

static void admit(fal_engine *e, fal_job *job, double now) {
    if (job->is_admitted) return;
    job->is_admitted = true;
    pthread_mutex_lock(&e->lock);
    e->n_unplaced--;
    fal_histogram_add(&e->state.queue_seconds, now - job->started_at);
    pthread_mutex_unlock(&e->lock);
}

static void give_places(fal_engine *e, double now) {
    fal_place *place;
    fal_job *job;
    while ((place = find_idle(e)) && (job = choose_job(e))) {
        fal_error failure;
        fal_job_answer *a = unplaced_answer(job);
        if (take_place(e, place, a, &failure) != FAL_OK) {
            fail_job(e, job, &failure);
            continue;
        }
        admit(e, job, now);
        if (!unplaced_answer(job)) {
            fal_job_list_remove(&e->waiting, job);
            fal_job_list_add(&e->running, job);
        }
    }
}

/* ---- one step ---- */

static void count_first(fal_engine *e, fal_job_answer *a, double now) {
    pthread_mutex_lock(&e->lock);
    e->state.tokens_drawn++;
    if (a->last_at > 0) {
        fal_histogram_add(&e->state.next_token_seconds, now - a->last_at);
    } else if (a->index == 0) {
        fal_histogram_add(&e->state.first_token_seconds, now - a->job->started_at);
    }
    pthread_mutex_unlock(&e->lock);
    a->last_at = now;
}

static fal_status put_piece(fal_job_answer *a, const fal_piece *piece, fal_error *err) {
    if (piece->token < 0 && piece->length == 0) return FAL_OK;
    fal_job_event event = {.kind = FAL_JOB_PIECE,
                           .answer = a->index,
                           .text = piece->text,
                           .length = piece->length,
                           .token = piece->token,
                           .log_probability = piece->log_probability};
    return fal_job_put(a->job, &event, err);
}

static fal_status finish_answer(fal_engine *e, fal_job_answer *a, fal_error *err) {
    fal_piece last;
    fal_answer_finish(a->answer, &last);
    FAL_TRY(put_piece(a, &last, err));
    const fal_generate_result *result = fal_answer_result(a->answer);
    fal_job_event event = {.kind = FAL_JOB_FINISH,
                           .answer = a->index,
                           .finish = result->finish,
                           .stop_word = result->stop_word,
                           .n_tokens = result->n_tokens};
    FAL_TRY(fal_job_put(a->job, &event, err));
    fal_answer_close(a->answer);
    a->answer = NULL;
    a->is_over = true;
    a->job->n_over++;
    leave_place(e, a);
    return FAL_OK;
}

static fal_status draw(fal_engine *e, fal_job_answer *a, fal_error *err) {
    const fal_session *s = a->place->session;
    bool has_room = fal_session_count(s) < e->n_context;
    fal_piece piece;
    FAL_TRY(fal_answer_draw(a->answer, fal_session_logits(s), has_room, &piece, err));
    FAL_TRY(put_piece(a, &piece, err));
    a->pending = piece.token;
    count_first(e, a, fal_seconds());
    return fal_answer_is_over(a->answer) ? finish_answer(e, a, err) : FAL_OK;
}

static fal_status tell_prompt(fal_engine *e, fal_job *job, fal_error *err) {
    if (job->is_prompt_done) return FAL_OK;
    job->is_prompt_done = true;
    fal_job_event event = {.kind = FAL_JOB_PROMPT,
                           .n_prompt = job->n_prompt,
                           .n_cached = job->n_cached,
                           .n_dropped = job->n_dropped,
                           .prompt = job->prompt};
    pthread_mutex_lock(&e->lock);
    e->state.prompt_tokens += job->n_prompt;
    pthread_mutex_unlock(&e->lock);
    return fal_job_put(job, &event, err);
}

static fal_status feed_prompt(fal_engine *e, fal_job_answer *a, fal_error *err) {
    fal_job *job = a->job;
    size_t n = job->n_prompt - a->n_fed;
    if (n > (size_t)e->how.n_batch) n = (size_t)e->how.n_batch;
    fal_session_expect(a->place->session, job->n_prompt);
    FAL_TRY(fal_session_feed(a->place->session, job->prompt + a->n_fed, n, NULL, err));
    fal_session_expect(a->place->session, 0);
    a->n_fed += n;
    if (a->n_fed < job->n_prompt) return FAL_OK;
    FAL_TRY(tell_prompt(e, job, err));
    return draw(e, a, err);
}

static fal_status go_on(fal_engine *e, fal_job_answer *a, fal_error *err) {
    if (a->n_fed < a->job->n_prompt) return feed_prompt(e, a, err);
    FAL_TRY(fal_session_feed(a->place->session, &a->pending, 1, NULL, err));
    return draw(e, a, err);
}

static bool is_paused(fal_job *job, double now) {
    bool is_full = fal_job_is_full(job);
    if (!is_full) job->paused_at = 0;
    if (is_full && job->paused_at == 0) job->paused_at = now;
    return is_full;
}

static bool compute_places(fal_engine *e, double now) {
    bool has_computed = false;
    for (int i = 0; i < e->how.n_parallel; i++) {
        fal_job_answer *a = e->places[i].holder;
        if (!a || is_paused(a->job, now)) continue;
        fal_job *job = a->job;
        fal_error failure;
        has_computed = true;
        if (go_on(e, a, &failure) != FAL_OK) {
            fail_job(e, job, &failure);
        } else if (job->n_over == job->n_answers) {
            end_job(e, job, FAL_OK, NULL);
        } else if (job->has_news) {
            fal_job_tell(job);
        }
    }
    return has_computed;
}

bool fal_engine_round(fal_engine *e) {
    double now = fal_seconds();
    end_hopeless(e, &e->waiting, now);
    end_hopeless(e, &e->running, now);
    give_places(e, now);
    pthread_mutex_lock(&e->lock);
    e->state.n_running = e->n_taken;
    pthread_mutex_unlock(&e->lock);
    bool has_computed = compute_places(e, now);
    pthread_mutex_lock(&e->lock);
    e->state.n_running = e->n_taken;
    e->state.steps += has_computed;
    if (has_computed) fal_histogram_add(&e->state.step_seconds, fal_seconds() - now);
    pthread_mutex_unlock(&e->lock);
    return has_computed;
}
