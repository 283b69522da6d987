/* train/schedule.h: rates in closed form. */
#include "check.h"
#include "train/schedule.h"

static const double PI = 3.14159265358979323846;

static fal_schedule made(const char *name) {
    return (fal_schedule){.kind = (fal_schedule_kind)fal_schedule_by_name(name),
                          .peak = 2e-3,
                          .floor = 0.1,
                          .warm_up_tokens = 200,
                          .total_tokens = 1200};
}

static void every_schedule_warms_up_on_a_straight_line(void **state) {
    (void)state;
    for (int i = 0; fal_schedule_name(i); i++) {
        fal_schedule s = made(fal_schedule_name(i));
        CHECK_NEAR(fal_schedule_rate(&s, 1), 1e-5, 1e-15);
        CHECK_NEAR(fal_schedule_rate(&s, 150), 1.5e-3, 1e-15);
        CHECK_NEAR(fal_schedule_rate(&s, 200), 2e-3, 1e-15);
        s.warm_up_tokens = 0;
        assert_true(fal_schedule_rate(&s, 1) <= 2e-3);
        assert_true(fal_schedule_rate(&s, 1) > 1.99e-3);
        assert_non_null(fal_schedule_meaning(i));
    }
}

static void rates_follow_their_formulas(void **state) {
    (void)state;
    for (int64_t n = 200; n <= 1200; n += 50) {
        double at = (double)(n - 200) / 1000;
        fal_schedule s = made("cosine");
        CHECK_NEAR(fal_schedule_rate(&s, n), 2e-4 + 1.8e-3 * (1 + cos(PI * at)) / 2, 1e-15);
        s = made("linear");
        CHECK_NEAR(fal_schedule_rate(&s, n), 2e-3 - 1.8e-3 * at, 1e-15);
        s = made("constant");
        CHECK_NEAR(fal_schedule_rate(&s, n), 2e-3, 1e-15);
        s = made("wsd");
        double down = at <= 0.8 ? 2e-3 : 2e-3 - 1.8e-3 * (at - 0.8) / 0.2;
        CHECK_NEAR(fal_schedule_rate(&s, n), down, 1e-15);
    }
}

static void ends_are_exact(void **state) {
    (void)state;
    fal_schedule s = made("cosine");
    assert_true(fal_schedule_rate(&s, 1200) == 2e-3 * 0.1);
    assert_true(fal_schedule_rate(&s, 1300) == 2e-3 * 0.1);
    s.floor = 0;
    CHECK_NEAR(fal_schedule_rate(&s, 1200), 0, 1e-18);
    s.warm_up_tokens = 1200;
    assert_true(fal_schedule_rate(&s, 600) == 1e-3);
    s = made("cosine");
    s.warm_up_tokens = s.total_tokens;
    CHECK_NEAR(fal_schedule_rate(&s, 1200), 2e-4, 1e-18);
    assert_int_equal(fal_schedule_by_name("sawtooth"), -1);
    assert_null(fal_schedule_name(FAL_SCHEDULE_COUNT));
    assert_null(fal_schedule_name(-1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_schedule_warms_up_on_a_straight_line),
        cmocka_unit_test(rates_follow_their_formulas),
        cmocka_unit_test(ends_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
