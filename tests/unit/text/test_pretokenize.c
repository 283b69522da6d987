/* text/pretokenize.h: names, classes of characters at their borders, runs of any length, what a callback returns. */
#include "text/pretokenize.h"
#include "unit/text/text_fixtures.h"

typedef struct pieces {
    size_t n, bytes, longest, stop_at;
    size_t lengths[64];
} pieces;

static fal_status collect(void *user, const char *bytes, size_t length, fal_error *err) {
    pieces *found = user;
    assert_non_null(bytes);
    assert_true(length > 0);
    if (found->n < 64) found->lengths[found->n] = length;
    found->n++;
    found->bytes += length;
    if (length > found->longest) found->longest = length;
    if (found->stop_at == found->n) return fal_fail(err, FAL_E_CANCELLED, "enough");
    return FAL_OK;
}

static pieces split_by(const char *rule, const char *text, size_t length) {
    fal_error err = {0};
    fal_pretokenizer *p = NULL;
    pieces found = {0};
    CHECK_OK(fal_pretokenizer_open(&p, rule, &err), &err);
    CHECK_OK(fal_pretokenize(p, text, length, collect, &found, &err), &err);
    fal_pretokenizer_close(p);
    assert_int_equal(found.bytes, length);
    return found;
}

static void names_and_other_names_are_found(void **state) {
    (void)state;
    assert_string_equal(fal_pretokenizer_name_of(fal_slice_of("falcon")), "falcon");
    assert_string_equal(fal_pretokenizer_name_of(fal_slice_of("refact")), "starcoder");
    assert_string_equal(fal_pretokenizer_name_of(fal_slice_of("smollm")), "starcoder");
    assert_string_equal(fal_pretokenizer_name_of(fal_slice_of("phi-2")), "gpt-2");
    static const char *const unknown[] = {
        "", " ", "Falcon", "falco", "falcon3", "refact smollm", "llama-bpe", "command-r"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        assert_null(fal_pretokenizer_name_of(fal_slice_of(unknown[i])));
}

static void an_unknown_rule_is_refused_by_name(void **state) {
    (void)state;
    fal_error err = {0};
    fal_pretokenizer *p = NULL;
    CHECK_STATUS(fal_pretokenizer_open(&p, "llama-bpe", &err), FAL_E_UNSUPPORTED, &err,
                 "'llama-bpe'");
    assert_null(p);
}

/* Pieces of "a<c>b" under a rule: 3 when c stands alone, 2 when it joins b or so, 1 when all are one word. */
static size_t pieces_around(const char *rule, uint32_t c) {
    char text[8] = "a";
    int n = fal_utf8_encode(c, text + 1);
    text[1 + n] = 'b';
    return split_by(rule, text, (size_t)n + 2).n;
}

/* U+0A76 became punctuation after Unicode 8, U+166D ceased to be: the class stays that of Hugging Face. Both are "others"
 * for the words of GPT-2, so a space in front tells them apart: it joins what is no punctuation. */
static void punctuation_is_that_of_unicode_8(void **state) {
    (void)state;
    assert_int_equal(split_by("falcon", " .", 2).n, 2);
    assert_int_equal(split_by("falcon", " \xe1\x99\xad", 4).n, 2);     /* U+166D */
    assert_int_equal(split_by("falcon", " \xf0\x91\x87\x89", 5).n, 2); /* U+111C9 */
    assert_int_equal(split_by("falcon", " \xe0\xa9\xb6", 4).n, 1);     /* U+0A76 */
    assert_int_equal(split_by("falcon", " \xe2\x82\xac", 4).n, 1); /* the Euro sign is a symbol */
    for (int c = '!'; c <= '~'; c++) {
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        char text[] = {' ', (char)c};
        assert_int_equal(split_by("falcon", text, 2).n, letter ? 1 : 2);
    }
}

static void white_space_is_that_of_unicode(void **state) {
    (void)state;
    static const uint32_t spaces[] = {0x09,   0x0a,   0x0b,   0x0c,   0x0d,   0x20,
                                      0x85,   0xa0,   0x1680, 0x2000, 0x2005, 0x200a,
                                      0x2028, 0x2029, 0x202f, 0x205f, 0x3000};
    static const uint32_t others[] = {0x08, 0x0e, 0x1c, 0x1f, 0x180e, 0x200b, 0x2060, 0xfeff};
    /* Two of them before a letter: white space leaves its last one to stand alone, others stay together. */
    for (size_t i = 0; i < sizeof spaces / sizeof spaces[0]; i++) {
        char text[16];
        int n = fal_utf8_encode(spaces[i], text);
        memcpy(text + n, text, (size_t)n);
        text[2 * n] = 'x';
        pieces found = split_by("gpt-2", text, 2 * (size_t)n + 1);
        assert_int_equal(found.lengths[0], n);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        char text[16];
        int n = fal_utf8_encode(others[i], text);
        memcpy(text + n, text, (size_t)n);
        text[2 * n] = 'x';
        pieces found = split_by("gpt-2", text, 2 * (size_t)n + 1);
        assert_int_equal(found.lengths[0], 2 * n);
    }
}

static void letters_and_numbers_follow_their_categories(void **state) {
    (void)state;
    static const uint32_t letters[] = {0xe9, 0x416, 0x5d0, 0x4e16, 0xd55c, 0x1c5, 0x2b0, 0x1d518};
    static const uint32_t others[] = {0x301, 0x1f600, 0x200d, 0x20ac, 0xe000, 0x378, 0x10ffff};
    static const uint32_t numbers[] = {0xb2, 0xbd, 0x663, 0x2167, 0x2460, 0x3007, 0x1d7ce};
    for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++)
        assert_int_equal(pieces_around("gpt-2", letters[i]), 1);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(pieces_around("gpt-2", others[i]), 3);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        assert_int_equal(pieces_around("gpt-2", numbers[i]), 3);
        assert_int_equal(pieces_around("starcoder", numbers[i]), 3);
    }
}

