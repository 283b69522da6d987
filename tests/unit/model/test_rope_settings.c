/* Settings from Hugging Face configs, and the keys by which GGUF files express them for other readers. */
#include "check.h"
#include "model/rope_settings.h"

#include <stdlib.h>

typedef struct config_case {
    const char *json, *method;
    double base, factor;
    int trained, context;
} config_case;

static void test_configs(void **state) {
    (void)state;
    static const config_case cases[] = {
        {"{}",                                                                                             "none",        10000,  1, 2048, 2048 },
        {"{\"rope_theta\": 500042.0, \"max_position_embeddings\": 8192}",                                  "none",        500042, 1, 8192,
         8192                                                                                                                                   },
        {"{\"rope_scaling\": null, \"vanilla_scaling_factor\": null}",                                     "none",        10000,  1, 2048,
         2048                                                                                                                                   },
        {"{\"ntk_scaling_factor\": 5, \"embedding_scaling_factor\": 4, \"vanilla_scaling_factor\": null}",
         "ntk-yarn",                                                                                                      10000,  4, 2048, 8192 },
        {"{\"ntk_scaling_factor\": 5, \"embedding_scaling_factor\": 4, \"rope_scaling\": {\"type\": \"ntk_yarn\", "
         "\"factor\": 4.0, \"original_max_position_embeddings\": 2048}}",                         "ntk-yarn",    10000,  4, 2048, 8192 },
        {"{\"ntk_scaling_factor\": 5}",                                                                    "ntk-margin",  10000,  4, 2048, 8192 },
        {"{\"vanilla_scaling_factor\": 2}",                                                                "linear",      10000,  2, 2048, 4096 },
        {"{\"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 2}}",                                     "dynamic-ntk", 10000,  2,
         2048,                                                                                                                             4096 },
        {"{\"max_position_embeddings\": 16384, \"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 4, "
         "\"original_max_position_embeddings\": 4096}}",                                          "yarn",        10000,  4, 4096, 16384},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const config_case *c = &cases[i];
        json_t *config = json_loads(c->json, 0, NULL);
        fal_rope_settings settings;
        fal_error err = {0};
        int n_context = 0;
        CHECK_OK(fal_rope_settings_from_hf(&settings, config, &n_context, &err), &err);
        assert_string_equal(settings.method->name, c->method);
        assert_true(settings.base == c->base && settings.factor == c->factor);
        assert_int_equal(settings.trained_context, c->trained);
        assert_int_equal(n_context, c->context);
        json_decref(config);
    }
}

/* What transformers 5 writes, and a gain that stands for the method's own. */
static void test_joined_parameters(void **state) {
    (void)state;
    json_t *config = json_loads("{\"max_position_embeddings\": 8192, \"rope_parameters\": "
                                "{\"rope_theta\": 500042.0, \"rope_type\": \"default\"}}",
                                0, NULL);
    fal_rope_settings s;
    fal_error err = {0};
    int n_context;
    CHECK_OK(fal_rope_settings_from_hf(&s, config, &n_context, &err), &err);
    assert_true(s.base == 500042 && n_context == 8192);
    assert_string_equal(s.method->name, "none");
    json_decref(config);
    config =
        json_loads("{\"rope_scaling\": {\"rope_type\": null, \"type\": \"yarn\", \"factor\": 4, "
                   "\"attention_factor\": 1.5, \"beta_fast\": 4, \"beta_slow\": 2}}",
                   0, NULL);
    CHECK_OK(fal_rope_settings_from_hf(&s, config, &n_context, &err), &err);
    double frequency[32], usual[32], gain;
    CHECK_OK(fal_rope_settings_compute(&s, 64, 0, frequency, NULL, &gain, &err), &err);
    CHECK_NEAR(gain, 1.5, 1e-12);
    fal_rope_keys keys;
    CHECK_OK(fal_rope_settings_to_keys(&s, 64, &keys, &err), &err);
    assert_true(keys.beta_fast == 4 && keys.beta_slow == 2);
    s.beta_fast = s.beta_slow = 0;
    CHECK_OK(fal_rope_settings_compute(&s, 64, 0, usual, NULL, NULL, &err), &err);
    assert_memory_not_equal(frequency, usual, sizeof usual);
    json_decref(config);
}

