/* f16 and bf16: every value there and back, and rounding at every boundary between neighbours. */
#include "base/half.h"
#include "check.h"

#include <math.h>
#include <stdbool.h>

/* The value of an f16 by its definition. */
static double f16_by_definition(uint32_t half) {
    double sign = half & 0x8000u ? -1.0 : 1.0;
    int exponent = (int)(half >> 10 & 31u), mantissa = (int)(half & 0x3ffu);
    if (exponent == 31) return mantissa != 0 ? (double)NAN : sign * (double)INFINITY;
    if (exponent == 0) return sign * ldexp(mantissa, -24);
    return sign * ldexp(1024 + mantissa, exponent - 25);
}

static void every_f16_has_its_value(void **state) {
    (void)state;
    for (uint32_t half = 0; half < 65536; half++) {
        double expected = f16_by_definition(half);
        float value = fal_f32_from_f16((uint16_t)half);
        if (isnan(expected)) {
            assert_true(isnan(value));
        } else {
            assert_true((double)value == expected);
            assert_int_equal(signbit(value) != 0, half >> 15);
        }
    }
}

static void every_f16_comes_back(void **state) {
    (void)state;
    for (uint32_t half = 0; half < 65536; half++) {
        uint32_t back = fal_f16_from_f32(fal_f32_from_f16((uint16_t)half));
        bool is_nan = (half & 0x7fffu) > 0x7c00u;
        assert_int_equal(back, is_nan ? half | 0x200u : half);
    }
}

static void every_bf16_comes_back(void **state) {
    (void)state;
    for (uint32_t half = 0; half < 65536; half++) {
        float value = fal_f32_from_bf16((uint16_t)half);
        bool is_nan = (half & 0x7fffu) > 0x7f80u;
        assert_int_equal(fal_bits_from_f32(value), half << 16);
        assert_int_equal(fal_bf16_from_f32(value), is_nan ? half | 0x40u : half);
    }
}

static float next_f32(float value, int direction) {
    return fal_f32_from_bits(fal_bits_from_f32(value) + (uint32_t)direction);
}

/* Between two neighbours: the middle goes to the even one, a hair beside it to the nearer one. */
static void f16_rounds_to_nearest_even(void **state) {
    (void)state;
    for (uint32_t half = 0; half < 0x7c00u; half++) {
        double low = f16_by_definition(half);
        double high = half == 0x7bffu ? 65536.0 : f16_by_definition(half + 1);
        float middle = (float)((low + high) / 2.0);
        uint32_t even = half + (half & 1u);
        for (uint32_t sign = 0; sign < 2; sign++) {
            float side = sign != 0 ? -1.0f : 1.0f;
            uint32_t mark = sign << 15;
            assert_int_equal(fal_f16_from_f32(side * middle), mark | even);
            assert_int_equal(fal_f16_from_f32(side * next_f32(middle, -1)), mark | half);
            assert_int_equal(fal_f16_from_f32(side * next_f32(middle, 1)), mark | (half + 1));
        }
    }
}

static void bf16_rounds_to_nearest_even(void **state) {
    (void)state;
    for (uint32_t half = 0; half < 0x7f80u; half++) {
        uint32_t middle = half << 16 | 0x8000u, even = half + (half & 1u);
        assert_int_equal(fal_bf16_from_f32(fal_f32_from_bits(middle)), even);
        assert_int_equal(fal_bf16_from_f32(fal_f32_from_bits(middle - 1)), half);
        assert_int_equal(fal_bf16_from_f32(fal_f32_from_bits(middle + 1)), half + 1);
        assert_int_equal(fal_bf16_from_f32(fal_f32_from_bits(middle | 0x80000000u)),
                         0x8000u | even);
    }
}

static void edges_of_f16(void **state) {
    (void)state;

    static const struct {
        float value;
        uint16_t half;
    } table[] = {
        {0.0f,            0x0000},
        {-0.0f,           0x8000},
        {0x1p-24f,        0x0001}, /* smallest subnormal */
        {0x1p-25f,        0x0000}, /* tie between 0 and it: even */
        {0x1.000002p-25f, 0x0001},
        {-0x1.8p-24f,     0x8002}, /* tie between 1 and 2 */
        {0x1p-149f,       0x0000},
        {0x1.ffcp-15f,    0x0400}, /* largest subnormal and a half: even, the smallest normal */
        {0x1.ff8p-15f,    0x03ff},
        {0x1p-14f,        0x0400},
        {0x1.002p0f,      0x3c00}, /* tie above one: even */
        {0x1.006p0f,      0x3c02}, /* tie: up to even */
        {65504.0f,        0x7bff},
        {65519.996f,      0x7bff},
        {65520.0f,        0x7c00},
        {-65520.0f,       0xfc00},
        {3.4028235e38f,   0x7c00},
        {INFINITY,        0x7c00},
        {-INFINITY,       0xfc00},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        assert_int_equal(fal_f16_from_f32(table[i].value), table[i].half);
    }
    /* A NaN whose payload lies in the bits that f16 drops stays a NaN. */
    assert_true((fal_f16_from_f32(fal_f32_from_bits(0x7f800001u)) & 0x7fffu) > 0x7c00u);
    assert_true((fal_f16_from_f32(fal_f32_from_bits(0xffffffffu)) & 0x7fffu) > 0x7c00u);
    assert_true((fal_bf16_from_f32(fal_f32_from_bits(0x7f800001u)) & 0x7fffu) > 0x7f80u);
    assert_true((fal_bf16_from_f32(fal_f32_from_bits(0xffffffffu)) & 0x7fffu) > 0x7f80u);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_f16_has_its_value),     cmocka_unit_test(every_f16_comes_back),
        cmocka_unit_test(every_bf16_comes_back),       cmocka_unit_test(f16_rounds_to_nearest_even),
        cmocka_unit_test(bf16_rounds_to_nearest_even), cmocka_unit_test(edges_of_f16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
