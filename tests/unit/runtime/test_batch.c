/* Steps over several sessions with any number of tokens each: logits and hidden states are those of each session alone, bit
 * for bit, for every architecture, kind of cells, number of threads and mix of parts; what cannot be done changes nothing. */
#include "base/alloc.h"
#include "golden/golden_files.h"
#include "model/forward.h"
#include "runtime/batch.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    N_SESSIONS = 5,
    N_TOKENS = 40,
    MOST_OF_A_PART = 9,
    N_ROUNDS = 2 /* mixes of parts per number of threads */
};

typedef struct variation {
    const char *folder, *type, *kv_type, *method;
} variation;

/* What each session alone gives. */
typedef struct expectation {
    int32_t tokens[N_TOKENS];
    float *logits, *hidden; /* [N_TOKENS, n_vocab], [N_TOKENS, d_model] */
} expectation;

typedef struct subject {
    fal_model *model;
    fal_batch *batch;
    fal_session *sessions[N_SESSIONS];
    size_t n_vocab, d_model;
} subject;

static fal_error error;
static char scratch[GOLDEN_PATH_SIZE], path[GOLDEN_PATH_SIZE];
static uint32_t state;

static uint32_t draw(uint32_t n) {
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % n;
}

static subject open_subject(const variation *v, int n_threads, int max_tokens) {
    subject s = {0};
    fal_model_options options = {.n_threads = n_threads,
                                 .context_method = v->method,
                                 .context_original = v->method ? 16 : 0};
    CHECK_OK(fal_model_open(&s.model, path, &options, &error), &error);
    CHECK_OK(fal_batch_open(&s.batch, s.model, max_tokens, &error), &error);
    fal_session_options how = {.n_context = N_TOKENS, .kv_type = v->kv_type};
    for (size_t i = 0; i < N_SESSIONS; i++)
        CHECK_OK(fal_batch_session_open(&s.sessions[i], s.batch, &how, &error), &error);
    s.n_vocab = (size_t)fal_model_params(s.model)->n_vocab;
    s.d_model = (size_t)fal_model_params(s.model)->d_model;
    return s;
}

static void close_subject(subject *s) {
    for (size_t i = 0; i < N_SESSIONS; i++)
        fal_session_close(s->sessions[i]);
    fal_batch_close(s->batch);
    fal_model_close(s->model);
}

static void assert_same(const float *found, const float *expected, size_t count, const char *what,
                        size_t session, size_t position) {
    assert_non_null(found);
    for (size_t i = 0; i < count; i++) {
        if (memcmp(&found[i], &expected[i], sizeof *found) != 0)
            fail_msg("%s of session %zu at %zu: value %zu is %.9g, expected %.9g", what, session,
                     position, i, (double)found[i], (double)expected[i]);
    }
}

/* Alone: sessions with memory of their own. Hidden states by one part that brings all. */
static void expect(const variation *v, expectation expected[N_SESSIONS]) {
    subject s = open_subject(v, 1, N_TOKENS);
    fal_session_options how = {.n_context = N_TOKENS, .kv_type = v->kv_type};
    for (size_t i = 0; i < N_SESSIONS; i++) {
        expectation *e = &expected[i];
        e->logits = malloc(N_TOKENS * s.n_vocab * sizeof *e->logits);
        e->hidden = malloc(N_TOKENS * s.d_model * sizeof *e->hidden);
        assert_non_null(e->logits);
        assert_non_null(e->hidden);
        for (size_t k = 0; k < N_TOKENS; k++)
            e->tokens[k] = (int32_t)draw((uint32_t)s.n_vocab);
        fal_session *alone;
        CHECK_OK(fal_session_open(&alone, s.model, &how, &error), &error);
        CHECK_OK(fal_session_feed(alone, e->tokens, N_TOKENS, e->logits, &error), &error);
        fal_session_close(alone);
        fal_batch_part part = {
            .session = s.sessions[i], .tokens = e->tokens, .count = N_TOKENS, .hidden = e->hidden};
        CHECK_OK(fal_batch_step(s.batch, &part, 1, NULL, &error), &error);
        assert_null(fal_session_logits(s.sessions[i]));
    }
    close_subject(&s);
}

