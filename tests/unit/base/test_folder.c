/* Folders: made with those above them, listed in order, refused where a file has the name. */
#include "base/file.h"
#include "base/folder.h"
#include "unit/formats/temp_folder.h"

static void makes_those_above(void **state) {
    (void)state;
    temp_folder folder = temp_folder_make();
    fal_error err = {0};
    CHECK_OK(fal_folder_make(temp_path(&folder, "a/b/c"), &err), &err);
    CHECK_OK(fal_folder_make(temp_path(&folder, "a/b/c/"), &err), &err);
    assert_true(fal_file_is_directory(temp_path(&folder, "a/b/c")));
    temp_write(&folder, "file", "x", 1);
    CHECK_STATUS(fal_folder_make(temp_path(&folder, "file"), &err), FAL_E_ARGUMENT, &err,
                 "not a folder");
    CHECK_STATUS(fal_folder_make(temp_path(&folder, "file/under"), &err), FAL_E_ARGUMENT, &err,
                 "file");
    CHECK_STATUS(fal_folder_make("", &err), FAL_E_ARGUMENT, &err, "name");
    assert_int_equal(rmdir(temp_path(&folder, "a/b/c")), 0);
    assert_int_equal(rmdir(temp_path(&folder, "a/b")), 0);
    temp_remove(&folder);
}

static void lists_in_order(void **state) {
    (void)state;
    temp_folder folder = temp_folder_make();
    fal_error err = {0};
    fal_names names = {0};
    static const char *const files[] = {"b.gguf", "a.gguf", ".c.gguf", "gguf", "d.txt"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        temp_write(&folder, files[i], "", 0);
    CHECK_OK(fal_folder_list(&names, folder.path, ".gguf", &err), &err);
    assert_int_equal(names.count, 2);
    assert_string_equal(names.items[0], "a.gguf");
    assert_string_equal(names.items[1], "b.gguf");
    fal_names_release(&names);
    CHECK_OK(fal_folder_list(&names, folder.path, "", &err), &err);
    assert_int_equal(names.count, 4);
    fal_names_release(&names);
    CHECK_STATUS(fal_folder_list(&names, temp_path(&folder, "absent"), "", &err), FAL_E_NOT_FOUND,
                 &err, "absent");
    fal_names_release(&names);
    assert_int_equal(unlink(temp_path(&folder, ".c.gguf")), 0);
    temp_remove(&folder);
}

static void is_renamed_and_removed_whole(void **state) {
    (void)state;
    temp_folder folder = temp_folder_make();
    fal_error err = {0};
    CHECK_OK(fal_folder_make(temp_path(&folder, "a.partial"), &err), &err);
    temp_write(&folder, "a.partial/x", "x", 1);
    temp_write(&folder, "a.partial/.hidden", "x", 1);
    CHECK_OK(fal_folder_rename(temp_path(&folder, "a.partial"), temp_path(&folder, "a"), &err),
             &err);
    assert_false(fal_file_exists(temp_path(&folder, "a.partial")));
    assert_true(fal_file_exists(temp_path(&folder, "a/x")));
    CHECK_STATUS(fal_folder_rename(temp_path(&folder, "absent"), temp_path(&folder, "b"), &err),
                 FAL_E_NOT_FOUND, &err, "absent");
    CHECK_OK(fal_folder_make(temp_path(&folder, "b"), &err), &err);
    temp_write(&folder, "b/x", "x", 1);
    CHECK_STATUS(fal_folder_rename(temp_path(&folder, "a"), temp_path(&folder, "b"), &err),
                 FAL_E_IO, &err, "cannot rename");
    CHECK_OK(fal_folder_remove(temp_path(&folder, "b"), &err), &err);
    CHECK_OK(fal_folder_remove(temp_path(&folder, "b"), &err), &err);
    CHECK_OK(fal_folder_make(temp_path(&folder, "a/inner"), &err), &err);
    CHECK_STATUS(fal_folder_remove(temp_path(&folder, "a"), &err), FAL_E_IO, &err, "remove");
    assert_true(fal_file_exists(temp_path(&folder, "a/inner")));
    CHECK_OK(fal_folder_remove(temp_path(&folder, "a/inner"), &err), &err);
    CHECK_OK(fal_folder_remove(temp_path(&folder, "a"), &err), &err);
    temp_remove(&folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(makes_those_above),
                                       cmocka_unit_test(lists_in_order),
                                       cmocka_unit_test(is_renamed_and_removed_whole)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
