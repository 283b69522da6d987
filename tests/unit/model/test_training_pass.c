/* What training passes promise besides the right gradients: the same bits whatever is recomputed, however many threads and
 * however batches are packed; the laws of weights; memory foretold; failures by name. */
#include "base/alloc.h"
#include "unit/model/training_model.h"

#include <malloc.h>
#include <stdlib.h>

static const int64_t lengths[] = {9, 1, 14};

enum {
    N_SEQUENCES = 3,
    N_TOKENS = 24
};

/* One pass over a batch of three sequences: nll and the gradients of all weights behind each other. */
typedef struct outcome {
    float nll[TRAINING_MAX_TOKENS];
    float *gradients;
    size_t n_gradients;
} outcome;

static const char *device_name(void) {
    return test_device() ? test_device() : "cpu";
}

static void release(outcome *o) {
    free(o->gradients);
}

static outcome take_outcome(fal_trainable *t, const float *nll, int64_t n_tokens) {
    outcome o = {.gradients = NULL};
    for (int i = 0; i < fal_trainable_count(t); i++) {
        const fal_trainable_weight *w = fal_trainable_at(t, i);
        if (w->is_frozen) continue;
        size_t n = (size_t)(w->n_rows * w->n_cols);
        o.gradients = realloc(o.gradients, (o.n_gradients + n) * sizeof(float));
        assert_non_null(o.gradients);
        memcpy(o.gradients + o.n_gradients, w->gradient.data, n * sizeof(float));
        o.n_gradients += n;
    }
    memcpy(o.nll, nll, (size_t)n_tokens * sizeof *nll);
    return o;
}

typedef struct setting {
    int n_threads;
    int64_t max_tokens;
    fal_recompute recompute;
} setting;

static const setting usual = {2, N_TOKENS, FAL_RECOMPUTE_NONE};

/* Of the same tokens in batches of other sizes: the same bits on the host's devices. */
static void check_same_losses(const float *found, const float *expected, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        CHECK_NEAR(found[i], expected[i], test_device() ? 2e-6 * fmax(1, (double)expected[i]) : 0);
}

static outcome run(const training_variant *v, const setting *s, const fal_batch *batch,
                   double scale) {
    fal_error error = {0};
    fal_device *device;
    fal_training_pass *pass;
    float nll[TRAINING_MAX_TOKENS] = {0};
    CHECK_OK(fal_device_open(&device, device_name(), s->n_threads, &error), &error);
    fal_trainable *t = training_model_open(v, device, 11);
    fal_training_pass_options options = {
        .max_tokens = s->max_tokens, .recompute = s->recompute, .z_loss = v->z_loss};
    CHECK_OK(fal_training_pass_open(&pass, t, device, &options, &error), &error);
    CHECK_OK(fal_training_pass_run(pass, batch, scale, nll, &error), &error);
    outcome o = take_outcome(t, nll, batch->n_tokens);
    fal_training_pass_close(pass);
    fal_trainable_close(t);
    fal_device_close(device);
    return o;
}

static void draw(training_batch *b, const training_variant *v) {
    training_batch_draw(b, &v->params, lengths, N_SEQUENCES, 7);
}

static void check_same(const outcome *a, const outcome *b, const char *name) {
    assert_int_equal(a->n_gradients, b->n_gradients);
    if (memcmp(a->nll, b->nll, N_TOKENS * sizeof *a->nll) != 0) fail_msg("%s: nll differs", name);
    if (memcmp(a->gradients, b->gradients, a->n_gradients * sizeof *a->gradients) != 0)
        fail_msg("%s: gradients differ", name);
}

static void check_settings(const setting *settings, size_t n) {
    for (int i = 0; i < training_variant_count(); i++) {
        const training_variant *v = training_variant_at(i);
        training_batch b;
        draw(&b, v);
        outcome expected = run(v, &usual, &b.batch, 0.25);
        for (size_t k = 0; k < n; k++) {
            outcome found = run(v, &settings[k], &b.batch, 0.25);
            check_same(&found, &expected, v->name);
            release(&found);
        }
        release(&expected);
    }
}

