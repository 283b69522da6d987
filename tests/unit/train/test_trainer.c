/* train/train.h: that models learn, that threads and interruptions change no bit, and what is refused. */
#include "base/alloc.h"
#include "unit/train/tiny_run.h"

#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static const training_variant *variant_of(const char *name) {
    for (int i = 0; i < training_variant_count(); i++) {
        if (strcmp(training_variant_at(i)->name, name) == 0) return training_variant_at(i);
    }
    fail_msg("no variant %s", name);
    return NULL;
}

static void set_directory(tiny_run *r, const temp_folder *folder, const char *name) {
    snprintf(r->directory, sizeof r->directory, "%s/%s", folder->path, name);
}

/* Removes what a run leaves in folder/name. */
static void remove_run(const temp_folder *folder, const char *name) {
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder->path, name);
    fal_names names = {0};
    assert_int_equal(fal_folder_list(&names, path, "", NULL), FAL_OK);
    for (size_t i = 0; i < names.count; i++) {
        char inner[400];
        snprintf(inner, sizeof inner, "%s/%s", path, names.items[i]);
        if (fal_file_is_directory(inner)) assert_int_equal(fal_folder_remove(inner, NULL), FAL_OK);
    }
    fal_names_release(&names);
    assert_int_equal(fal_folder_remove(path, NULL), FAL_OK);
}

static void check_same_file(const temp_folder *folder, const char *a, const char *b,
                            const char *name) {
    char directory[2][200];
    size_t length[2];
    snprintf(directory[0], sizeof directory[0], "%s/%s", folder->path, a);
    snprintf(directory[1], sizeof directory[1], "%s/%s", folder->path, b);
    char *first = tiny_read(directory[0], name, &length[0]);
    char *second = tiny_read(directory[1], name, &length[1]);
    if (strstr(name, ".jsonl")) {
        cut_times(first);
        cut_times(second);
        assert_string_equal(first, second);
    } else {
        assert_int_equal(length[0], length[1]);
        assert_memory_equal(first, second, length[0]);
    }
    fal_free(first);
    fal_free(second);
}

static void check_same_runs(const temp_folder *folder, const char *a, const char *b) {
    check_same_file(folder, a, b, "log.jsonl");
    check_same_file(folder, a, b, "curves.tsv");
    check_same_file(folder, a, b, "step-20/weights.safetensors");
    check_same_file(folder, a, b, "step-20/optimizer.safetensors");
    check_same_file(folder, a, b, "step-20/manifest.json");
}

/* ---- learning ---- */

static void every_variant_learns_a_batch_by_heart(void **state) {
    (void)state;
    for (int i = 0; i < training_variant_count(); i++) {
        tiny_run r;
        fal_error err = {0};
        training_variant v = *training_variant_at(i);
        /* Behind a frozen norm a frozen head cannot be as sure as is asked for. */
        if (v.lora.rank > 0)
            v.lora = (fal_lora_options){.rank = 16, .with_norms = true, .with_embeddings = true};
        tiny_open(&r, &v, 4, 250, 1);
        r.options.learning_rate = 1e-2;
        r.options.z_loss = r.variant->z_loss;
        CHECK_OK(tiny_train(&r, &err), &err);
        if (!(r.result.loss < 0.01))
            fail_msg("%s: loss %g after %lld steps", r.variant->name, r.result.loss,
                     (long long)r.result.n_steps);
        tiny_close(&r);
    }
}

static void adapters_alone_are_trained(void **state) {
    (void)state;
    tiny_run r;
    fal_error err = {0};
    tiny_open(&r, variant_of("40b with adapters"), 4, 3, 1);
    CHECK_OK(tiny_train(&r, &err), &err);
    fal_trainable *before = training_model_open(r.variant, r.device, 3);
    for (int i = 0; i < fal_trainable_count(before); i++) {
        const fal_trainable_weight *w = fal_trainable_at(before, i);
        size_t bytes = (size_t)(w->n_rows * w->n_cols) * sizeof(float);
        bool is_same = memcmp(w->value.data, fal_trainable_at(r.model, i)->value.data, bytes) == 0;
        assert_int_equal(is_same, w->part == FAL_TRAINABLE_WHOLE);
    }
    fal_trainable_close(before);
    tiny_close(&r);
}

/* ---- what changes nothing, or little ---- */

