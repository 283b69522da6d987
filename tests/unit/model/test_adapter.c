/* Adapters on disk: what is written is what was trained, under the names and in the order of others; what is read fits the
 * model or is refused by name. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/folder.h"
#include "formats/json_file.h"
#include "formats/safetensors_write.h"
#include "model/adapter.h"
#include "unit/formats/temp_folder.h"

static temp_folder temp;

static int make_folder(void **state) {
    (void)state;
    temp = temp_folder_make();
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    (void)fal_folder_remove(temp_path(&temp, "adapter"), NULL);
    temp_remove(&temp);
    return 0;
}

static const fal_params grouped = {
    .n_layers = 2,
    .n_heads = 6,
    .n_kv_heads = 2,
    .head_dim = 4,
    .d_model = 24,
    .d_ff = 40,
    .n_vocab = 32,
    .n_context = 64,
    .norm_epsilon = 1e-5f,
    .features = FAL_FEATURE_ROPE | FAL_FEATURE_PARALLEL | FAL_FEATURE_TWO_NORMS,
    .rope = {.base = 10000, .factor = 1, .trained_context = 64, .attention_factor = 1},
    .has_tied_head = true,
    .bos = -1,
    .eos = -1
};

static fal_params params_of(int n_kv_heads, unsigned features, bool has_tied_head) {
    fal_params p = grouped;
    p.n_kv_heads = n_kv_heads;
    p.features = features;
    p.has_tied_head = has_tied_head;
    p.rope.method = fal_rope_method_by_name("none");
    return p;
}

static fal_trainable *open_trained(const fal_params *p, const fal_lora_options *lora) {
    fal_trainable *t;
    fal_error err = {0};
    const fal_trainable_options options = {.seed = 7, .lora = *lora};
    CHECK_OK(fal_trainable_open_fresh(&t, &fal_arch_falcon, p, &options, &err), &err);
    for (int i = 0; i < fal_trainable_count(t); i++) {
        fal_trainable_weight *w = fal_trainable_at(t, i);
        float *value = w->value.data;
        for (int64_t k = 0; !w->is_frozen && k < w->n_rows * w->n_cols; k++)
            value[k] = (float)(i + 1) + (float)k / 1024;
    }
    return t;
}

static fal_adapter *open_adapter(const fal_params *p) {
    fal_adapter *a;
    fal_error err = {0};
    CHECK_OK(fal_adapter_open(&a, temp_path(&temp, "adapter"), &fal_arch_falcon, p, &err), &err);
    return a;
}

static void check_rows(const fal_trainable *t, const fal_trainable_weight *w,
                       const fal_checkpoint_tensor *found, bool is_regrouped) {
    const fal_params *p = fal_trainable_params(t);
    assert_non_null(found);
    assert_int_equal(found->bytes, (size_t)(w->n_rows * w->n_cols) * sizeof(float));
    for (int64_t row = 0; row < w->n_rows; row++) {
        int64_t at = is_regrouped ? fal_qkv_row_in_hf(p, row) : row;
        assert_memory_equal((const float *)found->data + at * w->n_cols,
                            fal_tensor_f32_row(w->value, row), (size_t)w->n_cols * sizeof(float));
    }
}

/* Every trained weight is in the folder, and nothing else. */
static void check_written(fal_trainable *t, const fal_lora_options *lora) {
    fal_adapter *a = open_adapter(fal_trainable_params(t));
    int n_changed = 0;
    for (int i = 0; i < fal_trainable_count(t); i++) {
        const fal_trainable_weight *w = fal_trainable_at(t, i);
        char name[FAL_WEIGHT_NAME_SIZE];
        fal_weight_gguf_name(w->id, w->layer, name);
        const fal_adapter_change *change = fal_adapter_find(a, name);
        if (w->part == FAL_TRAINABLE_WHOLE) {
            if (change) n_changed++;
            if (!w->is_frozen) check_rows(t, w, change->whole, false);
            continue;
        }
        assert_non_null(change);
        assert_true(change->scale == (float)(lora->alpha / lora->rank));
        bool is_b = w->part == FAL_TRAINABLE_LORA_B;
        check_rows(t, w, is_b ? change->b : change->a, is_b && w->id == FAL_WEIGHT_ATTN_QKV);
    }
    /* A head of its own stands for the one that shares the embedding's weight. */
    bool has_second_head = lora->with_embeddings && fal_trainable_params(t)->has_tied_head;
    assert_int_equal(fal_adapter_find(a, "output.weight") != NULL, lora->with_embeddings);
    assert_int_equal(fal_adapter_count(a), n_changed + has_second_head);
    fal_adapter_close(a);
}

