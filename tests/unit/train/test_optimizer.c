/* train/optimizer.h: AdamW against itself in double precision, clipping, decay, what is frozen. */
#include "base/random.h"
#include "train/optimizer.h"
#include "unit/model/training_model.h"

#include <stdlib.h>

static const fal_optimizer_options usual = {
    .beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8, .weight_decay = 0.1};

static fal_optimizer *open_optimizer(fal_trainable *t, fal_device *device,
                                     const fal_optimizer_options *how) {
    fal_optimizer *o;
    fal_error err = {0};
    CHECK_OK(fal_optimizer_open(&o, t, device, how, &err), &err);
    return o;
}

static const char *device_name(void) {
    return test_device() ? test_device() : "cpu";
}

static fal_device *open_device(const char *name) {
    fal_device *device;
    fal_error err = {0};
    CHECK_OK(fal_device_open(&device, name, 1, &err), &err);
    return device;
}

/* The same gradients in every step of the same number. */
static float gradient_at(int weight, int64_t entry, int64_t step) {
    fal_random random = fal_random_seeded((uint64_t)(weight * 1000 + step), (uint64_t)entry);
    return (float)fal_random_normal(&random);
}

static void draw_gradients(fal_trainable *t, int64_t step) {
    for (int i = 0; i < fal_trainable_count(t); i++) {
        const fal_trainable_weight *w = fal_trainable_at(t, i);
        for (int64_t k = 0; !w->is_frozen && k < w->n_rows * w->n_cols; k++)
            fal_tensor_f32_row(w->gradient, 0)[k] = gradient_at(i, k, step);
    }
}

typedef struct one {
    double w, m, v;
} one;

static void step_in_double(one *x, double gradient, double rate, double decay, int64_t step) {
    x->m = 0.9 * x->m + 0.1 * gradient;
    x->v = 0.95 * x->v + 0.05 * gradient * gradient;
    double m = x->m / (1 - pow(0.9, (double)step)), v = x->v / (1 - pow(0.95, (double)step));
    x->w -= rate * (m / (sqrt(v) + 1e-8) + decay * x->w);
}

static void check_weight(const fal_trainable_weight *w, int index, const float *before) {
    for (int64_t k = 0; k < w->n_rows * w->n_cols; k++) {
        one x = {.w = (double)before[k]};
        for (int64_t step = 1; step <= 5; step++)
            step_in_double(&x, 0.5 * (double)gradient_at(index, k, step), 1e-2,
                           w->is_matrix ? 0.1 : 0, step);
        CHECK_NEAR(fal_tensor_f32_row(w->value, 0)[k], x.w, 1e-6 * (1 + fabs(x.w)));
    }
}

static void updates_are_adamw(void **state) {
    (void)state;
    const char *const devices[] = {"ref", device_name()};
    const training_variant *v = training_variant_at(3); /* biases and norms */
    for (int d = 0; d < 2; d++) {
        fal_error err = {0};
        fal_device *device = open_device(devices[d]);
        fal_trainable *t = training_model_open(v, device, 4),
                      *before = training_model_open(v, NULL, 4);
        fal_optimizer *o = open_optimizer(t, device, &usual);
        for (int64_t step = 1; step <= 5; step++) {
            draw_gradients(t, step);
            CHECK_OK(fal_optimizer_update(o, 1e-2, 0.5, step, &err), &err);
        }
        for (int i = 0; i < fal_trainable_count(t); i++)
            check_weight(fal_trainable_at(t, i), i, fal_trainable_at(before, i)->value.data);
        fal_optimizer_close(o);
        fal_trainable_close(t);
        fal_trainable_close(before);
        fal_device_close(device);
    }
}

static void the_norm_is_that_of_all_gradients(void **state) {
    (void)state;
    fal_error err = {0};
    fal_device *device = open_device(device_name());
    fal_trainable *t = training_model_open(training_variant_at(2), device, 4);
    fal_optimizer *o = open_optimizer(t, device, &usual);
    double sum = 0, norm;
    draw_gradients(t, 1);
    for (int i = 0; i < fal_trainable_count(t); i++) {
        const fal_trainable_weight *w = fal_trainable_at(t, i);
        for (int64_t k = 0; k < w->n_rows * w->n_cols; k++)
            sum += pow((double)gradient_at(i, k, 1), 2);
    }
    CHECK_OK(fal_optimizer_gradient_norm(o, &norm, &err), &err);
    CHECK_NEAR(norm, sqrt(sum), 1e-6 * sqrt(sum));
    CHECK_OK(fal_optimizer_clear_gradients(o, &err), &err);
    CHECK_OK(fal_optimizer_gradient_norm(o, &norm, &err), &err);
    assert_true(norm == 0);
    fal_optimizer_close(o);
    fal_trainable_close(t);
    fal_device_close(device);
}

static void frozen_weights_have_no_moments(void **state) {
    (void)state;
    fal_device *device = open_device(device_name());
    fal_trainable *t = training_model_open(training_variant_at(5), device, 4);
    fal_optimizer *o = open_optimizer(t, device, &usual);
    for (int i = 0; i < fal_trainable_count(t); i++) {
        const fal_trainable_weight *w = fal_trainable_at(t, i);
        fal_tensor first = fal_optimizer_moment(o, i, FAL_MOMENT_FIRST);
        fal_tensor second = fal_optimizer_moment(o, i, FAL_MOMENT_SECOND);
        assert_int_equal(fal_tensor_is_given(first), !w->is_frozen);
        assert_int_equal(fal_tensor_is_given(second), !w->is_frozen);
        if (w->is_frozen) continue;
        assert_ptr_not_equal(first.data, second.data);
        assert_ptr_not_equal(first.data, w->value.data);
        assert_true(fal_tensor_f32_row(first, 0)[0] == 0);
    }
    fal_optimizer_close(o);
    fal_trainable_close(t);
    fal_device_close(device);
}

static void numbers_out_of_range_are_refused(void **state) {
    (void)state;

    const struct {
        fal_optimizer_options how;
        const char *words;
    } bad[] = {
        {{.beta1 = 1, .epsilon = 1e-8},           "beta1 is 1"        },
        {{.beta2 = -0.1, .epsilon = 1e-8},        "beta2 is -0.1"     },
        {{.beta1 = (double)NAN, .epsilon = 1e-8}, "beta1"             },
        {{.epsilon = 0},                          "epsilon is 0"      },
        {{.epsilon = 1e-8, .weight_decay = -1},   "weight decay is -1"},
    };

    fal_device *device = open_device(device_name());
    fal_trainable *t = training_model_open(training_variant_at(0), device, 4);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        fal_optimizer *o;
        fal_error err = {0};
        CHECK_STATUS(fal_optimizer_open(&o, t, device, &bad[i].how, &err), FAL_E_ARGUMENT, &err,
                     bad[i].words);
        assert_null(o);
    }
    fal_trainable_close(t);
    fal_device_close(device);
}

int main(void) {
    if (!test_device_is_there()) return TEST_IS_SKIPPED;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(updates_are_adamw),
        cmocka_unit_test(the_norm_is_that_of_all_gradients),
        cmocka_unit_test(frozen_weights_have_no_moments),
        cmocka_unit_test(numbers_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
