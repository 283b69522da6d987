/* Writing of GGUF files: exact bytes, round trips through the reader, and what is refused. */
#include "base/alloc.h"
#include "base/file.h"
#include "formats/gguf_write.h"
#include "gguf_bytes.h"
#include "temp_folder.h"

static fal_gguf_writer *open_writer(void) {
    fal_gguf_writer *w;
    fal_error err;
    CHECK_OK(fal_gguf_writer_open(&w, &err), &err);
    return w;
}

static const fal_type *type_of(uint32_t id) {
    return fal_type_by_id(id);
}

/* The writer's bytes equal those of a file that was put together by hand. */
static void writes_exact_bytes(void **state) {
    (void)state;
    temp_folder folder = temp_folder_make();
    gguf_bytes g = {0};
    put_header(&g, 3, 2, 10);
    put_key(&g, "u32", FAL_GGUF_U32);
    put(&g, 0xfedcba98, 4);
    put_key(&g, "i32", FAL_GGUF_I32);
    put(&g, 0xffffffff, 4);
    put_key(&g, "u64", FAL_GGUF_U64);
    put(&g, 0x8000000000000001, 8);
    put_key(&g, "f32", FAL_GGUF_F32);
    put(&g, 0x3fc00000, 4);
    put_key(&g, "no", FAL_GGUF_BOOL);
    put(&g, 0, 1);
    put_key(&g, "yes", FAL_GGUF_BOOL);
    put(&g, 1, 1);
    put_key(&g, "text", FAL_GGUF_STRING);
    put_bytes(&g, "a\0b", 3);
    put_array(&g, "texts", FAL_GGUF_STRING, 2);
    put_text(&g, "x");
    put_text(&g, "");
    put_array(&g, "i32s", FAL_GGUF_I32, 2);
    put(&g, 0xfffffffe, 4);
    put(&g, 3, 4);
    put_array(&g, "f32s", FAL_GGUF_F32, 1);
    put(&g, 0x80000000, 4);
    put_tensor(&g, "a", 2, (const uint64_t[]){3, 2}, 0, 0);
    put_tensor(&g, "b", 1, (const uint64_t[]){32}, 8, 32);
    put_padding(&g, 32);
    put_data(&g, 24);
    put_padding(&g, 32);
    put_data(&g, 34);
    put_padding(&g, 32);

    fal_gguf_writer *w = open_writer();
    fal_error err;
    fal_gguf_set_u32(w, "u32", 0xfedcba98);
    fal_gguf_set_i32(w, "i32", -1);
    fal_gguf_set_u64(w, "u64", 0x8000000000000001);
    fal_gguf_set_f32(w, "f32", 1.5f);
    fal_gguf_set_bool(w, "no", false);
    fal_gguf_set_bool(w, "yes", true);
    fal_gguf_set_string(w, "text", "a\0b", 3);
    fal_gguf_set_strings(w, "texts",
                         (const fal_slice[]){
                             {"x", 1},
                             {"",  0}
    },
                         2);
    fal_gguf_set_i32s(w, "i32s", (const int32_t[]){-2, 3}, 2);
    fal_gguf_set_f32s(w, "f32s", (const float[]){-0.0f}, 1);
    CHECK_OK(fal_gguf_add_tensor(w, "a", type_of(0), 2, (const int64_t[]){2, 3}, &err), &err);
    CHECK_OK(fal_gguf_add_tensor(w, "b", type_of(8), 1, (const int64_t[]){32}, &err), &err);
    uint64_t bytes;
    CHECK_OK(fal_gguf_writer_file_bytes(w, &bytes, &err), &err);
    assert_int_equal(bytes, g.b.length);
    CHECK_OK(fal_gguf_writer_begin(w, temp_path(&folder, "m.gguf"), &err), &err);
    uint8_t data[34];
    for (int i = 0; i < 34; i++)
        data[i] = (uint8_t)i;
    CHECK_OK(fal_gguf_write_data(w, data, 10, &err), &err);
    CHECK_OK(fal_gguf_write_data(w, data + 10, 14, &err), &err);
    CHECK_OK(fal_gguf_write_data(w, data, 0, &err), &err);
    CHECK_OK(fal_gguf_write_data(w, data, 34, &err), &err);
    CHECK_OK(fal_gguf_writer_commit(w, &err), &err);
    fal_gguf_writer_close(w);

    char *text;
    size_t length;
    CHECK_OK(fal_file_read(&text, &length, temp_path(&folder, "m.gguf"), 1 << 20, &err), &err);
    assert_int_equal(length, g.b.length);
    assert_memory_equal(text, g.b.text, length);
    fal_free(text);
    release_bytes(&g);
    temp_remove(&folder);
}

