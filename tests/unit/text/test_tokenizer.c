/* <falconer/tokenizer.h> without chat: control and added tokens, end tokens, pieces, and vocabularies that are refused. */
#include <falconer/tokenizer.h>

#include "unit/text/text_fixtures.h"

static const extra_token extras[] = {
    {"<|endoftext|>", FAL_TOKEN_CONTROL     }, /* 256 */
    {"<end_message>", FAL_TOKEN_NORMAL      }, /* 257: control by its name */
    {">>TITLE<<",     FAL_TOKEN_USER_DEFINED}, /* 258: control by its name */
    {"<x>",           FAL_TOKEN_CONTROL     }, /* 259 */
    {"<x><x>",        FAL_TOKEN_CONTROL     }, /* 260 */
    {"t\xc3\xa9l",    FAL_TOKEN_USER_DEFINED}, /* 261: literal, not mapped */
    {"t\xc3\xa9",     FAL_TOKEN_USER_DEFINED}, /* 262 */
    {"[PAD263]",      FAL_TOKEN_UNUSED      }, /* 263 */
    {"\xc4\xa0"
     "b",        FAL_TOKEN_NORMAL      }, /* 264: " b" */
    {"e<x",           FAL_TOKEN_USER_DEFINED}, /* 265 */
    {"\xe2\x82\xac",  FAL_TOKEN_NORMAL      }, /* 266: no byte has this character */
    {"<unk>",         FAL_TOKEN_UNKNOWN     }, /* 267 */
    {NULL,            0                     },
};
static const char *const merges[] = {"\xc4\xa0 b", NULL};

static fal_tokenizer *open_sample(void) {
    fal_vocabulary v = vocabulary_of(extras, merges);
    v.eos = 259;
    v.eot = 'E';
    v.bos = 256;
    return tokenizer_of(v);
}

static void control_tokens_are_recognised_only_on_request(void **state) {
    (void)state;
    fal_tokenizer *t = open_sample();
    CHECK_IDS(t, "a<x>b", FAL_SPECIALS_RECOGNISED, 'a', 259, 'b');
    CHECK_IDS(t, "a<x>b", FAL_SPECIALS_AS_TEXT, 'a', '<', 'x', '>', 'b');
    CHECK_IDS(t, "<|endoftext|>", FAL_SPECIALS_RECOGNISED, 256);
    CHECK_IDS(t, "<end_message>>>TITLE<<", FAL_SPECIALS_RECOGNISED, 257, 258);
    CHECK_IDS(t, ">>TITLE<<", FAL_SPECIALS_AS_TEXT, '>', '>', 'T', 'I', 'T', 'L', 'E', '<', '<');
    CHECK_IDS(t, "<end_message", FAL_SPECIALS_RECOGNISED, '<', 'e', 'n', 'd', '_', 'm', 'e', 's',
              's', 'a', 'g', 'e');
    CHECK_IDS(t, "[PAD263]", FAL_SPECIALS_RECOGNISED, '[', 'P', 'A', 'D', '2', '6', '3', ']');
    fal_tokenizer_close(t);
}

static void the_longest_control_token_at_the_leftmost_place_wins(void **state) {
    (void)state;
    fal_tokenizer *t = open_sample();
    CHECK_IDS(t, "<x><x><x>", FAL_SPECIALS_RECOGNISED, 260, 259);
    CHECK_IDS(t, "<<x>>", FAL_SPECIALS_RECOGNISED, '<', 259, '>');
    CHECK_IDS(t, "\xff<x>\xff", FAL_SPECIALS_RECOGNISED, 0xff, 259, 0xff);
    fal_tokenizer_close(t);
}

static void added_tokens_are_always_recognised_after_control_tokens(void **state) {
    (void)state;
    fal_tokenizer *t = open_sample();
    for (int specials = 0; specials <= 1; specials++) {
        CHECK_IDS(t, "at\xc3\xa9lb", (fal_specials)specials, 'a', 261, 'b');
        CHECK_IDS(t, "t\xc3\xa9", (fal_specials)specials, 262);
    }
    CHECK_IDS(t, "e<x>", FAL_SPECIALS_AS_TEXT, 265, '>');
    CHECK_IDS(t, "e<x>", FAL_SPECIALS_RECOGNISED, 'e', 259);
    fal_tokenizer_close(t);
}

