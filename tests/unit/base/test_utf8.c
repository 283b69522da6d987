/* base/utf8.h against the rule itself: the valid sequences are exactly the encodings of all scalar values, which are
 * written here with arithmetic alone. Every sequence of up to three bytes is tried, and of four those that can matter. */
#include "base/utf8.h"
#include "check.h"

#include <stdlib.h>

/* A bit per sequence of n bytes read as a big-endian number: 1 where it encodes a scalar value. */
static unsigned char *valid[4];
static const size_t n_sequences[4] = {0, 1u << 8, 1u << 16, 1u << 24};

static int encode_by_arithmetic(uint32_t c, unsigned char out[4]) {
    if (c < 128) {
        out[0] = (unsigned char)c;
        return 1;
    }
    if (c < 2048) {
        out[0] = (unsigned char)(192 + c / 64);
        out[1] = (unsigned char)(128 + c % 64);
        return 2;
    }
    if (c < 65536) {
        out[0] = (unsigned char)(224 + c / 4096);
        out[1] = (unsigned char)(128 + c / 64 % 64);
        out[2] = (unsigned char)(128 + c % 64);
        return 3;
    }
    out[0] = (unsigned char)(240 + c / 262144);
    out[1] = (unsigned char)(128 + c / 4096 % 64);
    out[2] = (unsigned char)(128 + c / 64 % 64);
    out[3] = (unsigned char)(128 + c % 64);
    return 4;
}

static bool is_scalar(uint32_t c) {
    return c < 0x110000 && !(c >= 0xd800 && c < 0xe000);
}

static int make_table(void **state) {
    (void)state;
    for (int n = 1; n <= 3; n++)
        if (!(valid[n] = calloc(n_sequences[n] / 8, 1))) return -1;
    for (uint32_t c = 0; c < 65536; c++) {
        unsigned char b[4];
        if (!is_scalar(c)) continue;
        int n = encode_by_arithmetic(c, b);
        uint32_t number = 0;
        for (int i = 0; i < n; i++)
            number = number * 256 + b[i];
        valid[n][number / 8] |= (unsigned char)(1u << number % 8);
    }
    return 0;
}

static int free_table(void **state) {
    (void)state;
    for (int n = 1; n <= 3; n++)
        free(valid[n]);
    return 0;
}

static bool is_valid(int n, uint32_t number) {
    return valid[n][number / 8] >> number % 8 & 1;
}

static void every_scalar_value_there_and_back(void **state) {
    (void)state;
    for (uint32_t c = 0; c < 0x110000; c++) {
        if (!is_scalar(c)) continue;
        unsigned char expected[4];
        char text[5] = {0};
        int n = encode_by_arithmetic(c, expected), used = fal_utf8_encode(c, text);
        uint32_t back = UINT32_MAX;
        if (used != n || memcmp(text, expected, (size_t)n) != 0)
            fail_msg("U+%04X is written wrongly", (unsigned)c);
        if (fal_utf8_decode(text, (size_t)n, &back) != n || back != c)
            fail_msg("U+%04X is read wrongly", (unsigned)c);
        for (int cut = 1; cut < n; cut++) {
            if (fal_utf8_decode(text, (size_t)cut, &back) != 0
                || fal_utf8_incomplete_tail(text, (size_t)cut) != (size_t)cut)
                fail_msg("U+%04X cut to %d bytes", (unsigned)c, cut);
        }
        if (fal_utf8_incomplete_tail(text, (size_t)n) != 0)
            fail_msg("U+%04X is whole", (unsigned)c);
    }
}

static void every_sequence_up_to_three_bytes(void **state) {
    (void)state;
    for (int n = 1; n <= 3; n++) {
        for (uint32_t number = 0; number < n_sequences[n]; number++) {
            unsigned char bytes[3];
            for (int i = 0; i < n; i++)
                bytes[i] = (unsigned char)(number >> 8 * (n - 1 - i));
            uint32_t c;
            int used = fal_utf8_decode((const char *)bytes, (size_t)n, &c), expected = 0;
            for (int m = 1; m <= n && !expected; m++)
                if (is_valid(m, number >> 8 * (n - m))) expected = m;
            if (used != expected)
                fail_msg("%06x of %d bytes: %d used, expected %d", (unsigned)number, n, used,
                         expected);
        }
    }
}

