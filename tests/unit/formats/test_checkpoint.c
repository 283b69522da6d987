/* Folders of checkpoints: which file is taken, how an index leads to shards, and what is refused. */
#include "base/alloc.h"
#include "base/file.h"
#include "formats/checkpoint.h"
#include "temp_folder.h"

/* A safetensors file with one f32 tensor of one number, all bytes of which are `fill`, and an i64 beside it. */
static void write_safetensors(temp_folder *folder, const char *file, const char *tensor,
                              const char *skipped, char fill) {
    char bytes[400] = {0};
    int n = snprintf(bytes + 8, sizeof bytes - 8,
                     "{\"%s\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
                     "\"%s\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[4,12]}}",
                     tensor, skipped);
    bytes[0] = (char)n;
    memset(bytes + 8 + n, fill, 12);
    temp_write(folder, file, bytes, 8 + (size_t)n + 12);
}

static void write_text(temp_folder *folder, const char *file, const char *text) {
    temp_write(folder, file, text, strlen(text));
}

static void copy_golden(temp_folder *folder, const char *golden, const char *file) {
    char path[300];
    snprintf(path, sizeof path, "%s/tests/golden/torch/%s", FAL_SOURCE_DIR, golden);
    char *text;
    size_t length;
    fal_error err;
    CHECK_OK(fal_file_read(&text, &length, path, 1 << 20, &err), &err);
    temp_write(folder, file, text, length);
    fal_free(text);
}

static void expect(const temp_folder *folder, fal_status status, const char *words) {
    fal_checkpoint *c;
    fal_error err;
    long live = fal_alloc_live();
    CHECK_STATUS(fal_checkpoint_open(&c, folder->path, &err), status, &err, words);
    assert_null(c);
    assert_int_equal(fal_alloc_live(), live);
}

static void expect_tensor(const temp_folder *folder, const char *tensor, const char *file,
                          char first) {
    fal_checkpoint *c;
    fal_error err;
    CHECK_OK(fal_checkpoint_open(&c, folder->path, &err), &err);
    const fal_checkpoint_tensor *t = fal_checkpoint_find(c, tensor);
    assert_non_null(t);
    assert_string_equal(t->file, file);
    assert_int_equal(*(const char *)t->data, first);
    fal_checkpoint_close(c);
}

static void takes_files_in_its_order(void **state) {
    (void)state;
    temp_folder folder = temp_folder_make();
    expect(&folder, FAL_E_NOT_FOUND,
           "holds none of model.safetensors.index.json, model.safetensors, ");
    copy_golden(&folder, "state.bin", "pytorch_model.bin");
    expect_tensor(&folder, "matrix", "pytorch_model.bin", 0);
    copy_golden(&folder, "plain_dictionary.bin", "shard.bin");
    write_text(&folder, "pytorch_model.bin.index.json",
               "{\"weight_map\":{\"flat\":\"shard.bin\"}}");
    expect_tensor(&folder, "flat", "shard.bin", 0);
    write_safetensors(&folder, "model.safetensors", "a", "b", 3);
    expect_tensor(&folder, "a", "model.safetensors", 3);
    write_safetensors(&folder, "shard.safetensors", "a", "b", 4);
    write_text(&folder, "model.safetensors.index.json",
               "{\"weight_map\":{\"a\":\"shard.safetensors\"}}");
    expect_tensor(&folder, "a", "shard.safetensors", 4);
    temp_remove(&folder);
}

static void lists_float_tensors_only(void **state) {
    (void)state;
    temp_folder folder = temp_folder_make();
    write_safetensors(&folder, "model.safetensors", "a", "ids", 3);
    fal_checkpoint *c;
    fal_error err;
    CHECK_OK(fal_checkpoint_open(&c, folder.path, &err), &err);
    assert_int_equal(fal_checkpoint_count(c), 1);
    assert_ptr_equal(fal_checkpoint_at(c, 0), fal_checkpoint_find(c, "a"));
    assert_null(fal_checkpoint_find(c, "ids"));
    assert_null(fal_checkpoint_find(c, "nothing"));
    fal_checkpoint_close(c);
    fal_checkpoint_close(NULL);
    temp_remove(&folder);
}

static void joins_shards(void **state) {
    (void)state;
    temp_folder folder = temp_folder_make();
    write_safetensors(&folder, "one.safetensors", "a", "ids", 1);
    write_safetensors(&folder, "two.safetensors", "b", "more", 2);
    write_text(
        &folder, "model.safetensors.index.json",
        "{\"metadata\":{\"total_size\":8},\"weight_map\":{\"b\":\"two.safetensors\",\"ids\":\"one.safetensors\","
        "\"a\":\"one.safetensors\"}}");
    fal_checkpoint *c;
    fal_error err;
    CHECK_OK(fal_checkpoint_open(&c, folder.path, &err), &err);
    assert_int_equal(fal_checkpoint_count(c), 2);
    assert_string_equal(fal_checkpoint_find(c, "a")->file, "one.safetensors");
    assert_string_equal(fal_checkpoint_find(c, "b")->file, "two.safetensors");
    fal_checkpoint_close(c);
    temp_remove(&folder);
}

