/* safetensors files: what is listed, and that every damage is refused by name. */
#include "base/alloc.h"
#include "check.h"
#include "formats/safetensors.h"

#include <stdio.h>
#include <stdlib.h>

/* A file of this header and n bytes 0, 1, 2, ... of data, in a block that ends with it. */
static void *make_file(const char *header, size_t n, size_t *length) {
    size_t header_bytes = strlen(header);
    *length = 8 + header_bytes + n;
    uint8_t *file = malloc(*length);
    for (int i = 0; i < 8; i++)
        file[i] = (uint8_t)(header_bytes >> 8 * i);
    memcpy(file + 8, header, header_bytes);
    for (size_t i = 0; i < n; i++)
        file[8 + header_bytes + i] = (uint8_t)i;
    return file;
}

static void lists_tensors_of_float_types(void **state) {
    (void)state;
    size_t length;
    void *file = make_file(
        "{\"__metadata__\":{\"format\":\"pt\"},"
        "\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
        "\"b.c\":{\"dtype\":\"BF16\",\"shape\":[1,1,2,2],\"data_offsets\":[24,32]},"
        "\"scalar\":{\"dtype\":\"F16\",\"shape\":[],\"data_offsets\":[40,42]},"
        "\"empty\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[40,40]},"
        "\"ids\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[32,40]},"
        "\"strange\":{\"dtype\":\"F4\",\"shape\":[1,1,1,1,1,1],\"data_offsets\":[42,43]}}  ",
        43, &length);
    fal_checkpoint_list list = {0};
    fal_error err;
    CHECK_OK(fal_safetensors_read(&list, file, length, "m.safetensors", &err), &err);
    assert_int_equal(list.count, 6);
    const uint8_t *data = (const uint8_t *)file + length - 43;
    const fal_checkpoint_tensor *t = &fal_checkpoint_list_find(&list, fal_slice_of("a"))->face;
    assert_string_equal(t->type->name, "f32");
    assert_int_equal(t->n_dims, 2);
    assert_int_equal(t->shape[0], 2);
    assert_int_equal(t->shape[1], 3);
    assert_int_equal(t->shape[3], 1);
    assert_int_equal(t->bytes, 24);
    assert_memory_equal(t->data, data, 24);
    assert_string_equal(t->file, "m.safetensors");
    assert_string_equal(t->name, "a");
    t = &fal_checkpoint_list_find(&list, fal_slice_of("b.c"))->face;
    assert_string_equal(t->type->name, "bf16");
    assert_int_equal(t->n_dims, 4);
    assert_memory_equal(t->data, data + 24, 8);
    t = &fal_checkpoint_list_find(&list, fal_slice_of("scalar"))->face;
    assert_string_equal(t->type->name, "f16");
    assert_int_equal(t->n_dims, 0);
    assert_int_equal(t->bytes, 2);
    assert_memory_equal(t->data, data + 40, 2);
    t = &fal_checkpoint_list_find(&list, fal_slice_of("empty"))->face;
    assert_int_equal(t->bytes, 0);
    assert_true(fal_checkpoint_list_find(&list, fal_slice_of("ids"))->is_skipped);
    assert_true(fal_checkpoint_list_find(&list, fal_slice_of("strange"))->is_skipped);
    assert_null(fal_checkpoint_list_find(&list, fal_slice_of("__metadata__")));
    fal_checkpoint_list_release(&list);
    free(file);
}

/* Whatever the header's length, data can be read through pointers of the element's type. */
static void aligns_data(void **state) {
    (void)state;
    for (int padding = 0; padding < 8; padding++) {
        char header[200];
        snprintf(header, sizeof header,
                 "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[1,9]}}%*s", padding,
                 "");
        size_t length;
        void *file = make_file(header, 9, &length);
        fal_checkpoint_list list = {0};
        fal_error err;
        CHECK_OK(fal_safetensors_read(&list, file, length, "m", &err), &err);
        const fal_checkpoint_tensor *t = &list.rows[0].face;
        assert_int_equal((uintptr_t)t->data % 4, 0);
        assert_memory_equal(t->data, (const uint8_t *)file + length - 8, 8);
        fal_checkpoint_list_release(&list);
        free(file);
    }
}

