/* Reading of valid GGUF files: every version, value type and tensor type, and what the getters answer. */
#include <falconer/gguf.h>

#include "gguf_bytes.h"
#include "quant/type.h"

#include <math.h>

static void reads_every_version(void **state) {
    (void)state;
    for (int version = 1; version <= 3; version++) {
        gguf_bytes g = {0};
        fal_error err;
        fal_gguf *f;
        put_small_file(&g, version);
        CHECK_OK(open_all(&f, &g, &err), &err);
        assert_int_equal(fal_gguf_version(f), version);
        assert_int_equal(fal_gguf_file_bytes(f), g.b.length);
        assert_int_equal(fal_gguf_alignment(f), 32);
        assert_int_equal(fal_gguf_value_count(f), 5);
        assert_string_equal(fal_gguf_value_at(f, 1)->key, "a.count");
        uint32_t count = 0;
        CHECK_OK(fal_gguf_get_u32(f, "a.count", &count, &err), &err);
        assert_int_equal(count, 7);
        fal_gguf_string text;
        CHECK_OK(fal_gguf_get_string(f, "general.architecture", &text, &err), &err);
        assert_int_equal(text.length, 6);
        assert_memory_equal(text.data, "falcon", 6);
        bool flag = false;
        assert_true(fal_gguf_find_bool(f, "a.flag", &flag));
        assert_true(flag);
        const fal_gguf_value *words = fal_gguf_find(f, "a.words");
        assert_int_equal(words->count, 2);
        assert_true(fal_gguf_value_string(f, words, 0, &text));
        assert_memory_equal(text.data, "one", 3);
        assert_true(fal_gguf_value_string(f, words, 1, &text));
        assert_int_equal(text.length, 0);
        assert_false(fal_gguf_value_string(f, words, 2, &text));
        int64_t number = 0;
        assert_true(fal_gguf_value_i64(f, fal_gguf_find(f, "a.numbers"), 0, &number));
        assert_int_equal(number, -1);
        fal_gguf_close(f);
        release_bytes(&g);
    }
}

static void shows_the_directory_outermost_first(void **state) {
    (void)state;
    gguf_bytes g = {0};
    fal_error err;
    fal_gguf *f;
    put_small_file(&g, 3);
    CHECK_OK(open_all(&f, &g, &err), &err);
    assert_int_equal(fal_gguf_tensor_count(f), 2);
    const fal_gguf_tensor *t = fal_gguf_tensor_find(f, "first.weight");
    assert_ptr_equal(t, fal_gguf_tensor_at(f, 0));
    assert_int_equal(t->n_dims, 2);
    assert_int_equal(t->shape[0], 2);
    assert_int_equal(t->shape[1], 3);
    assert_int_equal(t->shape[2], 1);
    assert_int_equal(t->shape[3], 1);
    assert_int_equal(t->bytes, 24);
    assert_string_equal(t->type_name, "f32");
    assert_ptr_equal(t->data, (const char *)g.copy + t->offset);
    assert_int_equal(((const uint8_t *)t->data)[23], 23);
    t = fal_gguf_tensor_find(f, "second.weight");
    assert_int_equal(t->bytes, 34);
    assert_int_equal(t->type_id, 8);
    assert_int_equal(t->offset, g.b.length - 34);
    assert_null(fal_gguf_tensor_find(f, "third.weight"));
    fal_gguf_close(f);
    release_bytes(&g);
}

static void reads_files_without_tensors_or_values(void **state) {
    (void)state;
    gguf_bytes g = {0};
    fal_error err;
    fal_gguf *f;
    put_header(&g, 3, 0, 0);
    CHECK_OK(open_all(&f, &g, &err), &err);
    assert_int_equal(fal_gguf_tensor_count(f), 0);
    assert_int_equal(fal_gguf_value_count(f), 0);
    assert_null(fal_gguf_find(f, "general.architecture"));
    assert_null(fal_gguf_tensor_find(f, "x"));
    fal_gguf_close(f);
    release_bytes(&g);

    put_header(&g, 2, 0, 1);
    put_array(&g, "tokenizer.ggml.tokens", FAL_GGUF_STRING, 1);
    put_text(&g, "a");
    CHECK_OK(open_all(&f, &g, &err), &err);
    assert_int_equal(fal_gguf_find(f, "tokenizer.ggml.tokens")->count, 1);
    fal_gguf_close(f);
    release_bytes(&g);
}