static void test_recompute(void **state) {
    (void)state;
    const setting settings[] = {
        {2, N_TOKENS, FAL_RECOMPUTE_CHEAP},
        {2, N_TOKENS, FAL_RECOMPUTE_LAYER}
    };
    check_settings(settings, 2);
}

static void test_threads_and_room(void **state) {
    (void)state;
    const setting settings[] = {
        {1, N_TOKENS,      FAL_RECOMPUTE_NONE },
        {3, N_TOKENS,      FAL_RECOMPUTE_NONE },
        {2, 3 * N_TOKENS,  FAL_RECOMPUTE_NONE },
        {3, 20 * N_TOKENS, FAL_RECOMPUTE_CHEAP}
    };
    check_settings(settings, 4);
}

static double length_of(const outcome *o) {
    double squares = 0;
    for (size_t k = 0; k < o->n_gradients; k++)
        squares += (double)o->gradients[k] * (double)o->gradients[k];
    return sqrt(squares);
}

/* How far a packed batch's gradient may be from the sum of its sequences' own. On the host each token's part of it has the
 * same bits in both, and only the sums over tokens are rounded at other places. Another device may choose its kernels by
 * the number of rows, and then has nothing in common but being right: each gradient as near to the exact one as golden
 * tests ask, 1e-5 of its length. */
static double distance_allowed(double packed, double all_alone) {
    return test_device() ? 1e-5 * (packed + all_alone) : 1e-6 * packed;
}

static void check_packed_and_alone(const training_variant *v) {
    training_batch b;
    draw(&b, v);
    outcome packed = run(v, &usual, &b.batch, 1);
    double *sums = calloc(packed.n_gradients, sizeof *sums), all_alone = 0, squares = 0;
    assert_non_null(sums);
    for (int s = 0; s < N_SEQUENCES; s++) {
        fal_batch alone = training_batch_sequence(&b, s);
        outcome one = run(v, &usual, &alone, 1);
        check_same_losses(one.nll, packed.nll + b.starts[s], alone.n_tokens);
        for (size_t k = 0; k < one.n_gradients; k++)
            sums[k] += (double)one.gradients[k];
        all_alone += length_of(&one);
        release(&one);
    }
    for (size_t k = 0; k < packed.n_gradients; k++)
        squares += pow(sums[k] - (double)packed.gradients[k], 2);
    double length = length_of(&packed), bound = distance_allowed(length, all_alone);
    if (!(length > 0 && sqrt(squares) <= bound))
        fail_msg("%s: a gradient of length %g is off by %g, at most %g is allowed", v->name, length,
                 sqrt(squares), bound);
    free(sums);
    release(&packed);
}

static void test_packed_and_alone(void **state) {
    (void)state;
    for (int i = 0; i < training_variant_count(); i++)
        check_packed_and_alone(training_variant_at(i));
}

/* ---- weights ---- */

static void test_scaled_weights(void **state) {
    (void)state;
    const training_variant *v = training_variant_at(2);
    training_batch b;
    draw(&b, v);
    outcome expected = run(v, &usual, &b.batch, 0.5);
    for (int i = 0; i < N_TOKENS; i++)
        b.weights[i] *= 8;
    outcome found = run(v, &usual, &b.batch, 0.0625);
    check_same(&found, &expected, "weights of eightfold size");
    release(&found);
    release(&expected);
}

static void test_weightless_batch(void **state) {
    (void)state;
    const training_variant *v = training_variant_at(3);
    training_batch b;
    draw(&b, v);
    memset(b.weights, 0, sizeof b.weights);
    outcome found = run(v, &usual, &b.batch, 1);
    for (size_t i = 0; i < found.n_gradients; i++)
        assert_true(found.gradients[i] == 0);
    for (int i = 0; i < N_TOKENS; i++)
        assert_true(found.nll[i] == 0);
    release(&found);
}

