/* The report of fixed results against the text that it must give, with gnuplot and without. */
#include "base/alloc.h"
#include "base/file.h"
#include "publish/extension_report.h"
#include "unit/formats/temp_folder.h"
#include "unit/publish/extension_seeds.h"
#include "unit/publish/golden_text.h"

static json_t *fixed_results(void) {
    json_t *seeds = seeds_of(3);
    move_arm(seeds, "pi", "norms", 0, 8, 2, false);
    move_arm(seeds, "yarn", "before", 0, 3, -0.25, false);
    move_arm(seeds, "yarn", "curve", 0, 3, -0.25, false);
    move_arm(seeds, "yarn", "curve", 3, N_STEPS, 0.125, false);
    move_arm(seeds, "yarn", "after.scores", 0, 3, -0.25, false);
    move_arm(seeds, "ntk-yarn", "after.scores", 0, 3, 0.0625, true);
    move_arm(seeds, "ntk-yarn", "norms", 0, 8, -0.5, false);
    return seeds;
}

static char *read_text(temp_folder *folder, const char *name) {
    char *text = NULL;
    size_t length;
    fal_error err = {0};
    CHECK_OK(fal_file_read(&text, &length, temp_path(folder, name), 1 << 20, &err), &err);
    return text;
}

static void write_report(temp_folder *folder, const json_t *seeds, bool *has_figures) {
    fal_error err = {0};
    CHECK_OK(fal_extension_write_report(&small_preset, seeds, folder->path,
                                        "falconer experiment context-extension", has_figures, &err),
             &err);
}

static void test_text_is_the_golden_one(void **state) {
    (void)state;
    char *path = fal_copy_string(getenv("PATH"), strlen(getenv("PATH")));
    temp_folder folder = temp_folder_make();
    json_t *seeds = fixed_results();
    bool has_figures = true;
    assert_int_equal(setenv("PATH", "/nowhere", 1), 0); /* no gnuplot */
    write_report(&folder, seeds, &has_figures);
    assert_int_equal(setenv("PATH", path, 1), 0);
    assert_false(has_figures);
    assert_false(fal_file_exists(temp_path(&folder, "curves.svg")));
    char *text = read_text(&folder, "README.md"), *scores = read_text(&folder, "scores.tsv");
    check_golden(FAL_SOURCE_DIR "/tests/unit/publish/extension_report.golden", text);
    check_golden(FAL_SOURCE_DIR "/tests/unit/publish/extension_scores.golden", scores);
    fal_free(scores);
    fal_free(text);
    fal_free(path);
    json_decref(seeds);
    temp_remove(&folder);
}

static int count(const char *text, char c) {
    int n = 0;
    for (; *text; text++)
        n += *text == c;
    return n;
}

static void test_tables(void **state) {
    (void)state;
    temp_folder folder = temp_folder_make();
    json_t *seeds = fixed_results();
    bool has_figures;
    write_report(&folder, seeds, &has_figures);
    char *curves = read_text(&folder, "curves.tsv"), *subtasks = read_text(&folder, "subtasks.tsv");
    assert_int_equal(count(curves, '\n'), 1 + N_STEPS);
    assert_int_equal(count(curves, '\t'), 8 * (1 + N_STEPS));
    assert_memory_equal(curves, "tokens\tnone\tpi\t", 15);
    assert_non_null(strstr(curves, "\n40960\t")); /* 20 steps of 4 x 512 tokens */
    assert_null(strstr(curves, "short"));         /* it sees other data */
    assert_int_equal(count(subtasks, '\n'), 1 + 9 * 4 * 3);
    assert_non_null(strstr(subtasks, "\nshort\torigin\t512\t0.2"));
    fal_free(curves);
    fal_free(subtasks);
    json_decref(seeds);
    temp_remove(&folder);
}

static void test_figures(void **state) {
    (void)state;
    temp_folder folder = temp_folder_make();
    json_t *seeds = fixed_results();
    bool has_figures;
    write_report(&folder, seeds, &has_figures);
    if (has_figures) {
        static const char *const names[] = {"curves.svg", "scores.svg"};
        for (int i = 0; i < 2; i++) {
            char *svg = read_text(&folder, names[i]);
            assert_non_null(strstr(svg, "<svg"));
            assert_non_null(strstr(svg, "ntk-margin"));
            assert_non_null(strstr(svg, "</svg>"));
            fal_free(svg);
        }
        char *text = read_text(&folder, "README.md");
        assert_non_null(strstr(text, "(curves.svg)"));
        assert_non_null(strstr(text, "(scores.svg)"));
        fal_free(text);
    }
    json_decref(seeds);
    temp_remove(&folder);
    if (!has_figures) skip();
}

static void test_folder_that_is_not_there(void **state) {
    (void)state;
    json_t *seeds = fixed_results();
    bool has_figures;
    fal_error err = {0};
    CHECK_STATUS(fal_extension_write_report(&small_preset, seeds, "/nowhere/at/all", "x",
                                            &has_figures, &err),
                 FAL_E_NOT_FOUND, &err, "/nowhere/at/all/curves.tsv");
    json_decref(seeds);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_is_the_golden_one),
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_figures),
        cmocka_unit_test(test_folder_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
