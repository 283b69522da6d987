/* Same input, same bits: logits depend on the tokens alone, never on the number of threads, on how the prompt was cut, on
 * sessions computed in the same step, or on what the timeline held before. Every architecture, cache and number type. */
#include <falconer/session.h>

#include "golden/golden_files.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    MAX_TESTS = 96,
    N_TOKENS = 600, /* more than one step's default batch */
    N_FEW = 90      /* for models that have few positions or are large */
};

typedef struct variation {
    char name[160];
    golden_model model;          /* to convert, if folder is not empty */
    char path[GOLDEN_PATH_SIZE]; /* else the GGUF itself */
    const char *type, *kv_type, *method;
    size_t n_tokens;
} variation;

/* A model on some threads and a session on it. */
typedef struct subject {
    fal_model *model;
    fal_session *session;
} subject;

static fal_error error;

static subject open_subject(const variation *v, int n_threads, int n_batch) {
    subject s = {0};
    fal_model_options options = {.n_threads = n_threads,
                                 .context_method = v->method,
                                 .context_original = v->method ? 64 : 0};
    CHECK_OK(fal_model_open(&s.model, v->path, &options, &error), &error);
    assert_int_equal(fal_model_info_get(s.model)->n_threads, n_threads);
    fal_session_options how = {
        .n_context = (int)v->n_tokens, .kv_type = v->kv_type, .n_batch = n_batch};
    CHECK_OK(fal_session_open(&s.session, s.model, &how, &error), &error);
    return s;
}

static void close_subject(subject *s) {
    fal_session_close(s->session);
    fal_model_close(s->model);
}

/* Tokens without a pattern, the same ones for each seed. */
static void draw_tokens(int32_t *tokens, size_t count, int n_vocab, uint32_t seed) {
    uint32_t state = seed;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        tokens[i] = (int32_t)((state >> 8) % (uint32_t)n_vocab);
    }
}

static void assert_same_logits(const float *found, const float *expected, size_t count,
                               const char *what) {
    assert_non_null(found);
    for (size_t i = 0; i < count; i++) {
        if (memcmp(&found[i], &expected[i], sizeof *found) != 0)
            fail_msg("%s: value %zu is %.9g, expected %.9g", what, i, (double)found[i],
                     (double)expected[i]);
    }
}

static void feed_cut(fal_session *s, const int32_t *tokens, size_t count, size_t chunk,
                     float *logits, size_t n_vocab) {
    for (size_t done = 0; done < count; done += chunk) {
        size_t n = count - done < chunk ? count - done : chunk;
        CHECK_OK(
            fal_session_feed(s, tokens + done, n, logits ? logits + done * n_vocab : NULL, &error),
            &error);
    }
}

static void check_threads(const variation *v, const int32_t *tokens, const float *expected,
                          size_t n_vocab, float *found) {
    static const int threads[] = {2, 3, 7};
    for (size_t i = 0; i < sizeof threads / sizeof threads[0]; i++) {
        subject s = open_subject(v, threads[i], 0);
        CHECK_OK(fal_session_feed(s.session, tokens, v->n_tokens, found, &error), &error);
        assert_same_logits(found, expected, v->n_tokens * n_vocab, "threads");
        close_subject(&s);
    }
}

/* Dynamic frequencies depend on the length after each feed, so only the cut into steps is free there. */
static void check_cuts(const variation *v, const int32_t *tokens, const float *expected,
                       size_t n_vocab, float *found) {
    static const size_t chunks[] = {1, 5, 7};
    static const int threads[] = {1, 1, 3};
    for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
        subject s = open_subject(v, threads[i], (int)chunks[i]);
        CHECK_OK(fal_session_feed(s.session, tokens, v->n_tokens, found, &error), &error);
        assert_same_logits(found, expected, v->n_tokens * n_vocab, "steps of a feed");
        fal_session_rewind(s.session, 0);
        assert_null(fal_session_logits(s.session));
        CHECK_OK(fal_session_feed(s.session, tokens, v->n_tokens, NULL, &error), &error);
        assert_same_logits(fal_session_logits(s.session), expected + (v->n_tokens - 1) * n_vocab,
                           n_vocab, "only the last logits");
        close_subject(&s);
        if (v->method) continue;
        s = open_subject(v, threads[i], 0);
        feed_cut(s.session, tokens, v->n_tokens, chunks[i], found, n_vocab);
        assert_same_logits(found, expected, v->n_tokens * n_vocab, "feeds");
        close_subject(&s);
    }
}

