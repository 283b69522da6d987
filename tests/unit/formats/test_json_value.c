/* Values for JSON: text of any bytes, numbers that JSON does not have. */
#include "check.h"
#include "formats/json_value.h"

#include <math.h>

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

static void a_value_becomes_text(void **state) {
    (void)state;
    fal_string_builder text = {0};
    fal_error err = {0};
    json_t *value = json_pack("{s:i, s:s}", "a", 1, "b", "c");
    fal_string_append_text(&text, "data: ");
    fal_json_write_text(&text, value, JSON_COMPACT);
    assert_string_equal(text.text, "data: {\"a\":1,\"b\":\"c\"}");
    /* Where memory was short for the value there is none. */
    fal_json_write_text(&text, NULL, JSON_COMPACT);
    CHECK_STATUS(fal_string_status(&text, &err), FAL_E_MEMORY, &err, "");
    fal_string_release(&text);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_text_is_always_utf8),
        cmocka_unit_test(json_has_no_infinity),
        cmocka_unit_test(a_value_becomes_text),
        cmocka_unit_test(whole_numbers_stay_within_64_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
