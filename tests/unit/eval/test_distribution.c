/* Rows of logits made by hand, whose probabilities and divergences are known; mean and standard error of numbers. */
#include "check.h"
#include "eval/distribution.h"
#include "eval/moments.h"

static double divergence(const float *p, const float *q, size_t n) {
    fal_distribution a = fal_distribution_of(p, n), b = fal_distribution_of(q, n);
    return fal_distribution_divergence(&a, &b);
}

static void test_probabilities(void **state) {
    (void)state;
    const float logits[] = {0.0f, logf(2.0f), logf(5.0f), logf(2.0f)};
    fal_distribution d = fal_distribution_of(logits, 4);
    assert_int_equal(d.top, 2);
    CHECK_NEAR(exp(fal_distribution_log(&d, 0)), 0.1, 1e-7);
    CHECK_NEAR(exp(fal_distribution_log(&d, 1)), 0.2, 1e-7);
    CHECK_NEAR(exp(fal_distribution_log(&d, 2)), 0.5, 1e-7);
    const float equal[] = {1.0f, 3.0f, 3.0f};
    assert_int_equal(fal_distribution_of(equal, 3).top, 1);
    const float far[] = {3e38f, -3e38f};
    d = fal_distribution_of(far, 2);
    CHECK_NEAR(fal_distribution_log(&d, 0), 0, 0);
    CHECK_NEAR(fal_distribution_log(&d, 1) / -6e38, 1, 1e-6);
}

static void test_divergence(void **state) {
    (void)state;
    const float half[] = {7.0f, 7.0f}, quarter[] = {-1.0f, -1.0f + logf(3.0f)};
    CHECK_NEAR(divergence(half, quarter, 2), 0.5 * log(2) + 0.5 * log(2.0 / 3), 1e-7);
    CHECK_NEAR(divergence(quarter, half, 2), 0.25 * log(0.5) + 0.75 * log(1.5), 1e-7);
    const float third[] = {2.5f, 2.5f, 2.5f}, sure[] = {0.0f, -2000.0f, 0.0f};
    /* What p calls impossible has no part. */
    CHECK_NEAR(divergence(sure, third, 3), log(1.5), 1e-12);
    CHECK_NEAR(divergence(third, sure, 3), 2000.0 / 3 + log(2.0 / 3), 1e-9);
}

static void test_same(void **state) {
    (void)state;
    float a[300], shifted[300];
    uint32_t drawn = 3;
    for (size_t i = 0; i < 300; i++) {
        drawn = drawn * 1664525u + 1013904223u;
        a[i] = (float)(drawn >> 20) / 256.0f;
        shifted[i] = a[i] + 64.0f;
    }
    assert_true(divergence(a, a, 300) == 0);
    CHECK_NEAR(divergence(a, shifted, 300), 0, 1e-12);
    assert_true(divergence(shifted, a, 300) >= 0);
}

static void test_not_finite(void **state) {
    (void)state;
    const float nan_first[] = {NAN, 1.0f}, nan_last[] = {1.0f, NAN}, infinite[] = {INFINITY, 1.0f};
    assert_false(isfinite(fal_distribution_of(nan_first, 2).log_sum));
    assert_false(isfinite(fal_distribution_of(nan_last, 2).log_sum));
    assert_false(isfinite(fal_distribution_of(infinite, 2).log_sum));
}

static void test_moments(void **state) {
    (void)state;
    static const double values[] = {1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16};
    fal_moments m = {0};
    assert_true(isnan(fal_moments_error(&m)));
    fal_moments_add(&m, values[0]);
    assert_true(isnan(fal_moments_error(&m)));
    for (size_t i = 1; i < 4; i++)
        fal_moments_add(&m, values[i]);
    /* Sample variance 30 of four numbers. */
    CHECK_NEAR(m.mean, 1e9 + 10, 1e-6);
    CHECK_NEAR(fal_moments_error(&m), sqrt(30.0 / 4), 1e-9);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probabilities), cmocka_unit_test(test_divergence),
        cmocka_unit_test(test_same), cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_moments)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
