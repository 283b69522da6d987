/* Jobs on an engine, one thing at a time: each answer is that of fal_generate alone, events come in order, and what ends a
 * job ends it. */
#include "base/alloc.h"
#include "engine_fixture.h"
#include "runtime/batch.h"
#include "text/grammar.h"

#include <stdlib.h>

/* ---- answers ---- */

static void test_one_answer(void **state) {
    (void)state;
    fal_engine *e = open_engine(NULL);
    static const char *const stop[] = {"e", "the", NULL};
    static const fal_token_bias biases[] = {
        {.id = 310, .value = 4  },
        {.id = 311, .value = -50}
    };
    for (uint64_t seed = 0; seed < 8; seed++) {
        fal_job_options how = drawing(seed, 12);
        check_job(e, &how);
        how.stop = stop;
        how.penalise_prompt = true;
        how.sampling.repetition_penalty = 1.3;
        check_job(e, &how);
        how = drawing(seed, 0);
        how.ignore_end = true;
        how.sampling.biases = biases;
        how.sampling.n_biases = 2;
        check_job(e, &how); /* until the context is full */
    }
    fal_engine_state s = state_of(e);
    assert_int_equal(s.jobs_started, 24);
    assert_int_equal(s.jobs_done, 24);
    assert_int_equal(s.first_token_seconds.count, 24);
    assert_int_equal(s.next_token_seconds.count, s.tokens_drawn - 24);
    fal_engine_close(e);
}

/* The prompt is computed once: of the others only the last token is, again. */
static void test_many_answers(void **state) {
    (void)state;
    static const int parallel[] = {1, 3, 20};
    for (size_t i = 0; i < 3; i++) {
        const fal_engine_options o = {.n_parallel = parallel[i], .without_cache = i == 2};
        fal_engine *e = open_engine(&o);
        fal_job_options how = drawing(5, 10);
        how.n_answers = 7;
        check_job(e, &how);
        how.sampling.seed = 6;
        assert_int_equal(check_job(e, &how), i == 2 ? 0 : how.n_prompt - 1);
        fal_engine_close(e);
    }
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
    how = drawing(1, 4);
    const fal_token_bias bias = {.id = 1 << 20, .value = 1};
    how.sampling.biases = &bias;
    how.sampling.n_biases = 1;
    CHECK_STATUS(fal_job_start(&job, e, &how, &err), FAL_E_ARGUMENT, &err, "1048576");
    fal_engine_refuse(e);
    how = drawing(1, 4);
    CHECK_STATUS(fal_job_start(&job, e, &how, &err), FAL_E_CANCELLED, &err, "shutting down");
    assert_null(job);
    fal_engine_close(e);
}

/* A long prompt that may be cut loses its beginning, and that is said. */
static void test_truncate(void **state) {
    (void)state;
    fal_engine *e = open_engine(NULL);
    consumer c = CONSUMER;
    int32_t prompt[N_CONTEXT + 40];
    for (int i = 0; i < N_CONTEXT + 40; i++)
        prompt[i] = 280 + i;
    fal_job *job;
    fal_error err = {0};
    fal_job_options how = drawing(3, 10);
    how.prompt = prompt;
    how.n_prompt = N_CONTEXT + 40;
    how.truncate = true;
    how.on_event = consumer_wake;
    how.user = &c;
    CHECK_OK(fal_job_start(&job, e, &how, &err), &err);
    fal_job_event event;
    while (!fal_job_take(job, &event))
        assert_true(consumer_sleep(&c));
    assert_int_equal(event.kind, FAL_JOB_PROMPT);
    assert_int_equal(event.n_dropped, 50);
    assert_int_equal(event.n_prompt, N_CONTEXT - 10);
    assert_memory_equal(event.prompt, prompt + 50, event.n_prompt * sizeof *prompt);
    recording got = {0}, alone = {0};
    CHECK_OK(consume(&c, job, &got, &err), &err);
    fal_job_release(job);
    how.prompt = prompt + 50;
    how.n_prompt = N_CONTEXT - 10;
    generate_alone(&how, 0, &alone);
    assert_true(got.is_finished && is_same(&got, &alone));
    fal_engine_close(e);
}

