/* What was computed once is not computed again: prompts that begin like idle timelines, running ones, kept ones and those
 * on disk, across restarts; and what is damaged, foreign or too much is done without. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/folder.h"
#include "engine_fixture.h"
#include "server/shelf.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    N_PROMPT = 40
};

static char folder[256];

static int set_up_folder(void **state) {
    const char *temporary = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    snprintf(folder, sizeof folder, "%s/falconer-prefix-%ld", temporary, (long)getpid());
    return set_up(state);
}

static void ignore(void *user) {
    (void)user;
}

static void remove_folder(void) {
    char lock[300];
    fal_error err = {0};
    snprintf(lock, sizeof lock, "%s/.lock", folder);
    unlink(lock);
    CHECK_OK(fal_folder_remove(folder, &err), &err);
}

/* Prompt number i; all begin with the same n_common tokens. */
static fal_job_options asking(int32_t *prompt, int i, int n_common) {
    for (int t = 0; t < N_PROMPT; t++)
        prompt[t] = t < n_common ? 280 + t : 270 + i * 9 + t;
    fal_job_options how = drawing(1, 6);
    how.prompt = prompt;
    how.n_prompt = N_PROMPT;
    return how;
}

static void test_in_memory(void **state) {
    (void)state;
    static const int parallel[] = {1, 2, 8};
    for (size_t k = 0; k < 3; k++) {
        const fal_engine_options o = {.n_parallel = parallel[k]};
        fal_engine *e = open_engine(&o);
        int32_t prompt[N_PROMPT];
        fal_job_options how = asking(prompt, 0, 20);
        assert_int_equal(check_job(e, &how), 0);
        assert_int_equal(check_job(e, &how), N_PROMPT - 1);
        for (int i = 1; i < 8; i++) {
            how = asking(prompt, i, 20);
            assert_int_equal(check_job(e, &how), 20);
        }
        /* All eight are still known, in places or on the shelf. */
        for (int i = 0; i < 8; i++) {
            how = asking(prompt, i, 20);
            assert_int_equal(check_job(e, &how), N_PROMPT - 1);
        }
        fal_engine_state s = state_of(e);
        assert_int_equal(s.cache_hits, 16);
        assert_int_equal(s.cache_misses, 1);
        assert_int_equal(s.prompt_tokens, 17 * N_PROMPT);
        assert_int_equal(s.tokens_from_memory, 9 * (N_PROMPT - 1) + 7 * 20);
        fal_engine_close(e);
    }
}

/* A conversation goes on from its own answer. */
static void test_conversation(void **state) {
    (void)state;
    const fal_engine_options o = {.n_parallel = 2};
    fal_engine *e = open_engine(&o);
    int32_t prompt[N_CONTEXT];
    fal_job_options how = asking(prompt, 0, 0);
    recording alone = {0};
    how.ignore_end = true;
    check_job(e, &how);
    generate_alone(&how, 0, &alone);
    memcpy(prompt + N_PROMPT, alone.ids, 6 * sizeof *prompt);
    prompt[N_PROMPT + 6] = 299;
    how.n_prompt = N_PROMPT + 7;
    /* The last token of the answer was drawn and never computed. */
    assert_int_equal(check_job(e, &how), N_PROMPT + 5);
    assert_int_equal(state_of(e).n_cached_timelines, 0); /* it went on in its place */
    fal_engine_close(e);
}

/* What was computed for one keyholder serves no other: in places, on the shelf and on disk. */
static void test_keyholders(void **state) {
    (void)state;
    int32_t prompt[N_PROMPT];
    for (int n_parallel = 1; n_parallel <= 4; n_parallel++) {
        fal_engine_options o = {.n_parallel = n_parallel, .cache_dir = folder};
        fal_engine *e = open_engine(&o);
        fal_job_options how = asking(prompt, 0, 0);
        for (uint64_t keyholder = 0; keyholder < 3; keyholder++) {
            how.keyholder = keyholder << 63 | keyholder;
            assert_int_equal(check_job(e, &how), 0);
            assert_int_equal(check_job(e, &how), N_PROMPT - 1);
        }
        fal_engine_close(e);
        e = open_engine(&o);
        assert_int_equal(state_of(e).n_stored_timelines, 3);
        how.keyholder = 7;
        assert_int_equal(check_job(e, &how), 0);
        for (uint64_t keyholder = 0; keyholder < 3; keyholder++) {
            how.keyholder = keyholder << 63 | keyholder;
            assert_int_equal(check_job(e, &how), N_PROMPT - 1);
        }
        assert_int_equal(state_of(e).tokens_from_disk, 3 * (N_PROMPT - 1));
        fal_engine_close(e);
        remove_folder();
    }
}

