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

static void whole_numbers_stay_within_64_bits(void **state) {
    (void)state;

    static const struct {
        double given;
        json_int_t expected;
    } rows[] = {
        {0,           0                  },
        {51200,       51200              },
        {-3,          -3                 },
        {0x1p53,      (json_int_t)1 << 53},
        {0x1p63,      INT64_MAX          },
        {1e300,       INT64_MAX          },
        {HUGE_VAL,    INT64_MAX          },
        {-0x1p63,     INT64_MIN          },
        {-(HUGE_VAL), INT64_MIN          }
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_t *value = fal_json_whole(rows[i].given);
        assert_true(json_is_integer(value));
        assert_true(json_integer_value(value) == rows[i].expected);
        json_decref(value);
    }
    json_t *value = fal_json_whole((double)NAN);
    assert_true(json_is_null(value));
    json_decref(value);
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
        cmocka_unit_test(whole_numbers_stay_within_64_bits),
        cmocka_unit_test(json_text_is_always_utf8),
        cmocka_unit_test(json_has_no_infinity),
        cmocka_unit_test(numbers_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