static const struct {
    const char *header;
    const char *words;
} damages[] = {
    {"[1]",                                                                                  "the header is no JSON object"               },
    {"{\"a\":",                                                                              "header"                                     },
    {"{\"a\":{},\"a\":{}}",                                                                  "duplicate"                                  },
    {"{\"a\":1}",                                                                            "tensor 'a': 'dtype' or 'shape' is missing"  },
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}",                                   "'dtype' or 'shape' is missing"              },
    {"{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,4]}}",                           "'dtype' or 'shape' is missing"              },
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}",                    "'shape' holds no size"                      },
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]}}",                   "'shape' holds no size"                      },
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,4]}}",
     "product"                                                                                                                            },
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,4]}}",
     "'shape' holds no size"                                                                                                              },
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}",                                            "no pair of whole numbers"                   },
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}",                       "no pair of whole numbers"                   },
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,\"4\"]}}",
     "no pair of whole numbers"                                                                                                           },
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}",
     "are -4 to 0, the data has 16 bytes"                                                                                                 },
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}",                     "are 4 to 0"                                 },
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[16,20]}}",
     "are 16 to 20, the data has 16 bytes"                                                                                                },
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}}",
     "tensor 'a': 1 numbers of type F32 in 8 bytes"                                                                                       },
    {"{\"a\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,4]}}",
     "1 numbers of type I64 in 4 bytes"                                                                                                   },
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}",
     "in 0 bytes"                                                                                                                         },
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"b\":{\"dtype\":\"I16\",\"shape\":[2],\"data_offsets\":[2,6]}}",                 "the data of tensor 'b' overlaps that of 'a'"},
    {"{\"a\\nb\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",                 "no text of one line"                        },
    {"{\"\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",                      "name of 0 bytes"                            },
};

static void refuses_damage_by_name(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        size_t length;
        void *file = make_file(damages[i].header, 16, &length);
        fal_checkpoint_list list = {0};
        fal_error err;
        CHECK_STATUS(fal_safetensors_read(&list, file, length, "m", &err), FAL_E_FORMAT, &err,
                     damages[i].words);
        fal_checkpoint_list_release(&list);
        free(file);
    }
}

static void refuses_what_it_does_not_support(void **state) {
    (void)state;
    size_t length;
    void *file = make_file(
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, &length);
    fal_checkpoint_list list = {0};
    fal_error err;
    CHECK_STATUS(fal_safetensors_read(&list, file, length, "m", &err), FAL_E_UNSUPPORTED, &err,
                 "5 dimensions, at most 4");
    fal_checkpoint_list_release(&list);
    free(file);
}

static void refuses_header_lengths(void **state) {
    (void)state;
    fal_checkpoint_list list = {0};
    fal_error err;
    uint8_t *file = calloc(1, 100000016);
    CHECK_STATUS(fal_safetensors_read(&list, file, 7, "m", &err), FAL_E_FORMAT, &err,
                 "8 bytes wanted");
    file[0] = 9;
    CHECK_STATUS(fal_safetensors_read(&list, file, 16, "m", &err), FAL_E_FORMAT, &err,
                 "a header of 9 bytes in a file of 16");
    memset(file, 0xff, 8);
    CHECK_STATUS(fal_safetensors_read(&list, file, 16, "m", &err), FAL_E_FORMAT, &err,
                 "18446744073709551615");
    memcpy(file, "\x01\xe1\xf5\x05\0\0\0\0", 8);
    CHECK_STATUS(fal_safetensors_read(&list, file, 100000016, "m", &err), FAL_E_LIMIT, &err,
                 "100000001 bytes, at most 100000000");
    free(file);
}

static void refuses_a_name_of_another_file(void **state) {
    (void)state;
    size_t length;
    void *file =
        make_file("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, &length);
    fal_checkpoint_list list = {0};
    fal_error err;
    CHECK_OK(fal_safetensors_read(&list, file, length, "first", &err), &err);
    CHECK_STATUS(fal_safetensors_read(&list, file, length, "second", &err), FAL_E_FORMAT, &err,
                 "tensor 'a' is there already, in first");
    fal_checkpoint_list_release(&list);
    free(file);
}

static void survives_any_cut(void **state) {
    (void)state;
    size_t length;
    void *file =
        make_file("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, &length);
    for (size_t cut = 0; cut < length; cut++) {
        void *prefix = malloc(cut ? cut : 1);
        memcpy(prefix, file, cut);
        fal_checkpoint_list list = {0};
        assert_int_equal(fal_safetensors_read(&list, prefix, cut, "m", NULL), FAL_E_FORMAT);
        fal_checkpoint_list_release(&list);
        free(prefix);
    }
    free(file);
}

static void survives_any_failing_allocation(void **state) {
    (void)state;
    size_t length;
    void *file =
        make_file("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[1,5]}}", 5, &length);
    long live = fal_alloc_live();
    fal_status status = FAL_E_MEMORY;
    int n = 0;
    while (status == FAL_E_MEMORY) {
        fal_checkpoint_list list = {0};
        fal_alloc_fail_at(++n);
        status = fal_safetensors_read(&list, file, length, "m", NULL);
        fal_alloc_fail_at(0);
        fal_checkpoint_list_release(&list);
        assert_int_equal(fal_alloc_live(), live);
    }
    assert_int_equal(status, FAL_OK);
    assert_true(n > 4);
    free(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_tensors_of_float_types),
        cmocka_unit_test(aligns_data),
        cmocka_unit_test(refuses_damage_by_name),
        cmocka_unit_test(refuses_what_it_does_not_support),
        cmocka_unit_test(refuses_header_lengths),
        cmocka_unit_test(refuses_a_name_of_another_file),
        cmocka_unit_test(survives_any_cut),
        cmocka_unit_test(survives_any_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
