/* Models that must be refused: each gives its status and one clear line that names the file and the thing, and leaves
 * nothing behind. The readers' own bad inputs are the matter of tests/unit/formats and tests/fuzz. */
#include <falconer/session.h>

#include "base/alloc.h"
#include "golden/tiny_model.h"

#include <stdio.h>

static char scratch[GOLDEN_PATH_SIZE], path[GOLDEN_PATH_SIZE];
static fal_error error;

static int make_scratch(void **state) {
    (void)state;
    golden_scratch_make(scratch);
    golden_join(path, scratch, "spoilt.gguf");
    return 0;
}

static int remove_scratch(void **state) {
    (void)state;
    golden_scratch_remove(scratch);
    return 0;
}

/* The model does not open, with this status; the line names the file and holds the fragment. */
static void check_refused(const tiny_model *t, fal_status status, const char *fragment) {
    tiny_model_write(t, path);
    long live = fal_alloc_live();
    fal_model *model = (fal_model *)(void *)scratch;
    memset(&error, 0, sizeof error);
    CHECK_STATUS(fal_model_open(&model, path, NULL, &error), status, &error, fragment);
    assert_null(model);
    assert_non_null(strstr(error.message, "spoilt.gguf"));
    assert_int_equal(fal_alloc_live(), live);
    assert_int_equal(fal_model_open(&model, path, NULL, NULL), status);
}

/* The unspoilt model opens and computes, so that the refusals below are due to what they change. */
static void test_whole(void **state) {
    (void)state;
    for (int two = 0; two < 2; two++) {
        tiny_model t = tiny_model_whole();
        t.has_two_norms = two != 0;
        tiny_model_write(&t, path);
        long live = fal_alloc_live();
        fal_model *model = NULL;
        fal_session *s = NULL;
        const int32_t tokens[] = {1, 2, 3};
        CHECK_OK(fal_model_open(&model, path, NULL, &error), &error);
        assert_int_equal(fal_model_info_get(model)->n_layers, TINY_LAYERS);
        CHECK_OK(fal_session_open(&s, model, NULL, &error), &error);
        CHECK_OK(fal_session_feed(s, tokens, 3, NULL, &error), &error);
        assert_true(isfinite(fal_session_logits(s)[0]));
        fal_session_close(s);
        fal_model_close(model);
        assert_int_equal(fal_alloc_live(), live);
    }
}

static void test_missing_tensors(void **state) {
    (void)state;
    static const char *const names[] = {
        "token_embd.weight",      "output_norm.weight",     "output_norm.bias",
        "blk.0.attn_norm.bias",   "blk.1.attn_norm.weight", "blk.1.attn_norm_2.weight",
        "blk.1.attn_norm_2.bias", "blk.0.attn_qkv.weight",  "blk.1.attn_output.weight",
        "blk.0.ffn_up.weight",    "blk.1.ffn_down.weight"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        tiny_model t = tiny_model_whole();
        t.without_tensor = names[i];
        check_refused(&t, FAL_E_FORMAT, names[i]);
    }
}

