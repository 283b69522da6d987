/* The encoders: error of a round trip by type, hand-made blocks, and weights at the edges of what can be stored. */
#include "base/half.h"
#include "base/random.h"
#include "check.h"
#include "quant/q4_0.h"
#include "quant/q4_1.h"
#include "quant/q5_0.h"
#include "quant/q5_1.h"
#include "quant/q8_0.h"
#include "quant/type.h"

#include <math.h>
#include <string.h>

enum {
    N_WEIGHTS = 24 * 256,
    N_BYTES = N_WEIGHTS * 4
};

static float weights[N_WEIGHTS], back[N_WEIGHTS], again[N_WEIGHTS];
static _Alignas(64) unsigned char blocks[N_BYTES], more_blocks[N_BYTES];

static void gaussian(uint64_t seed, float scale) {
    fal_random random = fal_random_seeded(seed, 0);
    for (int i = 0; i < N_WEIGHTS; i++) {
        weights[i] = scale * (float)fal_random_normal(&random);
    }
}

static void constant(float value) {
    for (int i = 0; i < N_WEIGHTS; i++) {
        weights[i] = value;
    }
}

/* weights -> blocks -> back. */
static void round_trip(const fal_type *type) {
    int64_t n_blocks = N_WEIGHTS / type->weights_per_block;
    memset(blocks, 0xa5, sizeof blocks);
    type->encode(weights, NULL, blocks, n_blocks);
    type->decode(blocks, back, n_blocks);
}

/* sqrt(sum (back - weights)^2 / sum weights^2) */
static double relative_error(void) {
    double error = 0.0, power = 0.0;
    for (int i = 0; i < N_WEIGHTS; i++) {
        double difference = (double)back[i] - (double)weights[i];
        error += difference * difference;
        power += (double)weights[i] * (double)weights[i];
    }
    return sqrt(error / power);
}

/* No code of b bits per weight has a relative error below 2^-b on Gaussian weights (the rate-distortion bound). What
 * the simplicity of a type costs is a factor; the second number is what its reference encoder needs at most. A type
 * whose search for scales is broken lands near 2.5. */
static const struct {
    const char *name;
    double factor;
} costs[] = {
    {"q4_0",   2.0},
    {"q4_1",   2.6},
    {"q5_0",   2.0},
    {"q5_1",   2.5},
    {"q8_0",   2.0},
    {"q2_k",   1.9},
    {"q3_k",   1.7},
    {"q4_k",   1.7},
    {"q5_k",   1.7},
    {"q6_k",   1.7},
    {"iq4_nl", 1.8},
    {"iq4_xs", 1.5},
};

enum {
    N_COSTS = sizeof costs / sizeof costs[0]
};

static void errors_fit_the_bits(void **state) {
    (void)state;
    static const float scales[] = {0.02f, 1.0f, 50.0f};
    int n_tested = 0, n_quantized = 0;
    for (int k = 0; k < N_COSTS; k++) {
        const fal_type *type = fal_type_by_name(costs[k].name);
        assert_non_null(type);
        double best = pow(2.0, -8.0 * type->bytes_per_block / type->weights_per_block);
        for (size_t s = 0; s < 3; s++) {
            gaussian(17 + s, scales[s]);
            round_trip(type);
            double error = relative_error();
            if (!(error > best && error < costs[k].factor * best)) {
                print_error("%s: error %g, from %g to %g allowed\n", type->name, error, best,
                            costs[k].factor * best);
            }
            assert_true(error > best);
            assert_true(error < costs[k].factor * best);
        }
        n_tested++;
    }
    for (int i = 0; i < fal_type_count(); i++) {
        n_quantized += fal_type_at(i)->is_quantized && fal_type_at(i)->in_files;
    }
    assert_int_equal(n_tested, n_quantized);
}

/* Types whose steps are even and whose range covers the block: no weight is off by more than half a step. */
static void eight_bits_err_by_half_a_step(void **state) {
    (void)state;
    static const char *names[] = {"q8_0", "q8_1", "q8_k"};
    for (int k = 0; k < 3; k++) {
        const fal_type *type = fal_type_by_name(names[k]);
        int width = type->weights_per_block;
        gaussian(3, 0.7f);
        round_trip(type);
        for (int b = 0; b < N_WEIGHTS / width; b++) {
            float largest = 0.0f;
            for (int i = b * width; i < (b + 1) * width; i++) {
                largest = fmaxf(largest, fabsf(weights[i]));
            }
            /* An f16 scale adds 2^-11 of the value itself. */
            float bound = largest / 127.0f * 0.5f + largest * (k == 0 ? 0x1p-11f : 0x1p-22f);
            for (int i = b * width; i < (b + 1) * width; i++) {
                assert_true(fabsf(back[i] - weights[i]) <= bound);
            }
        }
    }
}

