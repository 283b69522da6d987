/* Statistics over seeds against values computed by hand, and every claim confirmed, refuted and undecided. */
#include "publish/extension_claims.h"
#include "unit/publish/extension_seeds.h"

static void test_intervals(void **state) {
    (void)state;
    const double values[] = {1, 2, 3, 4, 5};
    fal_interval i = fal_interval_of(values, 5);
    /* Deviation sqrt(2.5), of the mean sqrt(0.5); t for 4 degrees is 2.776. */
    CHECK_NEAR(i.mean, 3, 1e-12);
    CHECK_NEAR(i.high, 3 + 2.776 * sqrt(0.5), 1e-9);
    CHECK_NEAR(i.low, 3 - 2.776 * sqrt(0.5), 1e-9);
    i = fal_interval_of(values, 2);
    CHECK_NEAR(i.high, 1.5 + 12.706 * 0.5, 1e-9);
    i = fal_interval_of(values, 1);
    assert_true(i.mean == 1 && isinf(i.low) && isinf(i.high));
    double many[40] = {0};
    i = fal_interval_of(many, 40);
    assert_true(i.low == 0 && i.high == 0);
}

/* What a seed does to all arms alike does not widen a difference. */
static void test_pairing(void **state) {
    (void)state;
    json_t *seeds = seeds_of(3);
    const fal_extension_arm *arm;
    for (int i = 0; (arm = fal_extension_arm_at(i)) != NULL; i++)
        move_arm(seeds, arm->name, "before", 0, 3, 5, true);
    fal_interval d = fal_extension_difference(seeds, fal_extension_first_loss, "yarn", "pi");
    assert_true(d.high - d.low < 0.05);
    /* pi is at index 1 and yarn at 4: wobbles of 0.001 times -2, 0, -3 + 5 and ... by hand. */
    double sum = 0;
    for (int s = 1; s <= 3; s++)
        sum += wobble(s, 4) - wobble(s, 1);
    CHECK_NEAR(d.mean, sum / 3, 1e-12);
    fal_interval all = fal_extension_over_seeds(seeds, fal_extension_first_loss, "yarn");
    assert_true(all.high - all.low < 0.05);
    /* Beyond the context: (3.25 + 2 * 3.5) / 3, and 5 - 5 + 5 over three seeds. */
    CHECK_NEAR(all.mean, 10.25 / 3 + 5.0 / 3, 0.003);
    json_decref(seeds);
}

static void test_numbers(void **state) {
    (void)state;
    json_t *seed = seed_of(2), *arms = json_object_get(seed, "arms");
    double w = wobble(2, 2); /* of ntk */
    CHECK_NEAR(fal_extension_norm(seed, "ntk"), 1 + w, 1e-12);
    CHECK_NEAR(fal_extension_start_loss(seed, "ntk"), 2 + w, 1e-12);
    CHECK_NEAR(fal_extension_early_loss(seed, "ntk"), 2 + w - 0.0625 * 0.5, 1e-12);
    CHECK_NEAR(fal_extension_passing_loss(seed, "ntk"), 2 + w - 0.0625 * 2.5, 1e-12);
    CHECK_NEAR(fal_extension_late_loss(seed, "ntk"), 2 + w - 0.0625 * 17.5, 1e-12);
    CHECK_NEAR(fal_extension_final_loss(seed, "ntk"), (2.25 + 2 * 2.5) / 3 + w, 1e-12);
    CHECK_NEAR(fal_extension_first_answers(seed, "ntk"), 1.5 + w / 2 + (0.5 + 2) / 3, 1e-12);
    CHECK_NEAR(fal_extension_short_loss(seed, "ntk"), 2 + w, 1e-12);
    /* Right answers 0.75, 0.625, 0.5 of each task: their mean 0.625 from chance to all. */
    double expected = 0;
    for (int t = 0; t < FAL_WORLD_TASK_COUNT; t++) {
        double chance = fal_world_task_at(t)->chance;
        expected += 25 * (0.625 + w - chance) / (1 - chance);
    }
    CHECK_NEAR(fal_extension_score(seed, "ntk"), expected, 1e-9);
    assert_true(isnan(fal_extension_norm(seed, "nothing")));
    assert_true(isnan(fal_extension_long_model_loss(seed)));
    json_array_clear(json_object_get(json_object_get(arms, "ntk"), "curve"));
    assert_true(isnan(fal_extension_early_loss(seed, "ntk")));
    json_decref(seed);
}

/* The best of the compared arms counts 100, the worst 0; none and the baseline are not compared. */
static void test_relative_score(void **state) {
    (void)state;
    json_t *seeds = seeds_of(1), *seed = json_array_get(seeds, 0);
    move_arm(seeds, "none", "after.scores", 0, 3, -0.4, false);
    move_arm(seeds, "pi", "after.scores", 0, 3, -0.2, false);
    move_arm(seeds, "ntk-yarn", "after.scores", 0, 3, 0.2, false);
    CHECK_NEAR(fal_extension_relative_score(seed, "pi"), 0, 1e-9);
    CHECK_NEAR(fal_extension_relative_score(seed, "ntk-yarn"), 100, 1e-9);
    CHECK_NEAR(fal_extension_relative_score(seed, "ntk"), 50, 2);
    json_decref(seeds);
}

