/* Adapters merged into files and folders are what training folds, bit for bit, for every golden variant. */
#include "base/random.h"
#include "convert/convert.h"
#include "convert/quantize.h"
#include "convert/to_hf.h"
#include "golden/golden_compare.h"
#include "model/adapter.h"

static char scratch[GOLDEN_PATH_SIZE];
static const fal_log silent = {0};

static int make_scratch(void **state) {
    (void)state;
    golden_scratch_make(scratch);
    return 0;
}

static int remove_scratch(void **state) {
    (void)state;
    golden_scratch_remove(scratch);
    return 0;
}

static void join(char path[GOLDEN_PATH_SIZE], const char *name) {
    golden_join(path, scratch, name);
}

/* A model with adapters whose trained numbers are drawn. */
static fal_trainable *open_trained(const char *path, const fal_lora_options *lora) {
    fal_error err = {0};
    fal_gguf *file;
    fal_trainable *t;
    const fal_trainable_options options = {.seed = 3, .lora = *lora};
    fal_random random = fal_random_seeded(5, 0);
    CHECK_OK(fal_gguf_open(&file, path, &err), &err);
    CHECK_OK(fal_trainable_open_gguf(&t, file, &options, &err), &err);
    fal_gguf_close(file);
    for (int i = 0; i < fal_trainable_count(t); i++) {
        fal_trainable_weight *w = fal_trainable_at(t, i);
        float *value = w->value.data;
        for (int64_t k = 0; !w->is_frozen && k < w->n_rows * w->n_cols; k++)
            value[k] = (float)fal_random_normal(&random) / 4;
    }
    return t;
}

static void write_trained(const fal_trainable *t, const char *like, const char *type,
                          const char *path) {
    fal_error err = {0};
    fal_gguf *file;
    CHECK_OK(fal_gguf_open(&file, like, &err), &err);
    CHECK_OK(fal_trainable_write_gguf(t, file, fal_type_by_name(type), path, &err), &err);
    fal_gguf_close(file);
}

static fal_status open_merged(fal_source **out, const char *base_path, const char *adapter,
                              fal_error *err) {
    fal_source *base;
    FAL_TRY(fal_source_open(&base, base_path, false, &silent, err));
    return fal_source_open_merged(out, base, adapter, err);
}

static void merge(const char *base, const char *adapter, const char *mix, const char *path) {
    fal_error err = {0};
    fal_source *source;
    CHECK_OK(open_merged(&source, base, adapter, &err), &err);
    fal_quantize_output output = {.path = path, .plan = {.mix = fal_mix_by_name(mix)}};
    const fal_quantize_options how = {.n_threads = 3};
    CHECK_OK(fal_quantize_write(source, &output, 1, &how, &err), &err);
    fal_source_close(source);
}

static void check_same_tensors(const char *path, const char *other) {
    fal_error err = {0};
    fal_gguf *a, *b;
    CHECK_OK(fal_gguf_open(&a, path, &err), &err);
    CHECK_OK(fal_gguf_open(&b, other, &err), &err);
    assert_int_equal(fal_gguf_tensor_count(a), fal_gguf_tensor_count(b));
    for (int i = 0; i < fal_gguf_tensor_count(a); i++) {
        const fal_gguf_tensor *t = fal_gguf_tensor_at(a, i), *u = fal_gguf_tensor_find(b, t->name);
        if (!u) fail_msg("tensor '%s' is not in %s", t->name, other);
        assert_int_equal(t->type_id, u->type_id);
        assert_int_equal(t->bytes, u->bytes);
        if (memcmp(t->data, u->data, t->bytes) != 0)
            fail_msg("tensor '%s' is another in %s", t->name, other);
    }
    fal_gguf_close(a);
    fal_gguf_close(b);
}

