/* Opcheck: every operation of the cpu column, with each kernel set, against ref and against the C library in double;
 * and bit for bit over numbers of threads and batches. Attention has a program of its own. */
#include "opcheck.h"

typedef struct shape {
    int64_t n_tokens, n_rows, n_cols;
} shape;

/* Weights of every type that files hold and that has an encoder to make them with. */
static bool makes_weights(const fal_type *type) {
    return type->in_files && type->encode;
}

static void embed_gives_the_decoded_rows(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(1, 0);
    const int32_t rows[] = {4, 0, 4, 2, 6, 6, 1, 3, 5, 0, 2};
    int n_tokens = (int)(sizeof rows / sizeof rows[0]);
    for (int i = 0; i < fal_type_count(); i++) {
        const fal_type *type = fal_type_at(i);
        if (!makes_weights(type)) continue;
        fal_tensor table = random_matrix(type->name, 7, 512, &random);
        fal_tensor expected = matrix("f32", n_tokens, 512);
        for (int t = 0; t < n_tokens; t++)
            type->decode(row_of(table, rows[t]), fal_tensor_f32_row(expected, t),
                         512 / type->weights_per_block);
        for (int level = -1; level < n_levels(); level++) {
            opened o = level < 0 ? open_ref() : open_cpu((fal_cpu_level)level, 3);
            fal_tensor y = matrix_with_gap("f32", n_tokens, 512, 64);
            o.q->ops->embed(o.q, y, table, rows);
            check_same_bits(expected, y, type->name);
            close_opened(o);
            release(y);
        }
        release(table);
        release(expected);
    }
}

static void embed_refuses_rows_outside_the_table(void **state) {
    (void)state;
    fal_tensor table = matrix("f32", 4, 8), y = matrix("f32", 1, 8);
    for (int level = -1; level < n_levels(); level++) {
        opened o = level < 0 ? open_ref() : open_cpu((fal_cpu_level)level, 1);
        const int32_t wrong[] = {-1, 4};
        for (int i = 0; i < 2; i++) {
            fal_error err = {0};
            o.q->ops->embed(o.q, y, table, &wrong[i]);
            assert_int_equal(fal_queue_wait(o.q, &err), FAL_E_BUG);
            assert_non_null(strstr(err.message, i ? "row 4 of a table of 4" : "row -1 of"));
        }
        close_opened(o);
    }
    release(table);
    release(y);
}

/* What the product sees of x: rounded to the partner of the weights' type. */
static fal_tensor as_seen(fal_tensor x, const fal_type *weights) {
    const fal_type *partner = weights->partner;
    fal_tensor seen = copy_of(x), encoded = matrix(partner->name, 1, x.n_cols);
    if (partner->encode && weights->is_quantized) {
        int64_t n_blocks = x.n_cols / partner->weights_per_block;
        for (int64_t t = 0; t < x.n_rows; t++) {
            partner->encode(fal_tensor_f32_row(x, t), NULL, encoded.data, n_blocks);
            partner->decode(encoded.data, fal_tensor_f32_row(seen, t), n_blocks);
        }
    }
    release(encoded);
    return seen;
}

/* Sums in f32 of n terms whose errors have random signs: sqrt(n) half units of the sum of the terms' sizes. Quantized
 * products sum whole numbers exactly and only blocks in f32, so that they stay far below. */
static void check_linear(const fal_type *type, shape s, bool with_bias, fal_random *random) {
    fal_tensor w = random_matrix(type->name, s.n_rows, s.n_cols, random);
    fal_tensor x = random_matrix("f32", s.n_tokens, s.n_cols, random), seen = as_seen(x, type);
    fal_tensor bias = with_bias ? random_matrix("f32", 1, s.n_rows, random) : FAL_NONE;
    fal_tensor expected = matrix("f32", s.n_tokens, s.n_rows);
    opened ref = open_ref();
    ref.q->ops->linear(ref.q, expected, seen, w, bias);
    close_opened(ref);
    float *weights = fal_alloc((size_t)s.n_cols, sizeof *weights);
    for (int level = 0; level < n_levels(); level++) {
        opened o = open_cpu((fal_cpu_level)level, 2);
        fal_tensor y = matrix_with_gap("f32", s.n_tokens, s.n_rows, 20);
        o.q->ops->linear(o.q, y, x, w, bias);
        check_no_failure(o.q);
        for (int64_t row = 0; row < s.n_rows; row++) {
            type->decode(row_of(w, row), weights, s.n_cols / type->weights_per_block);
            for (int64_t t = 0; t < s.n_tokens; t++) {
                double size = with_bias ? fabs((double)fal_tensor_f32_row(bias, 0)[row]) : 0.0;
                for (int64_t k = 0; k < s.n_cols; k++)
                    size += fabs((double)weights[k] * (double)fal_tensor_f32_row(seen, t)[k]);
                double bound = 0x1p-24 * sqrt((double)s.n_cols) * size;
                double wanted = (double)fal_tensor_f32_row(expected, t)[row];
                double found = (double)fal_tensor_f32_row(y, t)[row];
                if (!(fabs(found - wanted) <= bound))
                    fail_msg("%s %s [%d, %d]: %g, not %g, bound %g", o.device->backend->name,
                             type->name, (int)t, (int)row, found, wanted, bound);
            }
        }
        close_opened(o);
        release(y);
    }
    fal_free(weights);
    release(w), release(x), release(seen), release(bias), release(expected);
}

