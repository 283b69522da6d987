/* Quantizing a tiny checkpoint: exact sizes, same bits for any number of threads, parts, resuming, refusals. */
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/file.h"
#include "check.h"
#include "convert/convert.h"
#include "convert/quantize.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char folder[] = FAL_SOURCE_DIR "/tests/golden/models/falcon-40b-like";
static char directory[256];
static const fal_log silent;

static int set_up(void **state) {
    (void)state;
    const char *base = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    snprintf(directory, sizeof directory, "%s/falconer-quantize-%ld", base, (long)getpid());
    return mkdir(directory, 0700);
}

static int tear_down(void **state) {
    (void)state;
    char command[300];
    snprintf(command, sizeof command, "rm -r '%s'", directory);
    return system(command);
}

static const char *at(const char *name) {
    static char paths[8][320];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static fal_quantize_output output_of(const char *name, const char *mix) {
    return (fal_quantize_output){.path = at(name), .plan = {.mix = fal_mix_by_name(mix)}};
}

static fal_source *open_source(const char *path) {
    fal_source *s;
    fal_error err = {0};
    CHECK_OK(fal_source_open(&s, path, false, &silent, &err), &err);
    return s;
}

static char *read_file(const char *path, size_t *length) {
    char *text;
    fal_error err = {0};
    CHECK_OK(fal_file_read(&text, length, path, 1u << 28, &err), &err);
    return text;
}

static void check_same_files(const char *a, const char *b) {
    size_t n, m;
    char *x = read_file(a, &n), *y = read_file(b, &m);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    fal_free(x);
    fal_free(y);
}

/* Every mix: the planned size is the file's size, several in one pass equal each alone, and threads change nothing. */
static void test_all_mixes(void **state) {
    (void)state;
    fal_source *s = open_source(folder);
    fal_quantize_output together[32];
    char names[32][64];
    fal_error err = {0};
    size_t n = (size_t)fal_mix_count();
    static char paths[32][320];
    for (size_t i = 0; i < n; i++) {
        snprintf(names[i], sizeof names[i], "all.%s.gguf", fal_mix_at((int)i)->name);
        snprintf(paths[i], sizeof paths[i], "%s/%s", directory, names[i]);
        together[i] = output_of("x", fal_mix_at((int)i)->name);
        together[i].path = paths[i];
    }
    const fal_quantize_options two = {.n_threads = 2}, three = {.n_threads = 3};
    CHECK_OK(fal_quantize_write(s, together, n, &two, &err), &err);
    for (size_t i = 0; i < n; i++) {
        fal_quantize_report report;
        CHECK_OK(fal_quantize_plan(&report, s, &together[i], NULL, &err), &err);
        size_t length;
        fal_free(read_file(paths[i], &length));
        assert_int_equal(report.file_bytes, length);
        fal_quantize_report_release(&report);
        fal_quantize_output alone = output_of("alone.gguf", fal_mix_at((int)i)->name);
        CHECK_OK(fal_quantize_write(s, &alone, 1, &three, &err), &err);
        check_same_files(paths[i], alone.path);
    }
    fal_source_close(s);
}

/* From the folder or by way of an f32 file: the same weights. */
static void test_sources_agree(void **state) {
    (void)state;
    fal_error err = {0};
    const fal_convert_options f32 = {.type = "f32"};
    const char *whole = at("whole.gguf");
    CHECK_OK(fal_convert_folder(folder, whole, &f32, &err), &err);
    fal_source *a = open_source(folder), *b = open_source(whole);
    fal_quantize_output from_folder = output_of("a.gguf", "Q4_K_M"),
                        from_file = output_of("b.gguf", "Q4_K_M");
    CHECK_OK(fal_quantize_write(a, &from_folder, 1, NULL, &err), &err);
    CHECK_OK(fal_quantize_write(b, &from_file, 1, NULL, &err), &err);
    check_same_files(from_folder.path, from_file.path);
    fal_source_close(a);
    fal_source_close(b);
}

static void test_parts(void **state) {
    (void)state;
    fal_source *s = open_source(folder);
    fal_quantize_output one = output_of("one.gguf", "Q8_0"),
                        parts = output_of("parts.gguf", "Q8_0");
    parts.split_bytes = 150000;
    fal_error err = {0};
    fal_quantize_report report;
    CHECK_OK(fal_quantize_plan(&report, s, &parts, NULL, &err), &err);
    assert_true(report.n_parts > 2);
    CHECK_OK(fal_quantize_write(s, &one, 1, NULL, &err), &err);
    CHECK_OK(fal_quantize_write(s, &parts, 1, NULL, &err), &err);
    fal_gguf *whole, *split;
    char *last = fal_quantize_part_path(parts.path, report.n_parts - 1, report.n_parts);
    CHECK_OK(fal_gguf_open(&whole, one.path, &err), &err);
    CHECK_OK(fal_gguf_open(&split, last, &err), &err);
    assert_int_equal(fal_gguf_file_bytes(split), report.file_bytes);
    assert_int_equal(fal_gguf_tensor_count(split), fal_gguf_tensor_count(whole));
    for (int i = 0; i < fal_gguf_tensor_count(whole); i++) {
        const fal_gguf_tensor *t = fal_gguf_tensor_at(whole, i),
                              *u = fal_gguf_tensor_find(split, t->name);
        assert_non_null(u);
        assert_int_equal(t->bytes, u->bytes);
        assert_memory_equal(t->data, u->data, t->bytes);
    }
    fal_gguf_close(whole);
    fal_gguf_close(split);
    fal_free(last);
    fal_quantize_report_release(&report);
    fal_source_close(s);
}

static void test_finished(void **state) {
    (void)state;
    fal_source *s = open_source(folder),
               *other = open_source(FAL_SOURCE_DIR "/tests/golden/models/falcon-180b-like");
    fal_quantize_output o = output_of("finished.gguf", "Q6_K"),
                        another_mix = output_of("finished.gguf", "Q4_K_S");
    fal_error err = {0};
    assert_false(fal_quantize_is_finished(s, &o, NULL));
    CHECK_OK(fal_quantize_write(s, &o, 1, NULL, &err), &err);
    assert_true(fal_quantize_is_finished(s, &o, NULL));
    assert_false(fal_quantize_is_finished(s, &another_mix, NULL));
    assert_false(fal_quantize_is_finished(other, &o, NULL));
    assert_int_equal(truncate(o.path, 5000), 0);
    assert_false(fal_quantize_is_finished(s, &o, NULL));
    fal_source_close(s);
    fal_source_close(other);
}

static bool stop_half_way(void *user, const char *tensor, int64_t n_done, int64_t n_total) {
    (void)user, (void)tensor;
    return n_done < n_total / 2;
}

static void test_refusals(void **state) {
    (void)state;
    fal_source *s = open_source(folder);
    fal_error err = {0};
    fal_quantize_output o = output_of("never.gguf", "Q4_0");
    const fal_quantize_options cancel = {.on_progress = stop_half_way};
    CHECK_STATUS(fal_quantize_write(s, &o, 1, &cancel, &err), FAL_E_CANCELLED, &err, "cancelled");
    assert_false(fal_file_exists(o.path));
    fal_quantize_output q8 = output_of("q8.gguf", "Q8_0");
    CHECK_OK(fal_quantize_write(s, &q8, 1, NULL, &err), &err);
    fal_source_close(s);
    s = open_source(q8.path);
    CHECK_STATUS(fal_quantize_write(s, &o, 1, NULL, &err), FAL_E_ARGUMENT, &err, "is q8_0 already");
    const fal_quantize_options again = {.allow_requantize = true};
    CHECK_OK(fal_quantize_write(s, &o, 1, &again, &err), &err);
    fal_source_close(s);
    s = open_source(FAL_SOURCE_DIR "/tests/golden/models/falcon-180b-like");
    const fal_quantize_options strict = {.no_fallback = true};
    fal_quantize_output k = output_of("k.gguf", "Q4_K_M");
    fal_quantize_report report;
    CHECK_OK(fal_quantize_plan(&report, s, &k, NULL, &err), &err);
    int n_fallback = report.summary.n_fallback_tensors;
    fal_quantize_report_release(&report);
    assert_true(n_fallback > 0);
    CHECK_STATUS(fal_quantize_write(s, &k, 1, &strict, &err), FAL_E_ARGUMENT, &err,
                 "no multiple of 256");
    assert_false(fal_file_exists(k.path));
    fal_source_close(s);
    CHECK_STATUS(fal_source_open(&s, at("nothing.gguf"), false, &silent, &err), FAL_E_NOT_FOUND,
                 &err, "nothing.gguf");
}

enum {
    ROWS = 3,
    COLUMNS = 64
};

/* A model of one matrix of f32. */
static void write_matrix(const char *path, const float values[ROWS * COLUMNS]) {
    fal_gguf_writer *w;
    fal_error err = {0};
    const int64_t shape[2] = {ROWS, COLUMNS};
    CHECK_OK(fal_gguf_writer_open(&w, &err), &err);
    fal_gguf_set_string(w, "general.architecture", "falcon", 6);
    fal_gguf_set_u32(w, "falcon.block_count", 1);
    CHECK_OK(fal_gguf_add_tensor(w, "blk.0.ffn_up.weight", fal_type_by_name("f32"), 2, shape, &err),
             &err);
    CHECK_OK(fal_gguf_writer_begin(w, path, &err), &err);
    CHECK_OK(fal_gguf_write_data(w, values, ROWS * COLUMNS * sizeof *values, &err), &err);
    CHECK_OK(fal_gguf_writer_commit(w, &err), &err);
    fal_gguf_writer_close(w);
}

/* A weight that is not finite is refused by name and position, and nothing is left. */
static void test_not_finite(void **state) {
    (void)state;
    fal_error err = {0};
    static const float bad[] = {INFINITY, -INFINITY, NAN};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        float values[ROWS * COLUMNS] = {0};
        values[2 * COLUMNS + 17] = bad[i];
        write_matrix(at("infinite.gguf"), values);
        fal_source *s = open_source(at("infinite.gguf"));
        fal_quantize_output o = output_of("refused.gguf", "Q4_0"),
                            f16 = output_of("kept.gguf", "F16");
        CHECK_STATUS(fal_quantize_write(s, &o, 1, NULL, &err), FAL_E_FORMAT, &err,
                     "tensor 'blk.0.ffn_up.weight': the weight in row 2, column 17 is not finite");
        assert_false(fal_file_exists(o.path));
        CHECK_OK(fal_quantize_write(s, &f16, 1, NULL, &err), &err);
        fal_source_close(s);
    }
}

