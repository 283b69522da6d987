/* Opcheck of the operations of training: the cpu column, with each kernel set, against ref; bit for bit over numbers of
 * threads; and sizes at which loops begin and end. Gradients are held against differences in test_gradients. */
#include "trial.h"

/* ---- products ---- */

typedef struct product_shape {
    int64_t m, n, k;
} product_shape;

static void call_product(fal_queue *q, const trial *t, fal_tensor *results) {
    q->ops->product(q, results[0], t->inputs[0], t->number & 1, t->inputs[1], t->number & 2,
                    t->number & 4);
}

static void product_agrees_with_ref(void **state) {
    (void)state;
    const product_shape shapes[] = {
        {1,   1,   1  },
        {1,   17,  5  },
        {7,   1,   3  },
        {5,   16,  300},
        {13,  35,  64 },
        {37,  71,  129},
        {130, 48,  33 },
        {70,  200, 257},
        {3,   300, 520},
        {300, 3,   700}
    };
    fal_random random = fal_random_seeded(21, 0);
    for (int i = 0; i < (int)(sizeof shapes / sizeof shapes[0]); i++) {
        product_shape s = shapes[i];
        for (int roles = 0; roles < 8; roles++) {
            fal_tensor a =
                roles & 1 ? wide_matrix(s.k, s.m, &random) : wide_matrix(s.m, s.k, &random);
            fal_tensor b =
                roles & 2 ? wide_matrix(s.n, s.k, &random) : wide_matrix(s.k, s.n, &random);
            check_trial(&(trial){
                .name = "product",
                .call = call_product,
                .n_results = 1,
                .results = {wide_matrix(s.m, s.n, &random)},
                .inputs = {a,               b                 },
                .number = roles,
                .bound = 1e-6
            });
        }
    }
}

/* A row of a product has the same bits alone, in another place and among others. */
static void product_rows_never_depend_on_others(void **state) {
    (void)state;

    enum {
        M = 41,
        N = 67
    };

    fal_random random = fal_random_seeded(22, 0);
    const int64_t depths[] = {1, 40, 256, 300, 1100};
    for (int i = 0; i < 5; i++) {
        fal_tensor a = wide_matrix(M, depths[i], &random), w = wide_matrix(N, depths[i], &random);
        for (int level = 0; level < n_levels(); level++) {
            fal_tensor all = wide_matrix(M, N, &random), part = copy_of(all);
            opened o = open_cpu((fal_cpu_level)level, 3);
            o.q->ops->product(o.q, all, a, false, w, true, false);
            const int64_t steps[] = {1, 2, 5, 11};
            for (int64_t row = 0, k = 0; row < M; row += steps[k++ % 4]) {
                int64_t n = M - row < steps[k % 4] ? M - row : steps[k % 4];
                o.q->ops->product(o.q, fal_tensor_rows(part, row, n), fal_tensor_rows(a, row, n),
                                  false, w, true, false);
            }
            check_same_bits(all, part, "rows of a product");
            for (int64_t column = 0; column < N; column += 9) {
                int64_t n = N - column < 9 ? N - column : 9;
                o.q->ops->product(o.q, fal_tensor_columns(part, column, n), a, false,
                                  fal_tensor_rows(w, column, n), true, false);
            }
            check_same_bits(all, part, "columns of a product");
            close_opened(o);
            release(all), release(part);
        }
        release(a), release(w);
    }
}

static void product_of_nothing_is_zero(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(23, 0);
    fal_tensor a = matrix("f32", 0, 4), b = matrix("f32", 0, 3);
    for (int level = -1; level < n_levels(); level++) {
        fal_tensor y = wide_matrix(4, 3, &random), before = copy_of(y);
        opened o = level < 0 ? open_ref() : open_cpu((fal_cpu_level)level, 2);
        o.q->ops->product(o.q, y, a, true, b, false, true);
        check_same_bits(y, before, "nothing added");
        o.q->ops->product(o.q, y, a, true, b, false, false);
        close_opened(o);
        for (int i = 0; i < 12; i++)
            assert_true(fal_tensor_f32_row(y, i / 3)[i % 3] == 0.0f);
        release(y), release(before);
    }
    release(a), release(b);
}

