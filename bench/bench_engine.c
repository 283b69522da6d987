/* falconer-bench-engine: many jobs at once on the engine of the server, without HTTP. Prints as JSON, for each number of
 * jobs, tokens per second of all together, and percentiles of the times to the first token and between tokens. */
#include "base/cpu.h"
#include "base/random.h"
#include "server/engine.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    MOST_JOBS = 1024,
    MOST_TOKENS = 4096
};

typedef struct options {
    const char *file;
    int n_jobs, n_prompt, n_tokens, n_threads;
    double temperature, top_p;
    int top_k;
} options;

/* One thread takes the events of all jobs, as the socket thread does. */
typedef struct measuring {
    pthread_mutex_t lock;
    pthread_cond_t woken;
    bool is_woken;
    fal_job *jobs[MOST_JOBS];
    double last_at[MOST_JOBS];
    double *firsts, *nexts; /* seconds */
    size_t n_firsts, n_nexts, n_over;
    double
        slowest_share; /* tokens of the job that is furthest behind, of the mean, when the first one ends */
    int n_taken[MOST_JOBS];
} measuring;

static void wake(void *user, bool more) {
    (void)more;
    measuring *m = user;
    pthread_mutex_lock(&m->lock);
    m->is_woken = true;
    pthread_cond_signal(&m->woken);
    pthread_mutex_unlock(&m->lock);
}

static void fail(const fal_error *err) {
    fprintf(stderr, "falconer-bench-engine: %s\n", err->message);
    exit(fal_status_exit_code(err->status));
}

static void note_token(measuring *m, int i, double started_at) {
    double now = fal_seconds();
    if (m->last_at[i] == 0) {
        m->firsts[m->n_firsts++] = now - started_at;
    } else {
        m->nexts[m->n_nexts++] = now - m->last_at[i];
    }
    m->last_at[i] = now;
    m->n_taken[i]++;
}

static void note_fairness(measuring *m, int n_jobs) {
    double sum = 0, least = MOST_TOKENS;
    for (int i = 0; i < n_jobs; i++) {
        sum += m->n_taken[i];
        least = m->n_taken[i] < least ? m->n_taken[i] : least;
    }
    m->slowest_share = least / (sum / n_jobs);
}

