/* base/file.h: mapping and reading of odd files, atomic outputs under every failure that can be provoked. */
#include "base/alloc.h"
#include "base/file.h"
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/falconer-test-file-XXXXXX";
static char path[128], other[128];

static int make_folder(void **state) {
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/a file", folder);
    snprintf(other, sizeof other, "%s/other", folder);
    return 0;
}

static int count_entries(void) {
    DIR *directory = opendir(folder);
    int n = 0;
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        n += entry->d_name[0] != '.';
    if (directory) closedir(directory);
    return n;
}

static int empty_folder(void **state) {
    (void)state;
    unlink(path);
    unlink(other);
    rmdir(other);
    return count_entries(); /* a leftover partial file fails the test it belongs to */
}

static int remove_folder(void **state) {
    (void)state;
    return rmdir(folder);
}

static void put(const char *where, const char *text, size_t length) {
    FILE *file = fopen(where, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static void expect_content(const char *where, const char *expected) {
    char *text;
    size_t length;
    fal_error err = {0};
    CHECK_OK(fal_file_read(&text, &length, where, 1 << 20, &err), &err);
    assert_int_equal(length, strlen(expected));
    assert_string_equal(text, expected);
    fal_free(text);
}

static void a_file_is_mapped_whole(void **state) {
    (void)state;
    put(path, "abc\0def", 7);
    fal_mapping mapping;
    fal_error err = {0};
    CHECK_OK(fal_mapping_open(&mapping, path, &err), &err);
    assert_int_equal(mapping.length, 7);
    assert_memory_equal(mapping.data, "abc\0def", 7);
    assert_int_equal((uintptr_t)mapping.data % (uintptr_t)sysconf(_SC_PAGESIZE), 0);
    fal_mapping_will_need(&mapping, 0, 7);
    fal_mapping_will_need(&mapping, 3, SIZE_MAX);
    fal_mapping_will_need(&mapping, SIZE_MAX, 1);
    fal_mapping_release(&mapping);
    assert_null(mapping.data);
    fal_mapping_release(&mapping);
}

static void odd_files_are_refused_by_name(void **state) {
    (void)state;
    fal_mapping mapping;
    fal_error err = {0};
    put(path, "", 0);
    CHECK_OK(fal_mapping_open(&mapping, path, &err), &err);
    assert_null(mapping.data);
    assert_int_equal(mapping.length, 0);
    fal_mapping_will_need(&mapping, 0, 1);
    fal_mapping_release(&mapping);
    CHECK_STATUS(fal_mapping_open(&mapping, other, &err), FAL_E_NOT_FOUND, &err, other);
    CHECK_STATUS(fal_mapping_open(&mapping, folder, &err), FAL_E_ARGUMENT, &err, folder);
    CHECK_STATUS(fal_mapping_open(&mapping, "/dev/null", &err), FAL_E_ARGUMENT, &err, "/dev/null");
    CHECK_STATUS(fal_mapping_open(&mapping, "", &err), FAL_E_NOT_FOUND, &err, "''");
    assert_int_equal(mkfifo(other, 0600), 0);
    alarm(20); /* a pipe that nobody writes must not be waited for */
    CHECK_STATUS(fal_mapping_open(&mapping, other, &err), FAL_E_ARGUMENT, &err, other);
    alarm(0);
    if (geteuid() != 0) {
        assert_int_equal(chmod(path, 0), 0);
        CHECK_STATUS(fal_mapping_open(&mapping, path, &err), FAL_E_IO, &err, path);
    }
}

static void reading_whole_files(void **state) {
    (void)state;
    char *text;
    size_t length;
    fal_error err = {0};
    put(path, "", 0);
    expect_content(path, "");
    put(path, "12345", 5);
    expect_content(path, "12345");
    CHECK_OK(fal_file_read(&text, &length, path, 5, &err), &err);
    fal_free(text);
    CHECK_STATUS(fal_file_read(&text, &length, path, 4, &err), FAL_E_LIMIT, &err,
                 "more than 4 bytes");
    assert_null(text);
    CHECK_STATUS(fal_file_read(&text, &length, other, 4, &err), FAL_E_NOT_FOUND, &err, other);
    CHECK_STATUS(fal_file_read(&text, &length, folder, 4, &err), FAL_E_IO, &err, folder);
    CHECK_STATUS(fal_file_read(&text, &length, "/dev/zero", 1 << 20, &err), FAL_E_LIMIT, &err,
                 "/dev/zero");
    long before = fal_alloc_live();
    fal_alloc_fail_at(1);
    CHECK_STATUS(fal_file_read(&text, &length, path, 5, &err), FAL_E_MEMORY, &err, "memory");
    fal_alloc_fail_at(0);
    assert_int_equal(fal_alloc_live(), before);
}

static void *feed_slowly(void *argument) {
    int file = open(argument, O_WRONLY);
    for (int i = 0; i < 100; i++) {
        char block[1500];
        memset(block, 'a' + i % 26, sizeof block);
        if (write(file, block, sizeof block) != sizeof block) break;
    }
    close(file);
    return NULL;
}

static void a_pipe_is_read_to_its_end(void **state) {
    (void)state;
    assert_int_equal(mkfifo(other, 0600), 0);
    pthread_t feeder;
    assert_int_equal(pthread_create(&feeder, NULL, feed_slowly, other), 0);
    char *text;
    size_t length;
    fal_error err = {0};
    CHECK_OK(fal_file_read(&text, &length, other, 1 << 20, &err), &err);
    pthread_join(feeder, NULL);
    assert_int_equal(length, 150000);
    for (size_t i = 0; i < length; i++)
        assert_int_equal(text[i], 'a' + (int)(i / 1500) % 26);
    assert_int_equal(text[length], 0);
    fal_free(text);
}

static void what_exists(void **state) {
    (void)state;
    put(path, "x", 1);
    assert_true(fal_file_exists(path));
    assert_true(fal_file_exists(folder));
    assert_false(fal_file_exists(other));
    assert_true(fal_file_is_directory(folder));
    assert_false(fal_file_is_directory(path));
    assert_false(fal_file_is_directory(other));
}

static void nothing_appears_before_commit(void **state) {
    (void)state;
    fal_output *o;
    fal_error err = {0};
    put(path, "former", 6);
    CHECK_OK(fal_output_open(&o, path, &err), &err);
    CHECK_OK(fal_output_write(o, "lat", 3, &err), &err);
    CHECK_OK(fal_output_write(o, "", 0, &err), &err);
    CHECK_OK(fal_output_write(o, "ter!", 4, &err), &err);
    assert_int_equal(fal_output_position(o), 7);
    expect_content(path, "former");
    assert_int_equal(count_entries(), 2);
    CHECK_OK(fal_output_commit(o, &err), &err);
    expect_content(path, "latter!");
    assert_int_equal(count_entries(), 1);
}

static void discarding_leaves_the_former_file(void **state) {
    (void)state;
    fal_output *o;
    fal_error err = {0};
    put(path, "former", 6);
    CHECK_OK(fal_output_open(&o, path, &err), &err);
    CHECK_OK(fal_output_write(o, "half", 4, &err), &err);
    fal_output_discard(o);
    fal_output_discard(NULL);
    expect_content(path, "former");
    assert_int_equal(count_entries(), 1);
}

/* In a child: the former file must survive a process that dies in the middle. Its partial file stays, by name. */
static void a_killed_writer_leaves_the_former_file(void **state) {
    (void)state;
    put(path, "former", 6);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fal_output *o;
        if (fal_output_open(&o, path, NULL) == FAL_OK
            && fal_output_write(o, "half", 4, NULL) == FAL_OK)
            raise(SIGKILL);
        _exit(1);
    }
    int how;
    waitpid(child, &how, 0);
    assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
    expect_content(path, "former");
    char partial[200];
    snprintf(partial, sizeof partial, "%s.partial-%ld-0", path, (long)child);
    assert_int_equal(unlink(partial), 0);
}

/* A file-size limit stands in for a full disk: writing fails in the middle, with words, and nothing is left. */
static void a_full_disk_leaves_the_former_file(void **state) {
    (void)state;
    put(path, "former", 6);
    struct rlimit before, tight;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight = (struct rlimit){100000, before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    fal_output *o;
    fal_error err = {0};
    CHECK_OK(fal_output_open(&o, path, &err), &err);
    static const char block[30000];
    fal_status status = FAL_OK;
    int n = 0;
    while (n < 10 && (status = fal_output_write(o, block, sizeof block, &err)) == FAL_OK)
        n++;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    CHECK_STATUS(status, FAL_E_IO, &err, "cannot write");
    assert_int_equal(n, 3);
    fal_output_discard(o);
    expect_content(path, "former");
    assert_int_equal(count_entries(), 1);
}

static void a_private_file_is_its_owners(void **state) {
    (void)state;
    fal_error err = {0};
    mode_t mask = umask(0);
    CHECK_OK(fal_file_make_private(path, &err), &err);
    umask(mask);
    struct stat facts;
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0600);
    /* What is there stays as it is. */
    put(path, "former", 6);
    assert_int_equal(chmod(path, 0644), 0);
    CHECK_OK(fal_file_make_private(path, &err), &err);
    expect_content(path, "former");
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0644);
    char missing[160];
    snprintf(missing, sizeof missing, "%s/no/file", folder);
    CHECK_STATUS(fal_file_make_private(missing, &err), FAL_E_NOT_FOUND, &err, missing);
}

