/* text/stop.h: stop words against a plain search of the whole text, for every way to cut the stream; whole characters. */
#include "base/random.h"
#include "base/string_builder.h"
#include "text/stop.h"
#include "unit/text/text_fixtures.h"

static fal_stop *open_stop(const char *const *words) {
    fal_error err = {0};
    fal_stop *s = NULL;
    CHECK_OK(fal_stop_open(&s, words, &err), &err);
    return s;
}

static void feed(fal_stop *s, const char *text) {
    fal_error err = {0};
    CHECK_OK(fal_stop_feed(s, text, strlen(text), &err), &err);
}

static void check_take(fal_stop *s, const char *expected) {
    fal_slice text = fal_stop_take(s);
    assert_int_equal(text.length, strlen(expected));
    assert_memory_equal(text.data, expected, text.length);
}

static void text_passes_when_there_are_no_words(void **state) {
    (void)state;
    static const char *const none[] = {NULL};
    for (int i = 0; i < 2; i++) {
        fal_stop *s = open_stop(i ? none : NULL);
        check_take(s, "");
        feed(s, "Hello");
        check_take(s, "Hello");
        check_take(s, "");
        feed(s, "");
        check_take(s, "");
        fal_stop_flush(s);
        check_take(s, "");
        assert_null(fal_stop_word(s));
        fal_stop_close(s);
    }
}

static void the_beginning_of_a_word_is_held_back(void **state) {
    (void)state;
    static const char *const words[] = {"\nUser:", "###", NULL};
    fal_stop *s = open_stop(words);
    feed(s, "Yes.\nUs");
    check_take(s, "Yes.");
    feed(s, "ual #");
    check_take(s, "\nUsual ");
    feed(s, "#");
    check_take(s, "");
    feed(s, "1\nUser");
    check_take(s, "##1");
    assert_null(fal_stop_word(s));
    feed(s, ": more");
    check_take(s, "");
    assert_ptr_equal(fal_stop_word(s), words[0]);
    feed(s, "still more");
    fal_stop_flush(s);
    check_take(s, "");
    assert_ptr_equal(fal_stop_word(s), words[0]);
    fal_stop_close(s);
}

static void what_was_held_back_comes_out_at_the_end(void **state) {
    (void)state;
    static const char *const words[] = {"STOP", NULL};
    fal_stop *s = open_stop(words);
    feed(s, "one STO");
    check_take(s, "one ");
    fal_stop_flush(s);
    check_take(s, "STO");
    assert_null(fal_stop_word(s));
    fal_stop_close(s);
}

static void the_earliest_word_wins_and_the_longest_of_these(void **state) {
    (void)state;
    static const char *const words[] = {"b", "abx", "ab", "abcd", NULL};

    static const struct {
        const char *text, *before;
        int word;
    } cases[] = {
        {"zzab--", "zz", 2},
        {"zzabx-", "zz", 1},
        {"zzabcd", "zz", 3},
        {"zzabc-", "zz", 2},
        {"zzb-ab", "zz", 0},
        {"zzab",   "zz", 2},
        {"zzabc",  "zz", 2},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fal_stop *s = open_stop(words);
        feed(s, cases[i].text);
        fal_stop_flush(s);
        assert_ptr_equal(fal_stop_word(s), words[cases[i].word]);
        check_take(s, cases[i].before);
        fal_stop_close(s);
    }
}

static void an_undecided_word_waits(void **state) {
    (void)state;
    static const char *const words[] = {"ab", "abcd", NULL};
    fal_stop *s = open_stop(words);
    feed(s, "xab");
    check_take(s, "x");
    assert_null(fal_stop_word(s)); /* "abcd" may be under way */
    feed(s, "c");
    assert_null(fal_stop_word(s));
    feed(s, "x");
    assert_ptr_equal(fal_stop_word(s), words[0]);
    check_take(s, "");
    fal_stop_close(s);
}

static void characters_come_out_whole(void **state) {
    (void)state;
    fal_stop *s = open_stop(NULL);
    static const char text[] = "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z";
    static const size_t ready[] = {0, 2, 2, 2, 5, 5, 5, 5, 9, 10};
    size_t total = 0;
    for (size_t i = 0; i + 1 < sizeof text; i++) {
        CHECK_OK(fal_stop_feed(s, text + i, 1, NULL), NULL);
        total += fal_stop_take(s).length;
        assert_int_equal(total, ready[i]);
    }
    feed(s, "\xe2\x82");
    check_take(s, "");
    fal_stop_flush(s);
    check_take(s, "\xe2\x82");
    fal_stop_close(s);
}

