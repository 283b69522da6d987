/* train/training_checkpoint.h: what is written is read, damage is named, half of one is none, the newest stay. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/random.h"
#include "train/training_checkpoint.h"
#include "unit/formats/temp_folder.h"
#include "unit/model/training_model.h"

/* A model with moments, and where it is saved. */
typedef struct saved {
    fal_device *device;
    fal_trainable *model;
    fal_optimizer *optimizer;
    temp_folder folder;
    fal_progress_of_run at;
} saved;

static void fill(saved *s, uint64_t seed) {
    fal_random random = fal_random_seeded(seed, 0);
    for (int i = 0; i < fal_trainable_count(s->model); i++) {
        const fal_trainable_weight *w = fal_trainable_at(s->model, i);
        for (int64_t k = 0; !w->is_frozen && k < w->n_rows * w->n_cols; k++) {
            fal_tensor_f32_row(w->value, 0)[k] = (float)fal_random_normal(&random);
            for (int m = 0; m < 2; m++)
                fal_tensor_f32_row(fal_optimizer_moment(s->optimizer, i, (fal_moment)m), 0)[k] =
                    (float)fal_random_normal(&random);
        }
    }
}

static void open_model(saved *s, int variant, uint64_t seed) {
    const fal_optimizer_options how = {.beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8};
    fal_error err = {0};
    s->model = training_model_open(training_variant_at(variant), NULL, 3);
    CHECK_OK(fal_optimizer_open(&s->optimizer, s->model, s->device, &how, &err), &err);
    fill(s, seed);
}

static void close_model(saved *s) {
    fal_optimizer_close(s->optimizer);
    fal_trainable_close(s->model);
}

/* Writes a checkpoint of this step. */
static void save(saved *s, int64_t step) {
    fal_error err = {0};
    s->at.step = step;
    CHECK_OK(fal_training_checkpoint_write(s->folder.path, s->model, s->optimizer, &s->at, &err),
             &err);
}

static saved open_saved(int variant) {
    saved s = {
        .folder = temp_folder_make(),
        .at = {.n_tokens = 1234,
               .plan_hash = 0xfedcba9876543210u,
               .settings = {{"learning rate", "0.001"}, {"schedule", "cosine"}},
               .n_settings = 2}
    };
    fal_error err = {0};
    CHECK_OK(fal_device_open(&s.device, "cpu", 1, &err), &err);
    open_model(&s, variant, 1);
    return s;
}

static void close_saved(saved *s) {
    fal_names names = {0};
    close_model(s);
    fal_device_close(s->device);
    assert_int_equal(fal_folder_list(&names, s->folder.path, "", NULL), FAL_OK);
    for (size_t i = 0; i < names.count; i++)
        assert_int_equal(fal_folder_remove(temp_path(&s->folder, names.items[i]), NULL), FAL_OK);
    fal_names_release(&names);
    temp_remove(&s->folder);
}

static bool are_equal(fal_tensor a, fal_tensor b) {
    if (!fal_tensor_is_given(a)) return !fal_tensor_is_given(b);
    return memcmp(a.data, b.data, (size_t)(a.n_rows * a.n_cols) * sizeof(float)) == 0;
}

static fal_status read_back(saved *s, fal_progress_of_run *at, fal_error *err) {
    return fal_training_checkpoint_read(s->folder.path, s->at.step, s->model, s->optimizer, at,
                                        err);
}

