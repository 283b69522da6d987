/* Perplexity and comparison against plain sums over the logits of whole windows, computed here from the definitions. */
#include "measured_model.h"

enum {
    N_TOKENS = 150,
    MAX_SCORED = N_TOKENS
};

/* What one model says about each scored token, in the order of the text. */
typedef struct plain {
    size_t n_scored, n_vocab;
    int32_t scored[MAX_SCORED];
    double *log_probabilities; /* [MAX_SCORED, n_vocab] */
} plain;

static void plain_row(plain *p, const float *logits, int32_t token) {
    double *row = p->log_probabilities + p->n_scored * p->n_vocab, sum = 0;
    for (size_t i = 0; i < p->n_vocab; i++)
        sum += exp((double)logits[i]);
    for (size_t i = 0; i < p->n_vocab; i++)
        row[i] = (double)logits[i] - log(sum);
    p->scored[p->n_scored++] = token;
}

/* Windows are written out as in llama.cpp's and transformers' descriptions, each fed at once. */
static plain plain_run(fal_model *model, const int32_t *tokens, size_t n_context, size_t stride,
                       int32_t bos) {
    fal_error err = {0};
    fal_session *s;
    plain p = {.n_vocab = (size_t)fal_model_info_get(model)->n_vocab};
    p.log_probabilities = malloc(MAX_SCORED * p.n_vocab * sizeof *p.log_probabilities);
    float *logits = malloc(n_context * p.n_vocab * sizeof *logits);
    int32_t *window = malloc(n_context * sizeof *window);
    assert_true(p.log_probabilities && logits && window);
    const fal_session_options how = {.n_context = (int)n_context};
    CHECK_OK(fal_session_open(&s, model, &how, &err), &err);
    size_t scored_until = 0;
    for (size_t begin = 0; begin < N_TOKENS; begin += stride ? stride : n_context) {
        size_t end = begin + n_context < N_TOKENS ? begin + n_context : N_TOKENS;
        if (!stride && end - begin < n_context) break;
        memcpy(window, tokens + begin, (end - begin) * sizeof *window);
        if (bos >= 0) window[0] = bos;
        fal_session_rewind(s, 0);
        CHECK_OK(fal_session_feed(s, window, end - begin, logits, &err), &err);
        for (size_t i = begin; i + 1 < end; i++) {
            bool counts = stride ? i + 1 >= scored_until : i - begin >= n_context / 2;
            if (counts) plain_row(&p, logits + (i - begin) * p.n_vocab, tokens[i + 1]);
        }
        scored_until = end;
        if (end == N_TOKENS) break;
    }
    fal_session_close(s);
    free(logits);
    free(window);
    return p;
}

static double plain_nll(const plain *p, size_t i) {
    return -p->log_probabilities[i * p->n_vocab + (size_t)p->scored[i]];
}

/* Mean, and standard error in two passes. */
static double mean_of(const double *values, size_t n, double *error) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        sum += values[i];
    for (size_t i = 0; i < n; i++)
        squares += (values[i] - sum / (double)n) * (values[i] - sum / (double)n);
    *error = sqrt(squares / (double)(n - 1)) / sqrt((double)n);
    return sum / (double)n;
}

static void check_perplexity(const fal_eval_perplexity_result *r, const plain *p) {
    double values[MAX_SCORED], error;
    for (size_t i = 0; i < p->n_scored; i++)
        values[i] = plain_nll(p, i);
    double mean = mean_of(values, p->n_scored, &error);
    assert_int_equal(r->n_scored, p->n_scored);
    CHECK_NEAR(r->nll, mean, 1e-9 * mean);
    CHECK_NEAR(r->nll_error, error, 1e-9 * error);
    CHECK_NEAR(r->perplexity, exp(mean), 1e-7 * exp(mean));
    CHECK_NEAR(r->perplexity_error, exp(mean) * error, 1e-7 * exp(mean) * error);
}