/* ---- rows ---- */

static void call_norm_gradient(fal_queue *q, const trial *t, fal_tensor *results) {
    q->ops->layer_norm_gradient(q, results[0], t->number > 0 ? results[1] : FAL_NONE,
                                t->number > 1 ? results[2] : FAL_NONE, t->inputs[0], t->inputs[1],
                                t->inputs[2], 1e-5f);
}

static void layer_norm_gradient_agrees_with_ref(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(24, 0);
    const int64_t sizes[][2] = {
        {1,   1  },
        {1,   8  },
        {3,   13 },
        {33,  64 },
        {70,  300},
        {129, 71 },
        {600, 33 }
    };
    for (int i = 0; i < 7; i++) {
        for (int given = 0; given < 3; given++) {
            int64_t n = sizes[i][0], d = sizes[i][1];
            check_trial(&(trial){
                .name = "layer_norm_gradient",
                .call = call_norm_gradient,
                .n_results = 3,
                .results = {wide_matrix(n, d, &random), wide_matrix(1, d, &random),
                            wide_matrix(1, d, &random)},
                .inputs = {wide_matrix(n, d, &random), wide_matrix(n, d, &random),
                            wide_matrix(1, d, &random)},
                .number = given,
                .bound = d == 1 ? 1e-4 : 1e-6
            });
        }
    }
}

static void call_gelu_erf(fal_queue *q, const trial *t, fal_tensor *results) {
    q->ops->gelu_erf_gradient(q, results[0], t->number ? results[0] : t->inputs[0], t->inputs[1]);
}

static void call_gelu_tanh(fal_queue *q, const trial *t, fal_tensor *results) {
    q->ops->gelu_tanh_gradient(q, results[0], t->number ? results[0] : t->inputs[0], t->inputs[1]);
}

static void call_add_bias(fal_queue *q, const trial *t, fal_tensor *results) {
    q->ops->add_bias(q, results[0], t->inputs[2]);
}

static void call_bias_gradient(fal_queue *q, const trial *t, fal_tensor *results) {
    q->ops->bias_gradient(q, results[0], t->inputs[0]);
}

static void call_scale(fal_queue *q, const trial *t, fal_tensor *results) {
    q->ops->scale(q, results[0], 0.25f * (float)t->number);
}

static void rows_agree_with_ref(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(25, 0);
    const int64_t sizes[][2] = {
        {1,   1   },
        {3,   7   },
        {20,  71  },
        {65,  8   },
        {2,   4100},
        {9,   129 },
        {700, 33  }
    };

    const struct {
        const char *name;
        void (*call)(fal_queue *q, const trial *t, fal_tensor *results);
        bool is_one_row;
    } kinds[] = {
        {"gelu_erf_gradient",  call_gelu_erf,      false},
        {"gelu_tanh_gradient", call_gelu_tanh,     false},
        {"add_bias",           call_add_bias,      false},
        {"scale",              call_scale,         false},
        {"bias_gradient",      call_bias_gradient, true }
    };

    for (int i = 0; i < 7; i++) {
        for (int k = 0; k < 10; k++) {
            int64_t n = sizes[i][0], d = sizes[i][1];
            check_trial(&(trial){
                .name = kinds[k / 2].name,
                .call = kinds[k / 2].call,
                .n_results = 1,
                .results = {wide_matrix(kinds[k / 2].is_one_row ? 1 : n, d, &random)},
                .inputs = { wide_matrix(n, d, &random), wide_matrix(n, d, &random),
                            wide_matrix(1, d, &random)},
                .number = k % 2,
                .bound = 1e-6
            });
        }
    }
}

