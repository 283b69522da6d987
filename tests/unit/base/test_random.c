/* base/random.h: the published vector of xoshiro256++, seeding computed independently (random_vectors.py), and the
 * distributions. */
#include "base/random.h"
#include "check.h"

static void the_published_vector(void **state) {
    (void)state;
    static const uint64_t expected[] = {41943041u,
                                        58720359u,
                                        3588806011781223u,
                                        3591011842654386u,
                                        9228616714210784205u,
                                        9973669472204895162u,
                                        14011001112246962877u,
                                        12406186145184390807u,
                                        15849039046786891736u,
                                        10450023813501588000u};
    fal_random r = {
        {1, 2, 3, 4}
    };
    for (int i = 0; i < 10; i++)
        assert_true(fal_random_u64(&r) == expected[i]);
}

static void seeds_and_streams(void **state) {
    (void)state;

    static const struct {
        uint64_t seed, stream, expected[4];
    } rows[] = {
        {0,          0, {0x84f09bf307c1073a, 0xc82ffb597ceee51b, 0xadf96905c5df4417, 0xe9d9a8489d042c93}},
        {42,         0, {0xab4c4adfbb450230, 0x16c758048460b512, 0xdeff27396f8eb5c7, 0x8b9350cec7b7bc0e}},
        {42,         1, {0x7748edf34977e3ae, 0x398d8e70f2a9d654, 0x103feb5c0a8939f3, 0xd3b1b8a3b0481183}},
        {UINT64_MAX,
         UINT64_MAX,    {0xe70be62fc0f93eab, 0xdd1a4aabb10af165, 0x9f7f6f5664d16d59, 0xb8b7cf3d94d1b4e3}},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fal_random r = fal_random_seeded(rows[i].seed, rows[i].stream);
        for (int j = 0; j < 4; j++)
            assert_true(fal_random_u64(&r) == rows[i].expected[j]);
    }
}

static void neighbouring_streams_do_not_agree(void **state) {
    (void)state;
    for (uint64_t stream = 0; stream < 100; stream++) {
        fal_random a = fal_random_seeded(1, stream), b = fal_random_seeded(1, stream + 1);
        int equal_bits = 0;
        for (int i = 0; i < 16; i++)
            equal_bits += 64 - __builtin_popcountll(fal_random_u64(&a) ^ fal_random_u64(&b));
        assert_in_range(equal_bits, 512 - 96, 512 + 96); /* six standard deviations of 16 */
    }
}

static void units_are_uniform(void **state) {
    (void)state;

    enum {
        N = 1 << 20,
        N_BINS = 64
    };

    int bins[N_BINS] = {0};
    double sum = 0, square = 0;
    fal_random r = fal_random_seeded(3, 0);
    for (int i = 0; i < N; i++) {
        double u = fal_random_unit(&r);
        assert_true(u >= 0 && u < 1);
        assert_true(u * 0x1p53 == floor(u * 0x1p53));
        bins[(int)(u * N_BINS)]++;
        sum += u;
        square += u * u;
    }
    double chi = 0, expected = (double)N / N_BINS;
    for (int i = 0; i < N_BINS; i++)
        chi += (bins[i] - expected) * (bins[i] - expected) / expected;
    CHECK_NEAR(chi, N_BINS - 1, 6 * sqrt(2.0 * (N_BINS - 1)));
    CHECK_NEAR(sum / N, 0.5, 6 * sqrt(1.0 / 12 / N));
    CHECK_NEAR(square / N, 1.0 / 3, 6 * sqrt(4.0 / 45 / N));
}

static void normals_have_their_moments(void **state) {
    (void)state;

    enum {
        N = 1 << 20
    };

    double sum = 0, square = 0, fourth = 0;
    int beyond_two = 0;
    fal_random r = fal_random_seeded(4, 0);
    for (int i = 0; i < N; i++) {
        double x = fal_random_normal(&r);
        assert_true(isfinite(x) && fabs(x) < 9);
        sum += x;
        square += x * x;
        fourth += x * x * x * x;
        beyond_two += fabs(x) > 2;
    }
    CHECK_NEAR(sum / N, 0, 6 / sqrt(N));
    CHECK_NEAR(square / N, 1, 6 * sqrt(2.0 / N));
    CHECK_NEAR(fourth / N, 3, 6 * sqrt(96.0 / N));
    CHECK_NEAR((double)beyond_two / N, 0.0455003, 6 * sqrt(0.0455 / N));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_vector),
        cmocka_unit_test(seeds_and_streams),
        cmocka_unit_test(neighbouring_streams_do_not_agree),
        cmocka_unit_test(units_are_uniform),
        cmocka_unit_test(normals_have_their_moments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
