/* <falconer/error.h> and base/fail.h: the table of statuses, messages that never overflow, context, leaving early. */
#include "base/fail.h"
#include "check.h"

#include <errno.h>

static void every_status_has_its_row(void **state) {
    (void)state;
    assert_int_equal(FAL_OK, 0);
    assert_int_equal(fal_status_exit_code(FAL_OK), 0);
    assert_int_equal(fal_status_http_code(FAL_OK), 200);
    for (int i = 1; i < FAL_STATUS_COUNT; i++) {
        assert_in_range(fal_status_exit_code((fal_status)i), 2, 125);
        assert_in_range(fal_status_http_code((fal_status)i), 400, 599);
        assert_true(strlen(fal_status_words((fal_status)i)) > 3);
        for (int j = 0; j < i; j++)
            assert_int_not_equal(fal_status_exit_code((fal_status)i),
                                 fal_status_exit_code((fal_status)j));
    }
    assert_int_equal(fal_status_exit_code(FAL_E_FORMAT), 5);
    assert_int_equal(fal_status_exit_code(FAL_STATUS_COUNT), 70);
    assert_int_equal(fal_status_exit_code((fal_status)-1), 70);
}

static void a_message_is_filled_and_bounded(void **state) {
    (void)state;
    fal_error err = {0};
    assert_int_equal(
        fal_fail(&err, FAL_E_LIMIT, "tensor '%s': %d dimensions, at most %d", "w", 5, 4),
        FAL_E_LIMIT);
    assert_int_equal(err.status, FAL_E_LIMIT);
    assert_string_equal(err.message, "tensor 'w': 5 dimensions, at most 4");
    assert_int_equal(fal_fail(NULL, FAL_E_IO, "%s", "nobody asks"), FAL_E_IO);
    char text[3000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    fal_fail(&err, FAL_E_IO, "%s", text);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
}

static void context_goes_in_front_and_never_overflows(void **state) {
    (void)state;
    fal_error err = {0};
    fal_fail(&err, FAL_E_FORMAT, "bad magic");
    assert_int_equal(fal_add_context(&err, FAL_E_FORMAT, "loading %s", "a.gguf"), FAL_E_FORMAT);
    assert_string_equal(err.message, "loading a.gguf: bad magic");
    assert_int_equal(fal_add_context(&err, FAL_OK, "nothing"), FAL_OK);
    assert_string_equal(err.message, "loading a.gguf: bad magic");
    assert_int_equal(fal_add_context(NULL, FAL_E_IO, "nobody"), FAL_E_IO);
    char text[1200];
    for (size_t n = 990; n < sizeof text; n++) { /* around the message's size */
        memset(text, 'c', n);
        text[n] = '\0';
        fal_fail(&err, FAL_E_FORMAT, "bad magic");
        fal_add_context(&err, FAL_E_FORMAT, "%s", text);
        assert_true(strlen(err.message) < sizeof err.message);
        assert_memory_equal(err.message, text, 990);
    }
}

static void errno_becomes_a_status(void **state) {
    (void)state;
    fal_error err = {0};
    errno = ENOENT;
    CHECK_STATUS(fal_fail_errno(&err, "cannot open", "a/b"), FAL_E_NOT_FOUND, &err,
                 "cannot open 'a/b': ");
    errno = EACCES;
    CHECK_STATUS(fal_fail_errno(&err, "cannot open", "a/b"), FAL_E_IO, &err, "cannot open 'a/b': ");
    CHECK_STATUS(fal_fail_memory(&err, 42), FAL_E_MEMORY, &err, "42");
    CHECK_STATUS(fal_fail_memory(&err, 0), FAL_E_MEMORY, &err, "out of memory");
}

static fal_status tries(fal_status first, fal_status second, int *reached) {
    FAL_TRY(first);
    *reached = 1;
    FAL_TRY(second);
    *reached = 2;
    return FAL_OK;
}

static fal_status tries_with_exit(fal_status first, int *left) {
    fal_status status = FAL_OK;
    FAL_TRY_OUT(first);
    FAL_TRY_OUT(FAL_OK);
out:
    *left = 1;
    return status;
}

static void trying_leaves_at_the_first_failure(void **state) {
    (void)state;
    int reached = 0, left = 0;
    assert_int_equal(tries(FAL_E_IO, FAL_E_BUG, &reached), FAL_E_IO);
    assert_int_equal(reached, 0);
    assert_int_equal(tries(FAL_OK, FAL_E_BUG, &reached), FAL_E_BUG);
    assert_int_equal(reached, 1);
    assert_int_equal(tries(FAL_OK, FAL_OK, &reached), FAL_OK);
    assert_int_equal(reached, 2);
    assert_int_equal(tries_with_exit(FAL_E_LIMIT, &left), FAL_E_LIMIT);
    assert_int_equal(left, 1);
    assert_int_equal(tries_with_exit(FAL_OK, &left), FAL_OK);
}

/* Names in files may hold anything; a message is one printable line all the same. */
static void foreign_bytes_cannot_reach_a_terminal(void **state) {
    (void)state;
    fal_error err = {0};
    fal_fail(&err, FAL_E_FORMAT, "name '%s' \xc3\xa9", "a\n\033[31m\x7f\xc2\x9b\xff z");
    assert_string_equal(err.message, "name 'a??[31m???? z' \xc3\xa9");
    fal_add_context(&err, FAL_E_FORMAT, "b\rc");
    assert_string_equal(err.message, "b?c: name 'a??[31m???? z' \xc3\xa9");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_its_row),
        cmocka_unit_test(a_message_is_filled_and_bounded),
        cmocka_unit_test(context_goes_in_front_and_never_overflows),
        cmocka_unit_test(errno_becomes_a_status),
        cmocka_unit_test(foreign_bytes_cannot_reach_a_terminal),
        cmocka_unit_test(trying_leaves_at_the_first_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