static void test_written_is_read(void **state) {
    (void)state;
    static const unsigned falcon = FAL_FEATURE_ROPE | FAL_FEATURE_PARALLEL,
                          rw = FAL_FEATURE_ALIBI | FAL_FEATURE_BIAS;
    const fal_params variants[] = {params_of(2, falcon | FAL_FEATURE_TWO_NORMS, true),
                                   params_of(1, falcon, false), params_of(6, rw, true)};
    const fal_lora_options lora[] = {
        {.rank = 4,                .alpha = 6},
        {         .rank = 3,   .alpha = 0.5,                .with_norms = true},
        { .rank = 1, .alpha = 1,           .with_norms = true, .with_embeddings = true}
    };
    fal_error err = {0};
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        for (size_t k = 0; k < sizeof lora / sizeof *lora; k++) {
            fal_trainable *t = open_trained(&variants[i], &lora[k]);
            CHECK_OK(
                fal_trainable_write_adapter(t, "base", temp_path(&temp, "adapter"), true, &err),
                &err);
            check_written(t, &lora[k]);
            fal_trainable_close(t);
        }
    }
}

/* The names that PEFT looks for. */
static void test_names(void **state) {
    (void)state;
    const fal_params p = params_of(2, grouped.features, true);
    const fal_lora_options lora = {.rank = 2, .alpha = 4, .with_norms = true};
    fal_error err = {0};
    fal_trainable *t = open_trained(&p, &lora);
    CHECK_OK(fal_trainable_write_adapter(t, "falcon", temp_path(&temp, "adapter"), true, &err),
             &err);
    json_t *config;
    CHECK_OK(fal_json_read_file(&config, temp_path(&temp, "adapter/adapter_config.json"), &err),
             &err);
    char *targets = json_dumps(json_object_get(config, "target_modules"), JSON_COMPACT),
         *saved = json_dumps(json_object_get(config, "modules_to_save"), JSON_COMPACT);
    assert_string_equal(targets,
                        "[\"dense\",\"dense_4h_to_h\",\"dense_h_to_4h\",\"query_key_value\"]");
    assert_string_equal(saved, "[\"ln_attn\",\"ln_f\",\"ln_mlp\"]");
    assert_true(json_is_integer(json_object_get(config, "lora_alpha")));
    free(targets);
    free(saved);
    json_decref(config);
    char *text;
    size_t length;
    CHECK_OK(fal_file_read(&text, &length, temp_path(&temp, "adapter/adapter_model.safetensors"),
                           1 << 20, &err),
             &err);
    const fal_slice whole = {text, length};
    assert_true(fal_slice_contains(whole,
                                   "\"base_model.model.transformer.h.1.self_attention."
                                   "query_key_value.lora_B.weight\"",
                                   false));
    assert_true(fal_slice_contains(whole, "\"base_model.model.transformer.ln_f.bias\"", false));
    fal_free(text);
    fal_trainable_close(t);
}

