/* What the encoders share: rounding to codes, the uneven table, scales in f16. */
#include "check.h"
#include "quant/iq4_nl.h"
#include "quant/rounding.h"

static int code_of(double x, int low, int high) {
    double nearest = nearbyint(x);
    return nearest < low ? low : nearest > high ? high : (int)nearest;
}

static void codes_round_and_stay_in_bounds(void **state) {
    (void)state;
    for (int k = -4000; k <= 4000; k++) {
        float x = (float)k / 16.0f;
        assert_int_equal(fal_code_nearest(x, -128, 127), code_of((double)x, -128, 127));
    }
    assert_int_equal(fal_code_nearest(NAN, -8, 7), -8);
    assert_int_equal(fal_code_nearest(INFINITY, -8, 7), 7);
    assert_int_equal(fal_code_nearest(-3e38f, -8, 7), -8);
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
        cmocka_unit_test(codes_round_and_stay_in_bounds),
        cmocka_unit_test(table_codes_are_nearest),
        cmocka_unit_test(scales_saturate_only_when_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