static void test_bytes_are_bounded(void **state) {
    (void)state;
    int32_t prompt[N_PROMPT];
    const fal_engine_options o = {.n_parallel = 1, .cache_bytes = 100000};
    fal_engine *e = open_engine(&o);
    for (int i = 0; i < 20; i++) {
        fal_job_options how = asking(prompt, i, 0);
        assert_int_equal(check_job(e, &how), 0);
        assert_true(state_of(e).cached_bytes <= 100000);
    }
    assert_true(state_of(e).n_cached_timelines > 1);
    /* The latest are there, the first are not. */
    fal_job_options how = asking(prompt, 18, 0);
    assert_int_equal(check_job(e, &how), N_PROMPT - 1);
    how = asking(prompt, 0, 0);
    assert_int_equal(check_job(e, &how), 0);
    fal_engine_close(e);
}

static const fal_engine_options on_disk = {
    .n_parallel = 1, .cache_bytes = 100000, .cache_dir = folder};

/* Asks prompts 0 ... n - 1, each after what the last one drove out was written: a disk that is too slow is done without. */
static void ask_slowly(fal_engine *e, int n) {
    int32_t prompt[N_PROMPT];
    for (int i = 0; i < n; i++) {
        fal_job_options how = asking(prompt, i, 0);
        assert_int_equal(check_job(e, &how), 0);
        for (int k = 0; k < 2000 && state_of(e).cached_bytes > on_disk.cache_bytes; k++)
            nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

static void test_across_restarts(void **state) {
    (void)state;
    int32_t prompt[N_PROMPT];
    fal_engine *e = open_engine(&on_disk);
    ask_slowly(e, 12);
    assert_true(state_of(e).n_stored_timelines > 5);
    fal_engine_close(e);
    e = open_engine(&on_disk);
    assert_int_equal(state_of(e).n_stored_timelines, 12);
    assert_true(state_of(e).stored_bytes > 0);
    for (int i = 0; i < 12; i++) {
        fal_job_options how = asking(prompt, i, 0);
        assert_int_equal(check_job(e, &how), N_PROMPT - 1);
    }
    assert_int_equal(state_of(e).tokens_from_disk, 12 * (N_PROMPT - 1));
    assert_int_equal(state_of(e).cache_misses, 0);
    fal_engine *other;
    fal_error err = {0};
    CHECK_STATUS(fal_engine_open(&other, model, &on_disk, &err), FAL_E_BUSY, &err, folder);
    fal_engine_close(e);
    /* Cells of another type are not mistaken for these. */
    fal_engine_options f16 = on_disk;
    f16.kv_type = "f16";
    e = open_engine(&f16);
    assert_int_equal(state_of(e).n_stored_timelines, 0);
    fal_engine_close(e);
    /* Less room: the least recently used go. */
    fal_engine_options small = on_disk;
    small.disk_bytes = 100000;
    e = open_engine(&small);
    assert_true(state_of(e).stored_bytes <= 100000);
    assert_true(state_of(e).n_stored_timelines > 0);
    fal_engine_close(e);
    remove_folder();
}

static fal_shelf *open_shelf(fal_batch *batch, fal_session *sample, uint64_t memory_bytes) {
    fal_shelf *shelf;
    fal_error err = {0};
    const fal_shelf_options o = {.batch = batch,
                                 .memory_bytes = memory_bytes,
                                 .folder = folder,
                                 .disk_bytes = 1 << 30,
                                 .on_news = ignore};
    CHECK_OK(fal_shelf_open(&shelf, &o, sample, &err), &err);
    return shelf;
}

static void collect_until(fal_shelf *shelf, size_t n_in_memory) {
    for (int k = 0; k < 2000 && fal_shelf_state_get(shelf).n_in_memory != n_in_memory; k++) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        fal_shelf_collect(shelf);
    }
    assert_int_equal(fal_shelf_state_get(shelf).n_in_memory, n_in_memory);
}

/* Reads all of several timelines in the room of two; who finds no room waits for those that are being read. */
static void read_within(fal_shelf *shelf, uint64_t bound) {
    int32_t prompt[N_PROMPT];
    bool is_read[8] = {0};
    for (int n_left = 8; n_left > 0; n_left -= 2) {
        int n_reading = 0;
        for (int i = 0; i < 8; i++) {
            asking(prompt, i, 0);
            const fal_beginning wanted = {0, prompt, N_PROMPT};
            fal_fetch fetch =
                is_read[i] ? FAL_FETCH_NOTHING : fal_shelf_fetch(shelf, &wanted, 0, true);
            assert_true(fal_shelf_state_get(shelf).memory_bytes <= bound);
            if (!is_read[i] && n_reading < 2)
                assert_int_equal(fetch, FAL_FETCH_READS);
            else if (!is_read[i])
                assert_int_equal(fetch, FAL_FETCH_WAITS);
            is_read[i] = is_read[i] || fetch == FAL_FETCH_READS;
            n_reading += fetch == FAL_FETCH_READS;
        }
        assert_int_equal(n_reading, 2);
        collect_until(shelf, 2);
    }
}

/* One that has no room drives nothing out. */
static void keep_beside_what_has_no_room(fal_batch *batch, fal_session *sample,
                                         const fal_beginning *wanted, uint64_t bound) {
    int32_t other[20];
    fal_error err = {0};
    fal_shelf *shelf = open_shelf(batch, sample, bound);
    for (int i = 0; i < 20; i++)
        other[i] = 300 + i;
    CHECK_OK(fal_session_feed(sample, other, 20, NULL, &err), &err);
    fal_shelf_keep(shelf, 0, sample);
    assert_int_equal(fal_shelf_state_get(shelf).n_in_memory, 1);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(fal_shelf_fetch(shelf, wanted, 0, true), FAL_FETCH_NOTHING);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        fal_shelf_collect(shelf);
        assert_int_equal(fal_shelf_state_get(shelf).n_in_memory, 1);
    }
    fal_shelf_close(shelf);
}

