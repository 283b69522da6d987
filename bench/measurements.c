/* Body of measurements.h. The first token comes first of all, so that it meets the file as a program does that has just
 * opened it. */
#include "measurements.h"

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/random.h"
#include "base/thread.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    READS = 5,
    MOST_NEIGHBOURS = 64
};

typedef struct bench {
    const measuring_plan *plan;
    measurements *found;
    fal_model *model;
    fal_session *session;
    int32_t *tokens; /* random ids, as many as the longest run needs */
} bench;

typedef struct reading {
    const fal_gguf *file;
    atomic_uint_least64_t sum;
} reading;

/* Eight sums, so that additions do not wait for each other and only memory is waited for. */
static void read_part(void *argument, int thread, int n_threads) {
    reading *r = argument;
    uint64_t sums[8] = {0};
    for (int i = 0; i < fal_gguf_tensor_count(r->file); i++) {
        const fal_gguf_tensor *t = fal_gguf_tensor_at(r->file, i);
        size_t lines = (size_t)(t->bytes / 64), begin = lines * (size_t)thread / (size_t)n_threads;
        size_t end = lines * (size_t)(thread + 1) / (size_t)n_threads;
        const char *at = (const char *)t->data + begin * 64;
        for (size_t line = begin; line < end; line++, at += 64) {
            uint64_t words[8];
            memcpy(words, at, sizeof words);
            for (int j = 0; j < 8; j++)
                sums[j] += words[j];
        }
    }
    for (int j = 0; j < 8; j++)
        atomic_fetch_add(&r->sum, sums[j]);
}

static void keep_best(double *best, double value) {
    if (value > *best) *best = value;
}

/* Asked before and after the rest, since neighbours take bandwidth away. */
static fal_status measure_reading(bench *b, fal_error *err) {
    fal_pool *pool;
    const fal_gguf *file = fal_model_gguf(b->model);
    reading r = {.file = file};
    double bytes = 0;
    for (int i = 0; i < fal_gguf_tensor_count(file); i++)
        bytes += (double)fal_gguf_tensor_at(file, i)->bytes;
    FAL_TRY(fal_pool_open(&pool, fal_model_info_get(b->model)->n_threads, err));
    for (int i = 0; i < READS; i++) {
        double start = fal_seconds();
        fal_pool_run(pool, read_part, &r);
        keep_best(&b->found->read_rate, bytes / (fal_seconds() - start));
    }
    fal_pool_close(pool);
    return FAL_OK;
}

double weight_bytes_per_token(const fal_gguf *file) {
    bool has_output = fal_gguf_tensor_find(file, "output.weight") != NULL;
    double bytes = 0;
    for (int i = 0; i < fal_gguf_tensor_count(file); i++) {
        const fal_gguf_tensor *t = fal_gguf_tensor_at(file, i);
        bool is_embedding = strcmp(t->name, "token_embd.weight") == 0;
        if (!is_embedding || !has_output) bytes += (double)t->bytes;
    }
    return bytes;
}

static fal_status feed_anew(bench *b, size_t n, double *seconds, fal_error *err) {
    double start = fal_seconds();
    fal_session_rewind(b->session, 0);
    FAL_TRY(fal_session_feed(b->session, b->tokens, n, NULL, err));
    *seconds = fal_seconds() - start;
    return FAL_OK;
}

/* Opens the session, too. What a first token costs beyond a later one is told by a prompt of one token: from two long
 * prompts it would be the small difference of large numbers. */
static fal_status measure_prompt(bench *b, int n_context, fal_error *err) {
    const fal_session_options options = {.n_context = n_context, .kv_type = b->plan->kv_type};
    size_t n = (size_t)b->plan->prompt;
    double start = fal_seconds(), first, later = HUGE_VAL, seconds;
    FAL_TRY(fal_session_open(&b->session, b->model, &options, err));
    if (n == 0) return FAL_OK;
    FAL_TRY(feed_anew(b, 1, &seconds, err));
    first = fal_seconds() - start;
    for (int i = 0; i < b->plan->repeat; i++) {
        FAL_TRY(feed_anew(b, 1, &seconds, err));
        if (seconds < later) later = seconds;
    }
    b->found->first_token_seconds = first - later;
    for (int i = 0; i <= b->plan->repeat; i++) {
        FAL_TRY(feed_anew(b, n, &seconds, err));
        if (i > 0) keep_best(&b->found->prompt_rate, (double)n / seconds);
    }
    return FAL_OK;
}

/* Feeds token after token behind the `depth` tokens that are there. */
static fal_status measure_generation(bench *b, int depth, double *rate, fal_error *err) {
    int n = b->plan->generate;
    for (int i = 0; n > 0 && i < b->plan->repeat; i++) {
        fal_session_rewind(b->session, (size_t)depth);
        double start = fal_seconds();
        for (int j = 0; j < n; j++)
            FAL_TRY(fal_session_feed(b->session, &b->tokens[depth + j], 1, NULL, err));
        keep_best(rate, (double)n / (fal_seconds() - start));
    }
    return FAL_OK;
}

