/* formats/tokenizer_json.h and json_file.h: the ways to write a tokenizer, special tokens, templates; kinds that are
 * refused; damage at every place. */
#include "base/file.h"
#include "base/string_builder.h"
#include "formats/json_file.h"
#include "formats/tokenizer_json.h"
#include "unit/text/text_fixtures.h"

/* A tokenizer.json whose parts a test replaces; NULL: as it should be, "": left out. */
typedef struct parts {
    const char *vocab, *merges, *added, *pre, *normalizer, *post,
        *model; /* model: more keys of it, with a comma behind */
    const char *config, *special_tokens, *chat_template;
    int64_t n_vocab;
} parts;

#define BYTE_LEVEL "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}"

static void add_part(fal_string_builder *b, const char *key, const char *text, const char *usual) {
    if (!text) text = usual;
    if (*text) fal_string_append_format(b, ",\"%s\":%s", key, text);
}

static fal_slice slice(const char *text) {
    return text ? fal_slice_of(text) : (fal_slice){NULL, 0};
}

static fal_status parse(fal_vocabulary *v, const parts *p, fal_error *err) {
    fal_string_builder b = {0};
    fal_string_append_text(&b, "{\"version\":\"1.0\"");
    add_part(&b, "normalizer", p->normalizer, "null");
    add_part(&b, "pre_tokenizer", p->pre, BYTE_LEVEL);
    add_part(&b, "post_processor", p->post, "null");
    add_part(&b, "added_tokens", p->added, "[{\"id\":3,\"content\":\"<e>\",\"special\":true}]");
    fal_string_append_format(&b, ",\"model\":{%s\"type\":\"BPE\"", p->model ? p->model : "");
    add_part(&b, "vocab", p->vocab, "{\"a\":0,\"b\":1,\"ab\":2}");
    add_part(&b, "merges", p->merges, "[\"a b\"]");
    fal_string_append_text(&b, "}}");
    assert_false(b.failed);
    fal_tokenizer_json_texts texts = {
        {b.text, b.length},
        slice(p->config), slice(p->special_tokens), slice(p->chat_template)
    };
    fal_status status = fal_tokenizer_json_parse(v, &texts, p->n_vocab, err);
    fal_string_release(&b);
    return status;
}

static fal_vocabulary parsed(parts p) {
    fal_error err = {0};
    fal_vocabulary v = {0};
    CHECK_OK(parse(&v, &p, &err), &err);
    return v;
}

static void check_refused(parts p, fal_status expected, const char *message) {
    fal_error err = {0};
    fal_vocabulary v = {0};
    CHECK_STATUS(parse(&v, &p, &err), expected, &err, message);
    assert_null(v.tokens);
}

static void the_usual_file(void **state) {
    (void)state;
    fal_vocabulary v = parsed((parts){0});
    assert_int_equal(v.n_tokens, 4);
    assert_true(fal_slice_equals(v.tokens[0], "a") && fal_slice_equals(v.tokens[2], "ab")
                && fal_slice_equals(v.tokens[3], "<e>"));
    assert_int_equal(v.types[2], FAL_TOKEN_NORMAL);
    assert_int_equal(v.types[3], FAL_TOKEN_CONTROL);
    assert_int_equal(v.n_merges, 1);
    assert_true(fal_slice_equals(v.merges[0], "a b"));
    assert_string_equal(v.pretokenizer, "gpt-2");
    assert_true(v.bos == -1 && v.eos == -1 && v.eot == -1 && v.unknown == -1 && v.padding == -1);
    assert_false(v.add_bos);
    assert_null(v.chat_template);
    fal_vocabulary_release(&v);
}

static void merges_may_be_pairs(void **state) {
    (void)state;
    fal_vocabulary v = parsed((parts){.merges = "[[\"a\",\"b\"]]"});
    assert_true(fal_slice_equals(v.merges[0], "a b"));
    fal_vocabulary_release(&v);
}

static void missing_ids_are_filled(void **state) {
    (void)state;
    fal_vocabulary v = parsed((parts){.n_vocab = 6, .vocab = "{\"a\":0,\"b\":5,\"ab\":2}"});
    assert_int_equal(v.n_tokens, 6);
    assert_true(fal_slice_equals(v.tokens[1], "[PAD1]") && fal_slice_equals(v.tokens[4], "[PAD4]"));
    assert_int_equal(v.types[1], FAL_TOKEN_UNUSED);
    assert_int_equal(v.types[5], FAL_TOKEN_NORMAL);
    fal_vocabulary_release(&v);
}

