/* text/vocabulary.h: what is read from a GGUF file's metadata, and files that are refused by key. */
#include "text/vocabulary.h"
#include "unit/formats/gguf_bytes.h"
#include "unit/text/text_fixtures.h"

/* A file of three tokens, with one thing different. */
typedef struct sample {
    const char *model, *pre, *architecture; /* NULL: the key is missing */
    int n_types;                            /* -1: no types */
    int64_t eos;                            /* of type u32; -1: missing */
    fal_gguf_value_type token_type;         /* of the elements of tokenizer.ggml.tokens */
    bool no_merges, no_tokens, scalar_tokens;
    const char *chat_template;
} sample;

static const sample good = {.model = "gpt2",
                            .pre = "falcon",
                            .architecture = "falcon",
                            .n_types = 3,
                            .eos = 2,
                            .token_type = FAL_GGUF_STRING};

static void put_sample(gguf_bytes *g, const sample *s) {
    uint64_t n = 1 + (s->model != NULL) + (s->pre != NULL) + (s->architecture != NULL)
                 + (s->n_types >= 0) + (s->eos >= 0) + !s->no_merges + !s->no_tokens
                 + (s->chat_template != NULL);
    put_header(g, 3, 0, n);
    const char *const keys[] = {"tokenizer.ggml.model", "tokenizer.ggml.pre",
                                "general.architecture", "tokenizer.chat_template"};
    const char *const values[] = {s->model, s->pre, s->architecture, s->chat_template};
    for (int i = 0; i < 4; i++) {
        if (!values[i]) continue;
        put_key(g, keys[i], FAL_GGUF_STRING);
        put_text(g, values[i]);
    }
    if (s->scalar_tokens) {
        put_key(g, "tokenizer.ggml.tokens", FAL_GGUF_STRING);
        put_text(g, "a");
    } else if (!s->no_tokens) {
        put_array(g, "tokenizer.ggml.tokens", s->token_type, 3);
        for (int i = 0; i < 3; i++) {
            if (s->token_type == FAL_GGUF_STRING)
                put_text(g, i == 2 ? "ab" : i ? "b" : "a");
            else
                put(g, 1, 4);
        }
    }
    if (!s->no_merges) {
        put_array(g, "tokenizer.ggml.merges", FAL_GGUF_STRING, 1);
        put_text(g, "a b");
    }
    if (s->n_types >= 0) {
        put_array(g, "tokenizer.ggml.token_type", FAL_GGUF_I32, (uint64_t)s->n_types);
        for (int i = 0; i < s->n_types; i++)
            put(g, i == 2 ? 3 : 1, 4);
    }
    if (s->eos >= 0) {
        put_key(g, "tokenizer.ggml.eos_token_id", FAL_GGUF_U32);
        put(g, (uint64_t)s->eos, 4);
    }
    put_key(g, "tokenizer.ggml.add_bos_token", FAL_GGUF_BOOL);
    put(g, 0, 1);
}

static fal_status read_sample(fal_vocabulary *v, const sample *s, fal_error *err) {
    gguf_bytes g = {0};
    fal_gguf *f = NULL;
    put_sample(&g, s);
    CHECK_OK(open_all(&f, &g, err), err);
    fal_status status = fal_vocabulary_from_gguf(v, f, err);
    fal_gguf_close(f);
    release_bytes(&g);
    return status;
}

static void everything_is_copied(void **state) {
    (void)state;
    sample s = good;
    s.chat_template = "{{ x }}";
    fal_error err = {0};
    fal_vocabulary v = {0};
    CHECK_OK(read_sample(&v, &s, &err), &err); /* the file is closed already */
    assert_int_equal(v.n_tokens, 3);
    assert_int_equal(v.n_merges, 1);
    assert_true(fal_slice_equals(v.tokens[0], "a") && fal_slice_equals(v.tokens[1], "b")
                && fal_slice_equals(v.tokens[2], "ab"));
    assert_true(fal_slice_equals(v.merges[0], "a b"));
    assert_int_equal(v.types[0], FAL_TOKEN_NORMAL);
    assert_int_equal(v.types[2], FAL_TOKEN_CONTROL);
    assert_int_equal(v.eos, 2);
    assert_true(v.bos == -1 && v.eot == -1 && v.unknown == -1 && v.padding == -1);
    assert_false(v.add_bos);
    assert_string_equal(v.pretokenizer, "falcon");
    assert_string_equal(v.chat_template, "{{ x }}");
    fal_vocabulary_release(&v);
    fal_vocabulary_release(&v);
    fal_vocabulary_release(NULL);
}

