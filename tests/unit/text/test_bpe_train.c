/* text/bpe_train.h: the vocabularies of an independent trainer; the same for any number of threads and any way of handing
 * text over; every text can be written in the result; limits and bad input. */
#include "base/random.h"
#include "formats/json_file.h"
#include "formats/tokenizer_json_write.h"
#include "text/bpe_train.h"
#include "unit/formats/temp_folder.h"
#include "unit/text/text_fixtures.h"

static bool same_slice(fal_slice a, fal_slice b) {
    return a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

static void check_same(const fal_vocabulary *a, const fal_vocabulary *b) {
    assert_int_equal(a->n_tokens, b->n_tokens);
    assert_int_equal(a->n_merges, b->n_merges);
    for (size_t i = 0; i < a->n_tokens; i++)
        assert_true(same_slice(a->tokens[i], b->tokens[i]) && a->types[i] == b->types[i]);
    for (size_t i = 0; i < a->n_merges; i++)
        assert_true(same_slice(a->merges[i], b->merges[i]));
}

static fal_bpe_trainer *trainer(fal_bpe_training how) {
    fal_error err = {0};
    fal_bpe_trainer *t = NULL;
    CHECK_OK(fal_bpe_trainer_open(&t, &how, &err), &err);
    return t;
}

static fal_vocabulary finished(fal_bpe_trainer *t, fal_bpe_train_report *report) {
    fal_error err = {0};
    fal_vocabulary v = {0};
    CHECK_OK(fal_bpe_trainer_finish(t, NULL, NULL, &v, report, &err), &err);
    fal_bpe_trainer_close(t);
    return v;
}

static void add(fal_bpe_trainer *t, const char *text, size_t length) {
    fal_error err = {0};
    CHECK_OK(fal_bpe_trainer_add(t, text, length, &err), &err);
}

static size_t count_of(const json_t *object, const char *key) {
    return (size_t)json_integer_value(json_object_get(object, key));
}

static void check_texts(const json_t *expected, const fal_slice *texts, size_t n) {
    assert_int_equal(n, json_array_size(expected));
    for (size_t i = 0; i < n; i++) {
        const char *text = json_string_value(json_array_get(expected, i));
        if (!fal_slice_equals(texts[i], text))
            fail_msg("number %zu is '%.*s', expected '%s'", i, (int)texts[i].length, texts[i].data,
                     text);
    }
}

static void an_independent_trainer_agrees(void **state) {
    (void)state;
    json_t *cases = NULL;
    CHECK_OK(fal_json_read_file(&cases, FAL_SOURCE_DIR "/tests/golden/text/trained.json", NULL),
             NULL);
    assert_true(json_array_size(cases) >= 3);
    const json_t *c, *text;
    size_t k, i;
    json_array_foreach(cases, k, c) {
        const char *controls[4];
        size_t n_controls = json_array_size(json_object_get(c, "controls"));
        assert_true(n_controls <= 4);
        for (i = 0; i < n_controls; i++)
            controls[i] = json_string_value(json_array_get(json_object_get(c, "controls"), i));
        const char *name = json_string_value(json_object_get(c, "pretokenizer"));
        fal_bpe_trainer *t = trainer((fal_bpe_training){.pretokenizer = name,
                                                        .controls = controls,
                                                        .n_controls = n_controls,
                                                        .n_tokens = count_of(c, "n_tokens"),
                                                        .min_count = count_of(c, "min_count"),
                                                        .n_threads = 2});
        json_array_foreach(json_object_get(c, "texts"), i, text)
            add(t, json_string_value(text), json_string_length(text));
        fal_vocabulary v = finished(t, NULL);
        check_texts(json_object_get(c, "tokens"), v.tokens, v.n_tokens);
        check_texts(json_object_get(c, "merges"), v.merges, v.n_merges);
        assert_string_equal(v.pretokenizer, name);
        assert_int_equal(v.types[0], FAL_TOKEN_CONTROL);
        assert_int_equal(v.types[n_controls], FAL_TOKEN_NORMAL);
        fal_vocabulary_release(&v);
    }
    json_decref(cases);
}

/* Lines of made-up words, so many that they fill several parts and a batch. */
static char *long_text(size_t length) {
    static const char *const syllables[] = {"fal", "con", "ba", "lu", " ",
                                            " ",   "\n",  ". ", "12", "é"};
    fal_random random = fal_random_seeded(7, 0);
    char *text = malloc(length + 8);
    assert_non_null(text);
    size_t n = 0;
    while (n < length) {
        const char *syllable = syllables[fal_random_u64(&random) % 10];
        size_t bytes = strlen(syllable);
        memcpy(text + n, syllable, bytes);
        n += bytes;
    }
    memset(text + length, 'x', 8);
    return text;
}

static fal_vocabulary trained(const char *text, size_t length, size_t piece, int n_threads,
                              size_t max_words, fal_bpe_train_report *report) {
    fal_bpe_trainer *t = trainer(
        (fal_bpe_training){.n_tokens = 400, .n_threads = n_threads, .max_words = max_words});
    for (size_t i = 0; i < length; i += piece)
        add(t, text + i, length - i < piece ? length - i : piece);
    return finished(t, report);
}

static void threads_change_nothing(void **state) {
    (void)state;
    size_t length = (size_t)2 << 20;
    char *text = long_text(length);
    for (size_t max_words = 0; max_words <= 500; max_words += 500) {
        fal_bpe_train_report report, other;
        fal_vocabulary v = trained(text, length, length, 1, max_words, &report);
        assert_int_equal(report.n_bytes, length);
        assert_int_equal(report.n_forgotten > 0, max_words > 0);
        assert_true(max_words == 0 || report.n_distinct <= max_words);
        for (int n_threads = 2; n_threads <= 3; n_threads++) {
            fal_vocabulary w = trained(text, length, length, n_threads, max_words, &other);
            check_same(&v, &w);
            assert_memory_equal(&report, &other, sizeof report);
            fal_vocabulary_release(&w);
        }
        fal_vocabulary_release(&v);
    }
    free(text);
}

/* A long text is cut where no word is: as if it had been given line by line. */
static void parts_cut_no_word(void **state) {
    (void)state;
    size_t length = (size_t)2 << 20, n_lines = 0;
    char *text = long_text(length);
    fal_bpe_train_report whole, lines;
    fal_vocabulary v = trained(text, length, length, 2, 0, &whole);
    fal_bpe_trainer *t = trainer((fal_bpe_training){.n_tokens = 400});
    for (size_t begin = 0; begin < length; n_lines++) {
        size_t end = begin + 1;
        /* A line that begins or ends with white space shares a word with its neighbour. */
        while (end < length
               && !(end > begin + 1 && text[end - 1] == '\n' && text[end - 2] > ' '
                    && text[end] > ' ' && text[end] < 0x7f))
            end++;
        add(t, text + begin, end - begin);
        begin = end;
    }
    fal_vocabulary w = finished(t, &lines);
    assert_true(n_lines > 1000);
    assert_int_equal(whole.n_words, lines.n_words);
    check_same(&v, &w);
    fal_vocabulary_release(&v);
    fal_vocabulary_release(&w);
    free(text);
}

/* Through the files of Hugging Face's form, any bytes come back from their ids. */
static void every_text_can_be_written(void **state) {
    (void)state;
    static const char *const controls[] = {"<|endoftext|>", "<end_message>"};
    size_t length = 1 << 18;
    char *text = long_text(length);
    fal_bpe_trainer *trains = trainer(
        (fal_bpe_training){.controls = controls, .n_controls = 2, .n_tokens = 600, .min_count = 3});
    add(trains, text, length);
    fal_vocabulary v = finished(trains, NULL);
    v.eos = 1;
    temp_folder folder = temp_folder_make();
    fal_error err = {0};
    CHECK_OK(fal_tokenizer_json_write(&v, folder.path, 2048, &err), &err);
    fal_tokenizer *t = tokenizer_in(folder.path);
    check_same(&v, fal_tokenizer_vocabulary(t));
    fal_random random = fal_random_seeded(11, 0);
    for (int n = 0; n < 2000; n++) {
        char bytes[64];
        size_t n_bytes = fal_random_u64(&random) % sizeof bytes;
        uint64_t kind = fal_random_u64(&random) % 3;
        for (size_t i = 0; i < n_bytes; i++) {
            char any = (char)fal_random_u64(&random);
            bytes[i] = kind == 0 ? any : kind == 1 ? (char)(any & 0x7f) : text[(size_t)n * 64 + i];
        }
        fal_tokens tokens = {0};
        size_t n_dropped = 0, n_back;
        CHECK_OK(fal_tokenizer_encode(t, bytes, n_bytes, FAL_SPECIALS_AS_TEXT, &tokens, &n_dropped,
                                      &err),
                 &err);
        assert_int_equal(n_dropped, 0);
        char *back = decode(t, &tokens, &n_back);
        assert_int_equal(n_back, n_bytes);
        assert_memory_equal(back, bytes, n_bytes);
        free(back);
        fal_tokens_release(&tokens);
    }
    fal_tokenizer_close(t);
    fal_vocabulary_release(&v);
    temp_remove(&folder);
    free(text);
}

static void no_text_gives_the_bytes(void **state) {
    (void)state;
    fal_vocabulary v = finished(trainer((fal_bpe_training){.n_tokens = 1000}), NULL);
    assert_int_equal(v.n_tokens, 256);
    assert_int_equal(v.n_merges, 0);
    fal_vocabulary_release(&v);
    fal_bpe_trainer *t = trainer((fal_bpe_training){.n_tokens = 1000});
    add(t, "", 0);
    add(t, "ab", 2); /* once is too rare */
    v = finished(t, NULL);
    assert_int_equal(v.n_tokens, 256);
    fal_vocabulary_release(&v);
}

/* A word in text that is spelled like a control token stays apart from it. */
static void no_merge_makes_a_control_token(void **state) {
    (void)state;
    static const char *const controls[] = {"stop"};
    fal_bpe_trainer *t = trainer(
        (fal_bpe_training){.controls = controls, .n_controls = 1, .n_tokens = 270, .min_count = 1});
    add(t, "stop\nstop\nstopping", 18);
    fal_vocabulary v = finished(t, NULL);
    int n = 0;
    for (size_t i = 0; i < v.n_tokens; i++)
        n += fal_slice_equals(v.tokens[i], "stop");
    assert_int_equal(n, 1);
    fal_tokenizer *made = tokenizer_of(v);
    fal_tokenizer_close(made);
}

static void very_long_words_are_cut(void **state) {
    (void)state;
    char *text = malloc(1 << 20);
    assert_non_null(text);
    memset(text, 'w', 1 << 20);
    fal_bpe_trainer *t = trainer((fal_bpe_training){.n_tokens = 300});
    add(t, text, 1 << 20);
    fal_bpe_train_report report;
    fal_vocabulary v = finished(t, &report);
    assert_int_equal(report.n_distinct, 1);
    assert_int_equal(report.n_tokens, (1 << 20) / 256);
    assert_int_equal(v.n_merges, 8); /* to 256 letters */
    fal_vocabulary_release(&v);
    free(text);
}

static void check_refused(fal_bpe_training how, fal_status expected, const char *message) {
    fal_error err = {0};
    fal_bpe_trainer *t = NULL;
    CHECK_STATUS(fal_bpe_trainer_open(&t, &how, &err), expected, &err, message);
    assert_null(t);
}

static void bad_settings_are_refused(void **state) {
    (void)state;
    static const char *const twice[] = {"<e>", "<e>"};
    static const char *const bad[] = {"\xff\xff", "", "a"};
    check_refused((fal_bpe_training){.n_tokens = 255}, FAL_E_ARGUMENT,
                  "a vocabulary of 255 tokens, 256 (256 bytes and 0 control tokens) to 2147483647");
    check_refused((fal_bpe_training){.n_tokens = 257, .controls = twice, .n_controls = 2},
                  FAL_E_ARGUMENT, "a vocabulary of 257 tokens, 258");
    check_refused((fal_bpe_training){.n_tokens = (size_t)1 << 31}, FAL_E_ARGUMENT,
                  "a vocabulary of 2147483648 tokens");
    check_refused((fal_bpe_training){.n_tokens = 300, .controls = twice, .n_controls = 2},
                  FAL_E_ARGUMENT, "control token '<e>' is given twice");
    for (size_t i = 0; i < 3; i++)
        check_refused((fal_bpe_training){.n_tokens = 300, .controls = bad + i, .n_controls = 1},
                      FAL_E_ARGUMENT, "two characters or more");
    check_refused((fal_bpe_training){.n_tokens = 300, .pretokenizer = "falkon"}, FAL_E_UNSUPPORTED,
                  "pretokenizer 'falkon' is not known");
}

static bool stop_at(void *user, size_t n_tokens, size_t n_wanted) {
    (void)n_wanted;
    return n_tokens < *(size_t *)user;
}

static void it_can_be_cancelled(void **state) {
    (void)state;
    char *text = long_text(100000);
    fal_bpe_trainer *t = trainer((fal_bpe_training){.n_tokens = 5000, .min_count = 1});
    add(t, text, 100000);
    fal_error err = {0};
    fal_vocabulary v = {0};
    size_t limit = 400;
    CHECK_STATUS(fal_bpe_trainer_finish(t, stop_at, &limit, &v, NULL, &err), FAL_E_CANCELLED, &err,
                 "cancelled after 256 merges");
    assert_null(v.tokens);
    fal_bpe_trainer_close(t);
    free(text);
}

static fal_status train_once(fal_vocabulary *v) {
    fal_bpe_trainer *t = NULL;
    const fal_bpe_training how = {.n_tokens = 280, .n_threads = 1};
    fal_status status = fal_bpe_trainer_open(&t, &how, NULL);
    if (status == FAL_OK) status = fal_bpe_trainer_add(t, "the other the mother\nthe", 24, NULL);
    if (status == FAL_OK) status = fal_bpe_trainer_finish(t, NULL, NULL, v, NULL, NULL);
    fal_bpe_trainer_close(t);
    return status;
}

/* Of the first allocations each fails once; some, as of PCRE2's compiler for the processor, can be done without. */
static void short_memory_is_reported(void **state) {
    (void)state;
    long live = fal_alloc_live();
    int n_failed = 0;
    for (long n = 1; n < 400; n++) {
        fal_vocabulary v = {0};
        fal_alloc_fail_at(n);
        fal_status status = train_once(&v);
        fal_alloc_fail_at(0);
        assert_true(status == FAL_OK || status == FAL_E_MEMORY);
        n_failed += status == FAL_E_MEMORY;
        fal_vocabulary_release(&v);
        assert_int_equal(fal_alloc_live(), live);
    }
    assert_true(n_failed > 250);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_independent_trainer_agrees),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(parts_cut_no_word),
        cmocka_unit_test(every_text_can_be_written),
        cmocka_unit_test(no_text_gives_the_bytes),
        cmocka_unit_test(no_merge_makes_a_control_token),
        cmocka_unit_test(very_long_words_are_cut),
        cmocka_unit_test(bad_settings_are_refused),
        cmocka_unit_test(it_can_be_cancelled),
        cmocka_unit_test(short_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