static void pretokenizers_are_known_by_structure(void **state) {
    (void)state;
    static const char digits[] = "{\"type\":\"Digits\",\"individual_digits\":true}";
    static const char *const cases[][2] = {
        {"{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Punctuation\",\"behavior\":\"Contiguous\"}," BYTE_LEVEL
         ",{\"type\":\"Digits\",\"individual_digits\":false},{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[0-9][0-9][0-9]\"},"
         "\"behavior\":\"Isolated\",\"invert\":false}]}",                    "falcon"   },
        {"{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\",\"individual_digits\":true}," BYTE_LEVEL
         "]}",                                                               "starcoder"},
        {"{\"type\":\"Sequence\",\"pretokenizers\":[" BYTE_LEVEL "]}",                "gpt-2"    },
        {"{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true}", "gpt-2"    },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fal_vocabulary v = parsed((parts){.pre = cases[i][0]});
        assert_string_equal(v.pretokenizer, cases[i][1]);
        fal_vocabulary_release(&v);
    }
    check_refused((parts){.pre = digits}, FAL_E_UNSUPPORTED, "pre_tokenizer 'Digits individual'");
    check_refused((parts){.pre = "{\"type\":\"ByteLevel\"}"}, FAL_E_UNSUPPORTED,
                  "'ByteLevel add_prefix_space'");
    check_refused(
        (parts){.pre = "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}"},
        FAL_E_UNSUPPORTED, "'ByteLevel no regex'");
    check_refused(
        (parts){
            .pre =
                "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"x\\ny\"},"
                "\"behavior\":\"Isolated\",\"invert\":true}]}"},
        FAL_E_UNSUPPORTED, "'Split Isolated /x?y/ invert'");
    check_refused(
        (parts){.pre = "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\"}," BYTE_LEVEL
                       "]}"},
        FAL_E_UNSUPPORTED, "'Digits, ByteLevel'");
    check_refused((parts){.pre = ""}, FAL_E_UNSUPPORTED, "'(no type)'");
    check_refused((parts){.pre = "null"}, FAL_E_UNSUPPORTED, "'(no type)'");
    check_refused((parts){.pre = "{\"type\":\"Sequence\"}"}, FAL_E_UNSUPPORTED, "pre_tokenizer ''");
}

static void other_kinds_are_refused(void **state) {
    (void)state;
    check_refused((parts){.normalizer = "{\"type\":\"NFC\"}"}, FAL_E_UNSUPPORTED,
                  "normalizer 'NFC'");
    check_refused((parts){.model = "\"byte_fallback\":true,"}, FAL_E_UNSUPPORTED,
                  "model.byte_fallback");
    check_refused((parts){.model = "\"ignore_merges\":true,"}, FAL_E_UNSUPPORTED,
                  "model.ignore_merges");
    check_refused((parts){.model = "\"dropout\":0.1,"}, FAL_E_UNSUPPORTED, "model.dropout");
    check_refused((parts){.model = "\"continuing_subword_prefix\":\"##\","}, FAL_E_UNSUPPORTED,
                  "model.continuing_subword_prefix");
    check_refused((parts){.model = "\"end_of_word_suffix\":\"</w>\","}, FAL_E_UNSUPPORTED,
                  "model.end_of_word_suffix");
    check_refused((parts){.model = "\"unk_token\":\"a\","}, FAL_E_UNSUPPORTED,
                  "without a token such as 0x00");
    check_refused((parts){.post = "{\"type\":\"RobertaProcessing\"}"}, FAL_E_UNSUPPORTED,
                  "post_processor 'RobertaProcessing'");
    check_refused((parts){.added = "[{\"id\":3,\"content\":\"<e>\",\"lstrip\":true}]"},
                  FAL_E_UNSUPPORTED, "added token '<e>': lstrip");
    fal_vocabulary v = parsed((parts){
        .model =
            "\"dropout\":null,\"unk_token\":\"\",\"continuing_subword_prefix\":\"\",\"fuse_unk\":false,",
        .post = "{\"type\":\"ByteLevel\",\"trim_offsets\":false}"});
    fal_vocabulary_release(&v);
    fal_error err = {0};
    fal_tokenizer_json_texts texts = {
        .tokenizer = fal_slice_of("{\"model\":{\"type\":\"Unigram\",\"vocab\":[]}}")};
    CHECK_STATUS(fal_tokenizer_json_parse(&v, &texts, 0, &err), FAL_E_UNSUPPORTED, &err,
                 "model.type is 'Unigram'");
}

