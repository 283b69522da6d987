/* The golden texts of tests/golden/text: how each rule splits them, their ids with and without control tokens, the bytes
 * that are dropped, and the way back. */
#include "formats/json_file.h"
#include "text/pretokenize.h"
#include "unit/text/text_fixtures.h"

typedef struct golden_case {
    char text[4096];
    size_t length;
    const json_t *expected;
} golden_case;

typedef struct split_check {
    const json_t *splits;
    const char *at;
    size_t n;
} split_check;

static int nibble(char c) {
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

static void read_case(golden_case *c, const json_t *expected) {
    const char *hex = json_string_value(json_object_get(expected, "text"));
    assert_non_null(hex);
    c->length = strlen(hex) / 2;
    assert_true(c->length < sizeof c->text);
    for (size_t i = 0; i < c->length; i++)
        c->text[i] = (char)(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
    c->expected = expected;
}

static fal_status check_split(void *user, const char *bytes, size_t length, fal_error *err) {
    (void)err;
    split_check *check = user;
    assert_ptr_equal(bytes, check->at);
    assert_int_equal(length, json_integer_value(json_array_get(check->splits, check->n)));
    check->at += length;
    check->n++;
    return FAL_OK;
}

static void check_splits(const fal_pretokenizer *p, const golden_case *c) {
    fal_error err = {0};
    split_check check = {json_object_get(c->expected, "splits"), c->text, 0};
    CHECK_OK(fal_pretokenize(p, c->text, c->length, check_split, &check, &err), &err);
    assert_int_equal(check.n, json_array_size(check.splits));
    assert_ptr_equal(check.at, c->text + c->length);
}

static void check_case_ids(const fal_tokenizer *t, const golden_case *c, fal_specials specials,
                           const char *key) {
    const json_t *ids = json_object_get(c->expected, key);
    fal_error err = {0};
    fal_tokens tokens = {0};
    size_t n_dropped = 99;
    CHECK_OK(fal_tokenizer_encode(t, c->text, c->length, specials, &tokens, &n_dropped, &err),
             &err);
    assert_int_equal(n_dropped, json_integer_value(json_object_get(c->expected, "dropped")));
    assert_int_equal(tokens.count, json_array_size(ids));
    for (size_t i = 0; i < tokens.count; i++)
        assert_int_equal(tokens.ids[i], json_integer_value(json_array_get(ids, i)));
    size_t length;
    char *back = decode(t, &tokens, &length);
    assert_int_equal(length, c->length - n_dropped);
    if (n_dropped == 0) assert_memory_equal(back, c->text, length);
    free(back);
    fal_tokens_release(&tokens);
}

static void check_folder(const char *name) {
    char path[1000];
    fal_error err = {0};
    json_t *cases = NULL;
    snprintf(path, sizeof path, FAL_SOURCE_DIR "/tests/golden/text/%s/cases.json", name);
    CHECK_OK(fal_json_read_file(&cases, path, &err), &err);
    assert_true(json_array_size(cases) > 200);
    snprintf(path, sizeof path, FAL_SOURCE_DIR "/tests/golden/text/%s", name);
    fal_tokenizer *t = tokenizer_in(path);
    assert_string_equal(fal_tokenizer_pretokenizer(t), name);
    fal_pretokenizer *p = NULL;
    CHECK_OK(fal_pretokenizer_open(&p, name, &err), &err);
    size_t i;
    const json_t *expected;
    json_array_foreach(cases, i, expected) {
        golden_case c;
        read_case(&c, expected);
        check_splits(p, &c);
        check_case_ids(t, &c, FAL_SPECIALS_RECOGNISED, "ids");
        check_case_ids(t, &c, FAL_SPECIALS_AS_TEXT, "ids_plain");
    }
    fal_pretokenizer_close(p);
    fal_tokenizer_close(t);
    json_decref(cases);
}

static void falcon(void **state) {
    (void)state;
    check_folder("falcon");
}

static void starcoder(void **state) {
    (void)state;
    check_folder("starcoder");
}

static void gpt_2(void **state) {
    (void)state;
    check_folder("gpt-2");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(falcon),
        cmocka_unit_test(starcoder),
        cmocka_unit_test(gpt_2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
