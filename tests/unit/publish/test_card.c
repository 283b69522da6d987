/* Cards of a set with fixed measurements against the text that they must give, and what a set says of itself. */
#include "publish/card.h"
#include "publish/checksum.h"
#include "publish/plot.h"
#include "unit/formats/temp_folder.h"
#include "unit/publish/fixed_set.h"
#include "unit/publish/golden_text.h"

#include <stdio.h>

static const char original_front[] =
    "license: apache-2.0\nlanguage:\n- en\n- no\ndatasets:\n"
    "- tiiuae/falcon-refinedweb\ntags: [falcon-7b]\nmodel-index:\n- name: x\n";

static void card_is_the_golden_one(void **state) {
    (void)state;
    fal_set set = fixed_set();
    fal_front_matter *front = NULL;
    fal_string_builder out = {0};
    fal_error err = {0};
    CHECK_OK(fal_front_matter_open(&front, fal_slice_of(original_front), "card", &err), &err);
    const fal_card card = {.set = &set,
                           .front = front,
                           .original =
                               fal_slice_of("\n# Tiny 7B\n\nWords of its authors, {{name}}.\n"),
                           .base_model = "owner/tiny-7b",
                           .thumbnail = "tiny.png",
                           .plot = "quality.svg"};
    CHECK_OK(fal_card_write(&out, &card, fal_card_template(), "template", &err), &err);
    check_golden(FAL_SOURCE_DIR "/tests/unit/publish/card_full.golden", out.text);
    fal_string_release(&out);
    fal_front_matter_close(front);
    fal_set_release(&set);
}

/* Nothing measured, no original, no conversation format, one legacy file: no section is left empty. */
static void bare_card_is_the_golden_one(void **state) {
    (void)state;
    fal_set set = fixed_set();
    fal_string_builder out = {0};
    fal_error err = {0};
    fal_free(set.measuring.text_name);
    fal_free(set.chat_example);
    set.measuring.text_name = NULL;
    set.chat_example = NULL;
    set.files[0].cost = (fal_cost){0};
    fal_free(set.files[1].name);
    fal_free(set.files[2].name);
    set.n_files = 1;
    const fal_card card = {
        .set = &set, .license = "mit", .original = {"", 0}
    };
    CHECK_OK(fal_card_write(&out, &card, fal_card_template(), "template", &err), &err);
    check_golden(FAL_SOURCE_DIR "/tests/unit/publish/card_bare.golden", out.text);
    fal_string_release(&out);
    fal_set_release(&set);
}

static void own_templates_are_filled(void **state) {
    (void)state;
    fal_set set = fixed_set();
    fal_string_builder out = {0};
    fal_error err = {0};
    const fal_card card = {
        .set = &set, .original = {"", 0}
    };
    CHECK_OK(fal_card_write(
                 &out, &card,
                 fal_slice_of("{{name}} of {{file_count}}: {{example_file}}{{#plot}}!{{/plot}}"),
                 "mine", &err),
             &err);
    assert_string_equal(out.text, "tiny-7b of 3: tiny-7b.Q4_K_M.gguf");
    /* The table has brackets only where a file fits. */
    fal_string_clear(&out);
    CHECK_OK(fal_card_write(&out, &card, fal_slice_of("{{has_fit}}"), "mine", &err), &err);
    assert_string_equal(out.text, "yes");
    fal_string_clear(&out);
    set.n_context = 512;
    CHECK_OK(fal_card_write(&out, &card, fal_slice_of("{{has_fit}}-"), "mine", &err), &err);
    assert_string_equal(out.text, "-");
    CHECK_STATUS(fal_card_check_template(fal_slice_of("a\n{{nothing}}"), "mine", &err),
                 FAL_E_FORMAT, &err, "mine:2: no placeholder is called 'nothing'");
    fal_string_release(&out);
    fal_set_release(&set);
}

/* Names of texts are words, addresses are addresses, whatever they hold. */
static void foreign_names_do_no_harm(void **state) {
    (void)state;
    fal_set set = fixed_set();
    fal_string_builder out = {0};
    fal_error err = {0};
    fal_front_matter *front = NULL;
    fal_free(set.measuring.text_name);
    set.measuring.text_name = fixed_copy("a|b*c_`<i>[x](y)\nz");
    set.calibration_name = fixed_copy("&#1;");
    CHECK_OK(fal_front_matter_open(&front, fal_slice_of("thumbnail: 'a\" onload=\"b>.png'\n"),
                                   "card", &err),
             &err);
    const fal_card card = {
        .set = &set, .front = front, .original = {"", 0}
    };
    const fal_slice text = fal_slice_of("{{text_name}} {{calibration}} {{thumbnail}}");
    CHECK_OK(fal_card_write(&out, &card, text, "t", &err), &err);
    assert_string_equal(out.text, "a\\|b\\*c\\_\\`&lt;i&gt;\\[x\\](y) z &amp;\\#1; "
                                  "a%22%20onload=%22b%3E.png");
    fal_string_release(&out);
    fal_front_matter_close(front);
    fal_set_release(&set);
}

