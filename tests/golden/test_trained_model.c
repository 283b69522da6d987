/* Trainable models and files: what is opened and written again says and holds the same, and inference computes from the
 * file the logits that training computes from memory, for every golden variant, context method, number type and with
 * adapters folded in. This is what holds the two forward passes together. */
#include <falconer/session.h>

#include "base/alloc.h"
#include "base/random.h"
#include "golden/golden_files.h"
#include "golden/tiny_model.h"
#include "model/training_pass.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    N_TOKENS = 40,
    ORIGINAL = 16
};

static char scratch[GOLDEN_PATH_SIZE];

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

/* ---- logits by both ways ---- */

static void fill_tokens(int32_t tokens[N_TOKENS], int n_vocab) {
    for (int i = 0; i < N_TOKENS; i++)
        tokens[i] = (int32_t)(i * 7919 % n_vocab);
}

static float *training_logits(fal_trainable *t, const char *device_name) {
    fal_error error = {0};
    fal_device *device;
    fal_training_pass *pass;
    int32_t tokens[N_TOKENS], positions[N_TOKENS];
    const int64_t starts[] = {0, N_TOKENS};
    int n_vocab = fal_trainable_params(t)->n_vocab;
    fill_tokens(tokens, n_vocab);
    for (int i = 0; i < N_TOKENS; i++)
        positions[i] = i;
    fal_batch batch = {.n_tokens = N_TOKENS,
                       .tokens = tokens,
                       .positions = positions,
                       .starts = starts,
                       .n_sequences = 1};
    fal_training_pass_options options = {.max_tokens = N_TOKENS};
    float *logits = calloc((size_t)n_vocab * N_TOKENS, sizeof *logits);
    assert_non_null(logits);
    CHECK_OK(fal_device_open(&device, device_name, 2, &error), &error);
    CHECK_OK(fal_training_pass_open(&pass, t, device, &options, &error), &error);
    CHECK_OK(fal_training_pass_logits(pass, &batch, logits, &error), &error);
    fal_training_pass_close(pass);
    fal_device_close(device);
    return logits;
}

static float *inference_logits(const char *path, const char *device, const char *method) {
    fal_error error = {0};
    fal_model *model;
    fal_session *session;
    int32_t tokens[N_TOKENS];
    fal_model_options options = {.n_threads = 2, .device = device};
    fal_session_options session_options = {.kv_type = "f32"};
    CHECK_OK(fal_model_open(&model, path, &options, &error), &error);
    const fal_model_info *info = fal_model_info_get(model);
    if (method) assert_string_equal(info->rope_method, method);
    CHECK_OK(fal_session_open(&session, model, &session_options, &error), &error);
    fill_tokens(tokens, info->n_vocab);
    float *logits = calloc((size_t)info->n_vocab * N_TOKENS, sizeof *logits);
    assert_non_null(logits);
    CHECK_OK(fal_session_feed(session, tokens, N_TOKENS, logits, &error), &error);
    fal_session_close(session);
    fal_model_close(model);
    return logits;
}

/* path holds what t is; bound is relative to the largest logit. */
static void compare_logits(fal_trainable *t, const char *path, const char *device,
                           const char *method, double bound) {
    float *trained = training_logits(t, device), *inferred = inference_logits(path, device, method);
    int n_vocab = fal_trainable_params(t)->n_vocab;
    double largest = 0, furthest = 0;
    for (int i = 0; i < N_TOKENS * n_vocab; i++) {
        double distance = fabs((double)trained[i] - (double)inferred[i]);
        largest = fmax(largest, fabs((double)inferred[i]));
        if (!(distance <= furthest)) furthest = distance;
    }
    assert_true(largest > 0.1);
    if (!(furthest <= bound * largest))
        fail_msg("%s, %s: logits are %.3g apart, the largest is %.3g", path,
                 method ? method : "as it is", furthest, largest);
    free(trained);
    free(inferred);
}

/* ---- files that say the same ---- */

