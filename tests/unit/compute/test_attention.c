/* Attention of the cpu column and of ref against a naive softmax in double written here, and bit for bit over threads,
 * batches, ways to feed a prompt, and neighbours. */
#include "opcheck.h"

/* Sizes of one case; cells are filled up to position + n_tokens by hand, not through store. */
typedef struct layout {
    int n_heads, n_kv_heads, head_dim;
    int position, n_tokens;
    const char *type;
    bool with_alibi;
} layout;

typedef struct scene {
    fal_segment segment;
    fal_attention a;
    fal_tensor query;
    float slopes[128];
} scene;

static void open_scene(scene *s, layout l, fal_random *random, double query_scale) {
    *s = (scene){0};
    int n_context = l.position + l.n_tokens + 3, n_cols = l.n_kv_heads * l.head_dim;
    s->segment =
        (fal_segment){random_matrix(l.type, n_context, n_cols, random),
                      random_matrix(l.type, n_context, n_cols, random), 0, l.n_tokens, l.position};
    s->query = matrix("f32", l.n_tokens, l.n_heads * l.head_dim);
    fill(s->query, random, query_scale);
    for (int head = 0; head < l.n_heads; head++)
        s->slopes[head] = (float)exp2(-8.0 * (head + 1) / l.n_heads);
    s->a = (fal_attention){.segments = &s->segment,
                           .n_segments = 1,
                           .n_heads = l.n_heads,
                           .n_kv_heads = l.n_kv_heads,
                           .head_dim = l.head_dim,
                           .scale = (float)(1.0 / sqrt((double)l.head_dim)),
                           .alibi_slopes = l.with_alibi ? s->slopes : NULL};
}

static void close_scene(scene *s) {
    release(s->segment.keys), release(s->segment.values), release(s->query);
}

static double number_at(fal_tensor cells, int cell, int column) {
    float numbers[32]; /* of the column's block */
    int block = column / cells.type->weights_per_block;
    const char *row = row_of(cells, cell);
    cells.type->decode(row + block * cells.type->bytes_per_block, numbers, 1);
    return (double)numbers[column % cells.type->weights_per_block];
}

/* out [head_dim] of one token's head; *size: the weighted mean of the values' sizes, what errors are relative to;
 * *steep: the largest |query| . |key| * scale, what the errors of scores are relative to. */
static void naive(const scene *s, int token, int head, double *out, double *size, double *steep) {
    const fal_attention *a = &s->a;
    int d = a->head_dim, n = (int)s->segment.position + token + 1;
    int column = head / (a->n_heads / a->n_kv_heads) * d;
    const float *query = fal_tensor_f32_row(s->query, token) + (int64_t)head * d;
    double *scores = fal_alloc((size_t)n, sizeof *scores), largest = -(double)INFINITY, total = 0.0;
    *steep = 0.0;
    for (int cell = 0; cell < n; cell++) {
        double product = 0.0, sizes = 0.0;
        for (int i = 0; i < d; i++) {
            double key = number_at(s->segment.keys, cell, column + i);
            product += (double)query[i] * key;
            sizes += fabs((double)query[i] * key);
        }
        scores[cell] = product * (double)a->scale;
        sizes *= (double)a->scale;
        if (a->alibi_slopes) scores[cell] += (double)a->alibi_slopes[head] * cell;
        *steep = fmax(*steep, sizes);
        largest = fmax(largest, scores[cell]);
    }
    memset(out, 0, (size_t)d * sizeof *out);
    *size = 0.0;
    for (int cell = 0; cell < n; cell++) {
        scores[cell] = exp(scores[cell] - largest);
        total += scores[cell];
    }
    for (int i = 0; i < d; i++) {
        double sizes = 0.0;
        for (int cell = 0; cell < n; cell++) {
            double value = number_at(s->segment.values, cell, column + i);
            out[i] += scores[cell] / total * value;
            sizes += scores[cell] / total * fabs(value);
        }
        *size = fmax(*size, sizes);
    }
    fal_free(scores);
}