typedef struct number_case {
    fal_gguf_value_type type;
    int n_bytes;
    uint64_t bits;
    bool is_i64, is_f64, is_u32, is_f32;
    int64_t i64;
    double f64;
} number_case;

static const number_case numbers[] = {
    {FAL_GGUF_U8,   1, 0xff,               true,  true,  true,  true,  255,         255             },
    {FAL_GGUF_I8,   1, 0xff,               true,  true,  false, true,  -1,          -1              },
    {FAL_GGUF_U16,  2, 0xfffe,             true,  true,  true,  true,  65534,       65534           },
    {FAL_GGUF_I16,  2, 0x8000,             true,  true,  false, true,  -32768,      -32768          },
    {FAL_GGUF_U32,  4, 0xffffffff,         true,  true,  true,  true,  4294967295,  4294967295.0    },
    {FAL_GGUF_I32,  4, 0x80000000,         true,  true,  false, true,  -2147483648, -2147483648.0   },
    {FAL_GGUF_U64,  8, 0x100000000,        true,  true,  false, true,  4294967296,  4294967296.0    },
    {FAL_GGUF_U64,  8, 0x7fffffffffffffff, true,  false, false, false, INT64_MAX,   0               },
    {FAL_GGUF_U64,  8, 0x8000000000000000, false, false, false, false, 0,           0               },
    {FAL_GGUF_I64,  8, 0x8000000000000000, true,  false, false, false, INT64_MIN,   0               },
    {FAL_GGUF_I64,  8, 12,                 true,  true,  true,  true,  12,          12              },
    {FAL_GGUF_F32,  4, 0x3fc00000,         false, true,  false, true,  0,           1.5             },
    {FAL_GGUF_F64,  8, 0x3ff8000000000000, false, true,  false, true,  0,           1.5             },
    {FAL_GGUF_F64,  8, 0x7fe0000000000000, false, true,  false, false, 0,           0x1p1023        },
    {FAL_GGUF_F64,  8, 0x7ff0000000000000, false, true,  false, true,  0,           (double)INFINITY},
    {FAL_GGUF_BOOL, 1, 1,                  true,  false, false, false, 1,           0               },
};

static void converts_numbers_where_they_fit(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const number_case *c = &numbers[i];
        gguf_bytes g = {0};
        fal_error err;
        fal_gguf *f;
        put_header(&g, 3, 0, 1);
        put_key(&g, "x", c->type);
        put(&g, c->bits, c->n_bytes);
        CHECK_OK(open_all(&f, &g, &err), &err);
        const fal_gguf_value *v = fal_gguf_find(f, "x");
        assert_int_equal(v->type, c->type);
        assert_int_equal(v->element_type, c->type);
        assert_int_equal(v->count, 1);
        int64_t i64 = 99;
        assert_int_equal(fal_gguf_value_i64(f, v, 0, &i64), c->is_i64);
        assert_true(i64 == (c->is_i64 ? c->i64 : 99));
        double f64 = 99;
        assert_int_equal(fal_gguf_value_f64(f, v, 0, &f64), c->is_f64);
        assert_true(f64 == (c->is_f64 ? c->f64 : 99));
        uint32_t u32 = 99;
        assert_int_equal(fal_gguf_find_u32(f, "x", &u32), c->is_u32);
        assert_int_equal(u32, c->is_u32 ? c->i64 : 99);
        float f32 = 99;
        assert_int_equal(fal_gguf_find_f32(f, "x", &f32), c->is_f32);
        assert_true(f32 == (c->is_f32 ? (float)c->f64 : 99.0f));
        bool flag = false;
        assert_int_equal(fal_gguf_find_bool(f, "x", &flag), c->type == FAL_GGUF_BOOL);
        fal_gguf_string text = {NULL, 99};
        assert_false(fal_gguf_find_string(f, "x", &text));
        assert_int_equal(text.length, 99);
        assert_false(fal_gguf_value_i64(f, v, 1, &i64));
        assert_false(fal_gguf_value_f64(f, v, 1, &f64));
        fal_gguf_close(f);
        release_bytes(&g);
    }
}

