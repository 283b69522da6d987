/* Settings that published files lost: what is recognised, what is restored, what is left alone, and that results follow. */
#include <falconer/session.h>

#include "golden/tiny_model.h"

#include <stdio.h>

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

static tiny_model alfred(void) {
    tiny_model t = tiny_model_whole();
    t.name = "alfred-40b-1023";
    t.has_chat_tokens = true;
    return t;
}

static fal_model *write_and_open(const tiny_model *t, const char *file,
                                 const fal_model_options *options) {
    char path[GOLDEN_PATH_SIZE];
    fal_model *model = NULL;
    golden_join(path, scratch, file);
    tiny_model_write(t, path);
    CHECK_OK(fal_model_open(&model, path, options, &error), &error);
    return model;
}

static void check_restored(const fal_model *model) {
    const fal_model_info *info = fal_model_info_get(model);
    assert_string_equal(info->rope_method, "ntk-yarn");
    CHECK_NEAR(info->rope_factor, 4, 0);
    CHECK_NEAR(info->rope_gain, 1.138629436111989, 1e-12);
    assert_int_equal(info->trained_context, 2048);
    assert_int_equal(info->n_context, 8192);
    assert_true(info->restored[0] != '\0');
    assert_null(strchr(info->restored, '\n'));
}

static void check_plain(const fal_model *model) {
    const fal_model_info *info = fal_model_info_get(model);
    assert_string_equal(info->rope_method, "none");
    CHECK_NEAR(info->rope_factor, 1, 0);
    CHECK_NEAR(info->rope_gain, 1, 0);
    assert_int_equal(info->n_context, 2048);
    assert_string_equal(info->restored, "");
}

typedef struct heard {
    int n_lines;
    char text[512];
} heard;

static void hear(void *user, fal_log_level level, const char *area, const char *text) {
    heard *h = user;
    if (level != FAL_LOG_WARNING) return;
    assert_string_equal(area, "model");
    h->n_lines++;
    snprintf(h->text, sizeof h->text, "%s", text);
}

static void test_by_name(void **state) {
    (void)state;
    static const char *const names[] = {"alfred-40b-1023", "lightonai_alfred-40b-1023", "Alfred"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        tiny_model t = alfred();
        t.name = names[i];
        fal_model *model = write_and_open(&t, "model.gguf", NULL);
        check_restored(model);
        fal_model_close(model);
    }
}

/* All published files are called "Falcon" inside. */
static void test_by_file(void **state) {
    (void)state;
    static const char *const files[] = {"alfred-40b-1023.Q4_K_M.gguf",
                                        "lightonai-Alfred-40B-1023-Q5_1.gguf"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        tiny_model t = alfred();
        t.name = "Falcon";
        fal_model *model = write_and_open(&t, files[i], NULL);
        check_restored(model);
        fal_model_close(model);
    }
}

static void test_says_so_once(void **state) {
    (void)state;
    tiny_model t = alfred();
    heard lines = {0};
    fal_model_options options = {
        .log = {hear, &lines}
    };
    fal_model *model = write_and_open(&t, "model.gguf", &options);
    assert_int_equal(lines.n_lines, 1);
    assert_string_equal(lines.text, fal_model_info_get(model)->restored);
    assert_non_null(strstr(lines.text, "NTK-YaRN"));
    assert_non_null(strstr(lines.text, "8192"));
    fal_model_close(model);
}

static void test_as_stored(void **state) {
    (void)state;
    tiny_model t = alfred();
    fal_model_options options = {.as_stored = true};
    fal_model *model = write_and_open(&t, "alfred.gguf", &options);
    check_plain(model);
    fal_model_close(model);
}

/* alfred-40b-0723 was never extended and knows no chat tokens. */
static void test_without_chat_tokens(void **state) {
    (void)state;
    tiny_model t = alfred();
    t.name = "alfred-40b-0723";
    t.has_chat_tokens = false;
    fal_model *model = write_and_open(&t, "alfred-40b-0723.gguf", NULL);
    check_plain(model);
    fal_model_close(model);
}

static void test_another_name(void **state) {
    (void)state;
    tiny_model t = alfred();
    t.name = "Falcon";
    fal_model *model = write_and_open(&t, "falcon-40b.gguf", NULL);
    check_plain(model);
    fal_model_close(model);
}

static void test_another_context(void **state) {
    (void)state;
    tiny_model t = alfred();
    t.context_length = 8192;
    fal_model *model = write_and_open(&t, "alfred.gguf", NULL);
    assert_string_equal(fal_model_info_get(model)->restored, "");
    assert_int_equal(fal_model_info_get(model)->n_context, 8192);
    fal_model_close(model);
}

/* A file that has settings of its own lost nothing. */
static void test_with_rope_keys(void **state) {
    (void)state;
    tiny_model t = alfred();
    t.extra_f32[0].key = "falcon.rope.freq_base";
    t.extra_f32[0].value = 20000;
    fal_model *model = write_and_open(&t, "alfred.gguf", NULL);
    check_plain(model);
    CHECK_NEAR(fal_model_info_get(model)->rope_base, 20000, 0);
    fal_model_close(model);
}