/* Every kind of value, scalar and array, copied from one file into another, bit for bit. */
static void copies_values_of_every_kind(void **state) {
    (void)state;
    temp_folder folder = temp_folder_make();
    gguf_bytes g = {0};
    put_header(&g, 3, 0, 24);
    for (uint32_t type = 0; type <= FAL_GGUF_F64; type++) {
        if (type == FAL_GGUF_ARRAY) continue;
        char key[16];
        snprintf(key, sizeof key, "scalar.%u", type);
        put_key(&g, key, (fal_gguf_value_type)type);
        static const int n_bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
        uint64_t bits =
            type == FAL_GGUF_BOOL ? 1 : 0xfff1020304050607u; /* a NaN where it is an f64 */
        if (type == FAL_GGUF_STRING) {
            put_text(&g, "words");
        } else {
            put(&g, bits, n_bytes[type]);
        }
        snprintf(key, sizeof key, "array.%u", type);
        put_array(&g, key, (fal_gguf_value_type)type, 3);
        for (int i = 0; i < 3; i++) {
            if (type == FAL_GGUF_STRING) {
                put_bytes(&g, "abc", (size_t)i);
            } else {
                put(&g, type == FAL_GGUF_BOOL ? (uint64_t)i % 2 : bits + (uint64_t)i,
                    n_bytes[type]);
            }
        }
    }
    fal_error err;
    fal_gguf *from;
    CHECK_OK(open_all(&from, &g, &err), &err);
    fal_gguf_writer *w = open_writer();
    for (int i = 0; i < fal_gguf_value_count(from); i++)
        fal_gguf_set_value(w, from, fal_gguf_value_at(from, i));
    CHECK_OK(fal_gguf_writer_begin(w, temp_path(&folder, "copy.gguf"), &err), &err);
    CHECK_OK(fal_gguf_writer_commit(w, &err), &err);
    fal_gguf_writer_close(w);
    fal_gguf_close(from);
    char *text;
    size_t length;
    CHECK_OK(fal_file_read(&text, &length, temp_path(&folder, "copy.gguf"), 1 << 20, &err), &err);
    assert_int_equal(length, g.b.length);
    assert_memory_equal(text, g.b.text, length);
    fal_free(text);
    release_bytes(&g);
    temp_remove(&folder);
}

/* One tensor of each type, read back with the same shape, place and bytes. */
static void round_trips_every_type(void **state) {
    (void)state;
    temp_folder folder = temp_folder_make();
    fal_gguf_writer *w = open_writer();
    fal_error err;
    fal_gguf_set_string(w, "general.architecture", "falcon", 6);
    for (int i = 0; i < fal_type_count(); i++) {
        const fal_type *type = fal_type_at(i);
        int64_t shape[] = {2, 1, 3, type->weights_per_block};
        CHECK_OK(fal_gguf_add_tensor(w, type->name, type, 4, shape, &err), &err);
    }
    uint64_t bytes;
    CHECK_OK(fal_gguf_writer_file_bytes(w, &bytes, &err), &err);
    CHECK_OK(fal_gguf_writer_begin(w, temp_path(&folder, "m.gguf"), &err), &err);
    for (int i = 0; i < fal_type_count(); i++) {
        for (int k = 0; k < 6 * fal_type_at(i)->bytes_per_block; k++) {
            uint8_t byte = (uint8_t)(i * 31 + k);
            CHECK_OK(fal_gguf_write_data(w, &byte, 1, &err), &err);
        }
    }
    CHECK_OK(fal_gguf_writer_commit(w, &err), &err);
    fal_gguf_writer_close(w);
    fal_gguf *f;
    CHECK_OK(fal_gguf_open(&f, temp_path(&folder, "m.gguf"), &err), &err);
    assert_int_equal(fal_gguf_file_bytes(f), bytes);
    assert_int_equal(fal_gguf_tensor_count(f), fal_type_count());
    for (int i = 0; i < fal_type_count(); i++) {
        const fal_gguf_tensor *t = fal_gguf_tensor_find(f, fal_type_at(i)->name);
        assert_ptr_equal(t, fal_gguf_tensor_at(f, i));
        assert_int_equal(t->type_id, fal_type_at(i)->gguf_id);
        assert_int_equal(t->n_dims, 4);
        assert_int_equal(t->shape[0], 2);
        assert_int_equal(t->shape[2], 3);
        assert_int_equal(t->bytes, 6 * fal_type_at(i)->bytes_per_block);
        for (uint64_t k = 0; k < t->bytes; k++)
            assert_int_equal(((const uint8_t *)t->data)[k], (uint8_t)((uint64_t)i * 31 + k));
    }
    fal_gguf_close(f);
    temp_remove(&folder);
}