static void bytes_that_are_no_utf8_are_not_held_back_forever(void **state) {
    (void)state;
    fal_stop *s = open_stop(NULL);
    feed(s, "\xff\x80\xe2\x28");
    check_take(s, "\xff\x80\xe2\x28");
    fal_stop_close(s);
}

/* What the definition says of a whole text: where it ends and which word ends it. */
static size_t search_plainly(const char *const *words, const char *text, size_t length,
                             const char **word) {
    *word = NULL;
    for (size_t i = 0; i < length; i++) {
        size_t longest = 0;
        for (size_t w = 0; words[w]; w++) {
            size_t n = strlen(words[w]);
            if (n > longest && n <= length - i && memcmp(text + i, words[w], n) == 0) {
                longest = n;
                *word = words[w];
            }
        }
        if (*word) return i;
    }
    return length;
}

static void no_cut_of_the_stream_changes_the_outcome(void **state) {
    (void)state;
    static const char *const words[] = {"abc",
                                        "bca",
                                        "ca",
                                        "abcab",
                                        "\xc3\xa9"
                                        "a",
                                        "cc",
                                        NULL};
    static const char *const units[] = {"a", "b", "b", "c", "\xc3\xa9", "\xf0\x9f\x98\x80",
                                        "d", "d"};
    fal_random random = fal_random_seeded(11, 0);
    int n_hits = 0;
    for (int round = 0; round < 20000; round++) {
        fal_string_builder text = {0}, shown = {0};
        size_t n = fal_random_u64(&random) % 14;
        for (size_t i = 0; i < n; i++)
            fal_string_append_text(&text, units[fal_random_u64(&random) % 8]);
        const char *expected;
        size_t end = search_plainly(words, text.text ? text.text : "", text.length, &expected);
        fal_stop *s = open_stop(words);
        for (size_t at = 0; at < text.length;) {
            size_t step = 1 + fal_random_u64(&random) % 4;
            if (step > text.length - at) step = text.length - at;
            CHECK_OK(fal_stop_feed(s, text.text + at, step, NULL), NULL);
            at += step;
            if (fal_random_u64(&random) % 3 == 0) continue;
            fal_slice part = fal_stop_take(s);
            assert_true(fal_utf8_is_valid(part.data, part.length));
            fal_string_append(&shown, part.data, part.length);
        }
        fal_stop_flush(s);
        fal_slice part = fal_stop_take(s);
        fal_string_append(&shown, part.data, part.length);
        assert_ptr_equal(fal_stop_word(s), expected);
        assert_int_equal(shown.length, end);
        if (end) assert_memory_equal(shown.text, text.text, end);
        n_hits += expected != NULL;
        fal_stop_close(s);
        fal_string_release(&text);
        fal_string_release(&shown);
    }
    assert_in_range(n_hits, 3000, 17000);
}

static void empty_words_are_refused(void **state) {
    (void)state;
    static const char *const words[] = {"a", "", NULL};
    fal_error err = {0};
    fal_stop *s = NULL;
    CHECK_STATUS(fal_stop_open(&s, words, &err), FAL_E_ARGUMENT, &err, "stop word 2 is empty");
    assert_null(s);
    fal_stop_close(NULL);
}

static void short_memory_is_reported(void **state) {
    (void)state;
    long live = fal_alloc_live();
    for (long n = 1; n <= 2; n++) {
        fal_stop *s = NULL;
        fal_alloc_fail_at(n);
        fal_status status = fal_stop_open(&s, NULL, NULL);
        if (status == FAL_OK) status = fal_stop_feed(s, "abc", 3, NULL);
        fal_alloc_fail_at(0);
        assert_int_equal(status, FAL_E_MEMORY);
        fal_stop_close(s);
        assert_int_equal(fal_alloc_live(), live);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_passes_when_there_are_no_words),
        cmocka_unit_test(the_beginning_of_a_word_is_held_back),
        cmocka_unit_test(what_was_held_back_comes_out_at_the_end),
        cmocka_unit_test(the_earliest_word_wins_and_the_longest_of_these),
        cmocka_unit_test(an_undecided_word_waits),
        cmocka_unit_test(characters_come_out_whole),
        cmocka_unit_test(bytes_that_are_no_utf8_are_not_held_back_forever),
        cmocka_unit_test(no_cut_of_the_stream_changes_the_outcome),
        cmocka_unit_test(empty_words_are_refused),
        cmocka_unit_test(short_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