/* Asks the session's next tokens in one of five ways; n_following as decision 0005 wants it. */
static fal_batch_part draw_part(const subject *s, const expectation *e, size_t i, float *logits,
                                float *hidden) {
    size_t done = fal_session_count(s->sessions[i]), rest = N_TOKENS - done;
    size_t n = draw(2) ? 1 : 1 + draw(MOST_OF_A_PART);
    if (n > rest) n = rest;
    uint32_t how = draw(5);
    return (fal_batch_part){.session = s->sessions[i],
                            .tokens = e->tokens + done,
                            .count = n,
                            .n_following = rest - n,
                            .wants_logits = how != 0 && how != 3,
                            .all_logits = how == 2 ? logits : NULL,
                            .hidden = how >= 3 ? hidden : NULL};
}

static void check_part(const subject *s, const expectation *e, size_t i, const fal_batch_part *p) {
    size_t end = fal_session_count(p->session);
    size_t first = end - p->count;
    assert_memory_equal(fal_session_tokens(p->session), e->tokens, end * sizeof *e->tokens);
    if (p->wants_logits)
        assert_same(fal_session_logits(p->session), e->logits + (end - 1) * s->n_vocab, s->n_vocab,
                    "logits", i, end - 1);
    else
        assert_null(fal_session_logits(p->session));
    if (p->all_logits)
        assert_same(p->all_logits, e->logits + first * s->n_vocab, p->count * s->n_vocab,
                    "all logits", i, first);
    if (p->hidden)
        assert_same(p->hidden, e->hidden + first * s->d_model, p->count * s->d_model, "hidden", i,
                    first);
}

/* Steps with parts as they are drawn until every timeline is full. Some sessions stay away from a step. */
static void check_mix(const subject *s, const expectation expected[N_SESSIONS]) {
    float *logits[N_SESSIONS], *hidden[N_SESSIONS];
    for (size_t i = 0; i < N_SESSIONS; i++) {
        logits[i] = malloc(MOST_OF_A_PART * s->n_vocab * sizeof(float));
        hidden[i] = malloc(MOST_OF_A_PART * s->d_model * sizeof(float));
        assert_true(logits[i] && hidden[i]);
        fal_session_rewind(s->sessions[i], 0);
    }
    for (size_t n_full = 0; n_full < N_SESSIONS;) {
        fal_batch_part parts[N_SESSIONS];
        size_t who[N_SESSIONS], n_parts = 0;
        n_full = 0;
        uint32_t turn = draw(N_SESSIONS);
        for (size_t k = 0; k < N_SESSIONS; k++) {
            size_t i = (k + turn) % N_SESSIONS;
            bool is_full = fal_session_count(s->sessions[i]) == N_TOKENS;
            n_full += is_full;
            if (is_full || draw(4) == 0) continue;
            who[n_parts] = i;
            parts[n_parts++] = draw_part(s, &expected[i], i, logits[i], hidden[i]);
        }
        CHECK_OK(fal_batch_step(s->batch, parts, n_parts, NULL, &error), &error);
        for (size_t k = 0; k < n_parts; k++)
            check_part(s, &expected[who[k]], who[k], &parts[k]);
    }
    for (size_t i = 0; i < N_SESSIONS; i++) {
        free(logits[i]);
        free(hidden[i]);
    }
}

/* The GGUF file to open: quantized ones lie in the tree. */
static void make_model(const variation *v) {
    golden_model model = {0};
    snprintf(model.name, sizeof model.name, "%s", v->folder);
    golden_join(model.folder, FAL_SOURCE_DIR "/tests/golden/models", v->folder);
    if (!v->type)
        golden_join(path, FAL_SOURCE_DIR "/tests/golden/models", v->folder);
    else
        golden_convert(&model, v->type, scratch, path);
}

static void test_mixes(void **unused) {
    const variation *v = *unused;
    expectation expected[N_SESSIONS];
    make_model(v);
    state = 7;
    expect(v, expected);
    assert_memory_not_equal(expected[0].hidden, expected[1].hidden, 16 * sizeof(float));
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        subject s = open_subject(v, n_threads, N_SESSIONS * MOST_OF_A_PART);
        for (int round = 0; round < N_ROUNDS; round++)
            check_mix(&s, expected);
        close_subject(&s);
    }
    for (size_t i = 0; i < N_SESSIONS; i++) {
        free(expected[i].logits);
        free(expected[i].hidden);
    }
}

/* ---- the rest on one model ---- */

