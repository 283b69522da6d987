/* base/alloc.h: sizes that overflow, alignment, growth, failing on purpose, the count of live blocks. */
#include "base/alloc.h"
#include "check.h"

static void products_and_sums_are_checked(void **state) {
    (void)state;
    size_t out = 0;
    assert_true(fal_multiply_size(SIZE_MAX / 3, 3, &out));
    assert_int_equal(out, SIZE_MAX / 3 * 3);
    assert_false(fal_multiply_size(SIZE_MAX / 2 + 1, 2, &out));
    assert_true(fal_add_size(SIZE_MAX - 1, 1, &out));
    assert_int_equal(out, SIZE_MAX);
    assert_false(fal_add_size(SIZE_MAX, 1, &out));
}

static void overflow_is_refused_not_wrapped(void **state) {
    (void)state;
    assert_null(fal_alloc(SIZE_MAX / 2, 3));
    assert_null(fal_alloc_aligned(SIZE_MAX / 2, 3));
    assert_null(fal_alloc_aligned(SIZE_MAX - 8, 1));
    assert_null(fal_realloc(NULL, SIZE_MAX / 2, 3));
    assert_null(fal_copy_string("", SIZE_MAX));
}

static void memory_is_zeroed(void **state) {
    (void)state;
    for (size_t size = 0; size < 300; size += 37) {
        unsigned char *memory = fal_alloc(size, 1);
        assert_non_null(memory);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(memory[i], 0);
        memset(memory, 0xff, size);
        fal_free(memory);
    }
}

static void aligned_memory_is_aligned_and_has_a_tail(void **state) {
    (void)state;
    for (size_t size = 0; size < 400; size++) {
        unsigned char *memory = fal_alloc_aligned(size, 1);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % 64, 0);
        memset(memory, 1, size + 64); /* the address sanitizer sees a tail that is too short */
        fal_free(memory);
    }
}

static void realloc_keeps_what_fits(void **state) {
    (void)state;
    unsigned char *memory = fal_realloc(NULL, 10, 1);
    assert_non_null(memory);
    for (int i = 0; i < 10; i++)
        memory[i] = (unsigned char)i;
    memory = fal_realloc(memory, 10000, 1);
    assert_non_null(memory);
    for (int i = 0; i < 10; i++)
        assert_int_equal(memory[i], i);
    fal_free(memory);
}

static void growth_doubles_and_survives_failure(void **state) {
    (void)state;
    int *items = NULL;
    size_t capacity = 0, steps = 0, seen = 0;
    for (int i = 0; i < 1000; i++) {
        assert_true(fal_grow((void **)&items, &capacity, (size_t)i + 1, sizeof *items));
        items[i] = i;
        steps += capacity != seen;
        seen = capacity;
    }
    assert_in_range(steps, 1, 10);
    size_t before = capacity;
    fal_alloc_fail_at(1);
    assert_false(fal_grow((void **)&items, &capacity, capacity + 1, sizeof *items));
    fal_alloc_fail_at(0);
    assert_int_equal(capacity, before);
    assert_false(fal_grow((void **)&items, &capacity, SIZE_MAX / 2, sizeof *items));
    assert_false(fal_grow((void **)&items, &capacity, SIZE_MAX, sizeof *items));
    for (int i = 0; i < 1000; i++)
        assert_int_equal(items[i], i);
    fal_free(items);
}

static void the_nth_allocation_fails_and_only_it(void **state) {
    (void)state;
    for (int n = 1; n <= 4; n++) {
        fal_alloc_fail_at(n);
        for (int i = 1; i <= 6; i++) {
            void *memory = i % 2 ? fal_alloc(1, 8) : fal_alloc_aligned(1, 8);
            assert_int_equal(memory == NULL, i == n);
            fal_free(memory);
        }
    }
    fal_alloc_fail_at(2);
    fal_alloc_fail_at(0);
    for (int i = 0; i < 4; i++) {
        void *memory = fal_alloc(1, 1);
        assert_non_null(memory);
        fal_free(memory);
    }
}

static void live_blocks_are_counted(void **state) {
    (void)state;
    long before = fal_alloc_live();
    void *a = fal_alloc(1, 1), *b = fal_alloc_aligned(1, 1), *c = fal_realloc(NULL, 1, 1);
    char *d = fal_copy_string("abc", 2);
    assert_string_equal(d, "ab");
    assert_int_equal(fal_alloc_live(), before + 4);
    c = fal_realloc(c, 100, 1);
    assert_non_null(c);
    assert_int_equal(fal_alloc_live(), before + 4);
    fal_free(a), fal_free(b), fal_free(c), fal_free(d);
    fal_free(NULL);
    assert_int_equal(fal_alloc_live(), before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_and_sums_are_checked),
        cmocka_unit_test(overflow_is_refused_not_wrapped),
        cmocka_unit_test(memory_is_zeroed),
        cmocka_unit_test(aligned_memory_is_aligned_and_has_a_tail),
        cmocka_unit_test(realloc_keeps_what_fits),
        cmocka_unit_test(growth_doubles_and_survives_failure),
        cmocka_unit_test(the_nth_allocation_fails_and_only_it),
        cmocka_unit_test(live_blocks_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
