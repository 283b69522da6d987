/* cli/built_in.h and <falconer/model.h>: a model in memory is the model in the file. */
#include "base/file.h"
#include "cli/built_in.h"
#include "unit/formats/gguf_bytes.h"

static void memory_and_file_are_the_same_model(void **state) {
    (void)state;
    const char *path = FAL_SOURCE_DIR "/tests/golden/models/quantized/q8_0.gguf";
    fal_error err = {0};
    fal_mapping mapping = {0};
    CHECK_OK(fal_mapping_open(&mapping, path, &err), &err);
    fal_model *by_path = NULL, *by_memory = NULL;
    CHECK_OK(fal_model_open(&by_path, path, NULL, &err), &err);
    CHECK_OK(fal_model_open_memory(&by_memory, mapping.data, mapping.length, "mine", NULL, &err),
             &err);
    const fal_model_info *a = fal_model_info_get(by_path), *b = fal_model_info_get(by_memory);
    assert_string_equal(a->architecture, b->architecture);
    assert_int_equal(a->n_parameters, b->n_parameters);
    assert_int_equal(a->weight_bytes, b->weight_bytes);
    assert_string_equal(fal_gguf_path(fal_model_gguf(by_memory)), "mine");
    assert_int_equal(fal_gguf_file_bytes(fal_model_gguf(by_memory)), mapping.length);
    fal_model_close(by_path);
    fal_model_close(by_memory);
    fal_mapping_release(&mapping);
}

static void damage_is_told_by_name(void **state) {
    (void)state;
    static const char bad[64] = "GGUX";
    fal_error err = {0};
    fal_model *model = NULL;
    CHECK_STATUS(fal_model_open_memory(&model, bad, sizeof bad, "mine", NULL, &err), FAL_E_FORMAT,
                 &err, "mine");
    assert_null(model);
    fal_gguf *file = NULL;
    CHECK_STATUS(fal_gguf_open_memory(&file, bad, sizeof bad, "mine", &err), FAL_E_FORMAT, &err,
                 "mine");
    assert_null(file);
}

/* Without a name it is the model inside the program, if there is one. */
static void no_name_is_the_model_inside(void **state) {
    (void)state;
    fal_error err = {0};
    fal_gguf *file = NULL;
    fal_slice model = fal_built_in_model();
    if (!model.data) {
        CHECK_STATUS(fal_named_gguf_open(&file, NULL, "name one", &err), FAL_E_ARGUMENT, &err,
                     "name one");
        return;
    }
    assert_int_equal((uintptr_t)model.data % 64, 0);
    CHECK_OK(fal_named_gguf_open(&file, NULL, "name one", &err), &err);
    assert_string_equal(fal_gguf_path(file), fal_built_in_name);
    fal_gguf_close(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_and_file_are_the_same_model),
        cmocka_unit_test(damage_is_told_by_name),
        cmocka_unit_test(no_name_is_the_model_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