static void take_all(measuring *m, int n_jobs, double started_at) {
    for (int i = 0; i < n_jobs; i++) {
        fal_job_event e;
        while (m->jobs[i] && fal_job_take(m->jobs[i], &e)) {
            if (e.kind == FAL_JOB_PIECE && e.token >= 0) note_token(m, i, started_at);
            if (e.kind == FAL_JOB_FAILED) fail(e.failure);
            if (e.kind != FAL_JOB_DONE) continue;
            if (m->n_over++ == 0) note_fairness(m, n_jobs);
            fal_job_release(m->jobs[i]);
            m->jobs[i] = NULL;
        }
    }
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static json_t *percentiles(double *seconds, size_t n) {
    qsort(seconds, n, sizeof *seconds, by_value);
    json_t *out = json_object();

    static const struct {
        const char *name;
        double share;
    } wanted[] = {
        {"p50", 0.5 },
        {"p95", 0.95},
        {"p99", 0.99},
        {"max", 1   }
    };

    for (size_t i = 0; n > 0 && i < sizeof wanted / sizeof wanted[0]; i++)
        json_object_set_new(out, wanted[i].name,
                            json_real(1e3 * seconds[(size_t)(wanted[i].share * (double)(n - 1))]));
    return out;
}

static json_t *measure(fal_model *model, const options *o) {
    static measuring m;
    m = (measuring){.lock = PTHREAD_MUTEX_INITIALIZER, .woken = PTHREAD_COND_INITIALIZER};
    m.firsts = calloc(MOST_JOBS, sizeof *m.firsts);
    m.nexts = calloc((size_t)o->n_jobs * (size_t)o->n_tokens, sizeof *m.nexts);
    fal_engine *e;
    fal_error err = {0};
    const fal_engine_options how = {.n_waiting = MOST_JOBS};
    if (fal_engine_open(&e, model, &how, &err) != FAL_OK) fail(&err);
    fal_random random = fal_random_seeded(1, 0);
    int32_t prompt[MOST_TOKENS];
    double started_at = fal_seconds();
    for (int i = 0; i < o->n_jobs; i++) {
        for (int k = 0; k < o->n_prompt; k++)
            prompt[k] =
                (int32_t)(fal_random_u64(&random) % (uint64_t)fal_model_info_get(model)->n_vocab);
        const fal_job_options job = {
            .prompt = prompt,
            .n_prompt = (size_t)o->n_prompt,
            .sampling = {.temperature = o->temperature,
                         .top_k = o->top_k,
                         .top_p = o->top_p,
                         .seed = (uint64_t)i},
            .max_new_tokens = o->n_tokens,
            .ignore_end = true,
            .on_event = wake,
            .user = &m
        };
        if (fal_job_start(&m.jobs[i], e, &job, &err) != FAL_OK) fail(&err);
    }
    while (m.n_over < (size_t)o->n_jobs) {
        pthread_mutex_lock(&m.lock);
        while (!m.is_woken)
            pthread_cond_wait(&m.woken, &m.lock);
        m.is_woken = false;
        pthread_mutex_unlock(&m.lock);
        take_all(&m, o->n_jobs, started_at);
    }
    double seconds = fal_seconds() - started_at;
    fal_engine_state state;
    fal_engine_state_get(e, &state);
    fal_engine_close(e);
    json_t *out =
        json_pack("{s:i, s:f, s:f, s:o, s:o, s:f, s:f}", "jobs", o->n_jobs, "tokens_per_second",
                  (double)(m.n_firsts + m.n_nexts) / seconds, "seconds", seconds, "first_token_ms",
                  percentiles(m.firsts, m.n_firsts), "next_token_ms",
                  percentiles(m.nexts, m.n_nexts), "slowest_share", m.slowest_share, "step_ms",
                  1e3 * state.step_seconds.sum / (double)state.step_seconds.count);
    free(m.firsts);
    free(m.nexts);
    return out;
}

static int use(void) {
    fprintf(stderr,
            "Usage: falconer-bench-engine FILE [PROMPT TOKENS TEMPERATURE TOP_K TOP_P] [JOBS]...\n"
            "Answers JOBS (1, 8, 64) prompts of PROMPT (64) tokens with TOKENS (128) each.\n");
    return 2;
}

int main(int argc, char **argv) {
    static const char *const usual[] = {"1", "8", "64"};
    options o = {.n_prompt = 64, .n_tokens = 128};
    if (argc < 2) return use();
    if (argc > 2) o.n_prompt = (int)strtol(argv[2], NULL, 10);
    if (argc > 3) o.n_tokens = (int)strtol(argv[3], NULL, 10);
    if (argc > 4) o.temperature = strtod(argv[4], NULL);
    if (argc > 5) o.top_k = (int)strtol(argv[5], NULL, 10);
    if (argc > 6) o.top_p = strtod(argv[6], NULL);
    if (o.n_prompt < 1 || o.n_prompt > MOST_TOKENS || o.n_tokens < 1 || o.n_tokens > MOST_TOKENS)
        return use();
    int n = argc > 7 ? argc - 7 : 3;
    fal_model *model;
    fal_error err = {0};
    if (fal_model_open(&model, argv[1], NULL, &err) != FAL_OK) fail(&err);
    json_t *out = json_array();
    for (int i = 0; i < n; i++) {
        o.n_jobs = (int)strtol(argc > 7 ? argv[7 + i] : usual[i], NULL, 10);
        if (o.n_jobs < 1 || o.n_jobs > MOST_JOBS) return use();
        json_array_append_new(out, measure(model, &o));
    }
    json_dumpf(out, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(4));
    printf("\n");
    json_decref(out);
    fal_model_close(model);
    return 0;
}