/* Which number decides a claim, and how it must move. */
typedef struct claim_case {
    const char *begins; /* the claim's words */
    const char *arm, *what;
    size_t from, to; /* in each list */
    double confirms, refutes;
} claim_case;

static const claim_case cases[FAL_CLAIM_COUNT] = {
    {"With no fine-tuning YaRN",     "yarn",       "before",       0,  3,  -0.5, 0.5 },
    {"Initially YaRN",               "yarn",       "curve",        0,  1,  -0.5, 0.5 },
    {"The others pass YaRN",         "yarn",       "curve",        2,  4,  0.5,  -0.5},
    {"Of the methods there were",    "ntk",        "curve",        16, 20, -0.5, 0.5 },
    {"NTK-YaRN begins below",        "ntk-yarn",   "curve",        0,  2,  -0.5, 0.5 },
    {"NTK-Margin begins below",      "ntk-margin", "curve",        0,  2,  -0.5, 0.5 },
    {"Scaling queries and keys",     "ntk-yarn",   "norms",        0,  8,  -0.5, 0.5 },
    {"On the long tasks YaRN",       "yarn",       "after.scores", 0,  3,  -0.2, 0.2 },
    {"On the long tasks NTK-YaRN",   "ntk-yarn",   "after.scores", 0,  3,  0.2,  -0.2},
    {"On the long tasks NTK-Margin", "ntk-yarn",   "after.scores", 0,  3,  0,    0.2 },
    {"On tasks of the trained",      "ntk-yarn",   "after.scores", 0,  1,  0.2,  -0.2},
    {"Fine-tuned, YaRN",             "yarn",       "curve",        16, 20, -0.5, 0.5 },
};

static void check_verdict(int index, const claim_case *c, double delta, bool alternates,
                          fal_verdict expected) {
    json_t *seeds = seeds_of(4);
    move_arm(seeds, c->arm, c->what, c->from, c->to, delta, alternates);
    fal_claim_result r = fal_extension_judge(seeds, index);
    if (r.verdict != expected)
        fail_msg("'%s' is %s, not %s: %s", r.claim, fal_verdict_name(r.verdict),
                 fal_verdict_name(expected), r.evidence);
    assert_true(strlen(r.evidence) + 1 < sizeof r.evidence);
    json_decref(seeds);
}

static void test_verdicts(void **state) {
    (void)state;
    for (int i = 0; i < FAL_CLAIM_COUNT; i++) {
        const claim_case *c = &cases[i];
        json_t *seeds = seeds_of(1);
        fal_claim_result alone = fal_extension_judge(seeds, i);
        if (strncmp(alone.claim, c->begins, strlen(c->begins)) != 0)
            fail_msg("claim %d is '%s', not '%s'", i, alone.claim, c->begins);
        assert_int_equal(alone.verdict, FAL_VERDICT_UNDECIDED); /* one seed tells nothing */
        json_decref(seeds);
        check_verdict(i, c, c->confirms, false, FAL_VERDICT_CONFIRMED);
        check_verdict(i, c, c->refutes, false, FAL_VERDICT_REFUTED);
        check_verdict(i, c, c->refutes, true, FAL_VERDICT_UNDECIDED);
    }
}

/* A lead that is there but does not shrink refutes the claim; a norm that shrinks a little does not confirm it. */
static void test_halves_of_claims(void **state) {
    (void)state;
    const claim_case slight = {"", "ntk-yarn", "norms", 0, 8, 0, 0};
    json_t *seeds = seeds_of(4);
    move_arm(seeds, "ntk-yarn", "curve", 0, 2, -0.1, false);
    move_arm(seeds, "ntk-yarn", "curve", 16, 20, -0.5, false);
    assert_int_equal(fal_extension_judge(seeds, 4).verdict, FAL_VERDICT_REFUTED);
    json_decref(seeds);
    seeds = seeds_of(4);
    move_arm(seeds, "ntk-yarn", "curve", 0, 20, -0.1, false);
    move_arm(seeds, "ntk-yarn", "curve", 16, 20, 0.01, true);
    assert_int_equal(fal_extension_judge(seeds, 4).verdict, FAL_VERDICT_UNDECIDED);
    json_decref(seeds);
    check_verdict(6, &slight, -0.1, false, FAL_VERDICT_REFUTED);
    check_verdict(6, &slight, -0.3, false, FAL_VERDICT_CONFIRMED);
}

