/* Folders that one process works in, and what killed processes left in them. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/folder_lock.h"
#include "unit/formats/temp_folder.h"

#include <sys/wait.h>
#include <unistd.h>

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

static void one_lock_at_a_time(void **state) {
    (void)state;
    fal_folder_lock *first, *second;
    fal_error err = {0};
    const char *folder = temp_path(&temp, ".");
    CHECK_OK(fal_folder_lock_open(&first, folder, &err), &err);
    CHECK_STATUS(fal_folder_lock_open(&second, folder, &err), FAL_E_BUSY, &err,
                 "is in use by another process");
    assert_null(second);
    fal_folder_lock_close(first);
    CHECK_OK(fal_folder_lock_open(&first, folder, &err), &err);
    fal_folder_lock_close(first);
    fal_folder_lock_close(NULL);
    CHECK_STATUS(fal_folder_lock_open(&first, temp_path(&temp, "none"), &err), FAL_E_NOT_FOUND,
                 &err, "none");
}

static void a_lock_goes_with_its_process(void **state) {
    (void)state;
    fal_folder_lock *lock;
    fal_error err = {0};
    const char *folder = temp_path(&temp, ".");
    pid_t child = fork();
    if (child == 0) {
        bool is_locked = fal_folder_lock_open(&lock, folder, &err) == FAL_OK;
        _exit(is_locked ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_OK(fal_folder_lock_open(&lock, folder, &err), &err);
    fal_folder_lock_close(lock);
}

static void only_what_was_left_of_a_name_is_removed(void **state) {
    (void)state;
    static const char *const files[] = {"hf.partial-12-0",  "hf.partial-12",    "hf.partial-x-0",
                                        "ahf.partial-12-0", "hf.partial-12-0x", "hf"};
    fal_error err = {0};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        CHECK_OK(fal_file_write(temp_path(&temp, files[i]), "x", 1, &err), &err);
    CHECK_OK(fal_folder_make(temp_path(&temp, "hf.partial-7-1"), &err), &err);
    CHECK_OK(fal_file_write(temp_path(&temp, "hf.partial-7-1/part"), "x", 1, &err), &err);
    CHECK_OK(fal_folder_remove_partial(temp_path(&temp, "."), "hf", &err), &err);
    assert_false(fal_file_exists(temp_path(&temp, files[0])));
    assert_false(fal_file_exists(temp_path(&temp, "hf.partial-7-1")));
    for (size_t i = 1; i < sizeof files / sizeof files[0]; i++)
        assert_true(fal_file_exists(temp_path(&temp, files[i])));
    CHECK_STATUS(fal_folder_remove_partial(temp_path(&temp, "none"), "hf", &err), FAL_E_NOT_FOUND,
                 &err, "none");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_lock_at_a_time, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_lock_goes_with_its_process, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(only_what_was_left_of_a_name_is_removed, make_folder,
                                        remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
