/* Opcheck of attention over packed sequences and of its gradient: documents of many lengths, empty ones too, all ways of
 * sharing kv heads, ALiBi, sizes that fill no tile. */
#include "trial.h"

/* Lengths end with -1. */
typedef struct packed_shape {
    int lengths[8];
    int n_heads, n_kv_heads, head_dim;
    bool has_alibi;
} packed_shape;

static const packed_shape shapes[] = {
    {{1, -1},                   1,  1, 2,  false},
    {{0, 3, 0, 1, 9, 0, -1},    2,  1, 8,  true },
    {{65, 64, 63, -1},          4,  2, 32, false},
    {{200, 1, 130, -1},         3,  3, 16, true },
    {{31, 33, 2, -1},           71, 1, 64, false},
    {{300, -1},                 6,  2, 10, true },
    {{129, 128, 127, -1},       2,  2, 64, true },
    {{17, -1},                  8,  4, 80, false},
    {{1, 1, 1, 1, 1, 1, 1, -1}, 5,  1, 6,  false}
};

enum {
    N_SHAPES = sizeof shapes / sizeof shapes[0]
};

typedef struct packed_case {
    int64_t starts[9];
    float slopes[80];
    fal_packing p;
} packed_case;

static void open_case(packed_case *c, const packed_shape *s) {
    int64_t n = 0;
    while (s->lengths[n] >= 0) {
        c->starts[n + 1] = c->starts[n] + s->lengths[n];
        n++;
    }
    for (int head = 0; head < s->n_heads; head++)
        c->slopes[head] = 0.5f / (float)(1 + head);
    c->p = (fal_packing){.starts = c->starts,
                         .n_sequences = n,
                         .n_heads = s->n_heads,
                         .n_kv_heads = s->n_kv_heads,
                         .head_dim = s->head_dim,
                         .scale = (float)(1.5 / sqrt((double)s->head_dim)),
                         .alibi_slopes = s->has_alibi ? c->slopes : NULL};
}

static int64_t n_tokens_of(const packed_case *c) {
    return c->starts[c->p.n_sequences];
}

static fal_tensor heads_matrix(const packed_case *c, int n_heads, fal_random *random) {
    return wide_matrix(n_tokens_of(c), (int64_t)n_heads * c->p.head_dim, random);
}

static void call_attention(fal_queue *q, const trial *t, fal_tensor *results) {
    q->ops->packed_attention(q, results[0], results[1], t->inputs[0], t->inputs[1], t->inputs[2],
                             t->how);
}

static void attention_agrees_with_ref(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(41, 0);
    for (int i = 0; i < N_SHAPES; i++) {
        packed_case c = {0};
        open_case(&c, &shapes[i]);
        check_trial(&(trial){
            .name = "packed_attention",
            .call = call_attention,
            .n_results = 2,
            .results = {heads_matrix(&c, c.p.n_heads,    &random),
                        wide_matrix(n_tokens_of(&c), c.p.n_heads, &random)},
            .inputs = { heads_matrix(&c, c.p.n_heads, &random),
                        heads_matrix(&c,             c.p.n_kv_heads,          &random),
                        heads_matrix(&c, c.p.n_kv_heads, &random)},
            .how = &c.p,
            .bound = 2e-6
        });
    }
}

static void call_gradient(fal_queue *q, const trial *t, fal_tensor *results) {
    q->ops->packed_attention_gradient(q, results[0], results[1], results[2], t->inputs[0],
                                      t->inputs[1], t->inputs[2], t->inputs[3], t->inputs[4],
                                      t->inputs[5], t->how);
}

static void attention_gradient_agrees_with_ref(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(42, 0);
    for (int i = 0; i < N_SHAPES; i++) {
        packed_case c = {0};
        open_case(&c, &shapes[i]);
        int n_heads = c.p.n_heads, n_kv_heads = c.p.n_kv_heads;
        trial t = {
            .name = "packed_attention_gradient",
            .call = call_gradient,
            .n_results = 3,
            .results = {heads_matrix(&c, n_heads, &random), heads_matrix(&c, n_kv_heads, &random),
                        heads_matrix(&c, n_kv_heads, &random)},
            .inputs = { heads_matrix(&c, n_heads, &random), heads_matrix(&c, n_heads, &random),
                        wide_matrix(n_tokens_of(&c), n_heads, &random),
                        heads_matrix(&c, n_heads, &random), heads_matrix(&c, n_kv_heads, &random),
                        heads_matrix(&c, n_kv_heads, &random)},
            .how = &c.p,
            .bound = 3e-6
        };
        opened ref = open_ref();
        ref.q->ops->packed_attention(ref.q, t.inputs[1], t.inputs[2], t.inputs[3], t.inputs[4],
                                     t.inputs[5], &c.p);
        close_opened(ref);
        check_trial(&t);
    }
}

