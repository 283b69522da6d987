/* The loop of fal_generate on a tiny model: why it ends, what it hands out, and what the timeline holds afterwards. */
#include <falconer/generate.h>

#include "check.h"
#include "convert/convert.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    N_PROMPT = 4,
    N_CONTEXT = 24
};

static const int32_t prompt[N_PROMPT] = {300, 301, 302, 303};
static char model_path[256];
static fal_model *model;

static int set_up(void **state) {
    (void)state;
    fal_error err = {0};
    const char *folder = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    snprintf(model_path, sizeof model_path, "%s/falconer-generate-%ld.gguf", folder,
             (long)getpid());
    CHECK_OK(fal_convert_folder(FAL_SOURCE_DIR "/tests/golden/models/falcon-7b-like", model_path,
                                NULL, &err),
             &err);
    CHECK_OK(fal_model_open(&model, model_path, NULL, &err), &err);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    fal_model_close(model);
    return unlink(model_path);
}

typedef struct recording {
    char text[4096];
    size_t length;
    int32_t ids[64];
    int n_ids, cancel_at;
    double log_probability;
} recording;

static bool record(void *user, const fal_piece *piece) {
    recording *r = user;
    if (piece->length) memcpy(r->text + r->length, piece->text, piece->length);
    r->length += piece->length;
    r->text[r->length] = '\0';
    if (piece->token >= 0) r->ids[r->n_ids++] = piece->token;
    r->log_probability += piece->log_probability;
    return r->cancel_at == 0 || r->n_ids < r->cancel_at;
}

static fal_session *open_session(void) {
    fal_session *s;
    fal_error err = {0};
    const fal_session_options options = {.n_context = N_CONTEXT};
    CHECK_OK(fal_session_open(&s, model, &options, &err), &err);
    CHECK_OK(fal_session_feed(s, prompt, N_PROMPT, NULL, &err), &err);
    return s;
}

static fal_generate_result generate(const fal_generate_options *how, recording *r, size_t *count) {
    fal_session *s = open_session();
    fal_generate_result result;
    fal_error err = {0};
    CHECK_OK(fal_generate(s, how, record, r, &result, &err), &err);
    if (count) *count = fal_session_count(s);
    fal_session_close(s);
    return result;
}

static fal_generate_options drawing(uint64_t seed, int n) {
    return (fal_generate_options){
        .sampling = {.temperature = 1, .seed = seed},
          .max_new_tokens = n, .ignore_end = true
    };
}

static void test_length_and_context(void **state) {
    (void)state;
    recording r = {0};
    size_t count;
    fal_generate_options how = drawing(1, 5);
    fal_generate_result result = generate(&how, &r, &count);
    assert_int_equal(result.finish, FAL_FINISH_LENGTH);
    assert_int_equal(result.n_tokens, 5);
    assert_int_equal(r.n_ids, 5);
    assert_int_equal(count, N_PROMPT + 5);
    how.max_new_tokens = 0;
    recording full = {0};
    result = generate(&how, &full, &count);
    assert_int_equal(result.finish, FAL_FINISH_CONTEXT);
    assert_int_equal(count, N_CONTEXT);
    assert_int_equal(full.n_ids, N_CONTEXT - N_PROMPT + 1); /* the last one needs no room */
    assert_memory_equal(full.ids, r.ids, 5 * sizeof r.ids[0]);
    /* Exactly as many as there are: the wish is met. */
    how.max_new_tokens = N_CONTEXT - N_PROMPT + 1;
    recording exact = {0};
    assert_int_equal(generate(&how, &exact, NULL).finish, FAL_FINISH_LENGTH);
}

static void test_seeds_and_streams(void **state) {
    (void)state;
    recording a = {0}, b = {0}, c = {0};
    fal_generate_options how = drawing(7, 12);
    generate(&how, &a, NULL);
    generate(&how, &b, NULL);
    how.stream = 1;
    generate(&how, &c, NULL);
    assert_memory_equal(a.ids, b.ids, sizeof a.ids);
    assert_memory_not_equal(a.ids, c.ids, sizeof a.ids);
}

static void test_end_token(void **state) {
    (void)state;
    const fal_tokenizer *t = fal_model_tokenizer(model);
    bool has_ended = false;
    for (uint64_t seed = 0; seed < 400 && !has_ended; seed++) {
        recording r = {0};
        size_t count;
        fal_generate_options how = drawing(seed, 12);
        how.ignore_end = false;
        how.sampling.temperature = 3;
        fal_generate_result result = generate(&how, &r, &count);
        for (int i = 0; i < r.n_ids - 1; i++)
            assert_false(fal_tokenizer_is_end(t, r.ids[i]));
        has_ended = result.finish == FAL_FINISH_END;
        assert_int_equal(has_ended, fal_tokenizer_is_end(t, r.ids[r.n_ids - 1]));
        if (!has_ended) continue;
        assert_int_equal(count,
                         N_PROMPT + (size_t)r.n_ids - 1); /* the end token is not in the timeline */
        assert_null(strstr(r.text, "<|endoftext|>"));
    }
    assert_true(has_ended);
}