/* What is being read counts against the bound of memory. */
static void test_reading_is_bounded(void **state) {
    (void)state;
    int32_t prompt[N_PROMPT];
    fal_batch *batch;
    fal_session *sample;
    fal_error err = {0};
    const fal_session_options how = {.n_context = N_CONTEXT};
    fal_engine *e = open_engine(&on_disk);
    ask_slowly(e, 8);
    fal_engine_close(e);
    CHECK_OK(fal_batch_open(&batch, model, 16, &err), &err);
    CHECK_OK(fal_batch_session_open(&sample, batch, &how, &err), &err);

    asking(prompt, 0, 0);
    const fal_beginning wanted = {0, prompt, N_PROMPT};
    fal_shelf *shelf = open_shelf(batch, sample, 1 << 30);
    assert_int_equal(fal_shelf_fetch(shelf, &wanted, 0, true), FAL_FETCH_READS);
    uint64_t each = fal_shelf_state_get(shelf).memory_bytes;
    collect_until(shelf, 1);
    assert_true(each > 0);
    assert_int_equal(fal_shelf_state_get(shelf).memory_bytes, each);
    fal_shelf_close(shelf);

    shelf = open_shelf(batch, sample, each * 5 / 2);
    read_within(shelf, each * 5 / 2);
    fal_shelf_close(shelf);
    /* One that has no room at all is done without. */
    shelf = open_shelf(batch, sample, each / 2);
    assert_int_equal(fal_shelf_fetch(shelf, &wanted, 0, true), FAL_FETCH_NOTHING);
    assert_int_equal(fal_shelf_state_get(shelf).memory_bytes, 0);
    fal_shelf_close(shelf);
    keep_beside_what_has_no_room(batch, sample, &wanted, each - 1);
    fal_session_close(sample);
    fal_batch_close(batch);
    remove_folder();
}

