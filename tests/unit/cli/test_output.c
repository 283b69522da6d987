/* What is printed of text from outside, and numbers for people. */
#include "check.h"
#include "cli/json_output.h"
#include "cli/terminal.h"

#include <math.h>
#include <stdlib.h>

/* What print writes into a file, which is no terminal. */
static void expect_written(void (*print)(FILE *, const char *, size_t), const char *text,
                           size_t length, const char *expected, size_t n_expected) {
    char *out = NULL;
    size_t size = 0;
    FILE *stream = tmpfile();
    assert_non_null(stream);
    print(stream, text, length);
    size = (size_t)ftell(stream);
    out = malloc(size + 1);
    assert_non_null(out);
    rewind(stream);
    assert_int_equal(fread(out, 1, size, stream), size);
    assert_int_equal(size, n_expected);
    assert_memory_equal(out, expected, n_expected);
    free(out);
    fclose(stream);
}

static void quoted_text_stays_on_one_line(void **state) {
    (void)state;
    const char text[] = "a\"b\\c\n\t\x1b[31m\xff\xc3\xa9\xc2\x9b\x7f";
    const char expected[] = "\"a\\\"b\\\\c\\n\\t\\x1b[31m\\xff\xc3\xa9\\xc2\\x9b\\x7f\"";
    expect_written(fal_print_quoted, text, sizeof text - 1, expected, sizeof expected - 1);
    expect_written(fal_print_quoted, "\0", 1, "\"\\x00\"", 6);
    expect_written(fal_print_quoted, "", 0, "\"\"", 2);
}

static void bytes_pass_where_no_terminal_is(void **state) {
    (void)state;
    expect_written(fal_terminal_write, "\x1b[31m\xff\0z", 8, "\x1b[31m\xff\0z", 8);
}

static void json_text_is_always_utf8(void **state) {
    (void)state;
    json_t *value = fal_json_text("a\xff\xc3", 3);
    assert_string_equal(json_string_value(value), "a\xef\xbf\xbd\xef\xbf\xbd");
    json_decref(value);
    value = fal_json_text("a\0b", 3);
    assert_int_equal(json_string_length(value), 3);
    json_decref(value);
}

static void json_has_no_infinity(void **state) {
    (void)state;
    json_t *value = fal_json_number(-HUGE_VAL);
    assert_true(json_is_null(value));
    json_decref(value);
    value = fal_json_number(0.5);
    assert_true(json_real_value(value) == 0.5);
    json_decref(value);
}

static void numbers_for_people(void **state) {
    (void)state;
    char text[32];
    fal_format_bytes(text, sizeof text, 1023);
    assert_string_equal(text, "1023 bytes");
    fal_format_bytes(text, sizeof text, 1536);
    assert_string_equal(text, "1.5 KiB");
    fal_format_bytes(text, sizeof text, 960.0 * 1024 * 1024);
    assert_string_equal(text, "960 MiB");
    fal_format_duration(text, sizeof text, 3723.4);
    assert_string_equal(text, "1:02:03");
    fal_format_duration(text, sizeof text, 59.6);
    assert_string_equal(text, "1:00");
    fal_format_duration(text, sizeof text, -1);
    assert_string_equal(text, "0:00");
    fal_format_count(text, sizeof text, 41835970560.0);
    assert_string_equal(text, "41.84 B");
    fal_format_count(text, sizeof text, 999999);
    assert_string_equal(text, "999999");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quoted_text_stays_on_one_line),
        cmocka_unit_test(bytes_pass_where_no_terminal_is),
        cmocka_unit_test(json_text_is_always_utf8),
        cmocka_unit_test(json_has_no_infinity),
        cmocka_unit_test(numbers_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
