/* The sampler against distributions computed plainly in this file, and properties of the filters. */
#include <falconer/sampling.h>

#include "base/random.h"
#include "check.h"

#include <stdlib.h>

enum {
    N = 8,
    DRAWS = 40000
};

/* Falling, but not in the order of the ids. */
static const float logits[N] = {1.0f, 3.0f, -1.0f, 2.0f, 0.0f, 2.5f, -4.0f, 0.5f};

static fal_sampler *open_sampler(fal_sampling how) {
    fal_sampler *s;
    fal_error err = {0};
    CHECK_OK(fal_sampler_open(&s, &how, N, 0, &err), &err);
    return s;
}

/* Draws many times and compares each token's share with its probability: 5 standard deviations are allowed. */
static void check_distribution(fal_sampling how, const double *probability) {
    fal_sampler *s = open_sampler(how);
    int n_drawn[N] = {0};
    for (int i = 0; i < DRAWS; i++)
        n_drawn[fal_sampler_draw(s, logits)]++;
    for (int id = 0; id < N; id++) {
        if (probability[id] == 0) assert_int_equal(n_drawn[id], 0);
        double deviation = sqrt(probability[id] * (1 - probability[id]) / DRAWS);
        CHECK_NEAR((double)n_drawn[id] / DRAWS, probability[id], 5 * deviation + 1e-12);
    }
    fal_sampler_close(s);
}

/* Softmax at a temperature over the kept ids only. */
static void softmax_of(const bool *is_kept, double temperature, double *probability) {
    double sum = 0;
    for (int id = 0; id < N; id++) {
        probability[id] = is_kept[id] ? exp((double)logits[id] / temperature) : 0;
        sum += probability[id];
    }
    for (int id = 0; id < N; id++)
        probability[id] /= sum;
}

static void test_greedy(void **state) {
    (void)state;
    fal_sampler *s = open_sampler((fal_sampling){0});
    assert_int_equal(fal_sampler_draw(s, logits), 1);
    const float equal[N] = {1, 1, 1, 1, 1, 1, 1, 1},
                none[N] = {-INFINITY, NAN, -INFINITY, NAN, 0, NAN, NAN, NAN};
    assert_int_equal(fal_sampler_draw(s, equal), 0);
    assert_int_equal(fal_sampler_draw(s, none), 4);
    fal_sampler_close(s);
}

static void test_temperature_and_top_k(void **state) {
    (void)state;
    const bool all[N] = {1, 1, 1, 1, 1, 1, 1, 1}, three[N] = {0, 1, 0, 1, 0, 1, 0, 0};
    double probability[N];
    softmax_of(all, 1, probability);
    check_distribution((fal_sampling){.temperature = 1, .seed = 1}, probability);
    softmax_of(all, 2.5, probability);
    check_distribution((fal_sampling){.temperature = 2.5, .seed = 2}, probability);
    softmax_of(three, 1, probability);
    check_distribution((fal_sampling){.temperature = 1, .top_k = 3, .seed = 3}, probability);
    softmax_of(all, 1, probability);
    check_distribution((fal_sampling){.temperature = 1, .top_k = 100, .seed = 4}, probability);
}

/* The shares are those of the softmax of all eight. */
static void test_top_p(void **state) {
    (void)state;
    const bool all[N] = {1, 1, 1, 1, 1, 1, 1, 1}, one[N] = {0, 1}, two[N] = {0, 1, 0, 0, 0, 1};
    double share[N], probability[N];
    softmax_of(all, 1, share);
    softmax_of(one, 1, probability);
    check_distribution((fal_sampling){.temperature = 1, .top_p = share[1] * 0.99, .seed = 5},
                       probability);
    softmax_of(two, 1, probability);
    check_distribution((fal_sampling){.temperature = 1, .top_p = share[1] * 1.01, .seed = 6},
                       probability);
    check_distribution(
        (fal_sampling){.temperature = 1, .top_p = (share[1] + share[5]) * 0.999, .seed = 7},
        probability);
}

static void test_min_p(void **state) {
    (void)state;
    const bool two[N] = {0, 1, 0, 0, 0, 1};
    double probability[N];
    softmax_of(two, 1, probability);
    /* exp(-0.5) = 0.607 stays, exp(-1) = 0.368 goes. */
    check_distribution((fal_sampling){.temperature = 1, .min_p = 0.5, .seed = 8}, probability);
}

typedef struct surprise {
    double distance, share;
    int id;
} surprise;

static int by_distance(const void *a, const void *b) {
    const surprise *x = a, *y = b;
    return (x->distance > y->distance) - (x->distance < y->distance);
}

