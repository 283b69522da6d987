/* The searches that the encoders share, against every try counted again in double. */
#include "base/random.h"
#include "check.h"
#include "quant/iq4_nl.h"
#include "quant/scale_search.h"

#include <stdbool.h>

enum {
    N = 16,
    N_ROWS = 500
};

static void gaussian(fal_random *random, float *x, int n) {
    for (int i = 0; i < n; i++) {
        x[i] = (float)fal_random_normal(random);
    }
}

static int code_of(double x, int low, int high) {
    double nearest = nearbyint(x);
    return nearest < low ? low : nearest > high ? high : (int)nearest;
}

/* How much of the power of x (weights x^2) codes explain at their best scale, 0 to 1. */
static double explained(const float *x, const int *codes, int n) {
    double xl = 0.0, l2 = 0.0, x2 = 0.0;
    for (int i = 0; i < n; i++) {
        double w = (double)x[i] * (double)x[i];
        xl += w * (double)x[i] * codes[i];
        l2 += w * codes[i] * codes[i];
        x2 += w * (double)x[i] * (double)x[i];
    }
    return l2 > 0.0 ? xl * xl / (l2 * x2) : 0.0;
}

static double explained_by_divisor(const float *x, int n, int largest, double divisor) {
    int codes[32];
    double extreme = (double)fal_signed_extreme(x, n);
    for (int i = 0; i < n; i++) {
        codes[i] = code_of((double)x[i] * -divisor / extreme, -largest, largest - 1);
    }
    return explained(x, codes, n);
}

static void symmetric_search_finds_the_best_try(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(21, 0);
    int n_better = 0;
    for (int row = 0; row < N_ROWS; row++) {
        float x[N];
        int codes[N];
        gaussian(&random, x, N);
        float scale = fal_search_symmetric(x, N, 32, codes);
        double best = 0.0, found = explained(x, codes, N);
        for (int k = -9; k <= 9; k++) {
            best = fmax(best, explained_by_divisor(x, N, 32, 32.0 + 0.1 * k));
        }
        CHECK_NEAR(found, best, 1e-6);
        n_better += found > explained_by_divisor(x, N, 32, 32.0);
        assert_true(isfinite(scale) && scale != 0.0f);
    }
    assert_true(n_better > N_ROWS / 2);
}

/* Passes move codes only where the extreme is negative: with a positive one the first sums are below zero. */
static void passes_end_where_no_single_move_helps(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(22, 0);
    int n_better = 0, n_negative = 0, n_settled = 0;
    for (int row = 0; row < N_ROWS; row++) {
        float x[N];
        int codes[N];
        gaussian(&random, x, N);
        fal_search_symmetric_passes(x, N, 4, codes);
        double found = explained(x, codes, N), first = explained_by_divisor(x, N, 4, 4.0);
        if (fal_signed_extreme(x, N) > 0.0f) {
            CHECK_NEAR(found, first, 1e-6);
            continue;
        }
        bool settled = true;
        for (int i = 0; i < N; i++) {
            for (int step = -1; step <= 1; step += 2) {
                int kept = codes[i];
                codes[i] = code_of(kept + step, -4, 3);
                settled = settled && explained(x, codes, N) < found + 1e-6;
                codes[i] = kept;
            }
        }
        n_settled += settled;
        n_negative++;
        n_better += found > first + 1e-9;
        assert_true(found > first - 1e-6);
    }
    assert_true(n_negative > N_ROWS / 3);
    assert_true(n_better > n_negative / 4);
    /* Five passes may end early, rarely. */
    assert_true(n_settled > n_negative * 95 / 100);
}

static double weighted_error(const fal_scale_min_search *search, const float *x,
                             const float *importance, const int *codes, double scale,
                             double minimum) {
    double sum = 0.0;
    for (int i = 0; i < search->n; i++) {
        double e = scale * codes[i] - minimum - (double)x[i];
        sum += (double)importance[i] * (search->absolute_error ? fabs(e) : e * e);
    }
    return sum;
}