/* A score's error shifts its weight in proportion: 2^-24 times the size of its terms and the square root of their
 * number; the sums over cells add their own roundings, and the exponential two units. */
static void check_against_naive(const scene *s, fal_tensor out, const char *who) {
    double wanted[256];
    int d = s->a.head_dim;
    for (int token = 0; token < (int)out.n_rows; token++) {
        for (int head = 0; head < s->a.n_heads; head++) {
            double size, steep;
            naive(s, token, head, wanted, &size, &steep);
            double n = (double)s->segment.position + token + 1.0;
            double alibi =
                s->a.alibi_slopes ? (double)s->a.alibi_slopes[head] * fmin(n, 100.0) : 0.0;
            double bound =
                0x1p-24 * size * (12.0 + sqrt(n) / 4.0 + sqrt((double)d) * steep + 2.0 * alibi);
            for (int i = 0; i < d; i++) {
                double found = (double)fal_tensor_f32_row(out, token)[head * d + i];
                if (!(fabs(found - wanted[i]) <= bound))
                    fail_msg("%s: token %d, head %d, number %d: %.9g, not %.9g, bound %g", who,
                             token, head, i, found, wanted[i], bound);
            }
        }
    }
}

static fal_tensor attend_on(opened o, scene *s) {
    fal_tensor out = matrix("f32", s->query.n_rows, s->query.n_cols);
    o.q->ops->attention(o.q, out, s->query, &s->a);
    check_no_failure(o.q);
    return out;
}

static void check_everywhere(scene *s) {
    for (int level = -1; level < n_levels(); level++) {
        opened o = level < 0 ? open_ref() : open_cpu((fal_cpu_level)level, 2);
        fal_tensor out = attend_on(o, s);
        check_against_naive(s, out, level < 0 ? "ref" : fal_cpu_level_name((fal_cpu_level)level));
        release(out);
        close_opened(o);
    }
}

static const layout layouts[] = {
    {1,  1, 64,  0,    1,   "f16",  false},
    {1,  1, 64,  0,    1,   "f32",  true },
    {71, 1, 64,  0,    5,   "f16",  false}, /* Falcon-7B */
    {71, 1, 64,  700,  2,   "f16",  false},
    {16, 2, 64,  250,  40,  "f16",  false}, /* groups as Falcon-40B's, across a span's end */
    {12, 3, 128, 60,   70,  "f16",  false}, /* groups as Falcon-11B's */
    {12, 3, 128, 60,   70,  "f32",  true },
    {5,  5, 64,  0,    150, "f16",  true }, /* as Falcon-RW */
    {4,  4, 16,  509,  9,   "f32",  true },
    {6,  2, 80,  100,  3,   "f16",  false},
    {3,  1, 10,  70,   4,   "f32",  false}, /* no multiple of eight */
    {4,  2, 2,   31,   33,  "f16",  true },
    {2,  1, 256, 90,   2,   "f16",  false},
    {29, 1, 64,  1022, 4,   "f16",  false},
    {2,  1, 64,  2999, 1,   "f16",  false},
    {2,  2, 64,  2996, 4,   "f32",  true },
    {71, 1, 64,  700,  2,   "q8_0", false},
    {16, 2, 64,  250,  40,  "q8_0", false},
    {12, 3, 128, 60,   70,  "q8_0", true },
    {3,  1, 32,  1022, 4,   "q8_0", false},
};

enum {
    N_LAYOUTS = sizeof layouts / sizeof layouts[0]
};

static void agrees_with_a_naive_softmax(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(1, 0);
    for (int i = 0; i < N_LAYOUTS; i++) {
        scene s;
        open_scene(&s, layouts[i], &random, 1.0);
        check_everywhere(&s);
        close_scene(&s);
    }
}

/* Scores beyond +-10000, where the exponential of a raw score is infinite or zero. */
static void huge_scores_stay_finite(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(2, 0);
    layout l = {6, 2, 64, 300, 7, "f32", false};
    scene s;
    open_scene(&s, l, &random, 3e4);
    check_everywhere(&s);
    close_scene(&s);
}