static void compare_value(const fal_gguf *a, const fal_gguf_value *v, const fal_gguf *b) {
    const fal_gguf_value *other = fal_gguf_find(b, v->key);
    if (!other) fail_msg("key '%s' is lost", v->key);
    assert_int_equal(v->type, other->type);
    assert_int_equal(v->element_type, other->element_type);
    assert_int_equal(v->count, other->count);
    for (uint64_t i = 0; i < v->count; i++) {
        fal_gguf_string text, other_text;
        int64_t integer, other_integer;
        double number, other_number;
        if (fal_gguf_value_string(a, v, i, &text)) {
            assert_true(fal_gguf_value_string(b, other, i, &other_text));
            assert_int_equal(text.length, other_text.length);
            assert_memory_equal(text.data, other_text.data, text.length);
        } else if (fal_gguf_value_i64(a, v, i, &integer)) {
            assert_true(fal_gguf_value_i64(b, other, i, &other_integer));
            assert_int_equal(integer, other_integer);
        } else {
            assert_true(fal_gguf_value_f64(a, v, i, &number));
            assert_true(fal_gguf_value_f64(b, other, i, &other_number));
            if (number != other_number)
                fail_msg("key '%s': %.9g became %.9g", v->key, number, other_number);
        }
    }
}

static void compare_files(const char *path, const char *other_path) {
    fal_error error = {0};
    fal_gguf *a, *b;
    CHECK_OK(fal_gguf_open(&a, path, &error), &error);
    CHECK_OK(fal_gguf_open(&b, other_path, &error), &error);
    assert_int_equal(fal_gguf_value_count(a), fal_gguf_value_count(b));
    for (int i = 0; i < fal_gguf_value_count(a); i++)
        compare_value(a, fal_gguf_value_at(a, i), b);
    assert_int_equal(fal_gguf_tensor_count(a), fal_gguf_tensor_count(b));
    for (int i = 0; i < fal_gguf_tensor_count(a); i++) {
        const fal_gguf_tensor *x = fal_gguf_tensor_at(a, i), *y = fal_gguf_tensor_at(b, i);
        assert_string_equal(x->name, y->name);
        assert_int_equal(x->type_id, y->type_id);
        assert_int_equal(x->n_dims, y->n_dims);
        assert_memory_equal(x->shape, y->shape, sizeof x->shape);
        assert_int_equal(x->bytes, y->bytes);
        assert_memory_equal(x->data, y->data, x->bytes);
    }
    fal_gguf_close(a);
    fal_gguf_close(b);
}

static void join(char path[GOLDEN_PATH_SIZE], const char *name) {
    golden_join(path, scratch, name);
}

static fal_trainable *open_trainable(const char *path, const fal_trainable_options *options) {
    fal_error error = {0};
    fal_gguf *file;
    fal_trainable *t;
    CHECK_OK(fal_gguf_open(&file, path, &error), &error);
    CHECK_OK(fal_trainable_open_gguf(&t, file, options, &error), &error);
    fal_gguf_close(file);
    return t;
}

static void write_trainable(const fal_trainable *t, const char *like, const char *type,
                            const char *path) {
    fal_error error = {0};
    fal_gguf *file;
    CHECK_OK(fal_gguf_open(&file, like, &error), &error);
    CHECK_OK(fal_trainable_write_gguf(t, file, fal_type_by_name(type), path, &error), &error);
    fal_gguf_close(file);
}

/* ---- tests ---- */

typedef void each_model(const golden_model *model);

static void for_each_model(each_model *function) {
    static golden_model models[GOLDEN_MAX_FOLDERS];
    size_t n = golden_find(FAL_SOURCE_DIR "/tests/golden/models", models, GOLDEN_MAX_FOLDERS);
    assert_in_range(n, 10, GOLDEN_MAX_FOLDERS);
    for (size_t i = 0; i < n; i++)
        function(&models[i]);
}

