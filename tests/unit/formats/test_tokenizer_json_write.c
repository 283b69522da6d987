/* formats/tokenizer_json_write.h: what was written reads back as the same vocabulary; the form that Hugging Face's
 * libraries expect; what cannot be written is refused. */
#include "formats/json_file.h"
#include "formats/tokenizer_json_write.h"
#include "unit/formats/temp_folder.h"
#include "unit/text/text_fixtures.h"

static bool same_slice(fal_slice a, fal_slice b) {
    return a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

static void check_same(const fal_vocabulary *a, const fal_vocabulary *b) {
    assert_int_equal(a->n_tokens, b->n_tokens);
    for (size_t i = 0; i < a->n_tokens; i++) {
        assert_true(same_slice(a->tokens[i], b->tokens[i]));
        assert_int_equal(a->types[i], b->types[i]);
    }
    assert_int_equal(a->n_merges, b->n_merges);
    for (size_t i = 0; i < a->n_merges; i++)
        assert_true(same_slice(a->merges[i], b->merges[i]));
    assert_string_equal(a->pretokenizer, b->pretokenizer);
    assert_true(a->bos == b->bos && a->eos == b->eos && a->unknown == b->unknown
                && a->padding == b->padding && a->add_bos == b->add_bos);
    assert_int_equal(!a->chat_template, !b->chat_template);
    if (a->chat_template) assert_string_equal(a->chat_template, b->chat_template);
}

/* Writes v and reads it back. */
static fal_vocabulary written(const fal_vocabulary *v, temp_folder *t, int64_t n_vocab) {
    fal_error err = {0};
    fal_vocabulary back = {0};
    CHECK_OK(fal_tokenizer_json_write(v, t->path, 2048, &err), &err);
    CHECK_OK(fal_tokenizer_json_read(&back, t->path, n_vocab, &err), &err);
    return back;
}

static void check_round_trip(const fal_vocabulary *v) {
    temp_folder t = temp_folder_make();
    fal_vocabulary back = written(v, &t, (int64_t)v->n_tokens);
    check_same(v, &back);
    fal_vocabulary_release(&back);
    temp_remove(&t);
}

static void folders_come_back_the_same(void **state) {
    (void)state;
    static const char *const folders[] = {FAL_SOURCE_DIR "/tests/golden/text/falcon",
                                          FAL_SOURCE_DIR "/tests/golden/text/starcoder",
                                          FAL_SOURCE_DIR "/tests/golden/models/falcon-40b-like"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        fal_error err = {0};
        fal_vocabulary v = {0};
        CHECK_OK(fal_tokenizer_json_read(&v, folders[i], 0, &err), &err);
        check_round_trip(&v);
        fal_vocabulary_release(&v);
    }
}

static const extra_token extras[] = {
    {"ab",       FAL_TOKEN_NORMAL      },
    {"<e>",      FAL_TOKEN_CONTROL     },
    {"name",     FAL_TOKEN_USER_DEFINED},
    {"[PAD259]", FAL_TOKEN_UNUSED      },
    {"abc",      FAL_TOKEN_NORMAL      },
    {"<b>",      FAL_TOKEN_CONTROL     },
    {NULL,       0                     }
};

static void every_kind_of_token_comes_back(void **state) {
    (void)state;
    fal_vocabulary v = vocabulary_of(extras, (const char *const[]){"a b", "ab c", NULL});
    v.eos = 257;
    v.bos = 261;
    v.add_bos = true;
    v.chat_template = fal_copy_string("{{ x }}\n", 8);
    check_round_trip(&v);
    v.add_bos = false;
    v.bos = -1;
    v.padding = 261;
    memcpy(v.pretokenizer, "falcon", 7);
    check_round_trip(&v);
    fal_vocabulary_release(&v);
}

/* Alfred's files keep merges whose results became control tokens; Hugging Face's reader would refuse them. */
static void merges_that_no_text_can_use_are_left_out(void **state) {
    (void)state;
    static const extra_token gone[] = {
        {"ab",       FAL_TOKEN_NORMAL },
        {"<e>",      FAL_TOKEN_CONTROL},
        {"[PAD258]", FAL_TOKEN_UNUSED },
        {NULL,       0                }
    };
    fal_vocabulary v =
        vocabulary_of(gone, (const char *const[]){"b c", "a b", "[PAD258] a", "< e>", NULL});
    temp_folder t = temp_folder_make();
    fal_vocabulary back = written(&v, &t, 0);
    assert_int_equal(back.n_tokens, 258);
    assert_int_equal(back.n_merges, 1);
    assert_true(fal_slice_equals(back.merges[0], "a b"));
    fal_vocabulary_release(&back);
    fal_vocabulary_release(&v);
    temp_remove(&t);
}

/* A name for an end that is an ordinary word would be cut out of what people write. */
static void words_are_not_made_special(void **state) {
    (void)state;
    fal_vocabulary v = vocabulary_of(extras, (const char *const[]){"a b", NULL});
    v.eos = 256;
    temp_folder t = temp_folder_make();
    fal_vocabulary back = written(&v, &t, 0);
    assert_int_equal(back.eos, -1);
    assert_int_equal(back.types[256], FAL_TOKEN_NORMAL);
    fal_vocabulary_release(&back);
    fal_vocabulary_release(&v);
    temp_remove(&t);
}

static json_t *read_value(temp_folder *t, const char *name) {
    fal_error err = {0};
    json_t *value = NULL;
    CHECK_OK(fal_json_read_file(&value, temp_path(t, name), &err), &err);
    return value;
}

static void check_text(const json_t *object, const char *key, const char *expected) {
    const char *text = json_string_value(json_object_get(object, key));
    assert_non_null(text);
    assert_string_equal(text, expected);
}

static void the_form_is_hugging_faces(void **state) {
    (void)state;
    fal_vocabulary v = vocabulary_of(extras, (const char *const[]){"a b", "ab c", NULL});
    v.eos = 257;
    v.bos = 261;
    v.add_bos = true;
    temp_folder t = temp_folder_make();
    CHECK_OK(fal_tokenizer_json_write(&v, t.path, 2048, NULL), NULL);
    json_t *tokenizer = read_value(&t, "tokenizer.json");
    check_text(tokenizer, "version", "1.0");
    check_text(json_object_get(tokenizer, "decoder"), "type", "ByteLevel");
    const json_t *model = json_object_get(tokenizer, "model");
    check_text(model, "type", "BPE");
    /* Hugging Face gives an added token the id that its text has in the vocabulary. */
    assert_int_equal(json_object_size(json_object_get(model, "vocab")), 261);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(model, "vocab"), "<b>")),
                     261);
    assert_int_equal(json_array_size(json_object_get(tokenizer, "added_tokens")), 3);
    const json_t *single = json_object_get(json_object_get(tokenizer, "post_processor"), "single");
    assert_int_equal(json_array_size(single), 2);
    check_text(json_object_get(json_array_get(single, 0), "SpecialToken"), "id", "<b>");
    json_decref(tokenizer);

    json_t *config = read_value(&t, "tokenizer_config.json");
    check_text(config, "tokenizer_class", "PreTrainedTokenizerFast");
    check_text(config, "bos_token", "<b>");
    check_text(config, "eos_token", "<e>");
    assert_null(json_object_get(config, "pad_token"));
    assert_int_equal(json_integer_value(json_object_get(config, "model_max_length")), 2048);
    json_decref(config);
    json_t *specials = read_value(&t, "special_tokens_map.json");
    check_text(specials, "eos_token", "<e>");
    assert_int_equal(json_array_size(json_object_get(specials, "additional_special_tokens")), 0);
    json_decref(specials);
    fal_vocabulary_release(&v);
    temp_remove(&t);
}

