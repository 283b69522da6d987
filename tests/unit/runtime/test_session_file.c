/* Timelines that are copied, saved and loaded go on as the one they were, bit for bit; a file that is foreign, cut or
 * damaged in any byte is refused by name and changes nothing. */
#define _XOPEN_SOURCE 700 /* setrlimit */

#include "base/alloc.h"
#include "base/digest.h"
#include "base/file.h"
#include "golden/golden_files.h"
#include "runtime/batch.h"
#include "runtime/session_file.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    N_TOKENS = 30,
    N_FIRST = 18, /* before the timeline moves */
    N_CONTEXT = 40,
    FACTS_BYTES = 256,
    DIGEST_BYTES = 64
};

typedef struct variation {
    const char *folder, *type, *kv_type, *method;
} variation;

static fal_error error;
static char scratch[GOLDEN_PATH_SIZE], path[GOLDEN_PATH_SIZE], saved[GOLDEN_PATH_SIZE];
static int32_t tokens[N_TOKENS];

static fal_model *open_model(const variation *v, double factor) {
    golden_model model = {0};
    fal_model *opened;
    snprintf(model.name, sizeof model.name, "%s", v->folder);
    golden_join(model.folder, FAL_SOURCE_DIR "/tests/golden/models", v->folder);
    golden_convert(&model, v->type, scratch, path);
    fal_model_options options = {.n_threads = 2,
                                 .context_method = v->method,
                                 .context_scale = v->method ? factor : 0,
                                 .context_original = v->method ? 16 : 0};
    CHECK_OK(fal_model_open(&opened, path, &options, &error), &error);
    return opened;
}

static fal_session *open_session(fal_model *model, const char *kv_type, int n_context) {
    fal_session *s;
    fal_session_options how = {.n_context = n_context, .kv_type = kv_type};
    CHECK_OK(fal_session_open(&s, model, &how, &error), &error);
    return s;
}

static void feed(fal_session *s, size_t first, size_t n) {
    CHECK_OK(fal_session_feed(s, tokens + first, n, NULL, &error), &error);
}

static void assert_same_logits(const fal_session *found, const fal_session *expected) {
    size_t n = (size_t)fal_model_info_get(fal_session_model(found))->n_vocab;
    assert_non_null(fal_session_logits(found));
    assert_memory_equal(fal_session_logits(found), fal_session_logits(expected), n * sizeof(float));
}

/* Both hold the first N_FIRST tokens. Going on token by token and with the rest at once gives the same. */
static void check_going_on(fal_session *moved, fal_session *stayed) {
    assert_int_equal(fal_session_count(moved), N_FIRST);
    assert_memory_equal(fal_session_tokens(moved), tokens, N_FIRST * sizeof *tokens);
    assert_same_logits(moved, stayed);
    for (size_t i = N_FIRST; i < N_FIRST + 3; i++) {
        feed(moved, i, 1);
        feed(stayed, i, 1);
        assert_same_logits(moved, stayed);
    }
    feed(moved, N_FIRST + 3, N_TOKENS - N_FIRST - 3);
    feed(stayed, N_FIRST + 3, N_TOKENS - N_FIRST - 3);
    assert_same_logits(moved, stayed);
}

static void test_copy_and_file(void **state) {
    const variation *v = *state;
    fal_model *model = open_model(v, 2);
    fal_session *stayed = open_session(model, v->kv_type, N_CONTEXT),
                *moved = open_session(model, v->kv_type, N_CONTEXT + 3);
    feed(stayed, 0, N_FIRST);
    feed(moved, 10, 12); /* what was there before is of no account */
    CHECK_OK(fal_session_save(stayed, saved, &error), &error);
    CHECK_OK(fal_session_copy(moved, stayed, N_FIRST, &error), &error);
    check_going_on(moved, stayed);
    CHECK_OK(fal_session_load(moved, saved, &error), &error);
    fal_session_rewind(stayed, 0);
    feed(stayed, 0, N_FIRST);
    check_going_on(moved, stayed);
    /* Into a process that never computed it: nothing may come from the session that saved. */
    fal_session_close(moved);
    fal_session_close(stayed);
    fal_model_close(model);
    model = open_model(v, 2);
    moved = open_session(model, v->kv_type, N_CONTEXT);
    stayed = open_session(model, v->kv_type, N_CONTEXT);
    CHECK_OK(fal_session_load(moved, saved, &error), &error);
    feed(stayed, 0, N_FIRST);
    check_going_on(moved, stayed);
    fal_session_close(moved);
    fal_session_close(stayed);
    fal_model_close(model);
}

/* ---- the rest on one model ---- */