static void check_model(const golden_model *model, const fal_lora_options *lora) {
    char inner[GOLDEN_PATH_SIZE], base[GOLDEN_PATH_SIZE], adapter[GOLDEN_PATH_SIZE],
        trained[GOLDEN_PATH_SIZE], merged[GOLDEN_PATH_SIZE];
    fal_error err = {0};
    golden_scratch_make(inner);
    golden_convert(model, "f32", inner, base);
    join(trained, "trained.gguf");
    join(merged, "merged.gguf");
    join(adapter, "adapter");
    fal_trainable *t = open_trained(base, lora);
    CHECK_OK(fal_trainable_write_adapter(t, model->name, adapter, true, &err), &err);
    write_trained(t, base, "f32", trained);
    merge(base, adapter, "F32", merged);
    check_same_tensors(trained, merged);
    write_trained(t, base, "f16", trained);
    merge(base, adapter, "F16", merged);
    check_same_tensors(trained, merged);
    if (!model->variant[0]) { /* the checkpoint itself as base */
        merge(model->folder, adapter, "F16", merged);
        check_same_tensors(trained, merged);
    }
    fal_trainable_close(t);
    golden_scratch_remove(inner);
}

static void test_all_variants(void **state) {
    (void)state;
    static golden_model models[GOLDEN_MAX_FOLDERS];
    const fal_lora_options lora[] = {
        {.rank = 4,           .alpha = 6             },
        { .rank = 1, .alpha = 3, .with_norms = true, .with_embeddings = true}
    };
    size_t n = golden_find(FAL_SOURCE_DIR "/tests/golden/models", models, GOLDEN_MAX_FOLDERS);
    assert_in_range(n, 10, GOLDEN_MAX_FOLDERS);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < sizeof lora / sizeof *lora; k++)
            check_model(&models[i], &lora[k]);
    }
}

/* Adapters that others trained, merged: the logits are those of the reference, which merges in its own way. */
static void check_foreign(const char *name, const char *adapter) {
    static const golden_bounds bounds = {1e-5, 2e-5, 2e-4, true};
    static golden_result expected;
    char checkpoint[GOLDEN_PATH_SIZE], merged[GOLDEN_PATH_SIZE], path[GOLDEN_PATH_SIZE];
    fal_error err = {0};
    fal_model *model;
    golden_join(checkpoint, FAL_SOURCE_DIR "/tests/golden/models", name);
    golden_join(path, adapter, "expected.json");
    json_t *json = golden_json(path), *list = json_object_get(json, "default");
    assert_in_range(json_array_size(list), 1, 10);
    join(merged, "merged.gguf");
    merge(checkpoint, adapter, "F32", merged);
    CHECK_OK(fal_model_open(&model, merged, NULL, &err), &err);
    for (size_t i = 0; i < json_array_size(list); i++) {
        golden_result_read(&expected, json_array_get(list, i));
        golden_compare_result(model, &expected, NULL, &bounds);
    }
    fal_model_close(model);
    json_decref(json);
}

static void test_foreign_adapters(void **state) {
    (void)state;
    static const char *const names[] = {"falcon-7b-like", "falcon-40b-like", "falcon-rw-like"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char adapter[GOLDEN_PATH_SIZE];
        golden_join(adapter, FAL_SOURCE_DIR "/tests/golden/adapters", names[i]);
        check_foreign(names[i], adapter);
    }
}

static const golden_model multi_query = {
    .name = "falcon-7b-like",
    .folder = FAL_SOURCE_DIR "/tests/golden/models/falcon-7b-like",
};