static void test_gradients_add_up(void **state) {
    (void)state;
    const training_variant *v = training_variant_at(0);
    training_batch b;
    draw(&b, v);
    fal_error error = {0};
    fal_device *device;
    fal_training_pass *pass;
    float nll[N_TOKENS], again[N_TOKENS];
    fal_training_pass_options options = {.max_tokens = N_TOKENS};
    CHECK_OK(fal_device_open(&device, device_name(), 2, &error), &error);
    fal_trainable *t = training_model_open(v, device, 11);
    CHECK_OK(fal_training_pass_open(&pass, t, device, &options, &error), &error);
    CHECK_OK(fal_training_pass_run(pass, &b.batch, 1, nll, &error), &error);
    outcome once = take_outcome(t, nll, N_TOKENS);
    CHECK_OK(fal_training_pass_loss(pass, &b.batch, again, &error), &error);
    assert_memory_equal(again, nll, sizeof nll);
    /* No batch but the first takes memory. */
    fal_alloc_fail_at(1);
    fal_status status = fal_training_pass_run(pass, &b.batch, 1, again, &error);
    fal_alloc_fail_at(0);
    CHECK_OK(status, &error);
    outcome twice = take_outcome(t, again, N_TOKENS);
    check_same(&once, &once, "itself");
    for (size_t i = 0; i < once.n_gradients; i++)
        CHECK_NEAR(twice.gradients[i], 2 * once.gradients[i],
                   1e-6 + 1e-5 * fabs((double)once.gradients[i]));
    release(&once);
    release(&twice);
    fal_training_pass_close(pass);
    fal_trainable_close(t);
    fal_device_close(device);
}

/* More rows than the head takes at once, in one sequence. */
static void test_long_batch(void **state) {
    (void)state;

    enum {
        LONG = 600
    };

    static int32_t tokens[LONG], positions[LONG];
    static float weights[LONG], nll[LONG], part_nll[LONG];
    const training_variant *v = training_variant_at(1);
    fal_error error = {0};
    fal_device *device;
    fal_training_pass *pass;
    fal_training_pass_options options = {.max_tokens = LONG};
    for (int i = 0; i < LONG; i++) {
        tokens[i] = i * 7 % v->params.n_vocab;
        positions[i] = i;
        weights[i] = 1;
    }
    int64_t starts[] = {0, LONG};
    fal_batch batch = {.n_tokens = LONG,
                       .tokens = tokens,
                       .positions = positions,
                       .targets = tokens,
                       .weights = weights,
                       .starts = starts,
                       .n_sequences = 1};
    CHECK_OK(fal_device_open(&device, device_name(), 2, &error), &error);
    fal_trainable *t = training_model_open(v, device, 11);
    CHECK_OK(fal_training_pass_open(&pass, t, device, &options, &error), &error);
    CHECK_OK(fal_training_pass_run(pass, &batch, 1, nll, &error), &error);
    starts[1] = batch.n_tokens = 300;
    CHECK_OK(fal_training_pass_loss(pass, &batch, part_nll, &error), &error);
    check_same_losses(part_nll, nll, 300);
    fal_training_pass_close(pass);
    fal_trainable_close(t);
    fal_device_close(device);
}

/* ---- adapters ---- */

static void test_only_adapters_have_gradients(void **state) {
    (void)state;
    const training_variant *with_norms = training_variant_at(6), *plain = training_variant_at(5);
    fal_trainable *t = training_model_open(plain, NULL, 1);
    int n_adapters = 0;
    for (int i = 0; i < fal_trainable_count(t); i++) {
        const fal_trainable_weight *w = fal_trainable_at(t, i);
        assert_int_equal(w->is_frozen, w->part == FAL_TRAINABLE_WHOLE);
        assert_int_equal(w->is_frozen, !fal_tensor_is_given(w->gradient));
        n_adapters += w->part == FAL_TRAINABLE_LORA_A;
    }
    assert_int_equal(n_adapters, 4 * plain->params.n_layers);
    fal_trainable_close(t);
    t = training_model_open(with_norms, NULL, 1);
    assert_false(fal_trainable_find(t, "blk.1.attn_norm.bias")->is_frozen);
    assert_false(fal_trainable_find(t, "output_norm.weight")->is_frozen);
    assert_false(fal_trainable_find(t, "token_embd.weight")->is_frozen);
    assert_true(fal_trainable_find(t, "blk.1.ffn_up.weight")->is_frozen);
    assert_true(fal_trainable_find(t, "blk.1.ffn_up.bias")->is_frozen);
    assert_int_equal(fal_trainable_find(t, "blk.1.ffn_up.weight.lora_a")->n_rows, 2);
    assert_null(fal_trainable_find(t, "output_norm.weight.lora_a"));
    fal_trainable_close(t);
}