/* Who waits for the memory that others are read into is not forgotten. */
static void test_many_are_read_at_once(void **state) {
    (void)state;

    enum {
        N_JOBS = 8
    };

    int32_t prompts[N_JOBS][N_PROMPT];
    fal_job *jobs[N_JOBS];
    consumer c = CONSUMER;
    fal_error err = {0};
    fal_engine *e = open_engine(&on_disk);
    ask_slowly(e, N_JOBS);
    fal_engine_close(e);
    fal_engine_options o = on_disk;
    o.n_parallel = N_JOBS;
    o.cache_bytes = 50000;
    e = open_engine(&o);
    for (int i = 0; i < N_JOBS; i++) {
        fal_job_options how = asking(prompts[i], i, 0);
        how.on_event = consumer_wake;
        how.user = &c;
        CHECK_OK(fal_job_start(&jobs[i], e, &how, &err), &err);
    }
    for (int i = 0; i < N_JOBS; i++) {
        recording got = {0}, alone = {0};
        fal_job_options how = asking(prompts[i], i, 0);
        CHECK_OK(consume(&c, jobs[i], &got, &err), &err);
        generate_alone(&how, 0, &alone);
        assert_true(is_same(&got, &alone));
        fal_job_release(jobs[i]);
    }
    assert_int_equal(state_of(e).tokens_from_disk, N_JOBS * (N_PROMPT - 1));
    fal_engine_close(e);
    remove_folder();
}

/* Calls visit with each file of timelines. Returns how many there are. */
static int each_file(void (*visit)(const char *path, int i)) {
    fal_names names = {0};
    fal_error err = {0};
    CHECK_OK(fal_folder_list(&names, folder, ".timeline", &err), &err);
    for (size_t i = 0; visit && i < names.count; i++) {
        char *path = fal_path_join(folder, names.items[i]);
        visit(path, (int)i);
        fal_free(path);
    }
    int n = (int)names.count;
    fal_names_release(&names);
    return n;
}

static void damage(const char *path, int i) {
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    /* Cells, head, end; or cut, or empty. */
    long at = i % 4 == 0 ? size / 2 : i % 4 == 1 ? 3 : size - 1;
    fseek(f, at, SEEK_SET);
    int byte = fgetc(f);
    fseek(f, at, SEEK_SET);
    fputc(byte ^ 0x41, f);
    fclose(f);
    if (i % 4 == 3) assert_int_equal(truncate(path, i % 8 == 3 ? size / 3 : 0), 0);
}

static void count_warning(void *user, fal_log_level level, const char *area, const char *text) {
    assert_int_equal(level, FAL_LOG_WARNING);
    assert_string_equal(area, "cache");
    assert_null(strchr(text, '\n'));
    ++*(int *)user;
}

static void test_damaged_files(void **state) {
    (void)state;
    int32_t prompt[N_PROMPT];
    int n_warnings = 0;
    fal_engine *e = open_engine(&on_disk);
    ask_slowly(e, 10);
    fal_engine_close(e);
    assert_int_equal(each_file(damage), 10);
    fal_engine_options o = on_disk;
    o.log = (fal_log){.function = count_warning, .user = &n_warnings};
    e = open_engine(&o);
    for (int i = 0; i < 10; i++) {
        fal_job_options how = asking(prompt, i, 0);
        assert_int_equal(check_job(e, &how), 0);
    }
    fal_engine_close(e);
    assert_int_equal(n_warnings, 10);
    remove_folder();
}

/* A link that leads to itself stands for a file that cannot be opened now. */
static void hide(const char *path, int i) {
    char away[400];
    (void)i;
    snprintf(away, sizeof away, "%s.away", path);
    assert_int_equal(rename(path, away), 0);
    assert_int_equal(symlink(path, path), 0);
}

static void show(const char *path, int i) {
    char away[400];
    struct stat link;
    (void)i;
    assert_int_equal(lstat(path, &link), 0);
    snprintf(away, sizeof away, "%s.away", path);
    assert_int_equal(rename(away, path), 0);
}

/* What cannot be read is done without, but is no reason to lose it. */
static void test_unreadable_files_stay(void **state) {
    (void)state;
    int32_t prompt[N_PROMPT];
    int n_warnings = 0;
    fal_engine *e = open_engine(&on_disk);
    ask_slowly(e, 6);
    fal_engine_close(e);
    fal_engine_options o = on_disk;
    o.cache_bytes = 0;
    o.log = (fal_log){.function = count_warning, .user = &n_warnings};
    e = open_engine(&o);
    assert_int_equal(each_file(hide), 6);
    for (int i = 0; i < 6; i++) {
        fal_job_options how = asking(prompt, i, 0);
        assert_int_equal(check_job(e, &how), 0);
    }
    assert_int_equal(each_file(show), 6);
    assert_int_equal(n_warnings, 6);
    fal_engine_close(e);
    e = open_engine(&on_disk);
    for (int i = 0; i < 6; i++) {
        fal_job_options how = asking(prompt, i, 0);
        assert_int_equal(check_job(e, &how), N_PROMPT - 1);
    }
    fal_engine_close(e);
    remove_folder();
}

