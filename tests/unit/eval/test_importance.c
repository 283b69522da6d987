/* Sums of squares against an own computation of what the first products are multiplied with, and what must not change
 * them. */
#include "measured_model.h"

enum {
    N_TOKENS = 100,
    WINDOW = 30,
    N_USED = 90, /* the rest fills no window */
    MAX_WIDTH = 1024
};

static fal_importance gather(fal_model *model, const int32_t *tokens, const fal_eval_options *how) {
    fal_error err = {0};
    fal_importance made = {0};
    CHECK_OK(fal_eval_importance(model, tokens, N_TOKENS, how, &made, &err), &err);
    return made;
}

static const float *tensor(const fal_model *model, const char *name) {
    const fal_gguf_tensor *t = fal_gguf_tensor_find(fal_model_gguf(model), name);
    assert_non_null(t);
    assert_int_equal(t->type_id, FAL_TYPE_F32);
    return t->data;
}

/* The mean square of each column of norm(embedding of each token), all in double precision. */
static void plain_first_input(const fal_model *model, const int32_t *tokens, const char *norm,
                              double *out) {
    int width = fal_model_info_get(model)->d_model;
    char weight_name[64], bias_name[64];
    float epsilon = 0;
    fal_error err = {0};
    CHECK_OK(fal_gguf_get_f32(fal_model_gguf(model), "falcon.attention.layer_norm_epsilon",
                              &epsilon, &err),
             &err);
    snprintf(weight_name, sizeof weight_name, "%s.weight", norm);
    snprintf(bias_name, sizeof bias_name, "%s.bias", norm);
    const float *embedding = tensor(model, "token_embd.weight"),
                *weight = tensor(model, weight_name), *bias = tensor(model, bias_name);
    memset(out, 0, (size_t)width * sizeof *out);
    for (int k = 0; k < N_USED; k++) {
        const float *x = embedding + (size_t)tokens[k] * (size_t)width;
        double mean = 0, variance = 0;
        for (int i = 0; i < width; i++)
            mean += (double)x[i] / width;
        for (int i = 0; i < width; i++)
            variance += ((double)x[i] - mean) * ((double)x[i] - mean) / width;
        for (int i = 0; i < width; i++) {
            double y = ((double)x[i] - mean) / sqrt(variance + (double)epsilon) * (double)weight[i]
                       + (double)bias[i];
            out[i] += y * y / N_USED;
        }
    }
}

static void check_columns(const fal_importance *made, const char *name, const double *expected,
                          int width) {
    const float *found = fal_importance_find(made, name, width);
    assert_non_null(found);
    for (int i = 0; i < width; i++)
        CHECK_NEAR(found[i], expected[i], 1e-5 * (expected[i] + 1e-3));
}

static void check_against_plain(const char *name, const char *device, const char *attn_norm,
                                const char *ffn_norm) {
    char path[256];
    int32_t tokens[N_TOKENS];
    double expected[MAX_WIDTH];
    measured_convert(name, "f32", measured_path("model.gguf", path));
    const fal_model_options options = {.device = device};
    fal_model *model = measured_open(path, &options);
    int width = fal_model_info_get(model)->d_model;
    assert_in_range(width, 1, MAX_WIDTH);
    measured_text(tokens, N_TOKENS, model, 31);
    const fal_eval_options how = {.n_context = WINDOW};
    fal_importance made = gather(model, tokens, &how);
    assert_int_equal(made.n_chunks, 3);
    assert_int_equal(made.chunk_size, WINDOW);
    plain_first_input(model, tokens, attn_norm, expected);
    check_columns(&made, "blk.0.attn_qkv.weight", expected, width);
    plain_first_input(model, tokens, ffn_norm, expected);
    check_columns(&made, "blk.0.ffn_up.weight", expected, width);
    fal_importance_release(&made);
    fal_model_close(model);
    assert_int_equal(unlink(path), 0);
}

static void test_first_layer(void **state) {
    (void)state;
    static const char *const devices[] = {"cpu", "ref"};
    for (size_t i = 0; i < 2; i++) {
        check_against_plain("falcon-7b-like", devices[i], "blk.0.attn_norm", "blk.0.attn_norm");
        check_against_plain("falcon-40b-like", devices[i], "blk.0.attn_norm_2", "blk.0.attn_norm");
    }
}

/* Every matrix of every layer has seen every token, in the last layer too, and both devices agree. */
static void test_all_matrices(void **state) {
    (void)state;
    static const char *const kinds[] = {"attn_output", "attn_qkv", "ffn_down", "ffn_up"};
    char path[256];
    int32_t tokens[N_TOKENS];
    measured_convert("falcon-rw-like", "f32", measured_path("model.gguf", path));
    const fal_model_options slow = {.device = "ref"};
    fal_model *model = measured_open(path, NULL), *oracle = measured_open(path, &slow);
    int n_layers = fal_model_info_get(model)->n_layers;
    measured_text(tokens, N_TOKENS, model, 37);
    const fal_eval_options how = {.n_context = WINDOW, .n_batch = 8};
    fal_importance made = gather(model, tokens, &how), expected = gather(oracle, tokens, &how);
    assert_int_equal(made.count, 4 * n_layers);
    assert_int_equal(expected.count, made.count);
    for (int layer = 0; layer < n_layers; layer++) {
        for (size_t i = 0; i < 4; i++) {
            char name[64];
            snprintf(name, sizeof name, "blk.%d.%s.weight", layer, kinds[i]);
            const fal_importance_entry *e = fal_importance_entry_find(&made, name),
                                       *o = fal_importance_entry_find(&expected, name);
            assert_true(e && o);
            assert_int_equal(e->n_tokens, N_USED);
            assert_int_equal(e->n_chunks, 3);
            assert_int_equal(e->n_values,
                             fal_gguf_tensor_find(fal_model_gguf(model), name)->shape[1]);
            for (int64_t k = 0; k < e->n_values; k++)
                CHECK_NEAR(e->mean_squares[k], o->mean_squares[k],
                           1e-3 * ((double)o->mean_squares[k] + 1e-4));
        }
    }
    fal_importance_release(&made);
    fal_importance_release(&expected);
    fal_model_close(model);
    fal_model_close(oracle);
    assert_int_equal(unlink(path), 0);
}

