/* What the writer of safetensors files writes, read back; the bytes of one file; what is refused. */
#include "base/alloc.h"
#include "base/file.h"
#include "formats/safetensors.h"
#include "formats/safetensors_write.h"
#include "temp_folder.h"

static const fal_type *type_of(const char *name) {
    return fal_type_by_name(name);
}

static fal_safetensors_writer *open_writer(void) {
    fal_safetensors_writer *w = NULL;
    fal_error err;
    CHECK_OK(fal_safetensors_writer_open(&w, &err), &err);
    return w;
}

static void the_bytes_are_those_of_the_format(void **state) {
    (void)state;
    temp_folder folder = temp_folder_make();
    const char *path = temp_path(&folder, "m.safetensors");
    fal_safetensors_writer *w = open_writer();
    fal_error err;
    const float numbers[2] = {1, -2};
    CHECK_OK(fal_safetensors_set_text(w, "format", "pt", &err), &err);
    CHECK_OK(fal_safetensors_add(w, "a", type_of("f32"), 2, (const int64_t[]){1, 2}, &err), &err);
    CHECK_OK(fal_safetensors_begin(w, path, &err), &err);
    CHECK_OK(fal_safetensors_write(w, numbers, sizeof numbers, &err), &err);
    CHECK_OK(fal_safetensors_commit(w, &err), &err);
    fal_safetensors_writer_close(w);

    static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\"},"
        "\"a\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]}}";
    char *file = NULL;
    size_t length = 0;
    CHECK_OK(fal_file_read(&file, &length, path, 1000, &err), &err);
    assert_int_equal(length, 128 + 8);
    assert_int_equal((uint8_t)file[0], 120);
    for (int i = 1; i < 8; i++)
        assert_int_equal(file[i], 0);
    assert_memory_equal(file + 8, header, sizeof header - 1);
    for (size_t i = 8 + sizeof header - 1; i < 128; i++)
        assert_int_equal(file[i], ' ');
    assert_memory_equal(file + 128, numbers, sizeof numbers);
    fal_free(file);
    temp_remove(&folder);
}

static void what_is_written_is_read(void **state) {
    (void)state;
    temp_folder folder = temp_folder_make();
    const char *path = temp_path(&folder, "m.safetensors");
    uint8_t data[6 * 4 + 3 * 2 + 2];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(7 * i);
    fal_safetensors_writer *w = open_writer();
    fal_error err;
    CHECK_OK(fal_safetensors_add(w, "m", type_of("f32"), 2, (const int64_t[]){2, 3}, &err), &err);
    CHECK_OK(fal_safetensors_add(w, "empty", type_of("f32"), 1, (const int64_t[]){0}, &err), &err);
    CHECK_OK(fal_safetensors_add(w, "v \"quoted\"", type_of("bf16"), 1, (const int64_t[]){3}, &err),
             &err);
    CHECK_OK(fal_safetensors_add(w, "scalar", type_of("f16"), 0, NULL, &err), &err);
    assert_int_equal(fal_safetensors_data_bytes(w), sizeof data);
    CHECK_OK(fal_safetensors_begin(w, path, &err), &err);
    CHECK_OK(fal_safetensors_write(w, data, 5, &err), &err);
    CHECK_OK(fal_safetensors_write(w, data + 5, sizeof data - 5, &err), &err);
    CHECK_OK(fal_safetensors_commit(w, &err), &err);
    fal_safetensors_writer_close(w);

    fal_mapping mapping;
    fal_checkpoint_list list = {0};
    CHECK_OK(fal_mapping_open(&mapping, path, &err), &err);
    CHECK_OK(fal_safetensors_read(&list, mapping.data, mapping.length, "m", &err), &err);
    assert_int_equal(list.count, 4);
    const fal_checkpoint_tensor *t = &fal_checkpoint_list_find(&list, fal_slice_of("m"))->face;
    assert_memory_equal(t->data, data, 24);
    assert_int_equal(t->shape[0], 2);
    assert_int_equal(t->shape[1], 3);
    t = &fal_checkpoint_list_find(&list, fal_slice_of("v \"quoted\""))->face;
    assert_string_equal(t->type->name, "bf16");
    assert_memory_equal(t->data, data + 24, 6);
    t = &fal_checkpoint_list_find(&list, fal_slice_of("scalar"))->face;
    assert_int_equal(t->n_dims, 0);
    assert_memory_equal(t->data, data + 30, 2);
    fal_checkpoint_list_release(&list);
    fal_mapping_release(&mapping);
    temp_remove(&folder);
}

static void what_cannot_be_written_is_refused_by_name(void **state) {
    (void)state;
    fal_safetensors_writer *w = open_writer();
    fal_error err;
    const int64_t shape[4] = {2, 3, 1, 1}, huge[2] = {INT64_MAX / 2, 3}, negative[1] = {-1};
    CHECK_OK(fal_safetensors_add(w, "a", type_of("f32"), 2, shape, &err), &err);
    assert_int_equal(fal_safetensors_add(w, "a", type_of("f32"), 2, shape, &err), FAL_E_FORMAT);
    assert_string_equal(err.message, "tensor 'a': the name is there already");
    assert_int_equal(fal_safetensors_add(w, "__metadata__", type_of("f32"), 2, shape, &err),
                     FAL_E_FORMAT);
    assert_int_equal(fal_safetensors_add(w, "b", type_of("q8_0"), 2, shape, &err),
                     FAL_E_UNSUPPORTED);
    assert_string_equal(err.message, "tensor 'b': type q8_0: f32, f16 and bf16 are possible");
    assert_int_equal(fal_safetensors_add(w, "b", type_of("f32"), 2, huge, &err), FAL_E_FORMAT);
    assert_int_equal(fal_safetensors_add(w, "b", type_of("f32"), 1, negative, &err), FAL_E_FORMAT);
    assert_int_equal(fal_safetensors_add(w, "b\n", type_of("f32"), 2, shape, &err), FAL_E_FORMAT);
    assert_int_equal(fal_safetensors_add(w, "b", type_of("f32"), 1, huge, &err), FAL_E_LIMIT);
    assert_int_equal(fal_safetensors_set_text(w, "k", "\xff", &err), FAL_E_FORMAT);
    CHECK_OK(fal_safetensors_set_text(w, "k", "1", &err), &err);
    assert_int_equal(fal_safetensors_set_text(w, "k", "2", &err), FAL_E_FORMAT);
    fal_safetensors_writer_close(w);
}

static void a_file_is_whole_or_absent(void **state) {
    (void)state;
    temp_folder folder = temp_folder_make();
    const char *path = temp_path(&folder, "m.safetensors");
    const float numbers[3] = {1, 2, 3};
    fal_safetensors_writer *w = open_writer();
    fal_error err;
    CHECK_OK(fal_safetensors_add(w, "a", type_of("f32"), 1, (const int64_t[]){2}, &err), &err);
    CHECK_OK(fal_safetensors_begin(w, path, &err), &err);
    assert_int_equal(fal_safetensors_write(w, numbers, sizeof numbers, &err), FAL_E_BUG);
    CHECK_OK(fal_safetensors_write(w, numbers, 4, &err), &err);
    assert_int_equal(fal_safetensors_commit(w, &err), FAL_E_BUG);
    assert_string_equal(err.message, "4 of 8 bytes of data are written");
    fal_safetensors_writer_close(w);
    assert_int_equal(temp_count(&folder), 0);
    temp_remove(&folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bytes_are_those_of_the_format),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(what_cannot_be_written_is_refused_by_name),
        cmocka_unit_test(a_file_is_whole_or_absent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