static void uses_the_alignment_it_announces(void **state) {
    (void)state;
    temp_folder folder = temp_folder_make();
    fal_gguf_writer *w = open_writer();
    fal_error err;
    fal_gguf_set_u32(w, "general.alignment", 256);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(fal_gguf_add_tensor(w, i ? "b" : "a", type_of(1), 1, (const int64_t[]){3}, &err),
                 &err);
    }
    CHECK_OK(fal_gguf_writer_begin(w, temp_path(&folder, "m.gguf"), &err), &err);
    CHECK_OK(fal_gguf_write_data(w, "abcdef", 6, &err), &err);
    CHECK_OK(fal_gguf_write_data(w, "ghijkl", 6, &err), &err);
    CHECK_OK(fal_gguf_writer_commit(w, &err), &err);
    fal_gguf_writer_close(w);
    fal_gguf *f;
    CHECK_OK(fal_gguf_open(&f, temp_path(&folder, "m.gguf"), &err), &err);
    assert_int_equal(fal_gguf_tensor_at(f, 1)->offset % 256, 0);
    assert_int_equal(fal_gguf_tensor_at(f, 1)->offset - fal_gguf_tensor_at(f, 0)->offset, 256);
    assert_memory_equal(fal_gguf_tensor_at(f, 1)->data, "ghijkl", 6);
    fal_gguf_close(f);
    temp_remove(&folder);
}

static void remembers_a_failing_set_until_begin(void **state) {
    (void)state;
    static const char long_key[65537];
    static const char *const words[] = {"key 'x': the name is there already",
                                        "key '': a name of 0 bytes", "control character",
                                        "'general.alignment': 3"};
    for (int i = 0; i < 4; i++) {
        fal_gguf_writer *w = open_writer();
        fal_error err;
        fal_gguf_set_u32(w, "x", 1);
        if (i == 0) fal_gguf_set_f32(w, "x", 1);
        if (i == 1) fal_gguf_set_bool(w, long_key, true);
        if (i == 2) fal_gguf_set_string(w, "a\tb", "", 0);
        if (i == 3) fal_gguf_set_u32(w, "general.alignment", 3);
        fal_gguf_set_u32(w, "later", 1);
        CHECK_STATUS(fal_gguf_writer_begin(w, "/nowhere/m.gguf", &err), FAL_E_FORMAT, &err,
                     words[i]);
        fal_gguf_writer_close(w);
    }
}

static void refuses_bad_tensors(void **state) {
    (void)state;
    fal_gguf_writer *w = open_writer();
    fal_error err;
    const int64_t good[] = {2, 32}, zero[] = {2, 0}, uneven[] = {2, 33}, huge[] = {INT64_MAX, 2};
    const char *long_name = "a234567890123456789012345678901234567890123456789012345678901234";
    CHECK_OK(fal_gguf_add_tensor(w, "x", type_of(8), 2, good, &err), &err);
    CHECK_STATUS(fal_gguf_add_tensor(w, "x", type_of(8), 2, good, &err), FAL_E_FORMAT, &err,
                 "tensor 'x': the name is there already");
    CHECK_STATUS(fal_gguf_add_tensor(w, "y", type_of(8), 2, zero, &err), FAL_E_FORMAT, &err,
                 "dimension 1 is 0");
    CHECK_STATUS(fal_gguf_add_tensor(w, "y", type_of(8), 2, uneven, &err), FAL_E_FORMAT, &err,
                 "tensor 'y'");
    CHECK_STATUS(fal_gguf_add_tensor(w, "y", type_of(0), 2, huge, &err), FAL_E_FORMAT, &err,
                 "product of the dimensions");
    CHECK_STATUS(fal_gguf_add_tensor(w, "y", type_of(0), 0, good, &err), FAL_E_FORMAT, &err,
                 "0 dimensions");
    CHECK_STATUS(fal_gguf_add_tensor(w, "y", type_of(0), 5, good, &err), FAL_E_FORMAT, &err,
                 "5 dimensions");
    CHECK_STATUS(fal_gguf_add_tensor(w, long_name, type_of(0), 2, good, &err), FAL_E_FORMAT, &err,
                 "64 bytes, 1 to 63");
    const int64_t large[] = {INT64_MAX / 8};
    CHECK_OK(fal_gguf_add_tensor(w, "y", type_of(0), 1, large, &err), &err);
    CHECK_OK(fal_gguf_add_tensor(w, "z", type_of(0), 1, large, &err), &err);
    uint64_t bytes;
    CHECK_STATUS(fal_gguf_writer_file_bytes(w, &bytes, &err), FAL_E_LIMIT, &err,
                 "the file exceeds");
    CHECK_STATUS(fal_gguf_writer_begin(w, "/nowhere/m.gguf", &err), FAL_E_LIMIT, &err,
                 "the file exceeds");
    fal_gguf_writer_close(w);
}

