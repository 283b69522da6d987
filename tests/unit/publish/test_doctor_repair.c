/* Repairs: afterwards doctor finds nothing, and the model computes what the settings restored at run time did. */
#define _GNU_SOURCE /* syscall */
#include <falconer/session.h>

#include "base/alloc.h"
#include "base/file.h"
#include "golden/tiny_model.h"
#include "publish/repair.h"

#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static bool dies_in_the_header;

/* Writes over an existing file go through here. */
ssize_t pwrite(int file, const void *data, size_t length, off_t at) {
    if (!dies_in_the_header) return syscall(SYS_pwrite64, file, data, length, at);
    (void)syscall(SYS_pwrite64, file, data, length / 2, at);
    _exit(77);
}

static char scratch[GOLDEN_PATH_SIZE];
static fal_error error;

static int make_scratch(void **state) {
    (void)state;
    golden_scratch_make(scratch);
    return 0;
}

static int remove_scratch(void **state) {
    (void)state;
    golden_scratch_remove(scratch);
    return 0;
}

static const char *write_alfred(char path[GOLDEN_PATH_SIZE], const char *name) {
    tiny_model t = tiny_model_whole();
    t.has_chat_tokens = true;
    golden_join(path, scratch, name);
    tiny_model_write(&t, path);
    return path;
}

static void expect_healthy(const char *path) {
    fal_diagnosis d;
    CHECK_OK(fal_doctor_examine(&d, path, NULL, &error), &error);
    if (d.count) fail_msg("%s: %s: %s", path, d.findings[0].check->name, d.findings[0].text);
    fal_diagnosis_release(&d);
}

typedef struct computed {
    float logits[64];
    int n_context;
    double base, gain;
    char restored[256];
} computed;

static void compute(const char *path, computed *out) {
    fal_model *model;
    fal_session *s;
    const fal_session_options options = {.n_context = 64};
    *out = (computed){0};
    CHECK_OK(fal_model_open(&model, path, NULL, &error), &error);
    const fal_model_info *info = fal_model_info_get(model);
    int32_t tokens[40];
    for (int i = 0; i < 40; i++)
        tokens[i] = i * 7 % info->n_vocab;
    assert_in_range(info->n_vocab, 1, 64);
    CHECK_OK(fal_session_open(&s, model, &options, &error), &error);
    CHECK_OK(fal_session_feed(s, tokens, 40, NULL, &error), &error);
    memcpy(out->logits, fal_session_logits(s), (size_t)info->n_vocab * sizeof *out->logits);
    out->n_context = info->n_context;
    out->base = info->rope_base;
    out->gain = info->rope_gain;
    snprintf(out->restored, sizeof out->restored, "%s", info->restored);
    fal_session_close(s);
    fal_model_close(model);
}

/* The repaired file says itself what was restored at run time before. */
static void check_alfred(const char *path, const computed *before) {
    computed after;
    compute(path, &after);
    assert_true(before->restored[0] != '\0');
    assert_string_equal(after.restored, "");
    assert_int_equal(after.n_context, 8192);
    CHECK_NEAR(after.gain, before->gain, 0);
    CHECK_NEAR(after.base, before->base, 0);
    assert_memory_equal(after.logits, before->logits, sizeof after.logits);
    fal_gguf *f;
    uint32_t number;
    float real;
    bool flag;
    fal_gguf_string text;
    CHECK_OK(fal_gguf_open(&f, path, &error), &error);
    assert_true(fal_gguf_find_u32(f, "falcon.context_length", &number));
    assert_int_equal(number, 8192);
    assert_true(fal_gguf_find_u32(f, "falcon.rope.scaling.original_context_length", &number));
    assert_int_equal(number, 2048);
    assert_true(fal_gguf_find_f32(f, "falcon.rope.freq_base", &real));
    CHECK_NEAR(real, 85498.797, 0.01); /* 10000 * 5^(8/6): heads are 8 wide */
    assert_true(fal_gguf_find_f32(f, "falcon.rope.scaling.attn_factor", &real));
    CHECK_NEAR(real, 1.13862944, 1e-7);
    assert_true(fal_gguf_find_bool(f, "falcon.rope.scaling.finetuned", &flag));
    assert_true(flag);
    assert_true(fal_gguf_find_u32(f, "tokenizer.ggml.eot_token_id", &number));
    assert_int_equal(number, 31);
    assert_true(fal_gguf_find_string(f, "tokenizer.chat_template", &text));
    assert_true(fal_slice_contains((fal_slice){text.data, text.length}, "<start_user>", false));
    fal_gguf_close(f);
}

