/* Logs: they grow, over several openings, and a write that fails leaves none of its bytes. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/file_append.h"
#include "unit/formats/temp_folder.h"

#include <signal.h>
#include <sys/resource.h>

static void check_text(const char *path, const char *expected) {
    char *text = NULL;
    size_t length = 0;
    fal_error err;
    CHECK_OK(fal_file_read(&text, &length, path, 1000, &err), &err);
    assert_string_equal(text, expected);
    fal_free(text);
}

static void grows_over_several_openings(void **state) {
    (void)state;
    temp_folder folder = temp_folder_make();
    fal_error err = {0};
    for (int i = 0; i < 2; i++) {
        fal_appended *a = NULL;
        CHECK_OK(fal_appended_open(&a, temp_path(&folder, "log"), &err), &err);
        CHECK_OK(fal_appended_write(a, "ab\n", 3, &err), &err);
        CHECK_OK(fal_appended_write(a, "c\n", 2, &err), &err);
        CHECK_OK(fal_appended_sync(a, &err), &err);
        fal_appended_close(a);
    }
    check_text(temp_path(&folder, "log"), "ab\nc\nab\nc\n");
    fal_appended *a = NULL;
    CHECK_STATUS(fal_appended_open(&a, temp_path(&folder, "absent/log"), &err), FAL_E_NOT_FOUND,
                 &err, "absent/log");
    assert_null(a);
    temp_remove(&folder);
}

static void a_failing_write_leaves_nothing(void **state) {
    (void)state;
    temp_folder folder = temp_folder_make();
    fal_error err = {0};
    fal_appended *a = NULL;
    CHECK_OK(fal_appended_open(&a, temp_path(&folder, "log"), &err), &err);
    CHECK_OK(fal_appended_write(a, "first\n", 6, &err), &err);
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 9;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    CHECK_STATUS(fal_appended_write(a, "second\n", 7, &err), FAL_E_IO, &err, "cannot write");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    CHECK_OK(fal_appended_write(a, "third\n", 6, &err), &err);
    fal_appended_close(a);
    check_text(temp_path(&folder, "log"), "first\nthird\n");
    temp_remove(&folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(grows_over_several_openings),
                                       cmocka_unit_test(a_failing_write_leaves_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