static void linear_agrees_with_ref(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(2, 0);
    const shape shapes[] = {
        {1,  1,  256 },
        {1,  37, 512 },
        {2,  8,  768 },
        {5,  67, 256 },
        {33, 40, 512 },
        {3,  5,  4608}
    };
    for (int i = 0; i < fal_type_count(); i++) {
        const fal_type *type = fal_type_at(i);
        if (!makes_weights(type)) continue;
        for (int j = 0; j < (int)(sizeof shapes / sizeof shapes[0]); j++)
            check_linear(type, shapes[j], j % 2 == 1, &random);
        if (type->weights_per_block == 1) {
            check_linear(type, (shape){3, 9, 71}, true, &random);
            check_linear(type, (shape){4, 3, 1}, false, &random);
        }
        if (type->weights_per_block == 32) check_linear(type, (shape){7, 19, 4544}, true, &random);
    }
}

static void linear_never_depends_on_threads_or_batch(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(3, 0);

    enum {
        N_TOKENS = 13,
        N_ROWS = 150,
        N_COLS = 512
    };

    for (int i = 0; i < fal_type_count(); i++) {
        const fal_type *type = fal_type_at(i);
        if (!makes_weights(type)) continue;
        fal_tensor w = random_matrix(type->name, N_ROWS, N_COLS, &random);
        fal_tensor x = random_matrix("f32", N_TOKENS, N_COLS, &random);
        for (int level = 0; level < n_levels(); level++) {
            fal_tensor all = matrix("f32", N_TOKENS, N_ROWS), y = copy_of(all);
            opened first = open_cpu((fal_cpu_level)level, 1);
            first.q->ops->linear(first.q, all, x, w, FAL_NONE);
            close_opened(first);
            const int batches[] = {1, 2, 5, N_TOKENS};
            for (int j = 0; j < N_THREAD_COUNTS; j++) {
                opened o = open_cpu((fal_cpu_level)level, thread_counts[j]);
                for (int t = 0; t < N_TOKENS; t += batches[j]) {
                    int n = N_TOKENS - t < batches[j] ? N_TOKENS - t : batches[j];
                    o.q->ops->linear(o.q, fal_tensor_rows(y, t, n), fal_tensor_rows(x, t, n), w,
                                     FAL_NONE);
                }
                check_same_bits(all, y, type->name);
                memset(y.data, 0, y.row_bytes * N_TOKENS);
                close_opened(o);
            }
            release(all), release(y);
        }
        release(w), release(x);
    }
}

/* Relative to what weight and bias make of a row: one rounding of the normalised number, one or two of the result. */
static void check_norm(fal_tensor x, fal_random *random, bool with_bias) {
    fal_tensor weight = random_matrix("f32", 1, x.n_cols, random);
    fal_tensor bias = with_bias ? random_matrix("f32", 1, x.n_cols, random) : FAL_NONE;
    fal_tensor expected = matrix("f32", x.n_rows, x.n_cols);
    opened ref = open_ref();
    ref.q->ops->layer_norm(ref.q, expected, x, weight, bias, 1e-5f);
    close_opened(ref);
    for (int level = 0; level < n_levels(); level++) {
        opened o = open_cpu((fal_cpu_level)level, 2);
        fal_tensor y = copy_of(x);
        o.q->ops->layer_norm(o.q, y, y, weight, bias, 1e-5f); /* in place */
        for (int64_t t = 0; t < x.n_rows; t++) {
            for (int64_t i = 0; i < x.n_cols; i++) {
                double wanted = (double)fal_tensor_f32_row(expected, t)[i];
                double shift = with_bias ? fabs((double)fal_tensor_f32_row(bias, 0)[i]) : 0.0;
                double bound = 3.0 * 0x1p-24 * (fabs(wanted) + 2.0 * shift) + 1e-30;
                CHECK_NEAR(fal_tensor_f32_row(y, t)[i], wanted, bound);
            }
        }
        close_opened(o);
        release(y);
    }
    release(weight), release(bias), release(expected);
}

