/* Hugging Face folders that are written: back again they are the same file, byte for byte, for every golden variant; and
 * the tensors are those of the original checkpoint, bit for bit. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/folder.h"
#include "convert/quantize.h"
#include "convert/to_hf.h"
#include "formats/checkpoint.h"
#include "formats/json_file.h"
#include "golden/golden_files.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

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

static fal_status write_folder(const char *path, const char *folder,
                               const fal_to_hf_options *options, fal_error *err) {
    fal_source *source;
    FAL_TRY(fal_source_open(&source, path, false, &silent, err));
    fal_status status = fal_write_hf_folder(source, folder, options, err);
    fal_source_close(source);
    return status;
}

static void check_same_bytes(const char *path, const char *other) {
    fal_error err = {0};
    char *a, *b;
    size_t a_length, b_length;
    CHECK_OK(fal_file_read(&a, &a_length, path, 1 << 26, &err), &err);
    CHECK_OK(fal_file_read(&b, &b_length, other, 1 << 26, &err), &err);
    if (a_length != b_length || memcmp(a, b, a_length) != 0)
        fail_msg("%s and %s differ", path, other);
    fal_free(a);
    fal_free(b);
}

/* The folder as a file, under the name that the file at like gives its model. */
static void convert_back(const char *folder, const char *like, const char *path) {
    fal_error err = {0};
    fal_gguf *file;
    fal_gguf_string found;
    char name[128];
    CHECK_OK(fal_gguf_open(&file, like, &err), &err);
    CHECK_OK(fal_gguf_get_string(file, "general.name", &found, &err), &err);
    snprintf(name, sizeof name, "%.*s", (int)found.length, found.data);
    const fal_convert_options options = {.type = "f32", .name = name};
    CHECK_OK(fal_convert_folder(folder, path, &options, &err), &err);
    fal_gguf_close(file);
}

static void check_trip(const char *path, const char *inner, const fal_to_hf_options *options) {
    char folder[GOLDEN_PATH_SIZE], again[GOLDEN_PATH_SIZE];
    fal_error err = {0};
    golden_join(folder, inner, "written");
    golden_join(again, inner, "again.gguf");
    CHECK_OK(write_folder(path, folder, options, &err), &err);
    convert_back(folder, path, again);
    check_same_bytes(path, again);
}

/* What the original has beyond the model (buffers, tensors without a place) is not asked for. */
static void check_tensors(const char *original, const char *written) {
    fal_error err = {0};
    fal_checkpoint *a, *b;
    int n_same = 0;
    CHECK_OK(fal_checkpoint_open(&a, original, &err), &err);
    CHECK_OK(fal_checkpoint_open(&b, written, &err), &err);
    for (int i = 0; i < fal_checkpoint_count(b); i++) {
        const fal_checkpoint_tensor *t = fal_checkpoint_at(b, i),
                                    *u = fal_checkpoint_find(a, t->name);
        if (!u && strncmp(t->name, "transformer.", 12) == 0)
            u = fal_checkpoint_find(a, t->name + 12);
        if (!u) fail_msg("tensor '%s' is not in %s", t->name, original);
        assert_ptr_equal(t->type, u->type);
        assert_int_equal(t->n_dims, u->n_dims);
        assert_memory_equal(t->shape, u->shape, sizeof t->shape);
        assert_memory_equal(t->data, u->data, t->bytes);
        n_same++;
    }
    assert_in_range(n_same, 8, 1000);
    fal_checkpoint_close(a);
    fal_checkpoint_close(b);
}

static void test_all_variants(void **state) {
    (void)state;
    static golden_model models[GOLDEN_MAX_FOLDERS];
    size_t n = golden_find(FAL_SOURCE_DIR "/tests/golden/models", models, GOLDEN_MAX_FOLDERS);
    assert_in_range(n, 10, GOLDEN_MAX_FOLDERS);
    for (size_t i = 0; i < n; i++) {
        char inner[GOLDEN_PATH_SIZE], path[GOLDEN_PATH_SIZE], folder[GOLDEN_PATH_SIZE];
        fal_error err = {0};
        golden_scratch_make(inner);
        golden_convert(&models[i], "f32", inner, path);
        check_trip(path, inner, NULL);
        golden_convert(&models[i], NULL, inner, path);
        golden_join(folder, inner, "own");
        CHECK_OK(write_folder(path, folder, NULL, &err), &err);
        check_tensors(models[i].folder, folder);
        /* A checkpoint may be written again without the way through a file. */
        golden_join(folder, inner, "direct");
        if (!models[i].variant[0]) {
            CHECK_OK(write_folder(models[i].folder, folder, NULL, &err), &err);
            check_tensors(models[i].folder, folder);
        }
        golden_scratch_remove(inner);
    }
}

