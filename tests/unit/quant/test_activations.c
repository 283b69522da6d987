/* q8_1 and q8_k: the exact promise that every implementation of these encoders keeps. */
#include "base/half.h"
#include "base/random.h"
#include "check.h"
#include "quant/q8_1.h"
#include "quant/q8_k.h"
#include "quant/type.h"

#include <float.h>
#include <math.h>
#include <string.h>

static void gaussian(float *x, int n, uint64_t seed, float scale) {
    fal_random random = fal_random_seeded(seed, 0);
    for (int i = 0; i < n; i++) {
        x[i] = scale * (float)fal_random_normal(&random);
    }
}

static float largest(const float *x, int n) {
    float most = 0.0f;
    for (int i = 0; i < n; i++) {
        most = fmaxf(most, fabsf(x[i]));
    }
    return most;
}

static void codes_are_nearest_even_and_sums_are_theirs(void **state) {
    (void)state;
    static const float scales[] = {1.0f, 1e-6f, 3e4f, 1e-30f, 1e30f};
    for (size_t k = 0; k < 5; k++) {
        float x[256];
        struct fal_q8_1 small[8];
        struct fal_q8_k large;
        gaussian(x, 256, 11 + k, scales[k]);
        fal_q8_1_encode(x, NULL, small, 8);
        fal_q8_k_encode(x, NULL, &large, 1);
        float d = largest(x, 256) / 127.0f;
        assert_true(large.d == d);
        for (int i = 0; i < 256; i++) {
            assert_true((float)large.q[i] == nearbyintf(x[i] * (1.0f / d)));
        }
        for (int b = 0; b < 8; b++) {
            float d_small = largest(x + 32 * b, 32) / 127.0f;
            int sum = 0;
            assert_true(small[b].d == d_small);
            for (int j = 0; j < 32; j++) {
                assert_true((float)small[b].q[j] == nearbyintf(x[32 * b + j] * (1.0f / d_small)));
                sum += small[b].q[j];
            }
            assert_true(small[b].s == d_small * (float)sum);
        }
        for (int j = 0; j < 16; j++) {
            int sum = 0;
            for (int l = 0; l < 16; l++) {
                sum += large.q[16 * j + l];
            }
            assert_int_equal(large.sums[j], sum);
        }
    }
}

static void halves_go_to_even(void **state) {
    (void)state;
    float x[256] = {127.0f, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 126.5f, -127.0f};
    static const int expected[] = {127, 0, 2, 2, 0, -2, -2, 126, -127};
    struct fal_q8_1 small;
    struct fal_q8_k large;
    fal_q8_1_encode(x, NULL, &small, 1);
    fal_q8_k_encode(x, NULL, &large, 1);
    for (int i = 0; i < 9; i++) {
        assert_int_equal(small.q[i], expected[i]);
        assert_int_equal(large.q[i], expected[i]);
    }
}

static void zeros_and_specks_are_zero(void **state) {
    (void)state;
    static const float values[] = {0.0f, -0.0f, 1e-45f, FLT_MIN};
    for (int k = 0; k < 4; k++) {
        float x[256];
        struct fal_q8_1 small[8], no_small[8];
        struct fal_q8_k large, no_large;
        for (int i = 0; i < 256; i++) {
            x[i] = values[k];
        }
        memset(small, 0xff, sizeof small);
        memset(&large, 0xff, sizeof large);
        memset(no_small, 0, sizeof no_small);
        memset(&no_large, 0, sizeof no_large);
        fal_q8_1_encode(x, NULL, small, 8);
        fal_q8_k_encode(x, NULL, &large, 1);
        assert_memory_equal(small, no_small, sizeof small);
        assert_memory_equal(&large, &no_large, sizeof large);
    }
}

static void faults_stay_visible(void **state) {
    (void)state;
    static const float faults[] = {INFINITY, -INFINITY, NAN};
    for (int k = 0; k < 3; k++) {
        float x[256];
        struct fal_q8_1 small[8];
        struct fal_q8_k large;
        gaussian(x, 256, 5, 1.0f);
        x[40] = faults[k];
        fal_q8_1_encode(x, NULL, small, 8);
        fal_q8_k_encode(x, NULL, &large, 1);
        assert_int_equal(fal_bits_from_f32(large.d), 0x7fc00000u);
        assert_int_equal(fal_bits_from_f32(small[1].d), 0x7fc00000u);
        assert_int_equal(fal_bits_from_f32(small[1].s), 0x7fc00000u);
        assert_true(isfinite(small[0].d) && isfinite(small[2].d));
        for (int i = 0; i < 256; i++) {
            assert_int_equal(large.q[i], 0);
        }
        for (int j = 0; j < 16; j++) {
            assert_int_equal(large.sums[j], 0);
        }
    }
}

static void huge_activations_stay_finite(void **state) {
    (void)state;
    float x[256], back[256];
    struct fal_q8_k large;
    struct fal_q8_1 small[8];
    for (int i = 0; i < 256; i++) {
        x[i] = i % 2 != 0 ? 3e38f : -3e38f;
    }
    fal_q8_k_encode(x, NULL, &large, 1);
    fal_q8_1_encode(x, NULL, small, 8);
    fal_q8_k_decode(&large, back, 1);
    for (int i = 0; i < 256; i++) {
        assert_int_equal(large.q[i], i % 2 != 0 ? 127 : -127);
        assert_true(isfinite(back[i]));
    }
    assert_true(small[3].s == 0.0f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_nearest_even_and_sums_are_theirs),
        cmocka_unit_test(halves_go_to_even),
        cmocka_unit_test(zeros_and_specks_are_zero),
        cmocka_unit_test(faults_stay_visible),
        cmocka_unit_test(huge_activations_stay_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