static void test_bad_configs(void **state) {
    (void)state;

    static const struct {
        const char *json;
        fal_status status;
        const char *fragment;
    } cases[] = {
        {"{\"rope_theta\": \"big\"}",                                                FAL_E_FORMAT,      "rope_theta"             },
        {"{\"max_position_embeddings\": -1}",                                        FAL_E_FORMAT,      "max_position_embeddings"},
        {"{\"max_position_embeddings\": 1e12}",                                      FAL_E_FORMAT,      "max_position_embeddings"},
        {"{\"rope_scaling\": {\"type\": \"longrope\", \"factor\": 2}}",              FAL_E_UNSUPPORTED,
         "longrope"                                                                                                              },
        {"{\"rope_scaling\": {\"factor\": 2}}",                                      FAL_E_FORMAT,      "rope_scaling"           },
        {"{\"rope_scaling\": {\"type\": \"linear\", \"factor\": 0.25}}",             FAL_E_FORMAT,      "0.25"                   },
        {"{\"rope_scaling\": {\"type\": \"linear\", \"factor\": 1e7}}",              FAL_E_FORMAT,      "1e+07"                  },
        {"{\"ntk_scaling_factor\": 7, \"embedding_scaling_factor\": 4}",             FAL_E_UNSUPPORTED,
         "ntk_scaling_factor 7"                                                                                                  },
        {"{\"max_position_embeddings\": 2000000000, \"vanilla_scaling_factor\": 4}", FAL_E_FORMAT,
         "context"                                                                                                               },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *config = json_loads(cases[i].json, 0, NULL);
        assert_non_null(config);
        fal_rope_settings settings;
        fal_error err = {0};
        int n_context = 0;
        CHECK_STATUS(fal_rope_settings_from_hf(&settings, config, &n_context, &err),
                     cases[i].status, &err, cases[i].fragment);
        json_decref(config);
    }
}

/* What a reader does with the common keys: base, interpolation with the ramp where type is yarn, and gains. */
static void read_as_others(const fal_rope_keys *keys, int head_dim, double *frequency,
                           double *gain) {
    fal_rope_settings s = {.base = keys->freq_base,
                           .factor = keys->scaling_type ? keys->scaling_factor : 1,
                           .trained_context = keys->original_context,
                           .attention_factor = keys->attn_factor};
    s.method = fal_rope_method_by_name(keys->scaling_type ? keys->scaling_type : "none");
    fal_error err = {0};
    CHECK_OK(fal_rope_settings_compute(&s, head_dim, 0, frequency, NULL, gain, &err), &err);
}

/* Every method but the dynamic one is expressed exactly by keys that know only none, linear and yarn. */
static void test_keys_express_methods(void **state) {
    (void)state;
    for (int k = 0; k < fal_rope_method_count(); k++) {
        const fal_rope_method *method = fal_rope_method_at(k);
        if (fal_rope_method_is_dynamic(method)) continue;
        fal_rope_settings s = {.method = method,
                               .base = 10000,
                               .factor = 4,
                               .trained_context = 2048,
                               .attention_factor = 1};
        if (strcmp(method->name, "none") == 0) s.factor = 1;
        fal_rope_keys keys;
        fal_error err = {0};
        double ours[32], theirs[32], gain, their_gain;
        CHECK_OK(fal_rope_settings_to_keys(&s, 64, &keys, &err), &err);
        CHECK_OK(fal_rope_settings_compute(&s, 64, 0, ours, NULL, &gain, &err), &err);
        read_as_others(&keys, 64, theirs, &their_gain);
        CHECK_NEAR(gain, their_gain, 1e-14);
        for (int i = 0; i < 32; i++)
            CHECK_NEAR(ours[i], theirs[i], 1e-14);
    }
}

/* Written to a config in either form and read back. */
static void check_config_of(const fal_rope_settings *s, int n_context, fal_rope_form form) {
    fal_error err = {0};
    fal_config_writer w = {.object = json_object()};
    fal_rope_settings read;
    int context_read = 0;
    double ours[32], theirs[32], gain, their_gain;
    CHECK_OK(fal_rope_settings_to_hf(s, 64, n_context, form, &w, &err), &err);
    CHECK_OK(fal_config_writer_status(&w, &err), &err);
    CHECK_OK(fal_rope_settings_from_hf(&read, w.object, &context_read, &err), &err);
    assert_int_equal(context_read, n_context);
    if (form == FAL_ROPE_BY_NAME && s->attention_factor == 1) {
        assert_ptr_equal(read.method, s->method);
        assert_true(read.factor == s->factor && read.base == s->base);
        assert_int_equal(read.trained_context, s->trained_context);
    }
    CHECK_OK(fal_rope_settings_compute(s, 64, 3000, ours, NULL, &gain, &err), &err);
    CHECK_OK(fal_rope_settings_compute(&read, 64, 3000, theirs, NULL, &their_gain, &err), &err);
    CHECK_NEAR(gain, their_gain, 1e-13);
    for (int i = 0; i < 32; i++)
        CHECK_NEAR(ours[i], theirs[i], 1e-13);
    json_decref(w.object);
}