static const golden_model grouped = {
    .name = "falcon-40b-like",
    .folder = FAL_SOURCE_DIR "/tests/golden/models/falcon-40b-like",
};

/* How many names in a folder end in suffix. */
static size_t count_names(const char *folder, const char *suffix) {
    fal_names names = {0};
    fal_error err = {0};
    CHECK_OK(fal_folder_list(&names, folder, suffix, &err), &err);
    size_t n = names.count;
    fal_names_release(&names);
    return n;
}

static void test_shards(void **state) {
    (void)state;
    char inner[GOLDEN_PATH_SIZE], path[GOLDEN_PATH_SIZE], folder[GOLDEN_PATH_SIZE];
    fal_error err = {0};
    golden_scratch_make(inner);
    golden_convert(&grouped, "f32", inner, path);
    const fal_to_hf_options options = {.shard_bytes = 150000, .n_threads = 3};
    check_trip(path, inner, &options);
    golden_join(folder, inner, "written");
    assert_in_range(count_names(folder, ".safetensors"), 3, 20);
    golden_join(path, folder, "model.safetensors.index.json");
    json_t *index;
    CHECK_OK(fal_json_read_file(&index, path, &err), &err);
    assert_true(
        json_integer_value(json_object_get(json_object_get(index, "metadata"), "total_size"))
        > 300000);
    json_decref(index);
    golden_scratch_remove(inner);
}

static void test_threads(void **state) {
    (void)state;
    char one[GOLDEN_PATH_SIZE], three[GOLDEN_PATH_SIZE], a[GOLDEN_PATH_SIZE], b[GOLDEN_PATH_SIZE];
    fal_error err = {0};
    const fal_to_hf_options by_one = {.type = "bf16", .n_threads = 1},
                            by_three = {.type = "bf16", .n_threads = 3};
    golden_join(one, scratch, "one");
    golden_join(three, scratch, "three");
    CHECK_OK(write_folder(grouped.folder, one, &by_one, &err), &err);
    CHECK_OK(write_folder(grouped.folder, three, &by_three, &err), &err);
    golden_join(a, one, "model.safetensors");
    golden_join(b, three, "model.safetensors");
    check_same_bytes(a, b);
}

/* A quantized file is decoded when that is asked for, to what its blocks stand for. */
static void test_quantized(void **state) {
    (void)state;
    const char *path = FAL_SOURCE_DIR "/tests/golden/models/quantized/q4_k.gguf";
    char folder[GOLDEN_PATH_SIZE], back[GOLDEN_PATH_SIZE], plain[GOLDEN_PATH_SIZE];
    fal_error err = {0};
    golden_join(folder, scratch, "decoded");
    CHECK_STATUS(write_folder(path, folder, NULL, &err), FAL_E_ARGUMENT, &err, "is quantized");
    const fal_to_hf_options q4 = {.type = "q4_k"}, f32 = {.type = "f32"};
    CHECK_STATUS(write_folder(path, folder, &q4, &err), FAL_E_ARGUMENT, &err, "'q4_k'");
    assert_false(fal_file_exists(folder));
    CHECK_OK(write_folder(path, folder, &f32, &err), &err);
    golden_join(back, scratch, "back.gguf");
    golden_join(plain, scratch, "plain.gguf");
    convert_back(folder, path, back);
    fal_source *source;
    CHECK_OK(fal_source_open(&source, path, false, &silent, &err), &err);
    fal_quantize_output output = {.path = plain, .plan = {.mix = fal_mix_by_name("F32")}};
    const fal_quantize_options decode = {.allow_requantize = true};
    CHECK_OK(fal_quantize_write(source, &output, 1, &decode, &err), &err);
    fal_source_close(source);
    fal_gguf *a, *b;
    CHECK_OK(fal_gguf_open(&a, back, &err), &err);
    CHECK_OK(fal_gguf_open(&b, plain, &err), &err);
    assert_int_equal(fal_gguf_tensor_count(a), fal_gguf_tensor_count(b));
    for (int i = 0; i < fal_gguf_tensor_count(a); i++) {
        const fal_gguf_tensor *t = fal_gguf_tensor_at(a, i), *u = fal_gguf_tensor_find(b, t->name);
        assert_non_null(u);
        assert_memory_equal(t->data, u->data, t->bytes);
    }
    fal_gguf_close(a);
    fal_gguf_close(b);
}

