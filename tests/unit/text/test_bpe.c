/* text/bpe.h: the order of merges against a plain reference, dropped bytes, long words, merges that are refused. */
#include "base/random.h"
#include "text/bpe.h"
#include "unit/text/text_fixtures.h"

static fal_string_map *index_of(const fal_vocabulary *v) {
    fal_string_map *ids = fal_string_map_open(v->n_tokens);
    for (size_t i = 0; i < v->n_tokens; i++) {
        bool inserted;
        CHECK_OK(fal_string_map_add(ids, v->tokens[i], (int32_t)i, &inserted, NULL), NULL);
        assert_true(inserted);
    }
    return ids;
}

static fal_bpe *open_bpe(fal_vocabulary v) {
    fal_error err = {0};
    fal_bpe *b = NULL;
    fal_string_map *ids = index_of(&v);
    CHECK_OK(fal_bpe_open(&b, &v, ids, &err), &err);
    fal_string_map_close(ids);
    fal_vocabulary_release(&v);
    return b;
}

static fal_tokens encode(const fal_bpe *b, const char *bytes, size_t length, size_t *n_dropped) {
    fal_error err = {0};
    fal_tokens out = {0};
    fal_bpe_scratch scratch = {0};
    *n_dropped = 0;
    CHECK_OK(fal_bpe_encode(b, &scratch, bytes, length, &out, n_dropped, &err), &err);
    fal_bpe_scratch_release(&scratch);
    return out;
}

static void check_word(const fal_bpe *b, const char *word, const int32_t *ids, size_t n) {
    size_t n_dropped;
    fal_tokens out = encode(b, word, strlen(word), &n_dropped);
    assert_int_equal(n_dropped, 0);
    assert_int_equal(out.count, n);
    if (n) assert_memory_equal(out.ids, ids, n * sizeof *ids);
    fal_tokens_release(&out);
}

#define CHECK_WORD(b, word, ...)                        \
    check_word(b, word, (const int32_t[]){__VA_ARGS__}, \
               sizeof(int32_t[]){__VA_ARGS__} / sizeof(int32_t))

static void the_lowest_rank_merges_first(void **state) {
    (void)state;
    static const extra_token extras[] = {
        {"bc",  1},
        {"ab",  1},
        {"abc", 1},
        {"cd",  1},
        {NULL,  0}
    };
    static const char *const merges[] = {"b c", "a b", "a bc", "c d", NULL};
    fal_bpe *b = open_bpe(vocabulary_of(extras, merges));
    CHECK_WORD(b, "abc", 258);       /* b c, then a bc; never a b */
    CHECK_WORD(b, "abd", 257, 'd');  /* a b */
    CHECK_WORD(b, "abcd", 258, 'd'); /* b c takes the c from c d */
    CHECK_WORD(b, "acd", 'a', 259);
    CHECK_WORD(b, "x", 'x');
    fal_bpe_close(b);
}

static void equal_ranks_merge_from_the_left(void **state) {
    (void)state;
    static const extra_token extras[] = {
        {"aa",   1},
        {"aaaa", 1},
        {NULL,   0}
    };
    static const char *const merges[] = {"a a", "aa aa", NULL};
    fal_bpe *b = open_bpe(vocabulary_of(extras, merges));
    CHECK_WORD(b, "aaa", 256, 'a');
    CHECK_WORD(b, "aaaaa", 257, 'a');
    CHECK_WORD(b, "aaaaaaa", 257, 256, 'a');
    fal_bpe_close(b);
}

/* Scans for the best pair and merges its first place, over and over: what the definition says, in quadratic time. */
static size_t merge_plainly(const char *const *merges, char words[][8], size_t n) {
    for (;;) {
        size_t best = SIZE_MAX, place = 0;
        for (size_t i = 0; i + 1 < n; i++) {
            char pair[20];
            snprintf(pair, sizeof pair, "%.7s %.7s", words[i], words[i + 1]);
            for (size_t m = 0; merges[m] && m < best; m++) {
                if (strcmp(pair, merges[m]) == 0) {
                    best = m;
                    place = i;
                }
            }
        }
        if (best == SIZE_MAX) return n;
        size_t length = strlen(words[place]);
        for (size_t i = 0; length + i < sizeof words[0] - 1 && words[place + 1][i]; i++)
            words[place][length + i] = words[place + 1][i];
        memmove(words[place + 1], words[place + 2], (n - place - 2) * sizeof words[0]);
        n--;
    }
}