static const variation plain = {"falcon-7b-like", "f32", "f32", NULL};

static subject open_plain(int max_tokens) {
    make_model(&plain);
    return open_subject(&plain, 2, max_tokens);
}

/* The head on hidden states, in double and from the file: they are the final norm's output and nothing else. */
static void test_hidden_is_what_the_head_reads(void **unused) {
    (void)unused;
    subject s = open_plain(16);
    const fal_gguf *file = fal_model_gguf(s.model);
    const fal_gguf_tensor *head = fal_gguf_tensor_find(file, "output.weight");
    if (!head) head = fal_gguf_tensor_find(file, "token_embd.weight");
    assert_non_null(head);
    const float *weights = head->data;
    const int32_t tokens[] = {5, 6, 7};
    float *hidden = malloc(3 * s.d_model * sizeof *hidden);
    assert_non_null(hidden);
    fal_batch_part part = {.session = s.sessions[0],
                           .tokens = tokens,
                           .count = 3,
                           .wants_logits = true,
                           .hidden = hidden};
    CHECK_OK(fal_batch_step(s.batch, &part, 1, NULL, &error), &error);
    const float *logits = fal_session_logits(s.sessions[0]);
    for (size_t row = 0; row < s.n_vocab; row++) {
        double sum = 0;
        for (size_t i = 0; i < s.d_model; i++)
            sum += (double)hidden[2 * s.d_model + i] * (double)weights[row * s.d_model + i];
        CHECK_NEAR(logits[row], sum, 1e-4);
    }
    free(hidden);
    close_subject(&s);
}

/* Sessions whose cells are of different types share a step. */
static void test_mixed_cells(void **unused) {
    (void)unused;
    static const char *const types[] = {"f16", "f32"};
    const int32_t tokens[] = {9, 8, 7, 6};
    subject s = open_plain(16);
    fal_session *shared[2], *alone;
    fal_batch_part parts[2];
    for (size_t i = 0; i < 2; i++) {
        fal_session_options how = {.n_context = 8, .kv_type = types[i]};
        CHECK_OK(fal_batch_session_open(&shared[i], s.batch, &how, &error), &error);
        parts[i] = (fal_batch_part){
            .session = shared[i], .tokens = tokens, .count = 4, .wants_logits = true};
    }
    CHECK_OK(fal_batch_step(s.batch, parts, 2, NULL, &error), &error);
    assert_memory_not_equal(fal_session_logits(shared[0]), fal_session_logits(shared[1]),
                            s.n_vocab * sizeof(float));
    for (size_t i = 0; i < 2; i++) {
        fal_session_options how = {.n_context = 8, .kv_type = types[i]};
        CHECK_OK(fal_session_open(&alone, s.model, &how, &error), &error);
        CHECK_OK(fal_session_feed(alone, tokens, 4, NULL, &error), &error);
        assert_same(fal_session_logits(shared[i]), fal_session_logits(alone), s.n_vocab, "logits",
                    i, 3);
        fal_session_close(alone);
        fal_session_close(shared[i]);
    }
    close_subject(&s);
}

/* feed and sync of a session on a batch. */
static void test_feeding_on_a_shared_batch(void **unused) {
    (void)unused;
    subject s = open_plain(4);
    int32_t tokens[20];
    for (int i = 0; i < 20; i++)
        tokens[i] = 20 + i;
    fal_session *alone;
    CHECK_OK(fal_session_open(&alone, s.model, NULL, &error), &error);
    CHECK_OK(fal_session_feed(alone, tokens, 20, NULL, &error), &error);
    CHECK_OK(fal_session_feed(s.sessions[0], tokens, 12, NULL, &error), &error);
    CHECK_OK(fal_session_sync(s.sessions[0], tokens, 20, &error), &error);
    assert_same(fal_session_logits(s.sessions[0]), fal_session_logits(alone), s.n_vocab, "logits",
                0, 19);
    fal_session_close(alone);
    close_subject(&s);
}

static void check_refused(const subject *s, const fal_batch_part *parts, size_t n_parts,
                          fal_status status, const char *words) {
    size_t counts[N_SESSIONS];
    for (size_t i = 0; i < N_SESSIONS; i++)
        counts[i] = fal_session_count(s->sessions[i]);
    CHECK_STATUS(fal_batch_step(s->batch, parts, n_parts, NULL, &error), status, &error, words);
    for (size_t i = 0; i < N_SESSIONS; i++)
        assert_int_equal(fal_session_count(s->sessions[i]), counts[i]);
}