static const variation plain = {"falcon-7b-like", "f32", "f32", NULL};

static void test_copy_of_a_part(void **state) {
    (void)state;
    fal_model *model = open_model(&plain, 1);
    fal_session *from = open_session(model, NULL, N_CONTEXT), *to = open_session(model, NULL, 20),
                *f16 = open_session(model, "f16", N_CONTEXT);
    feed(from, 0, N_TOKENS);
    CHECK_OK(fal_session_copy(to, from, 10, &error), &error);
    assert_null(fal_session_logits(to));
    feed(to, 10, 5);
    fal_session_rewind(from, 10);
    feed(from, 10, 5);
    assert_same_logits(to, from);
    CHECK_STATUS(fal_session_copy(to, from, 16, &error), FAL_E_ARGUMENT, &error,
                 "16 tokens to copy, the timeline has 15");
    CHECK_STATUS(fal_session_copy(f16, from, 3, &error), FAL_E_ARGUMENT, &error,
                 "cells of f32, into a session with cells of f16");
    feed(from, 15, 10);
    CHECK_STATUS(fal_session_copy(to, from, 25, &error), FAL_E_LIMIT, &error, "holds 20");
    assert_int_equal(fal_session_count(to), 15);
    assert_non_null(fal_session_logits(to));
    CHECK_OK(fal_session_copy(from, from, 4, &error), &error);
    assert_int_equal(fal_session_count(from), 4);
    CHECK_OK(fal_session_copy(to, from, 0, &error), &error);
    assert_int_equal(fal_session_count(to), 0);
    fal_session_close(f16);
    fal_session_close(to);
    fal_session_close(from);
    fal_model_close(model);
}

static void test_dynamic_copies_are_whole(void **state) {
    (void)state;
    const variation dynamic = {"falcon-7b-like", "f32", "f32", "dynamic-ntk"};
    fal_model *model = open_model(&dynamic, 2);
    fal_session *from = open_session(model, NULL, N_CONTEXT),
                *to = open_session(model, NULL, N_CONTEXT);
    feed(from, 0, N_FIRST);
    CHECK_STATUS(fal_session_copy(to, from, 5, &error), FAL_E_UNSUPPORTED, &error,
                 "only whole timelines");
    assert_int_equal(fal_session_count(to), 0);
    fal_session_close(to);
    fal_session_close(from);
    fal_model_close(model);
}