static void outputs_that_cannot_be(void **state) {
    (void)state;
    fal_output *o;
    fal_error err = {0};
    char missing[160];
    snprintf(missing, sizeof missing, "%s/no/such/folder", folder);
    CHECK_STATUS(fal_output_open(&o, missing, &err), FAL_E_NOT_FOUND, &err, missing);
    assert_null(o);
    /* A directory comes to stand where the file should go: the rename fails, and the partial file is removed. */
    CHECK_OK(fal_output_open(&o, other, &err), &err);
    assert_int_equal(mkdir(other, 0700), 0);
    CHECK_OK(fal_output_write(o, "x", 1, &err), &err);
    CHECK_STATUS(fal_output_commit(o, &err), FAL_E_IO, &err, other);
    /* Nothing but a regular file is ever replaced. */
    CHECK_STATUS(fal_output_open(&o, other, &err), FAL_E_ARGUMENT, &err, "is a folder, not a file");
    CHECK_STATUS(fal_output_open(&o, "/dev/null", &err), FAL_E_ARGUMENT, &err, "/dev/null");
    assert_int_equal(count_entries(), 1);
    long before = fal_alloc_live();
    for (int n = 1; n <= 3; n++) {
        fal_alloc_fail_at(n);
        CHECK_STATUS(fal_output_open(&o, path, &err), FAL_E_MEMORY, &err, "memory");
    }
    fal_alloc_fail_at(0);
    assert_int_equal(fal_alloc_live(), before);
}

