/* Memory that is refused at any point: opening a model, a session, a step, and converting a folder either succeed or fail
 * with MEMORY; nothing is lost, and the next try works. */
#include <falconer/session.h>

#include "base/alloc.h"
#include "convert/convert.h"
#include "golden/tiny_model.h"

#include <unistd.h>

static char scratch[GOLDEN_PATH_SIZE], path[GOLDEN_PATH_SIZE];

enum {
    MAX_ALLOCATIONS = 20000
};

static int make_scratch(void **state) {
    (void)state;
    golden_scratch_make(scratch);
    golden_join(path, scratch, "model.gguf");
    return 0;
}

static int remove_scratch(void **state) {
    (void)state;
    golden_scratch_remove(scratch);
    return 0;
}

/* What may fail; everything it opened is closed again when it returns. */
typedef fal_status attempt(fal_error *err);

/* Refuses the 1st, 2nd, 3rd ... allocation until the attempt needs no more. Returns how many it needs. */
static long refuse_each(attempt *try_it) {
    for (long n = 1; n < MAX_ALLOCATIONS; n++) {
        fal_error error = {0};
        long live = fal_alloc_live();
        fal_alloc_fail_at(n);
        fal_status status = try_it(&error);
        fal_alloc_fail_at(0);
        if (fal_alloc_live() != live)
            fail_msg("allocation %ld: %ld blocks are lost (%s)", n, fal_alloc_live() - live,
                     error.message);
        if (status == FAL_OK) return n - 1;
        if (status != FAL_E_MEMORY)
            fail_msg("allocation %ld: %s (%s)", n, fal_status_words(status), error.message);
        assert_true(error.message[0] != '\0');
        assert_null(strchr(error.message, '\n'));
    }
    fail_msg("more than %d allocations", MAX_ALLOCATIONS);
    return 0;
}

static fal_status open_and_feed(const char *device, fal_error *err) {
    const int32_t tokens[] = {1, 2, 3, 4, 5};
    fal_model *model = NULL;
    fal_session *session = NULL;
    fal_model_options options = {.n_threads = 2, .device = device};
    fal_status status = fal_model_open(&model, path, &options, err);
    if (status == FAL_OK) status = fal_session_open(&session, model, NULL, err);
    if (status == FAL_OK) status = fal_session_feed(session, tokens, 5, NULL, err);
    if (status == FAL_OK) assert_int_equal(fal_session_count(session), 5);
    if (status == FAL_OK) assert_true(isfinite(fal_session_logits(session)[0]));
    fal_session_close(session);
    fal_model_close(model);
    return status;
}

static fal_status attempt_cpu(fal_error *err) {
    return open_and_feed("cpu", err);
}

static fal_status attempt_ref(fal_error *err) {
    return open_and_feed("ref", err);
}

static void test_open_and_feed(void **state) {
    (void)state;
    tiny_model t = tiny_model_whole();
    t.has_chat_tokens = true;
    tiny_model_write(&t, path);
    assert_true(refuse_each(attempt_cpu) > 10);
    assert_true(refuse_each(attempt_ref) > 10);
}

/* ---- a step of several sessions ---- */

static fal_session *open_sessions[3];

static fal_status attempt_step(fal_error *err) {
    const int32_t tokens[] = {1, 2, 3};
    return fal_sessions_step(open_sessions, tokens, 3, err);
}

static void test_step(void **state) {
    (void)state;
    tiny_model t = tiny_model_whole();
    tiny_model_write(&t, path);
    fal_error error = {0};
    fal_model *model = NULL;
    const int32_t first = 7;
    CHECK_OK(fal_model_open(&model, path, NULL, &error), &error);
    for (size_t i = 0; i < 3; i++) {
        CHECK_OK(fal_session_open(&open_sessions[i], model, NULL, &error), &error);
        CHECK_OK(fal_session_feed(open_sessions[i], &first, 1, NULL, &error), &error);
    }
    /* What a refused step had already made room for stays with the session: only the outcome is judged. */
    bool has_failed = false;
    for (long n = 1; n < 100; n++) {
        fal_alloc_fail_at(n);
        fal_status status = attempt_step(&error);
        fal_alloc_fail_at(0);
        size_t count = status == FAL_OK ? 2 : 1;
        for (size_t i = 0; i < 3; i++)
            assert_int_equal(fal_session_count(open_sessions[i]), count);
        if (status == FAL_OK) break;
        assert_int_equal(status, FAL_E_MEMORY);
        has_failed = true;
    }
    assert_true(has_failed);
    for (size_t i = 0; i < 3; i++)
        fal_session_close(open_sessions[i]);
    fal_model_close(model);
}

/* ---- conversions: safetensors in shards, and both kinds of PyTorch archives ---- */

static const char *source;

static fal_status attempt_convert(fal_error *err) {
    fal_convert_options options = {.type = "f16"};
    unlink(path);
    fal_status status = fal_convert_folder(source, path, &options, err);
    /* A failed conversion leaves no file. */
    assert_int_equal(access(path, F_OK) == 0, status == FAL_OK);
    return status;
}

static void test_convert(void **state) {
    (void)state;
    static const char *const folders[] = {FAL_SOURCE_DIR "/tests/golden/models/falcon-40b-like",
                                          FAL_SOURCE_DIR "/tests/golden/models/torch-shards",
                                          FAL_SOURCE_DIR "/tests/golden/models/torch-shared"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        source = folders[i];
        assert_true(refuse_each(attempt_convert) > 10);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_and_feed),
        cmocka_unit_test(test_step),
        cmocka_unit_test(test_convert),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
