/* Jobs on an engine: each answer is that of fal_generate alone, events come in order, and what ends a job ends it. */
#include "check.h"
#include "convert/convert.h"
#include "server/engine.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    N_CONTEXT = 96,
    MAX_TEXT = 4096,
    MAX_TOKENS = 256
};

static char model_path[256];
static fal_model *model;

static int set_up(void **state) {
    (void)state;
    fal_error err = {0};
    const char *folder = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    snprintf(model_path, sizeof model_path, "%s/falconer-engine-%ld.gguf", folder, (long)getpid());
    CHECK_OK(fal_convert_folder(FAL_SOURCE_DIR "/tests/golden/models/falcon-7b-like", model_path,
                                NULL, &err),
             &err);
    CHECK_OK(fal_model_open(&model, model_path, NULL, &err), &err);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    fal_model_close(model);
    return unlink(model_path);
}

/* ---- what an answer was ---- */

typedef struct recording {
    char text[MAX_TEXT];
    size_t length;
    int32_t ids[MAX_TOKENS];
    double log_probabilities[MAX_TOKENS];
    size_t n_ids;
    fal_finish finish;
    bool is_finished;
} recording;

static void record(recording *r, const char *text, size_t length, int32_t token, double value) {
    assert_true(r->length + length < MAX_TEXT && r->n_ids < MAX_TOKENS);
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

static void generate_alone(const fal_job_options *o, int answer, recording *r) {
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

static void check_same(const recording *a, const recording *b) {
    assert_true(a->is_finished && b->is_finished);
    assert_int_equal(a->finish, b->finish);
    assert_int_equal(a->n_ids, b->n_ids);
    assert_memory_equal(a->ids, b->ids, a->n_ids * sizeof a->ids[0]);
    assert_memory_equal(a->log_probabilities, b->log_probabilities,
                        a->n_ids * sizeof a->log_probabilities[0]);
    assert_int_equal(a->length, b->length);
    assert_memory_equal(a->text, b->text, a->length);
}

/* ---- a consumer that sleeps until events wait ---- */

typedef struct consumer {
    pthread_mutex_t lock;
    pthread_cond_t woken;
    bool is_woken;
} consumer;

static void consumer_wake(void *user) {
    consumer *c = user;
    pthread_mutex_lock(&c->lock);
    c->is_woken = true;
    pthread_cond_signal(&c->woken);
    pthread_mutex_unlock(&c->lock);
}

static void consumer_sleep(consumer *c) {
    pthread_mutex_lock(&c->lock);
    while (!c->is_woken)
        pthread_cond_wait(&c->woken, &c->lock);
    c->is_woken = false;
    pthread_mutex_unlock(&c->lock);
}

#define CONSUMER \
    { .lock = PTHREAD_MUTEX_INITIALIZER, .woken = PTHREAD_COND_INITIALIZER }

/* Takes all events of a job into one recording per answer. Returns how it ended. */
static fal_status consume(consumer *c, fal_job *job, recording *answers, fal_error *failure) {
    fal_job_event e;
    for (;;) {
        while (!fal_job_take(job, &e))
            consumer_sleep(c);
        if (e.kind == FAL_JOB_DONE) return FAL_OK;
        if (e.kind == FAL_JOB_FAILED) {
            if (failure) *failure = *e.failure;
            return e.failure->status;
        }
        if (e.kind == FAL_JOB_PIECE)
            record(&answers[e.answer], e.text, e.length, e.token, e.log_probability);
        if (e.kind == FAL_JOB_FINISH) {
            assert_false(answers[e.answer].is_finished);
            answers[e.answer].is_finished = true;
            answers[e.answer].finish = e.finish;
            assert_int_equal(e.n_tokens, answers[e.answer].n_ids);
        }
    }
}

static fal_engine *open_engine(const fal_engine_options *o) {
    fal_engine *e;
    fal_error err = {0};
    fal_engine_options how = o ? *o : (fal_engine_options){0};
    how.n_context = N_CONTEXT;
    CHECK_OK(fal_engine_open(&e, model, &how, &err), &err);
    return e;
}

static const int32_t prompt[] = {300, 301, 302, 303, 304, 305};

static fal_job_options drawing(uint64_t seed, int n) {
    return (fal_job_options){
        .prompt = prompt,
        .n_prompt = sizeof prompt / sizeof prompt[0],
        .sampling = {.temperature = 1, .seed = seed},
        .max_new_tokens = n,
        .wants_log_probabilities = true
    };
}

/* Runs one job on e and compares each of its answers with the answer alone. */
static void check_job(fal_engine *e, const fal_job_options *how) {
    consumer c = CONSUMER;
    fal_job *job;
    fal_error err = {0};
    fal_job_options o = *how;
    int n = o.n_answers ? o.n_answers : 1;
    o.on_event = consumer_wake;
    o.user = &c;
    recording *answers = calloc((size_t)n, sizeof *answers);
    CHECK_OK(fal_job_start(&job, e, &o, &err), &err);
    CHECK_OK(consume(&c, job, answers, &err), &err);
    fal_job_release(job);
    for (int i = 0; i < n; i++) {
        recording alone = {0};
        generate_alone(&o, i, &alone);
        check_same(&answers[i], &alone);
    }
    free(answers);
}

static void test_one_answer(void **state) {
    (void)state;
    fal_engine *e = open_engine(NULL);
    static const char *const stop[] = {"e", "the", NULL};
    for (uint64_t seed = 0; seed < 8; seed++) {
        fal_job_options how = drawing(seed, 12);
        check_job(e, &how);
        how.stop = stop;
        how.penalise_prompt = true;
        how.sampling.repetition_penalty = 1.3;
        check_job(e, &how);
        how = drawing(seed, 0);
        how.ignore_end = true;
        check_job(e, &how); /* until the context is full */
    }
    fal_engine_close(e);
}

static void test_many_answers(void **state) {
    (void)state;
    const fal_engine_options o = {.n_parallel = 3};
    fal_engine *e = open_engine(&o);
    fal_job_options how = drawing(5, 10);
    how.n_answers = 7;
    check_job(e, &how);
    fal_engine_close(e);
}

static void test_refusals(void **state) {
    (void)state;
    fal_engine *e = open_engine(NULL);
    fal_job *job;
    fal_error err = {0};
    int32_t long_prompt[N_CONTEXT + 5] = {0};
    fal_job_options how = drawing(1, 4);
    how.n_prompt = 0;
    CHECK_STATUS(fal_job_start(&job, e, &how, &err), FAL_E_ARGUMENT, &err, "no tokens");
    how.prompt = long_prompt;
    how.n_prompt = N_CONTEXT + 5;
    CHECK_STATUS(fal_job_start(&job, e, &how, &err), FAL_E_LIMIT, &err, "101 tokens");
    assert_non_null(strstr(err.message, "96"));
    how.n_prompt = 2;
    long_prompt[1] = -7;
    CHECK_STATUS(fal_job_start(&job, e, &how, &err), FAL_E_ARGUMENT, &err, "-7");
    how = drawing(1, 4);
    how.n_answers = FAL_JOB_MAX_ANSWERS + 1;
    CHECK_STATUS(fal_job_start(&job, e, &how, &err), FAL_E_ARGUMENT, &err, "answers: 129");
    how = drawing(1, -4);
    CHECK_STATUS(fal_job_start(&job, e, &how, &err), FAL_E_ARGUMENT, &err, "max_new_tokens: -4");
    how = drawing(1, 4);
    how.sampling.top_p = 3;
    CHECK_STATUS(fal_job_start(&job, e, &how, &err), FAL_E_ARGUMENT, &err, "top_p: 3");
    fal_engine_refuse(e);
    how = drawing(1, 4);
    CHECK_STATUS(fal_job_start(&job, e, &how, &err), FAL_E_CANCELLED, &err, "shutting down");
    assert_null(job);
    fal_engine_close(e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_answer),
        cmocka_unit_test(test_many_answers),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