static void test_context(void **state) {
    (void)state;
    const fal_params p = params_of(1, FAL_FEATURE_ROPE | FAL_FEATURE_PARALLEL, true);
    const fal_lora_options lora = {.rank = 2, .alpha = 2};
    fal_error err = {0};
    fal_trainable *t = open_trained(&p, &lora);
    fal_rope_settings rope = p.rope;
    rope.method = fal_rope_method_by_name("ntk-yarn");
    rope.factor = 4;
    CHECK_OK(fal_trainable_set_rope(t, &rope, &err), &err);
    CHECK_OK(fal_trainable_write_adapter(t, "base", temp_path(&temp, "adapter"), true, &err), &err);
    fal_adapter *a = open_adapter(&p);
    int n_context = 0;
    const fal_rope_settings *read = fal_adapter_rope(a, &n_context);
    assert_non_null(read);
    assert_ptr_equal(read->method, rope.method);
    assert_true(read->factor == 4 && read->base == 10000 && read->trained_context == 64);
    assert_int_equal(n_context, 256);
    fal_adapter_close(a);
    rope.method = fal_rope_method_by_name("none");
    rope.factor = 1;
    CHECK_OK(fal_trainable_set_rope(t, &rope, &err), &err);
    CHECK_OK(fal_trainable_write_adapter(t, "base", temp_path(&temp, "adapter"), true, &err), &err);
    a = open_adapter(&p);
    assert_null(fal_adapter_rope(a, &n_context));
    fal_adapter_close(a);
    fal_trainable_close(t);
}

static void test_folders(void **state) {
    (void)state;
    const fal_params p = params_of(1, FAL_FEATURE_ROPE | FAL_FEATURE_PARALLEL, true);
    const fal_lora_options lora = {.rank = 1, .alpha = 1}, none = {0};
    const char *path = temp_path(&temp, "adapter");
    fal_error err = {0};
    fal_trainable *t = open_trained(&p, &lora);
    CHECK_OK(fal_trainable_write_adapter(t, "base", path, true, &err), &err);
    CHECK_STATUS(fal_trainable_write_adapter(t, "base", path, false, &err), FAL_E_ARGUMENT, &err,
                 "is there already");
    CHECK_OK(fal_file_write(temp_path(&temp, "adapter/.notes"), "x", 1, &err), &err);
    CHECK_STATUS(fal_trainable_write_adapter(t, "base", path, true, &err), FAL_E_ARGUMENT, &err,
                 "'.notes', which would be lost");
    fal_file_remove(temp_path(&temp, "adapter/.notes"));
    assert_int_equal(temp_count(&temp), 1);
    fal_trainable_close(t);
    t = open_trained(&p, &none);
    CHECK_STATUS(fal_trainable_write_adapter(t, "base", path, true, &err), FAL_E_ARGUMENT, &err,
                 "no adapters");
    fal_trainable_close(t);
}

/* ---- adapters of others ---- */

#define QKV   "base_model.model.transformer.h.0.self_attention.query_key_value"
#define ALPHA "\"lora_alpha\": 4"

/* A folder with one config and up to two matrices. */
typedef struct foreign {
    const char *config;
    const char *names[2];
    int64_t shapes[2][2];
    fal_status status;
    const char *fragment; /* of the failure's message */
} foreign;

static void write_foreign(const foreign *f) {
    fal_error err = {0};
    fal_safetensors_writer *w;
    static const float values[24 * 64];
    CHECK_OK(fal_folder_make(temp_path(&temp, "adapter"), &err), &err);
    CHECK_OK(fal_file_write(temp_path(&temp, "adapter/adapter_config.json"), f->config,
                            strlen(f->config), &err),
             &err);
    CHECK_OK(fal_safetensors_writer_open(&w, &err), &err);
    for (int i = 0; i < 2; i++) {
        if (f->names[i])
            CHECK_OK(
                fal_safetensors_add(w, f->names[i], fal_type_by_name("f32"), 2, f->shapes[i], &err),
                &err);
    }
    CHECK_OK(fal_safetensors_begin(w, temp_path(&temp, "adapter/adapter_model.safetensors"), &err),
             &err);
    CHECK_OK(fal_safetensors_write(w, values, fal_safetensors_data_bytes(w), &err), &err);
    CHECK_OK(fal_safetensors_commit(w, &err), &err);
    fal_safetensors_writer_close(w);
}

