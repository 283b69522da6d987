/* train/journal.h: what a log holds, and how it is cut where a run goes on. */
#include "base/alloc.h"
#include "base/file.h"
#include "train/journal.h"
#include "unit/formats/temp_folder.h"

static fal_train_step step_of(int64_t number) {
    fal_train_step s = {.step = number,
                        .n_tokens = 10 * number,
                        .loss = 1.0 / (double)number,
                        .gradient_norm = 0.1,
                        .clip = 1,
                        .learning_rate = 1e-3,
                        .validation_loss = number == 2 ? 2.5 : (double)NAN,
                        .seconds = 0.5,
                        .tokens_per_second = 20,
                        .memory = 4096};
    for (int part = 0; part < FAL_LOSS_PART_COUNT; part++)
        s.part_losses[part] = (double)NAN;
    s.part_losses[FAL_LOSS_ANSWER] = 0.25;
    return s;
}

static fal_journal *open_journal(temp_folder *folder, int64_t last_step) {
    fal_journal *j;
    fal_error err = {0};
    CHECK_OK(fal_journal_open(&j, folder->path, last_step, &err), &err);
    return j;
}

static void add(fal_journal *j, int64_t number) {
    fal_train_step s = step_of(number);
    fal_error err = {0};
    CHECK_OK(fal_journal_add(j, &s, &err), &err);
}

static void check_file(temp_folder *folder, const char *name, const char *expected) {
    char *text;
    size_t length;
    fal_error err = {0};
    CHECK_OK(fal_file_read(&text, &length, temp_path(folder, name), 1 << 20, &err), &err);
    assert_string_equal(text, expected);
    fal_free(text);
}

#define HEADING "step\ttokens\tloss\tvalidation_loss\tgradient_norm\tlearning_rate\n"
#define TIMES   ", \"seconds\": 0.5, \"tokens_per_second\": 20, \"memory\": 4096}\n"
#define LINE_1                                                           \
    "{\"step\": 1, \"tokens\": 10, \"loss\": 1, \"loss_answer\": 0.25, " \
    "\"gradient_norm\": 0.10000000000000001, \"clip\": 1, \"learning_rate\": 0.001" TIMES
#define LINE_2                                                                        \
    "{\"step\": 2, \"tokens\": 20, \"loss\": 0.5, \"loss_answer\": 0.25, "            \
    "\"gradient_norm\": 0.10000000000000001, \"clip\": 1, \"learning_rate\": 0.001, " \
    "\"validation_loss\": 2.5" TIMES
#define ROW_1 "1\t10\t1\tNaN\t0.1\t0.001\n"
#define ROW_2 "2\t20\t0.5\t2.5\t0.1\t0.001\n"

static void steps_are_lines(void **state) {
    (void)state;
    temp_folder folder = temp_folder_make();
    fal_journal *j = open_journal(&folder, 0);
    add(j, 1);
    add(j, 2);
    fal_journal_close(j);
    check_file(&folder, "log.jsonl", LINE_1 LINE_2);
    check_file(&folder, "curves.tsv", HEADING ROW_1 ROW_2);
    /* A run that begins empties what one before has left. */
    fal_journal_close(open_journal(&folder, 0));
    check_file(&folder, "log.jsonl", "");
    check_file(&folder, "curves.tsv", HEADING);
    temp_remove(&folder);
}

/* Lines behind the checkpoint, half a line and lines that are none go. */
static void logs_are_cut_where_a_run_goes_on(void **state) {
    (void)state;
    static const char *const logs[] = {LINE_1 LINE_2, LINE_1 "{\"step\": 2, \"tok", LINE_1,
                                       LINE_1 "no line\n" LINE_2};
    static const char *const tables[] = {HEADING ROW_1 ROW_2, HEADING ROW_1 "2\t2", HEADING ROW_1,
                                         HEADING ROW_1 "x\n" ROW_2};
    for (size_t i = 0; i < sizeof logs / sizeof logs[0]; i++) {
        temp_folder folder = temp_folder_make();
        temp_write(&folder, "log.jsonl", logs[i], strlen(logs[i]));
        temp_write(&folder, "curves.tsv", tables[i], strlen(tables[i]));
        fal_journal *j = open_journal(&folder, 1);
        add(j, 2);
        fal_journal_close(j);
        check_file(&folder, "log.jsonl", LINE_1 LINE_2);
        check_file(&folder, "curves.tsv", HEADING ROW_1 ROW_2);
        temp_remove(&folder);
    }
}

static void curves_are_drawn(void **state) {
    (void)state;
    temp_folder folder = temp_folder_make();
    fal_journal *j = open_journal(&folder, 0);
    for (int64_t i = 1; i <= 30; i++)
        add(j, i);
    assert_true(fal_journal_draw(j, false));
    assert_false(fal_file_exists(temp_path(&folder, "curves.svg")));
    if (fal_journal_draw(j, true)) {
        char *text;
        size_t length;
        fal_error err = {0};
        CHECK_OK(fal_file_read(&text, &length, temp_path(&folder, "curves.svg"), 1 << 22, &err),
                 &err);
        assert_non_null(strstr(text, "learning rate"));
        assert_non_null(strstr(text, "validation"));
        assert_non_null(strstr(text, "</svg>"));
        fal_free(text);
    }
    fal_journal_close(j);
    temp_remove(&folder);
}

static void a_folder_that_is_none_is_refused(void **state) {
    (void)state;
    fal_journal *j;
    fal_error err = {0};
    CHECK_STATUS(fal_journal_open(&j, "/nowhere/at/all", 0, &err), FAL_E_NOT_FOUND, &err,
                 "/nowhere/at/all");
    assert_null(j);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_lines),
        cmocka_unit_test(logs_are_cut_where_a_run_goes_on),
        cmocka_unit_test(curves_are_drawn),
        cmocka_unit_test(a_folder_that_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
