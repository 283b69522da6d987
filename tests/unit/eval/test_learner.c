/* A learner of small Falcons: it learns, goes back to what it kept, and guesses what its losses say. */
#include "check.h"
#include "eval/learner.h"

enum {
    N_TOKENS = 24,
    N_WORDS = 32
};

static fal_params tiny_params(void) {
    return (fal_params){
        .n_layers = 1,
        .n_heads = 2,
        .n_kv_heads = 1,
        .head_dim = 8,
        .d_model = 16,
        .d_ff = 64,
        .n_vocab = N_WORDS,
        .n_context = N_TOKENS,
        .norm_epsilon = 1e-5f,
        .features = FAL_FEATURE_ROPE | FAL_FEATURE_PARALLEL | FAL_FEATURE_TWO_NORMS,
        .rope = {.method = fal_rope_method_by_name("none"),
                 .base = 100,
                 .factor = 1,
                 .trained_context = N_TOKENS,
                 .attention_factor = 1},
        .has_tied_head = true,
        .bos = -1,
        .eos = 0
    };
}

typedef struct fixture {
    fal_device *device;
    fal_learner *learner;
} fixture;

static fixture fixture_open(int n_threads) {
    fixture f = {0};
    fal_params params = tiny_params();
    fal_error err = {0};
    CHECK_OK(fal_device_open(&f.device, "cpu", n_threads, &err), &err);
    CHECK_OK(fal_learner_open(&f.learner, &params, 3, f.device, 2 * N_TOKENS, &err), &err);
    return f;
}

static void fixture_close(fixture *f) {
    fal_learner_close(f->learner);
    fal_device_close(f->device);
}

/* Two sequences that a model can learn by heart; the first token of each tells which. */
static void fill(fal_learner *l) {
    fal_learner_clear(l);
    for (int k = 0; k < 2; k++) {
        fal_learner_sequence s = fal_learner_add(l, N_TOKENS);
        for (int i = 0; i < N_TOKENS; i++)
            s.tokens[i] = (k + 1) * (i * i + 3) % N_WORDS;
        for (int i = 0; i + 1 < N_TOKENS; i++)
            s.weights[i] = 1;
    }
}

static double train(fal_learner *l, int n_steps) {
    double loss = 0;
    fal_error err = {0};
    for (int i = 0; i < n_steps; i++) {
        fill(l);
        CHECK_OK(fal_learner_step(l, 1e-2, &loss, &err), &err);
    }
    return loss;
}

static void test_room(void **state) {
    (void)state;
    fixture f = fixture_open(1);
    fill(f.learner);
    assert_int_equal(fal_learner_sequence_count(f.learner), 2);
    assert_int_equal(fal_learner_sequence_at(f.learner, 1).n_tokens, N_TOKENS);
    assert_false(fal_learner_has_room(f.learner, 1));
    fal_learner_clear(f.learner);
    assert_true(fal_learner_has_room(f.learner, 2 * N_TOKENS));
    assert_false(fal_learner_has_room(f.learner, 2 * N_TOKENS + 1));
    fixture_close(&f);
}

static void test_learns_by_heart(void **state) {
    (void)state;
    fixture f = fixture_open(1);
    double before = train(f.learner, 1), after = train(f.learner, 200);
    CHECK_NEAR(before, log(N_WORDS), 0.2);
    assert_true(after < 0.1);
    fixture_close(&f);
}

/* Losses and guesses agree: what is guessed right is probable. Nothing is said where the weight is 0. */
static void test_guesses(void **state) {
    (void)state;
    fixture f = fixture_open(1);
    fal_error err = {0};
    (void)train(f.learner, 100);
    fill(f.learner);
    fal_learner_sequence s = fal_learner_sequence_at(f.learner, 1);
    s.weights[4] = 0;
    CHECK_OK(fal_learner_foretell(f.learner, &err), &err);
    CHECK_OK(fal_learner_guess(f.learner, &err), &err);
    int n_right = 0;
    for (int i = 0; i + 1 < N_TOKENS; i++) {
        bool is_right = s.guesses[i] == s.tokens[i + 1];
        if (i == 4) {
            assert_int_equal(s.guesses[i], -1);
            assert_true(s.losses[i] == 0);
        } else if ((double)s.losses[i] < log(2)) {
            assert_true(is_right);
        } else if (is_right) {
            assert_true((double)s.losses[i] < log(N_WORDS));
        }
        n_right += is_right;
    }
    assert_true(n_right > N_TOKENS / 2);
    assert_int_equal(s.guesses[N_TOKENS - 1], -1);
    fixture_close(&f);
}