/* The text up to a word that occurs in what is generated without it; the same tokens are drawn. */
static void test_stop_word(void **state) {
    (void)state;
    recording whole = {0}, cut = {0};
    fal_generate_options how = drawing(11, 16);
    generate(&how, &whole, NULL);
    char word[4] = {0};
    size_t at = 0;
    for (size_t i = whole.length / 2; i + 3 < whole.length && !at; i++) {
        bool is_ascii = true;
        for (size_t k = 0; k < 3; k++)
            is_ascii &= whole.text[i + k] > ' ' && whole.text[i + k] < 127;
        if (is_ascii)
            memcpy(word, whole.text + i, 3), at = (size_t)(strstr(whole.text, word) - whole.text);
    }
    assert_true(at > 0);
    const char *const words[] = {"never written", word, NULL};
    how.stop = words;
    fal_generate_result result = generate(&how, &cut, NULL);
    assert_int_equal(result.finish, FAL_FINISH_STOP_WORD);
    assert_ptr_equal(result.stop_word, word);
    assert_int_equal(cut.length, at);
    assert_memory_equal(cut.text, whole.text, at);
    assert_memory_equal(cut.ids, whole.ids, (size_t)cut.n_ids * sizeof cut.ids[0]);
}

static void test_cancel(void **state) {
    (void)state;
    recording r = {.cancel_at = 3};
    fal_generate_options how = drawing(3, 10);
    fal_generate_result result = generate(&how, &r, NULL);
    assert_int_equal(result.finish, FAL_FINISH_CANCELLED);
    assert_int_equal(r.n_ids, 3);
}

/* The sum of the log-probabilities handed out is that of scoring the whole timeline. */
static void test_log_probabilities(void **state) {
    (void)state;
    recording r = {0};
    fal_generate_options how = drawing(5, 8);
    how.want_log_probability = true;
    how.sampling.top_k = 20; /* does not change what is reported */
    generate(&how, &r, NULL);
    fal_session *s = open_session();
    double sum = 0;
    size_t n_vocab = (size_t)fal_model_info_get(model)->n_vocab;
    fal_error err = {0};
    for (int i = 0; i < r.n_ids; i++) {
        sum += fal_log_probability(fal_session_logits(s), n_vocab, r.ids[i]);
        CHECK_OK(fal_session_feed(s, &r.ids[i], 1, NULL, &err), &err);
    }
    fal_session_close(s);
    CHECK_NEAR(r.log_probability, sum, 1e-9);
}

static bool keep_logits(void *user, size_t index, const float *logits) {
    size_t n_vocab = (size_t)fal_model_info_get(model)->n_vocab;
    memcpy((float *)user + index * n_vocab, logits, n_vocab * sizeof *logits);
    return true;
}

/* One feed handed out token by token is the same feed, with a method whose frequencies depend on its length. */
static void test_feed_each(void **state) {
    (void)state;

    enum {
        N = 100
    };

    fal_model *dynamic;
    fal_session *a, *b;
    fal_error err = {0};
    const fal_model_options o = {
        .context_method = "dynamic-ntk", .context_scale = 4, .context_original = 40};
    CHECK_OK(fal_model_open(&dynamic, model_path, &o, &err), &err);
    const fal_session_options options = {.n_context = N};
    CHECK_OK(fal_session_open(&a, dynamic, &options, &err), &err);
    CHECK_OK(fal_session_open(&b, dynamic, &options, &err), &err);
    size_t bytes = (size_t)N * (size_t)fal_model_info_get(dynamic)->n_vocab * sizeof(float);
    float *whole = malloc(bytes), *each = malloc(bytes);
    int32_t tokens[N];
    for (int i = 0; i < N; i++)
        tokens[i] = 280 + i;
    CHECK_OK(fal_session_feed(a, tokens, N, whole, &err), &err);
    CHECK_OK(fal_session_feed_each(b, tokens, N, keep_logits, each, &err), &err);
    assert_memory_equal(whole, each, bytes);
    free(whole);
    free(each);
    fal_session_close(a);
    fal_session_close(b);
    fal_model_close(dynamic);
}

static void test_refusals(void **state) {
    (void)state;
    fal_session *s;
    fal_error err = {0};
    CHECK_OK(fal_session_open(&s, model, NULL, &err), &err);
    fal_generate_options how = {0};
    CHECK_STATUS(fal_generate(s, &how, NULL, NULL, NULL, &err), FAL_E_ARGUMENT, &err, "no logits");
    CHECK_OK(fal_session_feed(s, prompt, N_PROMPT, NULL, &err), &err);
    how.max_new_tokens = -1;
    CHECK_STATUS(fal_generate(s, &how, NULL, NULL, NULL, &err), FAL_E_ARGUMENT, &err,
                 "max_new_tokens: -1");
    how = (fal_generate_options){.sampling = {.top_p = 7}};
    CHECK_STATUS(fal_generate(s, &how, NULL, NULL, NULL, &err), FAL_E_ARGUMENT, &err, "top_p: 7");
    const int32_t bad = 100000;
    CHECK_STATUS(fal_session_feed(s, &bad, 1, NULL, &err), FAL_E_ARGUMENT, &err, "100000");
    fal_session_close(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_length_and_context),
        cmocka_unit_test(test_seeds_and_streams),
        cmocka_unit_test(test_end_token),
        cmocka_unit_test(test_stop_word),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_log_probabilities),
        cmocka_unit_test(test_feed_each),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
