/* Edits of metadata: what the file holds afterwards, where the data goes, and what is left by an edit that dies at any of
 * its system calls. The calls are replaced in this program, so that they can stop it. */
#define _GNU_SOURCE /* RLIMIT_FSIZE, syscall, copy_file_range */
#include "formats/gguf_edit.h"
#include "formats/gguf_write.h"
#include "unit/formats/gguf_bytes.h"
#include "unit/formats/temp_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* ---- system calls that stop the program ---- */

static int steps_left = -1; /* -1: for ever */
static bool refuses_copies;

enum {
    DIED = 77
};

/* Dies at the last step; of a write, half is done. */
static bool is_last_step(void) {
    return steps_left >= 0 && steps_left-- == 0;
}

ssize_t write(int file, const void *data, size_t length) {
    if (is_last_step()) {
        (void)syscall(SYS_write, file, data, length / 2);
        _exit(DIED);
    }
    return syscall(SYS_write, file, data, length);
}

ssize_t pwrite(int file, const void *data, size_t length, off_t at) {
    if (is_last_step()) {
        (void)syscall(SYS_pwrite64, file, data, length / 2, at);
        _exit(DIED);
    }
    return syscall(SYS_pwrite64, file, data, length, at);
}

/* Nothing here outlives the machine, so that waiting for the disk would only take time. */
int fsync(int file) {
    (void)file;
    if (is_last_step()) _exit(DIED);
    return 0;
}