static void test_refusals(void **unused) {
    (void)unused;
    subject s = open_plain(8), other = open_plain(8);
    int32_t many[N_TOKENS + 1] = {0}, wrong[] = {1, (int32_t)s.n_vocab};
    fal_batch_part good = {.session = s.sessions[0], .tokens = many, .count = 2};
    fal_batch_part parts[3] = {good, good, good};
    check_refused(&s, parts, 2, FAL_E_ARGUMENT,
                  "part 1 of the step: its session is that of part 0");
    parts[1].session = other.sessions[0];
    check_refused(&s, parts, 2, FAL_E_ARGUMENT, "another model");
    parts[1] = (fal_batch_part){.session = s.sessions[1], .tokens = wrong, .count = 2};
    check_refused(&s, parts, 2, FAL_E_ARGUMENT, "part 1 of the step: token 1 is ");
    parts[1].count = 0;
    check_refused(&s, parts, 2, FAL_E_ARGUMENT, "no tokens");
    parts[1] = (fal_batch_part){.session = s.sessions[1], .tokens = many, .count = 7};
    check_refused(&s, parts, 2, FAL_E_LIMIT, "more than the 8 tokens");
    parts[0].count = N_TOKENS + 1;
    check_refused(&s, parts, 1, FAL_E_LIMIT, "only 40 of 40 are free");
    CHECK_OK(fal_batch_step(s.batch, NULL, 0, NULL, &error), &error);
    fal_batch *none;
    CHECK_STATUS(fal_batch_open(&none, s.model, 0, &error), FAL_E_ARGUMENT, &error, "batch of 0");
    assert_null(none);
    close_subject(&other);
    close_subject(&s);
}

/* Refused memory changes no timeline, and the step can be tried again. */
static void test_refused_memory(void **unused) {
    (void)unused;
    subject s = open_plain(8);
    const int32_t tokens[] = {1, 2, 3};
    long n = 1;
    for (fal_status status = FAL_E_MEMORY; status != FAL_OK; n++) {
        fal_batch_part parts[2] = {
            {.session = s.sessions[0], .tokens = tokens, .count = 3,              .wants_logits = true},
            {.session = s.sessions[1],                        .tokens = tokens,                 .count = 1}
        };
        fal_alloc_fail_at(n);
        status = fal_batch_step(s.batch, parts, 2, NULL, &error);
        fal_alloc_fail_at(0);
        assert_true(status == FAL_OK || status == FAL_E_MEMORY);
        assert_int_equal(fal_session_count(s.sessions[0]), status == FAL_OK ? 3 : 0);
        assert_int_equal(fal_session_count(s.sessions[1]), status == FAL_OK ? 1 : 0);
        assert_true(n < 100);
    }
    assert_true(n > 3);
    close_subject(&s);
}

/* ---- what follows a step ---- */

/* Sessions that go on by themselves; what is found on the threads that compute is only counted there. */
typedef struct walk {
    const subject *s;
    const expectation *expected;
    fal_batch_part parts[N_SESSIONS];
    int n_computed[N_SESSIONS],
        limit[N_SESSIONS]; /* of this step, and when its part may not go on */
    int n_wrong[N_SESSIONS];
    atomic_bool has_ended; /* part 0 */
} walk;

static void look(void *user, size_t i) {
    walk *w = user;
    size_t count = fal_session_count(w->parts[i].session), n_vocab = w->s->n_vocab;
    const float *logits = fal_session_logits(w->parts[i].session);
    w->n_computed[i]++;
    w->n_wrong[i] +=
        !logits || w->parts[i].tokens != w->expected[i].tokens + count - 1
        || memcmp(logits, w->expected[i].logits + (count - 1) * n_vocab, n_vocab * sizeof *logits)
               != 0;
}

static bool go_on(void *user, size_t begin, size_t end) {
    walk *w = user;
    bool all = true;
    for (size_t i = begin; i < end; i++) {
        w->parts[i].tokens++;
        all = all && w->n_computed[i] < w->limit[i];
    }
    return all;
}

