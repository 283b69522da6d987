/* base/bytes.h: little-endian values, bounds at every length, the sticky first failure. */
#include "base/bytes.h"
#include "check.h"

static void values_are_little_endian(void **state) {
    (void)state;
    static const unsigned char bytes[] = {
        0xfe, 0x34, 0x12, 0x78, 0x56, 0x34, 0x92,                     /* u8, u16, u32 */
        0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x81,               /* u64 */
        0x00, 0x00, 0xc0, 0xbf,                                       /* -1.5 */
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x40, 'e', 'n', 'd' /* 2.5 */
    };
    fal_reader r = fal_reader_open(bytes, sizeof bytes);
    assert_int_equal(fal_read_u8(&r), 0xfe);
    assert_int_equal(fal_read_u16(&r), 0x1234);
    assert_int_equal(fal_read_u32(&r), 0x92345678u);
    assert_true(fal_read_u64(&r) == 0x8123456789abcdefu);
    assert_true(fal_read_f32(&r) == -1.5f);
    assert_true(fal_read_f64(&r) == 2.5);
    assert_int_equal(fal_reader_remaining(&r), 3);
    assert_true(fal_slice_equals(fal_read_slice(&r, 3), "end"));
    assert_int_equal(fal_reader_remaining(&r), 0);
    CHECK_OK(fal_reader_status(&r, NULL), NULL);
}

/* Each read of `size` bytes succeeds with exactly that many and fails, without moving, with one less. */
static void no_read_passes_the_end(void **state) {
    (void)state;
    static const int sizes[] = {1, 2, 4, 8, 4, 8, 5};
    for (int kind = 0; kind < 7; kind++) {
        for (int missing = 0; missing <= 1; missing++) {
            char bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};
            fal_reader r = fal_reader_open(bytes, (size_t)(sizes[kind] - missing));
            double value = 0;
            switch (kind) {
            case 0: value = fal_read_u8(&r); break;
            case 1: value = fal_read_u16(&r); break;
            case 2: value = fal_read_u32(&r); break;
            case 3: value = (double)fal_read_u64(&r); break;
            case 4: value = (double)fal_read_f32(&r); break;
            case 5: value = fal_read_f64(&r); break;
            default: value = (double)fal_read_slice(&r, 5).length; break;
            }
            assert_int_equal(r.failed, missing);
            assert_int_equal(value == 0.0, missing);
            assert_int_equal(r.position, missing ? 0 : sizes[kind]);
        }
    }
}

static void the_first_failure_sticks(void **state) {
    (void)state;
    static const char bytes[10] = "123456789";
    fal_reader r = fal_reader_open(bytes, 10);
    fal_read_u32(&r);
    assert_null(fal_read_slice(&r, 7).data);
    assert_int_equal(fal_read_u8(&r), 0); /* six bytes are left, but the reader has failed */
    assert_null(fal_read_slice(&r, 0).data);
    fal_error err = {0};
    CHECK_STATUS(fal_reader_status(&r, &err), FAL_E_FORMAT, &err, "7 bytes wanted at offset 4");
    assert_non_null(strstr(err.message, "6 of 10"));
}

static void absurd_lengths_do_not_wrap(void **state) {
    (void)state;
    static const char bytes[16] = {0};
    static const uint64_t lengths[] = {17, UINT32_MAX, (uint64_t)INT64_MAX, UINT64_MAX - 7,
                                       UINT64_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        fal_reader r = fal_reader_open(bytes, sizeof bytes);
        fal_read_u64(&r);
        fal_slice slice = fal_read_slice(&r, lengths[i]);
        assert_null(slice.data);
        assert_int_equal(slice.length, 0);
        assert_true(r.failed);
    }
}

static void empty_input_and_empty_slices(void **state) {
    (void)state;
    fal_reader r = fal_reader_open(NULL, 0);
    assert_int_equal(fal_read_slice(&r, 0).length, 0);
    assert_false(r.failed);
    assert_int_equal(fal_read_u8(&r), 0);
    assert_true(r.failed);
    assert_true(fal_slice_equals(fal_slice_of(""), ""));
    assert_true(fal_slice_equals(fal_slice_of("ab"), "ab"));
    assert_false(fal_slice_equals(fal_slice_of("ab"), "abc"));
    assert_false(fal_slice_equals(fal_slice_of("ab"), "ac"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_little_endian),
        cmocka_unit_test(no_read_passes_the_end),
        cmocka_unit_test(the_first_failure_sticks),
        cmocka_unit_test(absurd_lengths_do_not_wrap),
        cmocka_unit_test(empty_input_and_empty_slices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