static void digits_go_by_three_ones_or_whole(void **state) {
    (void)state;
    assert_int_equal(split_by("falcon", "1234567", 7).n, 3);
    assert_int_equal(split_by("starcoder", "1234567", 7).n, 7);
    assert_int_equal(split_by("gpt-2", "1234567", 7).n, 1);
    assert_int_equal(split_by("falcon", " 12", 3).n, 2); /* the space stays behind */
    /* U+4E72 is E4 B9 B2: its last two bytes are the numerals 1 and 2 of Latin-1 once mapped. */
    assert_int_equal(split_by("falcon", "\xe4\xb9\xb2", 3).n, 2);
    assert_int_equal(split_by("gpt-2", "\xe4\xb9\xb2", 3).n, 1);
}

static void bytes_that_are_no_utf8_stand_alone(void **state) {
    (void)state;
    pieces found = split_by("falcon",
                            "ab\xff\xfe"
                            "cd\xe2\x82",
                            8);
    static const size_t lengths[] = {2, 1, 1, 2, 1, 1};
    assert_int_equal(found.n, 6);
    assert_memory_equal(found.lengths, lengths, sizeof lengths);
}

/* One word of ten million bytes, of each kind that the rules repeat. */
static void runs_of_any_length_go_through(void **state) {
    (void)state;
    static const char *const units[] = {
        " ", "a", "-", "\n", "\xc2\xa0", "\xe4\xb8\x96", "\xf0\x9f\x98\x80"};
    const size_t length = 12 * 1000 * 1000;
    char *text = malloc(length);
    assert_non_null(text);
    for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
        size_t n = strlen(units[u]);
        for (size_t i = 0; i < length; i++)
            text[i] = units[u][i % n];
        assert_int_equal(split_by("falcon", text, length).longest, length);
        /* White space that ends in a word gives the last space to it. */
        text[length - 1] = 'x';
        text[length - 2] = ' ';
        assert_true(split_by("falcon", text, length).n >= 2);
    }
    memset(text, '7', length);
    assert_int_equal(split_by("falcon", text, length).n, length / 3);
    free(text);
}

static void a_callback_ends_the_splitting(void **state) {
    (void)state;
    fal_error err = {0};
    fal_pretokenizer *p = NULL;
    CHECK_OK(fal_pretokenizer_open(&p, "falcon", &err), &err);
    static const char text[] = "one two\xff, three 123456";
    size_t n_pieces = split_by("falcon", text, sizeof text - 1).n;
    for (size_t stop_at = 1; stop_at <= n_pieces; stop_at++) {
        pieces found = {.stop_at = stop_at};
        CHECK_STATUS(fal_pretokenize(p, text, sizeof text - 1, collect, &found, &err),
                     FAL_E_CANCELLED, &err, "enough");
        assert_int_equal(found.n, stop_at);
    }
    fal_pretokenizer_close(p);
}

/* A failure inside PCRE2's JIT compiler is no failure: the rule is interpreted then, and splits alike. */
static void short_memory_is_reported(void **state) {
    (void)state;
    int n_failed = 0;
    long live = fal_alloc_live();
    for (long n = 1; n <= 60; n++) {
        fal_pretokenizer *p = NULL;
        pieces found = {0};
        fal_alloc_fail_at(n);
        fal_status status = fal_pretokenizer_open(&p, "falcon", NULL);
        if (status == FAL_OK) status = fal_pretokenize(p, "a 1234", 6, collect, &found, NULL);
        fal_alloc_fail_at(0);
        assert_true(status == FAL_OK || status == FAL_E_MEMORY);
        if (status == FAL_OK) assert_int_equal(found.n, 4);
        n_failed += status != FAL_OK;
        fal_pretokenizer_close(p);
        assert_int_equal(fal_alloc_live(), live);
    }
    assert_in_range(n_failed, 12, 55);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_other_names_are_found),
        cmocka_unit_test(an_unknown_rule_is_refused_by_name),
        cmocka_unit_test(punctuation_is_that_of_unicode_8),
        cmocka_unit_test(white_space_is_that_of_unicode),
        cmocka_unit_test(letters_and_numbers_follow_their_categories),
        cmocka_unit_test(digits_go_by_three_ones_or_whole),
        cmocka_unit_test(bytes_that_are_no_utf8_stand_alone),
        cmocka_unit_test(runs_of_any_length_go_through),
        cmocka_unit_test(a_callback_ends_the_splitting),
        cmocka_unit_test(short_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