static void equal_scores_give_the_mean(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(3, 0);
    layout l = {4, 1, 64, 700, 2, "f16", false};
    scene s;
    open_scene(&s, l, &random, 0.0);
    check_everywhere(&s);
    close_scene(&s);
}

/* The first token sees its own cell only: its value, exactly. */
static void the_first_position_is_its_own_value(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(4, 0);
    layout l = {6, 2, 32, 0, 3, "f16", true};
    scene s;
    open_scene(&s, l, &random, 1.0);
    for (int level = -1; level < n_levels(); level++) {
        opened o = level < 0 ? open_ref() : open_cpu((fal_cpu_level)level, 1);
        fal_tensor out = attend_on(o, &s);
        for (int head = 0; head < 6; head++) {
            for (int i = 0; i < 32; i++)
                assert_true((double)fal_tensor_f32_row(out, 0)[head * 32 + i]
                            == number_at(s.segment.values, 0, head / 3 * 32 + i));
        }
        release(out);
        close_opened(o);
    }
    close_scene(&s);
}

/* Scores of minus infinity weigh nothing, wherever they stand, and never become NaN. */
static void minus_infinity_weighs_nothing(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(5, 0);
    layout l = {2, 1, 16, 599, 1, "f32", false};
    scene s;
    open_scene(&s, l, &random, 1.0);
    for (int i = 0; i < 32;
         i++) /* the first number of each query is 1: with key -inf the score is -inf */
        fal_tensor_f32_row(s.query, 0)[i] = i % 16 == 0 ? 1.0f : 0.0f;
    for (int level = 0; level < n_levels(); level++) {
        for (int end = 0; end <= 600; end += 100) { /* whole tiles and spans without a weight */
            for (int cell = 0; cell < 600; cell++)
                fal_tensor_f32_row(s.segment.keys, cell)[0] = cell < end ? -INFINITY : 1.0f;
            opened o = open_cpu((fal_cpu_level)level, 2);
            fal_tensor out = attend_on(o, &s);
            for (int i = 0; i < 32; i++) {
                double mean = 0.0;
                for (int cell = end; cell < 600; cell++)
                    mean += number_at(s.segment.values, cell, i % 16) / (600 - end);
                CHECK_NEAR(fal_tensor_f32_row(out, 0)[i], mean, 1e-6);
            }
            release(out);
            close_opened(o);
        }
    }
    close_scene(&s);
}

/* Cells behind a token's position are not its business, not even if they hold NaN. */
static void later_cells_never_matter(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(6, 0);
    layout l = {9, 3, 64, 40, 30, "f32", false};
    scene s;
    open_scene(&s, l, &random, 1.0);
    for (int level = 0; level < n_levels(); level++) {
        opened o = open_cpu((fal_cpu_level)level, 2);
        fal_tensor clean = attend_on(o, &s);
        fal_tensor keys = s.segment.keys, values = s.segment.values;
        s.segment.keys = copy_of(keys), s.segment.values = copy_of(values);
        for (int cell = 50; cell < 73; cell++) {
            for (int i = 0; i < 192; i++) {
                fal_tensor_f32_row(s.segment.keys, cell)[i] = cell % 2 ? NAN : INFINITY;
                fal_tensor_f32_row(s.segment.values, cell)[i] = cell % 2 ? INFINITY : NAN;
            }
        }
        fal_tensor spoilt = attend_on(o, &s);
        assert_memory_equal(clean.data, spoilt.data, 10 * clean.row_bytes);
        for (int token = 10; token < 30; token++)
            assert_true(isnan(fal_tensor_f32_row(spoilt, token)[0]));
        release(s.segment.keys), release(s.segment.values);
        s.segment.keys = keys, s.segment.values = values;
        release(clean), release(spoilt);
        close_opened(o);
    }
    close_scene(&s);
}