/* What a link points at is written, the link stays. */
static void outputs_follow_links(void **state) {
    (void)state;
    fal_output *o;
    fal_error err = {0};
    CHECK_OK(fal_output_open(&o, path, &err), &err);
    CHECK_OK(fal_output_commit(o, &err), &err);
    assert_int_equal(symlink(path, other), 0);
    CHECK_OK(fal_output_open(&o, other, &err), &err);
    CHECK_OK(fal_output_write(o, "xyz", 3, &err), &err);
    CHECK_OK(fal_output_commit(o, &err), &err);
    struct stat facts;
    assert_int_equal(lstat(other, &facts), 0);
    assert_true(S_ISLNK(facts.st_mode));
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_size, 3);
    assert_int_equal(unlink(other), 0);
    assert_int_equal(unlink(path), 0);
}

static void paths(void **state) {
    (void)state;

    static const struct {
        const char *directory, *name, *expected;
    } joins[] = {
        {"a",   "b",   "a/b"    },
        {"a/",  "b",   "a/b"    },
        {"/",   "b",   "/b"     },
        {"a/b", "c/d", "a/b/c/d"}
    };

    for (int i = 0; i < 4; i++) {
        char *joined = fal_path_join(joins[i].directory, joins[i].name);
        assert_string_equal(joined, joins[i].expected);
        fal_free(joined);
    }
    assert_string_equal(fal_path_base("a/b/c"), "c");
    assert_string_equal(fal_path_base("c"), "c");
    assert_string_equal(fal_path_base("a/"), "");
    fal_alloc_fail_at(1);
    assert_null(fal_path_join("a", "b"));
    fal_alloc_fail_at(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_file_is_mapped_whole, empty_folder),
        cmocka_unit_test_teardown(odd_files_are_refused_by_name, empty_folder),
        cmocka_unit_test_teardown(reading_whole_files, empty_folder),
        cmocka_unit_test_teardown(a_pipe_is_read_to_its_end, empty_folder),
        cmocka_unit_test_teardown(what_exists, empty_folder),
        cmocka_unit_test_teardown(nothing_appears_before_commit, empty_folder),
        cmocka_unit_test_teardown(discarding_leaves_the_former_file, empty_folder),
        cmocka_unit_test_teardown(a_killed_writer_leaves_the_former_file, empty_folder),
        cmocka_unit_test_teardown(a_full_disk_leaves_the_former_file, empty_folder),
        cmocka_unit_test_teardown(a_private_file_is_its_owners, empty_folder),
        cmocka_unit_test_teardown(outputs_that_cannot_be, empty_folder),
        cmocka_unit_test_teardown(outputs_follow_links, empty_folder),
        cmocka_unit_test(paths),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