static void a_template_may_put_bos_in_front(void **state) {
    (void)state;
    static const char config[] = "{\"bos_token\":\"<e>\"}";
    fal_vocabulary v = parsed((parts){
        .config = config,
        .post =
            "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<e>\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\"}}]}"});
    assert_true(v.add_bos);
    assert_int_equal(v.bos, 3);
    fal_vocabulary_release(&v);
    v = parsed((parts){
        .post = "{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"A\"}}]}"});
    assert_false(v.add_bos);
    fal_vocabulary_release(&v);
    check_refused(
        (parts){
            .config = config,
            .post =
                "{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"A\"}},{\"SpecialToken\":{\"id\":\"<e>\"}}]}"},
        FAL_E_UNSUPPORTED, "'TemplateProcessing'");
    check_refused(
        (parts){
            .post =
                "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<e>\"}},{\"Sequence\":{\"id\":\"A\"}}]}"},
        FAL_E_UNSUPPORTED, "'TemplateProcessing'");
}

/* Alfred's chat tokens took over the last ids of Falcon's vocabulary. */
static void added_tokens_replace_and_take_their_merges_along(void **state) {
    (void)state;
    fal_vocabulary v =
        parsed((parts){.vocab = "{\"a\":0,\"b\":1,\"ab\":2,\"aba\":3,\"abab\":4,\"bb\":5}",
                       .merges = "[\"a b\",\"ab a\",\"aba b\",[\"b\",\"b\"]]",
                       .added = "[{\"id\":3,\"content\":\"<u>\",\"special\":true}]"});
    assert_int_equal(v.n_tokens, 6);
    assert_true(fal_slice_equals(v.tokens[3], "<u>"));
    assert_int_equal(v.types[3], FAL_TOKEN_CONTROL);
    assert_int_equal(v.n_merges, 2);
    assert_true(fal_slice_equals(v.merges[0], "a b") && fal_slice_equals(v.merges[1], "b b"));
    fal_tokenizer *t = tokenizer_of(v);
    CHECK_IDS(t, "ababb", FAL_SPECIALS_AS_TEXT, 2, 2, 1);
    fal_tokenizer_close(t);
}

static void added_tokens_extend_and_mark(void **state) {
    (void)state;
    fal_vocabulary v = parsed((parts){
        .added =
            "[{\"id\":2,\"content\":\"ab\",\"special\":false},{\"id\":4,\"content\":\"<x>\",\"special\":true}]",
        .config =
            "{\"added_tokens_decoder\":{\"4\":{\"content\":\"<x>\",\"special\":true},\"3\":{\"content\":\"<y>\"}}}"});
    assert_int_equal(v.n_tokens, 5);
    assert_int_equal(v.types[2], FAL_TOKEN_USER_DEFINED);
    assert_int_equal(v.types[3], FAL_TOKEN_USER_DEFINED);
    assert_int_equal(v.types[4], FAL_TOKEN_CONTROL);
    assert_true(fal_slice_equals(v.tokens[3], "<y>"));
    assert_int_equal(v.n_merges, 1);
    fal_vocabulary_release(&v);
}

static void special_tokens_are_strings_or_objects(void **state) {
    (void)state;
    fal_vocabulary v = parsed((parts){
        .config =
            "{\"eos_token\":{\"content\":\"<e>\",\"lstrip\":false},\"bos_token\":\"ab\",\"pad_token\":null,"
            "\"model_max_length\":1000000000000000019884624838656}",
        .special_tokens =
            "{\"eos_token\":\"a\",\"unk_token\":\"b\",\"additional_special_tokens\":[\"a\",{\"content\":\"b\"},\"zz\"]}"});
    assert_int_equal(v.eos, 3);
    assert_int_equal(v.bos, 2);
    assert_int_equal(v.unknown, 1);
    assert_int_equal(v.padding, -1);
    for (int id = 0; id < 4; id++)
        assert_int_equal(v.types[id], FAL_TOKEN_CONTROL);
    fal_vocabulary_release(&v);
    v = parsed((parts){.special_tokens = "{\"eos_token\":\"<e>\"}"});
    assert_int_equal(v.eos, 3);
    fal_vocabulary_release(&v);
    check_refused((parts){.config = "{\"eos_token\":\"<f>\"}"}, FAL_E_FORMAT,
                  "eos_token '<f>' is not in the vocabulary");
    check_refused((parts){.config = "{\"bos_token\":7}"}, FAL_E_FORMAT, "bos_token is neither");
    check_refused((parts){.config = "[]"}, FAL_E_FORMAT, "'tokenizer_config.json': not an object");
}