/* Every answer is one that the grammar knows, whatever else is computed; the job holds it itself. */
static void test_grammar(void **state) {
    (void)state;
    static const char gbnf[] = "root ::= (\"yes\" | \"no\" | [0-9]+ \" of \" [a-z]) \".\"";
    fal_engine *e = open_engine(NULL);
    consumer c = CONSUMER;
    fal_job *job, *other;
    fal_error err = {0};
    fal_grammar *grammar;
    fal_job_options how = drawing(1, 60), plain = drawing(2, 40);
    CHECK_OK(fal_grammar_open(&grammar, gbnf, sizeof gbnf - 1, &err), &err);
    how.n_answers = 8;
    how.grammar = grammar;
    how.on_event = consumer_wake;
    how.user = &c;
    CHECK_OK(fal_job_start(&other, e, &plain, &err), &err);
    CHECK_OK(fal_job_start(&job, e, &how, &err), &err);
    fal_grammar_close(grammar);
    recording answers[8] = {0};
    CHECK_OK(consume(&c, job, answers, &err), &err);
    fal_job_release(job);
    fal_job_release(other);
    int n_ended = 0;
    for (int i = 0; i < 8; i++) {
        const recording *r = &answers[i];
        assert_true(r->finish == FAL_FINISH_END || r->finish == FAL_FINISH_LENGTH);
        if (r->finish == FAL_FINISH_LENGTH) continue;
        n_ended++;
        char text[64] = {0};
        assert_true(r->length >= 3 && r->length < sizeof text);
        memcpy(text, r->text, r->length);
        assert_true(strcmp(text, "yes.") == 0 || strcmp(text, "no.") == 0
                    || (strspn(text, "0123456789") == r->length - 6
                        && memcmp(text + r->length - 6, " of ", 4) == 0));
    }
    assert_true(n_ended > 0);
    fal_engine_close(e);
}

/* ---- what is told of a prompt ---- */

/* The prompt's events of a job that draws nothing; those of one kind go to out. */
static void take_prompt(fal_engine *e, fal_job_options how, fal_job **job,
                        fal_job_event_kind wanted, fal_job_event *out) {
    consumer c = CONSUMER;
    fal_error err = {0};
    how.on_event = consumer_wake;
    how.user = &c;
    CHECK_OK(fal_job_start(job, e, &how, &err), &err);
    fal_job_event event = {0};
    while (event.kind != FAL_JOB_DONE) {
        while (!fal_job_take(*job, &event))
            assert_true(consumer_sleep(&c));
        assert_int_not_equal(event.kind, FAL_JOB_PIECE);
        assert_int_not_equal(event.kind, FAL_JOB_FAILED);
        if (event.kind == wanted) *out = event;
    }
}

static void test_prompt_log_probabilities(void **state) {
    (void)state;
    static const int batches[] = {1, 7, 0};
    int32_t prompt[70];
    for (int i = 0; i < 70; i++)
        prompt[i] = 270 + i * i % 200;
    size_t n_vocab = (size_t)fal_model_info_get(model)->n_vocab;
    float *logits = calloc(70 * n_vocab, sizeof *logits);
    fal_session *s;
    fal_error err = {0};
    CHECK_OK(fal_session_open(&s, model, NULL, &err), &err);
    CHECK_OK(fal_session_feed(s, prompt, 70, logits, &err), &err);
    for (size_t b = 0; b < 3; b++) {
        const fal_engine_options o = {.n_batch = batches[b], .n_parallel = 1};
        fal_engine *e = open_engine(&o);
        fal_job *job;
        fal_job_event event = {0};
        fal_job_options how = drawing(1, 1);
        check_job(e, &how); /* what is cached must not stand in the way */
        how.prompt = prompt;
        how.n_prompt = 70;
        how.wants_no_answer = how.wants_prompt_log_probabilities = true;
        how.n_top = 3;
        take_prompt(e, how, &job, FAL_JOB_PROMPT, &event);
        assert_int_equal(event.n_prompt, 70);
        for (size_t i = 1; i < 70; i++) {
            int32_t ids[3];
            double values[3];
            const float *row = logits + (i - 1) * n_vocab;
            double expected = fal_log_probability(row, n_vocab, prompt[i]);
            assert_memory_equal(&event.prompt_log_probabilities[i], &expected, sizeof expected);
            fal_top_log_probabilities(row, n_vocab, 3, ids, values);
            assert_memory_equal(event.top_ids + 3 * i, ids, sizeof ids);
            assert_memory_equal(event.top_values + 3 * i, values, sizeof values);
        }
        fal_job_release(job);
        fal_engine_close(e);
    }
    fal_session_close(s);
    free(logits);
}