static fal_status walk_on(walk *w, size_t n_parts) {
    const fal_batch_follower follower = {look, go_on, w};
    for (size_t i = 0; i < n_parts; i++) {
        size_t done = fal_session_count(w->s->sessions[i]);
        w->n_computed[i] = 0;
        w->limit[i] = 1 + (int)draw(6);
        if ((size_t)w->limit[i] > N_TOKENS - done) w->limit[i] = (int)(N_TOKENS - done);
        w->parts[i] = (fal_batch_part){.session = w->s->sessions[i],
                                       .tokens = w->expected[i].tokens + done,
                                       .count = 1,
                                       .wants_logits = true};
    }
    return fal_batch_step(w->s->batch, w->parts, n_parts, &follower, &error);
}

/* Each part goes on from token to token, never beyond what it may, and all stop soon after one of them. */
static void check_walk(const variation *v, int n_threads, size_t n_parts) {
    expectation expected[N_SESSIONS];
    make_model(v);
    state = 11;
    expect(v, expected);
    subject s = open_subject(v, n_threads, N_SESSIONS);
    walk w = {.s = &s, .expected = expected};
    int most = 0;
    for (bool is_full = false; !is_full;) {
        size_t before[N_SESSIONS];
        bool has_ended = false;
        for (size_t i = 0; i < n_parts; i++)
            before[i] = fal_session_count(s.sessions[i]);
        CHECK_OK(walk_on(&w, n_parts), &error);
        for (size_t i = 0; i < n_parts; i++) {
            size_t count = fal_session_count(s.sessions[i]);
            assert_int_equal(count, before[i] + (size_t)w.n_computed[i]);
            assert_in_range(w.n_computed[i], 1, w.limit[i]);
            assert_int_equal(w.n_wrong[i], 0);
            has_ended = has_ended || w.n_computed[i] == w.limit[i];
            is_full = is_full || count == N_TOKENS;
            if (w.n_computed[i] > most) most = w.n_computed[i];
        }
        /* With one thread a step is a step. */
        assert_true(has_ended || n_threads == 1);
    }
    assert_true(n_threads == 1 ? most == 1 : most > 1);
    close_subject(&s);
    for (size_t i = 0; i < N_SESSIONS; i++) {
        free(expected[i].logits);
        free(expected[i].hidden);
    }
}

static void test_parts_go_on(void **unused) {
    (void)unused;
    static const variation quantized = {"quantized/q8_0.gguf", NULL, "f16", NULL};
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        check_walk(&plain, n_threads, N_SESSIONS);
        check_walk(&quantized, n_threads, 1);
    }
}

/* Part 0 may not go on; part 1 always may, but waits until the other has said so, and then takes its time. */
static bool go_on_unless_first(void *user, size_t begin, size_t end) {
    const struct timespec while_it_is_heard = {.tv_nsec = 5000000};
    walk *w = user;
    for (size_t i = begin; i < end; i++)
        w->parts[i].tokens++;
    if (begin == 0) {
        atomic_store(&w->has_ended, true);
        return false;
    }
    while (!atomic_load(&w->has_ended))
        nanosleep(&while_it_is_heard, NULL);
    nanosleep(&while_it_is_heard, NULL);
    return true;
}

static void test_one_that_may_not_go_on_ends_the_others(void **unused) {
    (void)unused;
    subject s = open_plain(8);
    expectation e = {.logits = calloc(N_TOKENS * s.n_vocab, sizeof(float))};
    assert_non_null(e.logits);
    static const int32_t tokens[N_TOKENS + 1];
    const expectation expected[2] = {e, e};
    walk w = {.s = &s, .expected = expected};
    for (size_t i = 0; i < 2; i++)
        w.parts[i] = (fal_batch_part){.session = s.sessions[i], .tokens = tokens, .count = 1};
    const fal_batch_follower follower = {look, go_on_unless_first, &w};
    CHECK_OK(fal_batch_step(s.batch, w.parts, 2, &follower, &error), &error);
    assert_int_equal(fal_session_count(s.sessions[0]), 1);
    assert_in_range(fal_session_count(s.sessions[1]), 1, N_TOKENS - 1);
    free(e.logits);
    close_subject(&s);
}