static void scale_by_zero_clears_everything(void **state) {
    (void)state;
    for (int level = -1; level < n_levels(); level++) {
        opened o = level < 0 ? open_ref() : open_cpu((fal_cpu_level)level, 2);
        fal_tensor x = matrix("f32", 2, 9);
        for (int i = 0; i < 18; i++)
            fal_tensor_f32_row(x, i / 9)[i % 9] = i % 3 ? NAN : -INFINITY;
        o.q->ops->scale(o.q, x, 0.0f);
        for (int i = 0; i < 18; i++)
            assert_true(fal_tensor_f32_row(x, i / 9)[i % 9] == 0.0f);
        close_opened(o);
        release(x);
    }
}

static void call_rope_gradient(fal_queue *q, const trial *t, fal_tensor *results) {
    q->ops->rope_gradient(q, results[0], t->inputs[0], t->number);
}

static void rope_gradient_agrees_with_ref(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(26, 0);
    const int sizes[][3] = {
        {1,  1,  2 },
        {5,  71, 64},
        {19, 3,  6 },
        {20, 2,  34}
    };
    for (int i = 0; i < 4; i++)
        check_trial(
            &(trial){.name = "rope_gradient",
                     .call = call_rope_gradient,
                     .n_results = 1,
                     .results = {wide_matrix(sizes[i][0], sizes[i][1] * sizes[i][2], &random)},
                     .inputs = {wide_matrix(sizes[i][0], sizes[i][2], &random)},
                     .number = sizes[i][1],
                     .bound = 1e-6});
}

static void call_embed_gradient(fal_queue *q, const trial *t, fal_tensor *results) {
    q->ops->embed_gradient(q, results[0], t->inputs[0], t->how);
}

static void embed_gradient_agrees_with_ref(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(27, 0);
    int32_t rows[100], one_row[100] = {0};
    for (int i = 0; i < 100; i++)
        rows[i] = (int32_t)(fal_random_u64(&random) % 7);
    check_trial(&(trial){.name = "embed_gradient of one row",
                         .call = call_embed_gradient,
                         .n_results = 1,
                         .results = {wide_matrix(1, 130, &random)},
                         .inputs = {wide_matrix(100, 130, &random)},
                         .how = one_row,
                         .bound = 1e-6});
    const int64_t n_cols[] = {1, 63, 64, 200};
    for (int i = 0; i < 4; i++)
        check_trial(&(trial){.name = "embed_gradient",
                             .call = call_embed_gradient,
                             .n_results = 1,
                             .results = {wide_matrix(7, n_cols[i], &random)},
                             .inputs = {wide_matrix(100, n_cols[i], &random)},
                             .how = rows,
                             .bound = 1e-7});
}

/* ---- loss and steps ---- */

static const int32_t targets[] = {0, 4, 2, 3, 1, 0, 0, 4, 2, 1, 3};
static const float weights[] = {1.0f, 0.5f, 0.25f, 1.0f, 2.0f, 1.0f, 0.1f, 1.0f, 1.0f, 0.5f, 3.0f};

static void call_cross_entropy(fal_queue *q, const trial *t, fal_tensor *results) {
    fal_tensor nll = results[1];
    q->ops->cross_entropy(q, results[0], fal_tensor_f32_row(nll, 0),
                          t->number & 1 ? results[0] : t->inputs[0], targets, weights, 0.125,
                          t->number & 2 ? 1e-2 : 0.0);
}

static void cross_entropy_agrees_with_ref(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(28, 0);
    const int64_t n_cols[] = {5, 8, 37, 1000, 4099};
    for (int i = 0; i < 5; i++) {
        for (int number = 0; number < 4; number++)
            check_trial(&(trial){
                .name = "cross_entropy",
                .call = call_cross_entropy,
                .n_results = 2,
                .results = {wide_matrix(11, n_cols[i], &random), wide_matrix(1, 11, &random)},
                .inputs = {wide_matrix(11,            n_cols[i],             &random)                    },
                .number = number,
                .bound = 1e-6
            });
    }
}