static void test_foreign_adapters(void **state) {
    (void)state;
    static const foreign cases[] = {
        {"{" ALPHA "}",
         {QKV ".lora_A.weight", QKV ".lora_B.weight"},
         {{2, 24}, {40, 2}},
         FAL_OK,                                                                                                                         ""                     },
        {"{" ALPHA "}",
         {QKV ".lora_A.default.weight", QKV ".lora_B.default.weight"},
         {{2, 24}, {40, 2}},
         FAL_OK,                                                                                                                         ""                     },
        {"{" ALPHA "}",
         {"base_model.model.h.1.mlp.dense_h_to_4h.lora_A.weight",
          "base_model.model.h.1.mlp.dense_h_to_4h.lora_B.weight"},
         {{1, 24}, {40, 1}},
         FAL_OK,                                                                                                                         ""                     },
        {"{" ALPHA "}",                                        {"base_model.model.lm_head.weight", NULL}, {{32, 24}}, FAL_OK,            ""                     },
        {"{" ALPHA "}",
         {"base_model.model.lm_head.modules_to_save.weight", NULL},
         {{32, 24}},
         FAL_OK,                                                                                                                         ""                     },
        {"{" ALPHA ", \"peft_type\": \"IA3\"}",
         {NULL, NULL},
         {{0}},
         FAL_E_UNSUPPORTED,                                                                                                              "peft_type 'IA3'"      },
        {"{" ALPHA ", \"use_dora\": true}",
         {NULL, NULL},
         {{0}},
         FAL_E_UNSUPPORTED,                                                                                                              "'use_dora' is set"    },
        {"{" ALPHA ", \"bias\": \"all\"}",                     {NULL, NULL},                              {{0}},      FAL_E_UNSUPPORTED, "bias 'all'"           },
        {"{" ALPHA ", \"init_lora_weights\": \"pissa\"}",
         {NULL, NULL},
         {{0}},
         FAL_E_UNSUPPORTED,                                                                                                              "'pissa'"              },
        {"{" ALPHA ", \"layer_replication\": [[0, 1]]}",
         {NULL, NULL},
         {{0}},
         FAL_E_UNSUPPORTED,                                                                                                              "layer_replication"    },
        {"{}",                                                 {NULL, NULL},                              {{0}},      FAL_E_FORMAT,      "lora_alpha"           },
        {"[]",                                                 {NULL, NULL},                              {{0}},      FAL_E_FORMAT,      "no object"            },
        {"{" ALPHA "}",                                        {NULL, NULL},                              {{0}},      FAL_E_FORMAT,      "no tensors"           },
        {"{" ALPHA "}",
         {QKV ".lora_A.weight", NULL},
         {{2, 24}},
         FAL_E_FORMAT,                                                                                                                   "no counterpart lora_B"},
        {"{" ALPHA "}",
         {QKV ".lora_B.weight", NULL},
         {{40, 2}},
         FAL_E_FORMAT,                                                                                                                   "no counterpart lora_A"},
        {"{" ALPHA "}",
         {QKV ".lora_A.weight", QKV ".lora_B.weight"},
         {{2, 24}, {40, 3}},
         FAL_E_FORMAT,                                                                                                                   "[40, 2] is needed"    },
        {"{" ALPHA "}",
         {QKV ".lora_A.weight", QKV ".lora_B.weight"},
         {{2, 20}, {40, 2}},
         FAL_E_FORMAT,                                                                                                                   "[rank, 24] is needed" },
        {"{" ALPHA "}",
         {"base_model.model.lm_head.weight", NULL},
         {{40, 24}},
         FAL_E_FORMAT,                                                                                                                   "[32, 24] is needed"   },
        {"{" ALPHA "}",
         {QKV ".lora_magnitude_vector", NULL},
         {{1, 24}},
         FAL_E_UNSUPPORTED,                                                                                                              "lora_magnitude_vector"},
        {"{" ALPHA "}",
         {"base_model.model.transformer.h.2.mlp.dense_h_to_4h.lora_A.weight", NULL},
         {{1, 24}},
         FAL_E_UNSUPPORTED,                                                                                                              "belongs to no weight" },
        {"{" ALPHA "}",
         {"lora_A.weight", NULL},
         {{1, 24}},
         FAL_E_UNSUPPORTED,                                                                                                              "belongs to no weight" },
        {"{" ALPHA "}",
         {QKV ".lora_A.weight", QKV ".lora_A.default.weight"},
         {{2, 24}, {2, 24}},
         FAL_E_FORMAT,                                                                                                                   "for the same weight"  },
        {"{" ALPHA ", \"alpha_pattern\": {\"h.[0-9].*\": 1}}",
         {QKV ".lora_A.weight", QKV ".lora_B.weight"},
         {{2, 24}, {40, 2}},
         FAL_E_UNSUPPORTED,                                                                                                              "alpha_pattern"        },
        {"{\"lora_alpha\": 1e300}",
         {QKV ".lora_A.weight", QKV ".lora_B.weight"},
         {{2, 24}, {40, 2}},
         FAL_E_FORMAT,                                                                                                                   "out of range"         },
    };
    const fal_params p = params_of(2, grouped.features, true);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fal_adapter *a;
        fal_error err = {0};
        write_foreign(&cases[i]);
        CHECK_STATUS(fal_adapter_open(&a, temp_path(&temp, "adapter"), &fal_arch_falcon, &p, &err),
                     cases[i].status, &err, cases[i].fragment);
        fal_adapter_close(a);
    }
}