static void write_again(const golden_model *model) {
    static const char *const types[] = {"f32", "f16", "bf16"};
    char inner[GOLDEN_PATH_SIZE], path[GOLDEN_PATH_SIZE], written[GOLDEN_PATH_SIZE];
    join(written, "written.gguf");
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        golden_scratch_make(inner);
        golden_convert(model, types[i], inner, path);
        fal_trainable *t = open_trainable(path, NULL);
        write_trainable(t, path, types[i], written);
        compare_files(path, written);
        if (i == 0) {
            compare_logits(t, written, "cpu", NULL, 1e-4);
            compare_logits(t, written, "ref", NULL, 1e-5);
        }
        fal_trainable_close(t);
        golden_scratch_remove(inner);
    }
}

static void test_files_of_all_variants(void **state) {
    (void)state;
    for_each_model(write_again);
}

static void stretch(const golden_model *model) {
    char inner[GOLDEN_PATH_SIZE], path[GOLDEN_PATH_SIZE], written[GOLDEN_PATH_SIZE];
    fal_error error = {0};
    golden_scratch_make(inner);
    golden_convert(model, "f32", inner, path);
    join(written, "written.gguf");
    fal_trainable *t = open_trainable(path, NULL);
    bool can_stretch = fal_params_has(fal_trainable_params(t), FAL_FEATURE_ROPE);
    for (int i = 0; i < fal_rope_method_count(); i++) {
        const fal_rope_method *method = fal_rope_method_at(i);
        bool is_none = strcmp(method->name, "none") == 0;
        fal_rope_settings rope = {.method = method,
                                  .base = 500,
                                  .factor = is_none ? 1 : 3,
                                  .trained_context = ORIGINAL,
                                  .attention_factor = 1};
        if (!can_stretch) {
            CHECK_STATUS(fal_trainable_set_rope(t, &rope, &error), FAL_E_ARGUMENT, &error,
                         "no rotary positions");
            continue;
        }
        CHECK_OK(fal_trainable_set_rope(t, &rope, &error), &error);
        assert_int_equal(fal_trainable_params(t)->n_context, is_none ? ORIGINAL : 3 * ORIGINAL);
        write_trainable(t, path, "f32", written);
        if (!is_none) compare_logits(t, written, "cpu", method->name, 1e-4);
    }
    fal_trainable_close(t);
    golden_scratch_remove(inner);
}

static void test_context_methods_of_all_variants(void **state) {
    (void)state;
    for_each_model(stretch);
}

/* ref multiplies by what the blocks stand for, as training does. */
static void test_number_types(void **state) {
    (void)state;
    const char *folder = FAL_SOURCE_DIR "/tests/golden/models/quantized";
    struct dirent **entries;
    int n_entries = scandir(folder, &entries, NULL, alphasort), n_checked = 0;
    for (int i = 0; i < n_entries; i++) {
        char path[GOLDEN_PATH_SIZE];
        if (strstr(entries[i]->d_name, ".gguf")) {
            golden_join(path, folder, entries[i]->d_name);
            fal_trainable *t = open_trainable(path, NULL);
            compare_logits(t, path, "ref", NULL, 1e-5);
            fal_trainable_close(t);
            n_checked++;
        }
        free(entries[i]);
    }
    free(entries);
    assert_true(n_checked >= 10);
}

static void draw_adapters(fal_trainable *t) {
    fal_random random = fal_random_seeded(5, 0);
    for (int i = 0; i < fal_trainable_count(t); i++) {
        fal_trainable_weight *w = fal_trainable_at(t, i);
        float *value = w->value.data;
        for (int64_t k = 0; w->part == FAL_TRAINABLE_LORA_B && k < w->n_rows * w->n_cols; k++)
            value[k] = (float)fal_random_normal(&random) / 4;
    }
}