int rename(const char *from, const char *to) {
    if (is_last_step()) _exit(DIED);
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlink(const char *path) {
    if (is_last_step()) _exit(DIED);
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

ssize_t copy_file_range(int from, off_t *at, int to, off_t *to_at, size_t length, unsigned flags) {
    if (refuses_copies) {
        errno = EXDEV;
        return -1;
    }
    if (is_last_step()) _exit(DIED);
    return syscall(SYS_copy_file_range, from, at, to, to_at, length, flags);
}

/* ---- files ---- */

enum {
    N_ROWS = 300,
    N_COLS = 64
};

static temp_folder folder;
static fal_error error;

static int make_folder(void **state) {
    (void)state;
    folder = temp_folder_make();
    refuses_copies = false;
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    temp_remove(&folder);
    return 0;
}

/* A key of each kind that matters and two tensors whose weights count up. */
static const char *write_file(const char *name, uint32_t alignment, const char *text) {
    static float weights[N_ROWS * N_COLS];
    for (size_t i = 0; i < N_ROWS * N_COLS; i++)
        weights[i] = (float)i;
    static const fal_slice words[] = {
        {"one", 3},
        {"",    0},
        {"two", 3}
    };
    fal_gguf_writer *w;
    const char *path = temp_path(&folder, name);
    CHECK_OK(fal_gguf_writer_open(&w, &error), &error);
    fal_gguf_set_string(w, "general.architecture", "falcon", 6);
    if (alignment) fal_gguf_set_u32(w, "general.alignment", alignment);
    fal_gguf_set_string(w, "a.text", text, strlen(text));
    fal_gguf_set_strings(w, "a.words", words, 3);
    fal_gguf_set_u32(w, "a.number", 7);
    const fal_type *f32 = fal_type_by_id(FAL_TYPE_F32);
    CHECK_OK(fal_gguf_add_tensor(w, "first", f32, 1, (const int64_t[]){5}, &error), &error);
    CHECK_OK(fal_gguf_add_tensor(w, "second", f32, 2, (const int64_t[]){N_ROWS, N_COLS}, &error),
             &error);
    CHECK_OK(fal_gguf_writer_begin(w, path, &error), &error);
    CHECK_OK(fal_gguf_write_data(w, weights, 5 * sizeof *weights, &error), &error);
    CHECK_OK(fal_gguf_write_data(w, weights, sizeof weights, &error), &error);
    CHECK_OK(fal_gguf_writer_commit(w, &error), &error);
    fal_gguf_writer_close(w);
    return path;
}

/* Everything but a.text and a.number is as write_file made it. */
static void check_file(const char *path, const char *text, uint32_t number) {
    fal_gguf *f;
    uint32_t found;
    fal_gguf_string string;
    CHECK_OK(fal_gguf_open(&f, path, &error), &error);
    assert_true(fal_gguf_find_string(f, "a.text", &string));
    assert_int_equal(string.length, strlen(text));
    assert_memory_equal(string.data, text, string.length);
    assert_true(fal_gguf_find_u32(f, "a.number", &found));
    assert_int_equal(found, number);
    const fal_gguf_value *words = fal_gguf_find(f, "a.words");
    assert_non_null(words);
    assert_int_equal(words->count, 3);
    assert_true(fal_gguf_value_string(f, words, 2, &string));
    assert_memory_equal(string.data, "two", 3);
    assert_int_equal(fal_gguf_tensor_count(f), 2);
    for (int i = 0; i < 2; i++) {
        const fal_gguf_tensor *t = fal_gguf_tensor_at(f, i);
        assert_int_equal(t->bytes, i == 0 ? 20 : N_ROWS * N_COLS * 4);
        for (size_t k = 0; k < t->bytes / 4; k++) {
            float weight;
            memcpy(&weight, (const char *)t->data + 4 * k, 4);
            CHECK_NEAR(weight, k, 0);
        }
    }
    fal_gguf_close(f);
}

/* Sets a.text (NULL: leaves it) and a.number. */
static fal_status edit(const char *path, const char *text, uint32_t number,
                       const char *const *removed, const fal_gguf_edit_options *options,
                       fal_gguf_edited *edited) {
    fal_gguf_writer *changes;
    CHECK_OK(fal_gguf_writer_open(&changes, &error), &error);
    if (text) fal_gguf_set_string(changes, "a.text", text, strlen(text));
    fal_gguf_set_u32(changes, "a.number", number);
    fal_status status = fal_gguf_edit(path, changes, removed, options, edited, &error);
    fal_gguf_writer_close(changes);
    return status;
}

static uint64_t data_start(const char *path) {
    fal_gguf *f;
    CHECK_OK(fal_gguf_open(&f, path, &error), &error);
    uint64_t start = fal_gguf_tensor_at(f, 0)->offset;
    fal_gguf_close(f);
    return start;
}

/* ---- what an edit does ---- */

static void test_in_place(void **state) {
    (void)state;
    fal_gguf_edited edited;
    const char *path = write_file("a.gguf", 0, "twenty bytes of text");
    uint64_t start = data_start(path);
    CHECK_OK(edit(path, "none", 8, NULL, NULL, &edited), &error);
    assert_true(edited.was_in_place);
    check_file(path, "none", 8);
    assert_int_equal(data_start(path), start);
    CHECK_OK(edit(path, "twenty bytes of text", 9, NULL, NULL, &edited), &error);
    assert_true(edited.was_in_place);
    check_file(path, "twenty bytes of text", 9);
    assert_int_equal(data_start(path), start);
    assert_int_equal(temp_count(&folder), 1);
}

/* Whatever the length of the header, the file can be read and the data stays: with pad, without, in place or beside. */
static void test_all_lengths(void **state) {
    (void)state;
    static const uint32_t alignments[] = {0, 8, 16, 64, 4096};
    char before[61], after[161];
    int n_in_place = 0, n_beside = 0;
    for (size_t a = 0; a < sizeof alignments / sizeof *alignments; a++) {
        for (size_t n = 0; n <= 160; n++) {
            memset(before, 'b', 60);
            memset(after, 'a', n);
            before[60] = after[n] = '\0';
            fal_gguf_edited edited;
            const char *path = write_file("a.gguf", alignments[a], before);
            CHECK_OK(edit(path, after, (uint32_t)n, NULL, NULL, &edited), &error);
            check_file(path, after, (uint32_t)n);
            n_in_place += edited.was_in_place;
            n_beside += !edited.was_in_place;
            assert_int_equal(temp_count(&folder), 1);
        }
    }
    assert_true(n_in_place > 200 && n_beside > 200);
}

static void test_beside_leaves_room(void **state) {
    (void)state;
    char text[2001];
    memset(text, 't', 2000);
    text[2000] = '\0';
    fal_gguf_edited edited;
    const char *path = write_file("a.gguf", 0, "short");
    uint64_t block = fal_file_block_bytes(path), before = data_start(path);
    CHECK_OK(edit(path, text, 8, NULL, NULL, &edited), &error);
    assert_false(edited.was_in_place);
    check_file(path, text, 8);
    /* The data has the same place in a block, so that whole blocks can be shared. */
    assert_int_equal(data_start(path) % block, before % block);
    text[1500] = '\0';
    CHECK_OK(edit(path, text, 9, NULL, NULL, &edited), &error);
    assert_true(edited.was_in_place);
    check_file(path, text, 9);
}

static void test_other_file(void **state) {
    (void)state;
    const char *path = write_file("a.gguf", 0, "short"), *other = temp_path(&folder, "b.gguf");
    assert_int_equal(chmod(path, 0640), 0);
    fal_gguf_edited edited;
    const fal_gguf_edit_options options = {.out_path = other};
    CHECK_OK(edit(path, "text", 8, NULL, &options, &edited), &error);
    assert_false(edited.was_in_place);
    check_file(path, "short", 7);
    check_file(other, "text", 8);
    struct stat facts;
    assert_int_equal(stat(other, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0640);
}

static void test_copied_plainly(void **state) {
    (void)state;
    refuses_copies = true;
    fal_gguf_edited edited;
    const char *path = write_file("a.gguf", 0, "short");
    const fal_gguf_edit_options options = {.beside = true};
    CHECK_OK(edit(path, "text", 8, NULL, &options, &edited), &error);
    if (edited.way != FAL_COPY_CLONED) assert_int_equal(edited.way, FAL_COPY_PLAIN);
    check_file(path, "text", 8);
}

static bool stop_at_once(void *user, uint64_t n_done, uint64_t n_total) {
    (void)user, (void)n_done, (void)n_total;
    return false;
}

static void test_cancelled(void **state) {
    (void)state;
    refuses_copies = true;
    const char *path = write_file("a.gguf", 0, "short");
    const fal_gguf_edit_options options = {
        .beside = true, .progress = {stop_at_once, NULL}
    };
    fal_gguf_edited edited;
    fal_status status = edit(path, "text", 8, NULL, &options, &edited);
    if (status != FAL_OK) {
        CHECK_STATUS(status, FAL_E_CANCELLED, &error, "stopped");
        check_file(path, "short", 7);
    }
    assert_int_equal(temp_count(&folder), 1);
}

static void test_removed_and_same(void **state) {
    (void)state;
    static const char *const removed[] = {"a.words", "not there", NULL};
    const char *path = write_file("a.gguf", 0, "short");
    CHECK_OK(edit(path, NULL, 7, removed, NULL, NULL), &error);
    fal_gguf *f;
    CHECK_OK(fal_gguf_open(&f, path, &error), &error);
    assert_null(fal_gguf_find(f, "a.words"));
    assert_non_null(fal_gguf_find(f, "a.text"));
    /* A removed key leaves room, which the pad fills. */
    assert_non_null(fal_gguf_find(f, "falconer.pad"));
    fal_gguf_close(f);
}

static void test_does_not_fit(void **state) {
    (void)state;
    char text[301];
    memset(text, 't', 300);
    text[300] = '\0';
    const char *path = write_file("a.gguf", 0, "short");
    const fal_gguf_edit_options options = {.in_place = true};
    CHECK_STATUS(edit(path, text, 8, NULL, &options, NULL), FAL_E_ARGUMENT, &error, "does not fit");
    check_file(path, "short", 7);
}

/* Version 2, a type that nobody knows, no tensors at all: what is not understood is kept. */
static void test_foreign_files(void **state) {
    (void)state;
    gguf_bytes g = {0};
    put_header(&g, 2, 2, 1);
    put_key(&g, "a.number", FAL_GGUF_U8);
    put(&g, 3, 1);
    put_tensor(&g, "unknown", 2, (const uint64_t[]){12, 5}, 99, 0);
    put_tensor(&g, "known", 1, (const uint64_t[]){3}, 0, 64);
    put_padding(&g, 32);
    put_data(&g, 64 + 12);
    temp_write(&folder, "b.gguf", g.b.text, g.b.length);
    const char *path = temp_path(&folder, "b.gguf");
    fal_gguf *f;
    uint32_t number;
    CHECK_OK(edit(path, "a long enough text to need more room than there is", 8, NULL, NULL, NULL),
             &error);
    CHECK_OK(fal_gguf_open(&f, path, &error), &error);
    assert_int_equal(fal_gguf_version(f), 3);
    assert_int_equal(fal_gguf_tensor_find(f, "unknown")->type_id, 99);
    assert_int_equal(fal_gguf_tensor_find(f, "unknown")->shape[0], 5);
    assert_memory_equal(fal_gguf_tensor_find(f, "known")->data, g.b.text + g.b.length - 12, 12);
    assert_true(fal_gguf_find_u32(f, "a.number", &number));
    assert_int_equal(number, 8);
    fal_gguf_close(f);
    release_bytes(&g);

    put_header(&g, 3, 0, 1);
    put_key(&g, "a.number", FAL_GGUF_U8);
    put(&g, 3, 1);
    temp_write(&folder, "c.gguf", g.b.text, g.b.length);
    path = temp_path(&folder, "c.gguf");
    CHECK_OK(edit(path, NULL, 9, NULL, NULL, NULL), &error);
    CHECK_OK(fal_gguf_open(&f, path, &error), &error);
    assert_true(fal_gguf_find_u32(f, "a.number", &number));
    assert_int_equal(number, 9);
    fal_gguf_close(f);
    release_bytes(&g);
}

/* ---- what is left of an edit that went wrong ---- */

/* Cut short at every step, the file is the one before or the one asked for, at the latest after recovery. */
static void check_every_step(const char *text, const fal_gguf_edit_options *options) {
    int n_recovered = 0, n_after = 0, code = DIED;
    for (int step = 0; code == DIED; step++) {
        const char *path = write_file("a.gguf", 0, "twenty bytes of text");
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            steps_left = step;
            fal_status status = edit(path, text, 8, NULL, options, NULL);
            _exit(status == FAL_OK ? 0 : 1);
        }
        int end;
        assert_int_equal(waitpid(child, &end, 0), child);
        assert_true(WIFEXITED(end));
        code = WEXITSTATUS(end);
        assert_true(code == 0 || code == DIED);
        assert_true(step < 100);

        bool recovered = false, was_cut_short = fal_gguf_edit_was_cut_short(path);
        if (was_cut_short)
            CHECK_STATUS(edit(path, text, 8, NULL, options, NULL), FAL_E_ARGUMENT, &error,
                         "cut short");
        CHECK_OK(fal_gguf_edit_recover(path, &recovered, &error), &error);
        assert_int_equal(recovered, was_cut_short);
        n_recovered += recovered;
        fal_gguf *f;
        uint32_t number = 0;
        CHECK_OK(fal_gguf_open(&f, path, &error), &error);
        assert_true(fal_gguf_find_u32(f, "a.number", &number));
        fal_gguf_close(f);
        check_file(path, number == 8 ? text : "twenty bytes of text", number == 8 ? 8 : 7);
        n_after += number == 8;
        /* The next try succeeds whatever was left, and leaves nothing of its own. */
        CHECK_OK(edit(path, text, 8, NULL, options, NULL), &error);
        check_file(path, text, 8);
        assert_false(fal_gguf_edit_was_cut_short(path));
    }
    assert_true(n_after > 0);
    if (options->in_place) assert_true(n_recovered >= 4);
}

static void test_dies_in_place(void **state) {
    (void)state;
    const fal_gguf_edit_options options = {.in_place = true};
    check_every_step("other text", &options);
}

static void test_dies_beside(void **state) {
    (void)state;
    const fal_gguf_edit_options options = {.beside = true};
    check_every_step("a text that needs more room than there is in front of the data", &options);
}

/* A file system that is full when the backup is written: nothing has happened. */
static void test_no_room(void **state) {
    (void)state;
    const char *path = write_file("a.gguf", 0, "twenty bytes of text");
    static const bool ways[] = {true, false};
    for (size_t i = 0; i < 2; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            signal(SIGXFSZ, SIG_IGN);
            const struct rlimit limit = {100, 100};
            setrlimit(RLIMIT_FSIZE, &limit);
            const fal_gguf_edit_options options = {.in_place = ways[i], .beside = !ways[i]};
            _exit(edit(path, "none", 8, NULL, &options, NULL) == FAL_E_IO ? 0 : 1);
        }
        int end;
        assert_int_equal(waitpid(child, &end, 0), child);
        assert_true(WIFEXITED(end) && WEXITSTATUS(end) == 0);
        assert_int_equal(temp_count(&folder), 1);
        check_file(path, "twenty bytes of text", 7);
    }
}

/* Leaves the backup of an edit that died in the middle of the header. */
static const char *leave_backup(void) {
    const char *path = write_file("a.gguf", 0, "twenty bytes of text");
    for (int step = 0; !fal_gguf_edit_was_cut_short(path); step++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            steps_left = step;
            const fal_gguf_edit_options options = {.in_place = true};
            _exit(edit(path, "none", 8, NULL, &options, NULL) == FAL_OK ? 0 : 1);
        }
        assert_int_equal(waitpid(child, NULL, 0), child);
        assert_true(step < 100);
    }
    return path;
}