static void float_types_round_once(void **state) {
    (void)state;

    static const struct {
        const char *name;
        float unit;
    } types[] = {
        {"f32",  0.0f    },
        {"f16",  0x1p-11f},
        {"bf16", 0x1p-8f }
    };

    gaussian(9, 3.0f);
    for (int k = 0; k < 3; k++) {
        round_trip(fal_type_by_name(types[k].name));
        for (int i = 0; i < N_WEIGHTS; i++) {
            assert_true(fabsf(back[i] - weights[i])
                        <= types[k].unit * fabsf(weights[i]) + 0x1p-25f);
        }
    }
}

static uint16_t half(float value) {
    return fal_f16_from_f32(value);
}

/* Rows of whole numbers that a scale of one fits exactly. */
static void hand_made_blocks(void **state) {
    (void)state;
    float x[32];
    struct fal_q4_0 q4_0;
    struct fal_q4_1 q4_1;
    struct fal_q5_0 q5_0;
    struct fal_q5_1 q5_1;
    struct fal_q8_0 q8_0;
    for (int j = 0; j < 32; j++) {
        x[j] = (float)(j % 16 - 8);
    }
    fal_q4_0_encode(x, NULL, &q4_0, 1);
    fal_q4_1_encode(x, NULL, &q4_1, 1);
    assert_int_equal(q4_0.d, half(1.0f));
    assert_int_equal(q4_1.d, half(1.0f));
    assert_int_equal(q4_1.m, half(-8.0f));
    for (int j = 0; j < 16; j++) {
        assert_int_equal(q4_0.qs[j], j * 17);
        assert_int_equal(q4_1.qs[j], j * 17);
    }
    for (int j = 0; j < 32; j++) {
        x[j] = (float)(2 * (j - 16));
    }
    fal_q5_0_encode(x, NULL, &q5_0, 1);
    fal_q5_1_encode(x, NULL, &q5_1, 1);
    assert_int_equal(q5_0.d, half(2.0f));
    assert_int_equal(q5_1.d, half(2.0f));
    assert_int_equal(q5_1.m, half(-32.0f));
    assert_memory_equal(q5_0.qh, "\x00\x00\xff\xff", 4);
    assert_memory_equal(q5_1.qh, "\x00\x00\xff\xff", 4);
    for (int j = 0; j < 16; j++) {
        assert_int_equal(q5_0.qs[j], j * 17);
        assert_int_equal(q5_1.qs[j], j * 17);
    }
    /* Halves go to the even code; the sign of the extreme does not matter to q8_0. */
    memset(x, 0, sizeof x);
    x[0] = -127.0f;
    x[1] = 0.5f;
    x[2] = -2.5f;
    fal_q8_0_encode(x, NULL, &q8_0, 1);
    assert_int_equal(q8_0.d, half(1.0f));
    assert_int_equal(q8_0.q[0], -127);
    assert_int_equal(q8_0.q[1], 0);
    assert_int_equal(q8_0.q[2], -2);
    /* A positive extreme makes the scale of q4_0 negative; of two equal extremes the first one counts. */
    memset(x, 0, sizeof x);
    x[3] = 4.0f;
    x[4] = -4.0f;
    fal_q4_0_encode(x, NULL, &q4_0, 1);
    assert_int_equal(q4_0.d, half(-0.5f));
    assert_int_equal(q4_0.qs[3] & 15, 0);
    assert_int_equal(q4_0.qs[4] & 15, 15);
}

static void zeros_stay_zeros(void **state) {
    (void)state;
    for (int i = 0; i < fal_type_count(); i++) {
        constant(0.0f);
        round_trip(fal_type_at(i));
        for (int k = 0; k < N_WEIGHTS; k++) {
            assert_true(back[k] == 0.0f);
        }
    }
}

static void constant_rows_stay_constant(void **state) {
    (void)state;
    static const float values[] = {0.37f, -0.37f, 1000.0f, -25.0f};
    for (int i = 0; i < fal_type_count(); i++) {
        const fal_type *type = fal_type_at(i);
        for (int v = 0; v < 4; v++) {
            constant(values[v]);
            round_trip(type);
            for (int k = 0; k < N_WEIGHTS; k++) {
                float error = fabsf(back[k] - values[v]) / fabsf(values[v]);
                if (error > 0x1p-8f)
                    print_error("%s: %g became %g\n", type->name, (double)values[v],
                                (double)back[k]);
                assert_true(error <= 0x1p-8f);
            }
        }
    }
}

/* Beyond the largest f16 scale a block saturates: the sign is kept, and nothing becomes infinite. */
static void huge_weights_stay_finite(void **state) {
    (void)state;
    static const float sizes[] = {1e5f, 1e7f, 1e9f, 1e15f, 1e20f, 1e30f, 1e37f, 3e38f};
    for (int i = 0; i < fal_type_count(); i++) {
        const fal_type *type = fal_type_at(i);
        if (!type->is_quantized) continue;
        for (int s = 0; s < 8; s++) {
            for (int kind = 0; kind < 3; kind++) {
                if (kind == 2) {
                    gaussian(5, fminf(sizes[s], 5e37f));
                } else {
                    constant(kind == 0 ? sizes[s] : -sizes[s]);
                }
                round_trip(type);
                for (int k = 0; k < N_WEIGHTS; k++) {
                    assert_true(isfinite(back[k]));
                    if (kind == 0) assert_true(back[k] > 6e4f);
                    if (kind == 1) assert_true(back[k] < -6e4f);
                }
            }
        }
    }
}