static void fold(const golden_model *model) {
    char inner[GOLDEN_PATH_SIZE], path[GOLDEN_PATH_SIZE], written[GOLDEN_PATH_SIZE];
    const fal_trainable_options options = {
        .seed = 3, .lora = {.rank = 4, .alpha = 6}
    };
    golden_scratch_make(inner);
    golden_convert(model, "f32", inner, path);
    join(written, "written.gguf");
    fal_trainable *t = open_trainable(path, &options);
    /* B is 0 at first: nothing is changed yet. */
    write_trainable(t, path, "f32", written);
    compare_files(path, written);
    draw_adapters(t);
    write_trainable(t, path, "f32", written);
    compare_logits(t, written, "cpu", NULL, 1e-4);
    fal_trainable *plain = open_trainable(path, NULL);
    float *before = training_logits(plain, "cpu"), *after = training_logits(t, "cpu");
    assert_memory_not_equal(before, after, N_TOKENS * sizeof(float));
    free(before);
    free(after);
    fal_trainable_close(plain);
    fal_trainable_close(t);
    golden_scratch_remove(inner);
}

static void test_adapters_of_all_variants(void **state) {
    (void)state;
    for_each_model(fold);
}

/* Each number depends on seed and name alone; a fresh model is one that inference reads, once it has a vocabulary. */
static void test_fresh(void **state) {
    (void)state;
    char like[GOLDEN_PATH_SIZE], path[GOLDEN_PATH_SIZE];
    fal_error error = {0};
    fal_trainable *fresh, *deeper;
    join(like, "like.gguf");
    join(path, "fresh.gguf");
    tiny_model tiny = tiny_model_whole();
    tiny_model_write(&tiny, like);
    fal_trainable *t = open_trainable(like, NULL);
    fal_params p = *fal_trainable_params(t);
    assert_true(p.has_tied_head);
    const fal_trainable_options options = {.seed = 9}, other = {.seed = 10};
    const fal_arch *arch = fal_trainable_arch(t);
    CHECK_OK(fal_trainable_open_fresh(&fresh, arch, &p, &options, &error), &error);
    p.n_layers++;
    CHECK_OK(fal_trainable_open_fresh(&deeper, arch, &p, &options, &error), &error);
    const fal_trainable_weight *a = fal_trainable_find(fresh, "blk.1.ffn_up.weight"),
                               *b = fal_trainable_find(deeper, "blk.1.ffn_up.weight");
    size_t n = (size_t)(a->n_rows * a->n_cols);
    assert_memory_equal(a->value.data, b->value.data, n * sizeof(float));
    double squares = 0, sum = 0;
    for (size_t i = 0; i < n; i++) {
        double x = (double)((const float *)a->value.data)[i];
        sum += x;
        squares += x * x;
    }
    CHECK_NEAR(sqrt(squares / (double)n), 0.02, 0.002);
    CHECK_NEAR(sum / (double)n, 0, 0.002);
    const fal_trainable_weight *down = fal_trainable_find(fresh, "blk.1.ffn_down.weight");
    squares = 0;
    for (int64_t i = 0; i < down->n_rows * down->n_cols; i++)
        squares += pow((double)((const float *)down->value.data)[i], 2);
    CHECK_NEAR(sqrt(squares / (double)(down->n_rows * down->n_cols)),
               0.02 / sqrt(2.0 * TINY_LAYERS), 0.001);
    CHECK_NEAR(((const float *)fal_trainable_find(fresh, "output_norm.weight")->value.data)[3], 1,
               0);
    CHECK_NEAR(((const float *)fal_trainable_find(fresh, "output_norm.bias")->value.data)[3], 0, 0);
    fal_trainable_close(deeper);
    p.n_layers--;
    CHECK_OK(fal_trainable_open_fresh(&deeper, arch, &p, &other, &error), &error);
    assert_memory_not_equal(fal_trainable_find(deeper, "blk.1.ffn_up.weight")->value.data,
                            a->value.data, n * sizeof(float));
    write_trainable(fresh, like, "f32", path);
    compare_logits(fresh, path, "cpu", "none", 1e-4);
    CHECK_STATUS(fal_trainable_write_gguf(fresh, NULL, fal_type_by_name("q8_0"), path, &error),
                 FAL_E_ARGUMENT, &error, "type 'q8_0'");
    fal_trainable_close(deeper);
    fal_trainable_close(fresh);
    fal_trainable_close(t);
}