/* After going back, training repeats bit for bit; measuring in between changes nothing. */
static void test_goes_back(void **state) {
    (void)state;
    fixture f = fixture_open(1);
    fal_params params = tiny_params();
    fal_rope_settings rope = params.rope;
    fal_error err = {0};
    double norm, again;
    CHECK_STATUS(fal_learner_restore(f.learner, &rope, &err), FAL_E_ARGUMENT, &err,
                 "keep no weights");
    (void)train(f.learner, 20);
    CHECK_OK(fal_learner_keep(f.learner, &err), &err);
    CHECK_OK(fal_learner_restore(f.learner, &rope, &err), &err);
    double first = train(f.learner, 10);
    CHECK_OK(fal_learner_restore(f.learner, &rope, &err), &err);
    fill(f.learner);
    CHECK_OK(fal_learner_norm(f.learner, &norm, &err), &err);
    CHECK_OK(fal_learner_foretell(f.learner, &err), &err);
    assert_true(train(f.learner, 10) == first);
    rope.method = fal_rope_method_by_name("ntk-yarn");
    rope.factor = 4;
    CHECK_OK(fal_learner_restore(f.learner, &rope, &err), &err);
    fill(f.learner);
    CHECK_OK(fal_learner_norm(f.learner, &again, &err), &err);
    assert_true(isfinite(norm) && norm > 0 && again != norm);
    assert_true(train(f.learner, 10) != first);
    rope.factor = 0.5;
    CHECK_STATUS(fal_learner_restore(f.learner, &rope, &err), FAL_E_ARGUMENT, &err, "factor 0.5");
    fixture_close(&f);
}

static void test_threads_change_no_bit(void **state) {
    (void)state;
    fixture one = fixture_open(1), three = fixture_open(3);
    assert_true(train(one.learner, 10) == train(three.learner, 10));
    fixture_close(&one);
    fixture_close(&three);
}

/* Nothing weighs anything: nothing is learned, and nothing is not a number. */
static void test_no_weights(void **state) {
    (void)state;
    fixture f = fixture_open(1);
    fal_error err = {0};
    double loss, norm;
    fill(f.learner);
    for (int k = 0; k < 2; k++)
        memset(fal_learner_sequence_at(f.learner, k).weights, 0, N_TOKENS * sizeof(float));
    CHECK_OK(fal_learner_step(f.learner, 1e-2, &loss, &err), &err);
    assert_true(loss == 0);
    CHECK_OK(fal_learner_norm(f.learner, &norm, &err), &err);
    assert_true(norm == 0);
    CHECK_OK(fal_learner_guess(f.learner, &err), &err);
    assert_int_equal(fal_learner_sequence_at(f.learner, 0).guesses[0], -1);
    fixture_close(&f);
}

static void test_bad_parameters(void **state) {
    (void)state;
    fal_device *device;
    fal_learner *l;
    fal_params params = tiny_params();
    fal_error err = {0};
    CHECK_OK(fal_device_open(&device, "cpu", 1, &err), &err);
    params.n_kv_heads = 3;
    CHECK_STATUS(fal_learner_open(&l, &params, 1, device, 64, &err), FAL_E_FORMAT, &err, "");
    assert_null(l);
    params = tiny_params();
    CHECK_STATUS(fal_learner_open(&l, &params, 1, device, 0, &err), FAL_E_ARGUMENT, &err,
                 "batches of 0 tokens");
    fal_device_close(device);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_room),          cmocka_unit_test(test_learns_by_heart),
        cmocka_unit_test(test_guesses),       cmocka_unit_test(test_goes_back),
        cmocka_unit_test(test_no_weights),    cmocka_unit_test(test_threads_change_no_bit),
        cmocka_unit_test(test_bad_parameters)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