/* alpha / rank, alpha / sqrt(rank), and an alpha of a module's own. */
static void test_scales(void **state) {
    (void)state;

    static const struct {
        const char *config;
        double scale;
    } cases[] = {
        {"{\"lora_alpha\": 8}",                                                                  2  },
        {"{\"lora_alpha\": 8, \"use_rslora\": true}",                                            4  },
        {"{\"lora_alpha\": 8, \"alpha_pattern\": {\"query_key_value\": 2}}",                     0.5},
        {"{\"lora_alpha\": 8, \"alpha_pattern\": {\"key_value\": 2}}",                           2  },
        {"{\"lora_alpha\": 8, \"alpha_pattern\": {\"h.0.self_attention.query_key_value\": 12}}", 3  },
    };

    const fal_params p = params_of(2, grouped.features, true);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const foreign f = {
            .config = cases[i].config,
            .names = {QKV ".lora_A.weight", QKV ".lora_B.weight"},
            .shapes = {{4, 24},              {40, 4}             }
        };
        write_foreign(&f);
        fal_adapter *a = open_adapter(&p);
        CHECK_NEAR(fal_adapter_find(a, "blk.0.attn_qkv.weight")->scale, cases[i].scale, 1e-6);
        assert_null(fal_adapter_find(a, "blk.1.attn_qkv.weight"));
        fal_adapter_close(a);
    }
}

/* No block is lost, whichever allocation fails, and no half folder stays. */
static void test_short_memory(void **state) {
    (void)state;
    const fal_params p = params_of(2, grouped.features, true);
    const fal_lora_options lora = {.rank = 2, .alpha = 2};
    fal_trainable *t = open_trained(&p, &lora);
    long live = fal_alloc_live();
    fal_status status = FAL_E_MEMORY;
    for (long n = 1; status != FAL_OK; n++) {
        fal_adapter *a = NULL;
        const char *path = temp_path(&temp, "adapter");
        fal_alloc_fail_at(n);
        status = fal_trainable_write_adapter(t, "base", path, true, NULL);
        if (status == FAL_OK) status = fal_adapter_open(&a, path, &fal_arch_falcon, &p, NULL);
        fal_alloc_fail_at(0);
        fal_adapter_close(a);
        assert_int_equal(fal_alloc_live(), live);
        assert_in_range(temp_count(&temp), 0, 1);
    }
    fal_trainable_close(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written_is_read),  cmocka_unit_test(test_names),
        cmocka_unit_test(test_context),          cmocka_unit_test(test_folders),
        cmocka_unit_test(test_foreign_adapters), cmocka_unit_test(test_scales),
        cmocka_unit_test(test_short_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