/* Calls in the wrong order are reported, and path stays as it was. */
static void refuses_wrong_order_and_leaves_no_file(void **state) {
    (void)state;
    temp_folder folder = temp_folder_make();
    fal_gguf_writer *w = open_writer();
    fal_error err;
    temp_write(&folder, "m.gguf", "before", 6);
    CHECK_OK(fal_gguf_add_tensor(w, "a", type_of(0), 1, (const int64_t[]){2}, &err), &err);
    CHECK_STATUS(fal_gguf_write_data(w, "1234", 4, &err), FAL_E_BUG, &err, "before the header");
    CHECK_STATUS(fal_gguf_writer_commit(w, &err), FAL_E_BUG, &err, "nothing was begun");
    CHECK_STATUS(fal_gguf_writer_begin(w, temp_path(&folder, "nowhere/m.gguf"), &err),
                 FAL_E_NOT_FOUND, &err, "nowhere");
    CHECK_OK(fal_gguf_writer_begin(w, temp_path(&folder, "m.gguf"), &err), &err);
    CHECK_STATUS(fal_gguf_writer_begin(w, temp_path(&folder, "m.gguf"), &err), FAL_E_BUG, &err,
                 "written already");
    CHECK_STATUS(fal_gguf_add_tensor(w, "b", type_of(0), 1, (const int64_t[]){2}, &err), FAL_E_BUG,
                 &err, "tensor 'b'");
    CHECK_STATUS(fal_gguf_write_data(w, "123456789", 9, &err), FAL_E_BUG, &err,
                 "tensor 'a': 9 bytes of data where 8 of 8");
    CHECK_OK(fal_gguf_write_data(w, "1234", 4, &err), &err);
    CHECK_STATUS(fal_gguf_writer_commit(w, &err), FAL_E_BUG, &err, "tensor 'a': 4 of 8 bytes");
    CHECK_OK(fal_gguf_write_data(w, "5678", 4, &err), &err);
    CHECK_STATUS(fal_gguf_write_data(w, "9", 1, &err), FAL_E_BUG, &err, "behind the last tensor");
    fal_gguf_set_u32(w, "late", 1);
    CHECK_STATUS(fal_gguf_writer_commit(w, &err), FAL_E_BUG, &err, "key 'late'");
    fal_gguf_writer_close(w);
    assert_int_equal(temp_count(&folder), 1);
    char *text;
    size_t length;
    CHECK_OK(fal_file_read(&text, &length, temp_path(&folder, "m.gguf"), 100, &err), &err);
    assert_string_equal(text, "before");
    fal_free(text);
    fal_gguf_writer_close(NULL);
    temp_remove(&folder);
}

static fal_status write_all(const char *path) {
    fal_gguf_writer *w = NULL;
    fal_status status = FAL_OK;
    FAL_TRY_OUT(fal_gguf_writer_open(&w, NULL));
    fal_gguf_set_strings(w, "words",
                         (const fal_slice[]){
                             {"a", 1},
                             {"b", 1}
    },
                         2);
    FAL_TRY_OUT(fal_gguf_add_tensor(w, "a", type_of(0), 1, (const int64_t[]){1}, NULL));
    FAL_TRY_OUT(fal_gguf_writer_begin(w, path, NULL));
    FAL_TRY_OUT(fal_gguf_write_data(w, "1234", 4, NULL));
    FAL_TRY_OUT(fal_gguf_writer_commit(w, NULL));
out:
    fal_gguf_writer_close(w);
    return status;
}

static void survives_any_failing_allocation(void **state) {
    (void)state;
    temp_folder folder = temp_folder_make();
    long live = fal_alloc_live();
    fal_status status = FAL_E_MEMORY;
    for (int n = 1; status == FAL_E_MEMORY; n++) {
        fal_alloc_fail_at(n);
        status = write_all(temp_path(&folder, "m.gguf"));
        fal_alloc_fail_at(0);
        assert_int_equal(fal_alloc_live(), live);
        assert_int_equal(temp_count(&folder), status == FAL_OK);
    }
    assert_int_equal(status, FAL_OK);
    temp_remove(&folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_exact_bytes),
        cmocka_unit_test(copies_values_of_every_kind),
        cmocka_unit_test(round_trips_every_type),
        cmocka_unit_test(uses_the_alignment_it_announces),
        cmocka_unit_test(remembers_a_failing_set_until_begin),
        cmocka_unit_test(refuses_bad_tensors),
        cmocka_unit_test(refuses_wrong_order_and_leaves_no_file),
        cmocka_unit_test(survives_any_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