/* Alfred's file that lost its settings: they are in force, and written. */
static void test_restored(void **state) {
    (void)state;
    char lost[GOLDEN_PATH_SIZE], path[GOLDEN_PATH_SIZE];
    join(lost, "lost.gguf");
    join(path, "found.gguf");
    tiny_model tiny = tiny_model_whole();
    tiny.name = "Alfred";
    tiny.has_chat_tokens = true;
    tiny_model_write(&tiny, lost);
    fal_trainable *t = open_trainable(lost, NULL);
    assert_string_equal(fal_trainable_params(t)->rope.method->name, "ntk-yarn");
    assert_int_equal(fal_trainable_params(t)->n_context, 8192);
    write_trainable(t, lost, "f32", path);
    compare_logits(t, path, "cpu", "ntk-yarn", 1e-4);
    fal_trainable_close(t);
}

static void test_refused_files(void **state) {
    (void)state;
    char path[GOLDEN_PATH_SIZE];
    join(path, "refused.gguf");
    fal_error error = {0};

    struct {
        tiny_model model;
        const char *fragment;
    } cases[] = {
        {tiny_model_whole(), "tensor 'blk.1.ffn_up.weight' is missing"       },
        {tiny_model_whole(), "tensor 'output_norm.bias': shape [31]"         },
        {tiny_model_whole(), "4000 layers are announced"                     },
        {tiny_model_whole(), "key 'falcon.attention.layer_norm_epsilon'"     },
        {tiny_model_whole(), "vocabulary of 28 tokens, but the embedding has"},
    };

    cases[0].model.without_tensor = "blk.1.ffn_up.weight";
    cases[1].model.reshaped = "output_norm.bias";
    cases[1].model.n_dims = 1;
    cases[1].model.shape[0] = 31;
    cases[2].model.n_layers = 4000;
    cases[3].model.without_key = "falcon.attention.layer_norm_epsilon";
    cases[4].model.n_unnamed_rows = -2;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fal_gguf *file;
        fal_trainable *t;
        tiny_model_write(&cases[i].model, path);
        CHECK_OK(fal_gguf_open(&file, path, &error), &error);
        CHECK_STATUS(fal_trainable_open_gguf(&t, file, NULL, &error), FAL_E_FORMAT, &error,
                     cases[i].fragment);
        assert_null(t);
        fal_gguf_close(file);
    }
}

static void test_refused_memory(void **state) {
    (void)state;
    char like[GOLDEN_PATH_SIZE], path[GOLDEN_PATH_SIZE];
    fal_error error = {0};
    fal_gguf *file;
    join(like, "like.gguf");
    join(path, "whole.gguf");
    tiny_model tiny = tiny_model_whole();
    tiny_model_write(&tiny, like);
    CHECK_OK(fal_gguf_open(&file, like, &error), &error);
    long n = 1, live = fal_alloc_live();
    for (; n < 2000; n++) {
        fal_trainable *t = NULL;
        unlink(path);
        fal_alloc_fail_at(n);
        fal_status status = fal_trainable_open_gguf(&t, file, NULL, &error);
        if (status == FAL_OK)
            status = fal_trainable_write_gguf(t, file, fal_type_by_id(FAL_TYPE_F32), path, &error);
        fal_alloc_fail_at(0);
        fal_trainable_close(t);
        assert_int_equal(fal_alloc_live(), live);
        assert_int_equal(access(path, F_OK) == 0, status == FAL_OK);
        if (status == FAL_OK) break;
        CHECK_STATUS(status, FAL_E_MEMORY, &error, "");
    }
    assert_in_range(n, 10, 1999);
    fal_gguf_close(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_of_all_variants),
        cmocka_unit_test(test_context_methods_of_all_variants),
        cmocka_unit_test(test_number_types),
        cmocka_unit_test(test_adapters_of_all_variants),
        cmocka_unit_test(test_fresh),
        cmocka_unit_test(test_restored),
        cmocka_unit_test(test_refused_files),
        cmocka_unit_test(test_refused_memory),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
