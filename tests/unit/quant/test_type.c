/* The table of number types: what a row says, finding rows, sizes of rows of weights. */
#include "check.h"
#include "quant/type.h"

#include <stdio.h>
#include <string.h>

/* Written down from the file format, apart from types.def. */
static const struct {
    const char *name, *partner;
    uint32_t id;
    int weights, bytes;
    bool quantized, in_files;
} expected[] = {
    {"f32",    "f32",  0,  1,   4,   false, true },
    {"f16",    "f32",  1,  1,   2,   false, true },
    {"bf16",   "f32",  30, 1,   2,   false, true },
    {"q4_0",   "q8_1", 2,  32,  18,  true,  true },
    {"q4_1",   "q8_1", 3,  32,  20,  true,  true },
    {"q5_0",   "q8_1", 6,  32,  22,  true,  true },
    {"q5_1",   "q8_1", 7,  32,  24,  true,  true },
    {"q8_0",   "q8_1", 8,  32,  34,  true,  true },
    {"q8_1",   "q8_1", 9,  32,  40,  true,  false},
    {"q2_k",   "q8_k", 10, 256, 84,  true,  true },
    {"q3_k",   "q8_k", 11, 256, 110, true,  true },
    {"q4_k",   "q8_k", 12, 256, 144, true,  true },
    {"q5_k",   "q8_k", 13, 256, 176, true,  true },
    {"q6_k",   "q8_k", 14, 256, 210, true,  true },
    {"q8_k",   "q8_k", 15, 256, 292, true,  false},
    {"iq4_nl", "q8_1", 20, 32,  18,  true,  true },
    {"iq4_xs", "q8_k", 23, 256, 136, true,  true },
};

#define N_EXPECTED ((int)(sizeof expected / sizeof expected[0]))

static void rows_say_what_the_format_says(void **state) {
    (void)state;
    assert_int_equal(fal_type_count(), N_EXPECTED);
    for (int i = 0; i < N_EXPECTED; i++) {
        const fal_type *type = fal_type_by_id(expected[i].id);
        assert_non_null(type);
        assert_string_equal(type->name, expected[i].name);
        assert_int_equal(type->weights_per_block, expected[i].weights);
        assert_int_equal(type->bytes_per_block, expected[i].bytes);
        assert_int_equal(type->is_quantized, expected[i].quantized);
        assert_int_equal(type->in_files, expected[i].in_files);
        assert_string_equal(type->partner->name, expected[i].partner);
        assert_int_equal(type->partner->weights_per_block, expected[i].weights);
        assert_non_null(type->decode);
        assert_non_null(type->encode);
        assert_true(strlen(type->meaning) > 0);
    }
}

static void names_are_found_in_any_case(void **state) {
    (void)state;
    for (int i = 0; i < fal_type_count(); i++) {
        const fal_type *type = fal_type_at(i);
        char upper[16];
        size_t length = strlen(type->name);
        for (size_t k = 0; k <= length; k++) {
            char c = type->name[k];
            upper[k] = (char)(c >= 'a' && c <= 'z' ? c - 32 : c);
        }
        assert_ptr_equal(fal_type_by_name(type->name), type);
        assert_ptr_equal(fal_type_by_name(upper), type);
        assert_ptr_equal(fal_type_by_id(type->gguf_id), type);
    }
    assert_null(fal_type_by_name("q4"));
    assert_null(fal_type_by_name("q4_00"));
    assert_null(fal_type_by_name(""));
    assert_null(fal_type_by_name(NULL));
    assert_null(fal_type_by_name("iq2_xxs"));
    assert_null(fal_type_at(-1));
    assert_null(fal_type_at(fal_type_count()));
}

static void ids_without_row_have_names(void **state) {
    (void)state;
    assert_null(fal_type_by_id(16));
    assert_string_equal(fal_type_name_of_id(16), "iq2_xxs");
    assert_string_equal(fal_type_name_of_id(34), "tq1_0");
    assert_string_equal(fal_type_name_of_id(24), "i8");
    assert_string_equal(fal_type_name_of_id(12), "q4_k");
    assert_null(fal_type_name_of_id(1000));
    assert_null(fal_type_name_of_id(UINT32_MAX));
    /* Every id up to the last one that the format has given away has a name, and only one. */
    for (uint32_t id = 0; id < 40; id++) {
        assert_non_null(fal_type_name_of_id(id));
        for (uint32_t other = 0; other < id; other++) {
            assert_string_not_equal(fal_type_name_of_id(id), fal_type_name_of_id(other));
        }
    }
}

static void row_bytes_count_blocks(void **state) {
    (void)state;
    size_t bytes = 1;
    fal_error err = {0};
    assert_int_equal(fal_type_row_bytes(fal_type_by_name("q4_0"), 4544, &bytes, &err), FAL_OK);
    assert_int_equal(bytes, 142 * 18);
    assert_int_equal(fal_type_row_bytes(fal_type_by_name("q6_k"), 18176, &bytes, &err), FAL_OK);
    assert_int_equal(bytes, 71 * 210);
    assert_int_equal(fal_type_row_bytes(fal_type_by_name("bf16"), 7, &bytes, &err), FAL_OK);
    assert_int_equal(bytes, 14);
    assert_int_equal(fal_type_row_bytes(fal_type_by_name("q4_k"), 0, &bytes, &err), FAL_OK);
    assert_int_equal(bytes, 0);
}

static void row_bytes_refuse(void **state) {
    (void)state;
    size_t bytes = 77;
    fal_error err = {0};
    const fal_type *type = fal_type_by_name("q4_k"), *f32 = fal_type_by_name("f32");
    CHECK_STATUS(fal_type_row_bytes(type, 4544, &bytes, &err), FAL_E_FORMAT, &err, "q4_k");
    CHECK_STATUS(fal_type_row_bytes(type, 4544, &bytes, &err), FAL_E_FORMAT, &err, " 4544 ");
    CHECK_STATUS(fal_type_row_bytes(type, 4544, &bytes, &err), FAL_E_FORMAT, &err, " 256");
    CHECK_STATUS(fal_type_row_bytes(type, -256, &bytes, &err), FAL_E_FORMAT, &err, "-256");
    CHECK_STATUS(fal_type_row_bytes(type, 4544, &bytes, NULL), FAL_E_FORMAT, NULL, "");
    CHECK_STATUS(fal_type_row_bytes(f32, INT64_MAX, &bytes, &err), FAL_E_LIMIT, &err, "f32");
    CHECK_STATUS(fal_type_row_bytes(f32, INT64_MAX, &bytes, &err), FAL_E_LIMIT, &err,
                 "9223372036854775807");
    assert_int_equal(bytes, 77);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_say_what_the_format_says),
        cmocka_unit_test(names_are_found_in_any_case),
        cmocka_unit_test(ids_without_row_have_names),
        cmocka_unit_test(row_bytes_count_blocks),
        cmocka_unit_test(row_bytes_refuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
