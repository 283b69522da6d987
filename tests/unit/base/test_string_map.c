/* base/string_map.h: 100,000 random keys against a sorted list, duplicates, odd keys, growth that fails. */
#include "base/alloc.h"
#include "base/random.h"
#include "base/string_map.h"
#include "check.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    N_KEYS = 100000,
    KEY_BYTES = 12
};

typedef struct row {
    char bytes[KEY_BYTES];
    size_t length;
    int32_t value;
} row;

static int by_key_then_value(const void *left, const void *right) {
    const row *a = left, *b = right;
    if (a->length != b->length) return a->length < b->length ? -1 : 1;
    int order = memcmp(a->bytes, b->bytes, a->length);
    return order ? order : a->value < b->value ? -1 : a->value > b->value;
}

/* Keys of 0 to 12 bytes over a small alphabet, so that many repeat and many share a beginning. */
static row *random_rows(void) {
    row *rows = calloc(N_KEYS, sizeof *rows);
    assert_non_null(rows);
    fal_random random = fal_random_seeded(7, 0);
    for (int i = 0; i < N_KEYS; i++) {
        rows[i].length = (size_t)(fal_random_u64(&random) % (KEY_BYTES + 1));
        for (size_t j = 0; j < rows[i].length; j++)
            rows[i].bytes[j] = (char)(fal_random_u64(&random) % 3);
        rows[i].value = i;
    }
    return rows;
}

static void the_first_of_equal_keys_wins(void **state) {
    (void)state;
    row *rows = random_rows();
    fal_string_map *map = fal_string_map_open(0); /* grows all the way */
    assert_non_null(map);
    int n_inserted = 0;
    for (int i = 0; i < N_KEYS; i++) {
        bool inserted;
        CHECK_OK(
            fal_string_map_add(map, (fal_slice){rows[i].bytes, rows[i].length}, i, &inserted, NULL),
            NULL);
        n_inserted += inserted;
    }
    /* Keys are borrowed, so a sorted copy is what is compared. */
    row *sorted = malloc(N_KEYS * sizeof *sorted);
    assert_non_null(sorted);
    memcpy(sorted, rows, N_KEYS * sizeof *sorted);
    qsort(sorted, N_KEYS, sizeof *sorted, by_key_then_value);
    int n_distinct = 0;
    int32_t first = -1;
    for (int i = 0; i < N_KEYS; i++) {
        bool same = i > 0 && sorted[i].length == sorted[i - 1].length
                    && memcmp(sorted[i].bytes, sorted[i - 1].bytes, sorted[i].length) == 0;
        if (!same) first = sorted[i].value, n_distinct++;
        assert_int_equal(fal_string_map_find(map, (fal_slice){sorted[i].bytes, sorted[i].length}),
                         first);
    }
    assert_int_equal(n_inserted, n_distinct);
    assert_in_range(n_distinct, 1000,
                    N_KEYS - 1000); /* both repeats and distinct keys were tried */
    assert_int_equal(fal_string_map_find(map, fal_slice_of("not there")), -1);
    fal_string_map_close(map);
    free(sorted);
    free(rows);
}

static void odd_keys_are_distinct(void **state) {
    (void)state;
    static const fal_slice keys[] = {
        {NULL,         0},
        {"\0",         1},
        {"\0\0",       2},
        {"a",          1},
        {"a\0",        2},
        {"A",          1},
        {"12345678",   8},
        {"123456789",  9},
        {"12345678\0", 9},
        {"\xff",       1}
    };

    enum {
        N = sizeof keys / sizeof *keys
    };

    fal_string_map *map = fal_string_map_open(N);
    bool inserted;
    for (int i = 0; i < N; i++) {
        CHECK_OK(fal_string_map_add(map, keys[i], i, &inserted, NULL), NULL);
        assert_true(inserted);
    }
    for (int i = 0; i < N; i++)
        assert_int_equal(fal_string_map_find(map, keys[i]), i);
    CHECK_OK(fal_string_map_add(map, keys[3], 99, &inserted, NULL), NULL);
    assert_false(inserted);
    assert_int_equal(fal_string_map_find(map, keys[3]), 3);
    fal_string_map_close(map);
}

static void a_failed_growth_loses_nothing(void **state) {
    (void)state;
    long before = fal_alloc_live();
    fal_alloc_fail_at(1);
    assert_null(fal_string_map_open(4));
    fal_alloc_fail_at(2);
    assert_null(fal_string_map_open(4));
    fal_alloc_fail_at(0);
    assert_null(fal_string_map_open(SIZE_MAX));
    assert_int_equal(fal_alloc_live(), before);

    fal_string_map *map = fal_string_map_open(0);
    char keys[100][12];
    fal_error err = {0};
    int failed_at = -1;
    fal_alloc_fail_at(1);
    for (int i = 0; i < 100; i++) {
        bool inserted;
        snprintf(keys[i], sizeof keys[i], "%d", i);
        fal_status status = fal_string_map_add(map, fal_slice_of(keys[i]), i, &inserted, &err);
        if (status == FAL_OK) continue;
        assert_int_equal(status, FAL_E_MEMORY);
        failed_at = i;
        CHECK_OK(fal_string_map_add(map, fal_slice_of(keys[i]), i, &inserted, &err), &err);
    }
    assert_true(failed_at > 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(fal_string_map_find(map, fal_slice_of(keys[i])), i);
    fal_string_map_close(map);
    fal_string_map_close(NULL);
    assert_int_equal(fal_alloc_live(), before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_of_equal_keys_wins),
        cmocka_unit_test(odd_keys_are_distinct),
        cmocka_unit_test(a_failed_growth_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