/* ---- memory ---- */

static size_t heap_bytes(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* The shell's own size is large against what the heap rounds up. */
static void check_memory(const training_variant *v, fal_trainable_options trainable_options,
                         fal_recompute recompute, uint64_t *foretold) {
    fal_error error = {0};
    fal_device *device;
    fal_training_pass *pass;
    fal_trainable *t;
    const fal_arch *arch = fal_arch_by_name(v->architecture);
    fal_training_pass_options options = {.max_tokens = 2048, .recompute = recompute};
    CHECK_OK(fal_device_open(&device, "cpu", 1, &error), &error);
    size_t before = heap_bytes();
    CHECK_OK(fal_trainable_open_fresh(&t, arch, &v->params, &trainable_options, &error), &error);
    size_t between = heap_bytes();
    CHECK_OK(fal_training_pass_open(&pass, t, device, &options, &error), &error);
    size_t after = heap_bytes();
    CHECK_OK(
        fal_training_pass_bytes(arch, &v->params, &trainable_options, &options, foretold, &error),
        &error);
    uint64_t of_trainable = fal_trainable_bytes(arch, &v->params, &trainable_options);
    if (before > 0) {
        CHECK_NEAR(between - before, of_trainable, 8192);
        CHECK_NEAR(after - between, *foretold, 16384);
    }
    assert_true(*foretold > 1000000);
    fal_training_pass_close(pass);
    fal_trainable_close(t);
    fal_device_close(device);
}

static void test_memory_is_foretold(void **state) {
    (void)state;
    for (int i = 0; i < training_variant_count(); i++) {
        const training_variant *v = training_variant_at(i);
        uint64_t none, cheap, layer, measuring;
        fal_trainable_options options = {.lora = v->lora};
        check_memory(v, options, FAL_RECOMPUTE_NONE, &none);
        check_memory(v, options, FAL_RECOMPUTE_CHEAP, &cheap);
        check_memory(v, options, FAL_RECOMPUTE_LAYER, &layer);
        options.without_gradients = true;
        check_memory(v, options, FAL_RECOMPUTE_NONE, &measuring);
        assert_true(none > cheap && cheap > layer && layer > measuring);
    }
}

static fal_status attempt(const training_variant *v, fal_device *device, fal_error *err) {
    fal_trainable *t;
    fal_training_pass *pass;
    fal_trainable_options options = {.lora = v->lora};
    fal_training_pass_options pass_options = {.max_tokens = 8};
    uint64_t bytes;
    fal_status status =
        fal_trainable_open_fresh(&t, fal_arch_by_name(v->architecture), &v->params, &options, err);
    if (status != FAL_OK) {
        assert_null(t);
        return status;
    }
    status = fal_training_pass_open(&pass, t, device, &pass_options, err);
    if (status == FAL_OK) fal_training_pass_close(pass);
    if (status == FAL_OK)
        status = fal_training_pass_bytes(fal_arch_by_name(v->architecture), &v->params, &options,
                                         &pass_options, &bytes, err);
    fal_trainable_close(t);
    return status;
}

static void test_refused_memory(void **state) {
    (void)state;
    fal_error error = {0};
    fal_device *device;
    CHECK_OK(fal_device_open(&device, "cpu", 2, &error), &error);
    for (int i = 0; i < training_variant_count(); i++) {
        long n = 1, live = fal_alloc_live();
        for (; n < 100; n++) {
            fal_alloc_fail_at(n);
            fal_status status = attempt(training_variant_at(i), device, &error);
            fal_alloc_fail_at(0);
            assert_int_equal(fal_alloc_live(), live);
            if (status == FAL_OK) break;
            CHECK_STATUS(status, FAL_E_MEMORY, &error, "");
        }
        assert_in_range(n, 10, 99);
    }
    fal_device_close(device);
}

/* ---- what is refused ---- */

static void test_refused_batches(void **state) {
    (void)state;
    const training_variant *v = training_variant_at(4);
    training_batch b;
    fal_error error = {0};
    fal_device *device;
    fal_training_pass *pass;
    float nll[TRAINING_MAX_TOKENS];
    fal_trainable *t = training_model_open(v, NULL, 11);
    fal_training_pass_options options = {.max_tokens = N_TOKENS};
    CHECK_OK(fal_device_open(&device, "cpu", 1, &error), &error);
    CHECK_OK(fal_training_pass_open(&pass, t, device, &options, &error), &error);
    draw(&b, v);
    b.tokens[3] = 37;
    CHECK_STATUS(fal_training_pass_run(pass, &b.batch, 1, nll, &error), FAL_E_ARGUMENT, &error,
                 "token 3 is 37, between 0 and 36");
    draw(&b, v);
    b.weights[4] = 1;
    b.targets[4] = -1;
    CHECK_STATUS(fal_training_pass_loss(pass, &b.batch, nll, &error), FAL_E_ARGUMENT, &error,
                 "target 4 is -1");
    draw(&b, v);
    b.weights[4] = NAN;
    CHECK_STATUS(fal_training_pass_run(pass, &b.batch, 1, nll, &error), FAL_E_ARGUMENT, &error,
                 "weight 4 is");
    draw(&b, v);
    b.positions[5] = 32;
    CHECK_STATUS(fal_training_pass_run(pass, &b.batch, 1, nll, &error), FAL_E_ARGUMENT, &error,
                 "position 5 is 32, between 0 and 31");
    draw(&b, v);
    b.starts[3]--;
    CHECK_STATUS(fal_training_pass_run(pass, &b.batch, 1, nll, &error), FAL_E_ARGUMENT, &error,
                 "sequences of 23 of 24 tokens");
    b.starts[3] = 40;
    CHECK_STATUS(fal_training_pass_run(pass, &b.batch, 1, nll, &error), FAL_E_ARGUMENT, &error,
                 "sequence 2 ends at 40 of 24 tokens");
    b.batch.n_tokens = 25;
    CHECK_STATUS(fal_training_pass_run(pass, &b.batch, 1, nll, &error), FAL_E_LIMIT, &error,
                 "25 tokens, at most 24");
    b.batch.n_tokens = b.batch.n_sequences = 0;
    CHECK_OK(fal_training_pass_run(pass, &b.batch, 1, nll, &error), &error);
    for (int i = 0; i < fal_trainable_count(t); i++) {
        const fal_trainable_weight *w = fal_trainable_at(t, i);
        for (int64_t k = 0; k < w->n_rows * w->n_cols; k++)
            assert_true(((const float *)w->gradient.data)[k] == 0);
    }
    fal_training_pass_close(pass);
    fal_trainable_close(t);
    fal_device_close(device);
}

static void test_refused_options(void **state) {
    (void)state;
    const training_variant *v = training_variant_at(0);
    fal_error error = {0};
    fal_device *device;
    fal_training_pass *pass;
    fal_trainable *t, *refused;
    fal_batch batch = {0};
    fal_trainable_options measuring = {.without_gradients = true},
                          wild = {.lora = {.rank = 1 << 20}};
    const fal_arch *falcon = fal_arch_by_name("falcon");
    CHECK_OK(fal_device_open(&device, "ref", 1, &error), &error);
    CHECK_OK(fal_trainable_open_fresh(&t, falcon, &v->params, &measuring, &error), &error);
    fal_training_pass_options options = {0};
    CHECK_STATUS(fal_training_pass_open(&pass, t, device, &options, &error), FAL_E_ARGUMENT, &error,
                 "batches of 0 tokens");
    options = (fal_training_pass_options){.max_tokens = 4, .z_loss = -1};
    CHECK_STATUS(fal_training_pass_open(&pass, t, device, &options, &error), FAL_E_ARGUMENT, &error,
                 "z-loss coefficient -1");
    options.z_loss = 0;
    CHECK_OK(fal_training_pass_open(&pass, t, device, &options, &error), &error);
    CHECK_STATUS(fal_training_pass_run(pass, &batch, 1, NULL, &error), FAL_E_ARGUMENT, &error,
                 "without gradients");
    fal_training_pass_close(pass);
    fal_trainable_close(t);
    CHECK_STATUS(fal_trainable_open_fresh(&refused, falcon, &v->params, &wild, &error),
                 FAL_E_ARGUMENT, &error, "rank 1048576");
    fal_params narrow = v->params;
    narrow.n_kv_heads = 2;
    CHECK_STATUS(fal_trainable_open_fresh(&refused, falcon, &narrow, NULL, &error), FAL_E_FORMAT,
                 &error, "3 heads are not a multiple of 2 kv heads");
    fal_arch untrained = *falcon;
    untrained.is_trainable = false;
    CHECK_STATUS(fal_trainable_open_fresh(&refused, &untrained, &v->params, NULL, &error),
                 FAL_E_UNSUPPORTED, &error, "'falcon' cannot be trained");
    assert_null(refused);
    fal_device_close(device);
}

/* Guesses are the largest logits of the tokens that are looked at. */
static void test_guesses(void **state) {
    (void)state;
    for (int i = 0; i < training_variant_count(); i++) {
        const training_variant *v = training_variant_at(i);
        static float logits[TRAINING_MAX_TOKENS * TRAINING_MAX_VOCAB];
        int32_t guesses[TRAINING_MAX_TOKENS];
        training_batch b;
        fal_device *device;
        fal_training_pass *pass;
        fal_error error = {0};
        const fal_training_pass_options options = {.max_tokens = N_TOKENS};
        draw(&b, v);
        CHECK_OK(fal_device_open(&device, device_name(), 2, &error), &error);
        fal_trainable *t = training_model_open(v, device, 11);
        CHECK_OK(fal_training_pass_open(&pass, t, device, &options, &error), &error);
        CHECK_OK(fal_training_pass_logits(pass, &b.batch, logits, &error), &error);
        CHECK_OK(fal_training_pass_guess(pass, &b.batch, guesses, &error), &error);
        for (int k = 0; k < N_TOKENS; k++) {
            int best = 0;
            for (int id = 1; id < v->params.n_vocab; id++) {
                if (logits[k * v->params.n_vocab + id] > logits[k * v->params.n_vocab + best])
                    best = id;
            }
            assert_int_equal(guesses[k], b.weights[k] == 0 ? -1 : best);
        }
        fal_training_pass_close(pass);
        fal_trainable_close(t);
        fal_device_close(device);
    }
}

int main(void) {
    if (!test_device_is_there()) return TEST_IS_SKIPPED;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recompute),
        cmocka_unit_test(test_threads_and_room),
        cmocka_unit_test(test_packed_and_alone),
        cmocka_unit_test(test_scaled_weights),
        cmocka_unit_test(test_weightless_batch),
        cmocka_unit_test(test_gradients_add_up),
        cmocka_unit_test(test_long_batch),
        cmocka_unit_test(test_only_adapters_have_gradients),
        cmocka_unit_test(test_guesses),
        cmocka_unit_test(test_memory_is_foretold),
        cmocka_unit_test(test_refused_memory),
        cmocka_unit_test(test_refused_batches),
        cmocka_unit_test(test_refused_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
