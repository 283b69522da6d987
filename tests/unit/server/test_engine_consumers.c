/* Consumers of jobs that are slow, gone, or in the way: what pauses, waits, is cancelled or late, and who is told. */
#include "base/cpu.h"
#include "engine_fixture.h"

#include <stdatomic.h>
#include <stdlib.h>

/* So many events that they fill what may wait. */
static fal_job_options verbose(consumer *c) {
    fal_job_options how = drawing(9, 0);
    how.ignore_end = true;
    how.n_top = FAL_JOB_MAX_TOP;
    how.on_event = consumer_wake;
    how.user = c;
    return how;
}

static fal_job *start_paused(fal_engine *e, const fal_job_options *how) {
    fal_job *job;
    fal_error err = {0};
    CHECK_OK(fal_job_start(&job, e, how, &err), &err);
    for (int i = 0; i < 1000 && state_of(e).n_paused == 0; i++)
        sleep_ms(10);
    assert_int_equal(state_of(e).n_paused, 1);
    return job;
}

/* Whoever does not take its events pauses; others go on, on its place if there is no other. */
static void test_slow_consumer(void **state) {
    (void)state;
    static const fal_engine_options ways[] = {
        {.n_parallel = 2},
        {               .n_parallel = 1              },
        { .n_parallel = 1,               .without_cache = true}
    };
    for (size_t w = 0; w < sizeof ways / sizeof ways[0]; w++) {
        fal_engine *e = open_engine(&ways[w]);
        consumer c = CONSUMER;
        fal_job_options slow = verbose(&c), other = drawing(4, 20);
        fal_job *job = start_paused(e, &slow);
        uint64_t n_drawn = state_of(e).tokens_drawn;
        assert_true(n_drawn < N_CONTEXT - 10); /* it stopped before the end */
        for (int i = 0; i < 4; i++)
            check_job(e, &other);
        assert_int_equal(state_of(e).n_paused, 1);
        recording got = {0}, alone = {0};
        fal_error err = {0};
        CHECK_OK(consume(&c, job, &got, &err), &err);
        fal_job_release(job);
        generate_alone(&slow, 0, &alone);
        assert_true(got.is_finished && is_same(&got, &alone));
        fal_engine_close(e);
    }
}

static void test_pause_has_an_end(void **state) {
    (void)state;
    const fal_engine_options o = {.n_parallel = 1, .max_pause_s = 1};
    fal_engine *e = open_engine(&o);
    consumer c = CONSUMER;
    fal_job_options slow = verbose(&c), other = drawing(4, 20);
    fal_job *job = start_paused(e, &slow);
    check_job(e, &other);
    for (int i = 0; i < 1000 && state_of(e).jobs_cancelled == 0; i++)
        sleep_ms(10);
    recording got = {0};
    fal_error err = {0};
    CHECK_STATUS(consume(&c, job, &got, &err), FAL_E_CANCELLED, &err, "nobody took");
    fal_job_release(job);
    assert_int_equal(state_of(e).jobs_cancelled, 1);
    fal_engine_close(e);
}

/* Holds the computing thread up until it is opened. */
typedef struct gate {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    bool is_reached, is_open;
} gate;

#define GATE \
    { .lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER }

static void wait_at(void *user, bool more) {
    (void)more;
    gate *g = user;
    pthread_mutex_lock(&g->lock);
    g->is_reached = true;
    pthread_cond_broadcast(&g->moved);
    while (!g->is_open)
        pthread_cond_wait(&g->moved, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

static void open_gate(gate *g) {
    pthread_mutex_lock(&g->lock);
    g->is_open = true;
    pthread_cond_broadcast(&g->moved);
    pthread_mutex_unlock(&g->lock);
}

/* A job on whose on_event the computing thread waits until the gate is opened. */
static fal_job *start_gated(fal_engine *e, gate *g) {
    fal_job *job;
    fal_error err = {0};
    fal_job_options how = drawing(1, 30);
    how.ignore_end = true;
    how.on_event = wait_at;
    how.user = g;
    CHECK_OK(fal_job_start(&job, e, &how, &err), &err);
    pthread_mutex_lock(&g->lock);
    while (!g->is_reached)
        pthread_cond_wait(&g->moved, &g->lock);
    pthread_mutex_unlock(&g->lock);
    return job;
}

static void test_queue_is_bounded(void **state) {
    (void)state;
    const fal_engine_options o = {.n_parallel = 1, .n_waiting = 2};
    fal_engine *e = open_engine(&o);
    gate g = GATE;
    fal_job_options other = drawing(4, 6);
    fal_job *job = start_gated(e, &g), *waiting[3];
    fal_error err = {0};
    CHECK_OK(fal_job_start(&waiting[0], e, &other, &err), &err);
    CHECK_OK(fal_job_start(&waiting[1], e, &other, &err), &err);
    CHECK_STATUS(fal_job_start(&waiting[2], e, &other, &err), FAL_E_BUSY, &err, "at most 2");
    assert_int_equal(state_of(e).n_waiting, 2);
    assert_int_equal(state_of(e).jobs_refused, 1);
    fal_job_release(waiting[1]); /* leaves the queue without ever having had a place */
    open_gate(&g);
    for (int i = 0; i < 1000 && state_of(e).jobs_cancelled == 0; i++)
        sleep_ms(10);
    CHECK_OK(fal_job_start(&waiting[1], e, &other, &err), &err);
    fal_engine_drain(e);
    assert_int_equal(state_of(e).jobs_done, 3);
    assert_int_equal(state_of(e).queue_seconds.count, 3);
    fal_job_release(job);
    fal_job_release(waiting[0]);
    fal_job_release(waiting[1]);
    fal_engine_close(e);
}

/* Jobs that lost their place to others count, too: nobody piles them up. */
static void test_parked_are_bounded(void **state) {
    (void)state;
    const fal_engine_options o = {.n_parallel = 1, .n_waiting = 2};
    fal_engine *e = open_engine(&o);
    consumer c = CONSUMER;
    fal_job_options slow = verbose(&c);
    fal_job *jobs[4];
    fal_error err = {0};
    for (size_t i = 0; i < 3; i++) {
        CHECK_OK(fal_job_start(&jobs[i], e, &slow, &err), &err);
        for (int k = 0; k < 1000 && state_of(e).n_paused == i; k++)
            sleep_ms(10);
        assert_int_equal(state_of(e).n_paused, i + 1);
    }
    CHECK_STATUS(fal_job_start(&jobs[3], e, &slow, &err), FAL_E_BUSY, &err, "3 requests");
    for (size_t i = 0; i < 3; i++) {
        recording got = {0}, alone = {0};
        CHECK_OK(consume(&c, jobs[i], &got, &err), &err);
        fal_job_release(jobs[i]);
        generate_alone(&slow, 0, &alone);
        assert_true(got.is_finished && is_same(&got, &alone));
    }
    fal_engine_close(e);
}

static void test_cancel(void **state) {
    (void)state;
    fal_engine *e = open_engine(NULL);
    consumer c = CONSUMER;
    fal_job_options how = verbose(&c); /* pauses rather than be over too soon */
    for (int i = 0; i < 20; i++) {
        fal_job *job;
        fal_job_event event = {0};
        fal_error err = {0};
        recording rest = {0}, alone = {0};
        CHECK_OK(fal_job_start(&job, e, &how, &err), &err);
        for (int k = 0; k < i; k++) {
            while (!fal_job_take(job, &event))
                assert_true(consumer_sleep(&c));
            if (event.kind == FAL_JOB_PIECE) record_event(&rest, &event);
        }
        uint64_t n_steps = state_of(e).steps;
        fal_job_cancel(job);
        CHECK_STATUS(consume(&c, job, &rest, &err), FAL_E_CANCELLED, &err, "cancelled");
        assert_true(state_of(e).steps <= n_steps + 2); /* one was under way, perhaps counted late */
        generate_alone(&how, 0, &alone);
        assert_true(is_same(&rest, &alone));
        fal_job_cancel(job);
        fal_job_release(job);
    }
    fal_engine_close(e);
}

static void test_time_limit(void **state) {
    (void)state;
    const fal_engine_options o = {.n_parallel = 1};
    fal_engine *e = open_engine(&o);
    gate g = GATE;
    consumer c = CONSUMER;
    fal_job_options late = drawing(1, 5);
    fal_job *job = start_gated(e, &g), *waiting;
    fal_error err = {0};
    late.max_seconds = 0.05;
    late.on_event = consumer_wake;
    late.user = &c;
    CHECK_OK(fal_job_start(&waiting, e, &late, &err), &err);
    sleep_ms(100);
    open_gate(&g);
    CHECK_STATUS(consume(&c, waiting, NULL, &err), FAL_E_CANCELLED, &err, "0.05 seconds");
    fal_job_release(waiting);
    fal_job_release(job);
    fal_engine_close(e);
}

/* What was said until time is over stands: of answers that run, and of those that have not begun. */
static void test_time_limit_keeps_what_was_said(void **state) {
    (void)state;
    const fal_engine_options o = {.n_parallel = 1};
    fal_engine *e = open_engine(&o);
    consumer c = CONSUMER;
    recording *answers = calloc(3, sizeof *answers);
    fal_job *job;
    fal_error err = {0};
    fal_job_options how = verbose(&c); /* pauses */
    how.max_seconds = 0.2;
    how.n_answers = 3;
    CHECK_OK(fal_job_start(&job, e, &how, &err), &err);
    for (int k = 0; k < 1000 && state_of(e).jobs_done == 0; k++)
        sleep_ms(5);
    CHECK_OK(consume(&c, job, answers, &err), &err);
    for (int i = 0; i < 3; i++) {
        recording alone = {0};
        assert_true(answers[i].is_finished);
        assert_int_equal(answers[i].finish, FAL_FINISH_LENGTH);
        answers[i].is_finished = false;
        generate_alone(&how, i, &alone);
        assert_true(is_same(&answers[i], &alone));
    }
    assert_true(answers[0].n_ids > 0);
    fal_job_release(job);
    free(answers);
    fal_engine_close(e);
}

/* Events tell when they happened, however late they are taken. */
static void test_events_have_times(void **state) {
    (void)state;
    fal_engine *e = open_engine(NULL);
    fal_job *job;
    fal_job_event event = {0};
    fal_error err = {0};
    fal_job_options how = drawing(1, 6);
    how.ignore_end = true;
    double before = fal_seconds(), last = before, step = before;
    CHECK_OK(fal_job_start(&job, e, &how, &err), &err);
    fal_engine_drain(e);
    double over = fal_seconds();
    sleep_ms(20);
    while (fal_job_take(job, &event)) {
        assert_true(event.at >= last && event.at <= over);
        last = event.at;
        if (event.kind != FAL_JOB_PIECE || event.token < 0) continue;
        assert_true(event.since > step && event.since < event.at); /* a token is a step */
        step = event.since;
    }
    assert_true(event.kind == FAL_JOB_DONE && step > before);
    fal_job_release(job);
    fal_engine_close(e);
}

static void release_inside(void *user, bool more) {
    (void)more;
    fal_job **job = user;
    fal_job_release(*job);
    *job = NULL;
}

static void test_release_inside_on_event(void **state) {
    (void)state;
    fal_engine *e = open_engine(NULL);
    for (int i = 0; i < 10; i++) {
        fal_job *job;
        fal_error err = {0};
        fal_job_options how = drawing(2, i);
        how.on_event = release_inside;
        how.user = &job;
        /* on_event may come first, and then job is NULL already. */
        CHECK_OK(fal_job_start(&job, e, &how, &err), &err);
        for (int k = 0; k < 1000; k++) {
            fal_engine_state s = state_of(e);
            if (s.jobs_done + s.jobs_cancelled == (uint64_t)i + 1) break;
            sleep_ms(5);
        }
    }
    fal_engine_drain(e);
    fal_engine_close(e);
}

/* Calls of on_event that were told that another follows on the same thread, and those that were the last. */
static atomic_int n_told_more, n_told_last, n_unended;
static _Thread_local int n_open;

static void note_told(void *user, bool more) {
    (void)user;
    atomic_fetch_add(more ? &n_told_more : &n_told_last, 1);
    atomic_fetch_add(&n_unended, more ? 1 : -n_open);
    n_open = more ? n_open + 1 : 0;
}

/* Consumers of one step are told together, and the last call knows that it is, so that whoever is woken only once is. */
static void test_told_together(void **state) {
    (void)state;

    enum {
        N_JOBS = 8
    };

    fal_engine *e = open_engine(NULL);
    fal_job *jobs[N_JOBS];
    fal_error err = {0};
    size_t n_over = 0;
    n_told_more = n_told_last = n_unended = 0;
    for (int i = 0; i < N_JOBS; i++) {
        fal_job_options how = drawing(1, i);
        how.max_new_tokens = 40;
        how.ignore_end = true;
        how.on_event = note_told;
        CHECK_OK(fal_job_start(&jobs[i], e, &how, &err), &err);
    }
    while (n_over < N_JOBS) {
        fal_job_event event;
        for (int i = 0; i < N_JOBS; i++) {
            while (fal_job_take(jobs[i], &event))
                n_over += event.kind == FAL_JOB_DONE;
        }
        sleep_ms(1);
    }
    fal_engine_drain(e);
    for (int i = 0; i < N_JOBS; i++)
        fal_job_release(jobs[i]);
    fal_engine_close(e);
    assert_true(n_told_more > 0 && n_told_last > 0);
    assert_int_equal(n_unended, 0);
}

static void be_slow(void *user, bool more) {
    (void)more;
    (void)user;
    sleep_ms(1300);
}

/* A computing thread that does not come back is seen from outside. */
static void test_stuck(void **state) {
    (void)state;
    const fal_engine_options o = {.max_step_s = 1};
    fal_engine *e = open_engine(&o);
    fal_job *job;
    fal_error err = {0};
    fal_job_options how = drawing(1, 3);
    how.on_event = be_slow;
    assert_true(state_of(e).step_age == 0);
    CHECK_OK(fal_job_start(&job, e, &how, &err), &err);
    bool was_stuck = false;
    for (int i = 0; i < 200 && !was_stuck; i++) {
        sleep_ms(10);
        was_stuck = state_of(e).is_stuck;
    }
    assert_true(was_stuck);
    fal_job_release(job);
    fal_engine_drain(e);
    assert_false(state_of(e).is_stuck);
    fal_engine_close(e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slow_consumer),
        cmocka_unit_test(test_pause_has_an_end),
        cmocka_unit_test(test_queue_is_bounded),
        cmocka_unit_test(test_parked_are_bounded),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_time_limit),
        cmocka_unit_test(test_time_limit_keeps_what_was_said),
        cmocka_unit_test(test_events_have_times),
        cmocka_unit_test(test_release_inside_on_event),
        cmocka_unit_test(test_told_together),
        cmocka_unit_test(test_stuck),
    };
    /* Answers of several threads go on by themselves. */
    const struct CMUnitTest of_many_threads[] = {
        cmocka_unit_test(test_parked_are_bounded),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_time_limit_keeps_what_was_said),
        cmocka_unit_test(test_told_together),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down)
           + cmocka_run_group_tests(of_many_threads, set_up_many_threads, tear_down);
}