static void test_typical_p(void **state) {
    (void)state;
    const bool all[N] = {1, 1, 1, 1, 1, 1, 1, 1};
    const double masses[] = {0.1, 0.3, 0.5, 0.9};
    for (size_t k = 0; k < sizeof masses / sizeof masses[0]; k++) {
        double share[N], probability[N], entropy = 0, mass = 0;
        surprise order[N];
        bool kept[N] = {0};
        softmax_of(all, 1, share);
        for (int id = 0; id < N; id++)
            entropy -= share[id] * log(share[id]);
        for (int id = 0; id < N; id++)
            order[id] = (surprise){fabs(-log(share[id]) - entropy), share[id], id};
        qsort(order, N, sizeof order[0], by_distance);
        for (int i = 0; i < N && mass < masses[k]; i++) {
            kept[order[i].id] = true;
            mass += order[i].share;
        }
        softmax_of(kept, 1, probability);
        check_distribution((fal_sampling){.temperature = 1, .typical_p = masses[k], .seed = 9 + k},
                           probability);
    }
}

/* ---- many tokens: the same ids as sorting them all and cutting the list ---- */

enum {
    N_MANY = 3000
};

typedef struct ranked {
    double weight;
    int id;
} ranked;

static int by_rank(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->weight != y->weight) return x->weight < y->weight ? 1 : -1;
    return x->id - y->id;
}

static double sum_of(const ranked *r, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += r[i].weight;
    return sum;
}

/* The list of candidates cut by top_k, top_p and min_p in this order; returns the one at the share u of its weight. */
static int draw_plainly(const fal_sampling *how, const float *many, double u) {
    static ranked r[N_MANY];
    int n = how->top_k > 0 ? how->top_k : N_MANY, kept = 0;
    double top = 0, mass = 0;
    for (int i = 0; i < N_MANY; i++)
        top = i == 0 || (double)many[i] > top ? (double)many[i] : top;
    for (int i = 0; i < N_MANY; i++)
        r[i] = (ranked){exp(((double)many[i] - top) / how->temperature), i};
    qsort(r, N_MANY, sizeof *r, by_rank);
    if (how->top_p > 0) {
        double wanted = how->top_p * sum_of(r, n);
        while (kept < n && mass < wanted)
            mass += r[kept++].weight;
        n = kept;
    }
    if (how->min_p > 0) {
        for (kept = 0; kept < n && r[kept].weight >= how->min_p;)
            kept++;
        n = kept;
    }
    double wanted = u * sum_of(r, n);
    mass = 0;
    for (int i = 0; i < n - 1; i++) {
        mass += r[i].weight;
        if (wanted < mass) return r[i].id;
    }
    return r[n - 1].id;
}

static void test_as_sorted(void **state) {
    (void)state;
    /* temperature, top_k, top_p, min_p */
    static const double ways[][4] = {
        {1,    0,   0,        0   },
        {0.01, 0,   0,        0   },
        {90,   0,   0,        0   },
        {1,    40,  0,        0   },
        {1.5,  0,   0.9,      0   },
        {2,    0,   0.999999, 0   },
        {0.7,  100, 0.5,      0   },
        {1,    0,   0,        0.02},
        {2,    0,   0.8,      0.1 }
    };
    static float many[N_MANY];
    for (size_t w = 0; w < sizeof ways / sizeof ways[0]; w++) {
        fal_random random = fal_random_seeded(w, 0), numbers = fal_random_seeded(w, 7);
        const fal_sampling how = {.temperature = ways[w][0],
                                  .top_k = (int)ways[w][1],
                                  .top_p = ways[w][2],
                                  .min_p = ways[w][3],
                                  .seed = w};
        fal_sampler *s;
        fal_error err = {0};
        CHECK_OK(fal_sampler_open(&s, &how, N_MANY, 0, &err), &err);
        for (int i = 0; i < 150; i++) {
            /* Equal logits, all or some, far outliers, a wide and a narrow spread. */
            for (int k = 0; k < N_MANY; k++)
                many[k] = (float)(fal_random_normal(&numbers) * (i % 13 == 5 ? 0 : i % 5 + 0.1));
            for (int k = 0; k < i % 40; k++)
                many[7 * k] = many[3];
            if (i % 7 == 0) many[1234] = 900;
            assert_int_equal(fal_sampler_draw(s, many),
                             draw_plainly(&how, many, fal_random_unit(&random)));
        }
        fal_sampler_close(s);
    }
}