static void chat_templates_are_text_lists_or_files(void **state) {
    (void)state;
    static const char list[] =
        "{\"chat_template\":[{\"name\":\"tools\",\"template\":\"T\"},{\"name\":\"default\",\"template\":\"D\"}]}";

    static const struct {
        const char *config, *file, *expected;
    } cases[] = {
        {"{\"chat_template\":\"C\"}", NULL,  "C"  },
        {list,                        NULL,  "D"  },
        {"{\"chat_template\":\"C\"}", "F\n", "F\n"},
        {NULL,                        "F",   "F"  },
        {"{\"chat_template\":[]}",    NULL,  NULL },
        {"{\"chat_template\":null}",  NULL,  NULL }
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fal_vocabulary v =
            parsed((parts){.config = cases[i].config, .chat_template = cases[i].file});
        if (cases[i].expected)
            assert_string_equal(v.chat_template, cases[i].expected);
        else
            assert_null(v.chat_template);
        fal_vocabulary_release(&v);
    }
}

static void hostile_values_are_refused(void **state) {
    (void)state;
    check_refused((parts){.vocab = ""}, FAL_E_FORMAT, "model.vocab is not an object");
    check_refused((parts){.vocab = "[]"}, FAL_E_FORMAT, "model.vocab is not an object");
    check_refused((parts){.vocab = "{\"a\":\"0\"}"}, FAL_E_FORMAT,
                  "token 'a': its id is not an integer");
    check_refused((parts){.vocab = "{\"a\":0.0}"}, FAL_E_FORMAT,
                  "token 'a': its id is not an integer");
    check_refused((parts){.vocab = "{\"a\":-1}"}, FAL_E_FORMAT, "token 'a': id -1 is not below");
    check_refused((parts){.vocab = "{\"a\":4294967296}"}, FAL_E_FORMAT,
                  "token 'a': id 4294967296 is not below 2");
    check_refused((parts){.vocab = "{\"a\":9,\"b\":1}", .n_vocab = 9}, FAL_E_FORMAT,
                  "token 'a': id 9 is not below 9");
    check_refused((parts){.vocab = "{\"a\":0,\"b\":0}"}, FAL_E_FORMAT,
                  "tokens 'a' and 'b' have the same id 0");
    check_refused((parts){.vocab = "{\"a\":0,\"a\":1}"}, FAL_E_FORMAT, "duplicate object key");
    check_refused((parts){.vocab = "{\"\":0}"}, FAL_E_FORMAT, "token 0 is empty");
    check_refused((parts){.merges = ""}, FAL_E_FORMAT, "model.merges is not an array");
    check_refused((parts){.merges = "{}"}, FAL_E_FORMAT, "model.merges is not an array");
    check_refused((parts){.merges = "[\"a b\",7]"}, FAL_E_FORMAT, "merge 1 is neither");
    check_refused((parts){.merges = "[[\"a\"]]"}, FAL_E_FORMAT, "merge 0 is neither");
    check_refused((parts){.merges = "[[\"a\",1]]"}, FAL_E_FORMAT, "merge 0 is neither");
    check_refused((parts){.added = "{}"}, FAL_E_FORMAT, "added_tokens is not an array");
    check_refused((parts){.added = "[1]"}, FAL_E_FORMAT, "an added token has no content");
    check_refused((parts){.added = "[{\"id\":3}]"}, FAL_E_FORMAT, "an added token has no content");
    check_refused((parts){.added = "[{\"content\":\"x\"}]"}, FAL_E_FORMAT,
                  "token 'x': its id is not an integer");
    check_refused((parts){.added = "[{\"id\":1,\"content\":\"a\"}]"}, FAL_E_FORMAT,
                  "added token 'a' has id 1, but id 0 elsewhere");
    check_refused((parts){.added = "[{\"id\":3,\"content\":\"x\"},{\"id\":3,\"content\":\"y\"}]"},
                  FAL_E_FORMAT, "added tokens 'x' and 'y' have the same id 3");
    check_refused((parts){.added = "[{\"id\":1,\"content\":\"x\"},{\"id\":3,\"content\":\"b\"}]"},
                  FAL_E_FORMAT, "added token 'b' has id 3, but id 1");
    check_refused((parts){.config = "{\"added_tokens_decoder\":{\"x\":{\"content\":\"q\"}}}"},
                  FAL_E_FORMAT, "'x' is not an id");
    check_refused(
        (parts){.config = "{\"added_tokens_decoder\":{\"12345678901\":{\"content\":\"q\"}}}"},
        FAL_E_FORMAT, "'12345678901' is not an id");
    check_refused((parts){.n_vocab = -1}, FAL_E_ARGUMENT, "-1 rows");
    check_refused((parts){.n_vocab = (int64_t)1 << 31}, FAL_E_ARGUMENT, "2147483648 rows");
    /* Merges that fit no token are found when a tokenizer is made of the vocabulary. */
    fal_vocabulary v = parsed((parts){.merges = "[\"a c\"]"});
    fal_tokenizer *t = NULL;
    fal_error err = {0};
    CHECK_STATUS(fal_tokenizer_from_vocabulary(&t, &v, &err), FAL_E_FORMAT, &err,
                 "merge 0: its right part 'c'");
    fal_vocabulary_release(&v);
}

