/* cli/child.h: what a child leaves, how it fails, how it ends, and that this process does not see it otherwise. */
#include "base/cpu.h"
#include "check.h"
#include "cli/child.h"

#include <signal.h>
#include <unistd.h>

static int seen_by_both = 1;

static fal_status answer(void *argument, void *result, fal_error *err) {
    (void)err;
    seen_by_both = 2;
    memset(result, *(const char *)argument, 3000);
    return FAL_OK;
}

static fal_status refuse(void *argument, void *result, fal_error *err) {
    (void)argument;
    memset(result, 1, 4);
    return fal_fail(err, FAL_E_LIMIT, "7 are too many");
}

static fal_status be_killed(void *argument, void *result, fal_error *err) {
    (void)argument;
    (void)result;
    (void)err;
    raise(SIGKILL);
    return FAL_OK;
}

static fal_status leave(void *argument, void *result, fal_error *err) {
    (void)argument;
    (void)result;
    (void)err;
    _exit(3);
}

static fal_status linger(void *argument, void *result, fal_error *err) {
    (void)argument;
    (void)result;
    (void)err;
    sleep(60);
    return FAL_OK;
}

static bool never(void *user) {
    ++*(int *)user;
    return false;
}

static void a_result_comes_back(void **state) {
    (void)state;
    fal_error err = {0};
    char letter = 'x', result[3000] = "";
    CHECK_OK(fal_child_run(result, sizeof result, answer, &letter, NULL, NULL, &err), &err);
    for (size_t i = 0; i < sizeof result; i++)
        assert_int_equal(result[i], 'x');
    assert_int_equal(seen_by_both, 1);
}

static fal_status count(void *argument, void *result, fal_error *err) {
    (void)err;
    *(double *)result = 2 * *(const double *)argument;
    return FAL_OK;
}

/* The sanitizers complain where a result is not aligned. */
static void numbers_come_back(void **state) {
    (void)state;
    fal_error err = {0};
    double half = 0.5, result = 0;
    CHECK_OK(fal_child_run(&result, sizeof result, count, &half, NULL, NULL, &err), &err);
    CHECK_NEAR(result, 1, 0);
}

static void failures_come_back(void **state) {
    (void)state;
    fal_error err = {0};
    char result[4] = "abc";
    CHECK_STATUS(fal_child_run(result, 4, refuse, NULL, NULL, NULL, &err), FAL_E_LIMIT, &err,
                 "7 are too many");
    assert_string_equal(result, "abc");
    CHECK_STATUS(fal_child_run(result, 4, be_killed, NULL, NULL, NULL, &err), FAL_E_IO, &err,
                 "signal 9, perhaps for lack of memory");
    CHECK_STATUS(fal_child_run(result, 4, leave, NULL, NULL, NULL, &err), FAL_E_IO, &err,
                 "exit code 3");
    assert_string_equal(result, "abc");
}

static void waiting_can_be_given_up(void **state) {
    (void)state;
    fal_error err = {0};
    int n_calls = 0;
    char result[4];
    double started = fal_seconds();
    CHECK_STATUS(fal_child_run(result, 4, linger, NULL, never, &n_calls, &err), FAL_E_CANCELLED,
                 &err, "cancelled");
    assert_int_equal(n_calls, 1);
    assert_true(fal_seconds() - started < 30);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_result_comes_back), cmocka_unit_test(numbers_come_back),
        cmocka_unit_test(failures_come_back), cmocka_unit_test(waiting_can_be_given_up)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