static void check_sync(const variation *v, const int32_t *tokens, const float *expected,
                       size_t n_vocab) {
    subject s = open_subject(v, 2, 0);
    int32_t other[N_TOKENS];
    size_t n = v->n_tokens, half = n / 2;
    const float *last = expected + (n - 1) * n_vocab;
    memcpy(other, tokens, half * sizeof *tokens);
    draw_tokens(other + half, n - half, (int)n_vocab, 99);
    CHECK_OK(fal_session_sync(s.session, other, n, &error), &error);
    CHECK_OK(fal_session_sync(s.session, tokens, n, &error), &error);
    assert_same_logits(fal_session_logits(s.session), last, n_vocab, "sync after another ending");
    fal_session_rewind(s.session, half);
    assert_int_equal(fal_session_count(s.session), half);
    CHECK_OK(fal_session_sync(s.session, tokens, n, &error), &error);
    assert_same_logits(fal_session_logits(s.session), last, n_vocab, "sync after rewind");
    CHECK_OK(fal_session_sync(s.session, tokens, n, &error), &error);
    assert_same_logits(fal_session_logits(s.session), last, n_vocab, "sync with the same");
    assert_int_equal(fal_session_count(s.session), n);
    assert_memory_equal(fal_session_tokens(s.session), tokens, n * sizeof *tokens);
    if (!v->method) {
        CHECK_OK(fal_session_sync(s.session, tokens, half, &error), &error);
        assert_same_logits(fal_session_logits(s.session), expected + (half - 1) * n_vocab, n_vocab,
                           "sync with a beginning");
    }
    close_subject(&s);
}

/* Sessions of different lengths, in one step each time, against each one alone. */
static void check_neighbours(const variation *v, size_t n_vocab) {
    enum {
        N_SESSIONS = 4,
        N_STEPS = 6,
        LONGEST = 70
    };

    static const size_t lengths[N_SESSIONS] = {1, 33, 7, 60};
    subject s = open_subject(v, 3, 0);
    fal_session *sessions[N_SESSIONS];
    int32_t tokens[N_SESSIONS][LONGEST], drawn[N_SESSIONS];
    fal_session_options how = {.n_context = LONGEST, .kv_type = v->kv_type};
    for (size_t i = 0; i < N_SESSIONS; i++) {
        draw_tokens(tokens[i], LONGEST, (int)n_vocab, (uint32_t)i + 5);
        CHECK_OK(fal_session_open(&sessions[i], s.model, &how, &error), &error);
        CHECK_OK(fal_session_feed(sessions[i], tokens[i], lengths[i], NULL, &error), &error);
    }
    for (size_t step = 0; step < N_STEPS; step++) {
        for (size_t i = 0; i < N_SESSIONS; i++)
            drawn[i] = tokens[i][lengths[i] + step];
        CHECK_OK(fal_sessions_step(sessions, drawn, N_SESSIONS, &error), &error);
    }
    for (size_t i = 0; i < N_SESSIONS; i++) {
        fal_session *alone;
        CHECK_OK(fal_session_open(&alone, s.model, &how, &error), &error);
        CHECK_OK(fal_session_feed(alone, tokens[i], lengths[i], NULL, &error), &error);
        feed_cut(alone, tokens[i] + lengths[i], N_STEPS, 1, NULL, n_vocab);
        assert_int_equal(fal_session_count(sessions[i]), lengths[i] + N_STEPS);
        assert_same_logits(fal_session_logits(sessions[i]), fal_session_logits(alone), n_vocab,
                           "neighbours in a step");
        fal_session_close(alone);
        fal_session_close(sessions[i]);
    }
    close_subject(&s);
}