static void sizes_have_four_digits(void **state) {
    (void)state;

    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {0,           "0 B"     },
        {999,         "999 B"   },
        {1000,        "1.000 kB"},
        {99994,       "99.99 kB"},
        {99996,       "100.0 kB"},
        {999949,      "999.9 kB"},
        {999951,      "1.000 MB"},
        {25452369600, "25.45 GB"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[32];
        fal_card_format_size(text, sizeof text, cases[i].bytes);
        assert_string_equal(text, cases[i].text);
    }
}

static void best_fit_is_by_quality(void **state) {
    (void)state;
    fal_set set = fixed_set();
    uint64_t needs = 4980000000 + 400000000; /* as measured */
    assert_int_equal(fal_set_memory(&set, &set.files[1], 2048), needs);
    assert_ptr_equal(fal_set_best_fit(&set, needs, 2048), &set.files[1]);
    assert_ptr_equal(fal_set_best_fit(&set, needs - 1, 2048), &set.files[2]);
    assert_ptr_equal(fal_set_best_fit(&set, UINT64_MAX, 2048), &set.files[0]);
    assert_null(fal_set_best_fit(&set, 1000000, 2048));
    set.files[2].measured.divergence = 0.0001; /* measured better than its size says */
    assert_ptr_equal(fal_set_best_fit(&set, UINT64_MAX, 2048), &set.files[2]);
    set.files[0].measured.is_there = false; /* then size decides */
    assert_ptr_equal(fal_set_best_fit(&set, UINT64_MAX, 2048), &set.files[0]);
    fal_set_release(&set);
}

/* What was measured counts, less the cache that a shorter context spares; else weights, cache and working memory. */
static void memory_is_measured_or_added_up(void **state) {
    (void)state;
    fal_set set = fixed_set();
    fal_set_file *file = &set.files[1];
    uint64_t least = 4979000000 + 2048 * 8192, sum = least + 300000000;
    assert_int_equal(fal_set_memory(&set, file, 2048), 5380000000);
    assert_int_equal(fal_set_memory(&set, file, 1024), 5380000000 - 1024 * 8192);
    assert_int_equal(fal_set_memory(&set, file, 4096), sum + 2048 * 8192);
    file->cost.peak_bytes = least;
    assert_int_equal(fal_set_memory(&set, file, 2048), least);
    file->cost.peak_bytes = least - 1; /* the machine could not hold it */
    assert_int_equal(fal_set_memory(&set, file, 2048), sum);
    file->cost.peak_bytes = 0;
    assert_int_equal(fal_set_memory(&set, file, 2048), sum);
    assert_int_equal(fal_set_memory(&set, file, 0), sum - 2048 * 8192);
    fal_set_release(&set);
}

/* Measurements come back from JSON for the same files measured in the same way, and for no others. */
static void measurements_come_back(void **state) {
    (void)state;
    temp_folder folder = temp_folder_make();
    fal_set set = fixed_set(), again = fixed_set();
    fal_string_builder json = {0};
    fal_error err = {0};
    CHECK_OK(fal_set_to_json(&json, &set, &err), &err);
    temp_write(&folder, "m.json", json.text, json.length);
    for (size_t i = 0; i < 3; i++) {
        again.files[i].measured = (fal_measured){0};
        again.files[i].cost = (fal_cost){0};
    }
    again.files[2].sha256[0] = '0';
    again.measuring.n_scored = 0;
    assert_int_equal(fal_set_take_measured(&again, temp_path(&folder, "m.json")), 2);
    assert_true(again.files[0].measured.is_there);
    assert_false(again.files[2].measured.is_there);
    CHECK_NEAR(again.files[1].measured.divergence, 0.0213, 1e-9);
    CHECK_NEAR(again.files[1].cost.answer_speed, 8.5, 1e-9);
    assert_int_equal(again.files[1].cost.peak_bytes, 5380000000);
    assert_int_equal(again.measuring.n_scored, 145152);
    for (size_t i = 0; i < 3; i++)
        again.files[i].measured.is_there = again.files[i].cost.is_there = false;
    again.measuring.n_threads = 3;
    assert_int_equal(fal_set_take_measured(&again, temp_path(&folder, "m.json")), 0);
    again.measuring.n_threads = 2;
    again.n_context = 1024;
    assert_int_equal(fal_set_take_measured(&again, temp_path(&folder, "m.json")), 0);
    again.n_context = 2048;
    again.measuring.text_sha256[0] = 'c';
    assert_int_equal(fal_set_take_measured(&again, temp_path(&folder, "m.json")), 0);
    assert_int_equal(fal_set_take_measured(&again, temp_path(&folder, "absent.json")), 0);
    static const char *const strange[] = {"", "[]", "{}", "{\"measuring\": 1, \"files\": 2}",
                                          "{\"files\": ["};
    for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++) {
        temp_write(&folder, "s.json", strange[i], strlen(strange[i]));
        assert_int_equal(fal_set_take_measured(&again, temp_path(&folder, "s.json")), 0);
    }
    fal_string_release(&json);
    fal_set_release(&set);
    fal_set_release(&again);
    temp_remove(&folder);
}