static void layer_norm_agrees_with_ref(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(4, 0);
    const int n_cols[] = {1, 2, 7, 8, 9, 64, 300, 4544};
    for (int i = 0; i < (int)(sizeof n_cols / sizeof n_cols[0]); i++) {
        fal_tensor x = random_matrix("f32", 5, n_cols[i], &random);
        check_norm(x, &random, true);
        check_norm(x, &random, false);
        for (int64_t t = 0; t < x.n_rows; t++) { /* far from zero: one pass in f32 would lose all */
            for (int64_t k = 0; k < x.n_cols; k++)
                fal_tensor_f32_row(x, t)[k] += 1e5f * (float)(t - 2);
        }
        check_norm(x, &random, true);
        release(x);
    }
}

static void layer_norm_of_a_constant_row_is_the_bias(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(5, 0);
    const float constants[] = {0.0f, 1.0f, -3.25f, 16777216.0f, 1e-30f};
    fal_tensor x = matrix("f32", 5, 100), y = matrix("f32", 5, 100);
    for (int t = 0; t < 5; t++) {
        for (int i = 0; i < 100; i++)
            fal_tensor_f32_row(x, t)[i] = constants[t];
    }
    fal_tensor weight = random_matrix("f32", 1, 100, &random);
    fal_tensor bias = random_matrix("f32", 1, 100, &random);
    for (int level = -1; level < n_levels(); level++) {
        opened o = level < 0 ? open_ref() : open_cpu((fal_cpu_level)level, 1);
        o.q->ops->layer_norm(o.q, y, x, weight, bias, 1e-5f);
        for (int t = 0; t < 5; t++)
            assert_memory_equal(row_of(y, t), bias.data, 100 * sizeof(float));
        close_opened(o);
    }
    release(x), release(y), release(weight), release(bias);
}

static void add_agrees_with_ref(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(6, 0);
    const int n_cols[] = {1, 7, 8, 4095, 4097, 9000};
    for (int i = 0; i < (int)(sizeof n_cols / sizeof n_cols[0]); i++) {
        fal_tensor a = random_matrix("f32", 3, n_cols[i], &random);
        fal_tensor b = random_matrix("f32", 3, n_cols[i], &random);
        fal_tensor expected = matrix("f32", 3, n_cols[i]);
        opened ref = open_ref();
        ref.q->ops->add(ref.q, expected, a, b);
        close_opened(ref);
        for (int level = 0; level < n_levels(); level++) {
            opened o = open_cpu((fal_cpu_level)level, 3);
            fal_tensor y = copy_of(a), z = copy_of(b), fresh = matrix("f32", 3, n_cols[i]);
            o.q->ops->add(o.q, fresh, a, b);
            o.q->ops->add(o.q, y, y, b);
            o.q->ops->add(o.q, z, a, z);
            check_same_bits(expected, fresh, "add");
            check_same_bits(expected, y, "add into the first");
            check_same_bits(expected, z, "add into the second");
            close_opened(o);
            release(y), release(z), release(fresh);
        }
        release(a), release(b), release(expected);
    }
}

typedef void map_operation(fal_queue *q, fal_tensor y, fal_tensor x);

static double exact_gelu_erf(double x) {
    return x * erfc(-x / sqrt(2.0)) / 2.0;
}

static double exact_gelu_tanh(double x) {
    return x / (1.0 + exp(-2.0 * sqrt(2.0 / acos(-1.0)) * (x + 0.044715 * x * x * x)));
}

/* Relative to the result: 2e-7 above zero. Below, where the result is a small tail, the rounding of the argument shows:
 * by erf it is 6e-7 (at most 1e-7 in all), by tanh it grows with the exponent, about x^2. */