static void what_is_written_is_read(void **state) {
    (void)state;
    for (int variant = 0; variant < training_variant_count(); variant++) {
        saved s = open_saved(variant), other = s;
        fal_progress_of_run at;
        fal_error err = {0};
        save(&s, 7);
        open_model(&other, variant, 2);
        CHECK_OK(
            fal_training_checkpoint_read(s.folder.path, 7, other.model, other.optimizer, &at, &err),
            &err);
        for (int i = 0; i < fal_trainable_count(s.model); i++) {
            assert_true(are_equal(fal_trainable_at(s.model, i)->value,
                                  fal_trainable_at(other.model, i)->value));
            for (int m = 0; m < 2; m++)
                assert_true(are_equal(fal_optimizer_moment(s.optimizer, i, (fal_moment)m),
                                      fal_optimizer_moment(other.optimizer, i, (fal_moment)m)));
        }
        assert_int_equal(at.step, 7);
        assert_int_equal(at.n_tokens, 1234);
        assert_true(at.plan_hash == 0xfedcba9876543210u);
        assert_int_equal(at.n_settings, 2);
        assert_string_equal(at.settings[1].name, "schedule");
        assert_string_equal(at.settings[1].text, "cosine");
        close_model(&other);
        close_saved(&s);
    }
}

/* ---- damage ---- */

/* A file of the checkpoint, to be changed. */
static char *read_file(saved *s, const char *name, size_t *length) {
    char *bytes;
    fal_error err = {0};
    CHECK_OK(fal_file_read(&bytes, length, temp_path(&s->folder, name), 1 << 24, &err), &err);
    return bytes;
}

static void flipped_bits_are_named(void **state) {
    (void)state;
    static const char *const files[] = {"step-3/weights.safetensors",
                                        "step-3/optimizer.safetensors"};
    saved s = open_saved(0);
    fal_random random = fal_random_seeded(9, 0);
    save(&s, 3);
    for (int f = 0; f < 2; f++) {
        size_t length;
        char *bytes = read_file(&s, files[f], &length);
        uint64_t header = 0;
        memcpy(&header, bytes, sizeof header);
        for (int i = 0; i < 40; i++) {
            fal_error err = {0};
            fal_progress_of_run at;
            size_t data = 8 + (size_t)header;
            size_t place = data + fal_random_u64(&random) % (length - data);
            bytes[place] ^= (char)(1 << i % 8);
            temp_write(&s.folder, files[f], bytes, length);
            CHECK_STATUS(read_back(&s, &at, &err), FAL_E_FORMAT, &err, "tensor '");
            assert_non_null(strstr(err.message, "damaged"));
            bytes[place] ^= (char)(1 << i % 8);
        }
        temp_write(&s.folder, files[f], bytes, length);
        fal_free(bytes);
    }
    fal_progress_of_run at;
    fal_error err = {0};
    CHECK_OK(read_back(&s, &at, &err), &err);
    close_saved(&s);
}

/* Cut at any byte: refused, and where the directory can still be read with the name of a tensor. */
static void short_files_are_refused(void **state) {
    (void)state;
    static const char *const files[] = {"step-3/weights.safetensors",
                                        "step-3/optimizer.safetensors", "step-3/manifest.json"};
    saved s = open_saved(0);
    save(&s, 3);
    for (int f = 0; f < 3; f++) {
        size_t length;
        char *bytes = read_file(&s, files[f], &length);
        for (size_t cut = 0; cut < length; cut += 1 + length / 60) {
            fal_error err = {0};
            fal_progress_of_run at;
            temp_write(&s.folder, files[f], bytes, cut);
            CHECK_STATUS(read_back(&s, &at, &err), FAL_E_FORMAT, &err, strchr(files[f], '/') + 1);
        }
        temp_write(&s.folder, files[f], bytes, length);
        fal_free(bytes);
    }
    close_saved(&s);
}

static void a_manifest_tells_when_it_was_changed(void **state) {
    (void)state;
    saved s = open_saved(0);
    size_t length;
    fal_progress_of_run at;
    fal_error err = {0};
    save(&s, 3);
    char *bytes = read_file(&s, "step-3/manifest.json", &length);
    char *place = strstr(bytes, "0.001");
    assert_non_null(place);
    place[4] = '2';
    temp_write(&s.folder, "step-3/manifest.json", bytes, length);
    CHECK_STATUS(read_back(&s, &at, &err), FAL_E_FORMAT, &err, "manifest.json: damaged");
    fal_free(bytes);
    fal_file_remove(temp_path(&s.folder, "step-3/manifest.json"));
    CHECK_STATUS(read_back(&s, &at, &err), FAL_E_NOT_FOUND, &err, "manifest.json");
    close_saved(&s);
}

