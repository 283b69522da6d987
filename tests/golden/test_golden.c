/* Whole models against the float64 reference: every golden checkpoint and variant, converted to each type, on each device,
 * with each context method and kind of cache; every number type; and the shared fixtures where they are at hand. */
#include "golden/golden_compare.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    MAX_CASES = 4 * GOLDEN_MAX_FOLDERS
};

/* One test: a model, converted to a type, on a device. */
typedef struct golden_case {
    char name[192];
    golden_model model;
    const char *type, *device, *kv_type;
} golden_case;

/* Single precision all the way. */
static const golden_bounds exact = {1e-5, 2e-5, 2e-4, true};
/* Weights rounded to 11 bits, or keys and values. */
static const golden_bounds half_rounded = {4e-3, 1e-2, 5e-2, false};
/* Keys and values rounded to 8 bits within their block: off by a 254th of its largest at most. */
static const golden_bounds block_rounded = {2e-2, 2e-2, 2e-1, false};
/* Weights rounded to 8 bits. */
static const golden_bounds bf16_rounded = {2e-2, 5e-2, 4e-1, false};

static const golden_bounds *bounds_of(const golden_case *c, const json_t *expected) {
    if (c->kv_type && strcmp(c->kv_type, "q8_0") == 0) return &block_rounded;
    if (c->kv_type && strcmp(c->kv_type, "f16") == 0) return &half_rounded;
    /* A type that the checkpoint already has rounds nothing. */
    const char *stored = json_string_value(json_object_get(expected, "stored"));
    if (strcmp(c->type, "f32") == 0 || (stored && strcmp(c->type, stored) == 0)) return &exact;
    return c->type[0] == 'b' ? &bf16_rounded : &half_rounded;
}

static void compare_list(fal_model *model, const json_t *list, const golden_case *c,
                         const golden_bounds *bounds) {
    golden_result result;
    assert_true(json_array_size(list) > 0);
    for (size_t i = 0; i < json_array_size(list); i++) {
        golden_result_read(&result, json_array_get(list, i));
        golden_compare_ids(model, &result);
        golden_compare_result(model, &result, c->kv_type, bounds);
    }
}

static void compare_methods(const char *path, json_t *methods, const golden_case *c,
                            const golden_bounds *bounds) {
    const char *method;
    json_t *entry;
    json_object_foreach(methods, method, entry) {
        fal_error error = {0};
        fal_model *model = NULL;
        fal_model_options options = {
            .n_threads = 2,
            .device = c->device,
            .context_method = method,
            .context_scale = json_number_value(json_object_get(entry, "scale")),
            .context_original =
                (int)json_integer_value(json_object_get(entry, "original_context"))};
        CHECK_OK(fal_model_open(&model, path, &options, &error), &error);
        const fal_model_info *info = fal_model_info_get(model);
        assert_string_equal(info->rope_method, method);
        assert_int_equal(info->trained_context, options.context_original);
        CHECK_NEAR(info->n_context, info->trained_context * options.context_scale, 0.5);
        compare_list(model, json_object_get(entry, "results"), c, bounds);
        fal_model_close(model);
    }
}

static void test_model(void **state) {
    const golden_case *c = *state;
    char scratch[GOLDEN_PATH_SIZE], path[GOLDEN_PATH_SIZE];
    golden_scratch_make(scratch);
    golden_convert(&c->model, c->type, scratch, path);
    json_t *expected = golden_expected(&c->model);
    fal_error error = {0};
    fal_model *model = NULL;
    fal_model_options options = {.n_threads = 2, .device = c->device};
    CHECK_OK(fal_model_open(&model, path, &options, &error), &error);
    golden_compare_settings(model, json_object_get(expected, "settings"));
    const golden_bounds *bounds = bounds_of(c, expected);
    compare_list(model, json_object_get(expected, "default"), c, bounds);
    fal_model_close(model);
    if (json_object_get(expected, "context"))
        compare_methods(path, json_object_get(expected, "context"), c, bounds);
    json_decref(expected);
    golden_scratch_remove(scratch);
}

/* Bounds of quantized models on the cpu device, which rounds activations to 8 bits per block: each is off by at most
 * a / 254, evenly spread, where a is the block's largest magnitude; that is a / (127 * sqrt(12)) = a / 440 on average.
 * With a of 3 to 4 times the mean magnitude every product is off by about 0.8% of its spread; five products follow each
 * other, together 0.8% * sqrt(5) = 1.8% of the spread of the logits. The largest of 288 such errors is 3 spreads of the
 * error, and the largest logit 3 spreads of the logits, so 1.8% of the largest logit is expected; three times that is
 * allowed. The mean of 49 log-probabilities is off by less than the logits. */