static void getters_name_file_and_key(void **state) {
    (void)state;
    gguf_bytes g = {0};
    fal_error err;
    fal_gguf *f;
    put_small_file(&g, 3);
    CHECK_OK(open_all(&f, &g, &err), &err);
    uint32_t u32 = 5;
    float f32 = 5;
    fal_gguf_string text = {NULL, 5};
    CHECK_STATUS(fal_gguf_get_u32(f, "b.count", &u32, &err), FAL_E_FORMAT, &err,
                 "memory: key 'b.count' is missing");
    CHECK_STATUS(fal_gguf_get_u32(f, "general.architecture", &u32, &err), FAL_E_FORMAT, &err,
                 "key 'general.architecture' is not a whole number");
    CHECK_STATUS(fal_gguf_get_u32(f, "a.numbers", &u32, &err), FAL_E_FORMAT, &err,
                 "'a.numbers' is not");
    CHECK_STATUS(fal_gguf_get_f32(f, "a.flag", &f32, &err), FAL_E_FORMAT, &err,
                 "'a.flag' is not a number");
    CHECK_STATUS(fal_gguf_get_f32(f, "b.count", &f32, &err), FAL_E_FORMAT, &err, "missing");
    CHECK_STATUS(fal_gguf_get_string(f, "a.words", &text, &err), FAL_E_FORMAT, &err,
                 "'a.words' is not a string");
    CHECK_STATUS(fal_gguf_get_string(f, "a.count", &text, NULL), FAL_E_FORMAT, NULL, "");
    assert_int_equal(u32, 5);
    assert_true(f32 == 5);
    assert_int_equal(text.length, 5);
    CHECK_OK(fal_gguf_get_f32(f, "a.count", &f32, &err), &err);
    assert_true(f32 == 7);
    fal_gguf_close(f);
    release_bytes(&g);
}

static void strings_hold_any_bytes(void **state) {
    (void)state;
    static const char bytes[] = "\0\xff\n\x80";
    gguf_bytes g = {0};
    fal_error err;
    fal_gguf *f;
    put_header(&g, 3, 0, 1);
    put_key(&g, "x", FAL_GGUF_STRING);
    put_bytes(&g, bytes, 4);
    CHECK_OK(open_all(&f, &g, &err), &err);
    fal_gguf_string text;
    assert_true(fal_gguf_find_string(f, "x", &text));
    assert_int_equal(text.length, 4);
    assert_memory_equal(text.data, bytes, 4);
    fal_gguf_close(f);
    release_bytes(&g);
}

static void reads_large_arrays(void **state) {
    (void)state;

    enum {
        N = 150000
    };

    gguf_bytes g = {0};
    fal_error err;
    fal_gguf *f;
    put_header(&g, 3, 0, 2);
    put_array(&g, "numbers", FAL_GGUF_U32, N);
    for (uint32_t i = 0; i < N; i++)
        put(&g, i * 7, 4);
    put_array(&g, "words", FAL_GGUF_STRING, N);
    for (uint32_t i = 0; i < N; i++)
        put_bytes(&g, "abcdefgh", i % 9);
    CHECK_OK(open_all(&f, &g, &err), &err);
    const fal_gguf_value *v = fal_gguf_find(f, "numbers"), *words = fal_gguf_find(f, "words");
    for (uint32_t i = 0; i < N; i++) {
        int64_t number;
        fal_gguf_string text;
        assert_true(fal_gguf_value_i64(f, v, i, &number));
        assert_true(fal_gguf_value_string(f, words, i, &text));
        assert_int_equal(number, i * 7);
        assert_int_equal(text.length, i % 9);
    }
    fal_gguf_close(f);
    release_bytes(&g);
}

