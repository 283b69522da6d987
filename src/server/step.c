/* One step: which answers take part with how many tokens, the computing, and what becomes of the logits. Drawing answers
 * bring one token each; prompts share what room is left, so that a long one delays nobody by more than a step.
 *
 * Answers that only draw go on from token to token, on the threads that compute them, for as long as nothing else is to be
 * looked at; whatever ends answers or jobs, and places and the queue, is left to the computing thread. */
#include "base/cpu.h"
#include "base/fail.h"
#include "server/engine_private.h"

enum {
    FIRST_STEP = 64, /* tokens of prompts in a step before speed is known */
    FEWEST_TOKENS = 16,
    MEASURED_TOKENS = 16 /* steps of fewer say little about speed */
};

/* How long prompts may keep a step, in seconds: what others wait for their next token, and a cancelled job for its end. */
static const double longest_beside_others = 0.1, longest_alone = 0.4;

/* Seconds that answers go on by themselves, before bounds of time are looked at again and threads get others to compute. */
static const double longest_walk = 0.05;

/* ---- who takes part ---- */

static size_t n_unfed(const fal_job_answer *a) {
    return a->n_feed - a->n_fed;
}

static size_t add_part(fal_engine *e, size_t n_parts, fal_job_answer *a, fal_batch_part part) {
    part.session = a->place->session;
    e->parts[n_parts] = part;
    e->partners[n_parts] = a;
    return n_parts + 1;
}

/* Tokens of prompts that this step has room for. */
static size_t prompt_budget(const fal_engine *e, size_t n_drawing, size_t n_feeding) {
    size_t budget = FIRST_STEP, most = (size_t)e->how.n_batch - n_drawing;
    double seconds = n_drawing > 0 ? longest_beside_others : longest_alone;
    if (e->seconds_per_token > 0) {
        double n = seconds / e->seconds_per_token;
        budget = n < (double)most ? (size_t)n : most;
    }
    if (budget < FEWEST_TOKENS) budget = FEWEST_TOKENS;
    if (budget < n_feeding) budget = n_feeding;
    return budget < most ? budget : most;
}

/* Shortest rest first, so that equal shares leave nothing over: what a short one does not need goes to longer ones. */
static void sort_by_rest(fal_job_answer **answers, size_t n) {
    for (size_t i = 1; i < n; i++) {
        fal_job_answer *a = answers[i];
        size_t k = i;
        for (; k > 0 && n_unfed(answers[k - 1]) > n_unfed(a); k--)
            answers[k] = answers[k - 1];
        answers[k] = a;
    }
}

static fal_batch_part prompt_part(const fal_job_answer *a, size_t count) {
    fal_job *job = a->job;
    bool is_looked_at = !job->is_prompt_done && fal_job_looks_at_prompt(job);
    if (is_looked_at && count > FAL_JOB_ROWS) count = FAL_JOB_ROWS;
    /* One that goes on with a pending token draws after that. */
    bool draws = a->pending < 0 && !fal_job_has_no_answer(job);
    fal_batch_part part = {.tokens = a->feed + a->n_fed,
                           .count = count,
                           .n_following = n_unfed(a) - count,
                           .wants_logits = count == n_unfed(a) && draws};
    if (is_looked_at && job->how.wants_embedding) part.hidden = job->rows;
    if (is_looked_at && !job->how.wants_embedding) part.all_logits = job->rows;
    return part;
}

/* Returns how many parts the step has. Answers that draw come in turns, half of them further each time, so that none has fewer
 * neighbours than others for long, nor the thread that others leave least of its core. */
static size_t gather(fal_engine *e, double now) {
    size_t n_parts = 0, n_feeding = 0, n_drawing = 0;
    for (int i = 0; i < fal_places_count(e->places); i++) {
        fal_job_answer *a = fal_places_at(e->places, i)->holder;
        if (!a || fal_job_pauses(a->job, now)) continue;
        if (n_unfed(a) > 0)
            e->feeding[n_feeding++] = a;
        else
            e->drawing[n_drawing++] = a;
    }
    for (e->turn += (n_drawing + 1) / 2; n_parts < n_drawing;) {
        fal_job_answer *a = e->drawing[(n_parts + e->turn) % n_drawing];
        const fal_batch_part part = {.tokens = &a->pending, .count = 1, .wants_logits = true};
        n_parts = add_part(e, n_parts, a, part);
    }
    size_t left = prompt_budget(e, n_parts, n_feeding);
    sort_by_rest(e->feeding, n_feeding);
    for (size_t i = 0; i < n_feeding && left > 0; i++) {
        fal_job_answer *a = e->feeding[i];
        size_t share = (left + n_feeding - i - 1) / (n_feeding - i);
        size_t count = n_unfed(a) < share ? n_unfed(a) : share;
        n_parts = add_part(e, n_parts, a, prompt_part(a, count));
        left -= e->parts[n_parts - 1].count;
    }
    return n_parts;
}