static void check_model(const char *path, const fal_model_options *options, int n_context,
                        int stride, int32_t bos) {
    fal_error err = {0};
    int32_t tokens[N_TOKENS];
    fal_model *model = measured_open(path, options);
    measured_text(tokens, N_TOKENS, model, 7);
    plain p = plain_run(model, tokens, (size_t)n_context, (size_t)stride, bos);
    const fal_eval_options how = {.n_context = n_context, .stride = stride};
    fal_eval_perplexity_result r = {0};
    CHECK_OK(fal_eval_perplexity(model, tokens, N_TOKENS, &how, &r, &err), &err);
    check_perplexity(&r, &p);
    assert_int_equal(r.n_context, n_context);
    assert_int_equal(r.stride, stride);
    free(p.log_probabilities);
    fal_model_close(model);
}

static void test_perplexity(void **state) {
    (void)state;
    static const char *const names[] = {"falcon-7b-like", "falcon-40b-like", "falcon-rw-like",
                                        "starcoder-like"};
    char path[256];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        measured_convert(names[i], "f32", measured_path("model.gguf", path));
        check_model(path, NULL, 48, 0, -1);
        check_model(path, NULL, 37, 0, -1);
        check_model(path, NULL, 50, 20, -1);
        check_model(path, NULL, 40, 40, -1);
        check_model(path, NULL, 64, 1, -1);
    }
    assert_int_equal(unlink(path), 0);
}

/* A window is one timeline to dynamic methods, in however many pieces it is fed. */
static void test_dynamic_method(void **state) {
    (void)state;
    char path[256];
    const fal_model_options options = {.context_method = "dynamic-ntk", .context_original = 32};
    measured_convert("falcon-7b-like", "f32", measured_path("model.gguf", path));
    check_model(path, &options, 100, 0, -1);
    check_model(path, &options, 120, 30, -1);
    assert_int_equal(unlink(path), 0);
}

static void test_bos(void **state) {
    (void)state;
    char plain_path[256], path[256];
    measured_convert("falcon-7b-like", "f32", measured_path("plain.gguf", plain_path));
    measured_add_bos(plain_path, measured_path("bos.gguf", path));
    check_model(path, NULL, 48, 0, 11);
    check_model(path, NULL, 48, 24, -1);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(plain_path), 0);
}

/* Kullback-Leibler divergences straight from the definition. */
static void plain_divergences(const plain *p, const plain *q, double *out) {
    for (size_t k = 0; k < p->n_scored; k++) {
        const double *a = p->log_probabilities + k * p->n_vocab,
                     *b = q->log_probabilities + k * q->n_vocab;
        out[k] = 0;
        for (size_t i = 0; i < p->n_vocab; i++)
            out[k] += exp(a[i]) * (a[i] - b[i]);
    }
}

static size_t plain_top(const plain *p, size_t k) {
    const double *row = p->log_probabilities + k * p->n_vocab;
    size_t top = 0;
    for (size_t i = 1; i < p->n_vocab; i++)
        top = row[i] > row[top] ? i : top;
    return top;
}

