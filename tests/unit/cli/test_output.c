/* What is printed of text from outside, and numbers for people. */
#include "check.h"
#include "cli/terminal.h"

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

/* Every byte acts on no terminal: what may pass is text, a newline or a tab. */
static void harmless_text_is_harmless(void **state) {
    (void)state;
    expect_written(fal_write_harmless, "a\x1b[31m\r\xff\xc3\xa9\xc2\x9b\x7f\n\t\0", 16,
                   "a^[[31m^M\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd^?\n\t^@", 23);
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
    fal_format_bytes(text, sizeof text, ldexp(1, 120));
    assert_string_equal(text, "1.2e+21 PiB");
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
        cmocka_unit_test(harmless_text_is_harmless),
        cmocka_unit_test(numbers_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
