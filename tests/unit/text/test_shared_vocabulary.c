/* Falcon's real vocabulary and the cases of the shared fixtures, where they lie beside the project. Skipped by name where
 * they do not. */
#include "base/file.h"
#include "formats/json_file.h"
#include "unit/text/text_fixtures.h"

#define SHARED FAL_SOURCE_DIR "/../shared"

static fal_tokenizer *open_real(void) {
    fal_error err = {0};
    fal_gguf *f = NULL;
    fal_tokenizer *t = NULL;
    static const char path[] = SHARED "/falcon-vocab/ggml-vocab-falcon.gguf";
    if (!fal_file_exists(path)) {
        print_message("skipped: %s is not there\n", path);
        skip();
    }
    CHECK_OK(fal_gguf_open(&f, path, &err), &err);
    CHECK_OK(fal_tokenizer_open(&t, f, &err), &err);
    fal_gguf_close(f);
    return t;
}

static char *read_text(const char *path) {
    fal_error err = {0};
    char *text = NULL;
    size_t length;
    CHECK_OK(fal_file_read(&text, &length, path, 1 << 20, &err), &err);
    return text;
}

/* Compares ids with one line of numbers, and moves *line on. */
static void check_line(const fal_tokens *tokens, const char **line) {
    for (size_t i = 0; i < tokens->count; i++) {
        char *end;
        assert_int_equal(tokens->ids[i], strtol(*line, &end, 10));
        assert_ptr_not_equal(end, *line);
        *line = end;
    }
    *line += strspn(*line, " ");
    assert_true(**line == '\n' || **line == '\0');
    *line += **line == '\n';
}

static void the_vectors_of_the_real_vocabulary(void **state) {
    (void)state;
    fal_tokenizer *t = open_real();
    char *texts = read_text(SHARED "/falcon-vocab/ggml-vocab-falcon.gguf.inp");
    char *ids = read_text(SHARED "/falcon-vocab/ggml-vocab-falcon.gguf.out");
    static const char separator[] = "\n__ggml_vocab_test__\n";
    const char *line = ids;
    int n_texts = 0;
    for (const char *text = texts; *text; n_texts++) {
        const char *end = strstr(text, separator);
        size_t length = end ? (size_t)(end - text) : strlen(text);
        fal_tokens tokens = {0};
        CHECK_OK(fal_tokenizer_encode(t, text, length, FAL_SPECIALS_AS_TEXT, &tokens, NULL, NULL),
                 NULL);
        check_line(&tokens, &line);
        fal_tokens_release(&tokens);
        text += length + (end ? sizeof separator - 1 : 0);
    }
    assert_true(n_texts >= 40);
    fal_free(texts);
    fal_free(ids);
    fal_tokenizer_close(t);
}

static void what_the_real_vocabulary_holds(void **state) {
    (void)state;
    fal_tokenizer *t = open_real();
    assert_int_equal(fal_tokenizer_n_vocab(t), 65024);
    assert_string_equal(fal_tokenizer_pretokenizer(t), "falcon");
    assert_int_equal(fal_tokenizer_eos(t), 11);
    assert_int_equal(fal_tokenizer_control_id(t, ">>TITLE<<"), 0);
    assert_true(fal_tokenizer_is_end(t, 11) && !fal_tokenizer_is_end(t, 12));
    int n_control = 0, n_dropped_bytes = 0;
    for (int32_t id = 0; id < 65024; id++)
        n_control += fal_tokenizer_is_control(t, id);
    assert_int_equal(n_control, 12);
    for (int byte = 0; byte < 256; byte++) {
        char text = (char)byte;
        size_t n_dropped = 0;
        fal_tokens tokens = {0};
        CHECK_OK(fal_tokenizer_encode(t, &text, 1, FAL_SPECIALS_AS_TEXT, &tokens, &n_dropped, NULL),
                 NULL);
        assert_int_equal(tokens.count + n_dropped, 1);
        n_dropped_bytes += (int)n_dropped;
        fal_tokens_release(&tokens);
    }
    assert_int_equal(n_dropped_bytes, 28);
    fal_tokenizer_close(t);
}

/* Every ordinary token's own text is made of tokens that give it back. */
static void pieces_of_the_real_vocabulary_survive_the_round_trip(void **state) {
    (void)state;
    fal_tokenizer *t = open_real();
    for (int32_t id = 12; id < 65024; id++) {
        size_t n, length, n_dropped;
        const char *piece = fal_tokenizer_piece(t, id, &n);
        fal_tokens tokens = {0};
        CHECK_OK(fal_tokenizer_encode(t, piece, n, FAL_SPECIALS_AS_TEXT, &tokens, &n_dropped, NULL),
                 NULL);
        assert_int_equal(n_dropped, 0);
        char *back = decode(t, &tokens, &length);
        assert_int_equal(length, n);
        assert_memory_equal(back, piece, n);
        free(back);
        fal_tokens_release(&tokens);
    }
    fal_tokenizer_close(t);
}

static void check_fixture_case(const fal_tokenizer *t, const json_t *c, const char *key,
                               fal_specials specials) {
    const json_t *text = json_object_get(c, "text"), *ids = json_object_get(c, key);
    fal_tokens tokens = {0};
    CHECK_OK(fal_tokenizer_encode(t, json_string_value(text), json_string_length(text), specials,
                                  &tokens, NULL, NULL),
             NULL);
    assert_int_equal(tokens.count, json_array_size(ids));
    for (size_t i = 0; i < tokens.count; i++)
        assert_int_equal(tokens.ids[i], json_integer_value(json_array_get(ids, i)));
    fal_tokens_release(&tokens);
}

static void the_cases_of_the_fixtures(void **state) {
    (void)state;
    static const char path[] = SHARED "/fixtures/tokenizer.json.cases.json";
    if (!fal_file_exists(path)) {
        print_message("skipped: %s is not there\n", path);
        skip();
    }
    fal_error err = {0};
    json_t *cases = NULL;
    CHECK_OK(fal_json_read_file(&cases, path, &err), &err);
    fal_tokenizer *t = tokenizer_in(SHARED "/fixtures/falcon-7b-like");
    size_t i;
    const json_t *c;
    json_array_foreach(cases, i, c) {
        check_fixture_case(t, c, "ids", FAL_SPECIALS_RECOGNISED);
        check_fixture_case(t, c, "ids_plain", FAL_SPECIALS_AS_TEXT);
    }
    assert_true(i >= 20);
    fal_tokenizer_close(t);
    json_decref(cases);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_the_real_vocabulary),
        cmocka_unit_test(what_the_real_vocabulary_holds),
        cmocka_unit_test(pieces_of_the_real_vocabulary_survive_the_round_trip),
        cmocka_unit_test(the_cases_of_the_fixtures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
