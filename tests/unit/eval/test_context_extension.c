/* The experiment at its smallest: what it gives is whole, the same for any number of threads, and it can be stopped. */
#include "check.h"
#include "eval/context_extension.h"
#include "publish/extension_results.h"

static const fal_extension_preset *smoke(void) {
    return fal_extension_preset_by_name("smoke");
}

typedef struct listener {
    int64_t n_done, n_total, stops_at; /* stops_at 0: never */
    int n_stages;
    char stage[64];
} listener;

static bool listen(void *user, const char *stage, int64_t n_done, int64_t n_total, double loss) {
    listener *l = user;
    assert_true(isfinite(loss) && n_done > l->n_done && n_done <= n_total);
    if (strcmp(l->stage, stage) != 0) l->n_stages++;
    snprintf(l->stage, sizeof l->stage, "%s", stage);
    l->n_done = n_done;
    l->n_total = n_total;
    return l->stops_at == 0 || n_done < l->stops_at;
}

/* All stages, each counted to its end; the results hold what they promise. */
static void test_results_are_whole(void **state) {
    (void)state;
    listener l = {0};
    const fal_extension_options how = {.n_threads = 1, .on_progress = listen, .user = &l};
    json_t *results;
    fal_error err = {0};
    CHECK_OK(fal_extension_run(smoke(), FAL_EXTENSION_LONG_MODEL_SEED, &how, &results, &err), &err);
    assert_int_equal(l.n_done, l.n_total);
    assert_int_equal(l.n_stages, 11);
    CHECK_OK(fal_extension_results_check(smoke(), results, &err), &err);
    assert_true(fal_extension_norm(results, "pi") != fal_extension_norm(results, "none"));
    /* Nothing was extended: the first losses of these two are those of the same model. */
    assert_true(fal_extension_first_loss(results, "none")
                == fal_extension_first_loss(results, "short"));
    assert_true(fal_extension_final_loss(results, "none")
                != fal_extension_final_loss(results, "short"));
    /* A gain changes what is computed, frequencies do too. */
    assert_true(fal_extension_start_loss(results, "ntk-by-parts")
                != fal_extension_start_loss(results, "yarn"));
    assert_true(fal_extension_start_loss(results, "ntk")
                != fal_extension_start_loss(results, "ntk-margin"));
    json_decref(results);
}

static void test_threads_change_no_bit(void **state) {
    (void)state;
    json_t *results[2];
    fal_error err = {0};
    for (int i = 0; i < 2; i++) {
        const fal_extension_options how = {.n_threads = i ? 3 : 1};
        CHECK_OK(fal_extension_run(smoke(), 2, &how, &results[i], &err), &err);
    }
    assert_true(json_equal(results[0], results[1]));
    assert_null(json_object_get(results[0], "long_model"));
    json_decref(results[0]);
    json_decref(results[1]);
}

static void test_cancelled(void **state) {
    (void)state;
    listener l = {.stops_at = 1};
    const fal_extension_options how = {.n_threads = 1, .on_progress = listen, .user = &l};
    json_t *results;
    fal_error err = {0};
    CHECK_STATUS(fal_extension_run(smoke(), 1, &how, &results, &err), FAL_E_CANCELLED, &err,
                 "cancelled while pretraining");
    assert_null(results);
    l = (listener){.stops_at = l.n_total / 2};
    CHECK_STATUS(fal_extension_run(smoke(), 1, &how, &results, &err), FAL_E_CANCELLED, &err,
                 "cancelled while extending by ");
    assert_null(results);
}

static void test_no_such_device(void **state) {
    (void)state;
    const fal_extension_options how = {.device = "abacus"};
    json_t *results;
    fal_error err = {0};
    CHECK_STATUS(fal_extension_run(smoke(), 1, &how, &results, &err), FAL_E_NOT_FOUND, &err,
                 "abacus");
    assert_null(results);
}

static void test_lists(void **state) {
    (void)state;
    assert_null(fal_extension_preset_by_name("tiny"));
    assert_null(fal_extension_preset_at(-1));
    assert_null(fal_extension_arm_at(100));
    int n_compared = 0;
    const fal_extension_arm *arm;
    for (int i = 0; (arm = fal_extension_arm_at(i)) != NULL; i++)
        n_compared += fal_extension_arm_is_compared(arm);
    assert_int_equal(n_compared, 7);
    json_t *quick = fal_extension_settings(fal_extension_preset_by_name("quick")),
           *full = fal_extension_settings(fal_extension_preset_by_name("full"));
    assert_false(json_equal(quick, full));
    json_decref(quick);
    json_decref(full);
}

/* By hand, for one layer of width 16 with two heads of 8 and one kv head: 16 * 32 of attention's input, 16 * 16 of its
 * output, 8 * 16 * 16 of the feed-forward, 256 * 16 of embeddings; six norms of 16. */
static void test_cost(void **state) {
    (void)state;
    fal_extension_cost one = fal_extension_cost_of(smoke(), 1),
                       two = fal_extension_cost_of(smoke(), 2);
    assert_int_equal(two.n_parameters, 512 + 256 + 2048 + 4096 + 96);
    assert_int_equal(two.n_steps, 2 + 9 * 2);
    assert_int_equal(one.n_steps - two.n_steps, 2);
    assert_int_equal(two.n_trained, 2 * 4 * 128 + 9 * (2 + 1) * 512);
    assert_int_equal(one.n_trained - two.n_trained, 2 * 512);
    /* Measures: a document of the longest and one of the trained length, an example of four tasks at each. */
    assert_int_equal(two.n_evaluated, 2 * 128 + 4 * 128 + 18 * (512 + 128 + 4 * (128 + 256 + 512)));
    /* Of its two steps the first has documents of 32 tokens, the second of 64. */
    double extra = 512 * (6 * 6912.0 + 6.0 * 16 * 32) + 512 * (6 * 6912.0 + 6.0 * 16 * 64);
    extra += 5 * 512 * (2 * 6912.0 + 2.0 * 16 * 512) + 5 * 128 * (2 * 6912.0 + 2.0 * 16 * 128)
             + 4 * 256 * (2 * 6912.0 + 2.0 * 16 * 256);
    CHECK_NEAR(one.flops - two.flops, extra, extra * 1e-9);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_results_are_whole),
                                       cmocka_unit_test(test_threads_change_no_bit),
                                       cmocka_unit_test(test_cancelled),
                                       cmocka_unit_test(test_no_such_device),
                                       cmocka_unit_test(test_lists),
                                       cmocka_unit_test(test_cost)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
