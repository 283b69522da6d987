/* Body of golden_files.h. */
#include "golden/golden_files.h"

#include "convert/convert.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void golden_join(char path[GOLDEN_PATH_SIZE], const char *folder, const char *name) {
    int n = snprintf(path, GOLDEN_PATH_SIZE, "%s/%s", folder, name);
    assert_in_range(n, 1, GOLDEN_PATH_SIZE - 1);
}

static bool is_there(const char *folder, const char *name) {
    char path[GOLDEN_PATH_SIZE];
    golden_join(path, folder, name);
    return access(path, R_OK) == 0;
}

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static size_t find_variants(const golden_model *base, golden_model *models, size_t max_models) {
    struct dirent **entries;
    int n_entries = scandir(base->folder, &entries, is_visible, alphasort);
    size_t count = 0;
    for (int i = 0; i < n_entries; i++) {
        const char *name = entries[i]->d_name;
        if (strncmp(name, "variant-", 8) == 0) {
            assert_true(count < max_models);
            golden_model *m = &models[count++];
            *m = *base;
            golden_join(m->variant, base->folder, name);
            int n = snprintf(m->name, sizeof m->name, "%s/%s", base->name, name);
            assert_in_range(n, 1, sizeof m->name - 1);
        }
        free(entries[i]);
    }
    if (n_entries >= 0) free(entries);
    return count;
}

size_t golden_find(const char *root, golden_model *models, size_t max_models) {
    struct dirent **entries;
    int n_entries = scandir(root, &entries, is_visible, alphasort);
    size_t count = 0;
    for (int i = 0; i < n_entries; i++) {
        golden_model m = {.variant = ""};
        golden_join(m.folder, root, entries[i]->d_name);
        int n = snprintf(m.name, sizeof m.name, "%s", entries[i]->d_name);
        assert_in_range(n, 1, sizeof m.name - 1);
        free(entries[i]);
        if (!is_there(m.folder, "config.json")) continue;
        assert_true(count < max_models);
        models[count++] = m;
        count += find_variants(&m, models + count, max_models - count);
    }
    if (n_entries >= 0) free(entries);
    return count;
}

json_t *golden_json(const char *path) {
    json_error_t error;
    json_t *json = json_load_file(path, 0, &error);
    if (!json) fail_msg("%s:%d: %s", path, error.line, error.text);
    return json;
}

json_t *golden_expected(const golden_model *model) {
    char path[GOLDEN_PATH_SIZE];
    bool is_own = model->variant[0] && is_there(model->variant, "expected.json");
    golden_join(path, is_own ? model->variant : model->folder, "expected.json");
    return golden_json(path);
}

static size_t read_integers(const json_t *item, const char *key, int32_t *out, size_t max_count) {
    const json_t *array = json_object_get(item, key);
    size_t count = json_array_size(array);
    assert_in_range(count, 0, max_count);
    for (size_t i = 0; i < count; i++)
        out[i] = (int32_t)json_integer_value(json_array_get(array, i));
    return count;
}

static size_t read_numbers(const json_t *item, const char *key, double *out, size_t max_count) {
    const json_t *array = json_object_get(item, key);
    size_t count = json_array_size(array);
    assert_in_range(count, 0, max_count);
    for (size_t i = 0; i < count; i++)
        out[i] = json_number_value(json_array_get(array, i));
    return count;
}

void golden_result_read(golden_result *out, const json_t *item) {
    out->prompt = json_string_value(json_object_get(item, "prompt"));
    out->n_ids = read_integers(item, "ids", out->ids, GOLDEN_MAX_TOKENS);
    out->n_logits = read_numbers(item, "last_logits", out->last_logits, GOLDEN_MAX_VOCAB);
    out->n_logprobs = read_numbers(item, "logprobs", out->logprobs, GOLDEN_MAX_TOKENS);
    out->nll = json_number_value(json_object_get(item, "nll"));
    out->n_greedy = read_integers(item, "greedy", out->greedy, GOLDEN_MAX_TOKENS);
    out->n_feeds = read_integers(item, "feeds", out->feeds, GOLDEN_MAX_TOKENS);
    assert_non_null(out->prompt);
    assert_in_range(out->n_ids, 2, GOLDEN_MAX_TOKENS);
    assert_in_range(out->n_logits, 2, GOLDEN_MAX_VOCAB);
    assert_true(out->n_logprobs == 0 || out->n_logprobs == out->n_ids - 1);
}

void golden_scratch_make(char path[GOLDEN_PATH_SIZE]) {
    const char *root = getenv("TMPDIR");
    golden_join(path, root && root[0] ? root : "/tmp", "falconer-golden-XXXXXX");
    assert_non_null(mkdtemp(path));
}

void golden_scratch_remove(const char *path) {
    struct dirent **entries;
    int n_entries = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < n_entries; i++) {
        const char *name = entries[i]->d_name;
        char inner[GOLDEN_PATH_SIZE];
        struct stat about;
        golden_join(inner, path, name);
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && lstat(inner, &about) == 0) {
            if (S_ISDIR(about.st_mode)) {
                golden_scratch_remove(inner);
            } else {
                unlink(inner);
            }
        }
        free(entries[i]);
    }
    if (n_entries >= 0) free(entries);
    rmdir(path);
}

/* Links to the files of one folder in another; those already there win. */
static void link_files(const char *from, const char *to) {
    struct dirent **entries;
    int n_entries = scandir(from, &entries, is_visible, alphasort);
    assert_true(n_entries > 0);
    for (int i = 0; i < n_entries; i++) {
        char source[GOLDEN_PATH_SIZE], link[GOLDEN_PATH_SIZE];
        golden_join(source, from, entries[i]->d_name);
        golden_join(link, to, entries[i]->d_name);
        if (access(link, F_OK) != 0) assert_int_equal(symlink(source, link), 0);
        free(entries[i]);
    }
    free(entries);
}

void golden_convert(const golden_model *model, const char *type, const char *scratch,
                    char path[GOLDEN_PATH_SIZE]) {
    char folder[GOLDEN_PATH_SIZE];
    const char *source = model->folder;
    if (model->variant[0]) {
        golden_join(folder, scratch, "checkpoint");
        if (access(folder, F_OK) != 0) {
            assert_int_equal(mkdir(folder, 0700), 0);
            link_files(model->variant, folder);
            link_files(model->folder, folder);
        }
        source = folder;
    }
    golden_join(path, scratch, "model.gguf");
    fal_error error = {0};
    fal_convert_options options = {.type = type};
    CHECK_OK(fal_convert_folder(source, path, &options, &error), &error);
}