static void never_depends_on_threads(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(7, 0);
    for (int i = 0; i < N_LAYOUTS; i++) {
        scene s;
        open_scene(&s, layouts[i], &random, 1.0);
        for (int level = 0; level < n_levels(); level++) {
            opened one = open_cpu((fal_cpu_level)level, 1);
            fal_tensor expected = attend_on(one, &s);
            close_opened(one);
            for (int j = 1; j <= N_THREAD_COUNTS; j++) {
                int n_threads = j < N_THREAD_COUNTS ? thread_counts[j] : 19;
                opened o = open_cpu((fal_cpu_level)level, n_threads);
                fal_tensor out = attend_on(o, &s);
                check_same_bits(expected, out, "threads");
                release(out);
                close_opened(o);
            }
            release(expected);
        }
        close_scene(&s);
    }
}

/* Feeds keys, values and queries of n tokens through store and attention in pieces of `step` tokens. */
static fal_tensor feed(opened o, const fal_attention *like, fal_tensor keys, fal_tensor values,
                       fal_tensor query, const char *type, int step) {
    int n = (int)query.n_rows;
    fal_tensor out = matrix("f32", n, query.n_cols);
    fal_segment segment = {matrix(type, n, keys.n_cols), matrix(type, n, keys.n_cols), 0, 0, 0};
    fal_attention a = *like;
    a.segments = &segment;
    a.n_segments = 1;
    for (int t = 0; t < n; t += step) {
        segment.position = t;
        segment.n_tokens = n - t < step ? n - t : step;
        o.q->ops->store(o.q, &a, fal_tensor_rows(keys, t, segment.n_tokens),
                        fal_tensor_rows(values, t, segment.n_tokens));
        o.q->ops->attention(o.q, fal_tensor_rows(out, t, segment.n_tokens),
                            fal_tensor_rows(query, t, segment.n_tokens), &a);
    }
    check_no_failure(o.q);
    release(segment.keys), release(segment.values);
    return out;
}

static void never_depends_on_how_a_prompt_is_cut(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(8, 0);
    const layout cases[] = {
        {14, 1, 64,  0, 530, "f16",  false},
        {6,  2, 128, 0, 300, "f32",  true },
        {3,  3, 10,  0, 270, "f16",  true },
        {6,  2, 64,  0, 300, "q8_0", false},
    };
    for (int i = 0; i < 4; i++) {
        layout l = cases[i];
        scene s;
        open_scene(&s, l, &random, 1.0);
        fal_tensor keys = random_matrix("f32", l.n_tokens, l.n_kv_heads * l.head_dim, &random);
        fal_tensor values = random_matrix("f32", l.n_tokens, l.n_kv_heads * l.head_dim, &random);
        for (int level = 0; level < n_levels(); level++) {
            opened o = open_cpu((fal_cpu_level)level, 3);
            fal_tensor whole = feed(o, &s.a, keys, values, s.query, l.type, l.n_tokens);
            const int steps[] = {1, 2, 7, 64, 255, 257};
            for (int j = 0; j < 6; j++) {
                fal_tensor out = feed(o, &s.a, keys, values, s.query, l.type, steps[j]);
                check_same_bits(whole, out, "pieces of a prompt");
                release(out);
            }
            release(whole);
            close_opened(o);
        }
        release(keys), release(values);
        close_scene(&s);
    }
}