static void ids_are_appended_and_a_failure_leaves_the_list(void **state) {
    (void)state;
    fal_tokenizer *t = open_sample();
    fal_tokens tokens = {0};
    fal_error err = {0};
    CHECK_OK(fal_tokens_append(&tokens, (const int32_t[]){7, 8}, 2, &err), &err);
    CHECK_OK(fal_tokenizer_encode(t, "a b", 3, FAL_SPECIALS_AS_TEXT, &tokens, NULL, &err), &err);
    CHECK_OK(fal_tokenizer_encode(t, "", 0, FAL_SPECIALS_AS_TEXT, &tokens, NULL, &err), &err);
    CHECK_OK(fal_tokenizer_encode(t, NULL, 0, FAL_SPECIALS_RECOGNISED, &tokens, NULL, &err), &err);
    CHECK_OK(fal_tokens_append(&tokens, NULL, 0, &err), &err);
    static const int32_t expected[] = {7, 8, 'a', 264};
    assert_int_equal(tokens.count, 4);
    assert_memory_equal(tokens.ids, expected, sizeof expected);

    char text[64];
    memset(text, 'a', sizeof text);
    fal_status status = FAL_E_MEMORY;
    long n = 1, live = fal_alloc_live();
    for (; status != FAL_OK; n++) {
        tokens.count = 4;
        fal_alloc_fail_at(n);
        status =
            fal_tokenizer_encode(t, text, sizeof text, FAL_SPECIALS_AS_TEXT, &tokens, NULL, NULL);
        fal_alloc_fail_at(0);
        assert_true(status == FAL_OK || (status == FAL_E_MEMORY && tokens.count == 4));
        assert_int_equal(fal_alloc_live(), live);
    }
    assert_true(n > 3);
    assert_int_equal(tokens.count, 68);
    fal_tokens_release(&tokens);
    assert_null(tokens.ids);
    fal_tokens_release(NULL);
    fal_tokenizer_close(t);
}

static void check_piece(const fal_tokenizer *t, int32_t id, const char *expected, size_t length) {
    size_t n = 99;
    const char *piece = fal_tokenizer_piece(t, id, &n);
    assert_non_null(piece);
    assert_int_equal(n, length);
    assert_memory_equal(piece, expected, length);
}

static void pieces_are_bytes_and_names(void **state) {
    (void)state;
    fal_tokenizer *t = open_sample();
    for (int byte = 0; byte < 256; byte++) {
        char expected = (char)byte;
        check_piece(t, byte, &expected, 1);
    }
    check_piece(t, 264, " b", 2);
    check_piece(t, 257, "<end_message>", 13);
    check_piece(t, 261, "t\xc3\xa9l", 4);
    check_piece(t, 263, "[PAD263]", 8);
    check_piece(t, 266, "\xe2\x82\xac", 3);
    size_t length = 5;
    assert_null(fal_tokenizer_piece(t, -1, &length));
    assert_int_equal(length, 0);
    assert_null(fal_tokenizer_piece(t, 268, &length));
    assert_null(fal_tokenizer_piece(t, INT32_MAX, &length));
    fal_tokenizer_close(t);
}

static void control_and_end_tokens_are_told(void **state) {
    (void)state;
    fal_tokenizer *t = open_sample();
    for (int32_t id = -2; id < 270; id++) {
        bool control = (id >= 256 && id <= 260) || id == 267;
        bool end = id == 'E' || id == 256 || id == 257 || id == 259;
        assert_int_equal(fal_tokenizer_is_control(t, id), control);
        assert_int_equal(fal_tokenizer_is_end(t, id), end);
    }
    assert_int_equal(fal_tokenizer_control_id(t, "<end_message>"), 257);
    assert_int_equal(fal_tokenizer_control_id(t, "t\xc3\xa9"), -1);
    assert_int_equal(fal_tokenizer_control_id(t, "a"), -1);
    assert_int_equal(fal_tokenizer_control_id(t, "<y>"), -1);
    assert_int_equal(fal_tokenizer_control_id(t, ""), -1);
    assert_int_equal(fal_tokenizer_n_vocab(t), 268);
    assert_int_equal(fal_tokenizer_bos(t), 256);
    assert_int_equal(fal_tokenizer_eos(t), 259);
    assert_false(fal_tokenizer_adds_bos(t));
    assert_string_equal(fal_tokenizer_pretokenizer(t), "gpt-2");
    assert_int_equal(fal_tokenizer_vocabulary(t)->types[257], FAL_TOKEN_CONTROL);
    fal_tokenizer_close(t);
    fal_tokenizer_close(NULL);
}