static void types_and_eos_may_be_missing(void **state) {
    (void)state;
    sample s = good;
    s.n_types = -1;
    s.eos = -1;
    fal_vocabulary v = {0};
    CHECK_OK(read_sample(&v, &s, NULL), NULL);
    assert_int_equal(v.types[2], FAL_TOKEN_NORMAL);
    assert_int_equal(v.eos, -1);
    assert_null(v.chat_template);
    fal_vocabulary_release(&v);
    s.eos = UINT32_MAX;
    CHECK_OK(read_sample(&v, &s, NULL), NULL);
    assert_int_equal(v.eos, -1);
    fal_vocabulary_release(&v);
}

static void the_rule_comes_from_the_file_or_its_architecture(void **state) {
    (void)state;
    static const char *const cases[][3] = {
        {"falcon",  "llama",     "falcon"   },
        {"refact",  "llama",     "starcoder"},
        {"gpt-2",   "falcon",    "gpt-2"    },
        {NULL,      "falcon",    "falcon"   },
        {NULL,      "starcoder", "starcoder"},
        {NULL,      "gpt2",      "gpt-2"    },
        {"default", "falcon",    "falcon"   },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sample s = good;
        s.pre = cases[i][0];
        s.architecture = cases[i][1];
        fal_vocabulary v = {0};
        CHECK_OK(read_sample(&v, &s, NULL), NULL);
        assert_string_equal(v.pretokenizer, cases[i][2]);
        fal_vocabulary_release(&v);
    }
}

static void check_refused(sample s, fal_status expected, const char *message) {
    fal_error err = {0};
    fal_vocabulary v = {0};
    CHECK_STATUS(read_sample(&v, &s, &err), expected, &err, message);
    assert_null(v.tokens);
}

static void other_kinds_and_damage_are_refused_by_key(void **state) {
    (void)state;
    sample s = good;
    s.model = "llama";
    check_refused(s, FAL_E_UNSUPPORTED, "tokenizer.ggml.model is 'llama'");
    s.model = NULL;
    check_refused(s, FAL_E_FORMAT, "'tokenizer.ggml.model' is missing");
    s = good;
    s.pre = "llama-bpe";
    check_refused(s, FAL_E_UNSUPPORTED, "tokenizer.ggml.pre is 'llama-bpe'");
    s.pre = "command-r"; /* it normalizes, whatever its rule */
    check_refused(s, FAL_E_UNSUPPORTED, "'command-r'");
    s.pre = NULL;
    s.architecture = "llama";
    check_refused(s, FAL_E_UNSUPPORTED, "architecture 'llama'");
    s.architecture = NULL;
    check_refused(s, FAL_E_UNSUPPORTED, "tokenizer.ggml.pre is missing");
    s = good;
    s.n_types = 2;
    check_refused(s, FAL_E_FORMAT, "'tokenizer.ggml.token_type': 2 elements for 3 tokens");
    s = good;
    s.eos = 3;
    check_refused(s, FAL_E_FORMAT,
                  "'tokenizer.ggml.eos_token_id': id 3 is not below the vocabulary's 3");
    s = good;
    s.token_type = FAL_GGUF_U32;
    check_refused(s, FAL_E_FORMAT, "'tokenizer.ggml.tokens': element 0 is not a string");
    s = good;
    s.no_tokens = true;
    check_refused(s, FAL_E_FORMAT, "'tokenizer.ggml.tokens' is missing");
    s = good;
    s.scalar_tokens = true;
    check_refused(s, FAL_E_FORMAT, "'tokenizer.ggml.tokens' is not an array");
    s = good;
    s.no_merges = true;
    check_refused(s, FAL_E_FORMAT, "'tokenizer.ggml.merges' is missing");
}

static void short_memory_is_reported(void **state) {
    (void)state;
    gguf_bytes g = {0};
    fal_gguf *f = NULL;
    sample s = good;
    s.chat_template = "x";
    put_sample(&g, &s);
    CHECK_OK(open_all(&f, &g, NULL), NULL);
    long live = fal_alloc_live(), n = 1;
    for (fal_status status = FAL_E_MEMORY; status != FAL_OK; n++) {
        assert_true(n < 100);
        fal_vocabulary v = {0};
        fal_alloc_fail_at(n);
        status = fal_vocabulary_from_gguf(&v, f, NULL);
        fal_alloc_fail_at(0);
        assert_true(status == FAL_OK || status == FAL_E_MEMORY);
        fal_vocabulary_release(&v);
        assert_int_equal(fal_alloc_live(), live);
    }
    assert_int_equal(n, 7); /* tokens, merges, text, types, template, and the one that succeeds */
    fal_gguf_close(f);
    release_bytes(&g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_copied),
        cmocka_unit_test(types_and_eos_may_be_missing),
        cmocka_unit_test(the_rule_comes_from_the_file_or_its_architecture),
        cmocka_unit_test(other_kinds_and_damage_are_refused_by_key),
        cmocka_unit_test(short_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