static void test_backup_of_another_file(void **state) {
    (void)state;
    const char *path = leave_backup();
    write_file("a.gguf", 0, "Twenty bytes of text");
    bool recovered = true;
    CHECK_STATUS(fal_gguf_edit_recover(path, &recovered, &error), FAL_E_FORMAT, &error,
                 "another file");
    assert_false(recovered);
    check_file(path, "Twenty bytes of text", 7);
}

static void test_damaged_backup(void **state) {
    (void)state;
    const char *path = leave_backup();
    const char *backup = temp_path(&folder, "a.gguf.header-backup");
    struct stat facts;
    assert_int_equal(stat(backup, &facts), 0);
    for (off_t at = 0; at < facts.st_size; at += 17) {
        int file = open(backup, O_RDWR);
        char byte;
        assert_int_equal(pread(file, &byte, 1, at), 1);
        byte = (char)(byte ^ 1);
        assert_int_equal(pwrite(file, &byte, 1, at), 1);
        bool recovered;
        CHECK_STATUS(fal_gguf_edit_recover(path, &recovered, &error), FAL_E_FORMAT, &error, "");
        byte = (char)(byte ^ 1);
        assert_int_equal(pwrite(file, &byte, 1, at), 1);
        close(file);
    }
    assert_int_equal(truncate(backup, facts.st_size - 1), 0);
    bool recovered;
    CHECK_STATUS(fal_gguf_edit_recover(path, &recovered, &error), FAL_E_FORMAT, &error, "");
}

static void test_bad_files(void **state) {
    (void)state;
    const char *path = temp_path(&folder, "a.gguf");
    CHECK_STATUS(edit(path, NULL, 8, NULL, NULL, NULL), FAL_E_NOT_FOUND, &error, "a.gguf");
    write_file("a.gguf", 0, "short");
    assert_int_equal(truncate(path, 40000), 0);
    CHECK_STATUS(edit(path, NULL, 8, NULL, NULL, NULL), FAL_E_FORMAT, &error, "second");
    assert_int_equal(temp_count(&folder), 1);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(test_in_place),
        TEST(test_all_lengths),
        TEST(test_beside_leaves_room),
        TEST(test_other_file),
        TEST(test_copied_plainly),
        TEST(test_cancelled),
        TEST(test_removed_and_same),
        TEST(test_does_not_fit),
        TEST(test_foreign_files),
        TEST(test_dies_in_place),
        TEST(test_dies_beside),
        TEST(test_no_room),
        TEST(test_backup_of_another_file),
        TEST(test_damaged_backup),
        TEST(test_bad_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