static void test_alfred(void **state) {
    (void)state;
    char path[GOLDEN_PATH_SIZE];
    computed before;
    fal_repaired r;
    compute(write_alfred(path, "alfred.gguf"), &before);
    CHECK_OK(fal_doctor_repair(path, NULL, NULL, &r, &error), &error);
    assert_int_equal(r.n_edits, 1);
    assert_true(r.is_beside);
    expect_healthy(path);
    check_alfred(path, &before);

    /* Once more changes nothing. */
    char *bytes, *again;
    size_t length, length_again;
    CHECK_OK(fal_file_read(&bytes, &length, path, 1 << 24, &error), &error);
    CHECK_OK(fal_doctor_repair(path, NULL, NULL, &r, &error), &error);
    assert_int_equal(r.n_edits, 0);
    CHECK_OK(fal_file_read(&again, &length_again, path, 1 << 24, &error), &error);
    assert_int_equal(length, length_again);
    assert_memory_equal(bytes, again, length);
    fal_free(bytes);
    fal_free(again);
}

static void test_alfred_out(void **state) {
    (void)state;
    char path[GOLDEN_PATH_SIZE], out[GOLDEN_PATH_SIZE];
    computed before, untouched;
    fal_repaired r;
    compute(write_alfred(path, "alfred.gguf"), &before);
    golden_join(out, scratch, "repaired.gguf");
    CHECK_OK(fal_doctor_repair(path, out, NULL, &r, &error), &error);
    assert_int_equal(r.n_edits, 1);
    expect_healthy(out);
    check_alfred(out, &before);
    compute(path, &untouched);
    assert_string_equal(untouched.restored, before.restored);
    /* Of a healthy file no copy is made. */
    remove(path);
    assert_int_equal(rename(out, path), 0);
    CHECK_OK(fal_doctor_repair(path, out, NULL, &r, &error), &error);
    assert_int_equal(r.n_edits, 0);
    assert_false(fal_file_exists(out));
}

/* The settings that other programs read for the real shape. */
static void test_alfred_heads_of_64(void **state) {
    (void)state;
    char path[GOLDEN_PATH_SIZE];
    tiny_model t = tiny_model_whole();
    fal_repaired r;
    fal_gguf *f;
    float base;
    t.has_chat_tokens = true;
    t.d_model = 256;
    golden_join(path, scratch, "alfred-40b-1023.gguf");
    tiny_model_write(&t, path);
    CHECK_OK(fal_doctor_repair(path, NULL, NULL, &r, &error), &error);
    CHECK_OK(fal_gguf_open(&f, path, &error), &error);
    assert_true(fal_gguf_find_f32(f, "falcon.rope.freq_base", &base));
    CHECK_NEAR(base, 52664.434, 0.004);
    fal_gguf_close(f);
}

static void test_falcon2(void **state) {
    (void)state;
    char path[GOLDEN_PATH_SIZE];
    tiny_model t = tiny_model_whole();
    fal_repaired r;
    fal_gguf *f;
    float base;
    uint32_t n_context;
    t.n_layers = 60;
    t.d_model = 4096;
    t.n_heads = 32;
    t.n_kv_heads = 8;
    golden_join(path, scratch, "falcon.gguf");
    tiny_model_write(&t, path);
    CHECK_OK(fal_doctor_repair(path, NULL, NULL, &r, &error), &error);
    assert_int_equal(r.n_edits, 1);
    CHECK_OK(fal_gguf_open(&f, path, &error), &error);
    assert_true(fal_gguf_find_f32(f, "falcon.rope.freq_base", &base));
    CHECK_NEAR(base, 500042, 0);
    assert_true(fal_gguf_find_u32(f, "falcon.context_length", &n_context));
    assert_int_equal(n_context, 8192);
    fal_gguf_close(f);
}

/* Changes of keys by which a whole file is spoilt; in place where they take no room. */
static void edit(const char *path, const char *removed, const char *key, uint32_t value) {
    fal_gguf_writer *w;
    const char *const list[] = {removed, NULL};
    CHECK_OK(fal_gguf_writer_open(&w, &error), &error);
    if (key) fal_gguf_set_u32(w, key, value);
    CHECK_OK(fal_gguf_edit(path, w, list, NULL, NULL, &error), &error);
    fal_gguf_writer_close(w);
}