/* The dimension says nothing about the context. */
static void test_with_rope_dimension(void **state) {
    (void)state;
    tiny_model t = alfred();
    t.extra_u32 = "falcon.rope.dimension_count";
    t.extra_value = TINY_D_MODEL / TINY_HEADS;
    fal_model *model = write_and_open(&t, "alfred.gguf", NULL);
    check_restored(model);
    fal_model_close(model);
}

/* NTK-YaRN as other readers know it, with the method's name beside it. freq_base is 10000 * 5^(8/6). */
static tiny_model with_own_keys(float freq_base) {
    tiny_model t = tiny_model_whole();
    t.own_rope_method = "ntk-yarn";
    t.extra_f32[0].key = "falcon.rope.freq_base";
    t.extra_f32[0].value = freq_base;
    t.extra_f32[1].key = "falcon.rope.scaling.attn_factor";
    t.extra_f32[1].value = 1.13862944f;
    t.extra_f32[2].key = "falconer.rope.base";
    t.extra_f32[2].value = 10000;
    t.extra_f32[3].key = "falconer.rope.factor";
    t.extra_f32[3].value = 4;
    return t;
}

static void test_own_keys(void **state) {
    (void)state;
    tiny_model t = with_own_keys(85498.797f);
    fal_model *model = write_and_open(&t, "model.gguf", NULL);
    const fal_model_info *info = fal_model_info_get(model);
    assert_string_equal(info->rope_method, "ntk-yarn");
    CHECK_NEAR(info->rope_factor, 4, 0);
    CHECK_NEAR(info->rope_gain, 1.138629436111989, 1e-12);
    CHECK_NEAR(info->rope_base, 85498.797, 0.01);
    assert_string_equal(info->restored, "");
    fal_model_close(model);
}

/* Somebody changed the keys that all readers know: those count. */
static void test_contradicted_own_keys(void **state) {
    (void)state;
    tiny_model t = with_own_keys(20000);
    fal_model *model = write_and_open(&t, "model.gguf", NULL);
    const fal_model_info *info = fal_model_info_get(model);
    assert_string_equal(info->rope_method, "none");
    CHECK_NEAR(info->rope_base, 20000, 0);
    CHECK_NEAR(info->rope_gain, 1.13862944, 1e-6);
    fal_model_close(model);
}

static void last_logits(fal_model *model, float *out, size_t n_vocab) {
    int32_t tokens[40];
    fal_session *s = NULL;
    for (size_t i = 0; i < 40; i++)
        tokens[i] = (int32_t)(i * 7 % n_vocab);
    fal_session_options options = {.n_context = 64};
    CHECK_OK(fal_session_open(&s, model, &options, &error), &error);
    CHECK_OK(fal_session_feed(s, tokens, 40, NULL, &error), &error);
    memcpy(out, fal_session_logits(s), n_vocab * sizeof *out);
    fal_session_close(s);
}

/* Restored settings compute as the same settings asked for, and not as the stored ones. */
static void test_results(void **state) {
    (void)state;
    tiny_model t = alfred();
    const fal_model_options asked = {
        .as_stored = true, .context_method = "ntk-yarn", .context_scale = 4};
    const fal_model_options stored = {.as_stored = true};
    const fal_model_options *const options[] = {NULL, &asked, &stored};
    float logits[3][64];
    size_t n_vocab = 0;
    for (size_t i = 0; i < 3; i++) {
        fal_model *model = write_and_open(&t, "alfred.gguf", options[i]);
        n_vocab = (size_t)fal_model_info_get(model)->n_vocab;
        assert_in_range(n_vocab, 1, 64);
        last_logits(model, logits[i], n_vocab);
        fal_model_close(model);
    }
    assert_memory_equal(logits[0], logits[1], n_vocab * sizeof logits[0][0]);
    assert_memory_not_equal(logits[0], logits[2], n_vocab * sizeof logits[0][0]);
}

/* What a person asks for wins over what is restored. */
static void test_asked_method(void **state) {
    (void)state;
    tiny_model t = alfred();
    fal_model_options options = {.context_method = "linear", .context_scale = 2};
    fal_model *model = write_and_open(&t, "alfred.gguf", &options);
    const fal_model_info *info = fal_model_info_get(model);
    assert_string_equal(info->rope_method, "linear");
    CHECK_NEAR(info->rope_factor, 2, 0);
    CHECK_NEAR(info->rope_gain, 1, 0);
    assert_int_equal(info->n_context, 4096);
    fal_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_name),
        cmocka_unit_test(test_by_file),
        cmocka_unit_test(test_says_so_once),
        cmocka_unit_test(test_as_stored),
        cmocka_unit_test(test_without_chat_tokens),
        cmocka_unit_test(test_another_name),
        cmocka_unit_test(test_another_context),
        cmocka_unit_test(test_with_rope_keys),
        cmocka_unit_test(test_with_rope_dimension),
        cmocka_unit_test(test_own_keys),
        cmocka_unit_test(test_contradicted_own_keys),
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_asked_method),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