/* ---- what was computed ---- */

static void count_draw_locked(fal_engine *e, fal_job_answer *a, double now) {
    e->state.tokens_drawn++;
    if (a->last_at > 0) {
        fal_histogram_add(&e->state.next_token_seconds, now - a->last_at);
    } else if (a->index == 0) {
        fal_histogram_add(&e->state.first_token_seconds, now - a->job->started_at);
    }
    a->last_at = now;
}

/* logits NULL: nothing is told beside it. */
static fal_status put_piece(const fal_engine *e, fal_job_answer *a, const fal_piece *piece,
                            const float *logits, fal_error *err) {
    int32_t ids[FAL_JOB_MAX_TOP];
    double values[FAL_JOB_MAX_TOP];
    size_t n_top = (size_t)a->job->how.n_top;
    if (piece->token < 0 && piece->length == 0) return FAL_OK;
    if (!logits || n_top == 0) {
        n_top = 0;
    } else {
        n_top = fal_top_log_probabilities(logits, e->n_vocab, n_top, ids, values);
    }
    fal_job_event event = {.kind = FAL_JOB_PIECE,
                           .answer = a->index,
                           .text = piece->text,
                           .length = piece->length,
                           .token = piece->token,
                           .log_probability = piece->log_probability,
                           .since = a->step_began_at,
                           .n_top = n_top,
                           .top_ids = ids,
                           .top_values = values};
    return fal_job_put(a->job, &event, err);
}

static fal_status finish_answer(fal_engine *e, fal_job_answer *a, fal_error *err) {
    fal_piece last;
    fal_answer_finish(a->answer, &last);
    FAL_TRY(put_piece(e, a, &last, NULL, err));
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
    fal_engine_leave_place(e, a);
    return FAL_OK;
}

/* One that has not begun says nothing. */
static fal_status cut_answer(fal_engine *e, fal_job_answer *a, fal_error *err) {
    const fal_job_event nothing = {
        .kind = FAL_JOB_FINISH, .answer = a->index, .finish = FAL_FINISH_LENGTH};
    if (a->is_over) return FAL_OK;
    if (!a->answer) return fal_job_put(a->job, &nothing, err);
    fal_answer_cut(a->answer);
    return finish_answer(e, a, err);
}

void fal_engine_cut_job(fal_engine *e, fal_job *job) {
    fal_error failure;
    fal_status status = FAL_OK;
    for (int i = 0; i < job->n_answers && status == FAL_OK; i++)
        status = cut_answer(e, &job->answers[i], &failure);
    fal_engine_end_job(e, job, status == FAL_OK ? NULL : &failure);
}

/* What was drawn is told, and is what is computed next. */
static fal_status tell_drawn(const fal_engine *e, fal_job_answer *a, fal_error *err) {
    FAL_TRY(put_piece(e, a, &a->drawn, fal_session_logits(a->place->session), err));
    a->pending = a->drawn.token;
    a->is_drawn = false;
    return FAL_OK;
}

/* What was drawn and could not be told by the thread that drew it. */
static fal_status take_drawn(fal_engine *e, fal_job_answer *a, fal_error *err) {
    if (!a->is_drawn) return FAL_OK;
    if (a->draw_status != FAL_OK && err) *err = a->draw_failure;
    FAL_TRY(a->draw_status);
    FAL_TRY(tell_drawn(e, a, err));
    return fal_answer_is_over(a->answer) ? finish_answer(e, a, err) : FAL_OK;
}

/* The logits of tokens first ... first + count - 1 say how probable the tokens behind them are. */
static void note_logits(const fal_engine *e, fal_job *job, size_t first, size_t count) {
    size_t n_top = (size_t)job->how.n_top;
    for (size_t i = 0; i < count; i++) {
        size_t next = first + i + 1;
        const float *logits = job->rows + i * e->n_vocab;
        if (next == job->n_prompt) return;
        job->prompt_log_probabilities[next] =
            fal_log_probability(logits, e->n_vocab, job->prompt[next]);
        if (n_top > 0)
            fal_top_log_probabilities(logits, e->n_vocab, n_top, job->prompt_top_ids + next * n_top,
                                      job->prompt_top_values + next * n_top);
    }
}