static void knows_the_size_of_every_type(void **state) {
    (void)state;
    for (int i = 0; i < fal_type_count(); i++) {
        const fal_type *type = fal_type_at(i);
        gguf_bytes g = {0};
        fal_error err;
        fal_gguf *f;
        uint64_t row = (uint64_t)type->weights_per_block * 3;
        size_t bytes = (size_t)type->bytes_per_block * 3 * 2 * 5;
        put_header(&g, 3, 1, 0);
        put_tensor(&g, "x", 3, (const uint64_t[]){row, 2, 5}, type->gguf_id, 0);
        put_padding(&g, 32);
        put_data(&g, bytes);
        CHECK_OK(open_all(&f, &g, &err), &err);
        const fal_gguf_tensor *t = fal_gguf_tensor_at(f, 0);
        assert_int_equal(t->bytes, bytes);
        assert_string_equal(t->type_name, type->name);
        assert_int_equal(t->shape[0], 5);
        assert_int_equal(t->shape[2], row);
        fal_gguf_close(f);
        CHECK_STATUS(open_prefix(&f, &g, g.b.length - 1, &err), FAL_E_FORMAT, &err, "tensor 'x'");
        release_bytes(&g);
        if (type->weights_per_block == 1) continue;
        put_header(&g, 3, 1, 0);
        put_tensor(&g, "x", 1, (const uint64_t[]){row + 1}, type->gguf_id, 0);
        put_padding(&g, 32);
        put_data(&g, bytes);
        CHECK_STATUS(open_all(&f, &g, &err), FAL_E_FORMAT, &err, "tensor 'x'");
        release_bytes(&g);
    }
}

static void lists_tensors_of_unknown_types(void **state) {
    (void)state;
    gguf_bytes g = {0};
    fal_error err;
    fal_gguf *f;
    put_header(&g, 3, 3, 0);
    put_tensor(&g, "nobody's", 1, (const uint64_t[]){77}, 4000000000u, 0);
    put_tensor(&g, "known", 1, (const uint64_t[]){256}, 16, 32);
    put_tensor(&g, "plain", 1, (const uint64_t[]){1}, 0, 96);
    put_padding(&g, 32);
    put_data(&g, 100);
    CHECK_OK(open_all(&f, &g, &err), &err);
    const fal_gguf_tensor *t = fal_gguf_tensor_at(f, 0);
    assert_string_equal(t->type_name, "type 4000000000");
    assert_null(t->data);
    assert_int_equal(t->bytes, 0);
    t = fal_gguf_tensor_at(f, 1);
    assert_string_equal(t->type_name, "iq2_xxs");
    assert_null(t->data);
    assert_non_null(fal_gguf_tensor_at(f, 2)->data);
    fal_gguf_close(f);
    release_bytes(&g);
}

/* Offsets may leave gaps and need not ascend. */
static void accepts_any_order_of_data(void **state) {
    (void)state;
    gguf_bytes g = {0};
    fal_error err;
    fal_gguf *f;
    put_header(&g, 3, 3, 1);
    put_key(&g, "general.alignment", FAL_GGUF_U32);
    put(&g, 8, 4);
    put_tensor(&g, "last", 1, (const uint64_t[]){4}, 0, 48);
    put_tensor(&g, "first", 1, (const uint64_t[]){4}, 0, 0);
    put_tensor(&g, "second", 1, (const uint64_t[]){2}, 0, 16);
    put_padding(&g, 8);
    put_data(&g, 64);
    CHECK_OK(open_all(&f, &g, &err), &err);
    assert_int_equal(fal_gguf_alignment(f), 8);
    assert_int_equal(*(const uint8_t *)fal_gguf_tensor_find(f, "last")->data, 48);
    assert_int_equal(*(const uint8_t *)fal_gguf_tensor_find(f, "first")->data, 0);
    assert_int_equal(*(const uint8_t *)fal_gguf_tensor_find(f, "second")->data, 16);
    fal_gguf_close(f);
    release_bytes(&g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_version),
        cmocka_unit_test(shows_the_directory_outermost_first),
        cmocka_unit_test(reads_files_without_tensors_or_values),
        cmocka_unit_test(converts_numbers_where_they_fit),
        cmocka_unit_test(getters_name_file_and_key),
        cmocka_unit_test(strings_hold_any_bytes),
        cmocka_unit_test(reads_large_arrays),
        cmocka_unit_test(knows_the_size_of_every_type),
        cmocka_unit_test(lists_tensors_of_unknown_types),
        cmocka_unit_test(accepts_any_order_of_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