/* transformers takes the embedding for a head that is said to be tied. */
static void test_tied_heads(void **state) {
    (void)state;

    static const struct {
        const char *model;
        bool is_tied;
    } cases[] = {
        {"falcon-rw-like",  true },
        {"starcoder-like",  true },
        {"falcon-40b-like", false},
        {"falcon-11b-like", false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char folder[GOLDEN_PATH_SIZE], source[GOLDEN_PATH_SIZE], path[GOLDEN_PATH_SIZE];
        fal_error err = {0};
        json_t *config;
        golden_join(source, FAL_SOURCE_DIR "/tests/golden/models", cases[i].model);
        golden_join(folder, scratch, cases[i].model);
        CHECK_OK(write_folder(source, folder, NULL, &err), &err);
        golden_join(path, folder, "config.json");
        CHECK_OK(fal_json_read_file(&config, path, &err), &err);
        assert_int_equal(json_is_true(json_object_get(config, "tie_word_embeddings")),
                         cases[i].is_tied);
        json_decref(config);
    }
}

static bool stop_half_way(void *user, const char *tensor, uint64_t n_done, uint64_t n_total) {
    (void)user, (void)tensor;
    return n_done < n_total / 2;
}

static void test_folders(void **state) {
    (void)state;
    char inner[GOLDEN_PATH_SIZE], folder[GOLDEN_PATH_SIZE], path[GOLDEN_PATH_SIZE];
    fal_error err = {0};
    golden_scratch_make(inner);
    golden_join(folder, inner, "folder");
    const fal_to_hf_options cancelled = {.on_progress = stop_half_way}, force = {.replaces = true};
    CHECK_STATUS(write_folder(grouped.folder, folder, &cancelled, &err), FAL_E_CANCELLED, &err,
                 "cancelled");
    assert_int_equal(count_names(inner, ""), 0);
    CHECK_OK(write_folder(grouped.folder, folder, NULL, &err), &err);
    CHECK_STATUS(write_folder(grouped.folder, folder, NULL, &err), FAL_E_ARGUMENT, &err,
                 "is there already");
    golden_join(path, folder, "model-00009-of-00009.safetensors");
    CHECK_OK(fal_file_write(path, "x", 1, &err), &err);
    CHECK_OK(write_folder(grouped.folder, folder, &force, &err), &err);
    assert_false(fal_file_exists(path));
    golden_join(path, folder, "notes.txt");
    CHECK_OK(fal_file_write(path, "x", 1, &err), &err);
    CHECK_STATUS(write_folder(grouped.folder, folder, &force, &err), FAL_E_ARGUMENT, &err,
                 "'notes.txt', which would be lost");
    assert_true(fal_file_exists(path));
    assert_int_equal(count_names(inner, ""), 1);
    golden_join(path, inner, "absent/folder");
    CHECK_STATUS(write_folder(grouped.folder, path, NULL, &err), FAL_E_NOT_FOUND, &err, "absent");
    golden_scratch_remove(inner);
}

/* No block and no half folder is left, whichever allocation fails. */
static void test_short_memory(void **state) {
    (void)state;
    char inner[GOLDEN_PATH_SIZE], folder[GOLDEN_PATH_SIZE];
    golden_scratch_make(inner);
    golden_join(folder, inner, "folder");
    long live = fal_alloc_live();
    fal_status status = FAL_E_MEMORY;
    const fal_to_hf_options options = {.n_threads = 1};
    for (long n = 1; status != FAL_OK; n = n < 40 ? n + 1 : n + n / 8) {
        fal_alloc_fail_at(n);
        status = write_folder(FAL_SOURCE_DIR "/tests/golden/models/falcon-rw-even", folder,
                              &options, NULL);
        fal_alloc_fail_at(0);
        assert_int_equal(fal_alloc_live(), live);
        assert_int_equal(count_names(inner, ""), status == FAL_OK);
    }
    golden_scratch_remove(inner);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_variants), cmocka_unit_test(test_shards),
        cmocka_unit_test(test_threads),      cmocka_unit_test(test_quantized),
        cmocka_unit_test(test_tied_heads),   cmocka_unit_test(test_folders),
        cmocka_unit_test(test_short_memory),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