/* In the order of the tokens, so that no cut changes the sum. */
static void note_hidden(const fal_engine *e, fal_job *job, size_t count) {
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < e->d_model; k++)
            job->hidden_sum[k] += (double)job->rows[i * e->d_model + k];
    }
}

static fal_status put_prompt(fal_engine *e, fal_job *job, fal_error *err) {
    fal_job_event event = {.kind = FAL_JOB_PROMPT,
                           .n_prompt = job->n_prompt,
                           .n_cached = job->n_cached,
                           .n_dropped = job->n_dropped,
                           .queue_seconds = job->queue_seconds,
                           .prompt = job->prompt,
                           .prompt_log_probabilities = job->prompt_log_probabilities};
    if (job->prompt_log_probabilities && job->how.n_top > 0) {
        event.n_top = (size_t)job->how.n_top;
        event.top_ids = job->prompt_top_ids;
        event.top_values = job->prompt_top_values;
    }
    pthread_mutex_lock(&e->lock);
    e->state.prompt_tokens += job->n_prompt;
    pthread_mutex_unlock(&e->lock);
    return fal_job_put(job, &event, err);
}

static fal_status put_embedding(fal_engine *e, fal_job *job, fal_error *err) {
    for (size_t k = 0; k < e->d_model; k++)
        job->embedding[k] = (float)(job->hidden_sum[k] / (double)job->n_prompt);
    fal_job_event event = {
        .kind = FAL_JOB_EMBEDDING, .embedding = job->embedding, .d_model = e->d_model};
    return fal_job_put(job, &event, err);
}

static fal_status end_prompt(fal_engine *e, fal_job_answer *a, fal_error *err) {
    fal_job *job = a->job;
    if (!job->is_prompt_done) {
        job->is_prompt_done = true;
        FAL_TRY(put_prompt(e, job, err));
        if (job->how.wants_embedding) FAL_TRY(put_embedding(e, job, err));
    }
    if (!fal_job_has_no_answer(job)) return take_drawn(e, a, err);
    a->is_over = true;
    job->n_over++;
    fal_engine_leave_place(e, a);
    return FAL_OK;
}

static fal_status take_part(fal_engine *e, const fal_batch_part *part, fal_job_answer *a,
                            fal_error *err) {
    if (n_unfed(a) == 0) return take_drawn(e, a, err);
    if (part->all_logits) note_logits(e, a->job, a->n_fed, part->count);
    if (part->hidden) note_hidden(e, a->job, part->count);
    a->n_fed += part->count;
    return n_unfed(a) == 0 && a->pending < 0 ? end_prompt(e, a, err) : FAL_OK;
}

/* ---- on the threads that compute ---- */

/* Whether an answer may draw once more by itself: it brought no prompt, and is not over. */
static bool goes_on(fal_job_answer *a) {
    return n_unfed(a) == 0 && a->draw_status == FAL_OK && !fal_answer_is_over(a->answer);
}

/* What follows for one part of the step: its token is drawn, and told if it is neither a prompt's first nor an answer's last. */
static void draw(void *engine, size_t part) {
    const fal_engine *e = engine;
    fal_job_answer *a = e->partners[e->first_part + part];
    if (!a) return;
    a->is_computed = true;
    if (!e->parts[e->first_part + part].wants_logits) return;
    const fal_session *s = a->place->session;
    bool has_room = fal_session_count(s) < e->n_context;
    a->draw_status =
        fal_answer_draw(a->answer, fal_session_logits(s), has_room, &a->drawn, &a->draw_failure);
    a->is_drawn = true;
    if (goes_on(a)) a->draw_status = tell_drawn(e, a, &a->draw_failure);
}

/* Notes what parts [begin, end) have brought. False: the computing thread is wanted. */
static bool note_step(fal_engine *e, size_t begin, size_t end) {
    double now = fal_seconds();
    pthread_mutex_lock(&e->lock);
    e->state.steps++;
    e->last_sign_at = now;
    for (size_t i = begin; i < end; i++) {
        fal_job_answer *a = e->partners[i];
        if (!a) continue;
        if (i == begin) fal_histogram_add(&e->state.step_seconds, now - a->step_began_at);
        if (e->parts[i].wants_logits && a->draw_status == FAL_OK) count_draw_locked(e, a, now);
    }
    bool is_wanted = e->is_woken || e->is_closing || now - e->walk_began_at > longest_walk;
    pthread_mutex_unlock(&e->lock);
    return !is_wanted;
}