static void test_variation(void **state) {
    variation *v = *state;
    char scratch[GOLDEN_PATH_SIZE] = "";
    if (v->model.folder[0]) {
        golden_scratch_make(scratch);
        golden_convert(&v->model, v->type, scratch, v->path);
    }
    subject s = open_subject(v, 1, 0);
    size_t n_vocab = (size_t)fal_model_info_get(s.model)->n_vocab, n = v->n_tokens;
    int32_t tokens[N_TOKENS];
    draw_tokens(tokens, n, (int)n_vocab, 1);
    float *expected = malloc(n * n_vocab * sizeof *expected);
    float *found = malloc(n * n_vocab * sizeof *found);
    assert_non_null(expected);
    assert_non_null(found);
    CHECK_OK(fal_session_feed(s.session, tokens, n, expected, &error), &error);
    assert_memory_not_equal(expected, expected + (n - 1) * n_vocab, n_vocab * sizeof *expected);
    close_subject(&s);
    check_threads(v, tokens, expected, n_vocab, found);
    check_cuts(v, tokens, expected, n_vocab, found);
    check_sync(v, tokens, expected, n_vocab);
    check_neighbours(v, n_vocab);
    free(found);
    free(expected);
    if (scratch[0]) golden_scratch_remove(scratch);
}

/* ---- the list of tests ---- */

static variation variations[MAX_TESTS];
static struct CMUnitTest tests[MAX_TESTS];
static size_t n_tests;

static variation *add(const char *name, const char *type, const char *kv_type, size_t n_tokens) {
    assert_true(n_tests < MAX_TESTS);
    variation *v = &variations[n_tests];
    *v = (variation){.type = type, .kv_type = kv_type, .n_tokens = n_tokens};
    snprintf(v->name, sizeof v->name, "%s %s kv %s", name, type, kv_type);
    tests[n_tests++] =
        (struct CMUnitTest){.name = v->name, .test_func = test_variation, .initial_state = v};
    return v;
}

static void add_model(const char *name, const char *type, const char *kv_type, size_t n_tokens,
                      const char *method) {
    variation *v = add(name, type, kv_type, n_tokens);
    snprintf(v->model.name, sizeof v->model.name, "%s", name);
    golden_join(v->model.folder, FAL_SOURCE_DIR "/tests/golden/models", name);
    v->method = method;
}

static void add_quantized(const char *type) {
    variation *v = add("quantized", type, "f16", N_FEW);
    int n = snprintf(v->path, sizeof v->path,
                     FAL_SOURCE_DIR "/tests/golden/models/quantized/%s.gguf", type);
    assert_in_range(n, 1, sizeof v->path - 1);
}

int main(void) {
    static const char *const types[] = {"q4_0", "q4_1", "q5_0", "q5_1", "q8_0",   "q2_k",
                                        "q3_k", "q4_k", "q5_k", "q6_k", "iq4_nl", "iq4_xs"};
    add_model("falcon-7b-like", "f32", "f32", N_FEW, NULL);
    add_model("falcon-7b-like", "bf16", "f16", N_FEW, NULL);
    add_model("falcon-7b-like", "bf16", "f16", N_FEW, "dynamic-ntk");
    add_model("falcon-40b-like", "f16", "f16", N_FEW, NULL);
    add_model("falcon-40b-like", "f16", "f32", N_FEW, "yarn");
    add_model("falcon-11b-like", "f32", "f16", N_FEW, NULL);
    add_model("falcon-180b-like", "bf16", "f16", N_FEW, NULL);
    add_model("falcon-7b-like", "f16", "q8_0", N_FEW, NULL);
    add_model("falcon-40b-like", "f16", "q8_0", N_FEW, NULL);
    add_model("falcon-rw-like", "f32", "f32", N_FEW, NULL);
    add_model("falcon-rw-even", "f32", "f32", N_TOKENS, NULL);
    add_model("starcoder-like", "f16", "f16", N_FEW, NULL);
    add_model("torch-shared", "f32", "f32", N_FEW, NULL);
    add_model("torch-shards", "bf16", "f16", N_TOKENS, NULL);
    add_model("torch-shards", "f16", "f32", N_FEW, "dynamic-ntk");
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        add_quantized(types[i]);
    return _cmocka_run_group_tests("invariance", tests, n_tests, NULL, NULL);
}