static void another_model_is_refused(void **state) {
    (void)state;
    saved s = open_saved(0), other = s;
    fal_progress_of_run at;
    fal_error err = {0};
    save(&s, 3);
    open_model(&other, 2, 2);
    CHECK_STATUS(
        fal_training_checkpoint_read(s.folder.path, 3, other.model, other.optimizer, &at, &err),
        FAL_E_FORMAT, &err, "tensor 'token_embd.weight': 37 rows of 24 in the file, 37 of 32");
    close_model(&other);
    close_saved(&s);
}

/* ---- the folder ---- */

static int64_t newest(saved *s) {
    int64_t step;
    fal_error err = {0};
    CHECK_OK(fal_training_checkpoint_find(s->folder.path, &step, &err), &err);
    return step;
}

static void the_newest_stay(void **state) {
    (void)state;
    saved s = open_saved(0);
    fal_error err = {0};
    assert_int_equal(newest(&s), -1);
    for (int64_t step = 8; step <= 11; step++)
        save(&s, step);
    fal_folder_make(temp_path(&s.folder, "step-99.partial"), &err);
    temp_write(&s.folder, "step-99.partial/weights.safetensors", "x", 1);
    /* What is no checkpoint is neither the newest nor counted nor removed. */
    fal_folder_make(temp_path(&s.folder, "step-up"), &err);
    fal_folder_make(temp_path(&s.folder, "step-99999999999999999999"), &err);
    fal_folder_make(temp_path(&s.folder, "step-0012"), &err);
    temp_write(&s.folder, "step-7777", "x", 1);
    assert_int_equal(newest(&s), 11);
    CHECK_OK(fal_training_checkpoint_keep(s.folder.path, 2, &err), &err);
    assert_int_equal(newest(&s), 11);
    assert_true(fal_file_exists(temp_path(&s.folder, "step-10")));
    assert_false(fal_file_exists(temp_path(&s.folder, "step-9")));
    assert_false(fal_file_exists(temp_path(&s.folder, "step-99.partial")));
    assert_true(fal_file_exists(temp_path(&s.folder, "step-up")));
    assert_true(fal_file_exists(temp_path(&s.folder, "step-99999999999999999999")));
    assert_true(fal_file_exists(temp_path(&s.folder, "step-0012")));
    assert_true(fal_file_exists(temp_path(&s.folder, "step-7777")));
    fal_file_remove(temp_path(&s.folder, "step-7777"));
    CHECK_STATUS(fal_training_checkpoint_write(s.folder.path, s.model, s.optimizer, &s.at, &err),
                 FAL_E_ARGUMENT, &err, "step-11' is there already");
    close_saved(&s);
}

static void short_memory_leaves_nothing(void **state) {
    (void)state;
    saved s = open_saved(5);
    fal_status status = FAL_E_MEMORY;
    s.at.step = 5;
    for (long n = 1; status != FAL_OK; n++) {
        fal_error err = {0};
        fal_alloc_fail_at(n);
        status = fal_training_checkpoint_write(s.folder.path, s.model, s.optimizer, &s.at, &err);
        fal_alloc_fail_at(0);
        if (status == FAL_OK) break;
        assert_int_equal(status, FAL_E_MEMORY);
        assert_int_equal(newest(&s), -1);
        assert_int_equal(temp_count(&s.folder), 0);
    }
    close_saved(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(flipped_bits_are_named),
        cmocka_unit_test(short_files_are_refused),
        cmocka_unit_test(a_manifest_tells_when_it_was_changed),
        cmocka_unit_test(another_model_is_refused),
        cmocka_unit_test(the_newest_stay),
        cmocka_unit_test(short_memory_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