static void check_refused(const extra_token *tokens, const char *const *merges, const char *pre,
                          fal_status expected, const char *message) {
    fal_vocabulary v = vocabulary_of(tokens, merges);
    memcpy(v.pretokenizer, pre, strlen(pre) + 1);
    temp_folder t = temp_folder_make();
    fal_error err = {0};
    CHECK_STATUS(fal_tokenizer_json_write(&v, t.path, 0, &err), expected, &err, message);
    assert_int_equal(temp_count(&t), 0);
    fal_vocabulary_release(&v);
    temp_remove(&t);
}

static void what_has_no_form_is_refused(void **state) {
    (void)state;
    static const extra_token twice[] = {
        {"a",  FAL_TOKEN_NORMAL},
        {NULL, 0               }
    };
    static const extra_token bytes[] = {
        {"\xff", FAL_TOKEN_NORMAL},
        {NULL,   0               }
    };
    static const extra_token empty[] = {
        {"",   FAL_TOKEN_NORMAL},
        {NULL, 0               }
    };
    check_refused(twice, NULL, "falcon", FAL_E_FORMAT, "token 256 'a' is token 97 already");
    check_refused(bytes, NULL, "falcon", FAL_E_FORMAT, "token 256 '?' cannot be written as JSON");
    check_refused(empty, NULL, "falcon", FAL_E_FORMAT, "token 256 is empty");
    check_refused(NULL, (const char *const[]){"ab", NULL}, "falcon", FAL_E_FORMAT,
                  "merge 0 'ab' has no space");
    check_refused(NULL, NULL, "llama-3", FAL_E_UNSUPPORTED, "pretokenizer 'llama-3' has no form");
    fal_vocabulary v = vocabulary_of(NULL, NULL);
    fal_error err = {0};
    CHECK_STATUS(fal_tokenizer_json_write(&v, "/no such folder", 0, &err), FAL_E_NOT_FOUND, &err,
                 "/no such folder/tokenizer.json");
    fal_vocabulary_release(&v);
}

static void short_memory_is_reported(void **state) {
    (void)state;
    fal_vocabulary v = vocabulary_of(extras, (const char *const[]){"a b", NULL});
    temp_folder t = temp_folder_make();
    long live = fal_alloc_live(), n = 1;
    for (fal_status status = FAL_E_MEMORY; status != FAL_OK; n++) {
        assert_true(n < 200);
        fal_alloc_fail_at(n);
        status = fal_tokenizer_json_write(&v, t.path, 0, NULL);
        fal_alloc_fail_at(0);
        assert_true(status == FAL_OK || status == FAL_E_MEMORY);
        assert_int_equal(fal_alloc_live(), live);
    }
    assert_true(n > 5);
    fal_vocabulary_release(&v);
    temp_remove(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders_come_back_the_same),
        cmocka_unit_test(every_kind_of_token_comes_back),
        cmocka_unit_test(merges_that_no_text_can_use_are_left_out),
        cmocka_unit_test(words_are_not_made_special),
        cmocka_unit_test(the_form_is_hugging_faces),
        cmocka_unit_test(what_has_no_form_is_refused),
        cmocka_unit_test(short_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