/* A sequence has the same bits alone and among others. */
static void sequences_never_depend_on_others(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(43, 0);
    packed_case c = {0};
    open_case(&c, &(packed_shape){
                      {5, 190, 70, -1},
                      4, 2, 24, true
    });
    fal_tensor in[4] = {heads_matrix(&c, 4, &random), heads_matrix(&c, 4, &random),
                        heads_matrix(&c, 2, &random), heads_matrix(&c, 2, &random)};
    for (int level = 0; level < n_levels(); level++) {
        opened o = open_cpu((fal_cpu_level)level, 2);
        fal_tensor all[5], one[5];
        for (int i = 0; i < 5; i++) {
            all[i] = i == 4 ? wide_matrix(265, 4, &random) : copy_of(in[i]);
            one[i] = copy_of(all[i]);
        }
        o.q->ops->packed_attention(o.q, all[0], all[4], in[1], in[2], in[3], &c.p);
        o.q->ops->packed_attention_gradient(o.q, all[1], all[2], all[3], in[0], all[0], all[4],
                                            in[1], in[2], in[3], &c.p);
        for (int s = 0; s < 3; s++) {
            int64_t first = c.starts[s], n = c.starts[s + 1] - first;
            const int64_t starts[] = {0, n};
            fal_packing p = c.p;
            fal_tensor y[5], x[4];
            p.starts = starts, p.n_sequences = 1;
            for (int i = 0; i < 5; i++)
                y[i] = fal_tensor_rows(one[i], first, n);
            for (int i = 0; i < 4; i++)
                x[i] = fal_tensor_rows(in[i], first, n);
            o.q->ops->packed_attention(o.q, y[0], y[4], x[1], x[2], x[3], &p);
            o.q->ops->packed_attention_gradient(o.q, y[1], y[2], y[3], x[0], y[0], y[4], x[1], x[2],
                                                x[3], &p);
        }
        close_opened(o);
        for (int i = 0; i < 5; i++) {
            check_same_bits(all[i], one[i], "a sequence alone");
            release(all[i]), release(one[i]);
        }
    }
    for (int i = 0; i < 4; i++)
        release(in[i]);
}

/* Scores far beyond what exp can hold, in both directions. */
static void attention_bears_large_scores(void **state) {
    (void)state;
    const int64_t starts[] = {0, 70};
    fal_packing p = {starts, 1, 1, 1, 2, 1.0f, NULL};
    fal_tensor query = matrix("f32", 70, 2), key = matrix("f32", 70, 2), out = matrix("f32", 70, 2),
               log_sums = matrix("f32", 70, 1);
    for (int i = 0; i < 70; i++) {
        fal_tensor_f32_row(query, i)[0] = 1000.0f;
        fal_tensor_f32_row(key, i)[0] = i % 2 ? 1000.0f : -1000.0f;
        fal_tensor_f32_row(key, i)[1] = 1.0f + (float)(i % 2);
    }
    for (int level = -1; level < n_levels(); level++) {
        opened o = level < 0 ? open_ref() : open_cpu((fal_cpu_level)level, 1);
        o.q->ops->packed_attention(o.q, out, log_sums, query, key, key, &p);
        close_opened(o);
        assert_true(fal_tensor_f32_row(out, 0)[1] == 1.0f);
        assert_true(fal_tensor_f32_row(log_sums, 0)[0] == -1e6f);
        for (int i = 1; i < 70; i++) {
            CHECK_NEAR(fal_tensor_f32_row(out, i)[1], 2.0, 1e-6);
            CHECK_NEAR(fal_tensor_f32_row(log_sums, i)[0], 1e6 + log((double)((i + 1) / 2)), 0.07);
        }
    }
    release(query), release(key), release(out), release(log_sums);
}

int main(void) {
    if (!test_device_is_there()) return TEST_IS_SKIPPED;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_agrees_with_ref),
        cmocka_unit_test(attention_gradient_agrees_with_ref),
        cmocka_unit_test(sequences_never_depend_on_others),
        cmocka_unit_test(attention_bears_large_scores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