static void scale_and_minimum_beat_plain_rounding(void **state) {
    (void)state;
    static const fal_scale_min_search searches[] = {
        {16, 3,  -0.5f, 0.1f, 15, true },
        {32, 15, -1.0f, 0.1f, 20, false},
        {32, 31, -0.5f, 0.1f, 15, false},
    };
    fal_random random = fal_random_seeded(23, 0);
    for (int s = 0; s < 3; s++) {
        const fal_scale_min_search *search = &searches[s];
        int n_better = 0;
        for (int row = 0; row < N_ROWS; row++) {
            float x[32], importance[32], minimum;
            int codes[32], plain[32];
            gaussian(&random, x, search->n);
            double low = 0.0, high = -1e9;
            for (int i = 0; i < search->n; i++) {
                importance[i] = 0.5f + fabsf(x[i]);
                low = fmin(low, (double)x[i]);
                high = fmax(high, (double)x[i]);
            }
            double step = (high - low) / search->largest_code;
            for (int i = 0; i < search->n; i++) {
                plain[i] = code_of(((double)x[i] - low) / step, 0, search->largest_code);
            }
            float scale = fal_search_scale_min(search, x, importance, codes, &minimum);
            assert_true(scale > 0.0f && minimum >= 0.0f);
            double found =
                weighted_error(search, x, importance, codes, (double)scale, (double)minimum);
            double first = weighted_error(search, x, importance, plain, step, -low);
            assert_true(found <= first * 1.00001);
            n_better += found < first * 0.98;
            for (int i = 0; i < search->n; i++) {
                assert_in_range(codes[i], 0, search->largest_code);
            }
        }
        assert_true(n_better > N_ROWS / 2);
    }
}

static void positive_rows_have_no_minimum(void **state) {
    (void)state;
    static const fal_scale_min_search search = {32, 15, -1.0f, 0.1f, 20, false};
    float x[32], importance[32], minimum;
    int codes[32];
    for (int i = 0; i < 32; i++) {
        x[i] = 0.25f * (float)(i % 15 + 1);
        importance[i] = 1.0f;
    }
    float scale = fal_search_scale_min(&search, x, importance, codes, &minimum);
    assert_true(minimum == 0.0f);
    CHECK_NEAR(scale, 0.25, 1e-6);
    for (int i = 0; i < 32; i++) {
        assert_int_equal(codes[i], i % 15 + 1);
        x[i] = -2.0f;
    }
    assert_true(fal_search_scale_min(&search, x, importance, codes, &minimum) == 0.0f);
    assert_true(minimum == 2.0f);
    assert_int_equal(codes[31], 0);
}

static void codes_round_and_stay_in_bounds(void **state) {
    (void)state;
    for (int k = -4000; k <= 4000; k++) {
        float x = (float)k / 16.0f;
        assert_int_equal(fal_code_nearest(x, -128, 127), code_of((double)x, -128, 127));
        assert_int_equal(fal_code_cut(x, 0, 31), x < 0.0f ? 0 : x > 31.0f ? 31 : k / 16);
    }
    assert_int_equal(fal_code_nearest(NAN, -8, 7), -8);
    assert_int_equal(fal_code_nearest(INFINITY, -8, 7), 7);
    assert_int_equal(fal_code_nearest(-3e38f, -8, 7), -8);
    assert_int_equal(fal_code_cut(NAN, 0, 15), 0);
    assert_int_equal(fal_code_cut(3e38f, 0, 15), 15);
}

/* Against a look at all sixteen values; of two equally near the higher one. */
static void table_codes_are_nearest(void **state) {
    (void)state;
    for (int k = -150 * 64; k <= 150 * 64; k++) {
        float x = (float)k / 64.0f;
        int nearest = 0;
        for (int code = 1; code < 16; code++) {
            float now = fabsf(x - (float)fal_iq4_value(code));
            if (now <= fabsf(x - (float)fal_iq4_value(nearest))) nearest = code;
        }
        assert_int_equal(fal_iq4_code(x), nearest);
    }
    for (int code = 0; code < 15; code++) {
        float middle = 0.5f * (float)(fal_iq4_value(code) + fal_iq4_value(code + 1));
        assert_int_equal(fal_iq4_code(nextafterf(middle, -1000.0f)), code);
        assert_int_equal(fal_iq4_code(middle), code + 1);
    }
    assert_int_equal(fal_iq4_code(NAN), 0);
}

static void scales_saturate_only_when_finite(void **state) {
    (void)state;
    assert_int_equal(fal_f16_scale(1.0f), 0x3c00);
    assert_int_equal(fal_f16_scale(65504.0f), 0x7bff);
    assert_int_equal(fal_f16_scale(65521.0f), 0x7bff);
    assert_int_equal(fal_f16_scale(-3e38f), 0xfbff);
    assert_int_equal(fal_f16_scale(INFINITY), 0x7c00);
    assert_true((fal_f16_scale(NAN) & 0x7fffu) > 0x7c00u);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(symmetric_search_finds_the_best_try),
        cmocka_unit_test(passes_end_where_no_single_move_helps),
        cmocka_unit_test(scale_and_minimum_beat_plain_rounding),
        cmocka_unit_test(positive_rows_have_no_minimum),
        cmocka_unit_test(codes_round_and_stay_in_bounds),
        cmocka_unit_test(table_codes_are_nearest),
        cmocka_unit_test(scales_saturate_only_when_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
