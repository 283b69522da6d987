/* Jobs that come, go and are cancelled at random, from several threads: whatever else is served, each answer is the one
 * alone, bit for bit. Prompts share beginnings, few places and little memory make timelines move to the shelf and to
 * disk, and back. FAL_TEST_ROUNDS: how many jobs a thread starts (25). */
#include "base/folder.h"
#include "base/random.h"
#include "engine_fixture.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    N_KINDS = 24,
    SLOW_KIND = 20,
    N_THREADS = 4,
    MOST_ANSWERS = 3,
    MOST_PROMPT = 64
};

typedef struct kind {
    int32_t prompt[MOST_PROMPT];
    fal_job_options how;
    recording alone[MOST_ANSWERS];
} kind;

static kind kinds[N_KINDS];
static const char *const stop_words[] = {"a", "or", NULL};
static const fal_token_bias biases[] = {
    {.id = 320, .value = 3},
    {.id = 321, .value = 2}
};

/* Four families of prompts; within one all begin alike, and some go on from the answer of another. */
static void make_kind(int i) {
    kind *k = &kinds[i];
    int n = 8 + i * 7 % (MOST_PROMPT - 8);
    for (int t = 0; t < n; t++)
        k->prompt[t] = t < 6 + i ? 270 + i % 4 * 40 + t : 265 + i * 3 + t;
    k->how = drawing((uint64_t)i / 3, 4 + i * 5 % 20);
    k->how.prompt = k->prompt;
    k->how.n_prompt = (size_t)n;
    k->how.n_answers = 1 + i % MOST_ANSWERS;
    if (i % 3 == 0) k->how.sampling.top_p = 0.9;
    if (i % 4 == 1) k->how.sampling.top_k = 20;
    if (i % 5 == 2) k->how.stop = stop_words;
    if (i % 6 == 3) k->how.penalise_prompt = true, k->how.sampling.repetition_penalty = 1.4;
    if (i % 7 == 4) k->how.ignore_end = true, k->how.max_new_tokens = 0;
    if (i % 8 == 5) k->how.sampling.biases = biases, k->how.sampling.n_biases = 2;
    if (i % 9 == 6) k->how.n_top = 4;
    /* More events than may wait: who takes them slowly loses its place to others. */
    if (i == SLOW_KIND) {
        k->how = drawing(77, 0);
        k->how.prompt = k->prompt;
        k->how.n_answers = 2;
        k->how.ignore_end = true;
        k->how.n_top = FAL_JOB_MAX_TOP;
    }
    for (int a = 0; a < k->how.n_answers; a++)
        generate_alone(&k->how, a, &k->alone[a]);
    if (i == 0 || i % 4 == 3 || kinds[i - 1].alone[0].n_ids < 6) return;
    /* Conversation: the prompt of the one before, some of its answer, something else. */
    const kind *before = &kinds[i - 1];
    size_t n_before = before->how.n_prompt < 50 ? before->how.n_prompt : 50;
    memcpy(k->prompt, before->prompt, n_before * sizeof k->prompt[0]);
    if (n_before == before->how.n_prompt) {
        memcpy(k->prompt + n_before, before->alone[0].ids, 5 * sizeof k->prompt[0]);
        n_before += 5;
    }
    k->prompt[n_before] = 333;
    k->how.n_prompt = n_before + 1;
    memset(k->alone, 0, sizeof k->alone);
    for (int a = 0; a < k->how.n_answers; a++)
        generate_alone(&k->how, a, &k->alone[a]);
}

/* Of many threads, so that answers go on by themselves on several of them while clients come and leave. */
static int set_up_kinds(void **state) {
    set_up_many_threads(state);
    for (int i = 0; i < N_KINDS; i++)
        make_kind(i);
    return 0;
}

/* ---- clients ---- */

typedef struct client {
    fal_engine *engine;
    fal_random random;
    int n_rounds;
    /* What went wrong is only counted here: tests fail in their own thread. */
    int n_wrong, n_silent, n_done, n_cancelled, n_busy;
} client;

static void nap(fal_random *random) {
    const struct timespec t = {.tv_nsec = (long)(fal_random_u64(random) % 3000000)};
    nanosleep(&t, NULL);
}