/* The disk is full: nothing is kept there, everything is answered. */
static void test_full_disk(void **state) {
    (void)state;
    int32_t prompt[N_PROMPT];
    int n_warnings = 0;
    fal_engine_options o = on_disk;
    o.log = (fal_log){.function = count_warning, .user = &n_warnings};
    fal_engine *e = open_engine(&o);
    struct rlimit before, small;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 5000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int i = 0; i < 12; i++) {
        fal_job_options how = asking(prompt, i, 0);
        check_job(e, &how);
    }
    fal_engine_close(e);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(n_warnings > 0);
    assert_int_equal(each_file(NULL), 0);
    remove_folder();
}

/* Memory is refused while timelines are kept, written and read: a job fails at most, nothing is lost. */
static void test_memory(void **state) {
    (void)state;
    int32_t prompt[N_PROMPT];
    long live = fal_alloc_live();
    fal_engine_options o = on_disk;
    o.cache_bytes = 60000;
    int n_failed = 0;
    recording *alone = calloc(8, sizeof *alone);
    for (int i = 0; i < 8; i++) {
        fal_job_options how = asking(prompt, i, 0);
        generate_alone(&how, 0, &alone[i]);
    }
    for (long n = 1; n < 120; n++) {
        fal_engine *e = open_engine(&o);
        fal_alloc_fail_at(n);
        for (int i = 0; i < 5; i++) {
            consumer c = CONSUMER;
            fal_job *job;
            fal_error err = {0};
            recording got = {0};
            int which = (int)((n + 3 * i) % 8);
            fal_job_options how = asking(prompt, which, 0);
            how.on_event = consumer_wake;
            how.user = &c;
            fal_status status = fal_job_start(&job, e, &how, &err);
            if (status == FAL_OK) status = consume(&c, job, &got, &err);
            fal_job_release(job);
            if (status != FAL_OK) {
                CHECK_STATUS(status, FAL_E_MEMORY, &err, "memory");
                n_failed++;
            }
            assert_true(is_same(&got, &alone[which]));
            assert_int_equal(got.is_finished, status == FAL_OK);
        }
        fal_alloc_fail_at(0);
        fal_engine_close(e);
        assert_int_equal(fal_alloc_live(), live);
    }
    assert_true(n_failed > 5);
    free(alone);
    remove_folder();
}

/* What a killed process has left half written goes; what is not ours stays. */
static void test_leftovers(void **state) {
    (void)state;
    int32_t prompt[N_PROMPT];
    char name[400], foreign[400];
    fal_error err = {0};
    fal_engine *e = open_engine(&on_disk);
    fal_job_options how = asking(prompt, 0, 0);
    check_job(e, &how);
    fal_engine_close(e);
    fal_names names = {0};
    CHECK_OK(fal_folder_list(&names, folder, ".timeline", &err), &err);
    assert_int_equal(names.count, 1);
    snprintf(name, sizeof name, "%s/%s.partial-1-1", folder, names.items[0]);
    snprintf(foreign, sizeof foreign, "%s/notes.txt", folder);
    fal_names_release(&names);
    CHECK_OK(fal_file_write(name, "x", 1, &err), &err);
    CHECK_OK(fal_file_write(foreign, "x", 1, &err), &err);
    e = open_engine(&on_disk);
    assert_int_equal(state_of(e).n_stored_timelines, 1);
    fal_engine_close(e);
    assert_false(fal_file_exists(name));
    assert_true(fal_file_exists(foreign));
    remove_folder();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_memory),          cmocka_unit_test(test_conversation),
        cmocka_unit_test(test_bytes_are_bounded),  cmocka_unit_test(test_across_restarts),
        cmocka_unit_test(test_damaged_files),      cmocka_unit_test(test_unreadable_files_stay),
        cmocka_unit_test(test_full_disk),          cmocka_unit_test(test_memory),
        cmocka_unit_test(test_leftovers),          cmocka_unit_test(test_keyholders),
        cmocka_unit_test(test_reading_is_bounded), cmocka_unit_test(test_many_are_read_at_once),
    };
    return cmocka_run_group_tests(tests, set_up_folder, tear_down);
}
