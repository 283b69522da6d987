/* Suggestions: distances known from their definition, and what is near enough. */
#include "check.h"
#include "cli/nearest.h"

static void distances_count_edits(void **state) {
    (void)state;
    assert_int_equal(fal_edit_distance("", ""), 0);
    assert_int_equal(fal_edit_distance("", "abc"), 3);
    assert_int_equal(fal_edit_distance("abc", ""), 3);
    assert_int_equal(fal_edit_distance("kitten", "sitting"), 3);
    assert_int_equal(fal_edit_distance("ab", "ba"), 1);
    assert_int_equal(fal_edit_distance("ca", "abc"),
                     3); /* an optimal alignment edits no substring twice */
    assert_int_equal(fal_edit_distance("flaw", "lawn"), 2);
}

static void long_names_are_far(void **state) {
    (void)state;
    char name[65];
    for (int i = 0; i < 64; i++)
        name[i] = 'a';
    name[64] = '\0';
    assert_true(fal_edit_distance(name, name) > 60);
    name[63] = '\0';
    assert_int_equal(fal_edit_distance(name, name), 0);
}

static void the_best_offer_is_kept(void **state) {
    (void)state;
    fal_nearest nearest = {.word = "max-lenght"};
    fal_nearest_offer(&nearest, "min-length");
    fal_nearest_offer(&nearest, "max-length");
    fal_nearest_offer(&nearest, "max-depth");
    assert_string_equal(nearest.best, "max-length");
}

static void beginnings_count_as_near(void **state) {
    (void)state;
    fal_nearest nearest = {.word = "num"};
    fal_nearest_offer(&nearest, "num-return-sequences");
    assert_string_equal(nearest.best, "num-return-sequences");
}

static void far_names_are_not_offered(void **state) {
    (void)state;
    fal_nearest nearest = {.word = "x"};
    fal_nearest_offer(&nearest, "abc");
    fal_nearest_offer(&nearest, "temperature");
    assert_null(nearest.best);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances_count_edits),     cmocka_unit_test(long_names_are_far),
        cmocka_unit_test(the_best_offer_is_kept),    cmocka_unit_test(beginnings_count_as_near),
        cmocka_unit_test(far_names_are_not_offered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