/* Takes events until the job is over or cancel_at of them were taken. */
static void follow(client *c, consumer *wait, fal_job *job, const kind *k, int cancel_at) {
    recording *got = calloc(MOST_ANSWERS, sizeof *got);
    fal_job_event e = {0};
    if (k == &kinds[SLOW_KIND]) nanosleep(&(struct timespec){.tv_nsec = 900000000}, NULL);
    bool is_over = false;
    for (int n = 0; !is_over; n++) {
        if (n == cancel_at) fal_job_cancel(job);
        while (!fal_job_take(job, &e)) {
            if (consumer_sleep(wait)) continue;
            c->n_silent++;
            free(got);
            return;
        }
        is_over = e.kind == FAL_JOB_DONE || e.kind == FAL_JOB_FAILED;
        if ((e.kind == FAL_JOB_PIECE || e.kind == FAL_JOB_FINISH) && !record_event(got, &e))
            c->n_wrong++;
        if (n % 16 == 5) nap(&c->random);
    }
    bool is_cancelled = e.kind == FAL_JOB_FAILED;
    if (is_cancelled && (cancel_at < 0 || e.failure->status != FAL_E_CANCELLED)) c->n_wrong++;
    for (int a = 0; a < k->how.n_answers; a++) {
        if (!is_same(&got[a], &k->alone[a])) c->n_wrong++;
        if (!is_cancelled && !got[a].is_finished) c->n_wrong++;
    }
    c->n_done += !is_cancelled;
    c->n_cancelled += is_cancelled;
    free(got);
}

static void *run_client(void *argument) {
    client *c = argument;
    for (int i = 0; i < c->n_rounds; i++) {
        consumer wait = CONSUMER;
        const kind *k = &kinds[fal_random_u64(&c->random) % N_KINDS];
        uint64_t fate = fal_random_u64(&c->random) % 10;
        int cancel_at = fate < 2 ? (int)(fal_random_u64(&c->random) % 12) : -1;
        fal_job_options how = k->how;
        fal_job *job;
        how.on_event = consumer_wake;
        how.user = &wait;
        fal_status status = fal_job_start(&job, c->engine, &how, NULL);
        if (status != FAL_OK) {
            c->n_busy += status == FAL_E_BUSY;
            c->n_wrong += status != FAL_E_BUSY;
            nap(&c->random);
            continue;
        }
        if (fate != 2) follow(c, &wait, job, k, cancel_at);
        fal_job_release(job);
        if (fate > 7) nap(&c->random);
    }
    return NULL;
}

static void run_clients(const fal_engine_options *o, uint64_t seed) {
    const char *rounds = getenv("FAL_TEST_ROUNDS");
    int n_rounds = rounds ? (int)strtol(rounds, NULL, 10) : 25;
    fal_engine *e = open_engine(o);
    client clients[N_THREADS];
    pthread_t threads[N_THREADS];
    for (int i = 0; i < N_THREADS; i++) {
        clients[i] = (client){
            .engine = e, .random = fal_random_seeded(seed, (uint64_t)i), .n_rounds = n_rounds};
        assert_int_equal(pthread_create(&threads[i], NULL, run_client, &clients[i]), 0);
    }
    int n_done = 0, n_cancelled = 0;
    for (int i = 0; i < N_THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(clients[i].n_wrong, 0);
        assert_int_equal(clients[i].n_silent, 0);
        n_done += clients[i].n_done;
        n_cancelled += clients[i].n_cancelled;
    }
    fal_engine_drain(e);
    fal_engine_state s;
    fal_engine_state_get(e, &s);
    assert_true(n_done > 0 && n_cancelled > 0);
    assert_int_equal(s.jobs_started, s.jobs_done + s.jobs_cancelled + s.jobs_failed);
    assert_int_equal(s.jobs_failed, 0);
    assert_int_equal(s.n_running, 0);
    assert_int_equal(s.n_waiting, 0);
    assert_true(o->without_cache || s.cache_hits > 0);
    fal_engine_close(e);
}

static void test_load(void **state) {
    (void)state;
    const fal_engine_options few = {.n_parallel = 3, .n_waiting = 2, .cache_bytes = 60000};
    const fal_engine_options many = {.n_parallel = 16, .n_batch = 17};
    const fal_engine_options alone = {.n_parallel = 5, .without_cache = true};
    run_clients(&few, 1);
    run_clients(&many, 2);
    run_clients(&alone, 3);
}

static void test_load_with_disk(void **state) {
    (void)state;
    char folder[256];
    const char *temporary = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    snprintf(folder, sizeof folder, "%s/falconer-engine-load-%ld", temporary, (long)getpid());
    const fal_engine_options o = {.n_parallel = 3,
                                  .n_waiting = 8,
                                  .cache_bytes = 60000,
                                  .cache_dir = folder,
                                  .disk_bytes = 200000};
    for (uint64_t i = 0; i < 3; i++)
        run_clients(&o, 10 + i);
    char lock[300];
    snprintf(lock, sizeof lock, "%s/.lock", folder);
    unlink(lock);
    fal_error err = {0};
    CHECK_OK(fal_folder_remove(folder, &err), &err);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_load_with_disk),
    };
    return cmocka_run_group_tests(tests, set_up_kinds, tear_down);
}