static void threads_change_no_bit(void **state) {
    temp_folder *folder = *state;
    tiny_run first;
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        tiny_run r;
        fal_error err = {0};
        char name[24];
        tiny_open(&r, variant_of("7b"), 9, 20, n_threads);
        snprintf(name, sizeof name, "threads-%d", n_threads);
        set_directory(&r, folder, name);
        r.subject.validation = r.validation;
        r.subject.validation_documents = &r.documents;
        r.options.validate_every = 6;
        CHECK_OK(tiny_train(&r, &err), &err);
        assert_int_equal(r.result.n_steps, 20);
        if (n_threads == 1) {
            first = r;
            continue;
        }
        check_same_weights(first.model, r.model);
        check_same_runs(folder, "threads-1", name);
        tiny_close(&r);
    }
    tiny_close(&first);
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        char name[24];
        snprintf(name, sizeof name, "threads-%d", n_threads);
        remove_run(folder, name);
    }
}

static void recomputing_changes_no_bit_and_micro_batches_little(void **state) {
    (void)state;
    tiny_run r, other;
    fal_error err = {0};
    tiny_open(&r, variant_of("40b"), 9, 20, 1);
    CHECK_OK(tiny_train(&r, &err), &err);
    for (int recompute = FAL_RECOMPUTE_CHEAP; recompute <= FAL_RECOMPUTE_LAYER; recompute++) {
        tiny_open(&other, r.variant, 9, 20, 1);
        other.options.recompute = (fal_recompute)recompute;
        CHECK_OK(tiny_train(&other, &err), &err);
        check_same_weights(r.model, other.model);
        tiny_close(&other);
    }
    for (int micro_batch = 3; micro_batch <= 4; micro_batch++) {
        tiny_open(&other, r.variant, 9, 20, 1);
        other.options.micro_batch = micro_batch;
        CHECK_OK(tiny_train(&other, &err), &err);
        assert_int_equal(r.n_losses, other.n_losses);
        for (int64_t i = 0; i < r.n_losses; i++)
            CHECK_NEAR(other.losses[i], r.losses[i], 1e-5);
        tiny_close(&other);
    }
    tiny_close(&r);
}

static void a_step_without_weighted_tokens_changes_nothing(void **state) {
    (void)state;
    tiny_run r;
    fal_error err = {0};
    tiny_open(&r, variant_of("7b"), 4, 3, 1);
    memset(r.documents.parts, FAL_LOSS_NONE, (size_t)r.documents.n_tokens);
    fal_plan_close(r.plan);
    r.plan = tiny_plan_steps(&r.documents, 3);
    r.subject.plan = r.plan;
    r.options.weight_decay = 0.1;
    CHECK_OK(tiny_train(&r, &err), &err);
    assert_true(isnan(r.result.loss));
    fal_trainable *before = training_model_open(r.variant, r.device, 3);
    check_same_weights(before, r.model);
    fal_trainable_close(before);
    tiny_close(&r);
}

/* ---- going on ---- */

/* 20 steps in folder/name, all at once. */
static void run_straight(const temp_folder *folder, const char *name) {
    tiny_run r;
    fal_error err = {0};
    tiny_open(&r, variant_of("40b with adapters"), 9, 20, 1);
    set_directory(&r, folder, name);
    r.options.checkpoint_every = 4;
    CHECK_OK(tiny_train(&r, &err), &err);
    tiny_close(&r);
}

static void an_interrupted_run_goes_on_to_the_same_bits(void **state) {
    temp_folder *folder = *state;
    tiny_run r;
    fal_error err = {0};
    run_straight(folder, "straight");
    tiny_open(&r, variant_of("40b with adapters"), 9, 20, 1);
    set_directory(&r, folder, "halves");
    r.options.checkpoint_every = 4;
    r.stop_at = 10;
    CHECK_STATUS(tiny_train(&r, &err), FAL_E_CANCELLED, &err, "after step 10 of 20");
    assert_int_equal(r.result.n_steps, 10);
    tiny_other_threads(&r, 3);
    r.stop_at = 0;
    r.options.resumes = true;
    CHECK_OK(tiny_train(&r, &err), &err);
    assert_int_equal(r.result.first_step, 11);
    check_same_runs(folder, "straight", "halves");
    /* Nothing is left to do. */
    tiny_again(&r);
    CHECK_OK(tiny_train(&r, &err), &err);
    assert_int_equal(r.result.first_step, 21);
    check_same_runs(folder, "straight", "halves");
    tiny_close(&r);
    remove_run(folder, "straight");
    remove_run(folder, "halves");
}

/* What main does in a process of its own: the run of run_straight in directory, once more or further. A byte to standard
 * output tells that it begins, after a step that leaves nothing behind: a device loads much before its first. */
static int train_in(const char *directory) {
    tiny_run r;
    tiny_open(&r, variant_of("40b with adapters"), 9, 20, 1);
    r.stop_at = 1;
    if (tiny_train(&r, NULL) != FAL_E_CANCELLED) return 1;
    r.stop_at = 0;
    tiny_again(&r);
    snprintf(r.directory, sizeof r.directory, "%s", directory);
    r.options.checkpoint_every = 4;
    r.options.resumes = true;
    if (write(STDOUT_FILENO, "!", 1) != 1) return 1;
    fal_status status = tiny_train(&r, NULL);
    tiny_close(&r);
    return status == FAL_OK ? 0 : 1;
}