static void test_embedding(void **state) {
    (void)state;
    static const int batches[] = {1, 5, 0};
    int32_t prompt[80];
    for (int i = 0; i < 80; i++)
        prompt[i] = 270 + i * i % 200;
    size_t d_model = (size_t)fal_model_info_get(model)->d_model;
    float *hidden = calloc(80 * d_model, sizeof *hidden);
    fal_batch *batch;
    fal_session *s;
    fal_error err = {0};
    CHECK_OK(fal_batch_open(&batch, model, 80, &err), &err);
    CHECK_OK(fal_batch_session_open(&s, batch, NULL, &err), &err);
    const fal_batch_part part = {.session = s, .tokens = prompt, .count = 80, .hidden = hidden};
    CHECK_OK(fal_batch_step(batch, &part, 1, NULL, &err), &err);
    for (size_t b = 0; b < 3; b++) {
        const fal_engine_options o = {.n_batch = batches[b], .n_parallel = 1};
        fal_engine *e = open_engine(&o);
        fal_job *job;
        fal_job_event event = {0};
        fal_job_options how = drawing(1, 1);
        how.prompt = prompt;
        how.n_prompt = 80;
        how.wants_embedding = true;
        take_prompt(e, how, &job, FAL_JOB_EMBEDDING, &event);
        assert_int_equal(event.d_model, d_model);
        for (size_t k = 0; k < d_model; k++) {
            double sum = 0;
            for (size_t i = 0; i < 80; i++)
                sum += (double)hidden[i * d_model + k];
            float mean = (float)(sum / 80);
            assert_memory_equal(&event.embedding[k], &mean, sizeof mean);
        }
        fal_job_release(job);
        fal_engine_close(e);
    }
    fal_session_close(s);
    fal_batch_close(batch);
    free(hidden);
}

/* The most probable token is the one that a greedy answer takes. */
static void test_tops(void **state) {
    (void)state;
    fal_engine *e = open_engine(NULL);
    consumer c = CONSUMER;
    fal_job *job;
    fal_job_event event = {0};
    fal_error err = {0};
    fal_job_options how = drawing(1, 20);
    how.sampling.temperature = 0;
    how.n_top = 5;
    how.ignore_end = true;
    how.on_event = consumer_wake;
    how.user = &c;
    CHECK_OK(fal_job_start(&job, e, &how, &err), &err);
    int n_pieces = 0;
    while (event.kind != FAL_JOB_DONE) {
        while (!fal_job_take(job, &event))
            assert_true(consumer_sleep(&c));
        if (event.kind != FAL_JOB_PIECE || event.token < 0) continue;
        n_pieces++;
        assert_int_equal(event.n_top, 5);
        assert_int_equal(event.top_ids[0], event.token);
        assert_memory_equal(&event.top_values[0], &event.log_probability, sizeof(double));
        assert_true(event.top_values[4] <= event.top_values[1]);
    }
    assert_int_equal(n_pieces, 20);
    fal_job_release(job);
    fal_engine_close(e);
}

/* ---- the end ---- */

static void test_drain_and_close(void **state) {
    (void)state;
    fal_engine *e = open_engine(NULL);
    fal_job *jobs[6];
    fal_error err = {0};
    fal_job_options how = drawing(1, 8);
    for (int i = 0; i < 5; i++)
        CHECK_OK(fal_job_start(&jobs[i], e, &how, &err), &err);
    fal_engine_drain(e);
    assert_int_equal(state_of(e).jobs_done, 5);
    CHECK_STATUS(fal_job_start(&jobs[5], e, &how, &err), FAL_E_CANCELLED, &err, "");
    fal_engine_close(e);
    /* Their events are still there. */
    recording alone = {0};
    generate_alone(&how, 0, &alone);
    for (int i = 0; i < 5; i++) {
        consumer c = CONSUMER;
        recording got = {0};
        CHECK_OK(consume(&c, jobs[i], &got, &err), &err);
        assert_true(got.is_finished && is_same(&got, &alone));
        fal_job_release(jobs[i]);
    }
    e = open_engine(NULL);
    how.max_new_tokens = 0;
    how.ignore_end = true;
    for (int i = 0; i < 3; i++)
        CHECK_OK(fal_job_start(&jobs[i], e, &how, &err), &err);
    fal_engine_close(e);
    for (int i = 0; i < 3; i++) {
        consumer c = CONSUMER;
        recording got = {0};
        fal_status status = consume(&c, jobs[i], &got, &err);
        assert_true(status == FAL_OK || status == FAL_E_CANCELLED);
        fal_job_release(jobs[i]);
    }
}