static void damaged_json_is_refused_by_line(void **state) {
    (void)state;

    static const struct {
        const char *text, *message;
    } cases[] = {
        {"",                                 "line 1"                    },
        {"{",                                "line 1"                    },
        {"[]",                               "not an object"             },
        {"{}",                               "there is no model"         },
        {"{\"model\":7}",                    "there is no model"         },
        {"{\n\n\"model\":}",                 "line 3"                    },
        {"{\"model\":{\"type\":7}}",         "model.type is not a string"},
        {"{\"a\":\"\xff\"}",                 "line 1"                    },
        {"{\"a\":\"\\u0000\"}",              "line 1"                    },
        {"{} x",                             "line 1"                    },
        {"{\"a\":1e999}",                    "line 1"                    },
        {"{\"a\":12345678901234567890123,}", "line 1"                    },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fal_error err = {0};
        fal_vocabulary v = {0};
        fal_tokenizer_json_texts texts = {.tokenizer = fal_slice_of(cases[i].text)};
        CHECK_STATUS(fal_tokenizer_json_parse(&v, &texts, 0, &err), FAL_E_FORMAT, &err,
                     cases[i].message);
    }
    char deep[5001];
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    fal_error err = {0};
    fal_vocabulary v = {0};
    fal_tokenizer_json_texts texts = {.tokenizer = fal_slice_of(deep)};
    CHECK_STATUS(fal_tokenizer_json_parse(&v, &texts, 0, &err), FAL_E_FORMAT, &err, "depth");
}

/* Each prefix of a good file, and each file with one byte changed, is read or refused; nothing else happens. */
static void no_damage_does_more_than_fail(void **state) {
    (void)state;
    size_t length;
    char *text = NULL;
    CHECK_OK(fal_file_read(&text, &length,
                           FAL_SOURCE_DIR "/tests/fuzz/corpus/tokenizer_json/falcon.json", 1 << 20,
                           NULL),
             NULL);
    int n_read = 0;
    for (size_t i = 0; i < 2 * length; i++) {
        bool prefix = i < length;
        char *copy = malloc(length);
        assert_non_null(copy);
        memcpy(copy, text, length);
        if (!prefix) copy[i - length] = (char)(copy[i - length] ^ (1 << i % 7));
        fal_error err = {0};
        fal_vocabulary v = {0};
        fal_tokenizer *t = NULL;
        fal_tokenizer_json_texts texts = {
            .tokenizer = {copy, prefix ? i : length}
        };
        fal_status status = fal_tokenizer_json_parse(&v, &texts, 0, &err);
        if (status == FAL_OK) status = fal_tokenizer_from_vocabulary(&t, &v, &err);
        assert_true(status == FAL_OK || (err.message[0] && !strchr(err.message, '\n')));
        n_read += status == FAL_OK;
        fal_tokenizer_close(t);
        fal_vocabulary_release(&v);
        free(copy);
    }
    assert_true(n_read > 0);
    fal_free(text);
}

