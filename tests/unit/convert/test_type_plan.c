/* Plans against published facts: the sizes of Alfred-40B's GGUF files to the byte, the sizes that llama.cpp's rules give for
 * Falcon-7B, and counts of types for StarCoder. */
#include "check.h"
#include "convert/type_plan.h"

#include <stdio.h>

enum {
    MAX_TENSORS = 1024,
    NAME_SIZE = 48
};

typedef struct shapes {
    const char *architecture;
    int64_t d_model, qkv_rows, d_ff, n_vocab;
    int n_layers, norms_per_layer; /* vectors of d_model per layer */
    bool has_head;
} shapes;

static const shapes alfred = {"falcon", 8192, 9216, 32768, 65024, 60, 4, true};
static const shapes falcon_7b = {"falcon", 4544, 4672, 18176, 65024, 32, 2, true};
static const shapes starcoder = {"starcoder", 6144, 6400, 24576, 49152, 40, 4, false};

typedef struct model {
    fal_plan_tensor tensors[MAX_TENSORS];
    fal_plan_entry entries[MAX_TENSORS];
    char names[MAX_TENSORS][NAME_SIZE];
    size_t n;
} model;

static model m;

static void add(const char *name, int64_t rows, int64_t columns) {
    fal_plan_tensor *t = &m.tensors[m.n];
    snprintf(m.names[m.n], NAME_SIZE, "%s", name);
    *t = (fal_plan_tensor){
        .name = m.names[m.n++], .source = fal_type_by_name("f32"), .n_dims = rows ? 2 : 1};
    t->shape[0] = rows ? rows : columns;
    t->shape[1] = rows ? columns : 1;
}

static void add_layer(int layer, const char *suffix, int64_t rows, int64_t columns) {
    char name[NAME_SIZE];
    snprintf(name, sizeof name, "blk.%d.%s", layer, suffix);
    add(name, rows, columns);
}

static void build(const shapes *s) {
    m.n = 0;
    add("token_embd.weight", s->n_vocab, s->d_model);
    add("output_norm.weight", 0, s->d_model);
    add("output_norm.bias", 0, s->d_model);
    if (s->has_head) add("output.weight", s->n_vocab, s->d_model);
    for (int i = 0; i < s->n_layers; i++) {
        static const char *const norms[] = {"attn_norm.weight", "attn_norm.bias",
                                            "attn_norm_2.weight", "attn_norm_2.bias"};
        for (int k = 0; k < s->norms_per_layer; k++)
            add_layer(i, norms[k], 0, s->d_model);
        add_layer(i, "attn_qkv.weight", s->qkv_rows, s->d_model);
        add_layer(i, "attn_output.weight", s->d_model, s->d_model);
        add_layer(i, "ffn_up.weight", s->d_ff, s->d_model);
        add_layer(i, "ffn_down.weight", s->d_model, s->d_ff);
    }
}

static fal_plan_summary plan(const shapes *s, const char *mix, fal_recipe recipe) {
    build(s);
    fal_type_plan_options options = {.mix = fal_mix_by_name(mix),
                                     .recipe = recipe,
                                     .architecture = s->architecture,
                                     .n_layers = s->n_layers};
    assert_non_null(options.mix);
    fal_error err = {0};
    CHECK_OK(fal_type_plan_make(m.entries, m.tensors, m.n, &options, &err), &err);
    fal_plan_summary summary;
    fal_type_plan_summarise(&summary, m.entries, m.tensors, m.n);
    return summary;
}

typedef struct size_case {
    const char *mix;
    uint64_t bytes;
} size_case;

/* The six whose exact size is published, and those that follow from them; the header of these files has 2,315,968 bytes. */
static void test_alfred_sizes(void **state) {
    (void)state;
    static const size_case cases[] = {
        {"Q2_K",   17399764672},
        {"Q3_K_S", 18322872000},
        {"Q3_K_M", 20061148864},
        {"Q4_K_S", 23808202432},
        {"Q4_K_M", 25452369600},
        {"Q5_0",   28970866368},
        {"Q3_K_L", 21598361280},
        {"Q4_0",   23808202432},
        {"Q4_1",   26389534400},
        {"Q5_1",   31552198336},
        {"Q5_K_S", 28970866368},
        {"Q5_K_M", 30642034368},
        {"Q6_K",   34456196800},
        {"Q8_0",   44458858176},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fal_plan_summary s = plan(&alfred, cases[i].mix, FAL_RECIPE_2023);
        assert_int_equal(s.bytes + 2315968, cases[i].bytes);
        assert_int_equal(s.n_fallback_tensors, 0);
        assert_int_equal(s.n_parameters, 41835970560);
    }
    assert_int_equal(plan(&alfred, "Q2_K", FAL_RECIPE_CURRENT).bytes + 2315968, 15763986112);
    assert_int_equal(plan(&alfred, "Q3_K_M", FAL_RECIPE_CURRENT).bytes + 2315968, 20094703296);
    assert_int_equal(plan(&alfred, "Q4_K_M", FAL_RECIPE_CURRENT).bytes + 2315968, 25488021184);
}

