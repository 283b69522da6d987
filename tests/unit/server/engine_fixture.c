/* Body of engine_fixture.h. */
#include "engine_fixture.h"

#include "convert/convert.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

fal_model *model;
static char model_path[256];

static int set_up_threads(int n_threads) {
    fal_error err = {0};
    const char *folder = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    const fal_model_options options = {.n_threads = n_threads};
    snprintf(model_path, sizeof model_path, "%s/falconer-engine-%ld.gguf", folder, (long)getpid());
    CHECK_OK(fal_convert_folder(FAL_SOURCE_DIR "/tests/golden/models/falcon-7b-like", model_path,
                                NULL, &err),
             &err);
    CHECK_OK(fal_model_open(&model, model_path, &options, &err), &err);
    return 0;
}

int set_up(void **state) {
    (void)state;
    return set_up_threads(1);
}

int set_up_many_threads(void **state) {
    (void)state;
    return set_up_threads(4);
}

int tear_down(void **state) {
    (void)state;
    fal_model_close(model);
    return unlink(model_path);
}

void sleep_ms(long ms) {
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

fal_engine_state state_of(fal_engine *e) {
    fal_engine_state state;
    fal_engine_state_get(e, &state);
    return state;
}

fal_engine *open_engine(const fal_engine_options *o) {
    fal_engine *e;
    fal_error err = {0};
    fal_engine_options how = o ? *o : (fal_engine_options){0};
    how.n_context = N_CONTEXT;
    CHECK_OK(fal_engine_open(&e, model, &how, &err), &err);
    return e;
}

static void record(recording *r, const char *text, size_t length, int32_t token, double value) {
    if (r->length + length > MAX_TEXT || r->n_ids == MAX_TOKENS) return;
    if (length) memcpy(r->text + r->length, text, length);
    r->length += length;
    if (token < 0) return;
    r->ids[r->n_ids] = token;
    r->log_probabilities[r->n_ids++] = value;
}

static bool record_piece(void *user, const fal_piece *piece) {
    record(user, piece->text, piece->length, piece->token, piece->log_probability);
    return true;
}

void generate_alone(const fal_job_options *o, int answer, recording *r) {
    fal_session *s;
    fal_error err = {0};
    fal_generate_result result;
    const fal_session_options options = {.n_context = N_CONTEXT};
    const fal_generate_options how = {.sampling = o->sampling,
                                      .stream = (uint64_t)answer,
                                      .max_new_tokens = o->max_new_tokens,
                                      .stop = o->stop,
                                      .ignore_end = o->ignore_end,
                                      .penalise_prompt = o->penalise_prompt,
                                      .want_log_probability = o->wants_log_probabilities};
    CHECK_OK(fal_session_open(&s, model, &options, &err), &err);
    CHECK_OK(fal_session_feed(s, o->prompt, o->n_prompt, NULL, &err), &err);
    CHECK_OK(fal_generate(s, &how, record_piece, r, &result, &err), &err);
    r->finish = result.finish;
    r->is_finished = true;
    fal_session_close(s);
}

bool is_same(const recording *a, const recording *b) {
    bool is_whole = !a->is_finished
                    || (a->finish == b->finish && a->n_ids == b->n_ids && a->length == b->length);
    return is_whole && a->n_ids <= b->n_ids && a->length <= b->length
           && memcmp(a->ids, b->ids, a->n_ids * sizeof a->ids[0]) == 0
           && memcmp(a->text, b->text, a->length) == 0
           && memcmp(a->log_probabilities, b->log_probabilities,
                     a->n_ids * sizeof a->log_probabilities[0])
                  == 0;
}

void consumer_wake(void *user, bool more) {
    (void)more;
    consumer *c = user;
    pthread_mutex_lock(&c->lock);
    c->is_woken = true;
    pthread_cond_signal(&c->woken);
    pthread_mutex_unlock(&c->lock);
}

bool consumer_sleep(consumer *c) {
    struct timespec until;
    int number = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 60;
    pthread_mutex_lock(&c->lock);
    while (!c->is_woken && number == 0)
        number = pthread_cond_timedwait(&c->woken, &c->lock, &until);
    c->is_woken = false;
    pthread_mutex_unlock(&c->lock);
    return number == 0;
}

bool record_event(recording *answers, const fal_job_event *e) {
    recording *r = &answers[e->answer];
    if (r->is_finished) return false;
    if (e->kind == FAL_JOB_PIECE) record(r, e->text, e->length, e->token, e->log_probability);
    if (e->kind != FAL_JOB_FINISH) return true;
    r->is_finished = true;
    r->finish = e->finish;
    return e->n_tokens == r->n_ids;
}

/* Takes all events; *n_cached is what PROMPT said. */
static fal_status take_all(consumer *c, fal_job *job, recording *answers, fal_error *failure,
                           size_t *n_cached) {
    fal_job_event e;
    for (;;) {
        while (!fal_job_take(job, &e)) {
            if (!consumer_sleep(c)) fail_msg("nothing happened for a minute");
        }
        if (e.kind == FAL_JOB_DONE) return FAL_OK;
        if (e.kind == FAL_JOB_PROMPT) *n_cached = e.n_cached;
        if (e.kind == FAL_JOB_FAILED) {
            if (failure) *failure = *e.failure;
            return e.failure->status;
        }
        if (e.kind == FAL_JOB_PIECE || e.kind == FAL_JOB_FINISH)
            assert_true(record_event(answers, &e));
    }
}

fal_status consume(consumer *c, fal_job *job, recording *answers, fal_error *failure) {
    size_t n_cached;
    return take_all(c, job, answers, failure, &n_cached);
}

fal_job_options drawing(uint64_t seed, int n) {
    static const int32_t prompt[] = {300, 301, 302, 303, 304, 305};
    return (fal_job_options){
        .prompt = prompt,
        .n_prompt = sizeof prompt / sizeof prompt[0],
        .sampling = {.temperature = 1, .seed = seed},
        .max_new_tokens = n,
        .wants_log_probabilities = true
    };
}

size_t check_job(fal_engine *e, const fal_job_options *how) {
    consumer c = CONSUMER;
    fal_job *job;
    fal_error err = {0};
    fal_job_options o = *how;
    int n = o.n_answers ? o.n_answers : 1;
    size_t n_cached = 0;
    o.on_event = consumer_wake;
    o.user = &c;
    recording *answers = calloc((size_t)n, sizeof *answers);
    CHECK_OK(fal_job_start(&job, e, &o, &err), &err);
    CHECK_OK(take_all(&c, job, answers, &err, &n_cached), &err);
    fal_job_release(job);
    for (int i = 0; i < n; i++) {
        recording alone = {0};
        generate_alone(&o, i, &alone);
        assert_true(answers[i].is_finished);
        assert_true(is_same(&answers[i], &alone));
    }
    free(answers);
    return n_cached;
}