/* What would become infinite in f16 is refused there, and is fine in types that have room for it. */
static void test_beyond_f16(void **state) {
    (void)state;
    fal_error err = {0};
    float values[ROWS * COLUMNS] = {0};
    values[COLUMNS + 3] = -65519;
    write_matrix(at("wide.gguf"), values);
    fal_source *s = open_source(at("wide.gguf"));
    fal_quantize_output o = output_of("narrow.gguf", "F16"), wide = output_of("bf16.gguf", "BF16");
    CHECK_OK(fal_quantize_write(s, &o, 1, NULL, &err), &err);
    fal_source_close(s);
    values[COLUMNS + 3] = -65520;
    write_matrix(at("wide.gguf"), values);
    s = open_source(at("wide.gguf"));
    CHECK_STATUS(fal_quantize_write(s, &o, 1, NULL, &err), FAL_E_FORMAT, &err,
                 "row 1, column 3 is -65520, f16 holds less");
    CHECK_OK(fal_quantize_write(s, &wide, 1, NULL, &err), &err);
    fal_source_close(s);
}

/* Finished is what has the very header that would be written, of the same weights. */
static void test_finished_in_every_way(void **state) {
    (void)state;
    fal_error err = {0};
    float values[ROWS * COLUMNS] = {0};
    write_matrix(at("one.gguf"), values);
    values[5] = 1;
    write_matrix(at("two.gguf"), values);
    fal_source *one = open_source(at("one.gguf")), *two = open_source(at("two.gguf"));
    static const char *const mixes[] = {"F32", "F16", "BF16", "Q8_0"};
    for (size_t i = 0; i < sizeof mixes / sizeof mixes[0]; i++) {
        fal_quantize_output o = output_of("same.gguf", mixes[i]);
        CHECK_OK(fal_quantize_write(one, &o, 1, NULL, &err), &err);
        assert_true(fal_quantize_is_finished(one, &o, NULL));
        assert_false(fal_quantize_is_finished(two, &o, NULL));
    }
    fal_quantize_output o = output_of("same.gguf", "Q4_0");
    o.plan.has_importance = true;
    const fal_quantize_options a = {.importance_digest = "a"}, b = {.importance_digest = "b"},
                               renamed = {.words.name = "another"};
    CHECK_OK(fal_quantize_write(one, &o, 1, &a, &err), &err);
    assert_true(fal_quantize_is_finished(one, &o, &a));
    assert_false(fal_quantize_is_finished(one, &o, &b));
    assert_false(fal_quantize_is_finished(one, &o, NULL));
    fal_source_close(one);
    fal_source_close(two);
    one = open_source(folder);
    o = output_of("named.gguf", "Q4_0");
    CHECK_OK(fal_quantize_write(one, &o, 1, NULL, &err), &err);
    assert_true(fal_quantize_is_finished(one, &o, NULL));
    assert_false(fal_quantize_is_finished(one, &o, &renamed));
    fal_source_close(one);
}