/* A client that leaves closes its grammar at once, while answers still follow it. */
static void test_grammar_outlives_its_client(void **state) {
    (void)state;
    static const char gbnf[] = "root ::= [a-z ]+";
    long live = fal_alloc_live();
    fal_engine *e = open_engine(NULL);
    fal_error err = {0};
    for (int i = 0; i < 20; i++) {
        fal_job *job;
        fal_grammar *grammar;
        fal_job_options how = drawing(2, 60);
        CHECK_OK(fal_grammar_open(&grammar, gbnf, sizeof gbnf - 1, &err), &err);
        how.grammar = grammar;
        how.n_prompt = i == 10 ? 0 : how.n_prompt; /* a start that fails holds nothing */
        fal_status status = fal_job_start(&job, e, &how, &err);
        assert_int_equal(status, i == 10 ? FAL_E_ARGUMENT : FAL_OK);
        sleep_ms(i);
        if (status == FAL_OK) fal_job_release(job);
        fal_grammar_close(grammar);
    }
    fal_engine_close(e);
    assert_int_equal(fal_alloc_live(), live);
}

/* ---- memory ---- */

/* Each allocation of a job is refused in turn: only that job fails, nothing is lost, and the engine goes on. */
static void test_memory(void **state) {
    (void)state;
    long live = fal_alloc_live();
    fal_engine *e = open_engine(NULL);
    fal_job_options plain = drawing(1, 6);
    int n_failed = 0, n_good = 0;
    check_job(e, &plain);
    for (long n = 1; n < 2000 && n_good < 30; n++) {
        consumer c = CONSUMER;
        fal_job *job;
        fal_error err = {0};
        static recording answers[2];
        memset(answers, 0, sizeof answers);
        int32_t prompt[20];
        for (int i = 0; i < 20; i++)
            prompt[i] = 270 + (int32_t)((n + i * i) % 200);
        fal_job_options how = drawing(1, 6);
        how.prompt = prompt;
        how.n_prompt = 20;
        how.n_answers = 2;
        how.n_top = 2;
        how.wants_prompt_log_probabilities = true;
        how.on_event = consumer_wake;
        how.user = &c;
        fal_alloc_fail_at(n);
        fal_status status = fal_job_start(&job, e, &how, &err);
        if (status == FAL_OK) status = consume(&c, job, answers, &err);
        fal_alloc_fail_at(0);
        if (status != FAL_OK) {
            CHECK_STATUS(status, FAL_E_MEMORY, &err, "memory");
            n_failed++;
            n_good = 0;
        } else {
            n_good++;
        }
        for (int i = 0; status == FAL_OK && i < 2; i++) {
            recording alone = {0};
            generate_alone(&how, i, &alone);
            assert_true(answers[i].is_finished && is_same(&answers[i], &alone));
        }
        fal_job_release(job);
        if (n % 16 == 0) check_job(e, &plain);
    }
    assert_true(n_failed > 10);
    fal_engine_close(e);
    assert_int_equal(fal_alloc_live(), live);
}

static void test_memory_of_open(void **state) {
    (void)state;
    fal_status status = FAL_E_MEMORY;
    const fal_engine_options o = {.n_context = N_CONTEXT, .cache_dir = NULL};
    for (long n = 1; n < 200 && status != FAL_OK; n++) {
        fal_engine *e;
        fal_error err = {0};
        long live = fal_alloc_live();
        fal_alloc_fail_at(n);
        status = fal_engine_open(&e, model, &o, &err);
        fal_alloc_fail_at(0);
        if (status != FAL_OK) CHECK_STATUS(status, FAL_E_MEMORY, &err, "memory");
        fal_engine_close(e);
        assert_int_equal(fal_alloc_live(), live);
    }
    assert_int_equal(status, FAL_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_answer),
        cmocka_unit_test(test_many_answers),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_truncate),
        cmocka_unit_test(test_prompt_log_probabilities),
        cmocka_unit_test(test_embedding),
        cmocka_unit_test(test_tops),
        cmocka_unit_test(test_grammar),
        cmocka_unit_test(test_drain_and_close),
        cmocka_unit_test(test_grammar_outlives_its_client),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_memory_of_open),
    };
    /* What a step draws is drawn by all threads at once. */
    const struct CMUnitTest of_many_threads[] = {
        cmocka_unit_test(test_many_answers),
        cmocka_unit_test(test_tops),
        cmocka_unit_test(test_grammar),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down)
           + cmocka_run_group_tests(of_many_threads, set_up_many_threads, tear_down);
}