static fal_status measure_depth(bench *b, fal_error *err) {
    int depth = b->plan->depth;
    if (depth == 0) return FAL_OK;
    fal_session_rewind(b->session, 0);
    double start = fal_seconds();
    FAL_TRY(fal_session_feed(b->session, b->tokens, (size_t)depth, NULL, err));
    b->found->deep_prompt_rate = (double)depth / (fal_seconds() - start);
    return measure_generation(b, depth, &b->found->deep_generate_rate, err);
}

static fal_status measure_steps(bench *b, fal_session **sessions, int count, double *rate,
                                fal_error *err) {
    int n_steps = b->plan->generate / 4 > 0 ? b->plan->generate / 4 : 1;
    for (int i = 0; i < b->plan->repeat; i++) {
        for (int j = 0; j < count; j++)
            fal_session_rewind(sessions[j], 0);
        double start = fal_seconds();
        for (int step = 0; step < n_steps; step++)
            FAL_TRY(fal_sessions_step(sessions, b->tokens + step, (size_t)count, err));
        keep_best(rate, (double)count * n_steps / (fal_seconds() - start));
    }
    return FAL_OK;
}

static fal_status measure_batches(bench *b, fal_error *err) {
    fal_session *sessions[1 << MOST_BATCHES] = {NULL};
    const fal_session_options options = {
        .n_context = b->plan->generate + 1, .n_batch = b->plan->batch, .kv_type = b->plan->kv_type};
    fal_status status = FAL_OK;
    for (int i = 0; i < b->plan->batch; i++)
        FAL_TRY_OUT(fal_session_open(&sessions[i], b->model, &options, err));
    for (int i = 0; i < MOST_BATCHES && 2 << i <= b->plan->batch; i++)
        FAL_TRY_OUT(measure_steps(b, sessions, 2 << i, &b->found->batch_rates[i], err));
out:
    for (int i = 0; i < b->plan->batch; i++)
        fal_session_close(sessions[i]);
    return status;
}

static void *count_on(void *argument) {
    atomic_bool *is_over = argument;
    while (!atomic_load_explicit(is_over, memory_order_relaxed)) {
        for (volatile int i = 0; i < 10000; i = i + 1) {
        }
    }
    return NULL;
}

static double clock_of(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Generates beside threads that take what the scheduler gives them. */
static fal_status measure_neighbours(bench *b, fal_error *err) {
    int n = b->plan->neighbours < MOST_NEIGHBOURS ? b->plan->neighbours : MOST_NEIGHBOURS,
        started = 0;
    if (n == 0) return FAL_OK;
    pthread_t threads[MOST_NEIGHBOURS];
    clockid_t clocks[MOST_NEIGHBOURS];
    atomic_bool is_over = false;
    while (started < n && pthread_create(&threads[started], NULL, count_on, &is_over) == 0)
        started++;
    double taken = 0.0, start = fal_seconds();
    for (int i = 0; i < started; i++) {
        pthread_getcpuclockid(threads[i], &clocks[i]);
        taken -= clock_of(clocks[i]);
    }
    fal_status status = measure_generation(b, 0, &b->found->neighbour_rate, err);
    for (int i = 0; i < started; i++)
        taken += clock_of(clocks[i]);
    double all = (fal_seconds() - start) * fal_usable_cores();
    b->found->neighbour_share = 1.0 - taken / all;
    atomic_store(&is_over, true);
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    return status;
}

static double own_memory(void) {
    char line[256];
    unsigned long long kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file) && sscanf(line, "RssAnon: %llu", &kib) != 1)
        continue;
    if (file) fclose(file);
    return (double)kib * 1024;
}

static fal_status measure_all(bench *b, int n_context, fal_error *err) {
    FAL_TRY(measure_prompt(b, n_context, err));
    FAL_TRY(measure_reading(b, err));
    FAL_TRY(measure_generation(b, 0, &b->found->generate_rate, err));
    FAL_TRY(measure_neighbours(b, err));
    FAL_TRY(measure_depth(b, err));
    b->found->own_bytes = own_memory();
    FAL_TRY(measure_batches(b, err));
    return measure_reading(b, err);
}

fal_status measure_model(measurements *out, fal_model *model, const measuring_plan *plan,
                         fal_error *err) {
    bench b = {.plan = plan, .found = out, .model = model};
    int most = plan->prompt > plan->depth ? plan->prompt : plan->depth;
    int n = most + plan->generate + plan->batch + 1;
    fal_random random = fal_random_seeded(2, 0);
    *out = (measurements){0};
    b.tokens = fal_alloc((size_t)n, sizeof *b.tokens);
    if (!b.tokens) return fal_fail_memory(err, (size_t)n * sizeof *b.tokens);
    for (int i = 0; i < n; i++)
        b.tokens[i] =
            (int32_t)(fal_random_u64(&random) % (uint64_t)fal_model_info_get(model)->n_vocab);
    fal_status status = measure_all(&b, n, err);
    fal_session_close(b.session);
    fal_free(b.tokens);
    return status;
}