static void test_penalties(void **state) {
    (void)state;
    fal_sampler *s = open_sampler((fal_sampling){.repetition_penalty = 2});
    fal_sampler_accept(s, 1); /* 3.0 becomes 1.5: 2.5 leads */
    assert_int_equal(fal_sampler_draw(s, logits), 5);
    const float negative[N] = {-1, -1.5f, -9, -9, -9, -9, -9, -9};
    fal_sampler_accept(s, 0); /* -1 becomes -2, -1.5 becomes -3 */
    assert_int_equal(fal_sampler_draw(s, negative), 0);
    fal_sampler_close(s);
    s = open_sampler((fal_sampling){.presence_penalty = 0.75});
    fal_sampler_accept(s, 1);
    fal_sampler_accept(s, 1); /* once only: 3 - 0.75 = 2.25 */
    assert_int_equal(fal_sampler_draw(s, logits), 5);
    fal_sampler_accept(s, 5); /* 2.5 - 0.75 = 1.75 */
    assert_int_equal(fal_sampler_draw(s, logits), 1);
    fal_sampler_close(s);
    s = open_sampler((fal_sampling){.frequency_penalty = 0.4});
    fal_sampler_accept(s, 1); /* 2.6 still leads */
    assert_int_equal(fal_sampler_draw(s, logits), 1);
    fal_sampler_accept(s, 1); /* 2.2 */
    assert_int_equal(fal_sampler_draw(s, logits), 5);
    fal_sampler_accept(s, -1); /* ids outside the vocabulary are ignored */
    fal_sampler_accept(s, N);
    fal_sampler_close(s);
}

/* Biases come before penalties; those of one id add up; what minus infinity takes away is not drawn. */
static void test_biases(void **state) {
    (void)state;
    const fal_token_bias lead[] = {
        {2, 3  },
        {2, 1.5},
        {1, -2 }
    };
    fal_sampler *s = open_sampler((fal_sampling){.biases = lead, .n_biases = 3});
    assert_int_equal(fal_sampler_draw(s, logits), 2); /* -1 + 4.5 = 3.5 */
    fal_sampler_close(s);
    s = open_sampler((fal_sampling){.biases = lead, .n_biases = 3, .repetition_penalty = 2});
    fal_sampler_accept(s,
                       2); /* (-1 + 4.5) / 2 = 1.75; penalised first it would be -2 + 4.5 = 2.5 */
    fal_sampler_accept(s, 5); /* 2.5 / 2 */
    assert_int_equal(fal_sampler_draw(s, logits), 3);
    fal_sampler_close(s);
    const fal_token_bias ban[] = {
        {1, -HUGE_VAL},
        {5, -HUGE_VAL}
    };
    const bool kept[N] = {1, 0, 1, 1, 1, 0, 1, 1};
    double probability[N];
    softmax_of(kept, 1, probability);
    check_distribution((fal_sampling){.temperature = 1, .biases = ban, .n_biases = 2, .seed = 20},
                       probability);
    fal_sampling how = {.biases = ban, .n_biases = 2};
    fal_error err = {0};
    CHECK_STATUS(fal_sampler_open(&s, &how, 5, 0, &err), FAL_E_ARGUMENT, &err,
                 "bias of token 5: the vocabulary has 0 to 4 only");
}

/* Allowed tokens keep their proportions; with all allowed the draws are those without a mask. */
static void test_allowed(void **state) {
    (void)state;
    const bool kept[N] = {1, 0, 0, 1, 0, 0, 1, 0};
    const uint32_t mask = 1u | 1u << 3 | 1u << 6, all = (1u << N) - 1, none = 0;
    double probability[N];
    int n_drawn[N] = {0};
    softmax_of(kept, 1, probability);
    fal_sampler *s = open_sampler((fal_sampling){.temperature = 1, .seed = 30});
    for (int i = 0; i < DRAWS; i++)
        n_drawn[fal_sampler_draw_allowed(s, logits, &mask)]++;
    for (int id = 0; id < N; id++) {
        double deviation = sqrt(probability[id] * (1 - probability[id]) / DRAWS);
        CHECK_NEAR((double)n_drawn[id] / DRAWS, probability[id], 5 * deviation);
    }
    fal_sampler *plain = open_sampler((fal_sampling){.temperature = 1, .seed = 31}),
                *masked = open_sampler((fal_sampling){.temperature = 1, .seed = 31});
    for (int i = 0; i < 200; i++) {
        assert_int_equal(fal_sampler_draw_allowed(masked, logits, &none), -1);
        assert_int_equal(fal_sampler_draw_allowed(masked, logits, &all),
                         fal_sampler_draw(plain, logits));
    }
    fal_sampler_close(masked);
    fal_sampler_close(plain);
    fal_sampler_close(s);
    s = open_sampler((fal_sampling){0});
    assert_int_equal(fal_sampler_draw_allowed(s, logits, &mask), 3);
    fal_sampler_close(s);
}

