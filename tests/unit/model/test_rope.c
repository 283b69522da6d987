/* Frequencies against tests/golden/rope.json, whose values come from an independent float64 implementation, and properties
 * that hold for any method. */
#include "check.h"
#include "formats/json_file.h"
#include "model/rope.h"

enum {
    N_DIMS = 64,
    N_PAIRS = N_DIMS / 2
};

static const fal_rope_input alfred = {
    .n_dims = N_DIMS, .base = 10000, .factor = 4, .trained_context = 2048};

static void compute(const char *name, const fal_rope_input *in, double *frequency, double *base,
                    double *gain) {
    const fal_rope_method *method = fal_rope_method_by_name(name);
    assert_non_null(method);
    fal_error err = {0};
    CHECK_OK(fal_rope_compute(method, in, frequency, base, gain, &err), &err);
}

static void test_golden_frequencies(void **state) {
    (void)state;
    json_t *golden;
    fal_error err = {0};
    CHECK_OK(fal_json_read_file(&golden, FAL_SOURCE_DIR "/tests/golden/rope.json", &err), &err);
    json_t *methods = json_object_get(golden, "methods"), *expected;
    const char *name;
    assert_int_equal(json_object_size(methods), 7);
    json_object_foreach(methods, name, expected) {
        double frequency[N_PAIRS], gain;
        compute(name, &alfred, frequency, NULL, &gain);
        json_t *values = json_object_get(expected, "inverse_frequencies");
        assert_int_equal(json_array_size(values), N_PAIRS);
        for (size_t i = 0; i < N_PAIRS; i++) {
            double value = json_real_value(json_array_get(values, i));
            CHECK_NEAR(frequency[i], value, 1e-13 * value);
        }
        CHECK_NEAR(gain, json_real_value(json_object_get(expected, "scale")), 1e-14);
    }
    json_decref(golden);
}

/* The published numbers of Alfred-40B-1023: base 52664.4343 and m 1.13862944. */
static void test_alfred_numbers(void **state) {
    (void)state;
    double frequency[N_PAIRS], base, gain;
    compute("ntk-yarn", &alfred, frequency, &base, &gain);
    CHECK_NEAR(base, 52664.43434, 1e-4);
    CHECK_NEAR(gain, 1.138629436, 1e-9);
}

/* NTK turns the slowest pair exactly as slowly as interpolation does, and leaves the fastest. */
static void test_ntk_ends(void **state) {
    (void)state;
    double plain[N_PAIRS], ntk[N_PAIRS], margin[N_PAIRS];
    compute("none", &alfred, plain, NULL, NULL);
    compute("ntk", &alfred, ntk, NULL, NULL);
    compute("ntk-margin", &alfred, margin, NULL, NULL);
    CHECK_NEAR(ntk[N_PAIRS - 1] / plain[N_PAIRS - 1], 1.0 / 4, 1e-14);
    CHECK_NEAR(margin[N_PAIRS - 1] / plain[N_PAIRS - 1], 1.0 / 5, 1e-14);
    assert_true(ntk[0] == 1 && margin[0] == 1);
}

/* Every method keeps frequencies positive, falling from pair to pair, never above the trained ones; a factor of 1 changes
 * nothing except where the method's own margin does. */
static void test_properties(void **state) {
    (void)state;
    static const int dims[] = {4, 32, 64, 96, 128, 256};
    for (int k = 0; k < fal_rope_method_count(); k++) {
        const char *name = fal_rope_method_at(k)->name;
        for (size_t d = 0; d < sizeof dims / sizeof dims[0]; d++) {
            fal_rope_input in = alfred;
            in.n_dims = dims[d];
            double frequency[128], plain[128], gain;
            compute(name, &in, frequency, NULL, &gain);
            compute("none", &in, plain, NULL, NULL);
            assert_true(gain >= 1);
            for (int i = 0; i < dims[d] / 2; i++) {
                assert_true(frequency[i] > 0 && frequency[i] <= plain[i]);
                assert_true(i == 0 || frequency[i] < frequency[i - 1]);
            }
            if (strstr(name, "margin") || strcmp(name, "ntk-yarn") == 0) continue;
            in.factor = 1;
            compute(name, &in, frequency, NULL, &gain);
            assert_true(gain == 1);
            for (int i = 0; i < dims[d] / 2; i++)
                CHECK_NEAR(frequency[i], plain[i], 1e-15);
        }
    }
}

/* Factor 4 at twice the trained length asks for the base that NTK-Margin gives at 4; within it nothing changes. */
static void test_dynamic(void **state) {
    (void)state;
    double frequency[N_PAIRS], base;
    fal_rope_input in = alfred;

    static const struct {
        int length;
        double base;
    } cases[] = {
        {1,    10000      },
        {2048, 10000      },
        {4096, 52664.43434},
        {8192, 141213.757 }
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        in.context_now = cases[i].length;
        compute("dynamic-ntk", &in, frequency, &base, NULL);
        CHECK_NEAR(base, cases[i].base, 1e-3);
    }
    for (int i = 0; i < fal_rope_method_count(); i++) {
        const fal_rope_method *method = fal_rope_method_at(i);
        assert_int_equal(fal_rope_method_is_dynamic(method),
                         strcmp(method->name, "dynamic-ntk") == 0);
    }
}

static void test_refusals(void **state) {
    (void)state;
    double frequency[N_PAIRS];
    const fal_rope_method *yarn = fal_rope_method_by_name("yarn");

    static const struct {
        fal_rope_input in;
        const char *fragment;
    } cases[] = {
        {{.n_dims = 3, .base = 1e4, .trained_context = 1},                                  "head dimension 3" },
        {{.n_dims = 2, .base = 1e4, .trained_context = 1},                                  "head dimension 2" },
        {{.n_dims = 64, .base = 1, .trained_context = 1},                                   "base 1"           },
        {{.n_dims = 64, .base = NAN, .trained_context = 1},                                 "base"             },
        {{.n_dims = 64, .base = 1e4, .factor = 0.5, .trained_context = 1},                  "factor 0.5"       },
        {{.n_dims = 64, .base = 1e4, .trained_context = 0},                                 "trained context 0"},
        {{.n_dims = 64, .base = 1e4, .trained_context = 1, .beta_fast = 1, .beta_slow = 2}, "beta"             },
        {{.n_dims = 64, .base = 1e4, .trained_context = 1, .attention_factor = -1},
         "attention factor"                                                                                    },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fal_error err = {0};
        CHECK_STATUS(fal_rope_compute(yarn, &cases[i].in, frequency, NULL, NULL, &err),
                     FAL_E_ARGUMENT, &err, cases[i].fragment);
    }
    assert_null(fal_rope_method_by_name("NTK"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_frequencies),
        cmocka_unit_test(test_alfred_numbers),
        cmocka_unit_test(test_ntk_ends),
        cmocka_unit_test(test_properties),
        cmocka_unit_test(test_dynamic),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