/* This program again, as the state of a GPU does not outlive a fork. Returns when it begins to train. */
static pid_t start_training(char *directory) {
    static char program[] = "test_trainer";
    char *const arguments[] = {program, directory, NULL};
    posix_spawn_file_actions_t actions;
    int ends[2];
    pid_t child;
    char byte;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO), 0);
    assert_int_equal(posix_spawn_file_actions_addclose(&actions, ends[0]), 0);
    assert_int_equal(posix_spawn_file_actions_addclose(&actions, ends[1]), 0);
    assert_int_equal(posix_spawn(&child, "/proc/self/exe", &actions, NULL, arguments, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    close(ends[0]);
    return child;
}

/* One run of a process of its own, until it ends or is killed. True: it ended well. */
static bool run_and_kill(const temp_folder *folder, const char *name, uint64_t microseconds) {
    char directory[96];
    snprintf(directory, sizeof directory, "%s/%s", folder->path, name);
    pid_t child = start_training(directory);
    struct timespec wait = {.tv_nsec = (long)microseconds * 1000};
    nanosleep(&wait, NULL);
    kill(child, SIGKILL);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status)) assert_int_equal(WEXITSTATUS(status), 0);
    return WIFEXITED(status);
}

static void a_killed_run_goes_on_to_the_same_bits(void **state) {
    temp_folder *folder = *state;
    fal_random random = fal_random_seeded((uint64_t)time(NULL), 0);
    run_straight(folder, "straight");
    int n_kills = 0;
    while (!run_and_kill(folder, "killed",
                         1000 + fal_random_u64(&random) % (n_kills < 10 ? 60000 : 800000)))
        n_kills++;
    check_same_runs(folder, "straight", "killed");
    remove_run(folder, "straight");
    remove_run(folder, "killed");
}

static void a_full_disk_keeps_what_was_saved(void **state) {
    temp_folder *folder = *state;
    run_straight(folder, "straight");
    tiny_run r;
    fal_error err = {0};
    tiny_open(&r, variant_of("40b with adapters"), 9, 20, 1);
    set_directory(&r, folder, "full");
    r.options.checkpoint_every = 4;
    r.options.resumes = true;
    r.stop_at = 8;
    CHECK_STATUS(tiny_train(&r, &err), FAL_E_CANCELLED, &err, "");
    /* No file may grow beyond a bound that checkpoints do. */
    struct rlimit all, few = {4096, RLIM_INFINITY};
    getrlimit(RLIMIT_FSIZE, &all);
    few.rlim_max = all.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &few);
    tiny_again(&r);
    r.stop_at = 0;
    fal_status status = tiny_train(&r, &err);
    setrlimit(RLIMIT_FSIZE, &all);
    CHECK_STATUS(status, FAL_E_IO, &err, "'");
    tiny_again(&r);
    CHECK_OK(tiny_train(&r, &err), &err);
    assert_int_equal(r.result.first_step, 9);
    check_same_runs(folder, "straight", "full");
    tiny_close(&r);
    remove_run(folder, "straight");
    remove_run(folder, "full");
}

/* ---- refusals ---- */

static void a_run_of_other_settings_does_not_go_on(void **state) {
    temp_folder *folder = *state;
    tiny_run r;
    fal_error err = {0};
    tiny_open(&r, variant_of("7b"), 9, 4, 1);
    set_directory(&r, folder, "run");
    CHECK_OK(tiny_train(&r, &err), &err);
    CHECK_STATUS(tiny_train(&r, &err), FAL_E_ARGUMENT, &err, "has a run of 4 steps");
    r.options.resumes = true;
    r.options.learning_rate = 1e-3;
    CHECK_STATUS(tiny_train(&r, &err), FAL_E_ARGUMENT, &err,
                 "learning rate is 0.001 now and 0.005 in the checkpoint");
    r.options.forces_settings = true;
    CHECK_OK(tiny_train(&r, &err), &err);
    fal_trainable *whole = r.model;
    training_variant shorter = *r.variant, regrouped = *r.variant;
    shorter.params.n_layers--;
    r.subject.model = training_model_open(&shorter, NULL, 3);
    CHECK_STATUS(tiny_train(&r, &err), FAL_E_ARGUMENT, &err, "layers is 1 now and 2 in");
    fal_trainable_close(r.subject.model);
    regrouped.params.features ^= FAL_FEATURE_PARALLEL;
    r.subject.model = training_model_open(&regrouped, NULL, 3);
    CHECK_STATUS(tiny_train(&r, &err), FAL_E_ARGUMENT, &err, "features of the model is");
    fal_trainable_close(r.subject.model);
    r.subject.model = whole;
    r.options.forces_settings = false;
    r.options.learning_rate = 5e-3;
    training_variant adapted = *r.variant;
    adapted.lora.rank = 2;
    r.subject.model = training_model_open(&adapted, NULL, 3);
    CHECK_STATUS(tiny_train(&r, &err), FAL_E_ARGUMENT, &err,
                 "lora rank is 2 now and 0 in the checkpoint");
    fal_trainable_close(r.subject.model);
    r.subject.model = whole;
    r.documents.tokens[r.documents.items[2].first_token] ^= 1;
    r.documents.items[2].hash ^= 1;
    fal_plan_close(r.plan);
    r.subject.plan = r.plan = tiny_plan_steps(&r.documents, 4);
    CHECK_STATUS(tiny_train(&r, &err), FAL_E_ARGUMENT, &err, "the data are planned otherwise");
    tiny_close(&r);
    remove_run(folder, "run");
}