static void random_words_agree_with_the_definition(void **state) {
    (void)state;
    static const extra_token extras[] = {
        {"ab",    1},
        {"bc",    1},
        {"ca",    1},
        {"aa",    1},
        {"abc",   1},
        {"cab",   1},
        {"bcc",   1},
        {"aaa",   1},
        {"abab",  1},
        {"abcab", 1},
        {"cabab", 1},
        {"caaa",  1},
        {NULL,    0}
    };
    static const char *const merges[] = {"c a",    "a b",    "b c",   "ca b",  "a a",
                                         "ab c",   "aa a",   "bc c",  "ab ab", "a bc",
                                         "abc ab", "c abab", "ca aa", "c aaa", NULL};
    fal_bpe *b = open_bpe(vocabulary_of(extras, merges));
    fal_random random = fal_random_seeded(7, 0);
    for (int round = 0; round < 5000; round++) {
        char text[48], words[48][8] = {{0}};
        size_t n = fal_random_u64(&random) % 40;
        for (size_t i = 0; i < n; i++)
            words[i][0] = text[i] = "abc"[fal_random_u64(&random) % 3];
        text[n] = '\0';
        size_t n_words = merge_plainly(merges, words, n), n_dropped;
        fal_tokens out = encode(b, text, n, &n_dropped);
        assert_int_equal(out.count, n_words);
        for (size_t i = 0; i < n_words; i++) {
            int32_t expected = words[i][1] ? -1 : words[i][0];
            for (int e = 0; extras[e].text; e++) {
                if (strcmp(words[i], extras[e].text) == 0) expected = 256 + e;
            }
            assert_int_equal(out.ids[i], expected);
        }
        fal_tokens_release(&out);
    }
    fal_bpe_close(b);
}

static void bytes_without_a_token_are_dropped_and_their_neighbours_meet(void **state) {
    (void)state;
    static const extra_token extras[] = {
        {"ab", 1},
        {NULL, 0}
    };
    static const char *const merges[] = {"a b", NULL};
    fal_vocabulary v = vocabulary_of(extras, merges);
    v.tokens['x'] = fal_slice_of("[no x]");
    fal_bpe *b = open_bpe(v);
    size_t n_dropped;
    fal_tokens out = encode(b, "axbxx", 5, &n_dropped);
    assert_int_equal(n_dropped, 3);
    assert_int_equal(out.count, 1);
    assert_int_equal(out.ids[0], 256);
    fal_tokens_release(&out);
    out = encode(b, "xxx", 3, &n_dropped);
    assert_int_equal(n_dropped, 3);
    assert_int_equal(out.count, 0);
    fal_tokens_release(&out);
    fal_bpe_close(b);
}

/* Words of a and b that double, up to 2^20 bytes: quadratic merging would take hours. */
static void long_words_merge_in_time(void **state) {
    (void)state;
    static const extra_token extras[] = {
        {"ab",   1},
        {"abab", 1},
        {"ba",   1},
        {NULL,   0}
    };
    static const char *const merges[] = {"a b", "ab ab", "b a", NULL};
    fal_bpe *b = open_bpe(vocabulary_of(extras, merges));
    size_t length = (size_t)1 << 20, n_dropped;
    char *text = malloc(length);
    assert_non_null(text);
    for (size_t i = 0; i < length; i++)
        text[i] = i % 2 ? 'b' : 'a';
    fal_tokens out = encode(b, text, length, &n_dropped);
    assert_int_equal(out.count, length / 4);
    for (size_t i = 0; i < out.count; i++)
        assert_int_equal(out.ids[i], 257);
    fal_tokens_release(&out);
    free(text);
    fal_bpe_close(b);
}

