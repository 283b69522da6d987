/* Body of manifest.h. All values are texts and whole numbers, so that the digest of the manifest's own text can be made
 * again from what was read. */
#include "train/manifest.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/string_builder.h"
#include "formats/json_file.h"
#include "formats/json_value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    VERSION = 1
};

static const char FILE_NAME[] = "manifest.json";

struct fal_manifest {
    json_t *root, *tensors;
};

static fal_status set(json_t *object, const char *key, json_t *take_value, fal_error *err) {
    if (take_value && json_object_set_new(object, key, take_value) == 0) return FAL_OK;
    return fal_fail_memory(err, 0);
}

static fal_status fill(fal_manifest *m, const fal_progress_of_run *at, fal_error *err) {
    char hash[17];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)at->plan_hash);
    json_t *settings = json_object();
    FAL_TRY(set(m->root, "version", json_integer(VERSION), err));
    FAL_TRY(set(m->root, "step", json_integer((json_int_t)at->step), err));
    FAL_TRY(set(m->root, "tokens", json_integer((json_int_t)at->n_tokens), err));
    FAL_TRY(set(m->root, "plan", json_string(hash), err));
    FAL_TRY(set(m->root, "settings", settings, err));
    for (int i = 0; i < at->n_settings; i++)
        FAL_TRY(set(settings, at->settings[i].name, json_string(at->settings[i].text), err));
    m->tensors = json_object();
    return set(m->root, "tensors", m->tensors, err);
}

fal_status fal_manifest_open(fal_manifest **out, const fal_progress_of_run *at, fal_error *err) {
    *out = NULL;
    fal_manifest *m = fal_alloc(1, sizeof *m);
    if (!m) return fal_fail_memory(err, sizeof *m);
    m->root = json_object();
    fal_status status = fill(m, at, err);
    if (status != FAL_OK) {
        fal_manifest_close(m);
        return status;
    }
    *out = m;
    return FAL_OK;
}

void fal_manifest_close(fal_manifest *m) {
    if (!m) return;
    json_decref(m->root);
    fal_free(m);
}

fal_status fal_manifest_add_tensor(fal_manifest *m, const char *name, const char *digest,
                                   fal_error *err) {
    return set(m->tensors, name, json_string(digest), err);
}

int64_t fal_manifest_tensor_count(const fal_manifest *m) {
    return (int64_t)json_object_size(m->tensors);
}

const char *fal_manifest_digest(const fal_manifest *m, const char *name) {
    return json_string_value(json_object_get(m->tensors, name));
}

/* Of everything but the key "sha256". */
static fal_status digest_of(const json_t *root, char digest[FAL_SHA256_HEX], fal_error *err) {
    json_t *copy = json_copy((json_t *)(uintptr_t)root);
    fal_string_builder text = {0};
    json_object_del(copy, "sha256");
    fal_json_write_text(&text, copy, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(copy);
    fal_status status = fal_string_status(&text, err);
    if (status == FAL_OK) {
        fal_sha256 sum = fal_sha256_begin();
        fal_sha256_add(&sum, text.text, text.length);
        fal_sha256_end(&sum, digest);
    }
    fal_string_release(&text);
    return status;
}

fal_status fal_manifest_write(const fal_manifest *m, const char *folder, fal_error *err) {
    char digest[FAL_SHA256_HEX];
    fal_string_builder text = {0};
    FAL_TRY(digest_of(m->root, digest, err));
    FAL_TRY(set(m->root, "sha256", json_string(digest), err));
    char *path = fal_path_join(folder, FILE_NAME);
    fal_status status = path ? FAL_OK : fal_fail_memory(err, 0);
    fal_json_write_text(&text, m->root, JSON_INDENT(1));
    fal_string_append_text(&text, "\n");
    if (status == FAL_OK) status = fal_string_status(&text, err);
    if (status == FAL_OK) status = fal_file_write(path, text.text, text.length, err);
    fal_string_release(&text);
    fal_free(path);
    return status;
}

/* ---- reading ---- */

static fal_status get_integer(const json_t *root, const char *key, int64_t *out, fal_error *err) {
    const json_t *value = json_object_get(root, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return fal_fail(err, FAL_E_FORMAT, "'%s' is no whole number", key);
    *out = json_integer_value(value);
    return FAL_OK;
}

static fal_status get_settings(const json_t *root, fal_progress_of_run *at, fal_error *err) {
    json_t *settings = json_object_get(root, "settings");
    const char *name;
    json_t *value;
    if (!json_is_object(settings) || json_object_size(settings) > FAL_MAX_SETTINGS)
        return fal_fail(err, FAL_E_FORMAT, "'settings' is no object of at most %d settings",
                        FAL_MAX_SETTINGS);
    json_object_foreach(settings, name, value) {
        fal_setting *s = &at->settings[at->n_settings++];
        const char *text = json_string_value(value);
        snprintf(s->name, sizeof s->name, "%s", name);
        snprintf(s->text, sizeof s->text, "%s", text ? text : "");
    }
    return FAL_OK;
}

static fal_status get_all(fal_manifest *m, fal_progress_of_run *at, fal_error *err) {
    char digest[FAL_SHA256_HEX];
    int64_t version = 0;
    const char *own = json_string_value(json_object_get(m->root, "sha256"));
    const char *hash = json_string_value(json_object_get(m->root, "plan"));
    *at = (fal_progress_of_run){0};
    if (!json_is_object(m->root) || !own)
        return fal_fail(err, FAL_E_FORMAT, "it is no manifest of a checkpoint");
    FAL_TRY(digest_of(m->root, digest, err));
    if (strcmp(own, digest) != 0)
        return fal_fail(err, FAL_E_FORMAT, "damaged: its digest is another one");
    FAL_TRY(get_integer(m->root, "version", &version, err));
    if (version != VERSION)
        return fal_fail(err, FAL_E_UNSUPPORTED, "version %lld, %d is known", (long long)version,
                        VERSION);
    FAL_TRY(get_integer(m->root, "step", &at->step, err));
    FAL_TRY(get_integer(m->root, "tokens", &at->n_tokens, err));
    at->plan_hash = strtoull(hash ? hash : "", NULL, 16);
    m->tensors = json_object_get(m->root, "tensors");
    return get_settings(m->root, at, err);
}

fal_status fal_manifest_read(fal_manifest **out, const char *folder, fal_progress_of_run *at,
                             fal_error *err) {
    *out = NULL;
    fal_manifest *m = fal_alloc(1, sizeof *m);
    char *path = fal_path_join(folder, FILE_NAME);
    fal_status status = m && path ? FAL_OK : fal_fail_memory(err, 0);
    if (status == FAL_OK) status = fal_json_read_file(&m->root, path, err);
    if (status == FAL_OK) {
        status = get_all(m, at, err);
        if (status != FAL_OK) fal_add_context(err, status, "%s", path);
    }
    fal_free(path);
    if (status != FAL_OK) {
        fal_manifest_close(m);
        return status;
    }
    *out = m;
    return FAL_OK;
}