static void test_configs_express_methods(void **state) {
    (void)state;
    for (int k = 0; k < fal_rope_method_count(); k++) {
        const fal_rope_method *method = fal_rope_method_at(k);
        bool is_none = strcmp(method->name, "none") == 0;
        fal_rope_settings s = {.method = method,
                               .base = 10000,
                               .factor = is_none ? 1 : 4,
                               .trained_context = 2048,
                               .attention_factor = 1};
        int n_context = is_none ? 2048 : 8192;
        check_config_of(&s, n_context, FAL_ROPE_BY_NAME);
        check_config_of(&s, n_context, FAL_ROPE_BY_NUMBERS);
        s.attention_factor = 1.25;
        s.base = 500042;
        check_config_of(&s, n_context, FAL_ROPE_BY_NAME);
        fal_config_writer w = {.object = json_object()};
        fal_status status =
            fal_rope_settings_to_hf(&s, 64, n_context, FAL_ROPE_BY_NUMBERS, &w, NULL);
        json_decref(w.object);
        bool has_no_gain =
            strcmp(method->name, "linear") == 0 || fal_rope_method_is_dynamic(method);
        assert_int_equal(status, has_no_gain ? FAL_E_UNSUPPORTED : FAL_OK);
        if (status == FAL_OK) check_config_of(&s, n_context, FAL_ROPE_BY_NUMBERS);
        /* A context that is not the product of trained length and factor. */
        s.attention_factor = 1;
        if (!is_none) check_config_of(&s, 8000, FAL_ROPE_BY_NAME);
    }
}

/* The first Alfred's fields are there, as its code reads them. */
static void test_config_of_alfred(void **state) {
    (void)state;
    fal_error err = {0};
    fal_config_writer w = {.object = json_object()};
    fal_rope_settings s = {.method = fal_rope_method_by_name("ntk-yarn"),
                           .base = 10000,
                           .factor = 4,
                           .trained_context = 2048,
                           .attention_factor = 1};
    CHECK_OK(fal_rope_settings_to_hf(&s, 64, 8192, FAL_ROPE_BY_NAME, &w, &err), &err);
    char *text = json_dumps(w.object, JSON_COMPACT | JSON_REAL_PRECISION(15));
    assert_string_equal(text,
                        "{\"rope_theta\":10000.0,\"max_position_embeddings\":8192,\"rope_scaling\":"
                        "{\"rope_type\":\"ntk_yarn\",\"type\":\"ntk_yarn\",\"factor\":4.0,"
                        "\"original_max_position_embeddings\":2048},\"ntk_scaling_factor\":5,"
                        "\"embedding_scaling_factor\":4,\"vanilla_scaling_factor\":null}");
    free(text);
    json_decref(w.object);
}

/* What tuned one method does not tune the next. */
static void test_another_method(void **state) {
    (void)state;
    fal_rope_settings s = {.method = fal_rope_method_by_name("yarn"),
                           .base = 500000,
                           .factor = 4,
                           .trained_context = 2048,
                           .beta_fast = 16,
                           .beta_slow = 2,
                           .attention_factor = 1.5};
    fal_rope_settings_set_method(&s, fal_rope_method_by_name("ntk"));
    assert_string_equal(s.method->name, "ntk");
    assert_true(s.beta_fast == 0 && s.beta_slow == 0 && s.attention_factor == 1);
    assert_true(s.base == 500000 && s.factor == 4);
    assert_int_equal(s.trained_context, 2048);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_configs),
        cmocka_unit_test(test_joined_parameters),
        cmocka_unit_test(test_bad_configs),
        cmocka_unit_test(test_keys_express_methods),
        cmocka_unit_test(test_configs_express_methods),
        cmocka_unit_test(test_config_of_alfred),
        cmocka_unit_test(test_another_method),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