static void folders_are_read_and_named(void **state) {
    (void)state;
    fal_error err = {0};
    fal_vocabulary v = {0};
    CHECK_STATUS(fal_tokenizer_json_read(&v, FAL_SOURCE_DIR "/tests", 0, &err), FAL_E_NOT_FOUND,
                 &err, "tests/tokenizer.json");
    CHECK_OK(fal_tokenizer_json_read(&v, FAL_SOURCE_DIR "/tests/golden/text/starcoder", 1000, &err),
             &err);
    assert_int_equal(v.n_tokens, 1000);
    assert_int_equal(v.types[999], FAL_TOKEN_UNUSED);
    fal_vocabulary_release(&v);
    CHECK_STATUS(
        fal_tokenizer_json_read(&v, FAL_SOURCE_DIR "/tests/golden/text/starcoder", 10, &err),
        FAL_E_FORMAT, &err, "starcoder': tokenizer.json: token");
}

static void long_integers_are_read_as_real_numbers(void **state) {
    (void)state;
    static const char text[] =
        "{\"a\":1000000000000000019884624838656,\"b\":[-99999999999999999999,7],\"c\":\"12345678901234567890\",\"d\":0.12345678901234567890123,"
        "\"e\":\"\\\"99999999999999999999\"}";
    fal_error err = {0};
    json_t *value = NULL;
    CHECK_OK(fal_json_parse(&value, fal_slice_of(text), "x", &err), &err);
    CHECK_NEAR(json_real_value(json_object_get(value, "a")), 1e30, 1e16);
    CHECK_NEAR(json_real_value(json_array_get(json_object_get(value, "b"), 0)), -1e20, 1e5);
    assert_true(json_is_integer(json_array_get(json_object_get(value, "b"), 1)));
    assert_string_equal(json_string_value(json_object_get(value, "c")), "12345678901234567890");
    assert_string_equal(json_string_value(json_object_get(value, "e")), "\"99999999999999999999");
    CHECK_NEAR(json_real_value(json_object_get(value, "d")), 0.1234567890123456789, 1e-15);
    json_decref(value);
    CHECK_STATUS(fal_json_read_file(&value, FAL_SOURCE_DIR "/no such file", &err), FAL_E_NOT_FOUND,
                 &err, "no such file");
    assert_null(value);
}

static void short_memory_is_reported(void **state) {
    (void)state;
    long live = fal_alloc_live(), n = 1;
    for (fal_status status = FAL_E_MEMORY; status != FAL_OK; n++) {
        assert_true(n < 200);
        fal_vocabulary v = {0};
        fal_alloc_fail_at(n);
        status = fal_tokenizer_json_read(&v, FAL_SOURCE_DIR "/tests/golden/models/falcon-40b-like",
                                         0, NULL);
        fal_alloc_fail_at(0);
        assert_true(status == FAL_OK || status == FAL_E_MEMORY);
        fal_vocabulary_release(&v);
        assert_int_equal(fal_alloc_live(), live);
    }
    assert_true(n > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_usual_file),
        cmocka_unit_test(merges_may_be_pairs),
        cmocka_unit_test(missing_ids_are_filled),
        cmocka_unit_test(pretokenizers_are_known_by_structure),
        cmocka_unit_test(other_kinds_are_refused),
        cmocka_unit_test(a_template_may_put_bos_in_front),
        cmocka_unit_test(added_tokens_replace_and_take_their_merges_along),
        cmocka_unit_test(added_tokens_extend_and_mark),
        cmocka_unit_test(special_tokens_are_strings_or_objects),
        cmocka_unit_test(chat_templates_are_text_lists_or_files),
        cmocka_unit_test(hostile_values_are_refused),
        cmocka_unit_test(damaged_json_is_refused_by_line),
        cmocka_unit_test(no_damage_does_more_than_fail),
        cmocka_unit_test(folders_are_read_and_named),
        cmocka_unit_test(long_integers_are_read_as_real_numbers),
        cmocka_unit_test(short_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
