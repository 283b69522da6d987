/* The gradients of training against central differences of a model in double precision: every variant, with adapters, on
 * packed sequences with weights that are zero. */
#include "base/random.h"
#include "unit/model/training_model.h"

static const double STEP = 1e-5;

enum {
    N_ENTRIES = 3
};

/* The root of the mean square, so that an entry near zero is judged by the size of its neighbours. */
static double size_of(const fal_trainable_weight *w) {
    double sum = 0;
    int64_t n = w->n_rows * w->n_cols;
    for (int64_t i = 0; i < n; i++) {
        double g = (double)((const float *)w->gradient.data)[i];
        sum += g * g;
    }
    return sqrt(sum / (double)n);
}

static void check_weight(fal_trainable *t, const training_variant *v, const fal_batch *batch,
                         int index, fal_random *random) {
    const fal_trainable_weight *w = fal_trainable_at(t, index);
    for (int k = 0; k < N_ENTRIES; k++) {
        int64_t entry = (int64_t)(fal_random_u64(random) % (uint64_t)(w->n_rows * w->n_cols));
        double above = double_model_loss(t, v, batch, index, entry, STEP),
               below = double_model_loss(t, v, batch, index, entry, -STEP);
        double expected = (above - below) / (2 * STEP);
        double found = (double)((const float *)w->gradient.data)[entry];
        double bound = 1e-4 * fmax(fabs(expected), size_of(w));
        if (!(fabs(found - expected) <= bound))
            fail_msg("%s, %s[%lld]: %.9g, expected %.9g within %g", v->name, w->name,
                     (long long)entry, found, expected, bound);
    }
}

static void check_variant(const training_variant *v, const char *device_name) {
    static const int64_t lengths[] = {7, 1, 12};
    training_batch drawn;
    training_batch_draw(&drawn, &v->params, lengths, 3, 5);
    fal_error error = {0};
    fal_device *device;
    fal_training_pass *pass;
    fal_training_pass_options options = {.max_tokens = 20, .z_loss = v->z_loss};
    float nll[TRAINING_MAX_TOKENS];
    CHECK_OK(fal_device_open(&device, device_name, 2, &error), &error);
    fal_trainable *t = training_model_open(v, device, 11);
    CHECK_OK(fal_training_pass_open(&pass, t, device, &options, &error), &error);
    CHECK_OK(fal_training_pass_run(pass, &drawn.batch, 1, nll, &error), &error);
    fal_random random = fal_random_seeded(3, 0);
    int n_checked = 0;
    for (int i = 0; i < fal_trainable_count(t); i++) {
        if (fal_trainable_at(t, i)->is_frozen) continue;
        check_weight(t, v, &drawn.batch, i, &random);
        n_checked++;
    }
    assert_true(n_checked >= 8);
    fal_training_pass_close(pass);
    fal_trainable_close(t);
    fal_device_close(device);
}

static void test_variants(void **state) {
    (void)state;
    for (int i = 0; i < training_variant_count(); i++)
        check_variant(training_variant_at(i), test_device() ? test_device() : "cpu");
}

static void test_variants_ref(void **state) {
    (void)state;
    for (int i = 0; i < training_variant_count(); i++)
        check_variant(training_variant_at(i), "ref");
}

int main(void) {
    if (!test_device_is_there()) return TEST_IS_SKIPPED;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_variants),
        cmocka_unit_test(test_variants_ref),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