/* What follows for parts [begin, end) that were computed together. True: they go on. */
static bool follow(void *engine, size_t begin, size_t end) {
    fal_engine *e = engine;
    begin += e->first_part;
    end += e->first_part;
    bool go_on = note_step(e, begin, end);
    size_t n_told = 0;
    for (size_t i = begin; i < end; i++) {
        fal_job_answer *a = e->partners[i];
        bool has_told = a && e->parts[i].wants_logits && !a->is_drawn;
        go_on = go_on && has_told && !fal_job_is_full(a->job);
        if (has_told) e->told[begin + n_told++] = a->job;
    }
    fal_jobs_tell(e->told + begin, n_told);
    double now = fal_seconds();
    for (size_t i = begin; i < end && go_on; i++)
        e->partners[i]->step_began_at = now;
    return go_on;
}

/* ---- the step ---- */

/* What the parts of a job that has failed meanwhile are marked with. */
static void drop_parts(fal_engine *e, const fal_job *job, size_t n_parts) {
    for (size_t i = 0; i < n_parts; i++) {
        if (e->partners[i] && e->partners[i]->job == job) e->partners[i] = NULL;
    }
}

static void fail_job(fal_engine *e, fal_job *job, size_t n_parts, const fal_error *failure) {
    drop_parts(e, job, n_parts);
    fal_engine_end_job(e, job, failure);
}

static fal_status compute(fal_engine *e, size_t first, size_t count, fal_error *err) {
    const fal_batch_follower follower = {draw, follow, e};
    double now = fal_seconds();
    e->first_part = first;
    for (size_t i = first; i < first + count; i++) {
        if (e->partners[i]) e->partners[i]->step_began_at = now;
    }
    return fal_batch_step(e->batch, e->parts + first, count, &follower, err);
}

/* One by one after all of them together have failed, so that only those fail who are the reason. */
static void compute_alone(fal_engine *e, size_t n_parts) {
    for (size_t i = 0; i < n_parts; i++) {
        fal_error failure;
        if (!e->partners[i] || e->partners[i]->is_computed) continue;
        if (compute(e, i, 1, &failure) != FAL_OK)
            fail_job(e, e->partners[i]->job, n_parts, &failure);
    }
}

/* How fast prompts are computed. */
static void measure(fal_engine *e, size_t n_parts, double seconds) {
    size_t n_tokens = 0;
    bool has_prompt = false;
    for (size_t i = 0; i < n_parts; i++) {
        n_tokens += e->parts[i].count;
        has_prompt = has_prompt || e->parts[i].count > 1;
    }
    if (!has_prompt || n_tokens < MEASURED_TOKENS) return;
    double each = seconds / (double)n_tokens, known = e->seconds_per_token;
    e->seconds_per_token = known > 0 ? 0.8 * known + 0.2 * each : each;
}

static void hand_out(fal_engine *e, size_t n_parts) {
    for (size_t i = 0; i < n_parts; i++) {
        fal_error failure;
        fal_job_answer *a = e->partners[i];
        if (a && take_part(e, &e->parts[i], a, &failure) != FAL_OK)
            fail_job(e, a->job, n_parts, &failure);
    }
}

static void tell(fal_engine *e, size_t n_parts) {
    size_t n_told = 0;
    for (size_t i = 0; i < n_parts; i++) {
        fal_job *job = e->partners[i] ? e->partners[i]->job : NULL;
        if (!job) continue;
        if (job->n_over == job->n_answers) {
            drop_parts(e, job, n_parts);
            fal_engine_end_job(e, job, NULL);
        } else {
            e->told[n_told++] = job;
        }
    }
    fal_jobs_tell(e->told, n_told);
}

bool fal_engine_step(fal_engine *e, double now) {
    size_t n_parts = gather(e, now);
    if (n_parts == 0) return false;
    e->walk_began_at = fal_seconds();
    for (size_t i = 0; i < n_parts; i++)
        e->partners[i]->is_computed = false;
    if (compute(e, 0, n_parts, NULL) != FAL_OK) compute_alone(e, n_parts);
    measure(e, n_parts, fal_seconds() - e->walk_began_at);
    hand_out(e, n_parts);
    tell(e, n_parts);
    return true;
}