/* Every repairable thing that can be wrong at once, hidden behind an id that hides the others. */
static void test_all_at_once(void **state) {
    (void)state;
    char path[GOLDEN_PATH_SIZE];
    computed before;
    fal_repaired r;
    compute(write_alfred(path, "alfred.gguf"), &before);
    edit(path, "tokenizer.ggml.pre", "tokenizer.ggml.eos_token_id", 4000);
    edit(path, "tokenizer.ggml.token_type", "tokenizer.ggml.padding_token_id", 4001);
    CHECK_OK(fal_doctor_repair(path, NULL, NULL, &r, &error), &error);
    assert_true(r.n_edits >= 2);
    expect_healthy(path);
    check_alfred(path, &before);
    fal_gguf *f;
    uint32_t id;
    CHECK_OK(fal_gguf_open(&f, path, &error), &error);
    assert_true(fal_gguf_find_u32(f, "tokenizer.ggml.eos_token_id", &id));
    assert_int_equal(id, 0);
    assert_null(fal_gguf_find(f, "tokenizer.ggml.padding_token_id"));
    fal_gguf_close(f);
}

static void test_in_place(void **state) {
    (void)state;
    char path[GOLDEN_PATH_SIZE];
    tiny_model t = tiny_model_whole();
    fal_repaired r;
    golden_join(path, scratch, "falcon.gguf");
    tiny_model_write(&t, path);
    edit(path, "tokenizer.ggml.pre", NULL, 0);
    CHECK_OK(fal_doctor_repair(path, NULL, NULL, &r, &error), &error);
    assert_int_equal(r.n_edits, 1);
    assert_false(r.is_beside);
    expect_healthy(path);
}

static void test_end_of_text(void **state) {
    (void)state;
    char path[GOLDEN_PATH_SIZE];
    tiny_model t = tiny_model_whole();
    fal_repaired r;
    golden_join(path, scratch, "falcon.gguf");
    tiny_model_write(&t, path);
    edit(path, "tokenizer.ggml.eos_token_id", NULL, 0);
    CHECK_OK(fal_doctor_repair(path, NULL, NULL, &r, &error), &error);
    assert_int_equal(r.n_edits, 1);
    expect_healthy(path);
}

/* A repair in place that dies in the middle of the header: the next one puts the file back and repairs it. */
static void test_cut_short(void **state) {
    (void)state;
    char path[GOLDEN_PATH_SIZE];
    tiny_model t = tiny_model_whole();
    fal_repaired r;
    golden_join(path, scratch, "falcon.gguf");
    tiny_model_write(&t, path);
    edit(path, "tokenizer.ggml.pre", NULL, 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dies_in_the_header = true;
        _exit(fal_doctor_repair(path, NULL, NULL, &r, NULL) == FAL_OK ? 0 : 1);
    }
    int end;
    assert_int_equal(waitpid(child, &end, 0), child);
    assert_true(WIFEXITED(end) && WEXITSTATUS(end) == 77);
    fal_diagnosis d;
    CHECK_OK(fal_doctor_examine(&d, path, NULL, &error), &error);
    assert_string_equal(d.findings[0].check->name, "interrupted-repair");
    fal_diagnosis_release(&d);
    CHECK_OK(fal_doctor_repair(path, NULL, NULL, &r, &error), &error);
    assert_true(r.was_undone);
    assert_int_equal(r.n_edits, 1);
    expect_healthy(path);
    assert_false(fal_gguf_edit_was_cut_short(path));
}

/* What metadata cannot mend stays, and is no failure. */
static void test_beyond_repair(void **state) {
    (void)state;
    char path[GOLDEN_PATH_SIZE];
    tiny_model t = tiny_model_whole();
    fal_repaired r;
    fal_diagnosis d;
    t.without_tensor = "blk.1.ffn_up.weight";
    golden_join(path, scratch, "falcon.gguf");
    tiny_model_write(&t, path);
    CHECK_OK(fal_doctor_repair(path, NULL, NULL, &r, &error), &error);
    assert_int_equal(r.n_edits, 0);
    CHECK_OK(fal_doctor_examine(&d, path, NULL, &error), &error);
    assert_int_equal(d.count, 1);
    fal_diagnosis_release(&d);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_scratch, remove_scratch)
    const struct CMUnitTest tests[] = {
        TEST(test_alfred),      TEST(test_alfred_out),  TEST(test_alfred_heads_of_64),
        TEST(test_falcon2),     TEST(test_all_at_once), TEST(test_in_place),
        TEST(test_end_of_text), TEST(test_cut_short),   TEST(test_beyond_repair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