/* The context that the adapter was trained with becomes the model's, in a file and in a folder. */
static void test_context(void **state) {
    (void)state;
    char inner[GOLDEN_PATH_SIZE], base[GOLDEN_PATH_SIZE], adapter[GOLDEN_PATH_SIZE],
        merged[GOLDEN_PATH_SIZE], folder[GOLDEN_PATH_SIZE];
    const fal_lora_options lora = {.rank = 2, .alpha = 2};
    fal_error err = {0};
    golden_scratch_make(inner);
    golden_convert(&multi_query, "f32", inner, base);
    golden_join(merged, inner, "merged.gguf");
    golden_join(adapter, inner, "adapter");
    golden_join(folder, inner, "folder");
    fal_trainable *t = open_trained(base, &lora);
    fal_rope_settings rope = fal_trainable_params(t)->rope;
    rope.method = fal_rope_method_by_name("ntk-yarn");
    rope.factor = 4;
    CHECK_OK(fal_trainable_set_rope(t, &rope, &err), &err);
    CHECK_OK(fal_trainable_write_adapter(t, "base", adapter, false, &err), &err);
    fal_trainable_close(t);
    fal_source *source;
    CHECK_OK(open_merged(&source, base, adapter, &err), &err);
    CHECK_OK(fal_write_hf_folder(source, folder, NULL, &err), &err);
    fal_source_close(source);
    merge(base, adapter, "F32", merged);
    const char *const paths[] = {base, merged};
    for (size_t i = 0; i < 2; i++) {
        if (i == 0) CHECK_OK(fal_convert_folder(folder, base, NULL, &err), &err);
        fal_gguf *file;
        const fal_arch *arch;
        fal_params p;
        CHECK_OK(fal_gguf_open(&file, paths[i], &err), &err);
        CHECK_OK(fal_trainable_read_params(&arch, &p, file, &err), &err);
        assert_ptr_equal(p.rope.method, rope.method);
        assert_true(p.rope.factor == 4 && p.rope.base == rope.base);
        assert_int_equal(p.n_context, 8192);
        fal_gguf_close(file);
    }
    golden_scratch_remove(inner);
}

/* f16 holds less than what the sum becomes: in a file and in a folder. */
static void test_large_weights(void **state) {
    (void)state;
    char inner[GOLDEN_PATH_SIZE], base[GOLDEN_PATH_SIZE], adapter[GOLDEN_PATH_SIZE],
        out[GOLDEN_PATH_SIZE];
    const fal_lora_options lora = {.rank = 2, .alpha = 1e6};
    const fal_to_hf_options f16 = {.type = "f16"};
    fal_error err = {0};
    fal_source *source;
    golden_scratch_make(inner);
    golden_convert(&multi_query, "f16", inner, base);
    golden_join(adapter, inner, "adapter");
    golden_join(out, inner, "out.gguf");
    fal_trainable *t = open_trained(base, &lora);
    CHECK_OK(fal_trainable_write_adapter(t, "base", adapter, false, &err), &err);
    fal_trainable_close(t);
    CHECK_OK(open_merged(&source, base, adapter, &err), &err);
    fal_quantize_output output = {.path = out, .plan = {.mix = fal_mix_by_name("F16")}};
    CHECK_STATUS(fal_quantize_write(source, &output, 1, NULL, &err), FAL_E_FORMAT, &err, "65520");
    CHECK_STATUS(fal_write_hf_folder(source, out, &f16, &err), FAL_E_FORMAT, &err, "65520");
    fal_source_close(source);
    golden_scratch_remove(inner);
}

static void test_refusals(void **state) {
    (void)state;
    char inner[GOLDEN_PATH_SIZE], base[GOLDEN_PATH_SIZE], adapter[GOLDEN_PATH_SIZE];
    const fal_lora_options lora = {.rank = 2, .alpha = 2};
    fal_error err = {0};
    fal_source *source;
    golden_scratch_make(inner);
    golden_convert(&multi_query, "f32", inner, base);
    golden_join(adapter, inner, "adapter");
    CHECK_STATUS(open_merged(&source, base, adapter, &err), FAL_E_NOT_FOUND, &err,
                 "adapter_config.json");
    assert_null(source);
    fal_trainable *t = open_trained(base, &lora);
    CHECK_OK(fal_trainable_write_adapter(t, "base", adapter, false, &err), &err);
    fal_trainable_close(t);
    /* An adapter of another model. */
    CHECK_STATUS(
        open_merged(&source, FAL_SOURCE_DIR "/tests/golden/models/starcoder-like", adapter, &err),
        FAL_E_UNSUPPORTED, &err, "belongs to no weight");
    assert_null(source);
    golden_scratch_remove(inner);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_variants), cmocka_unit_test(test_foreign_adapters),
        cmocka_unit_test(test_context),      cmocka_unit_test(test_large_weights),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