/* Bits beyond the first word. */
static void test_allowed_words(void **state) {
    (void)state;
    float many[100];
    uint32_t mask[4] = {0};
    for (int i = 0; i < 100; i++)
        many[i] = (float)i;
    fal_sampling how = {0};
    fal_sampler *s;
    fal_error err = {0};
    CHECK_OK(fal_sampler_open(&s, &how, 100, 0, &err), &err);
    for (int32_t id = 0; id < 100; id++) {
        mask[id / 32] |= 1u << id % 32;
        assert_int_equal(fal_sampler_draw_allowed(s, many, mask), id);
    }
    fal_sampler_close(s);
}

static void test_top_log_probabilities(void **state) {
    (void)state;
    const int32_t order[N] = {1, 5, 3, 0, 7, 4, 2, 6};
    int32_t ids[N + 1];
    double values[N + 1];
    for (size_t k = 0; k <= N + 1; k++) {
        size_t n = fal_top_log_probabilities(logits, N, k, ids, values);
        assert_int_equal(n, k > N ? N : k);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(ids[i], order[i]);
            assert_true(values[i] == fal_log_probability(logits, N, ids[i]));
        }
    }
    const float equal[N] = {1, NAN, 1, 2, 1, 2, -INFINITY, 1};
    const int32_t equal_order[N] = {3, 5, 0, 2, 4, 7, 1, 6};
    for (size_t k = 1; k <= N; k++) {
        fal_top_log_probabilities(equal, N, k, ids, values);
        for (size_t i = 0; i < k; i++)
            assert_int_equal(ids[i], equal_order[i]);
    }
}

static void test_seeds(void **state) {
    (void)state;
    int n_different = 0;
    fal_sampling how = {.temperature = 1, .seed = 42};
    fal_sampler *first = open_sampler(how), *again = open_sampler(how), *stream;
    fal_error err = {0};
    CHECK_OK(fal_sampler_open(&stream, &how, N, 1, &err), &err);
    for (int i = 0; i < 200; i++) {
        int32_t id = fal_sampler_draw(first, logits);
        assert_int_equal(fal_sampler_draw(again, logits), id);
        n_different += fal_sampler_draw(stream, logits) != id;
    }
    assert_in_range(n_different, 50, 190);
    fal_sampler_close(first);
    fal_sampler_close(again);
    fal_sampler_close(stream);
}

static void test_refusals(void **state) {
    (void)state;

    static const fal_token_bias not_a_number = {3, (double)NAN}, infinite = {4, HUGE_VAL};

    static const struct {
        fal_sampling how;
        const char *fragment;
    } cases[] = {
        {{.temperature = -1},                      "temperature: -1"     },
        {{.temperature = (double)NAN},             "temperature"         },
        {{.top_k = -1},                            "top_k: -1"           },
        {{.top_p = 1.5},                           "top_p: 1.5"          },
        {{.min_p = 2},                             "min_p: 2"            },
        {{.typical_p = -0.5},                      "typical_p"           },
        {{.repetition_penalty = -1},               "repetition"          },
        {{.presence_penalty = 1000},               "presence"            },
        {{.frequency_penalty = HUGE_VAL},          "frequency"           },
        {{.biases = &not_a_number, .n_biases = 1}, "bias of token 3"     },
        {{.biases = &infinite, .n_biases = 1},     "bias of token 4: inf"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fal_error err = {0};
        CHECK_STATUS(fal_sampling_check(&cases[i].how, &err), FAL_E_ARGUMENT, &err,
                     cases[i].fragment);
    }
}

static void test_log_probability(void **state) {
    (void)state;
    double sum = 0;
    for (int id = 0; id < N; id++)
        sum += exp(fal_log_probability(logits, N, id));
    CHECK_NEAR(sum, 1, 1e-12);
    CHECK_NEAR(fal_log_probability(logits, N, 1) - fal_log_probability(logits, N, 6), 7, 1e-12);
    const float huge[2] = {3e38f, -3e38f};
    CHECK_NEAR(fal_log_probability(huge, 2, 0), 0, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greedy),        cmocka_unit_test(test_temperature_and_top_k),
        cmocka_unit_test(test_top_p),         cmocka_unit_test(test_min_p),
        cmocka_unit_test(test_typical_p),     cmocka_unit_test(test_as_sorted),
        cmocka_unit_test(test_penalties),     cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_refusals),      cmocka_unit_test(test_log_probability),
        cmocka_unit_test(test_biases),        cmocka_unit_test(test_allowed),
        cmocka_unit_test(test_allowed_words), cmocka_unit_test(test_top_log_probabilities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