/* 4544 columns are no multiple of 256: all but ffn_down falls back. */
static void test_falcon_7b_sizes(void **state) {
    (void)state;

    static const struct {
        const char *mix;
        uint64_t in_2023, now;
    } cases[] = {
        {"Q2_K",   4022603264, 3857419776},
        {"Q2_K_S", 0,          3666426368},
        {"Q3_K_S", 4124825088, 3857419776},
        {"Q3_K_M", 4363439616, 4138493440},
        {"Q3_K_L", 4559595008, 4375944704},
        {"Q4_0",   4208434688, 4208434688},
        {"Q4_1",   4641023488, 4641023488},
        {"Q4_K_S", 4743245312, 4743245312},
        {"Q4_K_M", 4972826368, 4972826368},
        {"Q5_0",   5073612288, 5073612288},
        {"Q5_1",   5506201088, 5506201088},
        {"Q5_K_S", 5341017600, 5341017600},
        {"Q5_K_M", 5728820736, 5728820736},
        {"Q6_K",   7029059072, 7029059072},
        {"Q8_0",   7669145088, 7669145088},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(plan(&falcon_7b, cases[i].mix, FAL_RECIPE_CURRENT).bytes, cases[i].now);
        if (cases[i].in_2023)
            assert_int_equal(plan(&falcon_7b, cases[i].mix, FAL_RECIPE_2023).bytes,
                             cases[i].in_2023);
    }
    fal_plan_summary s = plan(&falcon_7b, "Q4_K_M", FAL_RECIPE_CURRENT);
    assert_int_equal(s.n_matrices, 130);
    assert_int_equal(s.n_k_tensors, 32);
    assert_int_equal(s.n_fallback_tensors, 97);
}

static int count(fal_tensor_class class, const char *type) {
    int n = 0;
    for (size_t i = 0; i < m.n; i++)
        n += m.entries[i].class == class && strcmp(m.entries[i].used->name, type) == 0;
    return n;
}

static void test_starcoder_counts(void **state) {
    (void)state;
    plan(&starcoder, "Q4_K_M", FAL_RECIPE_CURRENT);
    assert_int_equal(count(FAL_CLASS_FFN_DOWN, "q6_k"), 20);
    assert_int_equal(count(FAL_CLASS_FFN_DOWN, "q4_k"), 20);
    assert_int_equal(count(FAL_CLASS_ATTN_QKV, "q5_k"), 40);
    assert_int_equal(count(FAL_CLASS_ATTN_OUTPUT, "q4_k"), 40);
    assert_int_equal(count(FAL_CLASS_TOKEN_EMBD, "q6_k"), 1); /* is the head */
    plan(&starcoder, "Q3_K_M", FAL_RECIPE_CURRENT);
    assert_int_equal(count(FAL_CLASS_FFN_DOWN, "q5_k"), 2);
    assert_int_equal(count(FAL_CLASS_FFN_DOWN, "q4_k"), 38);
    plan(&starcoder, "Q5_K_M", FAL_RECIPE_CURRENT);
    assert_int_equal(count(FAL_CLASS_FFN_DOWN, "q6_k"), 20);
    assert_int_equal(count(FAL_CLASS_FFN_DOWN, "q5_k"), 20);
    plan(&starcoder, "Q4_K_S", FAL_RECIPE_CURRENT);
    assert_int_equal(count(FAL_CLASS_FFN_DOWN, "q5_k"), 5);
    plan(&starcoder, "Q4_K_S", FAL_RECIPE_2023);
    assert_int_equal(count(FAL_CLASS_FFN_DOWN, "q5_k"), 4);
    plan(&starcoder, "Q2_K", FAL_RECIPE_2023);
    assert_int_equal(count(FAL_CLASS_FFN_UP, "q3_k"), 40);
    assert_int_equal(count(FAL_CLASS_ATTN_OUTPUT, "q3_k"), 40);
    plan(&starcoder, "Q2_K", FAL_RECIPE_CURRENT);
    assert_int_equal(count(FAL_CLASS_FFN_UP, "q2_k"), 40);
}

static void test_wishes(void **state) {
    (void)state;
    build(&falcon_7b);
    const fal_type_wish wishes[] = {
        {"ffn_down",    fal_type_by_name("q8_0")},
        {"^blk\\.3\\.", fal_type_by_name("q6_k")}
    };
    fal_type_plan_options o = {.mix = fal_mix_by_name("q4_0"),
                               .architecture = "falcon",
                               .n_layers = 32,
                               .output_type = fal_type_by_name("f16"),
                               .embedding_type = fal_type_by_name("q5_1"),
                               .wishes = wishes,
                               .n_wishes = 2};
    fal_error err = {0};
    CHECK_OK(fal_type_plan_make(m.entries, m.tensors, m.n, &o, &err), &err);
    assert_int_equal(count(FAL_CLASS_FFN_DOWN, "q8_0"), 32);
    assert_int_equal(count(FAL_CLASS_FFN_UP, "q8_0"),
                     1); /* q6_k was wished, 4544 columns fall back */
    assert_int_equal(count(FAL_CLASS_OUTPUT, "f16"), 1);
    assert_int_equal(count(FAL_CLASS_TOKEN_EMBD, "q5_1"), 1);
    assert_int_equal(count(FAL_CLASS_KEEP, "f32"), 2 + 64);
    const fal_type_wish bad = {"ffn(", fal_type_by_name("q8_0")};
    o.wishes = &bad;
    o.n_wishes = 1;
    CHECK_STATUS(fal_type_plan_make(m.entries, m.tensors, m.n, &o, &err), FAL_E_ARGUMENT, &err,
                 "'ffn('");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alfred_sizes), cmocka_unit_test(test_falcon_7b_sizes),
        cmocka_unit_test(test_starcoder_counts), cmocka_unit_test(test_wishes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