/* An empty timeline, and one without logits, are saved as what they are. */
static void test_small_timelines(void **state) {
    (void)state;
    fal_model *model = open_model(&plain, 1);
    fal_session *s = open_session(model, NULL, N_CONTEXT);
    CHECK_OK(fal_session_save(s, saved, &error), &error);
    struct stat facts; /* what somebody has said is for nobody else */
    assert_int_equal(stat(saved, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0600);
    feed(s, 0, 4);
    CHECK_OK(fal_session_load(s, saved, &error), &error);
    assert_int_equal(fal_session_count(s), 0);
    assert_null(fal_session_logits(s));
    feed(s, 0, 4);
    fal_session_rewind(s, 3);
    CHECK_OK(fal_session_save(s, saved, &error), &error);
    fal_session_rewind(s, 0);
    CHECK_OK(fal_session_load(s, saved, &error), &error);
    assert_int_equal(fal_session_count(s), 3);
    assert_null(fal_session_logits(s));
    int32_t *found;
    size_t n;
    CHECK_OK(fal_session_file_tokens(&found, &n, saved, s, &error), &error);
    assert_int_equal(n, 3);
    assert_memory_equal(found, tokens, 3 * sizeof *tokens);
    fal_free(found);
    fal_session_close(s);
    fal_model_close(model);
}

/* A session with three tokens and logits that must stay as they are, and a file of 5 tokens to be spoilt. */
typedef struct target {
    fal_model *model;
    fal_session *session;
    char *bytes;
    size_t length;
    float logits[GOLDEN_MAX_VOCAB];
    size_t n_vocab;
} target;

static target open_target(void) {
    target t = {.model = open_model(&plain, 1)};
    t.session = open_session(t.model, NULL, N_CONTEXT);
    t.n_vocab = (size_t)fal_model_info_get(t.model)->n_vocab;
    assert_true(t.n_vocab <= GOLDEN_MAX_VOCAB);
    feed(t.session, 0, 5);
    CHECK_OK(fal_session_save(t.session, saved, &error), &error);
    CHECK_OK(fal_file_read(&t.bytes, &t.length, saved, 1 << 28, &error), &error);
    fal_session_rewind(t.session, 0);
    feed(t.session, 7, 3);
    memcpy(t.logits, fal_session_logits(t.session), t.n_vocab * sizeof *t.logits);
    return t;
}

static void close_target(target *t) {
    fal_free(t->bytes);
    fal_session_close(t->session);
    fal_model_close(t->model);
}

static void check_unchanged(const target *t) {
    assert_int_equal(fal_session_count(t->session), 3);
    assert_memory_equal(fal_session_tokens(t->session), tokens + 7, 3 * sizeof *tokens);
    assert_memory_equal(fal_session_logits(t->session), t->logits, t->n_vocab * sizeof(float));
}

/* The file as it stands in t->bytes, `length` of it, is refused; its name is told, and the words. */
static void check_refused(const target *t, size_t length, const char *words) {
    FILE *file = fopen(saved, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(t->bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
    fal_status status = fal_session_load(t->session, saved, &error);
    if (status != FAL_E_FORMAT && status != FAL_E_UNSUPPORTED)
        fail_msg("%zu bytes: %s", length, fal_status_words(status));
    if (!strstr(error.message, words) || !strstr(error.message, saved)
        || strchr(error.message, '\n'))
        fail_msg("%zu bytes: %s", length, error.message);
    check_unchanged(t);
}

static void test_damage(void **state) {
    (void)state;
    target t = open_target();
    size_t head = FACTS_BYTES + 5 * sizeof *tokens + DIGEST_BYTES;
    for (size_t i = 0; i < t.length; i += i < head + 8 || i + 70 > t.length ? 1 : 397) {
        t.bytes[i] ^= 0x10;
        check_refused(&t, t.length, "");
        t.bytes[i] ^= 0x10;
    }
    for (size_t n = 0; n < t.length; n += n < head + 8 || n + 70 > t.length ? 1 : 997)
        check_refused(&t, n, "");
    t.bytes[head - 1] ^= 1;
    check_refused(&t, t.length, "the digest of its head differs");
    t.bytes[head - 1] ^= 1;
    t.bytes[t.length - 100] ^= 1;
    check_refused(&t, t.length, "the digest of its cells differs");
    t.bytes[t.length - 100] ^= 1;
    check_refused(&t, t.length - 1, "cut or damaged");
    check_refused(&t, 0, "no saved timeline");
    t.bytes[8] = 2;
    check_refused(&t, t.length, "version 2");
    t.bytes[0] = 'G';
    check_refused(&t, t.length, "no saved timeline");
    close_target(&t);
}

/* Digests that are right over contents that are not: the contents are checked, too. */
static void mend_digest(char *bytes, size_t at) {
    char hex[FAL_SHA256_HEX];
    fal_sha256 sum = fal_sha256_begin();
    fal_sha256_add(&sum, bytes, at);
    fal_sha256_end(&sum, hex);
    memcpy(bytes + at, hex, DIGEST_BYTES);
}

static void test_forged_heads(void **state) {
    (void)state;
    target t = open_target();
    size_t head = FACTS_BYTES + 5 * sizeof *tokens;
    char facts[FACTS_BYTES + 8];
    memcpy(facts, t.bytes, sizeof facts);
    const int32_t wrong[] = {-1, (int32_t)t.n_vocab};
    for (size_t i = 0; i < 2; i++) {
        memcpy(t.bytes + FACTS_BYTES + 4, &wrong[i], sizeof wrong[i]);
        mend_digest(t.bytes, head);
        check_refused(&t, t.length, "token 1 is ");
    }
    memcpy(t.bytes, facts, sizeof facts);
    t.bytes[24]++; /* layers */
    mend_digest(t.bytes, head);
    check_refused(&t, t.length, "layers");
    memcpy(t.bytes, facts, sizeof facts);
    t.bytes[12] = 0; /* no logits: then the lengths disagree */
    mend_digest(t.bytes, head);
    check_refused(&t, t.length, "do not hold 5 tokens");
    memcpy(t.bytes, facts, sizeof facts);
    memset(t.bytes + 16, 0xff, 8); /* tokens */
    check_refused(&t, t.length, "its head exceeds");
    close_target(&t);
}

static void check_foreign(fal_model *model, const char *kv_type, int n_context, fal_status status,
                          const char *words) {
    fal_session *s = open_session(model, kv_type, n_context);
    int32_t *found;
    size_t n;
    CHECK_STATUS(fal_session_load(s, saved, &error), status, &error, words);
    assert_non_null(strstr(error.message, saved));
    assert_int_equal(fal_session_count(s), 0);
    CHECK_STATUS(fal_session_file_tokens(&found, &n, saved, s, &error), status, &error, words);
    fal_session_close(s);
}

static void test_foreign_sessions(void **state) {
    (void)state;
    const variation yarn = {"falcon-7b-like", "f32", "f32", "yarn"},
                    other = {"falcon-40b-like", "f32", "f32", NULL},
                    coarser = {"falcon-7b-like", "f16", "f32", NULL};
    fal_model *model = open_model(&plain, 1);
    fal_session *s = open_session(model, NULL, N_CONTEXT);
    feed(s, 0, N_FIRST);
    CHECK_OK(fal_session_save(s, saved, &error), &error);
    check_foreign(model, "f16", N_CONTEXT, FAL_E_ARGUMENT,
                  "its cells are f32, the session's are f16");
    check_foreign(model, NULL, N_FIRST - 1, FAL_E_LIMIT,
                  "18 tokens, but the session's context holds 17");
    fal_session_close(s);
    fal_model_close(model);
    const variation *foreign[] = {&yarn, &other, &coarser};
    const char *const words[] = {"the model's in force is 'yarn", "another model", "another model"};
    for (size_t i = 0; i < 3; i++) {
        model = open_model(foreign[i], 2);
        check_foreign(model, "f32", N_CONTEXT, FAL_E_ARGUMENT, words[i]);
        fal_model_close(model);
    }
    model = open_model(&yarn, 2);
    s = open_session(model, NULL, N_CONTEXT);
    feed(s, 0, N_FIRST);
    CHECK_OK(fal_session_save(s, saved, &error), &error);
    fal_session_close(s);
    fal_model_close(model);
    model = open_model(&yarn, 3);
    check_foreign(model, NULL, N_CONTEXT, FAL_E_ARGUMENT, "factor 2");
    CHECK_OK(unlink(saved) == 0 ? FAL_OK : FAL_E_IO, NULL);
    check_foreign(model, NULL, N_CONTEXT, FAL_E_NOT_FOUND, "cannot open");
    fal_model_close(model);
}

/* A limit on the size of files stands in for a full disk: the former file stays, nothing lies beside it. */
static void test_full_disk(void **state) {
    (void)state;
    target t = open_target();
    struct rlimit before, small;
    fal_session *s = open_session(t.model, NULL, N_CONTEXT);
    feed(s, 0, N_FIRST);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    signal(SIGXFSZ, SIG_IGN);
    for (size_t limit = 0; limit < t.length; limit += t.length / 7) {
        small.rlim_cur = limit;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        fal_status status = fal_session_save(s, saved, &error);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        CHECK_STATUS(status, FAL_E_IO, &error, saved);
        CHECK_OK(fal_session_load(t.session, saved, &error), &error);
        assert_int_equal(fal_session_count(t.session), 5);
    }
    signal(SIGXFSZ, SIG_DFL);
    char folder[GOLDEN_PATH_SIZE];
    golden_join(folder, scratch, "absent/timeline");
    CHECK_STATUS(fal_session_save(s, folder, &error), FAL_E_NOT_FOUND, &error, folder);
    CHECK_STATUS(fal_session_save(s, scratch, &error), FAL_E_ARGUMENT, &error, "folder");
    assert_int_equal(fal_session_count(s), N_FIRST);
    fal_session_close(s);
    close_target(&t);
}

static int make_scratch(void **state) {
    (void)state;
    golden_scratch_make(scratch);
    golden_join(saved, scratch, "timeline");
    for (int i = 0; i < N_TOKENS; i++)
        tokens[i] = (i * 37 + 11) % 199;
    return 0;
}

static int remove_scratch(void **state) {
    (void)state;
    golden_scratch_remove(scratch);
    return 0;
}

#define MOVE(folder, type, kv_type, method)                                            \
    {                                                                                  \
        folder " " type " kv " kv_type, test_copy_and_file, NULL, NULL, &(variation) { \
            folder, type, kv_type, method                                              \
        }                                                                              \
    }

int main(void) {
    const struct CMUnitTest tests[] = {
        MOVE("falcon-7b-like", "f32", "f32", NULL),
        MOVE("falcon-7b-like", "f16", "q8_0", NULL),
        MOVE("falcon-7b-like", "bf16", "f16", "dynamic-ntk"),
        MOVE("falcon-40b-like", "f16", "f16", "ntk-yarn"),
        MOVE("falcon-rw-like", "f32", "f32", NULL),
        MOVE("starcoder-like", "bf16", "f16", NULL),
        cmocka_unit_test(test_copy_of_a_part),
        cmocka_unit_test(test_dynamic_copies_are_whole),
        cmocka_unit_test(test_small_timelines),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_forged_heads),
        cmocka_unit_test(test_foreign_sessions),
        cmocka_unit_test(test_full_disk),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
