/* Configs under construction. */
#include "base/alloc.h"
#include "base/file.h"
#include "model/config_writer.h"
#include "unit/formats/temp_folder.h"

/* Numbers that were f32 once have few digits, others all that a double has need of. */
static void test_numbers(void **state) {
    (void)state;

    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {(double)1e-5f,      "1e-5"            },
        {10000,              "10000.0"         },
        {500042,             "500042.0"        },
        {(double)0.1f,       "0.1"             },
        {0.1,                "0.1"             },
        {(double)52664.434f, "52664.434"       },
        {1.138629436111989,  "1.13862943611199"},
        {0,                  "0.0"             },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fal_config_writer w = {.object = json_object()};
        fal_config_set_number(&w, "number", cases[i].value);
        double read = json_real_value(json_object_get(w.object, "number"));
        assert_true((float)read == (float)cases[i].value);
        char *text = json_dumps(w.object, JSON_COMPACT | JSON_REAL_PRECISION(15)), expected[64];
        snprintf(expected, sizeof expected, "{\"number\":%s}", cases[i].text);
        assert_string_equal(text, expected);
        free(text);
        json_decref(w.object);
    }
}

static void test_file(void **state) {
    (void)state;
    fal_error err = {0};
    temp_folder temp = temp_folder_make();
    fal_config_writer w = {.object = json_object()};
    fal_config_set_text(&w, "text", "a");
    fal_config_set_flag(&w, "flag", true);
    fal_config_set_integer(&w, "integer", 7);
    fal_config_set_shortest(&w, "whole", 16);
    fal_config_set_shortest(&w, "part", 0.5);
    fal_config_set_null(&w, "nothing");
    fal_config_set_integer(&w, "integer", 8);
    CHECK_OK(fal_config_writer_write(&w, temp.path, "config.json", &err), &err);
    char *text;
    size_t length;
    CHECK_OK(fal_file_read(&text, &length, temp_path(&temp, "config.json"), 1000, &err), &err);
    assert_string_equal(text, "{\n  \"text\": \"a\",\n  \"flag\": true,\n  \"integer\": 8,\n"
                              "  \"whole\": 16,\n  \"part\": 0.5,\n  \"nothing\": null\n}\n");
    fal_free(text);
    /* A value without memory is remembered, and nothing is written. */
    fal_config_set_value(&w, "missing", NULL);
    fal_config_set_flag(&w, "late", true);
    assert_null(json_object_get(w.object, "late"));
    CHECK_STATUS(fal_config_writer_status(&w, &err), FAL_E_MEMORY, &err, "");
    CHECK_STATUS(fal_config_writer_write(&w, temp.path, "other.json", &err), FAL_E_MEMORY, &err,
                 "");
    assert_int_equal(temp_count(&temp), 1);
    json_decref(w.object);
    temp_remove(&temp);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