static void options_out_of_range_are_refused(void **state) {
    (void)state;
    tiny_run r;
    fal_error err = {0};
    tiny_open(&r, variant_of("7b"), 4, 2, 1);
    r.options.warm_up = 1.5;
    CHECK_STATUS(tiny_train(&r, &err), FAL_E_ARGUMENT, &err, "warm-up is 1.5, from 0 to 1");
    r.options.warm_up = 0;
    r.options.beta2 = 1;
    CHECK_STATUS(tiny_train(&r, &err), FAL_E_ARGUMENT, &err, "beta2 is 1");
    tiny_close(&r);
}

static void short_memory_is_a_failure_like_any_other(void **state) {
    temp_folder *folder = *state;
    fal_status status = FAL_E_MEMORY;
    for (long n = 1; status != FAL_OK; n++) {
        tiny_run r;
        fal_error err = {0};
        tiny_open(&r, variant_of("7b"), 4, 2, 1);
        set_directory(&r, folder, "run");
        r.options.resumes = true;
        long live = fal_alloc_live();
        fal_alloc_fail_at(n);
        status = tiny_train(&r, &err);
        fal_alloc_fail_at(0);
        if (status != FAL_OK) assert_int_equal(status, FAL_E_MEMORY);
        assert_int_equal(fal_alloc_live(), live);
        tiny_close(&r);
    }
    remove_run(folder, "run");
}

/* ---- numbers that are none ---- */

static bool poison_at_2(void *user, const fal_train_step *step) {
    tiny_run *r = user;
    if (step->step == 2)
        fal_tensor_f32_row(fal_trainable_find(r->model, "blk.1.ffn_up.weight")->value, 0)[0] =
            (float)NAN;
    return true;
}

static void a_loss_that_is_no_number_names_its_record(void **state) {
    temp_folder *folder = *state;
    tiny_run r;
    fal_error err = {0};
    tiny_open(&r, variant_of("7b"), 9, 6, 1);
    set_directory(&r, folder, "run");
    r.options.checkpoint_every = 1;
    r.options.on_step = poison_at_2;
    CHECK_STATUS(tiny_train(&r, &err), FAL_E_LIMIT, &err, "step 3: the loss of record ");
    assert_non_null(strstr(err.message, "of 'made.jsonl' is not finite"));
    assert_int_equal(r.result.n_steps, 2);
    /* What was saved goes on. */
    tiny_again(&r);
    r.options.on_step = NULL;
    r.options.resumes = true;
    CHECK_OK(tiny_train(&r, &err), &err);
    assert_int_equal(r.result.first_step, 3);
    tiny_close(&r);
    remove_run(folder, "run");
}

/* ---- */

static int make_folder(void **state) {
    static temp_folder folder;
    folder = temp_folder_make();
    *state = &folder;
    return 0;
}

static int remove_folder(void **state) {
    temp_remove(*state);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 2) return train_in(argv[1]);
    if (!test_device_is_there()) return TEST_IS_SKIPPED;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_variant_learns_a_batch_by_heart),
        cmocka_unit_test(adapters_alone_are_trained),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(recomputing_changes_no_bit_and_micro_batches_little),
        cmocka_unit_test(a_step_without_weighted_tokens_changes_nothing),
        cmocka_unit_test(an_interrupted_run_goes_on_to_the_same_bits),
        cmocka_unit_test(a_killed_run_goes_on_to_the_same_bits),
        cmocka_unit_test(a_full_disk_keeps_what_was_saved),
        cmocka_unit_test(a_run_of_other_settings_does_not_go_on),
        cmocka_unit_test(options_out_of_range_are_refused),
        cmocka_unit_test(short_memory_is_a_failure_like_any_other),
        cmocka_unit_test(a_loss_that_is_no_number_names_its_record),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