static void cross_entropy_bears_large_logits(void **state) {
    (void)state;
    for (int level = -1; level < n_levels(); level++) {
        opened o = level < 0 ? open_ref() : open_cpu((fal_cpu_level)level, 1);
        fal_tensor x = matrix("f32", 1, 19);
        float nll[1];
        const int32_t target[] = {3};
        const float weight[] = {1.0f};
        for (int i = 0; i < 19; i++)
            fal_tensor_f32_row(x, 0)[i] = i == 3 ? 3e38f : i == 4 ? -3e38f : 0.0f;
        o.q->ops->cross_entropy(o.q, x, nll, x, target, weight, 1.0, 0.0);
        assert_true(nll[0] == 0.0f);
        for (int i = 0; i < 19; i++)
            assert_true(fal_tensor_f32_row(x, 0)[i] == 0.0f);
        fal_tensor_f32_row(x, 0)[7] = NAN;
        o.q->ops->cross_entropy(o.q, x, nll, x, target, weight, 1.0, 0.0);
        assert_true(isnan(nll[0]));
        close_opened(o);
        release(x);
    }
}

static void square_sum_agrees_with_ref(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(29, 0);
    const int64_t sizes[][2] = {
        {0,  3    },
        {1,  1    },
        {5,  71   },
        {3,  40000},
        {70, 513  }
    };
    for (int i = 0; i < 5; i++) {
        fal_tensor x = wide_matrix(sizes[i][0], sizes[i][1], &random);
        double wanted, first = 0.0, found;
        opened ref = open_ref();
        ref.q->ops->square_sum(ref.q, &wanted, x);
        close_opened(ref);
        for (int level = 0; level < n_levels(); level++) {
            for (int k = 0; k < N_THREAD_COUNTS; k++) {
                opened o = open_cpu((fal_cpu_level)level, thread_counts[k]);
                o.q->ops->square_sum(o.q, &found, x);
                close_opened(o);
                if (k == 0) first = found;
                assert_true(first == found);
                assert_true(fabs(found - wanted) <= 1e-12 * wanted);
            }
        }
        release(x);
    }
}

static void call_adamw(fal_queue *q, const trial *t, fal_tensor *results) {
    fal_adamw how = {.learning_rate = 1e-2,
                     .beta1 = 0.9,
                     .beta2 = 0.95,
                     .epsilon = 1e-8,
                     .weight_decay = t->number ? 0.1 : 0.0,
                     .gradient_scale = 0.5,
                     .step = 1 + t->number};
    q->ops->adamw(q, results[0], results[1], results[2], t->inputs[0], &how);
}

static void adamw_agrees_with_ref(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(30, 0);
    const int64_t sizes[][2] = {
        {1,  1  },
        {1,  130},
        {21, 71 },
        {70, 16 }
    };
    for (int i = 0; i < 4; i++) {
        for (int number = 0; number < 3; number++) {
            int64_t n = sizes[i][0], d = sizes[i][1];
            fal_tensor v = wide_matrix(n, d, &random);
            for (int64_t row = 0; row < n; row++) {
                for (int64_t k = 0; k < d; k++)
                    fal_tensor_f32_row(v, row)[k] *= fal_tensor_f32_row(v, row)[k];
            }
            check_trial(&(trial){
                .name = "adamw",
                .call = call_adamw,
                .n_results = 3,
                .results = {wide_matrix(n, d, &random), wide_matrix(n, d, &random), v},
                .inputs = {wide_matrix(n,            d,     &random)           },
                .number = number,
                .bound = 1e-6
            });
        }
    }
}

int main(void) {
    if (!test_device_is_there()) return TEST_IS_SKIPPED;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(product_agrees_with_ref),
        cmocka_unit_test(product_rows_never_depend_on_others),
        cmocka_unit_test(product_of_nothing_is_zero),
        cmocka_unit_test(layer_norm_gradient_agrees_with_ref),
        cmocka_unit_test(rows_agree_with_ref),
        cmocka_unit_test(scale_by_zero_clears_everything),
        cmocka_unit_test(rope_gradient_agrees_with_ref),
        cmocka_unit_test(embed_gradient_agrees_with_ref),
        cmocka_unit_test(cross_entropy_agrees_with_ref),
        cmocka_unit_test(cross_entropy_bears_large_logits),
        cmocka_unit_test(square_sum_agrees_with_ref),
        cmocka_unit_test(adamw_agrees_with_ref),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