static void check_map(fal_tensor y, fal_tensor x, double (*exact)(double), bool by_erf) {
    for (int64_t i = 0; i < x.n_cols; i++) {
        double at = (double)fal_tensor_f32_row(x, 0)[i], wanted = exact(at);
        double found = (double)fal_tensor_f32_row(y, 0)[i];
        double relative = at >= 0.0 ? 2e-7 : by_erf ? 6e-7 : 2e-7 * (3.0 + at * at);
        if (!(fabs(found - wanted) <= relative * fabs(wanted) + 2e-37))
            fail_msg("gelu(%.9g): %.9g, not %.9g", at, found, wanted);
        if (at < 0.0) CHECK_NEAR(found, wanted, 1e-7);
    }
}

static void check_gelu_at_the_edges(opened o, map_operation *map) {
    fal_tensor x = matrix("f32", 1, 10), y = matrix("f32", 1, 10);
    const float edges[10] = {0.0f,   -0.0f,  INFINITY, NAN,    1e30f,
                             -1e30f, 1e-40f, 40.0f,    -40.0f, 5.0f};
    memcpy(x.data, edges, sizeof edges);
    map(o.q, y, x);
    const float *found = y.data;
    assert_true(found[0] == 0.0f && !signbit(found[0]));
    assert_true(found[1] == 0.0f && signbit(found[1]));
    assert_true(found[2] == INFINITY);
    assert_true(isnan(found[3]));
    assert_true(found[4] == 1e30f);
    assert_true(found[5] == 0.0f);
    assert_true(found[6] == 0.5f * 1e-40f);
    assert_true(found[7] == 40.0f);
    assert_true(found[8] == 0.0f);
    release(x), release(y);
}

static void gelu_is_accurate(void **state) {
    (void)state;

    enum {
        N = 200001
    };

    fal_tensor x = matrix("f32", 1, N), y = matrix("f32", 1, N);
    for (int level = -1; level < n_levels(); level++) {
        opened o = level < 0 ? open_ref() : open_cpu((fal_cpu_level)level, 2);
        for (int range = 0; range < 2; range++) { /* evenly over [-16, 16], then by powers of two */
            for (int i = 0; i < N; i++) {
                double place = 2.0 * i / (N - 1) - 1.0;
                fal_tensor_f32_row(x, 0)[i] =
                    (float)(range ? copysign(exp2(24.0 * fabs(place) - 20.0), place)
                                  : 16.0 * place);
            }
            o.q->ops->gelu_erf(o.q, y, x);
            check_map(y, x, exact_gelu_erf, true);
            o.q->ops->gelu_tanh(o.q, y, x);
            check_map(y, x, exact_gelu_tanh, false);
        }
        check_gelu_at_the_edges(o, o.q->ops->gelu_erf);
        check_gelu_at_the_edges(o, o.q->ops->gelu_tanh);
        close_opened(o);
    }
    release(x), release(y);
}

static void gelu_of_a_number_is_the_same_anywhere(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(7, 0);
    fal_tensor x = random_matrix("f32", 1, 9000, &random), y = matrix("f32", 1, 9000);
    for (int level = 0; level < n_levels(); level++) {
        opened o = open_cpu((fal_cpu_level)level, 2);
        for (int which = 0; which < 2; which++) {
            map_operation *map = which ? o.q->ops->gelu_erf : o.q->ops->gelu_tanh;
            map(o.q, y, x);
            for (int i = 0; i < 9000; i += 613) {
                float alone;
                fal_tensor one = fal_tensor_columns(x, i, 1), out = one;
                out.data = &alone;
                map(o.q, out, one);
                assert_memory_equal(&alone, fal_tensor_f32_row(y, 0) + i, sizeof alone);
            }
        }
        close_opened(o);
    }
    release(x), release(y);
}

/* Known digits of cos and sin of a million, and agreement with ref. */
static void rope_table_is_exact_at_far_positions(void **state) {
    (void)state;
    const int32_t positions[] = {0, 1, 1000000};
    const double frequency[] = {1.0, 0.5, 1e-4};
    for (int level = -1; level < n_levels(); level++) {
        opened o = level < 0 ? open_ref() : open_cpu((fal_cpu_level)level, 2);
        fal_tensor table = matrix("f32", 3, 6);
        o.q->ops->rope_table(o.q, table, positions, frequency, 1.25);
        const float *far = fal_tensor_f32_row(table, 2), *near = fal_tensor_f32_row(table, 0);
        for (int i = 0; i < 3; i++) {
            assert_true(near[i] == 1.25f);
            assert_true(near[3 + i] == 0.0f);
        }
        CHECK_NEAR(far[0], 1.25 * 0.936752127533145, 1e-7);
        CHECK_NEAR(far[3], 1.25 * -0.349993502171292, 1e-7);
        CHECK_NEAR(far[2], 1.25 * 0.862318872287684, 1e-7); /* cos(100) */
        CHECK_NEAR(far[5], 1.25 * -0.506365641109759, 1e-7);
        CHECK_NEAR(fal_tensor_f32_row(table, 1)[1], 1.25 * 0.877582561890373, 1e-7);
        close_opened(o);
        release(table);
    }
}