static void test_wrong_shapes(void **state) {
    (void)state;

    static const struct {
        const char *name;
        int n_dims;
        int64_t shape[4];
    } rows[] = {
        {"blk.0.attn_qkv.weight",    2, {TINY_D_MODEL * 2 + 8, TINY_D_MODEL, 1, 1}},
        {"blk.0.attn_qkv.weight",    2, {TINY_D_MODEL, TINY_D_MODEL * 2, 1, 1}    },
        {"blk.1.attn_output.weight", 2, {TINY_D_MODEL, TINY_D_MODEL - 1, 1, 1}    },
        {"blk.1.attn_output.weight", 1, {TINY_D_MODEL, 1, 1, 1}                   },
        {"blk.1.attn_output.weight", 3, {TINY_D_MODEL, 4, TINY_D_MODEL / 4, 1}    },
        {"blk.1.attn_output.weight", 4, {1, 1, TINY_D_MODEL, TINY_D_MODEL}        },
        {"blk.0.ffn_up.weight",      2, {TINY_D_MODEL, TINY_D_FF, 1, 1}           },
        {"blk.0.ffn_down.weight",    2, {TINY_D_FF, TINY_D_MODEL, 1, 1}           },
        {"blk.0.attn_norm.weight",   1, {TINY_D_MODEL - 1, 1, 1, 1}               },
        {"blk.0.attn_norm.bias",     1, {TINY_D_MODEL * 2, 1, 1, 1}               },
        {"blk.1.attn_norm_2.weight", 2, {1, TINY_D_MODEL, 1, 1}                   },
        {"output_norm.weight",       1, {1, 1, 1, 1}                              },
        {"token_embd.weight",        2, {64, TINY_D_MODEL + 32, 1, 1}             },
        {"token_embd.weight",        1, {TINY_D_MODEL, 1, 1, 1}                   },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tiny_model t = tiny_model_whole();
        t.reshaped = rows[i].name;
        t.n_dims = rows[i].n_dims;
        memcpy(t.shape, rows[i].shape, sizeof t.shape);
        check_refused(&t, FAL_E_FORMAT, rows[i].name);
    }
}

static void test_missing_keys(void **state) {
    (void)state;
    static const char *const keys[] = {"general.architecture",
                                       "falcon.context_length",
                                       "falcon.embedding_length",
                                       "falcon.feed_forward_length",
                                       "falcon.block_count",
                                       "falcon.attention.head_count",
                                       "falcon.attention.layer_norm_epsilon",
                                       "tokenizer.ggml.model",
                                       "tokenizer.ggml.tokens",
                                       "tokenizer.ggml.merges"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        tiny_model t = tiny_model_whole();
        t.without_key = keys[i];
        check_refused(&t, FAL_E_FORMAT, keys[i]);
    }
}

/* One number of the header spoilt; the tensors stay as they are. */
static void test_wrong_numbers(void **state) {
    (void)state;

    static const struct {
        size_t offset;
        uint32_t value;
        const char *fragment;
    } rows[] = {
        {offsetof(tiny_model, n_heads),        0,           "heads"              },
        {offsetof(tiny_model, n_heads),        3,           "heads"              },
        {offsetof(tiny_model, n_heads),        32,          "dimension"          },
        {offsetof(tiny_model, n_heads),        70000,       "heads"              },
        {offsetof(tiny_model, n_heads),        4000000000u, "head_count"         },
        {offsetof(tiny_model, n_kv_heads),     0,           "kv heads"           },
        {offsetof(tiny_model, n_kv_heads),     3,           "kv heads"           },
        {offsetof(tiny_model, n_kv_heads),     8,           "kv heads"           },
        {offsetof(tiny_model, n_kv_heads),     1,           "attn_qkv"           },
        {offsetof(tiny_model, n_kv_heads),     4000000000u, "kv heads"           },
        {offsetof(tiny_model, n_layers),       0,           "layers"             },
        {offsetof(tiny_model, n_layers),       3,           "blk.2."             },
        {offsetof(tiny_model, n_layers),       100,         "layers"             },
        {offsetof(tiny_model, n_layers),       2000000000u, "layers"             },
        {offsetof(tiny_model, n_layers),       4294967295u, "block_count"        },
        {offsetof(tiny_model, d_model),        0,           "width"              },
        {offsetof(tiny_model, d_model),        64,          "token_embd"         },
        {offsetof(tiny_model, d_model),        1u << 30,    "width"              },
        {offsetof(tiny_model, d_ff),           0,           "ffn"                },
        {offsetof(tiny_model, d_ff),           65,          "ffn_up"             },
        {offsetof(tiny_model, d_ff),           3000000000u, "feed_forward_length"},
        {offsetof(tiny_model, context_length), 0,           "context"            },
        {offsetof(tiny_model, context_length), 4294967295u, "context_length"     },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tiny_model t = tiny_model_whole();
        memcpy((char *)&t + rows[i].offset, &rows[i].value, sizeof rows[i].value);
        check_refused(&t, FAL_E_FORMAT, rows[i].fragment);
    }
}