/* A full context ends a walk with one clear line; what was computed before stands. */
static void test_no_part_goes_on_beyond_its_context(void **unused) {
    (void)unused;
    subject s = open_plain(8);
    expectation e = {.logits = calloc(N_TOKENS * s.n_vocab, sizeof(float))};
    assert_non_null(e.logits);
    walk w = {.s = &s, .expected = &e, .limit = {N_TOKENS + 1}};
    static const int32_t tokens[N_TOKENS + 1];
    w.parts[0] = (fal_batch_part){.session = s.sessions[0], .tokens = tokens, .count = 1};
    const fal_batch_follower follower = {look, go_on, &w};
    CHECK_STATUS(fal_batch_step(s.batch, w.parts, 1, &follower, &error), FAL_E_LIMIT, &error,
                 "only 0 of 40 are free");
    assert_int_equal(w.n_computed[0], N_TOKENS);
    assert_int_equal(fal_session_count(s.sessions[0]), N_TOKENS);
    free(e.logits);
    close_subject(&s);
}

static size_t resident_bytes(void) {
    unsigned long all, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file) return 0;
    if (fscanf(file, "%lu %lu", &all, &resident) != 2) resident = 0;
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* 64 sessions promise gigabytes of cells; what is not touched is not there. */
static void test_untouched_cells_cost_nothing(void **unused) {
    (void)unused;

    enum {
        N_MANY = 64,
        N_LONG = 100000
    };

    subject s = open_plain(8);
    fal_session *many[N_MANY];
    fal_session_options how = {.n_context = N_LONG};
    const int32_t token = 3;
    size_t promised = (size_t)fal_model_kv_bytes(s.model, N_LONG, NULL) * N_MANY,
           before = resident_bytes();
    if (before == 0) skip();
    for (size_t i = 0; i < N_MANY; i++) {
        CHECK_OK(fal_batch_session_open(&many[i], s.batch, &how, &error), &error);
        CHECK_OK(fal_session_feed(many[i], &token, 1, NULL, &error), &error);
    }
    size_t grown = resident_bytes() - before;
    for (size_t i = 0; i < N_MANY; i++)
        fal_session_close(many[i]);
    assert_true(promised > (size_t)1 << 30);
    /* A sanitizer keeps a byte of its own for eight. */
    if (grown > promised / 7) fail_msg("%zu bytes are resident of %zu promised", grown, promised);
    close_subject(&s);
}

static int make_scratch(void **unused) {
    (void)unused;
    golden_scratch_make(scratch);
    return 0;
}

static int remove_scratch(void **unused) {
    (void)unused;
    golden_scratch_remove(scratch);
    return 0;
}

#define MIX(folder, type, kv_type, method)                                         \
    {                                                                              \
        folder " as " #type " kv " kv_type, test_mixes, NULL, NULL, &(variation) { \
            folder, type, kv_type, method                                          \
        }                                                                          \
    }

int main(void) {
    const struct CMUnitTest tests[] = {
        MIX("falcon-7b-like", "f32", "f32", NULL),
        MIX("falcon-7b-like", "bf16", "f16", NULL),
        MIX("falcon-7b-like", "f16", "q8_0", NULL),
        MIX("falcon-7b-like", "bf16", "f16", "dynamic-ntk"),
        MIX("falcon-7b-like", "f16", "f16", "ntk-yarn"),
        MIX("falcon-40b-like", "f16", "f16", NULL),
        MIX("falcon-40b-like", "f16", "q8_0", NULL),
        MIX("falcon-11b-like", "f32", "f16", NULL),
        MIX("falcon-180b-like", "bf16", "f16", NULL),
        MIX("falcon-rw-like", "f32", "f32", NULL),
        MIX("falcon-rw-even", "f16", "f16", NULL),
        MIX("starcoder-like", "f16", "f16", NULL),
        MIX("torch-shards", "bf16", "f16", NULL),
        MIX("quantized/q8_0.gguf", NULL, "f16", NULL),
        MIX("quantized/q4_k.gguf", NULL, "f16", NULL),
        cmocka_unit_test(test_hidden_is_what_the_head_reads),
        cmocka_unit_test(test_mixed_cells),
        cmocka_unit_test(test_feeding_on_a_shared_batch),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_refused_memory),
        cmocka_unit_test(test_parts_go_on),
        cmocka_unit_test(test_one_that_may_not_go_on_ends_the_others),
        cmocka_unit_test(test_no_part_goes_on_beyond_its_context),
        cmocka_unit_test(test_untouched_cells_cost_nothing),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