/* Several timelines in one step give what each gives alone; rows of no segment stay untouched. */
static void never_depends_on_neighbours(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(9, 0);

    enum {
        N = 5
    };

    const int positions[N] = {0, 600, 33, 255, 256}, n_tokens[N] = {3, 1, 20, 1, 2};
    fal_segment segments[N];
    int first = 1;
    for (int i = 0; i < N; i++) {
        int n_cells = positions[i] + n_tokens[i];
        segments[i] = (fal_segment){random_matrix("f16", n_cells, 128, &random),
                                    random_matrix("f16", n_cells, 128, &random), first, n_tokens[i],
                                    positions[i]};
        first += n_tokens[i];
    }
    fal_tensor query = random_matrix("f32", first + 1, 8 * 64, &random);
    fal_attention a = {segments, N, 8, 2, 64, 0.125f, NULL};
    for (int level = 0; level < n_levels(); level++) {
        opened o = open_cpu((fal_cpu_level)level, 3);
        fal_tensor together = matrix("f32", first + 1, 8 * 64), apart = copy_of(together);
        memset(together.data, 0x5a, (size_t)(first + 1) * together.row_bytes);
        memset(apart.data, 0x5a, (size_t)(first + 1) * apart.row_bytes);
        o.q->ops->attention(o.q, together, query, &a);
        for (int i = 0; i < N; i++) {
            fal_attention one = a;
            one.segments = &segments[i];
            one.n_segments = 1;
            o.q->ops->attention(o.q, apart, query, &one);
        }
        check_same_bits(together, apart, "neighbours");
        assert_int_equal(*(const unsigned char *)together.data, 0x5a);
        assert_int_equal(*(const unsigned char *)row_of(together, first), 0x5a);
        close_opened(o);
        release(together), release(apart);
    }
    for (int i = 0; i < N; i++)
        release(segments[i].keys), release(segments[i].values);
    release(query);
}

/* Adding the same number to all of a head's scores changes nothing: slope * position may be slope * distance. */
static void alibi_prefers_near_cells(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(10, 0);
    layout l = {1, 1, 64, 2000, 1, "f32", true};
    scene s;
    open_scene(&s, l, &random, 0.0);
    s.slopes[0] = 1.0f;
    for (int level = -1; level < n_levels(); level++) {
        opened o = level < 0 ? open_ref() : open_cpu((fal_cpu_level)level, 2);
        fal_tensor out = attend_on(o, &s);
        for (int i = 0; i < 64; i++) {
            double wanted = 0.0; /* a geometric series of weights e^-distance */
            for (int distance = 0; distance < 60; distance++)
                wanted += exp(-distance) * (1.0 - exp(-1.0))
                          * number_at(s.segment.values, 2000 - distance, i);
            CHECK_NEAR(fal_tensor_f32_row(out, 0)[i], wanted, 1e-6);
        }
        release(out);
        close_opened(o);
    }
    close_scene(&s);
}

/* Every allocation that a call makes fails once: the queue keeps MEMORY, and the next call works. */
static void survives_short_memory(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(11, 0);
    layout l = {4, 2, 16, 300, 2, "f16", false};
    scene s;
    open_scene(&s, l, &random, 1.0);
    fal_tensor out = matrix("f32", 2, 64);
    int n_failures = 0;
    for (long n = 1;; n++) {
        opened o = open_cpu(FAL_CPU_PORTABLE, 2);
        fal_alloc_fail_at(n);
        o.q->ops->attention(o.q, out, s.query, &s.a);
        fal_alloc_fail_at(0);
        fal_error err = {0};
        fal_status status = fal_queue_wait(o.q, &err);
        o.q->ops->attention(o.q, out, s.query, &s.a);
        close_opened(o);
        if (status == FAL_OK) break;
        assert_int_equal(status, FAL_E_MEMORY);
        n_failures++;
    }
    assert_in_range(n_failures, 2, 5);
    check_against_naive(&s, out, "after failures");
    release(out);
    close_scene(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_a_naive_softmax),
        cmocka_unit_test(huge_scores_stay_finite),
        cmocka_unit_test(equal_scores_give_the_mean),
        cmocka_unit_test(the_first_position_is_its_own_value),
        cmocka_unit_test(minus_infinity_weighs_nothing),
        cmocka_unit_test(later_cells_never_matter),
        cmocka_unit_test(never_depends_on_threads),
        cmocka_unit_test(never_depends_on_how_a_prompt_is_cut),
        cmocka_unit_test(never_depends_on_neighbours),
        cmocka_unit_test(alibi_prefers_near_cells),
        cmocka_unit_test(survives_short_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