static void checksums_are_read_and_written(void **state) {
    (void)state;
    temp_folder folder = temp_folder_make();
    fal_checksums list = {0}, read = {0};
    fal_error err = {0};
    char hex[FAL_SHA256_HEX] = "";
    memset(hex, 'a', FAL_SHA256_HEX - 1);
    CHECK_OK(fal_checksums_add(&list, hex, "a b.gguf", &err), &err);
    CHECK_OK(fal_checksums_write(&list, temp_path(&folder, "SUMS"), &err), &err);
    CHECK_OK(fal_checksums_read(&read, temp_path(&folder, "SUMS"), &err), &err);
    assert_int_equal(read.count, 1);
    assert_string_equal(read.items[0].name, "a b.gguf");
    assert_string_equal(read.items[0].sha256, hex);
    fal_checksums_release(&read);
    static const char *const bad[] = {"\nnonsense\n", "\nAAAA  x\n"};
    for (size_t i = 0; i < 2; i++) {
        temp_write(&folder, "SUMS", bad[i], strlen(bad[i]));
        CHECK_STATUS(fal_checksums_read(&read, temp_path(&folder, "SUMS"), &err), FAL_E_FORMAT,
                     &err, "SUMS:2: ");
        fal_checksums_release(&read);
    }
    fal_checksums_release(&list);
    temp_remove(&folder);
}

/* gnuplot draws the TSV, or says that it cannot; a failure leaves no picture. */
static void plot_is_drawn(void **state) {
    (void)state;
    temp_folder folder = temp_folder_make();
    fal_set set = fixed_set();
    fal_string_builder table = {0};
    fal_error err = {0};
    fal_set_to_tsv(&table, &set);
    temp_write(&folder, "it's.tsv", table.text, table.length);
    fal_status status =
        fal_plot_quality(temp_path(&folder, "it's.tsv"), temp_path(&folder, "q.svg"), true, &err);
    if (status == FAL_OK) {
        char *svg = NULL;
        size_t length = 0;
        CHECK_OK(fal_file_read(&svg, &length, temp_path(&folder, "q.svg"), 1 << 24, &err), &err);
        assert_non_null(strstr(svg, "<svg"));
        assert_non_null(strstr(svg, "Q4_K_M"));
        fal_free(svg);
        for (size_t i = 1; i < 3; i++) { /* all points at one place */
            set.files[i].bytes = set.files[0].bytes;
            set.files[i].measured = set.files[0].measured;
        }
        fal_string_clear(&table);
        fal_set_to_tsv(&table, &set);
        temp_write(&folder, "it's.tsv", table.text, table.length);
        CHECK_OK(fal_plot_quality(temp_path(&folder, "it's.tsv"), temp_path(&folder, "q.svg"), true,
                                  &err),
                 &err);
        CHECK_STATUS(fal_plot_quality(temp_path(&folder, "absent.tsv"), temp_path(&folder, "r.svg"),
                                      true, &err),
                     FAL_E_UNSUPPORTED, &err, "gnuplot");
    } else {
        print_message("no gnuplot: only its absence is tested\n");
        CHECK_STATUS(status, FAL_E_UNSUPPORTED, &err, "gnuplot cannot be started");
    }
    assert_false(fal_file_exists(temp_path(&folder, "r.svg")));
    fal_string_release(&table);
    fal_set_release(&set);
    temp_remove(&folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(card_is_the_golden_one),
                                       cmocka_unit_test(bare_card_is_the_golden_one),
                                       cmocka_unit_test(own_templates_are_filled),
                                       cmocka_unit_test(foreign_names_do_no_harm),
                                       cmocka_unit_test(sizes_have_four_digits),
                                       cmocka_unit_test(best_fit_is_by_quality),
                                       cmocka_unit_test(memory_is_measured_or_added_up),
                                       cmocka_unit_test(measurements_come_back),
                                       cmocka_unit_test(checksums_are_read_and_written),
                                       cmocka_unit_test(plot_is_drawn)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
