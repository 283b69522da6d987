/* What the tests of the engine share: a tiny model, what an answer is when fal_generate makes it alone, and a consumer
 * that sleeps until events wait. */
#ifndef FAL_TESTS_ENGINE_FIXTURE_H
#define FAL_TESTS_ENGINE_FIXTURE_H

#include "check.h"
#include "server/engine.h"

#include <pthread.h>

enum {
    N_CONTEXT = 96,
    MAX_TEXT = 2048,
    MAX_TOKENS = 128
};

extern fal_model *model;

int set_up(void **state); /* one thread */
int set_up_many_threads(void **state);
int tear_down(void **state);

/* An engine on the model with N_CONTEXT tokens. o NULL: defaults. */
fal_engine *open_engine(const fal_engine_options *o);

fal_engine_state state_of(fal_engine *e);
void sleep_ms(long ms);

/* What an answer was. Zero-initialise. */
typedef struct recording {
    char text[MAX_TEXT];
    size_t length;
    int32_t ids[MAX_TOKENS];
    double log_probabilities[MAX_TOKENS];
    size_t n_ids;
    fal_finish finish;
    bool is_finished;
} recording;

/* The answer of fal_generate, alone on a session of its own. */
void generate_alone(const fal_job_options *o, int answer, recording *r);

/* Whether a is b bit for bit; if a is not finished, the beginning of it. */
bool is_same(const recording *a, const recording *b);

/* Sleeps until it is woken by a job's on_event. */
typedef struct consumer {
    pthread_mutex_t lock;
    pthread_cond_t woken;
    bool is_woken;
} consumer;

#define CONSUMER \
    { .lock = PTHREAD_MUTEX_INITIALIZER, .woken = PTHREAD_COND_INITIALIZER }

void consumer_wake(void *user, bool more);
/* False: nothing happened for a minute. */
bool consumer_sleep(consumer *c);

/* Adds a PIECE or FINISH to its answer's recording. False: it is out of order. */
bool record_event(recording *answers, const fal_job_event *e);

/* Takes all events of a job whose on_event is consumer_wake of c, into one recording per answer. Returns how it ended. */
fal_status consume(consumer *c, fal_job *job, recording *answers, fal_error *failure);

/* A prompt of six tokens, and an answer of n drawn with a temperature of 1. */
fal_job_options drawing(uint64_t seed, int n);

/* Runs a job on e, and checks that each of its answers is the one alone. Returns how many tokens were cached. */
size_t check_job(fal_engine *e, const fal_job_options *how);

#endif
