/* Folders that appear whole or not at all. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/folder_output.h"
#include "unit/formats/temp_folder.h"

static temp_folder temp;

static int make_folder(void **state) {
    (void)state;
    temp = temp_folder_make();
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    temp_remove(&temp);
    return 0;
}

static bool is_data(const char *name) {
    return strcmp(name, "data") == 0;
}

/* Opens an output at "folder" and writes one file into it. */
static fal_folder_output *begin(fal_may_replace *may_replace, const char *text) {
    fal_folder_output *o;
    fal_error err = {0};
    CHECK_OK(fal_folder_output_open(&o, temp_path(&temp, "folder/"), may_replace, &err), &err);
    char *path = fal_path_join(fal_folder_output_path(o), "data");
    CHECK_OK(fal_file_write(path, text, strlen(text), &err), &err);
    fal_free(path);
    return o;
}

static void check_data(const char *expected) {
    char *text;
    size_t length;
    fal_error err = {0};
    CHECK_OK(fal_file_read(&text, &length, temp_path(&temp, "folder/data"), 100, &err), &err);
    assert_string_equal(text, expected);
    fal_free(text);
}

static void test_whole_or_not_there(void **state) {
    (void)state;
    fal_error err = {0};
    fal_folder_output *o = begin(NULL, "first");
    assert_false(fal_file_exists(temp_path(&temp, "folder")));
    fal_folder_output_discard(o);
    assert_int_equal(temp_count(&temp), 0);
    fal_folder_output_discard(NULL);
    o = begin(NULL, "first");
    CHECK_OK(fal_folder_output_commit(o, &err), &err);
    check_data("first");
    assert_int_equal(temp_count(&temp), 1);
}

static void test_replacing(void **state) {
    (void)state;
    fal_error err = {0};
    fal_folder_output *o;
    CHECK_STATUS(fal_folder_output_open(&o, temp_path(&temp, "folder"), NULL, &err), FAL_E_ARGUMENT,
                 &err, "is there already");
    assert_null(o);
    o = begin(is_data, "second");
    check_data("first");
    CHECK_OK(fal_folder_output_commit(o, &err), &err);
    check_data("second");
    assert_int_equal(temp_count(&temp), 1);
    /* Hidden files count, too. */
    CHECK_OK(fal_file_write(temp_path(&temp, "folder/.hidden"), "", 0, &err), &err);
    CHECK_STATUS(fal_folder_output_open(&o, temp_path(&temp, "folder"), is_data, &err),
                 FAL_E_ARGUMENT, &err, "'.hidden', which would be lost");
    fal_file_remove(temp_path(&temp, "folder/.hidden"));
    CHECK_OK(fal_folder_remove(temp_path(&temp, "folder"), &err), &err);
}

static void test_refusals(void **state) {
    (void)state;
    fal_error err = {0};
    fal_folder_output *o;
    CHECK_STATUS(fal_folder_output_open(&o, "", NULL, &err), FAL_E_ARGUMENT, &err, "needs a name");
    temp_write(&temp, "file", "x", 1);
    CHECK_STATUS(fal_folder_output_open(&o, temp_path(&temp, "file"), is_data, &err),
                 FAL_E_ARGUMENT, &err, "no folder");
    CHECK_STATUS(fal_folder_output_open(&o, temp_path(&temp, "absent/folder"), NULL, &err),
                 FAL_E_NOT_FOUND, &err, "absent");
    CHECK_STATUS(fal_folder_output_open(&o, temp_path(&temp, "file/folder"), NULL, &err), FAL_E_IO,
                 &err, "cannot make folder");
    fal_file_remove(temp_path(&temp, "file"));
}

/* Two outputs for one name do not meet; the second finds the name taken. */
static void test_two_at_once(void **state) {
    (void)state;
    fal_error err = {0};
    fal_folder_output *one = begin(NULL, "one"), *two = begin(NULL, "two");
    assert_string_not_equal(fal_folder_output_path(one), fal_folder_output_path(two));
    CHECK_OK(fal_folder_output_commit(one, &err), &err);
    CHECK_STATUS(fal_folder_output_commit(two, &err), FAL_E_ARGUMENT, &err, "is there already");
    check_data("one");
    assert_int_equal(temp_count(&temp), 1);
    CHECK_OK(fal_folder_remove(temp_path(&temp, "folder"), &err), &err);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_or_not_there),
        cmocka_unit_test(test_replacing),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_two_at_once),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