static int compare_doubles(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double plain_percentile(double *values, size_t n, double share) {
    qsort(values, n, sizeof *values, compare_doubles);
    double place = share * (double)(n - 1), below = floor(place);
    size_t i = (size_t)below;
    return values[i] + (place - below) * (values[i + (i + 1 < n)] - values[i]);
}

static void check_comparison(const fal_eval_comparison *c, const plain *p, const plain *q) {
    double values[MAX_SCORED], error, agreements[MAX_SCORED], differences[MAX_SCORED];
    size_t n = p->n_scored;
    check_perplexity(&c->reference, p);
    check_perplexity(&c->other, q);
    for (size_t i = 0; i < n; i++) {
        agreements[i] = plain_top(p, i) == plain_top(q, i);
        differences[i] = plain_nll(q, i) - plain_nll(p, i);
    }
    double mean = mean_of(agreements, n, &error);
    CHECK_NEAR(c->agreement, mean, 1e-12);
    CHECK_NEAR(c->agreement_error, error, 1e-12);
    mean = mean_of(differences, n, &error);
    CHECK_NEAR(c->ratio, exp(mean), 1e-9);
    CHECK_NEAR(c->ratio_error, exp(mean) * error, 1e-9);
    CHECK_NEAR(c->ratio, c->other.perplexity / c->reference.perplexity, 1e-9);
    plain_divergences(p, q, values);
    mean = mean_of(values, n, &error);
    CHECK_NEAR(c->divergence, mean, 1e-10);
    CHECK_NEAR(c->divergence_error, error, 1e-10);
    CHECK_NEAR(c->divergence_99, plain_percentile(values, n, 0.99), 1e-6 * values[n - 1]);
    CHECK_NEAR(c->divergence_median, plain_percentile(values, n, 0.5), 1e-6 * values[n - 1]);
    CHECK_NEAR(c->divergence_max, values[n - 1], 1e-10);
}

static void test_comparison(void **state) {
    (void)state;
    fal_error err = {0};
    char exact_path[256], rounded_path[256];
    int32_t tokens[N_TOKENS];
    measured_convert("falcon-40b-like", "f32", measured_path("exact.gguf", exact_path));
    measured_convert("falcon-40b-like", "bf16", measured_path("rounded.gguf", rounded_path));
    fal_model *exact = measured_open(exact_path, NULL),
              *rounded = measured_open(rounded_path, NULL);
    measured_text(tokens, N_TOKENS, exact, 11);
    for (int stride = 0; stride <= 25; stride += 25) {
        plain p = plain_run(exact, tokens, 48, (size_t)stride, -1),
              q = plain_run(rounded, tokens, 48, (size_t)stride, -1);
        const fal_eval_options how = {.n_context = 48, .stride = stride};
        fal_eval_comparison c = {0};
        CHECK_OK(fal_eval_compare(exact, rounded, tokens, N_TOKENS, &how, &c, &err), &err);
        check_comparison(&c, &p, &q);
        /* Rounding to bf16 shows, and shows little. */
        assert_true(c.divergence > 0 && c.divergence < 0.05);
        assert_true(c.divergence_max >= c.divergence_99 && c.divergence_99 >= c.divergence_median);
        free(p.log_probabilities);
        free(q.log_probabilities);
    }
    fal_model_close(exact);
    fal_model_close(rounded);
    assert_int_equal(unlink(exact_path), 0);
    assert_int_equal(unlink(rounded_path), 0);
}

static void test_itself(void **state) {
    (void)state;
    fal_error err = {0};
    int32_t tokens[N_TOKENS];
    fal_model *model =
        measured_open(FAL_SOURCE_DIR "/tests/golden/models/quantized/q4_k.gguf", NULL);
    measured_text(tokens, N_TOKENS, model, 13);
    const fal_eval_options how = {.n_context = 40};
    fal_eval_comparison c = {0};
    CHECK_OK(fal_eval_compare(model, model, tokens, N_TOKENS, &how, &c, &err), &err);
    assert_int_equal(c.reference.n_scored, 3 * 19);
    assert_true(c.divergence == 0 && c.divergence_error == 0 && c.divergence_max == 0);
    assert_true(c.divergence_99 == 0 && c.divergence_median == 0);
    assert_true(c.agreement == 1 && c.agreement_error == 0);
    assert_true(c.ratio == 1 && c.ratio_error == 0);
    assert_true(c.reference.nll > 0 && c.reference.nll == c.other.nll);
    fal_model_close(model);
}

static void test_same_bits(void **state) {
    (void)state;
    fal_error err = {0};
    int32_t tokens[N_TOKENS];
    fal_eval_comparison first = {0};
    static const int threads[] = {1, 2, 5}, batches[] = {0, 7, 64};
    for (size_t i = 0; i < 3; i++) {
        const fal_model_options options = {.n_threads = threads[i]};
        fal_model *a = measured_open(FAL_SOURCE_DIR "/tests/golden/models/quantized/q8_0.gguf",
                                     &options),
                  *b = measured_open(FAL_SOURCE_DIR "/tests/golden/models/quantized/q4_0.gguf",
                                     &options);
        measured_text(tokens, N_TOKENS, a, 17);
        const fal_eval_options how = {.n_context = 70, .stride = 30, .n_batch = batches[i]};
        fal_eval_comparison c = {0};
        CHECK_OK(fal_eval_compare(a, b, tokens, N_TOKENS, &how, &c, &err), &err);
        if (i == 0) first = c;
        assert_memory_equal(&c, &first, sizeof c);
        assert_true(c.divergence > 0);
        fal_model_close(a);
        fal_model_close(b);
    }
}

static bool stop_later(void *user, size_t n_done, size_t n_total) {
    size_t *last = user;
    assert_true(n_done >= *last && n_done <= n_total);
    assert_int_equal(n_total, 3 * 48);
    *last = n_done;
    return n_done < 60;
}

static bool go_on(void *user, size_t n_done, size_t n_total) {
    size_t *last = user;
    assert_true(n_done >= *last && n_done <= n_total);
    *last = n_done;
    return true;
}

static void test_progress(void **state) {
    (void)state;
    fal_error err = {0};
    int32_t tokens[N_TOKENS];
    size_t last = 0;
    fal_model *model =
        measured_open(FAL_SOURCE_DIR "/tests/golden/models/quantized/q8_0.gguf", NULL);
    measured_text(tokens, N_TOKENS, model, 19);
    fal_eval_options how = {
        .n_context = 48, .n_batch = 16, .on_progress = stop_later, .user = &last};
    fal_eval_perplexity_result r = {.n_scored = 77};
    CHECK_STATUS(fal_eval_perplexity(model, tokens, N_TOKENS, &how, &r, &err), FAL_E_CANCELLED,
                 &err, "cancelled");
    assert_int_equal(r.n_scored, 77);
    last = 0;
    how.on_progress = go_on;
    how.n_windows = 2;
    CHECK_OK(fal_eval_perplexity(model, tokens, N_TOKENS, &how, &r, &err), &err);
    assert_int_equal(last, 2 * 48);
    assert_int_equal(r.n_windows, 2);
    assert_int_equal(r.n_scored, 2 * 23);
    fal_model_close(model);
}

static void test_refusals(void **state) {
    (void)state;
    fal_error err = {0};
    int32_t tokens[N_TOKENS];
    char path[256];
    fal_eval_perplexity_result r;
    fal_eval_comparison c;
    measured_convert("falcon-7b-like", "f32", measured_path("model.gguf", path));
    fal_model *model = measured_open(path, NULL),
              *small =
                  measured_open(FAL_SOURCE_DIR "/tests/golden/models/quantized/q8_0.gguf", NULL);
    int n_vocab = fal_model_info_get(model)->n_vocab;
    measured_text(tokens, N_TOKENS, small, 23);
    fal_eval_options how = {.n_context = 151};
    CHECK_STATUS(fal_eval_perplexity(model, tokens, N_TOKENS, &how, &r, &err), FAL_E_LIMIT, &err,
                 "the text has 150 tokens, a window needs 151");
    how.n_context = 30;
    how.stride = 31;
    CHECK_STATUS(fal_eval_perplexity(model, tokens, N_TOKENS, &how, &r, &err), FAL_E_ARGUMENT, &err,
                 "stride 31");
    how.stride = 0;
    CHECK_STATUS(fal_eval_compare(model, small, tokens, N_TOKENS, &how, &c, &err), FAL_E_ARGUMENT,
                 &err, "vocabularies differ: 512 tokens in one, 288 in the other");
    /* The last token of a window is never fed, only scored. */
    tokens[29] = n_vocab;
    CHECK_STATUS(fal_eval_perplexity(model, tokens, N_TOKENS, &how, &r, &err), FAL_E_ARGUMENT, &err,
                 "token 29 of the text");
    tokens[29] = -1;
    CHECK_STATUS(fal_eval_perplexity(model, tokens, N_TOKENS, &how, &r, &err), FAL_E_ARGUMENT, &err,
                 "is -1");
    fal_model_close(model);
    fal_model_close(small);
    measured_spoil(path, "output_norm.bias", 3, NAN);
    model = measured_open(path, NULL);
    measured_text(tokens, N_TOKENS, model, 29);
    CHECK_STATUS(fal_eval_perplexity(model, tokens, N_TOKENS, &how, &r, &err), FAL_E_FORMAT, &err,
                 "the logits before token 16 of the text are not finite");
    CHECK_STATUS(fal_eval_compare(model, model, tokens, N_TOKENS, &how, &c, &err), FAL_E_FORMAT,
                 &err, "reference: the logits before token 16");
    fal_model_close(model);
    assert_int_equal(unlink(path), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_perplexity), cmocka_unit_test(test_dynamic_method),
        cmocka_unit_test(test_bos),        cmocka_unit_test(test_comparison),
        cmocka_unit_test(test_itself),     cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_progress),   cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