static void test_wrong_epsilon(void **state) {
    (void)state;
    const float values[] = {-1e-5f, 1.0f, NAN, INFINITY};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        tiny_model t = tiny_model_whole();
        t.norm_epsilon = values[i];
        check_refused(&t, FAL_E_FORMAT, "epsilon");
    }
}

static void test_wrong_rope(void **state) {
    (void)state;

    static const struct {
        const char *key;
        float value;
        const char *fragment;
    } rows[] = {
        {"falcon.rope.freq_base",           0,    "rope.freq_base"          },
        {"falcon.rope.freq_base",           -1,   "rope.freq_base"          },
        {"falcon.rope.freq_base",           NAN,  "rope.freq_base"          },
        {"falcon.rope.scaling.attn_factor", NAN,  "rope.scaling.attn_factor"},
        {"falcon.rope.scaling.attn_factor", -1,   "rope.scaling.attn_factor"},
        {"falcon.rope.scale_linear",        NAN,  "factor"                  },
        {"falcon.rope.scale_linear",        1e9f, "factor"                  },
        {"falconer.rope.factor",            NAN,  "falconer.rope.factor"    },
        {"falconer.rope.factor",            0.5f, "falconer.rope.factor"    },
        {"falconer.rope.factor",            1e9f, "falconer.rope.factor"    },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tiny_model t = tiny_model_whole();
        t.own_rope_method = "dynamic-ntk";
        t.extra_f32[0].key = rows[i].key;
        t.extra_f32[0].value = rows[i].value;
        t.extra_f32[1].key = "falconer.rope.base";
        t.extra_f32[1].value = 10000;
        check_refused(&t, FAL_E_FORMAT, rows[i].fragment);
    }
    tiny_model t = tiny_model_whole();
    t.extra_u32 = "falcon.rope.dimension_count";
    t.extra_value = 4;
    check_refused(&t, FAL_E_FORMAT, "dimension_count");
}

static void test_vocabulary(void **state) {
    (void)state;
    tiny_model t = tiny_model_whole();
    t.n_unnamed_rows = -1;
    check_refused(&t, FAL_E_FORMAT, "vocabulary");
    /* Rows that no token names are padding. */
    t.n_unnamed_rows = 4;
    tiny_model_write(&t, path);
    fal_model *model = NULL;
    CHECK_OK(fal_model_open(&model, path, NULL, &error), &error);
    assert_int_equal(fal_model_info_get(model)->n_vocab,
                     fal_tokenizer_n_vocab(fal_model_tokenizer(model)) + 4);
    fal_model_close(model);
}

static void test_architecture(void **state) {
    (void)state;
    tiny_model t = tiny_model_whole();
    t.architecture = "mamba";
    check_refused(&t, FAL_E_UNSUPPORTED, "mamba");
}

static void test_no_file(void **state) {
    (void)state;
    char absent[GOLDEN_PATH_SIZE];
    fal_model *model = NULL;
    golden_join(absent, scratch, "absent.gguf");
    CHECK_STATUS(fal_model_open(&model, absent, NULL, &error), FAL_E_NOT_FOUND, &error,
                 "absent.gguf");
    assert_null(model);
}