/* A vocabulary whose merges would spell a control token: typed text must not get there. */
static void merges_do_not_reach_control_tokens(void **state) {
    (void)state;
    static const extra_token spelled[] = {
        {"st",   1                },
        {"op",   1                },
        {"stop", FAL_TOKEN_CONTROL},
        {NULL,   0                }
    };
    static const char *const spelling[] = {"s t", "o p", "st op", NULL};
    fal_tokenizer *t = tokenizer_of(vocabulary_of(spelled, spelling));
    CHECK_IDS(t, "stop", FAL_SPECIALS_AS_TEXT, 256, 257);
    CHECK_IDS(t, "stop", FAL_SPECIALS_RECOGNISED, 258);
    fal_tokenizer_close(t);
}

static void check_refused(fal_vocabulary v, fal_status expected, const char *message) {
    fal_error err = {0};
    fal_tokenizer *t = NULL;
    CHECK_STATUS(fal_tokenizer_from_vocabulary(&t, &v, &err), expected, &err, message);
    assert_null(t);
    assert_true(v.n_tokens == 0 || v.tokens != NULL); /* still the caller's */
    fal_vocabulary_release(&v);
}

static void damaged_vocabularies_are_refused(void **state) {
    (void)state;
    fal_vocabulary v = vocabulary_of(NULL, NULL);
    v.tokens[66] = v.tokens[65];
    check_refused(v, FAL_E_FORMAT, "token 66 'A' is token 65 already");
    v = vocabulary_of(NULL, NULL);
    v.tokens[9].length = 0;
    check_refused(v, FAL_E_FORMAT, "token 9 is empty");
    v = vocabulary_of(NULL, NULL);
    v.types[3] = 7;
    check_refused(v, FAL_E_FORMAT, "token 3 has type 7");
    v = vocabulary_of(NULL, NULL);
    v.types[3] = -1;
    check_refused(v, FAL_E_FORMAT, "token 3 has type -1");
    v = vocabulary_of(NULL, NULL);
    v.n_tokens = 0;
    check_refused(v, FAL_E_FORMAT, "no tokens");
    v = vocabulary_of(NULL, NULL);
    v.eos = 256;
    check_refused(v, FAL_E_FORMAT, "eos token id 256 is not below the vocabulary's 256");
    v = vocabulary_of(NULL, NULL);
    v.bos = -2;
    check_refused(v, FAL_E_FORMAT, "bos token id -2");
    v = vocabulary_of(NULL, NULL);
    v.eot = INT32_MAX;
    check_refused(v, FAL_E_FORMAT, "eot token id 2147483647");
    v = vocabulary_of(NULL, NULL);
    v.add_bos = true;
    check_refused(v, FAL_E_FORMAT, "none is named");
    v = vocabulary_of(NULL, NULL);
    memcpy(v.pretokenizer, "llama-3", 8);
    check_refused(v, FAL_E_UNSUPPORTED, "'llama-3'");
    v = vocabulary_of(NULL, NULL);
    memset(v.pretokenizer, 'x', sizeof v.pretokenizer);
    check_refused(v, FAL_E_FORMAT, "not terminated");
    static const char *const broken[] = {"a b c", NULL};
    check_refused(vocabulary_of(NULL, broken), FAL_E_FORMAT, "merge 0: 'a b c'");
}

/* A failure inside PCRE2's JIT compiler is no failure: the rule is interpreted then. */
static void short_memory_is_reported(void **state) {
    (void)state;
    int n_failed = 0;
    for (long n = 1; n <= 60; n++) {
        long before = fal_alloc_live();
        fal_vocabulary v = vocabulary_of(extras, merges);
        fal_tokenizer *t = NULL;
        fal_alloc_fail_at(n);
        fal_status status = fal_tokenizer_from_vocabulary(&t, &v, NULL);
        fal_alloc_fail_at(0);
        assert_true(status == (t ? FAL_OK : FAL_E_MEMORY));
        n_failed += !t;
        if (t) CHECK_IDS(t, "a b", FAL_SPECIALS_AS_TEXT, 'a', 264);
        fal_tokenizer_close(t);
        fal_vocabulary_release(&v);
        assert_int_equal(fal_alloc_live(), before);
    }
    assert_in_range(n_failed, 15, 55);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_tokens_are_recognised_only_on_request),
        cmocka_unit_test(the_longest_control_token_at_the_leftmost_place_wins),
        cmocka_unit_test(added_tokens_are_always_recognised_after_control_tokens),
        cmocka_unit_test(ids_are_appended_and_a_failure_leaves_the_list),
        cmocka_unit_test(pieces_are_bytes_and_names),
        cmocka_unit_test(control_and_end_tokens_are_told),
        cmocka_unit_test(merges_do_not_reach_control_tokens),
        cmocka_unit_test(damaged_vocabularies_are_refused),
        cmocka_unit_test(short_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
