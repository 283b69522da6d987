/* Opcheck of the operations that inference and training share, on f32: what a column for training alone must have too. What
 * they do besides is test_ops's. */
#include "trial.h"

static const int64_t sizes[][2] = {
    {1,   1   },
    {3,   7   },
    {20,  71  },
    {65,  8   },
    {2,   4100},
    {300, 132 }
};

enum {
    N_SIZES = sizeof sizes / sizeof sizes[0]
};

static void call_add(fal_queue *q, const trial *t, fal_tensor *results) {
    fal_tensor *y = results;
    q->ops->add(q, *y, t->number & 1 ? *y : t->inputs[0], t->number & 2 ? *y : t->inputs[1]);
}

static void call_gelu_erf(fal_queue *q, const trial *t, fal_tensor *results) {
    q->ops->gelu_erf(q, results[0], t->number & 1 ? results[0] : t->inputs[0]);
}

static void call_gelu_tanh(fal_queue *q, const trial *t, fal_tensor *results) {
    q->ops->gelu_tanh(q, results[0], t->number & 1 ? results[0] : t->inputs[0]);
}

static void call_layer_norm(fal_queue *q, const trial *t, fal_tensor *results) {
    q->ops->layer_norm(q, results[0], t->number & 1 ? results[0] : t->inputs[0], t->inputs[2],
                       t->number & 2 ? t->inputs[3] : FAL_NONE, 1e-5f);
}

static void rows_agree_with_ref(void **state) {
    (void)state;

    const struct {
        const char *name;
        void (*call)(fal_queue *q, const trial *t, fal_tensor *results);
    } kinds[] = {
        {"add",        call_add       },
        {"gelu_erf",   call_gelu_erf  },
        {"gelu_tanh",  call_gelu_tanh },
        {"layer_norm", call_layer_norm}
    };

    fal_random random = fal_random_seeded(51, 0);
    for (int i = 0; i < N_SIZES; i++) {
        for (int k = 0; k < 16; k++) {
            int64_t n = sizes[i][0], d = sizes[i][1];
            check_trial(&(trial){
                .name = kinds[k / 4].name,
                .call = kinds[k / 4].call,
                .n_results = 1,
                .results = {wide_matrix(n,  d, &random)},
                .inputs = { wide_matrix(n, d, &random), wide_matrix(n, d, &random),
                            wide_matrix(1, d, &random), wide_matrix(1, d, &random)},
                .number = k % 4,
                .bound = 1e-6
            });
        }
    }
}

static void call_embed(fal_queue *q, const trial *t, fal_tensor *results) {
    q->ops->embed(q, results[0], t->inputs[0], t->how);
}

static void embed_agrees_with_ref(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(52, 0);
    int32_t rows[100];
    for (int i = 0; i < 100; i++)
        rows[i] = (int32_t)(fal_random_u64(&random) % 7);
    for (int64_t n_cols = 1; n_cols < 300; n_cols += 61)
        check_trial(&(trial){.name = "embed",
                             .call = call_embed,
                             .n_results = 1,
                             .results = {wide_matrix(100, n_cols, &random)},
                             .inputs = {wide_matrix(7, n_cols, &random)},
                             .how = rows,
                             .bound = 1e-30});
}

static void call_rope_table(fal_queue *q, const trial *t, fal_tensor *results) {
    static const int32_t positions[] = {0, 1, 2, 3, 100, 2047, 2048, 8191, 131072, 1000000, 7};
    q->ops->rope_table(q, results[0], positions, t->how, 1.25);
}

static void call_rope(fal_queue *q, const trial *t, fal_tensor *results) {
    q->ops->rope(q, results[0], t->inputs[0], t->number);
}

static void rope_agrees_with_ref(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(53, 0);
    const int shapes[][2] = {
        {1,  2 },
        {71, 64},
        {3,  6 },
        {2,  34}
    };
    double frequency[32];
    for (int i = 0; i < 32; i++)
        frequency[i] = exp2(-0.4 * i);
    for (int i = 0; i < 4; i++) {
        int n_heads = shapes[i][0], head_dim = shapes[i][1];
        check_trial(&(trial){.name = "rope_table",
                             .call = call_rope_table,
                             .n_results = 1,
                             .results = {wide_matrix(11, head_dim, &random)},
                             .how = frequency,
                             .bound = 1e-6});
        check_trial(&(trial){.name = "rope",
                             .call = call_rope,
                             .n_results = 1,
                             .results = {wide_matrix(19, (int64_t)n_heads * head_dim, &random)},
                             .inputs = {wide_matrix(19, head_dim, &random)},
                             .number = n_heads,
                             .bound = 1e-6});
    }
}

int main(void) {
    if (!test_device_is_there()) return TEST_IS_SKIPPED;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_agree_with_ref),
        cmocka_unit_test(embed_agrees_with_ref),
        cmocka_unit_test(rope_agrees_with_ref),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