static void test_missing_numbers_decide_nothing(void **state) {
    (void)state;
    json_t *seeds = seeds_of(4), *seed = json_array_get(seeds, 0);
    json_object_del(json_object_get(seed, "arms"), "yarn");
    json_object_del(json_object_get(seed, "arms"), "ntk-yarn");
    json_object_del(json_object_get(seed, "arms"), "ntk");
    for (int i = 0; i < FAL_CLAIM_COUNT; i++)
        assert_int_equal(fal_extension_judge(seeds, i).verdict, FAL_VERDICT_UNDECIDED);
    json_decref(seeds);
}

/* Claims of YaRN are asked of the arm with matched turns as well, the others are not. */
static void test_matched_turns(void **state) {
    (void)state;
    json_t *seeds = seeds_of(4);
    fal_claim_result r;
    move_arm(seeds, "yarn-matched", "before", 0, 3, -0.5, false);
    assert_int_equal(fal_extension_judge(seeds, 0).verdict, FAL_VERDICT_UNDECIDED);
    assert_true(fal_extension_judge_matched(seeds, 0, &r));
    assert_int_equal(r.verdict, FAL_VERDICT_CONFIRMED);
    assert_memory_equal(r.evidence, "yarn-matched", 12);
    assert_true(fal_extension_judge_matched(seeds, 3, &r)); /* as one of the others */
    assert_non_null(strstr(r.evidence, "ntk − yarn-matched"));
    assert_false(fal_extension_judge_matched(seeds, 4, &r));
    json_decref(seeds);
}

static void test_gate(void **state) {
    (void)state;
    json_t *seeds = seeds_of(2);
    fal_extension_gate gate = fal_extension_gate_of(seeds);
    assert_true(gate.is_passed);
    CHECK_NEAR(gate.none - gate.best, 0.25, 0.01);
    CHECK_NEAR(gate.long_model, 1 + (0.25 + 2 * 0.5) / 3, 1e-9);
    CHECK_NEAR(gate.best_beside, 3 + (0.25 + 2 * 0.5) / 3, 0.01);
    move_arm(seeds, "pi", "before", 0, 3, -2.5,
             false); /* better than trained at length: too easy */
    gate = fal_extension_gate_of(seeds);
    assert_string_equal(gate.best_arm, "pi");
    assert_false(gate.is_passed);
    for (size_t i = 0; i < json_array_size(seeds); i++)
        json_object_del(json_array_get(seeds, i), "long_model"); /* the quick preset has none */
    assert_true(fal_extension_gate_of(seeds).is_passed);
    json_decref(seeds);
    seeds = seeds_of(4);
    move_arm(seeds, "ntk-yarn", "norms", 0, 8, -0.5, false);
    assert_int_equal(fal_extension_judge(seeds, 6).verdict, FAL_VERDICT_CONFIRMED);
    move_arm(seeds, "none", "before", 0, 3, -0.25, false); /* without extension it is as good */
    assert_false(fal_extension_gate_of(seeds).is_passed);
    assert_int_equal(fal_extension_judge(seeds, 6).verdict, FAL_VERDICT_UNDECIDED);
    json_decref(seeds);
}

static void check_refused(json_t *seed, const char *fragment) {
    fal_error err = {0};
    CHECK_STATUS(fal_extension_results_check(&small_preset, seed, &err), FAL_E_FORMAT, &err,
                 fragment);
    json_decref(seed);
}

static void test_results_are_checked(void **state) {
    (void)state;
    fal_error err = {0};
    json_t *seed = seed_of(1);
    CHECK_OK(fal_extension_results_check(&small_preset, seed, &err), &err);
    json_decref(seed);
    check_refused(json_array(), "its settings are not those of preset small");
    check_refused(json_null(), "its settings");
    seed = seed_of(1);
    json_object_set_new(json_object_get(seed, "settings"), "n_layers", json_integer(3));
    check_refused(seed, "its settings");
    seed = seed_of(1);
    json_object_del(seed, "long_model");
    check_refused(seed, "long_model: no list 'loss' of 3 numbers");
    seed = seed_of(2);
    json_object_del(json_object_get(seed, "arms"), "yarn");
    check_refused(seed, "yarn: no list 'norms' of 8 numbers");
    seed = seed_of(2);
    json_t *arm = json_object_get(json_object_get(seed, "arms"), "pi");
    json_array_append_new(json_object_get(arm, "curve"), json_real(1));
    check_refused(seed, "pi: no list 'curve' of 20 numbers");
    seed = seed_of(2);
    arm = json_object_get(json_object_get(seed, "arms"), "pi");
    json_object_set_new(json_object_get(arm, "after"), "short", json_string("x"));
    check_refused(seed, "pi: no number 'short'");
    seed = seed_of(2);
    json_object_del(json_object_get(json_object_get(seed, "base"), "scores"), "track");
    check_refused(seed, "base: no list 'track' of 1 numbers");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_intervals),
        cmocka_unit_test(test_pairing),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_relative_score),
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_halves_of_claims),
        cmocka_unit_test(test_missing_numbers_decide_nothing),
        cmocka_unit_test(test_matched_turns),
        cmocka_unit_test(test_gate),
        cmocka_unit_test(test_results_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