static void rope_agrees_with_ref(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(8, 0);
    const int head_dims[] = {2, 6, 10, 32, 64, 80, 128};
    for (int i = 0; i < (int)(sizeof head_dims / sizeof head_dims[0]); i++) {
        int head_dim = head_dims[i], n_heads = 1 + i;
        double frequency[64];
        int32_t positions[9];
        for (int k = 0; k < head_dim / 2; k++)
            frequency[k] = pow(10000.0, -2.0 * k / head_dim);
        for (int t = 0; t < 9; t++)
            positions[t] = 7 * t * t;
        fal_tensor x = random_matrix("f32", 9, n_heads * head_dim, &random);
        fal_tensor expected = copy_of(x), table = matrix("f32", 9, head_dim);
        opened ref = open_ref();
        ref.q->ops->rope_table(ref.q, table, positions, frequency, 1.5);
        ref.q->ops->rope(ref.q, expected, table, n_heads);
        close_opened(ref);
        for (int level = 0; level < n_levels(); level++) {
            opened o = open_cpu((fal_cpu_level)level, 2);
            fal_tensor y = copy_of(x), own = matrix("f32", 9, head_dim);
            o.q->ops->rope_table(o.q, own, positions, frequency, 1.5);
            o.q->ops->rope(o.q, y, own, n_heads);
            check_same_bits(table, own, "rope_table");
            assert_memory_equal(row_of(own, 0), row_of(table, 0), (size_t)head_dim * 4);
            for (int64_t k = 0; k < x.n_rows * x.n_cols; k++) {
                double wanted = (double)((const float *)expected.data)[k];
                /* two products and a sum of numbers up to 1.5 times 6 */
                CHECK_NEAR(((const float *)y.data)[k], wanted, 3.0 * 0x1p-24 * 9.0);
            }
            close_opened(o);
            release(y), release(own);
        }
        release(x), release(expected), release(table);
    }
}

static void rope_turns_by_the_difference_of_positions(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(9, 0);
    const double frequency[] = {1.0, 0.1, 0.01, 0.001};
    const int32_t near[] = {5, 2}, far[] = {1005, 1002};
    fal_tensor x = random_matrix("f32", 2, 8, &random);
    for (int level = -1; level < n_levels(); level++) {
        opened o = level < 0 ? open_ref() : open_cpu((fal_cpu_level)level, 1);
        double products[2];
        for (int i = 0; i < 2; i++) {
            fal_tensor table = matrix("f32", 2, 8), y = copy_of(x);
            o.q->ops->rope_table(o.q, table, i ? far : near, frequency, 1.0);
            o.q->ops->rope(o.q, y, table, 1);
            products[i] = 0.0;
            for (int k = 0; k < 8; k++)
                products[i] +=
                    (double)fal_tensor_f32_row(y, 0)[k] * (double)fal_tensor_f32_row(y, 1)[k];
            release(table), release(y);
        }
        CHECK_NEAR(products[0], products[1], 1e-5);
        close_opened(o);
    }
    release(x);
}

