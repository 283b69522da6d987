/* Which file fits: the arithmetic at its bounds, what is picked, and sizes as text. */
#include <falconer/model.h>

#include "golden/tiny_model.h"
#include "publish/pick.h"

#include <stdio.h>

static char scratch[GOLDEN_PATH_SIZE];
static fal_error error;

static int make_scratch(void **state) {
    (void)state;
    golden_scratch_make(scratch);
    return 0;
}

static int remove_scratch(void **state) {
    (void)state;
    golden_scratch_remove(scratch);
    return 0;
}

static void test_sizes(void **state) {
    (void)state;
    fal_pick p = {0};
    static const uint64_t sizes[] = {25, 17, 34};
    for (size_t i = 0; i < 3; i++)
        CHECK_OK(fal_pick_add_size(&p, sizes[i], &error), &error);

    static const struct {
        uint64_t memory;
        int best;
        int64_t spare; /* of the smallest */
    } cases[] = {
        {16,  -1, -1},
        {17,  0,  0 },
        {24,  0,  7 },
        {25,  1,  8 },
        {33,  1,  16},
        {34,  2,  17},
        {100, 2,  83}
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fal_pick_choose(&p, cases[i].memory, 0);
        assert_int_equal(p.rows[0].bytes, 17);
        assert_int_equal(p.rows[2].bytes, 34);
        assert_int_equal(p.best, cases[i].best);
        assert_int_equal(p.rows[0].spare, cases[i].spare);
        assert_int_equal(p.rows[0].longest, -1);
    }
    fal_pick_release(&p);
}

/* Adds a row by hand, as if a model had been measured. */
static void add(fal_pick *p, uint64_t bytes, double bits) {
    CHECK_OK(fal_pick_add_size(p, bytes, &error), &error);
    fal_pick_row *row = &p->rows[p->count - 1];
    row->bits_per_weight = bits;
    row->cache_bytes_per_token = 10;
    row->working_bytes = 100;
    row->n_context = 2000;
}

static void test_context(void **state) {
    (void)state;
    fal_pick p = {0};
    add(&p, 5000, 4);
    fal_pick_choose(&p, 5100 + 20000, 0);
    assert_int_equal(p.best, 0);
    assert_int_equal(p.rows[0].needed, 25100);
    assert_int_equal(p.rows[0].spare, 0);
    assert_int_equal(p.rows[0].longest, 2000);
    fal_pick_choose(&p, 5100 + 19999, 0);
    assert_int_equal(p.best, -1);
    assert_int_equal(p.rows[0].longest, 1999);
    fal_pick_choose(&p, 5100 + 19999, 1999);
    assert_int_equal(p.best, 0);
    assert_int_equal(p.rows[0].spare, 9);
    fal_pick_choose(&p, 5100, 1);
    assert_int_equal(p.best, -1);
    assert_int_equal(p.rows[0].longest, 0);
    fal_pick_choose(&p, 0, 1);
    assert_int_equal(p.rows[0].longest, 0);
    assert_int_equal(p.rows[0].spare, -5110);
    fal_pick_release(&p);
}

/* Bits per weight are quality within a set, whatever the sizes. */
static void test_quality(void **state) {
    (void)state;
    fal_pick p = {0};
    add(&p, 5000, 4.5);
    add(&p, 4000, 5.5);
    add(&p, 9000, 8.5);
    fal_pick_choose(&p, 8000, 100);
    assert_int_equal(p.rows[p.best].bytes, 4000);
    fal_pick_choose(&p, 80000, 100);
    assert_int_equal(p.rows[p.best].bytes, 9000);
    fal_pick_release(&p);
}

/* A file's row is what its model says. */
static void test_files(void **state) {
    (void)state;
    char path[GOLDEN_PATH_SIZE], junk[GOLDEN_PATH_SIZE];
    tiny_model t = tiny_model_whole();
    golden_join(path, scratch, "a.gguf");
    tiny_model_write(&t, path);
    golden_join(junk, scratch, "b.gguf");
    FILE *file = fopen(junk, "w");
    assert_non_null(file);
    fputs("junk", file);
    fclose(file);
    fal_pick p = {0};
    CHECK_OK(fal_pick_add_folder(&p, scratch, &error), &error);
    fal_pick_choose(&p, UINT64_C(1) << 30, 0);
    assert_int_equal(p.count, 2);
    assert_int_equal(p.best, 0);
    const fal_pick_row *row = &p.rows[0];
    assert_null(row->trouble);
    fal_model *model;
    CHECK_OK(fal_model_open(&model, path, NULL, &error), &error);
    assert_int_equal(row->bytes, fal_model_info_get(model)->weight_bytes);
    /* f32 keys and values of two layers with two heads of 8, and the token itself. */
    assert_int_equal(row->cache_bytes_per_token, 2 * 4 * 2 * 2 * 8 + 4);
    assert_int_equal(row->cache_bytes_per_token * 2048,
                     fal_model_kv_bytes(model, 2048, NULL) + 4 * 2048);
    CHECK_NEAR(row->bits_per_weight, 32, 1e-9);
    assert_int_equal(row->n_context, 2048);
    assert_int_equal(row->longest, 2048);
    assert_true(row->working_bytes > 1 << 20);
    fal_model_close(model);
    assert_non_null(strstr(p.rows[1].trouble, "not a GGUF file"));
    assert_false(p.rows[1].fits);
    fal_pick_release(&p);

    CHECK_STATUS(fal_pick_add_file(&p, "/nothing/there.gguf", &error), FAL_E_NOT_FOUND, &error,
                 "there.gguf");
    CHECK_STATUS(fal_pick_add_folder(&p, "/nothing/there", &error), FAL_E_NOT_FOUND, &error,
                 "there");
    remove(path);
    remove(junk);
    CHECK_STATUS(fal_pick_add_folder(&p, scratch, &error), FAL_E_NOT_FOUND, &error, "no .gguf");
    fal_pick_release(&p);
}

static void test_bytes(void **state) {
    (void)state;

    static const struct {
        const char *text;
        uint64_t bytes; /* 0: refused */
    } cases[] = {
        {"17.4GB",    17400000000       },
        {"24GiB",     UINT64_C(24) << 30},
        {"1 kib",     1024              },
        {"4G",        4000000000        },
        {"2TB",       2000000000000     },
        {"7B",        7                 },
        {"24",        0                 },
        {"GB",        0                 },
        {"",          0                 },
        {"-1GB",      0                 },
        {"0GB",       0                 },
        {"1e30GB",    0                 },
        {"nanGB",     0                 },
        {"1GBx",      0                 },
        {"1 G B",     0                 },
        {"12giblets", 0                 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t bytes = 0;
        if (cases[i].bytes == 0) {
            CHECK_STATUS(fal_parse_bytes(cases[i].text, &bytes, &error), FAL_E_ARGUMENT, &error,
                         "24GiB");
            continue;
        }
        CHECK_OK(fal_parse_bytes(cases[i].text, &bytes, &error), &error);
        assert_int_equal(bytes, cases[i].bytes);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_scratch, remove_scratch)
    const struct CMUnitTest tests[] = {
        TEST(test_sizes), TEST(test_context), TEST(test_quality),
        TEST(test_files), TEST(test_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