/* Any number of bytes missing at the end, header included. */
static void test_truncated(void **state) {
    (void)state;
    tiny_model t = tiny_model_whole();
    tiny_model_write(&t, path);
    static char bytes[1 << 17];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t length = fread(bytes, 1, sizeof bytes, file);
    assert_true(feof(file));
    fclose(file);
    for (size_t kept = 0; kept < length; kept += kept < 2500 ? 53 : 997) {
        file = fopen(path, "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(bytes, 1, kept, file), kept);
        fclose(file);
        long live = fal_alloc_live();
        fal_model *model = NULL;
        CHECK_STATUS(fal_model_open(&model, path, NULL, &error), FAL_E_FORMAT, &error,
                     "spoilt.gguf");
        assert_int_equal(fal_alloc_live(), live);
    }
}

static void test_options(void **state) {
    (void)state;

    static const struct {
        fal_model_options options;
        fal_status status;
        const char *fragment;
    } rows[] = {
        {{.device = "abacus"},                                 FAL_E_NOT_FOUND, "abacus"  },
        {{.context_method = "magic"},                          FAL_E_NOT_FOUND, "magic"   },
        {{.context_method = "yarn", .context_scale = 0.5},     FAL_E_ARGUMENT,  "0.5"     },
        {{.context_method = "yarn", .context_scale = -4},      FAL_E_ARGUMENT,  "-4"      },
        {{.context_method = "yarn", .context_scale = 1e9},     FAL_E_ARGUMENT,  "1e+09"   },
        {{.context_scale = 4},                                 FAL_E_ARGUMENT,  "method"  },
        {{.context_original = -1, .context_method = "linear"}, FAL_E_ARGUMENT,  "original"},
        {{.n_threads = -1},                                    FAL_E_ARGUMENT,  "-1"      },
    };

    tiny_model t = tiny_model_whole();
    tiny_model_write(&t, path);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fal_model *model = NULL;
        long live = fal_alloc_live();
        CHECK_STATUS(fal_model_open(&model, path, &rows[i].options, &error), rows[i].status, &error,
                     rows[i].fragment);
        assert_null(model);
        assert_int_equal(fal_alloc_live(), live);
    }
}

static void test_sessions(void **state) {
    (void)state;
    tiny_model t = tiny_model_whole();
    tiny_model_write(&t, path);
    fal_model *model = NULL;
    fal_session *s = NULL;
    CHECK_OK(fal_model_open(&model, path, NULL, &error), &error);
    int n_vocab = fal_model_info_get(model)->n_vocab;
    CHECK_STATUS(fal_session_open(&s, model, &(fal_session_options){.kv_type = "q4_0"}, &error),
                 FAL_E_ARGUMENT, &error, "q4_0");
    assert_null(s);
    CHECK_STATUS(fal_session_open(&s, model, &(fal_session_options){.n_context = -1}, &error),
                 FAL_E_ARGUMENT, &error, "-1");
    CHECK_STATUS(fal_session_open(&s, model, &(fal_session_options){.n_batch = -1}, &error),
                 FAL_E_ARGUMENT, &error, "-1");
    CHECK_OK(fal_session_open(&s, model, &(fal_session_options){.n_context = 4}, &error), &error);
    int32_t tokens[] = {1, 2, n_vocab, 3, 4};
    CHECK_STATUS(fal_session_feed(s, tokens, 3, NULL, &error), FAL_E_ARGUMENT, &error, "token 2");
    tokens[2] = -1;
    CHECK_STATUS(fal_session_feed(s, tokens, 3, NULL, &error), FAL_E_ARGUMENT, &error, "-1");
    assert_int_equal(fal_session_count(s), 0);
    tokens[2] = 2;
    CHECK_STATUS(fal_session_feed(s, tokens, 5, NULL, &error), FAL_E_LIMIT, &error, "4");
    assert_int_equal(fal_session_count(s), 0);
    CHECK_OK(fal_session_feed(s, tokens, 4, NULL, &error), &error);
    CHECK_STATUS(fal_session_feed(s, tokens, 1, NULL, &error), FAL_E_LIMIT, &error, "full");
    assert_non_null(fal_session_logits(s));
    fal_session_close(s);
    fal_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),         cmocka_unit_test(test_missing_tensors),
        cmocka_unit_test(test_wrong_shapes),  cmocka_unit_test(test_missing_keys),
        cmocka_unit_test(test_wrong_numbers), cmocka_unit_test(test_wrong_epsilon),
        cmocka_unit_test(test_wrong_rope),    cmocka_unit_test(test_vocabulary),
        cmocka_unit_test(test_architecture),  cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_truncated),     cmocka_unit_test(test_options),
        cmocka_unit_test(test_sessions),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