static void merges_never_make_control_tokens(void **state) {
    (void)state;
    static const extra_token extras[] = {
        {"ab", FAL_TOKEN_CONTROL},
        {"bc", FAL_TOKEN_UNUSED },
        {"cd", FAL_TOKEN_UNKNOWN},
        {"de", 1                },
        {NULL, 0                }
    };
    static const char *const merges[] = {"a b", "b c", "c d", "d e", NULL};
    fal_vocabulary v = vocabulary_of(extras, merges);
    v.types['z'] = FAL_TOKEN_CONTROL;
    fal_bpe *b = open_bpe(v);
    CHECK_WORD(b, "abcd", 'a', 'b', 'c', 'd');
    CHECK_WORD(b, "cde", 'c', 259);
    size_t n_dropped;
    fal_tokens out = encode(b, "z", 1, &n_dropped);
    assert_int_equal(n_dropped, 1);
    fal_tokens_release(&out);
    fal_bpe_close(b);
}

/* Files that give a token another meaning may keep the merge that made it. */
static void a_merge_without_product_is_never_applied(void **state) {
    (void)state;
    static const extra_token extras[] = {
        {"bc", 1},
        {NULL, 0}
    };
    static const char *const merges[] = {"a b", "b c", NULL};
    fal_bpe *b = open_bpe(vocabulary_of(extras, merges));
    CHECK_WORD(b, "abc", 'a', 256);
    CHECK_WORD(b, "ab", 'a', 'b');
    fal_bpe_close(b);
}

static void damaged_merges_are_refused(void **state) {
    (void)state;

    static const struct {
        const char *merge, *message;
    } cases[] = {
        {"ab",      "merge 1: 'ab' is not two tokens"   },
        {"",        "merge 1: '' is not two"            },
        {" ",       "merge 1: ' ' is not two"           },
        {"a ",      "merge 1: 'a ' is not two"          },
        {" b",      "merge 1: ' b' is not two"          },
        {"a  b",    "merge 1: 'a  b' is not two"        },
        {"a b c",   "merge 1: 'a b c' is not two"       },
        {"q\x01 b", "its left part 'q?' is not a token" },
        {"a qq",    "its right part 'qq' is not a token"},
        {"a b",     "merge 1: 'a b' is merge 0 already" },
    };

    static const extra_token extras[] = {
        {"ab", 1},
        {NULL, 0}
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const merges[] = {"a b", cases[i].merge, NULL};
        fal_vocabulary v = vocabulary_of(extras, merges);
        fal_string_map *ids = index_of(&v);
        fal_error err = {0};
        fal_bpe *b = NULL;
        CHECK_STATUS(fal_bpe_open(&b, &v, ids, &err), FAL_E_FORMAT, &err, cases[i].message);
        assert_null(b);
        fal_string_map_close(ids);
        fal_vocabulary_release(&v);
    }
}

static void short_memory_is_reported(void **state) {
    (void)state;
    static const extra_token extras[] = {
        {"ab", 1},
        {NULL, 0}
    };
    static const char *const merges[] = {"a b", NULL};
    fal_vocabulary v = vocabulary_of(extras, merges);
    fal_string_map *ids = index_of(&v);
    long live = fal_alloc_live();
    fal_status status = FAL_E_MEMORY;
    long n = 1;
    for (; status != FAL_OK; n++) {
        assert_true(n < 100);
        fal_bpe *b = NULL;
        fal_tokens out = {0};
        fal_bpe_scratch scratch = {0};
        size_t n_dropped = 0;
        fal_alloc_fail_at(n);
        status = fal_bpe_open(&b, &v, ids, NULL);
        if (status == FAL_OK)
            status = fal_bpe_encode(b, &scratch, "abx", 3, &out, &n_dropped, NULL);
        fal_alloc_fail_at(0);
        assert_true(status == FAL_OK || status == FAL_E_MEMORY);
        fal_bpe_close(b);
        fal_tokens_release(&out);
        fal_bpe_scratch_release(&scratch);
        assert_int_equal(fal_alloc_live(), live);
    }
    assert_true(n > 5);
    fal_string_map_close(ids);
    fal_vocabulary_release(&v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lowest_rank_merges_first),
        cmocka_unit_test(equal_ranks_merge_from_the_left),
        cmocka_unit_test(random_words_agree_with_the_definition),
        cmocka_unit_test(bytes_without_a_token_are_dropped_and_their_neighbours_meet),
        cmocka_unit_test(long_words_merge_in_time),
        cmocka_unit_test(merges_never_make_control_tokens),
        cmocka_unit_test(a_merge_without_product_is_never_applied),
        cmocka_unit_test(damaged_merges_are_refused),
        cmocka_unit_test(short_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