/* Of four bytes: all leads and second bytes, with last bytes at each border of what may continue. */
static void sequences_of_four_bytes(void **state) {
    (void)state;
    static const unsigned char borders[] = {0x00, 0x7f, 0x80, 0x81, 0xbe, 0xbf, 0xc0, 0xff};
    for (unsigned lead = 0xe0; lead < 256; lead++) {
        for (unsigned second = 0; second < 256; second++) {
            for (int i = 0; i < 64; i++) {
                unsigned char b[4] = {(unsigned char)lead, (unsigned char)second, borders[i / 8],
                                      borders[i % 8]};
                uint32_t c = 0, value = (lead & 7u) << 18 | (second & 63u) << 12 | (b[2] & 63u) << 6
                                        | (b[3] & 63u);
                unsigned char canonical[4];
                /* Valid exactly if some scalar value is written so; only this value could be. */
                bool four = lead >= 0xf0 && is_scalar(value) && value >= 65536
                            && encode_by_arithmetic(value, canonical) == 4
                            && memcmp(b, canonical, 4) == 0;
                bool three = is_valid(3, (uint32_t)(lead << 16 | second << 8 | b[2]));
                int used = fal_utf8_decode((const char *)b, 4, &c);
                if (used != (four ? 4 : three ? 3 : 0) || (four && c != value))
                    fail_msg("%02x %02x %02x %02x: %d used", lead, second, b[2], b[3], used);
            }
        }
    }
}

static void whole_texts(void **state) {
    (void)state;
    assert_true(fal_utf8_is_valid("", 0));
    assert_true(fal_utf8_is_valid("a\0b", 3));
    assert_true(fal_utf8_is_valid("na\xc3\xafve \xe2\x82\xac \xf0\x9f\xa6\x85", 15));
    assert_false(fal_utf8_is_valid("na\xc3\xafve \xe2\x82", 9));
    assert_false(fal_utf8_is_valid("\xed\xa0\x80", 3));
    assert_false(fal_utf8_is_valid("\xc0\x80", 2));
    assert_false(fal_utf8_is_valid("ab\xff", 3));
}

/* What is held back could be completed by some bytes; what is not could not. Exhaustive over the last three bytes. */
static void the_incomplete_tail(void **state) {
    (void)state;
    assert_int_equal(fal_utf8_incomplete_tail("", 0), 0);
    assert_int_equal(fal_utf8_incomplete_tail("abc", 3), 0);
    assert_int_equal(fal_utf8_incomplete_tail("ab\xf0\x9f\xa6", 5), 3);
    assert_int_equal(fal_utf8_incomplete_tail("ab\xf0\x9f\xa6\x85", 6), 0);
    assert_int_equal(fal_utf8_incomplete_tail("ab\x80\x80\x80\x80", 6), 0);
    static unsigned char
        begins[3][1 << 16]; /* sequences of 1 and 2 bytes that begin a longer one; of 3 by number */
    static unsigned char begins_four[1 << 21];
    for (uint32_t c = 128; c < 0x110000; c++) {
        unsigned char b[4];
        if (!is_scalar(c)) continue;
        int n = encode_by_arithmetic(c, b);
        begins[1][b[0]] = 1;
        if (n > 2) begins[2][b[0] << 8 | b[1]] = 1;
        uint32_t three = (uint32_t)(b[0] << 16 | b[1] << 8 | b[2]);
        if (n > 3) begins_four[three / 8] |= (unsigned char)(1u << three % 8);
    }
    for (uint32_t number = 0; number < 1u << 24; number++) {
        char text[3] = {(char)(number >> 16), (char)(number >> 8), (char)number};
        size_t expected = 0;
        if (begins_four[number / 8] >> number % 8 & 1) expected = 3;
        if (begins[2][number & 0xffff]) expected = 2;
        if (begins[1][number & 0xff]) expected = 1;
        if (fal_utf8_incomplete_tail(text, 3) != expected)
            fail_msg("%06x: %zu held back, expected %zu", (unsigned)number,
                     fal_utf8_incomplete_tail(text, 3), expected);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_scalar_value_there_and_back),
        cmocka_unit_test(every_sequence_up_to_three_bytes),
        cmocka_unit_test(sequences_of_four_bytes),
        cmocka_unit_test(whole_texts),
        cmocka_unit_test(the_incomplete_tail),
    };
    return cmocka_run_group_tests(tests, make_table, free_table);
}