static void tiny_weights_vanish(void **state) {
    (void)state;
    static const float sizes[] = {1e-9f, 1e-14f, 1e-20f, 1e-38f, 1e-44f};
    for (int i = 0; i < fal_type_count(); i++) {
        for (int s = 0; s < 5; s++) {
            gaussian(6, sizes[s]);
            round_trip(fal_type_at(i));
            for (int k = 0; k < N_WEIGHTS; k++) {
                assert_true(fabsf(back[k] - weights[k]) <= 1e-5f);
            }
        }
    }
}

/* One large weight among small ones, and sub-blocks of zeros between others. */
static void uneven_blocks_keep_their_extremes(void **state) {
    (void)state;
    for (int i = 0; i < fal_type_count(); i++) {
        const fal_type *type = fal_type_at(i);
        gaussian(8, 1e-4f);
        for (int k = 0; k < N_WEIGHTS; k++) {
            if (k / 16 % 3 == 1) weights[k] = 0.0f;
            if (k % 256 == 77) weights[k] = k / 256 % 2 != 0 ? 3.0f : -3.0f;
        }
        round_trip(type);
        for (int k = 0; k < N_WEIGHTS; k++) {
            /* Two bits with a minimum of four bits are the coarsest. */
            float bound = k % 256 == 77 ? 0.2f : k / 32 % 8 == 77 / 32 ? 0.7f : 0.1f;
            if (!(fabsf(back[k] - weights[k]) <= bound)) {
                print_error("%s: weight %d of %g became %g\n", type->name, k, (double)weights[k],
                            (double)back[k]);
            }
            assert_true(fabsf(back[k] - weights[k]) <= bound);
        }
    }
}

static void faults_stay_visible_in_their_block_only(void **state) {
    (void)state;
    static const float faults[] = {INFINITY, -INFINITY, NAN};
    for (int i = 0; i < fal_type_count(); i++) {
        const fal_type *type = fal_type_at(i);
        int width = type->weights_per_block, at = 5 * 256 + 19;
        for (int f = 0; f < 3; f++) {
            gaussian(12, 1.0f);
            round_trip(type);
            memcpy(again, back, sizeof again);
            weights[at] = faults[f];
            round_trip(type);
            for (int k = 0; k < N_WEIGHTS; k++) {
                if (k / width != at / width) {
                    assert_true(back[k] == again[k]);
                } else if (type->is_quantized) {
                    assert_true(isnan(back[k]));
                } else {
                    assert_false(isfinite(back[k]));
                }
            }
        }
    }
}

/* The bytes of a block depend on its weights and their importance alone; nothing is written behind. */
static void blocks_encode_alone(void **state) {
    (void)state;
    gaussian(13, 0.3f);
    for (int i = 0; i < 2 * fal_type_count(); i++) {
        const fal_type *type = fal_type_at(i / 2);
        int n_blocks = N_WEIGHTS / type->weights_per_block;
        size_t bytes = (size_t)type->bytes_per_block;
        memset(blocks, 0xa5, sizeof blocks);
        memset(more_blocks, 0x5a, sizeof more_blocks);
        const float *importance = i % 2 ? weights : NULL;
        type->encode(weights, importance, blocks, n_blocks);
        for (int b = n_blocks - 1; b >= 0; b--) {
            int at = b * type->weights_per_block;
            type->encode(weights + at, importance ? importance + at : NULL,
                         more_blocks + (size_t)b * bytes, 1);
        }
        assert_memory_equal(blocks, more_blocks, (size_t)n_blocks * bytes);
        if ((size_t)n_blocks * bytes < N_BYTES) {
            assert_int_equal(blocks[(size_t)n_blocks * bytes], 0xa5);
            assert_int_equal(more_blocks[(size_t)n_blocks * bytes], 0x5a);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_fit_the_bits),
        cmocka_unit_test(eight_bits_err_by_half_a_step),
        cmocka_unit_test(float_types_round_once),
        cmocka_unit_test(hand_made_blocks),
        cmocka_unit_test(zeros_stay_zeros),
        cmocka_unit_test(constant_rows_stay_constant),
        cmocka_unit_test(huge_weights_stay_finite),
        cmocka_unit_test(tiny_weights_vanish),
        cmocka_unit_test(uneven_blocks_keep_their_extremes),
        cmocka_unit_test(faults_stay_visible_in_their_block_only),
        cmocka_unit_test(blocks_encode_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