static bool stop_at_the_end(void *user, const char *tensor, int64_t n_done, int64_t n_total) {
    (void)user, (void)tensor;
    return n_done < n_total;
}

/* A model of 512 MiB, most of it a hole in the file: what was read is given back, so a model of any size needs as little. */
static void test_memory_is_bounded(void **state) {
    (void)state;
    fal_error err = {0};
    fal_gguf_writer *w;
    fal_string_builder header = {0};
    uint64_t bytes;
    const int64_t shape[2] = {16384, 8192};
    const char *path = at("large.gguf");
    CHECK_OK(fal_gguf_writer_open(&w, &err), &err);
    fal_gguf_set_string(w, "general.architecture", "falcon", 6);
    fal_gguf_set_u32(w, "falcon.block_count", 1);
    CHECK_OK(fal_gguf_add_tensor(w, "blk.0.ffn_up.weight", fal_type_by_name("f32"), 2, shape, &err),
             &err);
    CHECK_OK(fal_gguf_writer_header(w, &header, &err), &err);
    CHECK_OK(fal_gguf_writer_file_bytes(w, &bytes, &err), &err);
    CHECK_OK(fal_file_write(path, header.text, header.length, &err), &err);
    assert_true(bytes > UINT64_C(1) << 29);
    assert_int_equal(truncate(path, (off_t)bytes), 0);
    fal_source *s = open_source(path);
    fal_quantize_output o = output_of("small.gguf", "Q2_K");
    const fal_quantize_options how = {.on_progress = stop_at_the_end};
    CHECK_STATUS(fal_quantize_write(s, &o, 1, &how, &err), FAL_E_CANCELLED, &err, "cancelled");
    assert_true(fal_peak_memory() < UINT64_C(300) << 20);
    fal_source_close(s);
    fal_string_release(&header);
    fal_gguf_writer_close(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_mixes),
        cmocka_unit_test(test_sources_agree),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_finished),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_beyond_f16),
        cmocka_unit_test(test_finished_in_every_way),
        cmocka_unit_test(test_memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