static void refuses_indices_by_name(void **state) {
    (void)state;

    static const struct {
        const char *index;
        fal_status status;
        const char *words;
    } cases[] = {
        {"{",                                                                                                  FAL_E_FORMAT,    "model.safetensors.index.json"                                 },
        {"{}",                                                                                                 FAL_E_FORMAT,    "'weight_map' is missing or empty"                             },
        {"{\"weight_map\":{}}",                                                                                FAL_E_FORMAT,    "'weight_map' is missing or empty"                             },
        {"{\"weight_map\":[]}",                                                                                FAL_E_FORMAT,    "'weight_map' is missing or empty"                             },
        {"{\"weight_map\":{\"a\":1}}",                                                                         FAL_E_FORMAT,    "gives tensor 'a' no plain name of a file"                     },
        {"{\"weight_map\":{\"a\":\"\"}}",                                                                      FAL_E_FORMAT,    "no plain name of a file"                                      },
        {"{\"weight_map\":{\"a\":\"..\"}}",                                                                    FAL_E_FORMAT,    "no plain name of a file"                                      },
        {"{\"weight_map\":{\"a\":\"../one.safetensors\"}}",                                                    FAL_E_FORMAT,
         "no plain name of a file"                                                                                                                                                             },
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}",                                                           FAL_E_FORMAT,    "no plain name of a file"                                      },
        {"{\"weight_map\":{\"a\":\"x\\\\y\"}}",                                                                FAL_E_FORMAT,    "no plain name of a file"                                      },
        {"{\"weight_map\":{\"a\":\"x\\ny\"}}",                                                                 FAL_E_FORMAT,    "no plain name of a file"                                      },
        {"{\"weight_map\":{\"a\\n\":\"one.safetensors\"}}",                                                    FAL_E_FORMAT,    "no text of one line"                                          },
        {"{\"weight_map\":{\"a\":\"absent.safetensors\"}}",                                                    FAL_E_NOT_FOUND, "absent.safetensors"                                           },
        {"{\"weight_map\":{\"c\":\"one.safetensors\"}}",                                                       FAL_E_FORMAT,
         "tensor 'c' is not in 'one.safetensors'"                                                                                                                                              },
        {"{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"one.safetensors\",\"ids\":\"two.safetensors\"}}",
         FAL_E_FORMAT,                                                                                                          "tensor 'b' is not in 'one.safetensors' but in two.safetensors"},
        {"{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"copy.safetensors\"}}",                            FAL_E_FORMAT,
         "copy.safetensors: tensor 'a': tensor 'a' is there already, in one.safetensors"                                                                                                       },
        {"{\"weight_map\":{\"a\":\"model.safetensors.index.json\"}}",                                          FAL_E_FORMAT,
         "no safetensors file"                                                                                                                                                                 },
    };

    temp_folder folder = temp_folder_make();
    write_safetensors(&folder, "one.safetensors", "a", "other", 1);
    write_safetensors(&folder, "two.safetensors", "b", "ids", 2);
    write_safetensors(&folder, "copy.safetensors", "a", "x", 2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_text(&folder, "model.safetensors.index.json", cases[i].index);
        expect(&folder, cases[i].status, cases[i].words);
    }
    temp_remove(&folder);
}

static void names_the_index_that_shards_lack(void **state) {
    (void)state;
    temp_folder folder = temp_folder_make();
    write_text(&folder, "pytorch_model-00001-of-00009.bin", "");
    expect(
        &folder, FAL_E_NOT_FOUND,
        "'pytorch_model-00001-of-00009.bin', but the index 'pytorch_model.bin.index.json' is missing");
    write_text(&folder, "model-00001-of-00002.safetensors", "");
    expect(&folder, FAL_E_NOT_FOUND,
           "'model-00001-of-00002.safetensors', but the index 'model.safetensors.index.json'");
    write_text(&folder, "model.safetensors", "");
    expect(&folder, FAL_E_FORMAT, "model.safetensors: 8 bytes wanted");
    temp_remove(&folder);
}

static void survives_any_failing_allocation(void **state) {
    (void)state;
    temp_folder folder = temp_folder_make();
    write_safetensors(&folder, "one.safetensors", "a", "ids", 1);
    write_text(&folder, "model.safetensors.index.json",
               "{\"weight_map\":{\"a\":\"one.safetensors\"}}");
    long live = fal_alloc_live();
    fal_status status = FAL_E_MEMORY;
    int n = 0;
    while (status == FAL_E_MEMORY) {
        fal_checkpoint *c;
        fal_alloc_fail_at(++n);
        status = fal_checkpoint_open(&c, folder.path, NULL);
        fal_alloc_fail_at(0);
        fal_checkpoint_close(c);
        assert_int_equal(fal_alloc_live(), live);
    }
    assert_int_equal(status, FAL_OK);
    assert_true(n > 10);
    temp_remove(&folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_files_in_its_order),
        cmocka_unit_test(lists_float_tensors_only),
        cmocka_unit_test(joins_shards),
        cmocka_unit_test(refuses_indices_by_name),
        cmocka_unit_test(names_the_index_that_shards_lack),
        cmocka_unit_test(survives_any_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
