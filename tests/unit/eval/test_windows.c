/* Which tokens are scored, and after which others. */
#include "check.h"
#include "eval/windows.h"

static fal_windows plan(size_t n_tokens, int n_context, int stride, int n_most) {
    fal_error err = {0};
    fal_windows w = {0};
    CHECK_OK(fal_windows_plan(&w, n_tokens, n_context, stride, n_most, &err), &err);
    return w;
}

static void check_window(const fal_windows *w, size_t index, size_t begin, size_t first,
                         size_t end) {
    fal_window v = fal_windows_at(w, index);
    assert_int_equal(v.begin, begin);
    assert_int_equal(v.first, first);
    assert_int_equal(v.end, end);
}

static void test_halves(void **state) {
    (void)state;
    fal_windows w = plan(23, 8, 0, 0);
    assert_int_equal(w.count, 2);
    check_window(&w, 0, 0, 5, 8);
    check_window(&w, 1, 8, 13, 16);
    w = plan(24, 8, 0, 0);
    assert_int_equal(w.count, 3);
    w = plan(24, 8, 0, 2);
    assert_int_equal(w.count, 2);
    w = plan(9, 7, 0, 5);
    assert_int_equal(w.count, 1);
    check_window(&w, 0, 0, 4, 7);
    w = plan(3, 3, 0, 0);
    check_window(&w, 0, 0, 2, 3);
}

static void test_sliding(void **state) {
    (void)state;
    fal_windows w = plan(20, 8, 4, 0);
    assert_int_equal(w.count, 4);
    check_window(&w, 0, 0, 1, 8);
    check_window(&w, 1, 4, 8, 12);
    check_window(&w, 3, 12, 16, 20);
    w = plan(21, 8, 4, 0);
    assert_int_equal(w.count, 5);
    check_window(&w, 4, 16, 20, 21);
    w = plan(5, 8, 3, 0);
    assert_int_equal(w.count, 1);
    check_window(&w, 0, 0, 1, 5);
    /* Without overlap nothing stands before the first token of a window. */
    w = plan(17, 8, 8, 0);
    assert_int_equal(w.count, 3);
    check_window(&w, 1, 8, 9, 16);
    check_window(&w, 2, 16, 17, 17);
}

/* Each token but the first is scored once, whatever the sizes, with enough before it. */
static void test_each_once(void **state) {
    (void)state;
    for (int n_context = 2; n_context <= 9; n_context++) {
        for (int stride = 1; stride < n_context; stride++) {
            for (size_t n_tokens = 2; n_tokens <= 40; n_tokens++) {
                fal_windows w = plan(n_tokens, n_context, stride, 0);
                size_t next = 1;
                for (size_t i = 0; i < w.count; i++) {
                    fal_window v = fal_windows_at(&w, i);
                    assert_int_equal(v.first, next);
                    assert_true(v.begin < v.first && v.first < v.end);
                    assert_true(v.end - v.begin <= (size_t)n_context);
                    if (i) assert_int_equal(v.first - v.begin, n_context - stride);
                    next = v.end;
                }
                assert_int_equal(next, n_tokens);
            }
        }
    }
}

static void test_refusals(void **state) {
    (void)state;
    fal_error err = {0};
    fal_windows w;
    CHECK_STATUS(fal_windows_plan(&w, 511, 512, 0, 0, &err), FAL_E_LIMIT, &err,
                 "the text has 511 tokens, a window needs 512");
    CHECK_STATUS(fal_windows_plan(&w, 1, 512, 16, 0, &err), FAL_E_LIMIT, &err, "has 1 tokens");
    CHECK_STATUS(fal_windows_plan(&w, 0, 512, 16, 0, &err), FAL_E_LIMIT, &err, "has 0 tokens");
    CHECK_STATUS(fal_windows_plan(&w, 100, 2, 0, 0, &err), FAL_E_ARGUMENT, &err,
                 "windows of 2 tokens, at least 3");
    CHECK_STATUS(fal_windows_plan(&w, 100, -1, 0, 0, &err), FAL_E_ARGUMENT, &err, "-1");
    CHECK_STATUS(fal_windows_plan(&w, 100, 1, 1, 0, &err), FAL_E_ARGUMENT, &err, "at least 2");
    CHECK_STATUS(fal_windows_plan(&w, 100, 8, 9, 0, &err), FAL_E_ARGUMENT, &err,
                 "stride 9, between 1 and the window's 8");
    CHECK_STATUS(fal_windows_plan(&w, 100, 8, -1, 0, &err), FAL_E_ARGUMENT, &err, "stride -1");
    CHECK_STATUS(fal_windows_plan(&w, 100, 8, 0, -1, &err), FAL_E_ARGUMENT, &err, "-1 windows");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_halves), cmocka_unit_test(test_sliding),
        cmocka_unit_test(test_each_once), cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