static void check_same(const fal_importance *a, const fal_importance *b) {
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        assert_string_equal(a->entries[i].name, b->entries[i].name);
        assert_int_equal(a->entries[i].n_values, b->entries[i].n_values);
        assert_memory_equal(a->entries[i].mean_squares, b->entries[i].mean_squares,
                            (size_t)a->entries[i].n_values * sizeof(float));
    }
}

static void test_same_bits(void **state) {
    (void)state;
    static const int threads[] = {1, 2, 5}, batches[] = {0, 7, 32};
    int32_t tokens[N_TOKENS];
    fal_importance first = {0};
    for (size_t i = 0; i < 3; i++) {
        const fal_model_options options = {.n_threads = threads[i]};
        fal_model *model =
            measured_open(FAL_SOURCE_DIR "/tests/golden/models/quantized/q5_k.gguf", &options);
        measured_text(tokens, N_TOKENS, model, 41);
        const fal_eval_options how = {.n_context = 50, .n_batch = batches[i]};
        fal_importance made = gather(model, tokens, &how);
        if (i == 0) first = gather(model, tokens, &how);
        check_same(&made, &first);
        fal_importance_release(&made);
        fal_model_close(model);
    }
    fal_importance_release(&first);
}

static void test_head(void **state) {
    (void)state;

    static const struct {
        const char *model, *head;
    } cases[] = {
        {"falcon-40b-like", "output.weight"    },
        {"falcon-7b-like",  "token_embd.weight"},
    };

    for (size_t i = 0; i < 2; i++) {
        char path[256];
        int32_t tokens[N_TOKENS];
        measured_convert(cases[i].model, "f32", measured_path("model.gguf", path));
        fal_model *model = measured_open(path, NULL);
        measured_text(tokens, N_TOKENS, model, 43);
        fal_eval_options how = {.n_context = WINDOW};
        fal_importance without = gather(model, tokens, &how);
        how.with_head = true;
        fal_importance with = gather(model, tokens, &how);
        int64_t width = fal_model_info_get(model)->d_model;
        assert_null(fal_importance_find(&without, cases[i].head, width));
        assert_non_null(fal_importance_find(&with, cases[i].head, width));
        assert_int_equal(fal_importance_entry_find(&with, cases[i].head)->n_tokens, N_USED);
        assert_int_equal(with.count, without.count + 1);
        fal_importance_release(&with);
        fal_importance_release(&without);
        fal_model_close(model);
        assert_int_equal(unlink(path), 0);
    }
}

static bool stop(void *user, size_t n_done, size_t n_total) {
    (void)user;
    return n_done < n_total / 2;
}

static void test_refusals(void **state) {
    (void)state;
    fal_error err = {0};
    char path[256];
    int32_t tokens[N_TOKENS];
    fal_importance made = {0};
    measured_convert("falcon-7b-like", "f32", measured_path("model.gguf", path));
    fal_model *model = measured_open(path, NULL);
    measured_text(tokens, N_TOKENS, model, 47);
    fal_eval_options how = {.n_context = 101};
    CHECK_STATUS(fal_eval_importance(model, tokens, N_TOKENS, &how, &made, &err), FAL_E_LIMIT, &err,
                 "the text has 100 tokens, a window needs 101");
    how = (fal_eval_options){.n_context = WINDOW, .stride = 3};
    CHECK_STATUS(fal_eval_importance(model, tokens, N_TOKENS, &how, &made, &err), FAL_E_ARGUMENT,
                 &err, "stride 3");
    how = (fal_eval_options){.n_context = WINDOW, .on_progress = stop};
    CHECK_STATUS(fal_eval_importance(model, tokens, N_TOKENS, &how, &made, &err), FAL_E_CANCELLED,
                 &err, "cancelled");
    assert_int_equal(made.count, 0);
    fal_model_close(model);
    measured_spoil(path, "blk.0.attn_norm.bias", 5, INFINITY);
    model = measured_open(path, NULL);
    how = (fal_eval_options){.n_context = WINDOW};
    CHECK_STATUS(fal_eval_importance(model, tokens, N_TOKENS, &how, &made, &err), FAL_E_FORMAT,
                 &err, "blk.0.attn_qkv.weight: column 5 of its input is not finite");
    assert_int_equal(made.count, 0);
    fal_model_close(model);
    assert_int_equal(unlink(path), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_layer), cmocka_unit_test(test_all_matrices),
        cmocka_unit_test(test_same_bits), cmocka_unit_test(test_head),
        cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