static const golden_bounds eight_bit_activations = {0.055, 0.05, 1, false};
/* The ref device decodes the same weights as the reference and leaves activations alone. */
static const golden_bounds decoded = {1e-5, 1e-5, 1e-4, true};

static void test_quantized(void **state) {
    const golden_case *c = *state;
    char path[GOLDEN_PATH_SIZE], name[64];
    golden_join(path, c->model.folder, "expected.json");
    json_t *all = golden_json(path);
    const json_t *expected = json_object_get(all, c->type);
    snprintf(name, sizeof name, "%s.gguf", c->type);
    golden_join(path, c->model.folder, name);
    fal_error error = {0};
    fal_model *model = NULL;
    fal_model_options options = {.n_threads = 2, .device = c->device};
    CHECK_OK(fal_model_open(&model, path, &options, &error), &error);
    golden_compare_settings(model, json_object_get(expected, "settings"));
    golden_result result;
    golden_result_read(&result, json_array_get(json_object_get(expected, "default"), 0));
    golden_compare_ids(model, &result);
    bool is_cpu = strcmp(c->device, "cpu") == 0;
    golden_compare_result(model, &result, "f32", is_cpu ? &eight_bit_activations : &decoded);
    fal_model_close(model);
    json_decref(all);
}

static void test_no_shared_fixtures(void **state) {
    (void)state;
    skip();
}

/* ---- the list of tests ---- */

typedef struct case_list {
    golden_case cases[MAX_CASES];
    struct CMUnitTest tests[MAX_CASES];
    size_t count;
} case_list;

static void add_case(case_list *list, CMUnitTestFunction test, const golden_model *model,
                     const char *type, const char *device, const char *kv_type) {
    assert_true(list->count < MAX_CASES);
    golden_case *c = &list->cases[list->count];
    *c = (golden_case){.model = *model, .type = type, .device = device, .kv_type = kv_type};
    snprintf(c->name, sizeof c->name, "%s %s %s%s%s", model->name, type, device,
             kv_type ? " kv " : "", kv_type ? kv_type : "");
    list->tests[list->count++] =
        (struct CMUnitTest){.name = c->name, .test_func = test, .initial_state = c};
}

/* Heads of 16 numbers are half a block of q8_0. */
static bool has_whole_blocks(const golden_model *model) {
    json_t *expected = golden_expected(model);
    const json_t *settings = json_object_get(expected, "settings");
    bool has = json_integer_value(json_object_get(settings, "head_dim")) % 32 == 0;
    json_decref(expected);
    return has;
}

static void add_models(case_list *list, const char *root, bool has_ref) {
    static golden_model models[GOLDEN_MAX_FOLDERS];
    size_t count = golden_find(root, models, GOLDEN_MAX_FOLDERS);
    for (size_t i = 0; i < count; i++) {
        add_case(list, test_model, &models[i], "f32", "cpu", NULL);
        if (has_ref) add_case(list, test_model, &models[i], "f32", "ref", NULL);
        if (models[i].variant[0]) continue;
        add_case(list, test_model, &models[i], "f16", "cpu", "f32");
        add_case(list, test_model, &models[i], "bf16", "cpu", "f32");
        add_case(list, test_model, &models[i], "f32", "cpu", "f16");
        if (has_whole_blocks(&models[i]))
            add_case(list, test_model, &models[i], "f32", "cpu", "q8_0");
    }
}

static void add_quantized(case_list *list, bool has_ref) {
    static const char *const types[] = {"q4_0", "q4_1", "q5_0", "q5_1", "q8_0",   "q2_k",
                                        "q3_k", "q4_k", "q5_k", "q6_k", "iq4_nl", "iq4_xs"};
    static const golden_model model = {.name = "quantized",
                                       .folder = FAL_SOURCE_DIR "/tests/golden/models/quantized"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (has_ref) add_case(list, test_quantized, &model, types[i], "ref", NULL);
        add_case(list, test_quantized, &model, types[i], "cpu", NULL);
    }
}

int main(void) {
    static case_list list;
    /* Kernel sets make no difference to the ref device. */
    bool has_ref = getenv("FALCONER_CPU") == NULL;
    add_models(&list, FAL_SOURCE_DIR "/tests/golden/models", has_ref);
    add_quantized(&list, has_ref);
    size_t count = list.count;
    assert_true(count > 0);
    add_models(&list, FAL_SOURCE_DIR "/../shared/fixtures", has_ref);
    if (list.count == count) {
        list.tests[list.count++] = (struct CMUnitTest){.name = "shared fixtures (absent)",
                                                       .test_func = test_no_shared_fixtures};
    }
    return _cmocka_run_group_tests("golden", list.tests, list.count, NULL, NULL);
}
