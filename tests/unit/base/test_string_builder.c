/* base/string_builder.h: appending, the terminator, sticky failure, taking. */
#include "base/alloc.h"
#include "base/string_builder.h"
#include "check.h"

static void appends_of_all_kinds(void **state) {
    (void)state;
    fal_string_builder b = {0};
    assert_null(b.text);
    fal_string_append(&b, "ab\0cd", 5);
    fal_string_append(&b, NULL, 0);
    fal_string_append_text(&b, "ef");
    fal_string_append_format(&b, "-%d-%s", -7, "g");
    CHECK_OK(fal_string_status(&b, NULL), NULL);
    assert_int_equal(b.length, 12);
    assert_memory_equal(b.text, "ab\0cdef--7-g", 13);
    fal_string_clear(&b);
    assert_int_equal(b.length, 0);
    assert_string_equal(b.text, "");
    fal_string_append_text(&b, "again");
    assert_string_equal(b.text, "again");
    fal_string_release(&b);
    assert_null(b.text);
    fal_string_release(&b);
}

static void long_text_stays_whole(void **state) {
    (void)state;
    fal_string_builder b = {0};
    for (int i = 0; i < 20000; i++)
        fal_string_append_format(&b, "%05d", i);
    assert_int_equal(b.length, 100000);
    assert_int_equal(strlen(b.text), 100000);
    assert_memory_equal(b.text + 5 * 12345, "12345", 5);
    fal_string_release(&b);
}

static void failure_sticks(void **state) {
    (void)state;
    fal_string_builder b = {0};
    fal_string_append_text(&b, "kept");
    fal_alloc_fail_at(1);
    char text[500] = {0};
    memset(text, 'x', sizeof text - 1);
    fal_string_append_text(&b, text);
    fal_alloc_fail_at(0);
    fal_string_append_text(&b, "after");
    assert_string_equal(b.text, "kept");
    fal_error err = {0};
    CHECK_STATUS(fal_string_status(&b, &err), FAL_E_MEMORY, &err, "memory");
    assert_null(fal_string_take(&b));
    CHECK_OK(fal_string_status(&b, &err), &err);
}

static void absurd_lengths_fail(void **state) {
    (void)state;
    fal_string_builder b = {0};
    fal_string_append_text(&b, "x");
    fal_string_append(&b, "y", SIZE_MAX);
    assert_true(b.failed);
    fal_string_release(&b);
    fal_string_append(&b, "y", SIZE_MAX - 1);
    assert_true(b.failed);
    fal_string_release(&b);
}

static void taking_hands_over(void **state) {
    (void)state;
    long before = fal_alloc_live();
    fal_string_builder b = {0};
    char *nothing = fal_string_take(&b);
    assert_string_equal(nothing, "");
    fal_string_append_text(&b, "text");
    char *text = fal_string_take(&b);
    assert_string_equal(text, "text");
    assert_null(b.text);
    assert_int_equal(b.length, 0);
    fal_free(text);
    fal_free(nothing);
    assert_int_equal(fal_alloc_live(), before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_of_all_kinds), cmocka_unit_test(long_text_stays_whole),
        cmocka_unit_test(failure_sticks),       cmocka_unit_test(absurd_lengths_fail),
        cmocka_unit_test(taking_hands_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