static void store_writes_its_cells_and_no_other(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(10, 0);
    const char *types[] = {"f16", "f32", "q8_0"};
    for (int i = 0; i < 3; i++) {
        int head_dim = i < 2 ? 10 : 32, n_cols = 3 * head_dim;
        fal_tensor keys = random_matrix("f32", 6, n_cols, &random);
        fal_tensor values = random_matrix("f32", 6, n_cols, &random);
        fal_tensor cells[4], expected[4];
        for (int k = 0; k < 4; k++) {
            cells[k] = random_matrix(types[i], 9, n_cols, &random);
            expected[k] = copy_of(cells[k]);
        }
        for (int t = 0; t < 6; t++) { /* two tokens at 7 of the first, four at 0 of the second */
            int first = t < 2 ? 0 : 2, cell = t < 2 ? 7 + t : t - 2;
            int64_t n_blocks = n_cols / cells[0].type->weights_per_block;
            cells[0].type->encode(fal_tensor_f32_row(keys, t), NULL, row_of(expected[first], cell),
                                  n_blocks);
            cells[0].type->encode(fal_tensor_f32_row(values, t), NULL,
                                  row_of(expected[first + 1], cell), n_blocks);
        }
        for (int level = -1; level < n_levels(); level++) {
            opened o = level < 0 ? open_ref() : open_cpu((fal_cpu_level)level, 2);
            fal_tensor own[4];
            for (int k = 0; k < 4; k++)
                own[k] = copy_of(cells[k]);
            fal_segment segments[] = {
                {own[0], own[1], 0, 2, 7},
                {own[2], own[3], 2, 4, 0}
            };
            fal_attention a = {segments, 2, 6, 3, head_dim, 1.0f, NULL};
            o.q->ops->store(o.q, &a, keys, values);
            for (int k = 0; k < 4; k++) {
                check_same_bits(expected[k], own[k], types[i]);
                release(own[k]);
            }
            close_opened(o);
        }
        for (int k = 0; k < 4; k++)
            release(cells[k]), release(expected[k]);
        release(keys), release(values);
    }
}

/* Each operation on all tokens at once with one thread, and token by token with others. */
static void rows_never_depend_on_threads_or_batch(void **state) {
    (void)state;

    enum {
        N_TOKENS = 21,
        N_COLS = 4608
    };

    fal_random random = fal_random_seeded(11, 0);
    fal_tensor x = random_matrix("f32", N_TOKENS, N_COLS, &random);
    fal_tensor b = random_matrix("f32", N_TOKENS, N_COLS, &random);
    fal_tensor weight = random_matrix("f32", 1, N_COLS, &random);
    fal_tensor table = random_matrix("f32", N_TOKENS, 64, &random);
    for (int level = 0; level < n_levels(); level++) {
        fal_tensor first[5];
        for (int i = -1; i < N_THREAD_COUNTS; i++) {
            opened o = open_cpu((fal_cpu_level)level, i < 0 ? 1 : thread_counts[i]);
            const fal_ops *op = o.q->ops;
            fal_tensor y[5];
            for (int k = 0; k < 5; k++)
                y[k] = copy_of(x);
            int batch = i < 0 ? N_TOKENS : 1 + 2 * i;
            for (int t = 0; t < N_TOKENS; t += batch) {
                int n = N_TOKENS - t < batch ? N_TOKENS - t : batch;
                fal_tensor in = fal_tensor_rows(x, t, n);
                op->layer_norm(o.q, fal_tensor_rows(y[0], t, n), in, weight, weight, 1e-5f);
                op->add(o.q, fal_tensor_rows(y[1], t, n), in, fal_tensor_rows(b, t, n));
                op->gelu_erf(o.q, fal_tensor_rows(y[2], t, n), in);
                op->gelu_tanh(o.q, fal_tensor_rows(y[3], t, n), in);
                op->rope(o.q, fal_tensor_rows(y[4], t, n), fal_tensor_rows(table, t, n),
                         N_COLS / 64);
            }
            close_opened(o);
            for (int k = 0; k < 5; k++) {
                if (i < 0)
                    first[k] = y[k];
                else
                    check_same_bits(first[k], y[k], "row operations"), release(y[k]);
            }
        }
        for (int k = 0; k < 5; k++)
            release(first[k]);
    }
    release(x), release(b), release(weight), release(table);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(embed_gives_the_decoded_rows),
        cmocka_unit_test(embed_refuses_rows_outside_the_table),
        cmocka_unit_test(linear_agrees_with_ref),
        cmocka_unit_test(linear_never_depends_on_threads_or_batch),
        cmocka_unit_test(layer_norm_agrees_with_ref),
        cmocka_unit_test(layer_norm_of_a_constant_row_is_the_bias),
        cmocka_unit_test(add_agrees_with_ref),
        cmocka_unit_test(gelu_is_accurate),
        cmocka_unit_test(gelu_of_a_number_is_the_same_anywhere),
        cmocka_unit_test(rope_table_is_exact_at_far_positions),
        cmocka_unit_test(rope_agrees_with_ref),
        cmocka_unit_test(rope_turns_by_the_difference_of_positions),
        cmocka_unit_test(store_writes_its_cells_and_no_other),
        cmocka_unit_test(rows_never_depend_on_threads_or_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
